//! Heartbeats: what each replica says of itself in the evidence table, and which replicas are alive.

mod calls;
mod peers;
mod tallies;

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::{SignedDuration, Timestamp};

pub use calls::{Calls, MINUTES, SlotCalls};
pub use peers::{Peer, Peers, Presence};
pub use tallies::{Tallies, Tally};

use super::Store;
use super::error::StoreError;
use super::item::{
    BadAttribute, Item, PARTITION_KEY, SORT_KEY, get_number, get_text, key, number, parse, text,
};
use super::table::EXPIRES_AT;
use crate::domain::ids::Sequence;

/// How often a replica writes its heartbeat.
pub const INTERVAL: Duration = Duration::from_secs(2);
/// A replica whose heartbeat has not moved for this long, by the reader's own monotonic clock, is not alive.
pub const LIVE_FOR: Duration = Duration::from_secs(6);
/// How long a heartbeat stays in the table after its replica is gone.
const KEPT_FOR: SignedDuration = SignedDuration::from_hours(24);
/// Partition of the heartbeats in the evidence table.
const HEARTBEAT: &str = "heartbeat";
/// What stands between the names of alarms.
const ALARM_SEPARATOR: &str = " ";

/// What a replica says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heartbeat {
    /// Its id, new at every start.
    pub replica: String,
    /// Counts up with every heartbeat, so that a reader sees it move without comparing clocks.
    pub beat: u64,
    /// The last journal entry it has applied.
    pub sequence: Sequence,
    /// The newest format it can read.
    pub newest_format: u32,
    /// Version of its binary.
    pub version: String,
    /// When it started, by its own clock.
    pub started_at: Timestamp,
    /// When it wrote this, by its own clock, to the second.
    pub written_at: Timestamp,
    /// Whether it has ended in good order and answers no calls any more.
    pub has_ended: bool,
    /// The calls that it has decided lately.
    pub calls: Calls,
    /// The calls that it has decided since it shares them out as it does now; `None` if this binary cannot read what it says of
    /// that, or it says nothing.
    pub tallies: Option<Tallies>,
    /// The names of the alarms that it raises. They may be those of a newer binary.
    pub alarms: Vec<String>,
}

impl Heartbeat {
    /// Whether it still counts at `now`. The table may keep it for longer than it is meant to.
    #[must_use]
    pub fn is_kept(&self, now: Timestamp) -> bool {
        now.duration_since(self.written_at) < KEPT_FOR
    }

    fn to_item(&self) -> Item {
        let mut item = key(HEARTBEAT, &self.replica);
        let mut set = |name: &str, value| item.insert(name.to_owned(), value);
        set("beat", number(self.beat));
        set("sequence", number(self.sequence.0));
        set("newest_format", number(self.newest_format.into()));
        set("version", text(&self.version));
        set("started_at", text(self.started_at));
        let expires_at = self.written_at.saturating_add(KEPT_FOR);
        let expires_at = expires_at.unwrap_or(Timestamp::MAX).as_second();
        set(EXPIRES_AT, AttributeValue::N(expires_at.to_string()));
        if let Some(calls) = self.calls_text() {
            set("calls", text(calls));
        }
        if let Some(tallies) = self.tallies_text() {
            set("tallies", text(tallies));
        }
        if !self.alarms.is_empty() {
            set("alarms", text(self.alarms.join(ALARM_SEPARATOR)));
        }
        if self.has_ended {
            set("has_ended", AttributeValue::Bool(true));
        }
        item
    }

    /// What it says of calls as it is stored, if it says anything.
    #[must_use]
    pub fn calls_text(&self) -> Option<String> {
        // Names, slots and numbers: nothing that JSON cannot say.
        (!self.calls.is_empty()).then(|| serde_json::to_string(&self.calls).expect("calls as JSON"))
    }

    /// What it says of shares as it is stored, if it says anything.
    #[must_use]
    pub fn tallies_text(&self) -> Option<String> {
        let tallies = self.tallies.as_ref();
        tallies.map(|tallies| serde_json::to_string(tallies).expect("tallies as JSON"))
    }

    fn of(item: &Item) -> Result<Self, BadAttribute> {
        Ok(Self {
            replica: get_text(item, SORT_KEY)?.to_owned(),
            beat: get_number(item, "beat")?,
            sequence: Sequence(get_number(item, "sequence")?),
            newest_format: u32::try_from(get_number(item, "newest_format")?)
                .map_err(|_| BadAttribute("newest_format"))?,
            version: get_text(item, "version")?.to_owned(),
            started_at: parse(item, "started_at")?,
            written_at: i64::try_from(get_number(item, EXPIRES_AT)?)
                .ok()
                .and_then(|expires_at| Timestamp::from_second(expires_at).ok())
                .and_then(|expires_at| expires_at.saturating_sub(KEPT_FOR).ok())
                .ok_or(BadAttribute(EXPIRES_AT))?,
            has_ended: item
                .get("has_ended")
                .is_some_and(|value| value.as_bool() == Ok(&true)),
            calls: match item.get("calls") {
                Some(_) => serde_json::from_str(get_text(item, "calls")?)
                    .map_err(|_| BadAttribute("calls"))?,
                None => Calls::default(),
            },
            // For people alone: what cannot be read must not make a replica that is alive look absent.
            tallies: get_text(item, "tallies")
                .ok()
                .and_then(|text| serde_json::from_str(text).ok()),
            alarms: get_text(item, "alarms")
                .map(|text| text.split(ALARM_SEPARATOR).map(str::to_owned).collect())
                .unwrap_or_default(),
        })
    }
}

impl Store {
    /// Writes a heartbeat in place of the replica's last one. One that comes late replaces no later one.
    ///
    /// # Errors
    /// The store does not answer or refuses.
    pub async fn beat(&self, heartbeat: &Heartbeat) -> Result<(), StoreError> {
        let put = self
            .once
            .put_item()
            .table_name(&self.evidence_table)
            .set_item(Some(heartbeat.to_item()))
            .condition_expression("attribute_not_exists(#pk) OR #beat < :beat")
            .expression_attribute_names("#pk", PARTITION_KEY)
            .expression_attribute_names("#beat", "beat")
            .expression_attribute_values(":beat", number(heartbeat.beat))
            .send()
            .await;
        match put.map_err(|error| StoreError::from_sdk("PutItem", error)) {
            Ok(_) | Err(StoreError::ConditionFailed) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Every heartbeat in the table, those of replicas long gone included.
    ///
    /// # Errors
    /// The store does not answer or refuses.
    pub async fn heartbeats(&self) -> Result<Vec<Heartbeat>, StoreError> {
        let items = self
            .client
            .query()
            .table_name(&self.evidence_table)
            .consistent_read(true)
            .key_condition_expression("#pk = :pk")
            .expression_attribute_names("#pk", PARTITION_KEY)
            .expression_attribute_values(":pk", text(HEARTBEAT))
            .into_paginator()
            .items()
            .send()
            .try_collect()
            .await
            .map_err(|error| StoreError::from_sdk("Query", error))?;
        // One that a newer binary writes otherwise counts as absent: it cannot be judged.
        let read = items.iter().filter_map(|item| Heartbeat::of(item).ok());
        Ok(read.collect())
    }
}
