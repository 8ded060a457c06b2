//! Rows that do not prove what they say: written by binaries that left no proof, or changed since.
//!
//! What counts is the record that such a row was written from. Its place stands in the row up to three times; of the intact records
//! of the aggregate at those places, the last is the one. A row that names none is looked up by reading the journal back from
//! its end, which may take a while and is needed only where more than one attribute was changed.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes};

use super::{Row, proved_sequence, read_row};
use crate::domain::ids::{AggregateKey, Sequence};
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::format;
use crate::store::item::{Item, get_bytes, get_number, key};
use crate::store::record::{Entry, JOURNAL, Record, sort_key};

/// Items read in one request; DynamoDB takes no more.
const BATCH: usize = 100;

/// A row that does not prove what it says.
pub(super) struct Doubtful {
    pub(super) aggregate: AggregateKey,
    pub(super) item: Item,
}

impl Doubtful {
    /// Where the row says that its record stands: by its number, by its proof, by the last operation in its state.
    fn claims(&self) -> [Option<Sequence>; 3] {
        let number = get_number(&self.item, "Sequence").ok().map(Sequence);
        let [proof, state] = self.second_hand();
        [number, proof, state]
    }

    /// The same, but for the number.
    pub(super) fn second_hand(&self) -> [Option<Sequence>; 2] {
        let state = get_bytes(&self.item, "State").ok();
        [
            proved_sequence(&self.item),
            state.and_then(format::last_operation),
        ]
    }

    /// The row, if it may be taken at its word although nothing proves it. `entries` is what stands where it says.
    fn at_its_word(&self, entries: &BTreeMap<Sequence, Entry>) -> Option<Row> {
        let row = read_row(self.aggregate.clone(), &self.item).ok()?;
        let is_so = match entries.get(&row.sequence) {
            Some(Entry::Record(record)) if record.is_intact => row.is_of(record),
            // The record was changed, and the row says so.
            Some(Entry::Record(_)) => row.fault.is_some(),
            Some(Entry::Bridge(_) | Entry::Unreadable(_)) => false,
            // A journal that lost its end: what remembers more must not forget it.
            None => {
                let mut second_hand = self.second_hand().into_iter().flatten();
                row.state.is_some() && second_hand.any(|claim| claim == row.sequence)
            }
        };
        is_so.then_some(row)
    }

    /// The last of the aggregate's intact records at the places that the row names.
    fn record<'a>(&self, entries: &'a BTreeMap<Sequence, Entry>) -> Option<&'a Record> {
        let named = self.claims().into_iter().flatten();
        let records = named.filter_map(|claim| intact(entries.get(&claim)?));
        records
            .filter(|record| record.change.aggregate == self.aggregate)
            .max_by_key(|record| record.sequence)
    }
}

fn intact(entry: &Entry) -> Option<&Record> {
    match entry {
        Entry::Record(record) if record.is_intact => Some(record),
        Entry::Record(_) | Entry::Bridge(_) | Entry::Unreadable(_) => None,
    }
}

impl Store {
    /// What these rows should say. One batched read, unless a row names no record at all.
    pub(super) async fn settle(&self, doubtful: Vec<Doubtful>) -> Result<Vec<Row>, StoreError> {
        let claims: BTreeSet<_> = doubtful
            .iter()
            .flat_map(Doubtful::claims)
            .flatten()
            .collect();
        let entries = self.entries_at(&claims).await?;
        let (mut rows, mut lost) = (Vec::new(), BTreeSet::new());
        for doubtful in doubtful {
            let record = doubtful.record(&entries);
            match (doubtful.at_its_word(&entries), record) {
                // Of two records of the aggregate, the later one was not written for nothing.
                (Some(row), record)
                    if record.is_none_or(|record| record.sequence <= row.sequence) =>
                {
                    rows.push(row);
                }
                (_, Some(record)) => {
                    tracing::error!(aggregate = %doubtful.aggregate, sequence = %record.sequence, "a row was changed; its record is read instead");
                    rows.push(Row::damaged(record));
                }
                (_, None) => {
                    tracing::error!(aggregate = %doubtful.aggregate, "a row names no record of its aggregate; looking for the last one");
                    lost.insert(doubtful.aggregate);
                }
            }
        }
        if !lost.is_empty() {
            rows.extend(self.last_records(lost).await?);
        }
        Ok(rows)
    }

    /// The entries at these places, those that exist.
    async fn entries_at(
        &self,
        places: &BTreeSet<Sequence>,
    ) -> Result<BTreeMap<Sequence, Entry>, StoreError> {
        let places: Vec<_> = places.iter().copied().collect();
        let mut entries = BTreeMap::new();
        for places in places.chunks(BATCH) {
            let keys = places.iter().map(|place| key(JOURNAL, &sort_key(*place)));
            let mut left: Vec<Item> = keys.collect();
            // An answer holds so many bytes and says what did not fit.
            while !left.is_empty() {
                let wanted = KeysAndAttributes::builder()
                    .set_keys(Some(left))
                    .consistent_read(true)
                    .build()
                    .map_err(|error| StoreError::Unavailable(error.to_string()))?;
                let answer = self
                    .client
                    .batch_get_item()
                    .request_items(&self.control_table, wanted)
                    .send()
                    .await
                    .map_err(|error| StoreError::from_sdk("BatchGetItem", error))?;
                let found = answer.responses.unwrap_or_default();
                let found = found.values().flatten().filter_map(Entry::from_item);
                entries.extend(found.map(|entry| (entry.sequence(), entry)));
                let mut unprocessed = answer.unprocessed_keys.unwrap_or_default();
                let unprocessed = unprocessed.remove(&self.control_table);
                left = unprocessed.map(|keys| keys.keys).unwrap_or_default();
            }
        }
        Ok(entries)
    }

    /// Rows made from the last intact record of each of these aggregates, wherever it stands.
    async fn last_records(&self, mut lost: BTreeSet<AggregateKey>) -> Result<Vec<Row>, StoreError> {
        let mut rows = Vec::new();
        let mut items = self
            .client
            .query()
            .table_name(&self.control_table)
            .consistent_read(true)
            .scan_index_forward(false)
            .key_condition_expression("#pk = :pk")
            .expression_attribute_names("#pk", super::PARTITION_KEY)
            .expression_attribute_values(":pk", AttributeValue::S(JOURNAL.to_owned()))
            .into_paginator()
            .items()
            .send();
        while !lost.is_empty()
            && let Some(item) = items.next().await
        {
            let item = item.map_err(|error| StoreError::from_sdk("Query", error))?;
            let entry = Entry::from_item(&item);
            if let Some(record) = entry.as_ref().and_then(intact)
                && lost.remove(&record.change.aggregate)
            {
                rows.push(Row::damaged(record));
            }
        }
        // They exist, and nothing else is known of them.
        rows.extend(lost.into_iter().map(Row::without_record));
        Ok(rows)
    }
}
