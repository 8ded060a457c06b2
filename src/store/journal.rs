//! The journal: every change of every aggregate in one order.
//!
//! A commit is one conditional put at the next sequence. State change, audit record and order are one write, so there is
//! nothing to half-do. Whether a put took effect is settled by putting again at the *same* sequence until somebody holds it:
//! us, and the change is made, or another operation, and it certainly is not.

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::get_item::builders::GetItemFluentBuilder;
use aws_sdk_dynamodb::types::AttributeValue;
use tokio::time::Instant;

use super::Store;
use super::error::StoreError;
use super::item::{Item, PARTITION_KEY, SORT_KEY, key};
use super::record::{Bridge, Draft, Entry, JOURNAL, Position, Record, sort_key};
use crate::dice;
use crate::domain::ids::Sequence;

/// Pause before a put is repeated: at first up to this, then up to twice as long each time, drawn anew (full jitter).
const FIRST_PAUSE: Duration = Duration::from_millis(20);
/// Longest pause before a put is repeated.
const LONGEST_PAUSE: Duration = Duration::from_millis(320);

/// A commit that did not happen, or of which that cannot be said.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// Another operation holds the sequence. Nothing was changed; read on and try at the new end.
    #[error("another change was committed first")]
    Superseded,
    /// The deadline passed while the outcome was open. It may have been committed, or still be.
    #[error("the deadline passed before the outcome of the write was known: {0}")]
    OutcomeUnknown(StoreError),
    /// The store refused the write for a reason that repeating does not change. Nothing was changed.
    #[error(transparent)]
    Refused(StoreError),
}

impl Store {
    /// Commits `draft` at `position`, or finds out that somebody else took the place.
    ///
    /// # Errors
    /// See [`CommitError`].
    pub async fn commit(
        &self,
        draft: Draft,
        position: &Position,
        deadline: Instant,
    ) -> Result<Record, CommitError> {
        let record = draft.at(position);
        let item = record.to_item();
        let is_ours = |entry: &Entry| match entry {
            Entry::Record(held) => {
                held.change.operation == record.change.operation
                    && held.change.request == record.change.request
            }
            Entry::Bridge(_) | Entry::Unreadable(_) => false,
        };
        match self
            .put_until_occupied(record.sequence, &item, is_ours, deadline)
            .await?
        {
            None => Ok(record),
            // What we find may be an earlier put of the same operation with other bytes: what is stored counts.
            Some(Entry::Record(stored)) => Ok(*stored),
            Some(Entry::Bridge(_) | Entry::Unreadable(_)) => Err(CommitError::Superseded),
        }
    }

    /// Writes a bridge, or finds out that somebody else took the place.
    pub(super) async fn put_bridge(
        &self,
        bridge: &Bridge,
        deadline: Instant,
    ) -> Result<(), CommitError> {
        let is_ours = |entry: &Entry| matches!(entry, Entry::Bridge(held) if held.to == bridge.to);
        self.put_until_occupied(bridge.sequence, &bridge.to_item(), is_ours, deadline)
            .await
            .map(|_| ())
    }

    /// Puts `item` at `sequence` until something stands there. `None` is our own put; otherwise the entry found, which
    /// `is_ours` recognised as an earlier arrival of the same put.
    async fn put_until_occupied(
        &self,
        sequence: Sequence,
        item: &Item,
        is_ours: impl Fn(&Entry) -> bool,
        deadline: Instant,
    ) -> Result<Option<Entry>, CommitError> {
        let mut longest_pause = FIRST_PAUSE;
        let mut may_have_landed = false;
        loop {
            let outcome = match self.put_new(item).await {
                Ok(()) => return Ok(None),
                Err(StoreError::ConditionFailed) => self.entry(sequence).await,
                Err(error) => Err(error),
            };
            let open = match outcome {
                Ok(Some(entry)) if is_ours(&entry) => return Ok(Some(entry)),
                Ok(Some(_)) => return Err(CommitError::Superseded),
                Err(refused @ StoreError::Refused { .. }) if !may_have_landed => {
                    return Err(CommitError::Refused(refused));
                }
                // Occupied and yet not there: only an item that is no entry at all.
                Ok(None) => StoreError::Unavailable(format!(
                    "sequence {sequence} holds an item that is no entry"
                )),
                Err(error) => error,
            };
            may_have_landed = true;
            let pause = longest_pause.mul_f64(dice::share());
            if Instant::now() + pause >= deadline {
                return Err(CommitError::OutcomeUnknown(open));
            }
            tokio::time::sleep(pause).await;
            longest_pause = (longest_pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn put_new(&self, item: &Item) -> Result<(), StoreError> {
        self.check_control_write("PutItem")?;
        self.once
            .put_item()
            .table_name(&self.control_table)
            .set_item(Some(item.clone()))
            .condition_expression("attribute_not_exists(#pk)")
            .expression_attribute_names("#pk", PARTITION_KEY)
            .send()
            .await
            .map(|_| ())
            .map_err(|error| StoreError::from_sdk("PutItem", error))
    }

    /// The last entry, or `None` of an empty journal.
    ///
    /// # Errors
    /// The store does not answer or refuses.
    pub async fn head(&self) -> Result<Option<Entry>, StoreError> {
        Ok(self.last_entries(1).await?.pop())
    }

    /// The last entries, the latest first: so many, or all if there are fewer.
    ///
    /// # Errors
    /// The store does not answer or refuses.
    pub async fn last_entries(&self, count: u8) -> Result<Vec<Entry>, StoreError> {
        let page = self
            .client
            .query()
            .table_name(&self.control_table)
            .consistent_read(true)
            .scan_index_forward(false)
            .limit(count.into())
            .key_condition_expression("#pk = :pk")
            .expression_attribute_names("#pk", PARTITION_KEY)
            .expression_attribute_values(":pk", AttributeValue::S(JOURNAL.to_owned()))
            .send()
            .await
            .map_err(|error| StoreError::from_sdk("Query", error))?;
        Ok(page.items().iter().filter_map(Entry::from_item).collect())
    }

    /// The entry at `sequence`, if there is one.
    ///
    /// # Errors
    /// The store does not answer or refuses.
    pub async fn entry(&self, sequence: Sequence) -> Result<Option<Entry>, StoreError> {
        let answer = self.ask_for(&self.client, sequence).send().await;
        let answer = answer.map_err(|error| StoreError::from_sdk("GetItem", error))?;
        Ok(answer.item().and_then(Entry::from_item))
    }

    /// The question what stands at `sequence`.
    pub(super) fn ask_for(&self, client: &Client, sequence: Sequence) -> GetItemFluentBuilder {
        client
            .get_item()
            .table_name(&self.control_table)
            .consistent_read(true)
            .set_key(Some(key(JOURNAL, &sort_key(sequence))))
    }

    /// Entries from `first` on, in order: all of them, or at least `at_most` if there are more.
    ///
    /// # Errors
    /// The store does not answer or refuses.
    pub async fn entries_from(
        &self,
        first: Sequence,
        at_most: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        let items = self.items_from(first, at_most).await?;
        Ok(items.iter().filter_map(Entry::from_item).collect())
    }

    /// The same, as they are stored.
    pub(super) async fn items_from(
        &self,
        first: Sequence,
        at_most: usize,
    ) -> Result<Vec<Item>, StoreError> {
        let mut pages = self
            .client
            .query()
            .table_name(&self.control_table)
            .consistent_read(true)
            .key_condition_expression("#pk = :pk AND #sk >= :first")
            .expression_attribute_names("#pk", PARTITION_KEY)
            .expression_attribute_names("#sk", SORT_KEY)
            .expression_attribute_values(":pk", AttributeValue::S(JOURNAL.to_owned()))
            .expression_attribute_values(":first", AttributeValue::S(sort_key(first)))
            .into_paginator()
            .page_size(i32::try_from(at_most.min(1_000)).unwrap_or(1_000))
            .send();
        let mut items = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| StoreError::from_sdk("Query", error))?;
            items.extend(page.items.into_iter().flatten());
            if items.len() >= at_most {
                break;
            }
        }
        Ok(items)
    }
}
