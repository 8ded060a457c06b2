//! Having the keys of issuers ready before a token needs them, and going on with the last known ones while an issuer is away.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::Value;
use tokio::sync::Mutex;

use super::fetch::{FetchError, Fetched, fetch};
use super::keys::IssuerKeys;
use crate::access::Keyring;
use crate::clock::Clock;
use crate::domain::ids::IssuerUrl;
use crate::telemetry::{Alarm, Metrics};

/// How old keys become before they are fetched again. Issuers publish a key long before they sign with it.
const REFRESH_INTERVAL: Duration = Duration::from_secs(10 * 60);
/// Least time between two fetches from one issuer: after one that failed, and however many tokens name keys that are not there.
const PAUSE: Duration = Duration::from_secs(15);
/// The file with the last known keys, in the data directory.
const FILE: &str = "issuer-keys.json";
/// The same while it is written.
const UNFINISHED: &str = "issuer-keys.unfinished.json";

/// Keeper of the issuers' keys.
#[derive(Debug)]
pub struct Issuers {
    keyring: Arc<Keyring>,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    directory: Option<PathBuf>,
    memory: Mutex<Memory>,
}

/// What a keeper knows.
#[derive(Debug, Default)]
struct Memory {
    issuers: BTreeMap<IssuerUrl, Known>,
    /// The key sets that the file holds.
    kept: BTreeMap<IssuerUrl, Value>,
}

/// What is known of one issuer.
#[derive(Debug, Default)]
struct Known {
    /// Its keys and the set that they are from; `None` if they were never had.
    keys: Option<(IssuerKeys, Value)>,
    /// When it was last asked, by the monotonic clock.
    asked_at: Option<Duration>,
    /// Why that came to nothing.
    failure: Option<String>,
    /// Whether a token named a key that is not there since it was last asked.
    is_wanted: bool,
}

impl Issuers {
    /// A keeper that gives `keyring` the keys. They are remembered in `directory` across a restart, if there is one.
    #[must_use]
    pub fn new(
        keyring: Arc<Keyring>,
        clock: Arc<dyn Clock>,
        metrics: Metrics,
        directory: Option<&Path>,
    ) -> Self {
        Self {
            keyring,
            clock,
            metrics,
            memory: Mutex::new(directory.map(remembered).unwrap_or_default()),
            directory: directory.map(Path::to_owned),
        }
    }

    /// Fetches the keys of those issuers in `named` whose keys are missing, old or not enough, and forgets all other issuers.
    /// Returns how long nothing needs to be done, unless a token names a key that is not there.
    pub async fn refresh(&self, named: BTreeSet<IssuerUrl>) -> Duration {
        let mut memory = self.memory.lock().await;
        let Memory {
            issuers: known,
            kept,
        } = &mut *memory;
        let before: Vec<_> = known.keys().cloned().collect();
        known.retain(|issuer, _| named.contains(issuer));
        for issuer in named {
            known.entry(issuer).or_default();
        }
        for issuer in self.keyring.take_wanted() {
            if let Some(known) = known.get_mut(&issuer) {
                known.is_wanted = true;
            }
        }
        let is_first = !known.is_empty() && known.values().all(|known| known.asked_at.is_none());
        if is_first || !known.keys().eq(&before) {
            // What is remembered counts at once; an issuer may take its time.
            self.give(known);
        }
        let now = self.clock.monotonic();
        let due = known.iter().filter(|(_, known)| known.is_due(now));
        let asked = due.map(async |(issuer, _)| (issuer.clone(), fetch(issuer).await));
        let mut has_other_keys = false;
        for (issuer, outcome) in join_all(asked).await {
            self.metrics.issuer_keys(match &outcome {
                Ok(_) => "fetched",
                Err(_) => "failed",
            });
            let known = known.entry(issuer).or_default();
            has_other_keys |= known.take(outcome, self.clock.monotonic());
        }
        if has_other_keys {
            self.give(known);
        }
        self.remember(known, kept).await;
        let failing = known.iter().find_map(|(issuer, known)| {
            let why = known.failure.as_ref()?;
            Some(format!("{issuer}: {why}"))
        });
        self.metrics.alarms.set(Alarm::IssuerKeys, failing);
        let now = self.clock.monotonic();
        let pauses = known.values().map(|known| known.pause(now));
        pauses.min().unwrap_or(REFRESH_INTERVAL)
    }

    fn give(&self, known: &BTreeMap<IssuerUrl, Known>) {
        let keys = known.iter().map(|(issuer, known)| {
            let keys = known.keys.as_ref().map(|(keys, _)| keys.clone());
            let keys = keys.unwrap_or_else(|| IssuerKeys::none(issuer.clone()));
            (issuer.clone(), keys)
        });
        self.keyring.set_issuer_keys(keys.collect());
    }

    /// Writes the key sets beside and moves them into place, if they are others than are `kept`. Public keys: worth keeping, and
    /// nothing to be kept secret.
    async fn remember(
        &self,
        known: &BTreeMap<IssuerUrl, Known>,
        kept: &mut BTreeMap<IssuerUrl, Value>,
    ) {
        let Some(directory) = self.directory.clone() else {
            return;
        };
        let sets = known
            .iter()
            .filter_map(|(issuer, known)| Some((issuer.clone(), known.keys.as_ref()?.1.clone())));
        let sets: BTreeMap<_, _> = sets.collect();
        if *kept == sets {
            return;
        }
        // Texts under texts: nothing here can fail to be JSON.
        let bytes = serde_json::to_vec(&sets).expect("JSON in memory");
        let written = tokio::task::spawn_blocking(move || write(&directory, &bytes)).await;
        match written.map_err(io::Error::other).flatten() {
            Ok(()) => *kept = sets,
            Err(error) => {
                tracing::warn!(%error, "the keys of issuers cannot be kept for a restart");
            }
        }
    }
}

/// Makes the file hold `bytes`. On return it survives a loss of power.
fn write(directory: &Path, bytes: &[u8]) -> io::Result<()> {
    let unfinished = directory.join(UNFINISHED);
    let mut file = File::create(&unfinished)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&unfinished, directory.join(FILE))?;
    File::open(directory)?.sync_all()
}

/// The keys that were known before the restart. A file that does not read is none: keys are fetched anyway.
fn remembered(directory: &Path) -> Memory {
    let read = || -> io::Result<BTreeMap<IssuerUrl, Value>> {
        Ok(serde_json::from_slice(&fs::read(directory.join(FILE))?)?)
    };
    let sets = read().unwrap_or_else(|error| {
        if error.kind() != io::ErrorKind::NotFound {
            tracing::warn!(%error, "cannot use the remembered keys of issuers");
        }
        BTreeMap::new()
    });
    let known = sets.iter().filter_map(|(issuer, set)| {
        let keys = IssuerKeys::read(issuer.clone(), set).ok()?;
        let keys = Some((keys, set.clone()));
        Some((
            issuer.clone(),
            Known {
                keys,
                ..Known::default()
            },
        ))
    });
    Memory {
        issuers: known.collect(),
        kept: sets,
    }
}

impl Known {
    fn is_due(&self, now: Duration) -> bool {
        self.pause(now).is_zero()
    }

    /// How long it may wait.
    fn pause(&self, now: Duration) -> Duration {
        let Some(asked_at) = self.asked_at else {
            return Duration::ZERO;
        };
        let interval = if self.failure.is_some() || self.is_wanted {
            PAUSE
        } else {
            REFRESH_INTERVAL
        };
        (asked_at + interval).saturating_sub(now)
    }

    /// Takes what came of asking. Returns whether the keys are others.
    fn take(&mut self, outcome: Result<Fetched, FetchError>, now: Duration) -> bool {
        self.asked_at = Some(now);
        self.is_wanted = false;
        match outcome {
            Ok(Fetched { keys, set }) => {
                self.failure = None;
                let is_same = self.keys.as_ref().is_some_and(|(_, before)| *before == set);
                self.keys = Some((keys, set));
                !is_same
            }
            Err(error) => {
                self.failure = Some(error.to_string());
                false
            }
        }
    }
}
