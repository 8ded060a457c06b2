//! Formats of the state inside a record, apart from the domain's types so that either can change without the other.
//!
//! A state is a JSON object. Members that a binary does not know are kept and written back unchanged, so a mixed fleet
//! loses nothing while it is upgraded: see [`Document::next`]. A state of a format newer than [`NEWEST`] is still read for the
//! members it shares, served by, and refused for every change but a rescue.

mod access;
mod carry;
mod environment;
mod exposures;
mod freezes;
mod intervals;
mod outcomes;
pub mod packed;
mod settings;
mod test_calls;
#[cfg(test)]
mod tests;
mod webhooks;

use data_encoding::HEXLOWER;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::domain::access::Access;
use crate::domain::ids::{AggregateKey, Revision, Sequence};
use crate::domain::operation::{Digest128, Operation, Operations};
use crate::domain::settings::Settings;
use crate::domain::{Aggregate, Environment};
use crate::store::item::Item;

/// The newest format this binary writes and understands whole.
pub const NEWEST: u32 = 1;

/// The formats that a binary can write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Formats {
    /// The one before the newest, unless that is the first: what whoever runs beside this binary can read.
    pub oldest: u32,
    /// The newest.
    pub newest: u32,
}

/// Those that this binary can write.
pub const WRITTEN: Formats = Formats {
    oldest: NEWEST,
    newest: NEWEST,
};

impl Formats {
    /// The format to write while every live replica can read up to `readable`; the oldest where nobody can say, so that a fleet
    /// changes over once the last of it can, and by itself.
    #[must_use]
    pub fn agreed(self, readable: Option<u32>) -> u32 {
        readable.map_or(self.oldest, |readable| {
            readable.clamp(self.oldest, self.newest)
        })
    }
}

/// A state that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// Not the JSON this format asks for.
    #[error("the state does not read as format {format}: {source}")]
    Malformed {
        /// The format it claims to have.
        format: u32,
        /// What the parser says.
        #[source]
        source: serde_json::Error,
    },
    /// Readable, but its members contradict each other.
    #[error("the state contradicts itself: {0}")]
    Inconsistent(&'static str),
    /// A state given by hand says something that this binary does not know, or that has no meaning beside the rest.
    #[error("the state has members that mean nothing here")]
    Meaningless,
}

/// An aggregate that the store can hold.
pub trait Stored: Aggregate + Clone + PartialEq + Send + Sync + 'static {
    /// Name of the member that holds it, beside `operations`.
    const MEMBER: &'static str;
    /// Largest state in bytes that a command may leave behind.
    const MAX_STATE_BYTES: usize;
    /// Its form in the newest format.
    type Wire: Serialize + DeserializeOwned;

    /// This state in the newest format.
    fn to_wire(&self) -> Self::Wire;

    /// The state that `wire`, written in `format`, describes.
    ///
    /// # Errors
    /// Its members contradict each other, or one that this binary has to understand whole does not read.
    fn from_wire(wire: Self::Wire, format: u32) -> Result<Self, FormatError>;

    /// What the aggregate's row shows in plain attributes.
    fn row(state: Option<&Self>) -> Item;

    /// Whether `key` names an aggregate of this kind.
    fn is_kind(key: &AggregateKey) -> bool;
}

/// A state as it was read: what it means here, and its bytes' meaning to others.
#[derive(Debug, Clone, PartialEq)]
pub struct Document<S> {
    /// Format it was written in.
    pub format: u32,
    /// The last operations.
    pub operations: Operations,
    /// The aggregate; `None` if it was deleted.
    pub state: Option<S>,
    /// Everything that was read, members unknown here included.
    raw: Value,
}

#[derive(Serialize, Deserialize)]
struct WireOperation {
    id: String,
    request: String,
    revision: u64,
    sequence: u64,
}

impl<S: Stored> Document<S> {
    /// Reads a state of any format from 1 on.
    ///
    /// # Errors
    /// The members this binary needs are missing, malformed or contradictory.
    pub fn read(format: u32, bytes: &[u8]) -> Result<Self, FormatError> {
        let malformed = |source| FormatError::Malformed { format, source };
        let raw: Map<String, Value> = serde_json::from_slice(bytes).map_err(malformed)?;
        // An absent member is not a `null` one: a state of something else must not read as one that was deleted.
        let member = |name: &'static str| {
            let missing = || malformed(serde::de::Error::missing_field(name));
            raw.get(name).cloned().ok_or_else(missing)
        };
        let operations: Vec<WireOperation> =
            serde_json::from_value(member("operations")?).map_err(malformed)?;
        let operations = operations
            .into_iter()
            .map(Operation::try_from)
            .collect::<Result<_, _>>()
            .map_err(malformed)?;
        let wire: Option<S::Wire> =
            serde_json::from_value(member(S::MEMBER)?).map_err(malformed)?;
        let state = wire.map(|wire| S::from_wire(wire, format)).transpose()?;
        Ok(Self {
            format,
            operations,
            state,
            raw: Value::Object(raw),
        })
    }

    /// The bytes of the state after this one, and the format to label them with, which is `agreed` among the live replicas or that
    /// of the state before, whichever is newer: members unknown here go along with the things they belong to.
    #[must_use]
    pub fn next(
        previous: Option<&Self>,
        operations: &Operations,
        state: Option<&S>,
        agreed: u32,
    ) -> (u32, Vec<u8>) {
        let mut next = known_members(operations, state);
        let format = previous.map_or(agreed, |previous| {
            let known = known_members(&previous.operations, previous.state.as_ref());
            carry::unknown_members(&previous.raw, &known, &mut next);
            previous.format.max(agreed)
        });
        (format, next.to_string().into_bytes())
    }

    /// Everything that was read, members unknown here included.
    #[must_use]
    pub fn raw(&self) -> &Value {
        &self.raw
    }

    /// Whether this binary understands all that the state's format can say.
    #[must_use]
    pub fn is_understood(&self) -> bool {
        self.format <= NEWEST
    }
}

/// The state that somebody gives in the newest format, `given` as text and `wire` as it was read. Nothing of it may be lost on
/// the way: a typing error in the name of a member would leave that out.
///
/// # Errors
/// Its members contradict each other, or one of them means nothing.
pub fn given<S: Stored>(wire: S::Wire, given: &Value) -> Result<S, FormatError> {
    let state = S::from_wire(wire, NEWEST)?;
    let known = serde_json::to_value(state.to_wire()).unwrap_or_default();
    if carry::says_more(given, &known) {
        return Err(FormatError::Meaningless);
    }
    Ok(state)
}

/// Where the record of the last operation is that a state remembers, of whatever aggregate: that of the state itself, unless a
/// recovery has brought it back.
#[must_use]
pub fn last_operation(state: &[u8]) -> Option<Sequence> {
    #[derive(Deserialize)]
    struct Remembering {
        operations: Vec<WireOperation>,
    }
    let state: Remembering = serde_json::from_slice(state).ok()?;
    state
        .operations
        .last()
        .map(|operation| Sequence(operation.sequence))
}

/// Whether a state of `aggregate` can be read; of one that only newer binaries know, nobody here can tell that it cannot.
#[must_use]
pub fn is_readable(aggregate: &AggregateKey, format: u32, state: &[u8]) -> bool {
    match aggregate {
        AggregateKey::Environment(_) => Document::<Environment>::read(format, state).is_ok(),
        AggregateKey::Access => Document::<Access>::read(format, state).is_ok(),
        AggregateKey::Settings => Document::<Settings>::read(format, state).is_ok(),
        AggregateKey::Other(_) => true,
    }
}

fn known_members<S: Stored>(operations: &Operations, state: Option<&S>) -> Value {
    let operations: Vec<_> = operations.iter().map(WireOperation::from).collect();
    // The wire forms are structs of texts, numbers, lists and maps with text keys: nothing that JSON cannot say.
    let json = |value: Result<Value, serde_json::Error>| value.unwrap_or_default();
    let state = json(serde_json::to_value(state.map(S::to_wire)));
    Value::Object(Map::from_iter([
        (
            "operations".to_owned(),
            json(serde_json::to_value(operations)),
        ),
        (S::MEMBER.to_owned(), state),
    ]))
}

impl From<&Operation> for WireOperation {
    fn from(operation: &Operation) -> Self {
        Self {
            id: operation.id.to_string(),
            request: operation.request.to_string(),
            revision: operation.revision.0,
            sequence: operation.sequence.0,
        }
    }
}

impl TryFrom<WireOperation> for Operation {
    type Error = serde_json::Error;

    fn try_from(wire: WireOperation) -> Result<Self, serde_json::Error> {
        Ok(Self {
            id: Digest128(hex(&wire.id)?),
            request: Digest128(hex(&wire.request)?),
            revision: Revision(wire.revision),
            sequence: Sequence(wire.sequence),
        })
    }
}

/// `N` bytes from their hexadecimal text.
fn hex<const N: usize>(text: &str) -> Result<[u8; N], serde_json::Error> {
    let bytes = HEXLOWER
        .decode(text.as_bytes())
        .ok()
        .and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or_else(|| {
        serde::de::Error::custom(format_args!("expected {} hexadecimal digits", 2 * N))
    })
}
