//! The journal as a file: one line per entry, each the item as DynamoDB writes it in JSON, so that whoever has the file can
//! prove the chain without the store.
//!
//! An item has exactly one line: members in the order of their names, no blanks, canonical base 64. A line that reads as an
//! item and is spelled in another way was touched, so it counts as changed.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io::{self, BufRead};

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use data_encoding::BASE64;
use serde::{Deserialize, Serialize};

use super::Store;
use super::error::StoreError;
use super::item::Item;
use super::record::{Entry, RecordHash};
use super::verify::{Verification, Verifier};
use crate::domain::ids::Sequence;

/// Entries read at a time: at 32 KiB each, two megabytes.
const PAGE: usize = 64;

/// Lines of consecutive entries.
#[derive(Debug)]
pub struct Page {
    /// The lines, each with its end.
    pub lines: String,
    /// Where the next page begins.
    pub next: Sequence,
}

/// An attribute, by the name that DynamoDB gives its type.
#[derive(Serialize, Deserialize)]
enum Attribute {
    S(String),
    N(String),
    B(String),
    #[serde(rename = "BOOL")]
    Bool(bool),
    #[serde(rename = "NULL")]
    Null(bool),
    L(Vec<Attribute>),
    M(BTreeMap<String, Attribute>),
    #[serde(rename = "SS")]
    Texts(Vec<String>),
    #[serde(rename = "NS")]
    Numbers(Vec<String>),
    #[serde(rename = "BS")]
    Blobs(Vec<String>),
}

impl Store {
    /// The lines of the entries from `first` on: some of them, or `None` if there are none.
    ///
    /// # Errors
    /// The store does not answer or refuses.
    pub async fn export_from(&self, first: Sequence) -> Result<Option<Page>, StoreError> {
        let items = self.items_from(first, PAGE).await?;
        let entries = items
            .iter()
            .filter_map(|item| Some((item, Entry::from_item(item)?.sequence())));
        let mut page = None;
        for (item, sequence) in entries {
            let Page { lines, next } = page.get_or_insert_with(|| Page {
                lines: String::new(),
                next: first,
            });
            lines.push_str(&write(item));
            lines.push('\n');
            *next = sequence.next();
        }
        Ok(page)
    }
}

/// Verifies an exported journal: every line, the chain, the links of each aggregate. With `head`, the hash of an entry that
/// was told earlier, also that nothing up to that entry is missing.
///
/// # Errors
/// The file cannot be read. Whatever is wrong with what it says is a finding.
pub fn verify(
    mut journal: impl BufRead,
    head: Option<RecordHash>,
) -> Result<Verification, io::Error> {
    let mut verifier = Verifier::default();
    verifier.expect(head);
    let mut line = Vec::new();
    for number in 1_u64.. {
        line.clear();
        if journal.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        match read(&line) {
            Some(entry) => verifier.read(&entry),
            None => verifier.pass_over(format!("line {number} is not as an export writes it")),
        }
    }
    Ok(verifier.finish())
}

/// The line of `item`, without its end.
fn write(item: &Item) -> String {
    let members: BTreeMap<_, _> = item
        .iter()
        .map(|(name, value)| (name, Attribute::of(value)))
        .collect();
    // Texts under texts: nothing here can fail to be JSON.
    serde_json::to_string(&members).expect("JSON in memory")
}

/// The entry that `line` is of, its end included; `None` if it is not a line as [`write()`] makes them.
fn read(line: &[u8]) -> Option<Entry> {
    let text = std::str::from_utf8(line).ok()?.strip_suffix('\n')?;
    let members: BTreeMap<String, Attribute> = serde_json::from_str(text).ok()?;
    let members = members
        .into_iter()
        .map(|(name, value)| Some((name, value.into_value()?)));
    let item: Item = members.collect::<Option<_>>()?;
    (write(&item) == text).then(|| Entry::from_item(&item))?
}

impl Attribute {
    fn of(value: &AttributeValue) -> Self {
        let sorted = |mut texts: Vec<String>| {
            texts.sort_unstable();
            texts
        };
        match value {
            AttributeValue::S(text) => Self::S(text.clone()),
            AttributeValue::N(number) => Self::N(number.clone()),
            AttributeValue::B(blob) => Self::B(BASE64.encode(blob.as_ref())),
            AttributeValue::Bool(value) => Self::Bool(*value),
            AttributeValue::L(values) => Self::L(values.iter().map(Self::of).collect()),
            AttributeValue::M(members) => Self::M(
                members
                    .iter()
                    .map(|(name, value)| (name.clone(), Self::of(value)))
                    .collect(),
            ),
            AttributeValue::Ss(texts) => Self::Texts(sorted(texts.clone())),
            AttributeValue::Ns(numbers) => Self::Numbers(sorted(numbers.clone())),
            AttributeValue::Bs(blobs) => {
                let blobs = blobs.iter().map(|blob| BASE64.encode(blob.as_ref()));
                Self::Blobs(sorted(blobs.collect()))
            }
            // Of a type that is newer than this SDK nothing is known; the hash will say that it is not this.
            _ => Self::Null(true),
        }
    }

    /// `None` if it is no base 64.
    fn into_value(self) -> Option<AttributeValue> {
        let blob = |text: String| BASE64.decode(text.as_bytes()).ok().map(Blob::new);
        Some(match self {
            Self::S(text) => AttributeValue::S(text),
            Self::N(number) => AttributeValue::N(number),
            Self::B(text) => AttributeValue::B(blob(text)?),
            Self::Bool(value) => AttributeValue::Bool(value),
            Self::Null(value) => AttributeValue::Null(value),
            Self::L(values) => {
                let values = values.into_iter().map(Self::into_value);
                AttributeValue::L(values.collect::<Option<_>>()?)
            }
            Self::M(members) => {
                let members = members
                    .into_iter()
                    .map(|(name, value)| Some((name, value.into_value()?)));
                AttributeValue::M(members.collect::<Option<_>>()?)
            }
            Self::Texts(texts) => AttributeValue::Ss(texts),
            Self::Numbers(numbers) => AttributeValue::Ns(numbers),
            Self::Blobs(texts) => {
                AttributeValue::Bs(texts.into_iter().map(blob).collect::<Option<_>>()?)
            }
        })
    }
}
