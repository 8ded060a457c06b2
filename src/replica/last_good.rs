//! The last good state as a file, so that a replica which restarts while the store is away serves what it acknowledged.
//!
//! A new file is written beside, synced, and moved into place; the one before is kept as the older generation. Whatever a
//! crash, a full disk or a flipped bit leaves behind, there is a file that is what was written, or none that is read.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::follower::Follower;
use super::saved::{Saved, SavedError};
use super::{Replica, Source, locked};
use crate::domain::ids::Sequence;
use crate::telemetry::Alarm;

/// The newest generation.
const CURRENT: &str = "last-good.json";
/// The one before.
const PREVIOUS: &str = "last-good.previous.json";
/// A generation that is being written.
const UNFINISHED: &str = "last-good.unfinished.json";
/// How long an answer waits for the file. A disk that takes longer is in trouble, and the change is committed anyway.
const SAVE_TIME: Duration = Duration::from_secs(1);
/// Pause before a file that could not be written is tried again.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

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

    /// Whether there is a file, readable or not.
    #[must_use]
    pub fn exist(&self) -> bool {
        [CURRENT, PREVIOUS]
            .iter()
            .any(|name| self.0.join(name).exists())
    }

    /// The newest generation that can be read; `None` if there is none.
    #[must_use]
    pub fn read(&self) -> Option<Follower> {
        [CURRENT, PREVIOUS].into_iter().find_map(|name| {
            let path = self.0.join(name);
            let read = fs::read(&path).map_err(SavedError::from);
            match read
                .and_then(|bytes| Saved::from_bytes(&bytes))
                .and_then(Saved::restore)
            {
                Ok(follower) => Some(follower),
                Err(SavedError::Io(error)) if error.kind() == io::ErrorKind::NotFound => None,
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
    let write = |saved: Saved| {
        let files = files.clone();
        async move {
            let written = tokio::task::spawn_blocking(move || files.write(&saved)).await;
            written.unwrap_or_else(|panic| Err(io::Error::other(panic)))
        }
    };
    keep_by(replica, write, stop).await;
}

/// The same, by `write`, which makes what it is given the newest generation.
pub async fn keep_by<W>(replica: Arc<Replica>, write: impl Fn(Saved) -> W, stop: CancellationToken)
where
    W: Future<Output = io::Result<()>>,
{
    let mut served = replica.served.subscribe();
    loop {
        let saved = replica.look(|follower| (follower.position.last, follower.save()));
        if let Some((sequence, saved)) = saved {
            let written = write(saved).await;
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
        self.publish(&mut follower, Source::LastGood);
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

    /// The last entry that the file holds; `None` if no files are kept.
    #[must_use]
    pub fn saved(&self) -> Option<Sequence> {
        *self.saved.borrow()
    }

    /// The last entry that a heartbeat may acknowledge: what a restart in an outage would serve.
    pub(super) fn acknowledged(&self) -> Sequence {
        let position = self
            .look(|follower| follower.position.last)
            .unwrap_or_default();
        self.saved().map_or(position, |saved| saved.min(position))
    }
}

#[cfg(test)]
mod tests;
