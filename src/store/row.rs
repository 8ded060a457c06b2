//! Rows: one item per aggregate with its latest state, for cold starts and for people and other tools to read.
//!
//! A row is finished from a record by copying, never by understanding: an old binary finishes a newer one's rows. It says by
//! itself whether it is what its writer wrote (`Proof`); one that does not is read with the record that it names
//! (`row/doubtful.rs`), so nothing that is changed in a row is served, and nothing that is in it is lost.

mod doubtful;

use aws_sdk_dynamodb::types::AttributeValue;
use sha2::{Digest, Sha256};

use super::Store;
use super::error::StoreError;
use super::item::{
    BadAttribute, Item, PARTITION_KEY, SORT_KEY, bytes, get_bytes, get_number, get_text,
    hash_except, key, number, text,
};
use super::record::{Draft, JOURNAL, Record, RecordHash};
use crate::domain::ids::{AggregateKey, EnvironmentName, Revision, Sequence};
use doubtful::Doubtful;

/// Partition of the rows of environments.
const ENVIRONMENTS: &str = "Environment_State";
/// Partition and sort key of the row of access.
const ACCESS: &str = "access";
/// Partition and sort key of the row of the settings.
const SETTINGS: &str = "settings";

/// The attribute that proves a row: the sequence of its record once more, and the SHA-256 of every other attribute. It was not
/// written from the start, and a row without it is none the worse.
const PROOF: &str = "Proof";

/// The attributes that a row has of itself; the rest is the record's plain attributes.
const OWN: [&str; 10] = [
    PARTITION_KEY,
    SORT_KEY,
    "Revision",
    "Sequence",
    "Format",
    "State",
    "State_Hash",
    "Good_Revision",
    "Fault",
    PROOF,
];

/// What a record means for its aggregate's row.
#[derive(Debug, Clone, PartialEq)]
pub enum RowUpdate {
    /// The row shows the record.
    Finish(Box<Record>),
    /// The record is not to be taken. The row keeps its state and says that its history goes on without it.
    Bar {
        /// The record.
        record: Box<Record>,
        /// The revision that the record takes up.
        revision: Revision,
        /// What is wrong with it.
        fault: String,
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
    /// Whether the row in the table says something else: it was changed, and this is what its record says.
    pub is_damaged: bool,
}

impl Row {
    /// Whether it says what `record` says, and no more.
    #[must_use]
    pub fn is_of(&self, record: &Record) -> bool {
        let change = &record.change;
        change.aggregate == self.aggregate
            && (record.sequence, change.revision) == (self.sequence, self.revision)
            && (change.format, &change.row) == (self.format, &self.attributes)
            && self.state.as_ref() == Some(&change.state)
            && (self.good_revision, &self.fault) == (self.revision, &None)
    }

    /// What the row of `record` should say where another one is found.
    fn damaged(record: &Record) -> Self {
        let change = &record.change;
        Self {
            aggregate: change.aggregate.clone(),
            revision: change.revision,
            sequence: record.sequence,
            good_revision: change.revision,
            fault: None,
            format: change.format,
            state: Some(change.state.clone()),
            attributes: change.row.clone(),
            is_damaged: true,
        }
    }

    /// A row of which nothing is left, of an aggregate without a record.
    fn without_record(aggregate: AggregateKey) -> Self {
        Self {
            aggregate,
            revision: Revision(0),
            sequence: Sequence(0),
            good_revision: Revision(0),
            fault: None,
            format: 0,
            state: None,
            attributes: Item::new(),
            is_damaged: true,
        }
    }
}

/// Partition and sort key of an aggregate's row; `None` of an aggregate whose name leaves it no place of its own.
///
/// The names of aggregates that only newer binaries know come from records that anybody may have written: none of them leads
/// into the journal, to another aggregate's row, or to a key that the tables cannot hold and that every writer would fail on.
fn row_key(aggregate: &AggregateKey) -> Option<(&str, &str)> {
    match aggregate {
        AggregateKey::Environment(name) => Some((ENVIRONMENTS, name.as_str())),
        AggregateKey::Access => Some((ACCESS, ACCESS)),
        AggregateKey::Settings => Some((SETTINGS, SETTINGS)),
        AggregateKey::Other(name) => {
            let (kind, rest) = name.split_once('/').unwrap_or((name, name));
            let is_free = !kind.is_empty() && !rest.is_empty();
            (is_free && ![JOURNAL, ENVIRONMENTS, ACCESS, SETTINGS].contains(&kind))
                .then_some((kind, rest))
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
            RowUpdate::Bar {
                record,
                revision,
                fault,
            } => self.bar_row(record, *revision, fault).await,
        }
    }

    async fn bar_row(
        &self,
        record: &Record,
        revision: Revision,
        fault: &str,
    ) -> Result<(), StoreError> {
        self.check_control_write("PutItem")?;
        let Some((partition, sort)) = row_key(&record.change.aggregate) else {
            return Ok(());
        };
        let is_behind = |row: &Item| {
            get_number(row, "Sequence").is_ok_and(|sequence| sequence < record.sequence.0)
        };
        let Some(row) = self.row_item(partition, sort).await?.filter(is_behind) else {
            return Ok(());
        };
        let is_proved = is_proved(&row);
        let mut barred = row.clone();
        let revisions = [row.get("Good_Revision"), row.get("Revision")];
        if let Some(good) = revisions.into_iter().flatten().next() {
            barred.insert("Good_Revision".to_owned(), good.clone());
        }
        barred.extend(
            [
                ("Sequence", number(record.sequence.0)),
                ("Revision", number(revision.0)),
                ("Fault", text(fault)),
            ]
            .map(|(name, value)| (name.to_owned(), value)),
        );
        // What is doubtful stays so.
        if is_proved {
            prove(&mut barred, record.sequence);
        }
        self.replace_row(&row, barred).await
    }

    /// Brings the row of the record's aggregate up to the record, unless it is there or beyond.
    ///
    /// # Errors
    /// The store does not answer or refuses.
    pub(super) async fn finish_row(&self, record: &Record) -> Result<(), StoreError> {
        self.check_control_write("PutItem")?;
        let change = &record.change;
        let Some((partition, sort)) = row_key(&change.aggregate) else {
            return Ok(());
        };
        let mut row = change.row.clone();
        row.retain(|name, _| !OWN.contains(&name.as_str()));
        row.extend(key(partition, sort));
        row.extend(
            [
                ("Revision", number(change.revision.0)),
                ("Sequence", number(record.sequence.0)),
                ("Format", number(change.format.into())),
                ("State", bytes(&change.state)),
                ("State_Hash", bytes(&Sha256::digest(&change.state))),
            ]
            .map(|(name, value)| (name.to_owned(), value)),
        );
        prove(&mut row, record.sequence);
        let put = self
            .client
            .put_item()
            .table_name(&self.control_table)
            .set_item(Some(row.clone()))
            .condition_expression("attribute_not_exists(#pk) OR #sequence < :sequence")
            .expression_attribute_names("#pk", PARTITION_KEY)
            .expression_attribute_names("#sequence", "Sequence")
            .expression_attribute_values(":sequence", number(record.sequence.0))
            .send()
            .await;
        match put.map_err(|error| StoreError::from_sdk("PutItem", error)) {
            Ok(_) => Ok(()),
            // It is there or beyond, or its number says so and is wrong.
            Err(StoreError::ConditionFailed) => match self.row_item(partition, sort).await? {
                Some(found) if is_wrongly_beyond(change, record.sequence, &found) => {
                    tracing::error!(aggregate = %change.aggregate, sequence = %record.sequence, "a row that was changed is written anew");
                    self.replace_row(&found, row).await
                }
                Some(_) | None => Ok(()),
            },
            Err(error) => Err(error),
        }
    }

    /// Puts `row` in place of `found`, unless somebody else was faster.
    async fn replace_row(&self, found: &Item, row: Item) -> Result<(), StoreError> {
        let put = self
            .client
            .put_item()
            .table_name(&self.control_table)
            .set_item(Some(row))
            .expression_attribute_names("#sequence", "Sequence");
        let put = match found.get("Sequence") {
            Some(sequence) => put
                .condition_expression("#sequence = :found")
                .expression_attribute_values(":found", sequence.clone()),
            None => put.condition_expression("attribute_not_exists(#sequence)"),
        };
        match put
            .send()
            .await
            .map_err(|error| StoreError::from_sdk("PutItem", error))
        {
            Ok(_) | Err(StoreError::ConditionFailed) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn row_item(&self, partition: &str, sort: &str) -> Result<Option<Item>, StoreError> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.control_table)
            .consistent_read(true)
            .set_key(Some(key(partition, sort)))
            .send()
            .await;
        let answer = answer.map_err(|error| StoreError::from_sdk("GetItem", error))?;
        Ok(answer.item)
    }

    /// Every row this binary knows what to do with: the environments', that of access and that of the settings. Those that do
    /// not prove what they say take one more read, of all their records at once.
    ///
    /// # Errors
    /// The store does not answer or refuses.
    pub async fn rows(&self) -> Result<Vec<Row>, StoreError> {
        let environments = self.query_all(ENVIRONMENTS).await?.into_iter();
        let environments = environments.filter_map(|item| {
            let name: EnvironmentName = get_text(&item, SORT_KEY).ok()?.parse().ok()?;
            Some((AggregateKey::Environment(name), item))
        });
        let mut others = Vec::new();
        for (name, aggregate) in [
            (ACCESS, AggregateKey::Access),
            (SETTINGS, AggregateKey::Settings),
        ] {
            let items = self.query_all(name).await?.into_iter();
            let own = items.filter(|item| get_text(item, SORT_KEY) == Ok(name));
            others.extend(own.map(|item| (aggregate.clone(), item)));
        }
        let (mut rows, mut doubtful) = (Vec::new(), Vec::new());
        for (aggregate, item) in environments.chain(others) {
            match read_row(aggregate.clone(), &item) {
                Ok(row) if is_proved(&item) => rows.push(row),
                _ => doubtful.push(Doubtful { aggregate, item }),
            }
        }
        if !doubtful.is_empty() {
            rows.extend(self.settle(doubtful).await?);
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
        is_damaged: false,
    })
}

/// Gives a row its proof.
fn prove(row: &mut Item, sequence: Sequence) {
    let hash = RecordHash(hash_except(row, PROOF));
    row.insert(PROOF.to_owned(), text(format_args!("{sequence} {hash}")));
}

/// Whether a row is what its writer wrote.
fn is_proved(row: &Item) -> bool {
    let proof = get_text(row, PROOF)
        .ok()
        .and_then(|proof| proof.split_once(' '));
    proof.is_some_and(|(_, hash)| hash.parse() == Ok(RecordHash(hash_except(row, PROOF))))
}

/// The sequence in a row's proof, whatever the rest of it says.
fn proved_sequence(row: &Item) -> Option<Sequence> {
    let (sequence, _) = get_text(row, PROOF).ok()?.split_once(' ')?;
    sequence.parse().ok().map(Sequence)
}

/// Whether a row that could not be brought up to the record at `sequence` stands in its way for no reason: nothing proves it, and
/// nothing else in it is from beyond.
fn is_wrongly_beyond(change: &Draft, sequence: Sequence, row: &Item) -> bool {
    let doubtful = Doubtful {
        aggregate: change.aggregate.clone(),
        item: row.clone(),
    };
    let is_beyond = |claim: Sequence| claim > sequence;
    !is_proved(row) && !doubtful.second_hand().into_iter().flatten().any(is_beyond)
}

fn own_pair((name, value): (&String, &AttributeValue)) -> (String, AttributeValue) {
    (name.clone(), value.clone())
}
