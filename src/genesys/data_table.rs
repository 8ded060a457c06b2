//! The data table that the Traffic Cop flow looks into when it cannot ask: a row per environment. The wire types of
//! `/api/v2/flows/datatables/…`, and what of a row is ours.
//!
//! A table may have more columns than ours. What stands in those belongs to people, and is written back as it was read.

use std::fmt;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::flow_aggregates::InvalidAnswer;
use crate::domain::Environment;
use crate::domain::ids::{EnvironmentName, FlowId, Revision};
use crate::domain::slot::Slot;
use crate::domain::weight::Weight;

/// The reference key, by the only name that it has in the API: a column's title is for people.
const KEY: &str = "key";
/// The column with the id of the active slot's flow.
const ACTIVE_FLOW_ID: &str = "Active_Flow_ID";
/// The column that says which slot is active.
pub const ACTIVE_SLOT: &str = "Active_Slot";
/// The column with the revision that the row shows.
const REVISION: &str = "Revision";
/// The column with the percentage of new calls that go to the candidate.
const TRAFFIC_WEIGHT: &str = "Traffic_Weight";

/// Our columns, and the types that each may have.
const COLUMNS: [(&str, &[&str]); 5] = [
    (KEY, &["string"]),
    (ACTIVE_FLOW_ID, &["string"]),
    (ACTIVE_SLOT, &["string"]),
    (REVISION, &["integer", "number"]),
    (TRAFFIC_WEIGHT, &["number"]),
];

/// A table (`DataTable`), as far as it is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataTable {
    /// Columns that it lacks, or has with another type.
    pub wrong: Vec<WrongColumn>,
}

/// A column that rows cannot be written with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrongColumn {
    name: &'static str,
    expected: &'static str,
    is_there: bool,
}

impl fmt::Display for WrongColumn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, expected) = (self.name, self.expected);
        if self.is_there {
            write!(f, "the column {name} is not of the type {expected}")
        } else {
            write!(f, "it has no column {name} of the type {expected}")
        }
    }
}

/// A row as Genesys Cloud has it: its key and every column, those of others too.
#[derive(Debug, Clone, PartialEq)]
pub struct Row(Map<String, Value>);

/// What the row of an environment should say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The row's key.
    pub environment: EnvironmentName,
    /// The flow of the active slot.
    pub flow: FlowId,
    /// The active slot.
    pub slot: Slot,
    /// Share of new calls that goes to the candidate.
    pub weight: Weight,
    /// The revision that all this is of.
    pub revision: Revision,
}

impl Entry {
    /// What `environment` is at `revision`.
    #[must_use]
    pub fn of(name: &EnvironmentName, environment: &Environment, revision: Revision) -> Self {
        let slot = environment.active;
        Self {
            environment: name.clone(),
            flow: environment.slots[slot].flow.id.clone(),
            slot,
            weight: environment.weight,
            revision,
        }
    }

    fn members(&self) -> [(&'static str, Value); 5] {
        [
            (KEY, json!(self.environment)),
            (ACTIVE_FLOW_ID, json!(self.flow)),
            (ACTIVE_SLOT, json!(self.slot)),
            (REVISION, json!(self.revision)),
            (TRAFFIC_WEIGHT, json!(self.weight)),
        ]
    }

    /// Whether `row` says all this, whatever else it says.
    #[must_use]
    pub fn is_in(&self, row: &Row) -> bool {
        let members = self.members();
        members.iter().all(|(name, value)| {
            let found = row.0.get(*name);
            found.is_some_and(|found| is_same(found, value))
        })
    }

    /// A row that says this, and otherwise what `row` says.
    #[must_use]
    pub fn within(&self, row: Option<&Row>) -> Row {
        let mut members = row.map(|row| row.0.clone()).unwrap_or_default();
        let own = self.members();
        members.extend(own.map(|(name, value)| (name.to_owned(), value)));
        Row(members)
    }
}

impl Row {
    /// The row as a request's body has it.
    #[must_use]
    pub fn body(&self) -> &Map<String, Value> {
        &self.0
    }
}

/// Reads the row of `key`.
///
/// # Errors
/// The answer has another shape, or is about another row.
pub fn read_row(key: &EnvironmentName, body: &[u8]) -> Result<Row, InvalidAnswer> {
    let row: Map<String, Value> =
        serde_json::from_slice(body).map_err(|_| InvalidAnswer::Unreadable)?;
    let is_asked_for = row.get(KEY).and_then(Value::as_str) == Some(key.as_str());
    is_asked_for
        .then_some(Row(row))
        .ok_or(InvalidAnswer::Unreadable)
}

#[derive(Deserialize)]
struct WireTable {
    #[serde(rename = "id")]
    _id: String,
    schema: Option<Schema>,
}

#[derive(Deserialize)]
struct Schema {
    properties: Option<Map<String, Value>>,
}

/// Reads a table that was asked for with its schema. One whose schema is not told is taken to be right: the first write shows.
///
/// # Errors
/// The answer has another shape.
pub fn read_table(body: &[u8]) -> Result<DataTable, InvalidAnswer> {
    let table: WireTable = serde_json::from_slice(body).map_err(|_| InvalidAnswer::Unreadable)?;
    let Some(columns) = table.schema.and_then(|schema| schema.properties) else {
        return Ok(DataTable { wrong: Vec::new() });
    };
    let wrong = COLUMNS.into_iter().filter_map(|(name, types)| {
        let found = columns.get(name);
        let kind = found.and_then(|column| column["type"].as_str());
        let is_right = kind.is_some_and(|kind| types.contains(&kind));
        (!is_right).then_some(WrongColumn {
            name,
            expected: types[0],
            is_there: found.is_some(),
        })
    });
    Ok(DataTable {
        wrong: wrong.collect(),
    })
}

/// Whether two values are the same to whoever reads the table: 5 and 5.0 are.
fn is_same(one: &Value, other: &Value) -> bool {
    match (one.as_f64(), other.as_f64()) {
        (Some(one), Some(other)) => one.total_cmp(&other).is_eq(),
        _ => one == other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(weight: &str) -> Entry {
        Entry {
            environment: "Main_IVR".parse().unwrap(),
            flow: "5f0c".parse().unwrap(),
            slot: Slot::Blue,
            weight: weight.parse().unwrap(),
            revision: Revision(7),
        }
    }

    fn row(text: &str) -> Row {
        read_row(&entry("0").environment, text.as_bytes()).unwrap()
    }

    #[test]
    fn a_row_has_the_shipped_columns_with_the_weight_in_percent() {
        let body = entry("12.5").within(None);
        let expected = r#"{"Active_Flow_ID":"5f0c","Active_Slot":"blue","Revision":7,"Traffic_Weight":12.5,"key":"Main_IVR"}"#;
        assert_eq!(serde_json::to_string(body.body()).unwrap(), expected);
        let names: Vec<_> = COLUMNS.iter().map(|(name, _)| *name).collect();
        let written: Vec<_> = entry("0").members().map(|(name, _)| name).into();
        assert_eq!(written, names);
    }

    #[test]
    fn columns_of_others_are_written_back_as_they_were() {
        let found =
            row(r#"{"key":"Main_IVR","Note":"ask Anna","Active_Slot":"green","Fallback":true}"#);
        let written = entry("0").within(Some(&found));
        assert_eq!(written.body()["Note"], "ask Anna");
        assert_eq!(written.body()["Fallback"], true);
        assert!(entry("0").is_in(&written));
    }

    #[test]
    fn numbers_are_compared_by_what_they_are_and_everything_else_as_it_stands() {
        let said = |weight: &str, revision: &str| {
            row(&format!(
                r#"{{"key":"Main_IVR","Active_Flow_ID":"5f0c","Active_Slot":"blue","Revision":{revision},"Traffic_Weight":{weight}}}"#
            ))
        };
        assert!(entry("5").is_in(&said("5", "7")));
        assert!(entry("5").is_in(&said("5.0", "7.0")));
        assert!(entry("12.34").is_in(&said("12.34", "7")));
        for (weight, revision) in [("5.01", "7"), ("\"5\"", "7"), ("null", "7"), ("5", "8")] {
            assert!(
                !entry("5").is_in(&said(weight, revision)),
                "{weight} {revision}"
            );
        }
        assert!(!entry("0").is_in(&row(r#"{"key":"Main_IVR"}"#)));
    }

    #[test]
    fn an_answer_about_something_else_is_no_row() {
        let key = entry("0").environment;
        for text in [
            "",
            "<html>",
            "[]",
            "{}",
            r#"{"key":"Other"}"#,
            r#"{"key":5}"#,
            r#"{"Key":"Main_IVR"}"#,
        ] {
            assert!(read_row(&key, text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn what_a_table_lacks_is_named() {
        let table = |text: &str| read_table(text.as_bytes()).map(|table| table.wrong);
        let right = r#"{"id":"t","schema":{"properties":{"key":{"type":"string"},"Active_Flow_ID":{"type":"string"},
            "Active_Slot":{"type":"string"},"Revision":{"type":"integer"},"Traffic_Weight":{"type":"number"}}}}"#;
        assert_eq!(table(right), Ok(vec![]));
        let told = |text: &str| {
            let wrong = table(text).unwrap();
            wrong.iter().map(WrongColumn::to_string).collect::<Vec<_>>()
        };
        assert_eq!(
            told(
                &right
                    .replace("Active_Slot", "Slot")
                    .replace("number", "integer")
            ),
            [
                "it has no column Active_Slot of the type string",
                "the column Traffic_Weight is not of the type number"
            ]
        );
        assert_eq!(table(r#"{"id":"t"}"#), Ok(vec![]), "the schema is not told");
        for text in ["<html>", "{}", r#"{"id":"t","schema":5}"#] {
            assert!(table(text).is_err(), "{text}");
        }
    }
}
