//! Heartbeats: what each replica says of itself in the evidence table, and which replicas are alive.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::{SignedDuration, Timestamp};

use super::error::StoreError;
use super::item::{
    BadAttribute, Item, PARTITION_KEY, SORT_KEY, get_number, get_text, key, number, text,
};
use super::table::EXPIRES_AT;
use super::{Store, connection};
use crate::domain::ids::Sequence;

/// How often a replica writes its heartbeat.
pub const INTERVAL: Duration = Duration::from_secs(2);
/// A replica whose heartbeat has not moved for this long, by the reader's own monotonic clock, is not alive.
pub const LIVE_FOR: Duration = Duration::from_secs(6);
/// How long a heartbeat stays in the table after its replica is gone.
const KEPT_FOR: SignedDuration = SignedDuration::from_hours(24);
/// Partition of the heartbeats in the evidence table.
const HEARTBEAT: &str = "heartbeat";

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
}

impl Store {
    /// Writes a heartbeat in place of the replica's last one.
    ///
    /// # Errors
    /// The store does not answer or refuses.
    pub async fn beat(&self, heartbeat: &Heartbeat, now: Timestamp) -> Result<(), StoreError> {
        let expires_at = now
            .saturating_add(KEPT_FOR)
            .unwrap_or(Timestamp::MAX)
            .as_second();
        self.client
            .put_item()
            .table_name(&self.evidence_table)
            .set_item(Some(key(HEARTBEAT, &heartbeat.replica)))
            .item("beat", number(heartbeat.beat))
            .item("sequence", number(heartbeat.sequence.0))
            .item("newest_format", number(heartbeat.newest_format.into()))
            .item("version", text(&heartbeat.version))
            .item("started_at", text(heartbeat.started_at))
            .item(EXPIRES_AT, AttributeValue::N(expires_at.to_string()))
            .customize()
            .config_override(connection::single_attempt())
            .send()
            .await
            .map(|_| ())
            .map_err(|error| StoreError::from_sdk("PutItem", error))
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
        Ok(items.iter().filter_map(|item| read(item).ok()).collect())
    }
}

fn read(item: &Item) -> Result<Heartbeat, BadAttribute> {
    Ok(Heartbeat {
        replica: get_text(item, SORT_KEY)?.to_owned(),
        beat: get_number(item, "beat")?,
        sequence: Sequence(get_number(item, "sequence")?),
        newest_format: u32::try_from(get_number(item, "newest_format")?)
            .map_err(|_| BadAttribute("newest_format"))?,
        version: get_text(item, "version")?.to_owned(),
        started_at: super::item::parse(item, "started_at")?,
    })
}

/// The replicas as one reader has seen them, judged by its own monotonic clock alone.
#[derive(Debug, Default)]
pub struct Peers {
    seen: HashMap<String, Seen>,
    first_look: Option<Duration>,
}

#[derive(Debug)]
struct Seen {
    heartbeat: Heartbeat,
    /// When the reader first saw this beat.
    moved_at: Duration,
    /// Whether the reader has seen it move; a first sight may be of a replica long dead.
    has_moved: bool,
}

impl Peers {
    /// Takes in what the table held at `now` (monotonic).
    pub fn observe(&mut self, heartbeats: Vec<Heartbeat>, now: Duration) {
        self.first_look.get_or_insert(now);
        let present: HashMap<String, Heartbeat> = heartbeats
            .into_iter()
            .map(|heartbeat| (heartbeat.replica.clone(), heartbeat))
            .collect();
        self.seen.retain(|replica, _| present.contains_key(replica));
        for (replica, heartbeat) in present {
            match self.seen.get_mut(&replica) {
                Some(seen) if seen.heartbeat.beat == heartbeat.beat => {}
                Some(seen) => {
                    *seen = Seen {
                        heartbeat,
                        moved_at: now,
                        has_moved: true,
                    }
                }
                None => {
                    self.seen.insert(
                        replica,
                        Seen {
                            heartbeat,
                            moved_at: now,
                            has_moved: false,
                        },
                    );
                }
            }
        }
    }

    /// The replicas alive at `now` (monotonic). A reader that has looked for less than [`LIVE_FOR`] cannot tell and counts
    /// all that it has found.
    pub fn live(&self, now: Duration) -> impl Iterator<Item = &Heartbeat> {
        let is_young = self
            .first_look
            .is_none_or(|first| now.saturating_sub(first) < LIVE_FOR);
        self.seen.values().filter_map(move |seen| {
            let moves = seen.has_moved && now.saturating_sub(seen.moved_at) < LIVE_FOR;
            (is_young || moves).then_some(&seen.heartbeat)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heartbeat(replica: &str, beat: u64) -> Heartbeat {
        Heartbeat {
            replica: replica.to_owned(),
            beat,
            sequence: Sequence(beat),
            newest_format: 1,
            version: "0".to_owned(),
            started_at: Timestamp::UNIX_EPOCH,
        }
    }

    fn live(peers: &Peers, seconds: u64) -> Vec<String> {
        let mut names: Vec<_> = peers
            .live(Duration::from_secs(seconds))
            .map(|beat| beat.replica.clone())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_young_reader_counts_all_and_an_old_one_only_those_it_saw_move() {
        let mut peers = Peers::default();
        peers.observe(
            vec![heartbeat("alive", 1), heartbeat("dead", 9)],
            Duration::ZERO,
        );
        assert_eq!(live(&peers, 5), ["alive", "dead"]);
        for second in 1..=7 {
            peers.observe(
                vec![heartbeat("alive", 1 + second), heartbeat("dead", 9)],
                Duration::from_secs(second),
            );
        }
        assert_eq!(live(&peers, 7), ["alive"]);
        assert_eq!(live(&peers, 12), ["alive"]);
        assert_eq!(live(&peers, 13), [""; 0]);
    }

    #[test]
    fn a_replica_that_starts_later_is_alive_once_it_has_moved() {
        let mut peers = Peers::default();
        peers.observe(vec![], Duration::ZERO);
        peers.observe(vec![heartbeat("new", 1)], Duration::from_secs(10));
        assert_eq!(live(&peers, 10), [""; 0]);
        peers.observe(vec![heartbeat("new", 2)], Duration::from_secs(12));
        assert_eq!(live(&peers, 12), ["new"]);
    }
}
