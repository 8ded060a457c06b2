//! What a replica knows, as the bytes of a file: its last-good file, and the snapshot that a deployment is shipped with.
//!
//! One JSON object on a line, and its SHA-256 on the next: a file is either what was written or is not read.

use std::io;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::follower::Follower;
use super::tracked::{Good, Tracked};
use crate::domain::Environment;
use crate::domain::access::Access;
use crate::domain::ids::{AggregateKey, Revision, Sequence};
use crate::domain::settings::Settings;
use crate::store::format::{Document, FormatError, Stored};
use crate::store::record::Position;
use crate::store::recover::{Found, Memory};

/// Format of the file itself.
const FORMAT: u32 = 1;

/// What a file holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Saved {
    format: u32,
    sequence: Sequence,
    hash: String,
    next: Sequence,
    /// Whether the last entry's hash proves nothing of what follows it.
    #[serde(default)]
    is_link_lost: bool,
    aggregates: Vec<SavedAggregate>,
}

/// One aggregate in a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct SavedAggregate {
    /// Its name in the journal.
    aggregate: String,
    /// Revision of its last record.
    revision: Revision,
    /// Sequence of its last record.
    sequence: Sequence,
    /// Why the state is not that record's, if it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fault: Option<String>,
    /// The last state that could be read, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    good: Option<SavedState>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct SavedState {
    revision: Revision,
    format: u32,
    state: Value,
}

/// A file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SavedError {
    /// It cannot be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is not what was written.
    #[error("the file is not what was written: its checksum does not match")]
    Checksum,
    /// It was written whole, in a form that this binary does not know.
    #[error("the file has another form: {0}")]
    Malformed(#[from] serde_json::Error),
    /// One of its states cannot be read.
    #[error(transparent)]
    State(#[from] FormatError),
}

impl Saved {
    /// The follower that was saved.
    ///
    /// # Errors
    /// The file or a state in it has a form that this binary does not know.
    pub fn restore(self) -> Result<Follower, SavedError> {
        if self.format != FORMAT {
            return Err(malformed("its format is not 1").into());
        }
        let hash = self
            .hash
            .parse()
            .map_err(|_| malformed("its hash is no hash"))?;
        let mut follower = Follower {
            position: Position {
                last: self.sequence,
                hash,
                next: self.next,
            },
            is_link_lost: self.is_link_lost,
            ..Follower::default()
        };
        for saved in self.aggregates {
            match saved.key()? {
                AggregateKey::Environment(name) => {
                    follower.touched.insert(name.clone());
                    follower.environments.insert(name, saved.restore()?);
                }
                AggregateKey::Access => follower.access = saved.restore()?,
                AggregateKey::Settings => follower.settings = saved.restore()?,
                AggregateKey::Other(_) => {}
            }
        }
        Ok(follower)
    }

    /// The last journal entry in it.
    #[must_use]
    pub fn sequence(&self) -> Sequence {
        self.sequence
    }

    /// The last state of an aggregate that could be read when it was saved, as it was stored.
    #[must_use]
    pub fn state_of(&self, aggregate: &AggregateKey) -> Option<&Value> {
        let name = aggregate.to_string();
        let mut aggregates = self.aggregates.iter();
        let saved = aggregates.find(|saved| saved.aggregate == name)?;
        Some(&saved.good.as_ref()?.state)
    }

    /// What a recovery of the journal can take from it.
    ///
    /// # Errors
    /// A state in it has a form that this binary does not know.
    pub fn remember(self) -> Result<Memory, SavedError> {
        let mut memory = Memory {
            last: self.sequence,
            states: Vec::new(),
        };
        for saved in self.aggregates {
            let key = saved.key()?;
            let found = match &key {
                AggregateKey::Environment(_) => saved.found::<Environment>()?,
                AggregateKey::Access => saved.found::<Access>()?,
                AggregateKey::Settings => saved.found::<Settings>()?,
                AggregateKey::Other(_) => None,
            };
            memory.states.extend(found.map(|found| (key, found)));
        }
        Ok(memory)
    }

    /// The file's bytes: the object on one line, its checksum on the next.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        // A struct of numbers, texts and JSON values: nothing that JSON cannot say.
        let mut bytes = serde_json::to_vec(self).expect("a saved state as JSON");
        let checksum = checksum(&bytes);
        bytes.push(b'\n');
        bytes.extend_from_slice(checksum.as_bytes());
        bytes.push(b'\n');
        bytes
    }

    /// Reads a file's bytes.
    ///
    /// # Errors
    /// They are not what [`Saved::to_bytes`] made.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SavedError> {
        let length = 2 * Sha256::output_size();
        let end = bytes
            .len()
            .checked_sub(length + 2)
            .ok_or(SavedError::Checksum)?;
        let (json, tail) = bytes.split_at(end);
        if tail != format!("\n{}\n", checksum(json)).as_bytes() {
            return Err(SavedError::Checksum);
        }
        Ok(serde_json::from_slice(json)?)
    }
}

fn checksum(bytes: &[u8]) -> String {
    HEXLOWER.encode(&Sha256::digest(bytes))
}

impl Follower {
    /// What a file keeps of this.
    #[must_use]
    pub fn save(&self) -> Saved {
        let environments = self.environments.iter().map(|(name, tracked)| {
            SavedAggregate::new(&AggregateKey::Environment(name.clone()), tracked)
        });
        let access = SavedAggregate::new(&AggregateKey::Access, &self.access);
        let settings = SavedAggregate::new(&AggregateKey::Settings, &self.settings);
        Saved {
            format: FORMAT,
            sequence: self.position.last,
            hash: self.position.hash.to_string(),
            next: self.position.next,
            is_link_lost: self.is_link_lost,
            aggregates: environments.chain([access, settings]).collect(),
        }
    }
}

fn malformed(what: &str) -> serde_json::Error {
    serde_json::Error::io(io::Error::other(what.to_owned()))
}

impl SavedAggregate {
    fn new<S: Stored>(key: &AggregateKey, tracked: &Tracked<S>) -> Self {
        Self {
            aggregate: key.to_string(),
            revision: tracked.revision,
            sequence: tracked.sequence,
            fault: tracked.fault.clone(),
            good: tracked.good.as_ref().map(|good| SavedState {
                revision: good.revision,
                format: good.document.format,
                state: good.document.raw().clone(),
            }),
        }
    }

    fn key(&self) -> Result<AggregateKey, SavedError> {
        let key = self.aggregate.parse();
        key.map_err(|_| malformed("it names an aggregate that cannot be").into())
    }

    fn found<S: Stored>(self) -> Result<Option<Found>, SavedError> {
        let (revision, sequence) = (self.revision, self.sequence);
        let known = self.restore::<S>()?;
        Ok(known.good.map(|good| Found {
            revision,
            good_revision: good.revision,
            sequence,
            format: good.document.format,
            row: S::row(good.document.state.as_ref()),
            state: good.document.raw().to_string().into_bytes(),
        }))
    }

    fn restore<S: Stored>(self) -> Result<Tracked<S>, SavedError> {
        let good = self.good.map(|good| {
            let document = Document::read(good.format, good.state.to_string().as_bytes())?;
            Ok::<_, FormatError>(Good {
                revision: good.revision,
                document,
            })
        });
        Ok(Tracked {
            revision: self.revision,
            sequence: self.sequence,
            good: good.transpose()?,
            fault: self.fault,
        })
    }
}

#[cfg(test)]
pub(super) mod tests;
