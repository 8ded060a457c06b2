//! Cursors: how far followers of the journal have come with what they do.
//!
//! An item of the evidence table each. It outlives its follower by months, so that whoever comes back goes on where it was; the
//! cursor of something that is gone for good expires.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::{SignedDuration, Timestamp};

use super::Store;
use super::error::StoreError;
use super::item::{
    BadAttribute, Item, PARTITION_KEY, SORT_KEY, get_number, get_text, key, number, parse, text,
};
use super::table::EXPIRES_AT;
use crate::domain::ids::Sequence;

/// How long a cursor stays that nobody writes any more. Whoever needs one writes it again within a day, moved or not.
const KEPT_FOR: SignedDuration = SignedDuration::from_hours(24 * 400);

/// How far a follower has come.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cursor {
    /// The last journal entry that is dealt with.
    pub sequence: Sequence,
    /// When the other side last took something; `None` if it never has.
    pub taken_at: Option<Timestamp>,
    /// What it is held up by.
    pub obstacle: Option<Obstacle>,
}

/// What holds a follower up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obstacle {
    /// Since when.
    pub since: Timestamp,
    /// What it is, in words.
    pub why: String,
}

impl Obstacle {
    /// What is in the way at `now`, where `before` was found in the way already: since then.
    #[must_use]
    pub fn after(before: Option<&Self>, why: String, now: Timestamp) -> Self {
        let since = before.map_or(now, |met| met.since);
        Self { since, why }
    }
}

impl Store {
    /// The cursors of the followers of this kind, by name.
    ///
    /// # Errors
    /// The store does not answer or refuses, or a cursor cannot be read. Nobody begins anew for that.
    pub async fn cursors(&self, kind: &str) -> Result<BTreeMap<String, Cursor>, StoreError> {
        let mut pages = self
            .client
            .query()
            .table_name(&self.evidence_table)
            .consistent_read(true)
            .key_condition_expression("#pk = :pk")
            .expression_attribute_names("#pk", PARTITION_KEY)
            .expression_attribute_values(":pk", AttributeValue::S(partition(kind)))
            .into_paginator()
            .send();
        let mut cursors = BTreeMap::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| StoreError::from_sdk("Query", error))?;
            for item in page.items() {
                let cursor = read(item);
                cursors.extend([cursor.map_err(|error| {
                    StoreError::Unavailable(format!("a cursor of {kind}: {error}"))
                })?]);
            }
        }
        Ok(cursors)
    }

    /// Puts a cursor in place of the one there is; `false` if that one is further already. It never moves back.
    ///
    /// # Errors
    /// The store does not answer or refuses. It may have been put.
    pub async fn put_cursor(
        &self,
        kind: &str,
        name: &str,
        cursor: &Cursor,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let put = self
            .client
            .put_item()
            .table_name(&self.evidence_table)
            .set_item(Some(item_of(kind, name, cursor, now)))
            .condition_expression("attribute_not_exists(#pk) OR #sequence <= :sequence")
            .expression_attribute_names("#pk", PARTITION_KEY)
            .expression_attribute_names("#sequence", "sequence")
            .expression_attribute_values(":sequence", number(cursor.sequence.0))
            .send()
            .await;
        match put.map_err(|error| StoreError::from_sdk("PutItem", error)) {
            Ok(_) => Ok(true),
            Err(StoreError::ConditionFailed) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

fn partition(kind: &str) -> String {
    format!("cursor/{kind}")
}

fn item_of(kind: &str, name: &str, cursor: &Cursor, now: Timestamp) -> Item {
    let mut item = key(&partition(kind), name);
    item.insert("sequence".to_owned(), number(cursor.sequence.0));
    if let Some(at) = cursor.taken_at {
        item.insert("taken_at".to_owned(), text(at));
    }
    if let Some(Obstacle { since, why }) = &cursor.obstacle {
        item.insert("since".to_owned(), text(since));
        item.insert("why".to_owned(), text(why));
    }
    let expires_at = now.saturating_add(KEPT_FOR).unwrap_or(Timestamp::MAX);
    let expires_at = AttributeValue::N(expires_at.as_second().to_string());
    item.insert(EXPIRES_AT.to_owned(), expires_at);
    item
}

fn read(item: &Item) -> Result<(String, Cursor), BadAttribute> {
    let has = |name: &str| item.contains_key(name);
    let taken_at = has("taken_at").then(|| parse(item, "taken_at"));
    let obstacle = has("why").then(|| {
        let why = get_text(item, "why")?.to_owned();
        let since = parse(item, "since")?;
        Ok(Obstacle { since, why })
    });
    let cursor = Cursor {
        sequence: Sequence(get_number(item, "sequence")?),
        taken_at: taken_at.transpose()?,
        obstacle: obstacle.transpose()?,
    };
    Ok((get_text(item, SORT_KEY)?.to_owned(), cursor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_as_it_was_written_and_one_that_is_none_does_not_read() {
        let at: Timestamp = "2026-01-05T08:00:00.5Z".parse().unwrap();
        let plain = Cursor {
            sequence: Sequence(7),
            ..Cursor::default()
        };
        let held_up = Cursor {
            taken_at: Some(at),
            obstacle: Some(Obstacle {
                since: at,
                why: "it does not answer".to_owned(),
            }),
            ..plain.clone()
        };
        for cursor in [plain, held_up] {
            let item = item_of("webhooks", "a/1", &cursor, at);
            assert_eq!(read(&item), Ok(("a/1".to_owned(), cursor)));
            for name in item.keys() {
                let mut other = item.clone();
                other.insert(name.clone(), AttributeValue::Bool(true));
                let is_read = ["sk", "sequence", "taken_at", "since", "why"].contains(&&**name);
                assert_eq!(read(&other).is_err(), is_read, "{name}");
            }
        }
    }
}
