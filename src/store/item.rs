//! DynamoDB items: keys, typed access to attributes, and the hash of an item.

use std::collections::HashMap;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use sha2::{Digest, Sha256};

/// Attributes by name.
pub type Item = HashMap<String, AttributeValue>;

/// Name of the partition key, in both tables.
pub const PARTITION_KEY: &str = "pk";
/// Name of the sort key, in both tables.
pub const SORT_KEY: &str = "sk";

/// An attribute is missing or has another type or form than its reader knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("attribute {0} is missing or unreadable")]
pub struct BadAttribute(pub &'static str);

/// A string attribute.
pub fn text(value: impl ToString) -> AttributeValue {
    AttributeValue::S(value.to_string())
}

/// A number attribute.
pub fn number(value: u64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// A binary attribute.
pub fn bytes(value: &[u8]) -> AttributeValue {
    AttributeValue::B(Blob::new(value))
}

/// The item's key attributes.
pub fn key(partition: &str, sort: &str) -> Item {
    HashMap::from([
        (PARTITION_KEY.to_owned(), text(partition)),
        (SORT_KEY.to_owned(), text(sort)),
    ])
}

/// The string attribute `name`.
pub fn get_text<'a>(item: &'a Item, name: &'static str) -> Result<&'a str, BadAttribute> {
    item.get(name)
        .and_then(|value| value.as_s().ok())
        .map(String::as_str)
        .ok_or(BadAttribute(name))
}

/// The string attribute `name`, parsed.
pub fn parse<T: std::str::FromStr>(item: &Item, name: &'static str) -> Result<T, BadAttribute> {
    get_text(item, name)?
        .parse()
        .map_err(|_| BadAttribute(name))
}

/// The whole number `name`.
pub fn get_number(item: &Item, name: &'static str) -> Result<u64, BadAttribute> {
    item.get(name)
        .and_then(|value| value.as_n().ok()?.parse().ok())
        .ok_or(BadAttribute(name))
}

/// The binary attribute `name`.
pub fn get_bytes<'a>(item: &'a Item, name: &'static str) -> Result<&'a [u8], BadAttribute> {
    item.get(name)
        .and_then(|value| value.as_b().ok())
        .map(Blob::as_ref)
        .ok_or(BadAttribute(name))
}

/// SHA-256 over every attribute of `item` but `except`, sorted by name, each with its type and length.
///
/// It covers attributes that this binary does not know, so an old reader can check a newer writer's records.
pub fn hash_except(item: &Item, except: &str) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash_members(&mut hash, item, except);
    hash.finalize().into()
}

fn hash_members(hash: &mut Sha256, members: &Item, except: &str) {
    let mut names: Vec<_> = members.keys().filter(|name| *name != except).collect();
    names.sort_unstable();
    hash.update((names.len() as u64).to_be_bytes());
    for name in names {
        hash_part(hash, b'K', name.as_bytes());
        hash_value(hash, &members[name]);
    }
}

fn hash_value(hash: &mut Sha256, value: &AttributeValue) {
    match value {
        AttributeValue::S(text) => hash_part(hash, b'S', text.as_bytes()),
        AttributeValue::N(number) => hash_part(hash, b'N', number.as_bytes()),
        AttributeValue::B(blob) => hash_part(hash, b'B', blob.as_ref()),
        AttributeValue::Bool(value) => hash_part(hash, b'T', &[u8::from(*value)]),
        AttributeValue::Null(_) => hash_part(hash, b'0', &[]),
        AttributeValue::L(values) => {
            hash_part(hash, b'L', &(values.len() as u64).to_be_bytes());
            values.iter().for_each(|value| hash_value(hash, value));
        }
        AttributeValue::M(members) => {
            hash_part(hash, b'M', &[]);
            hash_members(hash, members, "");
        }
        // Sets have no order on the wire; no record holds one.
        AttributeValue::Ss(texts) => hash_set(hash, b'S', texts),
        AttributeValue::Ns(numbers) => hash_set(hash, b'N', numbers),
        other => hash_part(hash, b'?', format!("{other:?}").as_bytes()),
    }
}

fn hash_set(hash: &mut Sha256, kind: u8, values: &[String]) {
    let mut sorted: Vec<_> = values.iter().collect();
    sorted.sort_unstable();
    hash_part(hash, b'U', &(sorted.len() as u64).to_be_bytes());
    sorted
        .iter()
        .for_each(|value| hash_part(hash, kind, value.as_bytes()));
}

fn hash_part(hash: &mut Sha256, kind: u8, bytes: &[u8]) {
    hash.update([kind]);
    hash.update((bytes.len() as u64).to_be_bytes());
    hash.update(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_attribute_and_its_type_counts_towards_the_hash() {
        let item = HashMap::from([
            ("a".to_owned(), text("1")),
            ("b".to_owned(), bytes(b"x")),
            ("hash".to_owned(), text("?")),
        ]);
        let hash = hash_except(&item, "hash");
        let with = |name: &str, value| {
            let mut changed = item.clone();
            changed.insert(name.to_owned(), value);
            hash_except(&changed, "hash")
        };
        assert_eq!(with("hash", text("other")), hash);
        assert_ne!(with("a", number(1)), hash);
        assert_ne!(with("a", text("2")), hash);
        assert_ne!(with("b", bytes(b"y")), hash);
        assert_ne!(with("c", text("")), hash);
        assert_ne!(with("c", AttributeValue::M(HashMap::new())), hash);
    }
}
