//! Being one of several replicas: what this one says of itself, and what it knows of the others.
//!
//! The order in which a replica joins matters to receipts. It registers with a heartbeat *before* it reads the journal for the
//! first time, and is ready after that: a change whose receipt does not wait for this replica was committed before the
//! replica registered, so it is in what the replica has read.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use jiff::Timestamp;

use super::rounds::Rounds;
use super::{CatchUpError, Replica, locked};
use crate::domain::ids::Sequence;
use crate::store::heartbeats::{Heartbeat, Peer, Peers};
use crate::store::record::Position;
use crate::store::{StoreError, format};
use crate::telemetry::OutcomeLabels;

/// What a replica keeps for the sake of the others.
#[derive(Debug, Default)]
pub(super) struct Membership {
    /// Heartbeats written so far.
    beats: AtomicU64,
    /// Set once the journal was read after this replica had tried to register.
    has_joined: AtomicBool,
    /// Set if there was a file to start from: its own, or the one that the deployment was shipped with.
    is_restored: AtomicBool,
    /// The others as they were last seen, and this one among them.
    peers: Mutex<Peers>,
    /// Reads of everyone's heartbeats.
    looks: Rounds,
}

impl Membership {
    /// Notes that the replica has started from a file: it answers calls whether or not the store does.
    pub(super) fn restore(&self) {
        self.is_restored.store(true, Ordering::Relaxed);
    }
}

impl Replica {
    /// Whether it has what calls are answered from, and is known to the others as far as the store lets it.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let is_restored = self.membership.is_restored.load(Ordering::Relaxed);
        self.snapshot().is_some() && (is_restored || self.has_joined())
    }

    /// Whether [`Replica::join`] has come to its end.
    #[must_use]
    pub fn has_joined(&self) -> bool {
        self.membership.has_joined.load(Ordering::Relaxed)
    }

    /// Registers, then reads the journal to its end. Heartbeats that cannot be written hold up nobody: calls matter more than
    /// receipts, which will not know of this replica until they can.
    ///
    /// # Errors
    /// As [`Replica::catch_up`].
    pub async fn join(&self) -> Result<Position, CatchUpError> {
        let registered = self.beat().await;
        let read = self.catch_up().await;
        if !matches!(read, Err(CatchUpError::Store(_))) {
            if let Err(error) = registered {
                tracing::warn!(%error, "cannot register: receipts will not wait for this replica until it can");
            }
            self.membership.has_joined.store(true, Ordering::Relaxed);
        }
        read
    }

    /// Writes one heartbeat.
    ///
    /// # Errors
    /// The store does not answer or refuses.
    pub async fn beat(&self) -> Result<(), StoreError> {
        self.write(&self.heartbeat()).await
    }

    /// Writes the last heartbeat, so that nobody waits for this replica any more. If that fails, it will be found silent.
    pub async fn say_goodbye(&self) {
        let last = Heartbeat {
            has_ended: true,
            ..self.heartbeat()
        };
        if let Err(error) = self.write(&last).await {
            tracing::debug!(%error, "no last heartbeat");
        }
    }

    async fn write(&self, heartbeat: &Heartbeat) -> Result<(), StoreError> {
        let texts = [heartbeat.calls_text(), heartbeat.tallies_text()];
        let bytes = texts.iter().flatten().map(String::len).sum::<usize>();
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        self.metrics.heartbeat_calls.set(bytes);
        let written = self.store.beat(heartbeat).await;
        let outcome = if written.is_ok() {
            "written"
        } else {
            "not_written"
        };
        self.count_heartbeats(outcome);
        written
    }

    fn heartbeat(&self) -> Heartbeat {
        let alarms = self.metrics.alarms.raised().into_iter();
        Heartbeat {
            replica: self.id.clone(),
            beat: 1 + self.membership.beats.fetch_add(1, Ordering::Relaxed),
            sequence: self.acknowledged(),
            newest_format: format::NEWEST,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at: self.started_at,
            written_at: self.clock.now(),
            has_ended: false,
            calls: self.count_calls(),
            tallies: Some(self.tallies()),
            alarms: alarms.map(|(alarm, _)| alarm.as_str().to_owned()).collect(),
        }
    }

    /// Waits until a heartbeat may acknowledge more than `told`.
    pub(super) async fn until_more_is_acknowledged(&self, told: Sequence) {
        // Subscribed before the comparison: what changes in between is not missed.
        let (mut served, mut saved) = (self.served.subscribe(), self.saved.subscribe());
        while self.acknowledged() <= told {
            tokio::select! {
                // Of two that are due the first is taken, here as in a simulation of it.
                biased;
                _ = served.changed() => {}
                _ = saved.changed() => {}
            }
        }
    }

    /// Reads everyone's heartbeats.
    ///
    /// # Errors
    /// The store does not answer or refuses.
    pub async fn look_around(&self) -> Result<(), StoreError> {
        let read = self.store.heartbeats().await;
        self.count_heartbeats(if read.is_ok() { "read" } else { "not_read" });
        let mut heartbeats = read?;
        heartbeats.retain(|heartbeat| heartbeat.is_kept(self.clock.now()));
        let now = self.clock.monotonic();
        let mut peers = locked(&self.membership.peers);
        peers.observe(heartbeats, now);
        let live = i64::try_from(peers.live(now).count()).unwrap_or(i64::MAX);
        self.metrics.live_replicas.set(live);
        Ok(())
    }

    /// The same, for everyone who waits for it.
    pub(super) async fn look_for_all(&self) {
        let look = async {
            let looked = self.look_around().await;
            if let Err(error) = &looked {
                tracing::debug!(%error, "no heartbeats this time");
            }
            looked.is_ok()
        };
        self.membership.looks.hold(look).await;
    }

    /// Waits until somebody wants to know of the others.
    pub(super) async fn is_looked_for(&self) {
        self.membership.looks.wanted().await;
    }

    /// Waits for a look at the others that begins after the call. Returns whether there was one.
    pub(super) async fn next_look(&self) -> bool {
        self.membership.looks.next().await
    }

    /// Looks at what is known of the others, for a moment.
    pub(super) fn with_peers<T>(&self, look: impl FnOnce(&Peers) -> T) -> T {
        look(&locked(&self.membership.peers))
    }

    /// When it started.
    #[must_use]
    pub fn started_at(&self) -> Timestamp {
        self.started_at
    }

    /// This replica's id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Every replica that has a heartbeat, in the order of their ids; this one among them once it has written one.
    #[must_use]
    pub fn peers(&self) -> Vec<Peer> {
        self.with_peers(|peers| peers.iter().cloned().collect())
    }

    /// The alarms that other live replicas raise, by name, each with the replicas that do. Why they do, they know themselves.
    #[must_use]
    pub fn alarms_elsewhere(&self) -> BTreeMap<String, Vec<String>> {
        let now = self.clock.monotonic();
        self.with_peers(|peers| {
            let mut alarms = BTreeMap::<_, Vec<_>>::new();
            for heartbeat in peers.live(now).filter(|beat| beat.replica != self.id) {
                for alarm in &heartbeat.alarms {
                    let replicas = alarms.entry(alarm.clone()).or_default();
                    replicas.push(heartbeat.replica.clone());
                }
            }
            alarms
        })
    }

    /// The highest entry that a live replica names.
    pub(super) fn highest_named(&self) -> Option<Sequence> {
        let now = self.clock.monotonic();
        self.with_peers(|peers| peers.live(now).map(|beat| beat.sequence).max())
    }

    /// The newest format that every live replica can read; `None` if none is known to be alive, as while heartbeats cannot be read.
    #[must_use]
    pub fn readable_by_all(&self) -> Option<u32> {
        let now = self.clock.monotonic();
        self.with_peers(|peers| peers.live(now).map(|beat| beat.newest_format).min())
    }

    fn count_heartbeats(&self, outcome: &'static str) {
        self.metrics
            .heartbeats
            .get_or_create(&OutcomeLabels { outcome })
            .inc();
    }
}
