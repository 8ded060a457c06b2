//! The last good state as a file, so that a replica which restarts while the store is away serves what it acknowledged.
//!
//! One JSON object per file, and a line with its SHA-256. A new file is written beside, synced, and moved into place; the
//! one before is kept as the older generation. Whatever a crash, a full disk or a flipped bit leaves behind, a file is either
//! what was written or is not read.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use super::follower::Follower;
use super::tracked::{Good, Tracked};
use super::{Replica, locked};
use crate::domain::ids::{AggregateKey, Revision, Sequence};
use crate::store::format::{Document, FormatError, Stored};
use crate::store::record::Position;
use crate::telemetry::Alarm;

/// The newest generation.
const CURRENT: &str = "last-good.json";
/// The one before.
const PREVIOUS: &str = "last-good.previous.json";
/// A generation that is being written.
const UNFINISHED: &str = "last-good.unfinished.json";
/// Format of the file itself.
const FORMAT: u32 = 1;
/// How long an answer waits for the file. A disk that takes longer is in trouble, and the change is committed anyway.
const SAVE_TIME: Duration = Duration::from_secs(1);
/// Pause before a file that could not be written is tried again.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

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
pub enum LastGoodError {
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
    pub fn restore(self) -> Result<Follower, LastGoodError> {
        let malformed = |what: &str| serde_json::Error::io(io::Error::other(what.to_owned()));
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
            match saved
                .aggregate
                .parse()
                .map_err(|_| malformed("it names an aggregate that cannot be"))?
            {
                AggregateKey::Environment(name) => {
                    follower.touched.insert(name.clone());
                    follower.environments.insert(name, saved.restore()?);
                }
                AggregateKey::Access => follower.access = saved.restore()?,
                AggregateKey::Other(_) => {}
            }
        }
        Ok(follower)
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
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, LastGoodError> {
        let length = 2 * Sha256::output_size();
        let end = bytes
            .len()
            .checked_sub(length + 2)
            .ok_or(LastGoodError::Checksum)?;
        let (json, tail) = bytes.split_at(end);
        if tail != format!("\n{}\n", checksum(json)).as_bytes() {
            return Err(LastGoodError::Checksum);
        }
        Ok(serde_json::from_slice(json)?)
    }
}

fn checksum(bytes: &[u8]) -> String {
    HEXLOWER.encode(&Sha256::digest(bytes))
}

/// The files of one replica.
#[derive(Debug, Clone)]
pub struct Files(PathBuf);

impl Files {
    /// The files in `directory`.
    #[must_use]
    pub fn within(directory: &Path) -> Self {
        Self(directory.to_owned())
    }

    /// Makes `saved` the newest generation. On return it survives a loss of power.
    ///
    /// # Errors
    /// The disk is full, read-only or broken; the generations before are untouched.
    pub fn write(&self, saved: &Saved) -> io::Result<()> {
        let (current, unfinished) = (self.0.join(CURRENT), self.0.join(UNFINISHED));
        let mut file = File::create(&unfinished)?;
        file.write_all(&saved.to_bytes())?;
        file.sync_all()?;
        match fs::rename(&current, self.0.join(PREVIOUS)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        fs::rename(&unfinished, &current)?;
        File::open(&self.0)?.sync_all()
    }

    /// The newest generation that can be read; `None` if there is none.
    #[must_use]
    pub fn read(&self) -> Option<Follower> {
        [CURRENT, PREVIOUS].into_iter().find_map(|name| {
            let path = self.0.join(name);
            let read = fs::read(&path).map_err(LastGoodError::from);
            match read
                .and_then(|bytes| Saved::from_bytes(&bytes))
                .and_then(Saved::restore)
            {
                Ok(follower) => Some(follower),
                Err(LastGoodError::Io(error)) if error.kind() == io::ErrorKind::NotFound => None,
                Err(error) => {
                    tracing::error!(file = %path.display(), %error, "cannot use a last-good file");
                    None
                }
            }
        })
    }
}

/// Writes a file after every change until `stop`. Changes that come while one is written share the next.
pub async fn keep(replica: Arc<Replica>, files: Files, stop: CancellationToken) {
    let mut served = replica.served.subscribe();
    loop {
        let saved = replica.look(|follower| (follower.position.last, follower.save()));
        if let Some((sequence, saved)) = saved {
            let files = files.clone();
            let written = tokio::task::spawn_blocking(move || files.write(&saved)).await;
            let written = written.unwrap_or_else(|panic| Err(io::Error::other(panic)));
            let why = written.as_ref().err().map(|error| {
                format!("cannot be written, so a restart without the store would lack it: {error}")
            });
            replica.metrics.alarms.set(Alarm::LastGoodFile, why);
            if written.is_err() {
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(RETRY_PAUSE) => continue,
                }
            }
            replica.saved.send_replace(Some(sequence));
        }
        tokio::select! {
            () = stop.cancelled() => return,
            changed = served.changed() => if changed.is_err() { return },
        }
    }
}

impl Replica {
    /// Serves the newest last-good file until the store has been read. Returns whether there was one. From here on nothing is
    /// acknowledged before it is in a file: [`keep`] has to run.
    pub fn start_from(&self, files: &Files) -> bool {
        let Some(mut follower) = files.read() else {
            self.saved.send_replace(Some(Sequence(0)));
            return false;
        };
        self.saved.send_replace(Some(follower.position.last));
        tracing::info!(sequence = %follower.position.last, "starting from the last-good file");
        self.membership.restore();
        self.publish(&mut follower, super::Source::LastGood);
        *locked(&self.follower) = Some(follower);
        true
    }

    /// Waits until a restart in an outage would serve `sequence`. Returns whether it would; always at once if no files are
    /// kept.
    pub async fn until_saved(&self, sequence: Sequence) -> bool {
        let mut saved = self.saved.subscribe();
        let is_saved = |saved: &Option<Sequence>| saved.is_none_or(|saved| saved >= sequence);
        tokio::time::timeout(SAVE_TIME, saved.wait_for(is_saved))
            .await
            .is_ok()
    }

    /// The last entry that a heartbeat may acknowledge: what a restart in an outage would serve.
    pub(super) fn acknowledged(&self) -> Sequence {
        let position = self
            .look(|follower| follower.position.last)
            .unwrap_or_default();
        (*self.saved.borrow()).map_or(position, |saved| saved.min(position))
    }
}

impl Follower {
    /// What a file keeps of this.
    fn save(&self) -> Saved {
        let environments = self.environments.iter().map(|(name, tracked)| {
            SavedAggregate::new(&AggregateKey::Environment(name.clone()), tracked)
        });
        let access = SavedAggregate::new(&AggregateKey::Access, &self.access);
        Saved {
            format: FORMAT,
            sequence: self.position.last,
            hash: self.position.hash.to_string(),
            next: self.position.next,
            is_link_lost: self.is_link_lost,
            aggregates: environments.chain([access]).collect(),
        }
    }
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

    fn restore<S: Stored>(self) -> Result<Tracked<S>, LastGoodError> {
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
mod tests;
