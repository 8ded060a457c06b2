//! Rows: one item per aggregate with its latest state, for cold starts and for people and other tools to read.
//!
//! A row is finished from a record by copying, never by understanding: an old binary finishes a newer one's rows.

use aws_sdk_dynamodb::types::AttributeValue;
use sha2::{Digest, Sha256};

use super::Store;
use super::error::StoreError;
use super::item::{
    BadAttribute, Item, PARTITION_KEY, SORT_KEY, bytes, get_bytes, get_number, get_text, key,
    number, text,
};
use super::record::{JOURNAL, Record};
use crate::domain::ids::{AggregateKey, EnvironmentName, Revision, Sequence};

/// Partition of the rows of environments.
const ENVIRONMENTS: &str = "Environment_State";
/// Partition and sort key of the row of access.
const ACCESS: &str = "access";

/// The attributes that a row has of itself; the rest is the record's plain attributes.
const OWN: [&str; 9] = [
    PARTITION_KEY,
    SORT_KEY,
    "Revision",
    "Sequence",
    "Format",
    "State",
    "State_Hash",
    "Good_Revision",
    "Fault",
];

/// What a record means for its aggregate's row.
#[derive(Debug, Clone, PartialEq)]
pub enum RowUpdate {
    /// The row shows the record.
    Finish(Box<Record>),
    /// The record was changed after it was written. The row keeps its state and says that its history goes on without it.
    Bar {
        /// The record.
        record: Box<Record>,
        /// The revision that the record takes up.
        revision: Revision,
    },
}

impl RowUpdate {
    /// Sequence of the record.
    #[must_use]
    pub fn sequence(&self) -> Sequence {
        match self {
            Self::Finish(record) | Self::Bar { record, .. } => record.sequence,
        }
    }
}

/// The latest state of an aggregate, as its row has it.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The aggregate.
    pub aggregate: AggregateKey,
    /// Its revision.
    pub revision: Revision,
    /// Sequence of its last record.
    pub sequence: Sequence,
    /// Revision of `state`: an earlier one if the last record cannot be trusted.
    pub good_revision: Revision,
    /// Why the last record cannot be trusted, if it cannot.
    pub fault: Option<String>,
    /// Format of `state`.
    pub format: u32,
    /// The state, if it is the one that was written.
    pub state: Option<Vec<u8>>,
    /// Its plain attributes.
    pub attributes: Item,
}

/// Partition and sort key of an aggregate's row; `None` of an aggregate whose name leaves it no place of its own.
///
/// The names of aggregates that only newer binaries know come from records that anybody may have written: none of them leads
/// into the journal, to another aggregate's row, or to a key that the tables cannot hold and that every writer would fail on.
fn row_key(aggregate: &AggregateKey) -> Option<(&str, &str)> {
    match aggregate {
        AggregateKey::Environment(name) => Some((ENVIRONMENTS, name.as_str())),
        AggregateKey::Access => Some((ACCESS, ACCESS)),
        AggregateKey::Other(name) => {
            let (kind, rest) = name.split_once('/').unwrap_or((name, name));
            let is_free = !kind.is_empty() && !rest.is_empty();
            (is_free && ![JOURNAL, ENVIRONMENTS, ACCESS].contains(&kind)).then_some((kind, rest))
        }
    }
}

impl Store {
    /// Brings a row up to date, unless it is there or beyond. Unlike a commit it may be sent any number of times, so the
    /// SDK's own attempts are welcome.
    ///
    /// # Errors
    /// The store does not answer or refuses.
    pub async fn update_row(&self, update: &RowUpdate) -> Result<(), StoreError> {
        match update {
            RowUpdate::Finish(record) => self.finish_row(record).await,
            RowUpdate::Bar { record, revision } => self.bar_row(record, *revision).await,
        }
    }

    async fn bar_row(&self, record: &Record, revision: Revision) -> Result<(), StoreError> {
        let Some((partition, sort)) = row_key(&record.change.aggregate) else {
            return Ok(());
        };
        let outcome = self
            .client
            .update_item()
            .table_name(&self.control_table)
            .set_key(Some(key(partition, sort)))
            .update_expression(
                "SET #sequence = :sequence, #good = if_not_exists(#good, #revision), #revision = :revision, #fault = :fault",
            )
            .condition_expression("attribute_exists(#pk) AND #sequence < :sequence")
            .expression_attribute_names("#pk", PARTITION_KEY)
            .expression_attribute_names("#sequence", "Sequence")
            .expression_attribute_names("#revision", "Revision")
            .expression_attribute_names("#good", "Good_Revision")
            .expression_attribute_names("#fault", "Fault")
            .expression_attribute_values(":sequence", number(record.sequence.0))
            .expression_attribute_values(":revision", number(revision.0))
            .expression_attribute_values(":fault", text(format!("record {} was changed after it was written", record.sequence)))
            .send()
            .await;
        match outcome.map_err(|error| StoreError::from_sdk("UpdateItem", error)) {
            Ok(_) | Err(StoreError::ConditionFailed) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Brings the row of the record's aggregate up to the record, unless it is there or beyond.
    ///
    /// # Errors
    /// The store does not answer or refuses.
    pub(super) async fn finish_row(&self, record: &Record) -> Result<(), StoreError> {
        let change = &record.change;
        let Some((partition, sort)) = row_key(&change.aggregate) else {
            return Ok(());
        };
        let outcome = self
            .client
            .put_item()
            .table_name(&self.control_table)
            .set_item(Some(change.row.clone()))
            .item(PARTITION_KEY, text(partition))
            .item(SORT_KEY, text(sort))
            .item("Revision", number(change.revision.0))
            .item("Sequence", number(record.sequence.0))
            .item("Format", number(change.format.into()))
            .item("State", bytes(&change.state))
            .item("State_Hash", bytes(&Sha256::digest(&change.state)))
            .condition_expression("attribute_not_exists(#pk) OR #sequence < :sequence")
            .expression_attribute_names("#pk", PARTITION_KEY)
            .expression_attribute_names("#sequence", "Sequence")
            .expression_attribute_values(":sequence", number(record.sequence.0))
            .send()
            .await;
        match outcome.map_err(|error| StoreError::from_sdk("PutItem", error)) {
            Ok(_) | Err(StoreError::ConditionFailed) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Every row this binary knows what to do with: the environments' and that of access.
    ///
    /// # Errors
    /// The store does not answer or refuses.
    pub async fn rows(&self) -> Result<Vec<Row>, StoreError> {
        let mut rows = Vec::new();
        for item in self.query_all(ENVIRONMENTS).await? {
            let name = get_text(&item, SORT_KEY)
                .ok()
                .and_then(|name| name.parse::<EnvironmentName>().ok());
            rows.extend(
                name.and_then(|name| read_row(AggregateKey::Environment(name), &item).ok()),
            );
        }
        for item in self.query_all(ACCESS).await? {
            if get_text(&item, SORT_KEY) == Ok(ACCESS) {
                rows.extend(read_row(AggregateKey::Access, &item).ok());
            }
        }
        Ok(rows)
    }

    async fn query_all(&self, partition: &str) -> Result<Vec<Item>, StoreError> {
        self.client
            .query()
            .table_name(&self.control_table)
            .consistent_read(true)
            .key_condition_expression("#pk = :pk")
            .expression_attribute_names("#pk", PARTITION_KEY)
            .expression_attribute_values(":pk", AttributeValue::S(partition.to_owned()))
            .into_paginator()
            .items()
            .send()
            .try_collect()
            .await
            .map_err(|error| StoreError::from_sdk("Query", error))
    }
}

fn read_row(aggregate: AggregateKey, item: &Item) -> Result<Row, BadAttribute> {
    let state = get_bytes(item, "State").ok().filter(|state| {
        get_bytes(item, "State_Hash").is_ok_and(|hash| hash == Sha256::digest(state).as_slice())
    });
    let revision = Revision(get_number(item, "Revision")?);
    Ok(Row {
        aggregate,
        revision,
        good_revision: get_number(item, "Good_Revision").map_or(revision, Revision),
        fault: get_text(item, "Fault").ok().map(str::to_owned),
        sequence: Sequence(get_number(item, "Sequence")?),
        format: u32::try_from(get_number(item, "Format")?).map_err(|_| BadAttribute("Format"))?,
        state: state.map(<[u8]>::to_vec),
        attributes: item
            .iter()
            .filter(|(name, _)| !OWN.contains(&name.as_str()))
            .map(own_pair)
            .collect(),
    })
}

fn own_pair((name, value): (&String, &AttributeValue)) -> (String, AttributeValue) {
    (name.clone(), value.clone())
}
