//! One record of the journal: the envelope, its hash, and the item they are stored as.
//!
//! The state inside is opaque here ([`super::format`] reads it), so the chain can be followed and rows finished by binaries
//! that do not know what a state means.

use std::fmt;

use aws_sdk_dynamodb::types::AttributeValue;
use data_encoding::HEXLOWER;
use jiff::Timestamp;

use super::item::{
    BadAttribute, Item, SORT_KEY, bytes, get_bytes, get_number, get_text, hash_except, key, number,
    parse, text,
};
use crate::domain::ids::{Actor, AggregateKey, Reason, Revision, Sequence};
use crate::domain::operation::Digest128;

/// Partition of the journal in the control table.
pub const JOURNAL: &str = "journal";

/// SHA-256 of a record: of every attribute but itself, the previous record's hash among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct RecordHash(pub [u8; 32]);

impl fmt::Display for RecordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl std::str::FromStr for RecordHash {
    type Err = BadAttribute;

    fn from_str(text: &str) -> Result<Self, BadAttribute> {
        let bytes = HEXLOWER
            .decode(text.as_bytes())
            .map_err(|_| BadAttribute("hash"))?;
        bytes.try_into().map(Self).map_err(|_| BadAttribute("hash"))
    }
}

/// The end of a journal as someone has read it: where the next record goes and what it links to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Sequence of the last entry; 0 before the first.
    pub last: Sequence,
    /// Hash of the last entry.
    pub hash: RecordHash,
    /// Sequence of the next entry: the one after `last`, or where a bridge leads.
    pub next: Sequence,
}

impl Default for Position {
    /// The start of an empty journal.
    fn default() -> Self {
        Self {
            last: Sequence(0),
            hash: RecordHash::default(),
            next: Sequence(1),
        }
    }
}

/// A change before it has its place in the journal.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// What was changed.
    pub aggregate: AggregateKey,
    /// The aggregate's revision after the change.
    pub revision: Revision,
    /// Where the aggregate's previous record is; 0 if this is its first.
    pub previous: Sequence,
    /// Identity of the write.
    pub operation: Digest128,
    /// Digest of what was asked for.
    pub request: Digest128,
    /// Who.
    pub actor: Actor,
    /// What, by the command's name.
    pub action: String,
    /// Why.
    pub reason: Reason,
    /// When, by the writer's clock.
    pub at: Timestamp,
    /// Format of `state`.
    pub format: u32,
    /// What the aggregate's row shows in plain attributes.
    pub row: Item,
    /// The full state after the change.
    pub state: Vec<u8>,
    /// Set on the records of a recovery.
    pub bridged_from: Option<Recovered>,
}

/// The place of a record in the recovery that wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recovered {
    /// The bridge that leads to the recovery's first record.
    pub bridge: Sequence,
    /// How many records of the recovery are still to come. Until the last is there, states from before the loss stand beside
    /// recovered ones and nobody else may write.
    pub left: u64,
}

/// A change at its place in the journal.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Its place.
    pub sequence: Sequence,
    /// The change.
    pub change: Draft,
    /// Hash of the entry before it.
    pub previous_hash: RecordHash,
    /// Its hash, as stored.
    pub hash: RecordHash,
    /// Whether the stored hash is that of the content.
    pub is_intact: bool,
}

/// An entry that leads over a gap, written by a recovery.
#[derive(Debug, Clone, PartialEq)]
pub struct Bridge {
    /// Its place.
    pub sequence: Sequence,
    /// Where the journal goes on.
    pub to: Sequence,
    /// Hash of the entry before it.
    pub previous_hash: RecordHash,
    /// Its hash, as stored.
    pub hash: RecordHash,
    /// Whether the stored hash is that of the content.
    pub is_intact: bool,
}

/// What stands at one place of the journal.
#[derive(Debug, Clone, PartialEq)]
pub enum Entry {
    /// A change.
    Record(Box<Record>),
    /// A way over a gap.
    Bridge(Bridge),
    /// An item whose envelope this binary cannot read. The chain goes on by its raw hash.
    Unreadable(Unreadable),
}

/// What can be told of an entry whose envelope cannot be read.
#[derive(Debug, Clone, PartialEq)]
pub struct Unreadable {
    /// Its place.
    pub sequence: Sequence,
    /// Its hash: as stored, or of its content if it stores none.
    pub hash: RecordHash,
    /// The first attribute that is missing or malformed.
    pub problem: BadAttribute,
}

impl Draft {
    /// The record of this change at `position`, with its hash.
    #[must_use]
    pub fn at(self, position: &Position) -> Record {
        let mut record = Record {
            sequence: position.next,
            change: self,
            previous_hash: position.hash,
            hash: RecordHash::default(),
            is_intact: true,
        };
        record.hash = RecordHash(hash_except(&record.to_item(), "hash"));
        record
    }
}

impl Record {
    /// The item this record is stored as.
    #[must_use]
    pub fn to_item(&self) -> Item {
        let change = &self.change;
        let mut item = entry_item(self.sequence, self.previous_hash, self.hash);
        item.extend(
            [
                ("aggregate", text(&change.aggregate)),
                ("revision", number(change.revision.0)),
                ("previous_sequence", number(change.previous.0)),
                ("operation", text(change.operation)),
                ("request", text(change.request)),
                ("actor", text(&change.actor)),
                ("action", text(&change.action)),
                ("reason", text(&change.reason)),
                ("at", text(change.at)),
                ("format", number(change.format.into())),
                ("row", AttributeValue::M(change.row.clone())),
                ("state", bytes(&change.state)),
            ]
            .map(|(name, value)| (name.to_owned(), value)),
        );
        if let Some(recovered) = change.bridged_from {
            item.insert("bridged_from".to_owned(), number(recovered.bridge.0));
            item.insert("recovery_left".to_owned(), number(recovered.left));
        }
        item
    }
}

impl Bridge {
    /// The bridge from `position` to `to`, with its hash.
    #[must_use]
    pub fn at(position: &Position, to: Sequence) -> Self {
        let mut bridge = Self {
            sequence: position.next,
            to,
            previous_hash: position.hash,
            hash: RecordHash::default(),
            is_intact: true,
        };
        bridge.hash = RecordHash(hash_except(&bridge.to_item(), "hash"));
        bridge
    }

    /// The item this bridge is stored as.
    #[must_use]
    pub fn to_item(&self) -> Item {
        let mut item = entry_item(self.sequence, self.previous_hash, self.hash);
        item.insert("bridge_to".to_owned(), number(self.to.0));
        item
    }
}

impl Entry {
    /// Reads an item of the journal's partition; `None` if its sort key is no sequence.
    #[must_use]
    pub fn from_item(item: &Item) -> Option<Self> {
        let sort_key = get_text(item, SORT_KEY)
            .ok()
            .filter(|text| text.len() == 20)?;
        let sequence = Sequence(sort_key.parse().ok()?);
        let computed = RecordHash(hash_except(item, "hash"));
        let stored = parse::<RecordHash>(item, "hash");
        let read = || {
            let (hash, previous_hash) = (stored.clone()?, parse(item, "previous_hash")?);
            let is_intact = hash == computed;
            if item.contains_key("bridge_to") {
                let to = Sequence(get_number(item, "bridge_to")?);
                return Ok(Self::Bridge(Bridge {
                    sequence,
                    to,
                    previous_hash,
                    hash,
                    is_intact,
                }));
            }
            let change = read_change(item)?;
            Ok(Self::Record(Box::new(Record {
                sequence,
                change,
                previous_hash,
                hash,
                is_intact,
            })))
        };
        Some(read().unwrap_or_else(|problem| {
            Self::Unreadable(Unreadable {
                sequence,
                hash: stored.unwrap_or(computed),
                problem,
            })
        }))
    }

    /// Its place.
    #[must_use]
    pub fn sequence(&self) -> Sequence {
        match self {
            Self::Record(record) => record.sequence,
            Self::Bridge(bridge) => bridge.sequence,
            Self::Unreadable(unreadable) => unreadable.sequence,
        }
    }

    /// Its hash, by which the next entry links to it.
    #[must_use]
    pub fn hash(&self) -> RecordHash {
        match self {
            Self::Record(record) => record.hash,
            Self::Bridge(bridge) => bridge.hash,
            Self::Unreadable(unreadable) => unreadable.hash,
        }
    }

    /// Whether it is what its writer wrote.
    #[must_use]
    pub fn is_intact(&self) -> bool {
        match self {
            Self::Record(record) => record.is_intact,
            Self::Bridge(bridge) => bridge.is_intact,
            Self::Unreadable(_) => false,
        }
    }

    /// Whether a recovery has begun here or before and its last record is still to come.
    #[must_use]
    pub fn is_recovering(&self) -> bool {
        match self {
            Self::Record(record) => {
                let recovered = record.change.bridged_from;
                record.is_intact && recovered.is_some_and(|recovered| recovered.left > 0)
            }
            Self::Bridge(bridge) => bridge.is_intact,
            Self::Unreadable(_) => false,
        }
    }

    /// The journal's end, if this entry is the last.
    #[must_use]
    pub fn position(&self) -> Position {
        let next = match self {
            Self::Bridge(bridge) if bridge.is_intact => bridge.to,
            _ => self.sequence().next(),
        };
        Position {
            last: self.sequence(),
            hash: self.hash(),
            next,
        }
    }
}

/// The sort key of `sequence`: twenty digits, so that text order is number order.
#[must_use]
pub fn sort_key(sequence: Sequence) -> String {
    format!("{:020}", sequence.0)
}

fn entry_item(sequence: Sequence, previous_hash: RecordHash, hash: RecordHash) -> Item {
    let mut item = key(JOURNAL, &sort_key(sequence));
    item.insert("previous_hash".to_owned(), text(previous_hash));
    item.insert("hash".to_owned(), text(hash));
    item
}

fn read_change(item: &Item) -> Result<Draft, BadAttribute> {
    let digest = |name| {
        let bytes = HEXLOWER
            .decode(get_text(item, name)?.as_bytes())
            .map_err(|_| BadAttribute(name))?;
        bytes
            .try_into()
            .map(Digest128)
            .map_err(|_| BadAttribute(name))
    };
    let bridged_from = match item.contains_key("bridged_from") {
        true => Some(Recovered {
            bridge: Sequence(get_number(item, "bridged_from")?),
            left: get_number(item, "recovery_left")?,
        }),
        false => None,
    };
    Ok(Draft {
        aggregate: parse(item, "aggregate")?,
        revision: Revision(get_number(item, "revision")?),
        previous: Sequence(get_number(item, "previous_sequence")?),
        operation: digest("operation")?,
        request: digest("request")?,
        actor: parse(item, "actor")?,
        action: get_text(item, "action")?.to_owned(),
        reason: parse(item, "reason")?,
        at: parse(item, "at")?,
        format: u32::try_from(get_number(item, "format")?).map_err(|_| BadAttribute("format"))?,
        row: item
            .get("row")
            .and_then(|row| row.as_m().ok())
            .cloned()
            .ok_or(BadAttribute("row"))?,
        state: get_bytes(item, "state")?.to_vec(),
        bridged_from,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft() -> Draft {
        Draft {
            aggregate: "environment/Main_IVR".parse().unwrap(),
            revision: Revision(7),
            previous: Sequence(3),
            operation: Digest128([1; 16]),
            request: Digest128([2; 16]),
            actor: "release-pipeline".parse().unwrap(),
            action: "cutover".to_owned(),
            reason: "release 45".parse().unwrap(),
            at: "2026-01-02T03:04:05.678Z".parse().unwrap(),
            format: 1,
            row: Item::from([("Traffic_Weight".to_owned(), number(5))]),
            state: b"{}".to_vec(),
            bridged_from: None,
        }
    }

    #[test]
    fn records_and_bridges_read_back_as_they_were_written() {
        let record = draft().at(&Position::default());
        assert_eq!(
            Entry::from_item(&record.to_item()),
            Some(Entry::Record(Box::new(record.clone())))
        );
        let bridge = Bridge::at(&Entry::Record(Box::new(record)).position(), Sequence(1_000));
        let entry = Entry::from_item(&bridge.to_item()).unwrap();
        assert_eq!(entry, Entry::Bridge(bridge));
        assert_eq!(entry.position().next, Sequence(1_000));
    }

    #[test]
    fn a_changed_attribute_is_noticed_and_a_missing_one_keeps_the_raw_hash() {
        let record = draft().at(&Position::default());
        let mut item = record.to_item();
        item.insert("reason".to_owned(), text("another"));
        assert!(matches!(Entry::from_item(&item), Some(Entry::Record(read)) if !read.is_intact));
        item.remove("actor");
        let Some(Entry::Unreadable(unreadable)) = Entry::from_item(&item) else {
            panic!("read without an actor")
        };
        assert_eq!(unreadable.hash, record.hash);
        assert_eq!(unreadable.problem, BadAttribute("actor"));
    }

    #[test]
    fn attributes_of_a_newer_writer_are_under_the_hash() {
        let mut item = draft().at(&Position::default()).to_item();
        item.insert("signature".to_owned(), text("new"));
        let hash = RecordHash(hash_except(&item, "hash"));
        item.insert("hash".to_owned(), text(hash));
        assert!(
            matches!(Entry::from_item(&item), Some(Entry::Record(read)) if read.is_intact && read.hash == hash)
        );
    }
}
