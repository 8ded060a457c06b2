//! The connections of one listener: how many there are, who has to go.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::ConnectionLimits;
use super::watched::{Cause, Phase, Watched};
use crate::telemetry::ListenerMetrics;

/// While all places are taken by connections that do something, it is looked this often whether one has come to rest.
const LOOK_FOR_ROOM: Duration = Duration::from_millis(50);
/// A connection in the middle of a handshake, a head or a body may be on its way to a whole one for so long.
const BENEFIT_OF_DOUBT: Duration = Duration::from_millis(250);

/// All connections of a listener.
#[derive(Debug)]
pub(super) struct Connections {
    limits: ConnectionLimits,
    /// Milliseconds since the listener began, as of the last look at the clocks.
    now: Arc<AtomicU64>,
    /// One per connection that may be open.
    places: Arc<Semaphore>,
    /// Locked when a connection comes or goes and for a look at the clocks, never by a request.
    open: Mutex<HashMap<u64, Arc<Watched>>>,
    next: AtomicU64,
    metrics: ListenerMetrics,
}

/// A place among the connections, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) watched: Arc<Watched>,
    number: u64,
    connections: Arc<Connections>,
    _permit: OwnedSemaphorePermit,
}

impl Place {
    /// Counts that the connection had to end.
    pub(super) fn count(&self, reason: &'static str) {
        self.connections.metrics.refused(reason);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.connections.with_open(|open| open.remove(&self.number));
        self.connections.metrics.open.dec();
    }
}

impl Connections {
    pub(super) fn new(limits: ConnectionLimits, metrics: ListenerMetrics) -> Self {
        Self {
            places: Arc::new(Semaphore::new(limits.connections as usize)),
            limits,
            now: Arc::default(),
            open: Mutex::default(),
            next: AtomicU64::new(0),
            metrics,
        }
    }

    fn with_open<T>(&self, work: impl FnOnce(&mut HashMap<u64, Arc<Watched>>) -> T) -> T {
        // What is done under the lock leaves the map whole, whatever panics.
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        work(&mut open)
    }

    /// A place for a new connection, at once if there is one. Otherwise the connection that has been of no use for longest
    /// makes room; while all of them are busy, waits.
    pub(super) async fn admit(self: &Arc<Self>, phase: Phase) -> Place {
        let permit = loop {
            if let Ok(permit) = Arc::clone(&self.places).try_acquire_owned() {
                break permit;
            }
            self.evict();
            let permit = Arc::clone(&self.places).acquire_owned();
            if let Ok(Ok(permit)) = tokio::time::timeout(LOOK_FOR_ROOM, permit).await {
                break permit;
            }
        };
        let watched = Arc::new(Watched::new(Arc::clone(&self.now), phase));
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.with_open(|open| open.insert(number, Arc::clone(&watched)));
        self.metrics.open.inc();
        Place {
            watched,
            number,
            connections: Arc::clone(self),
            _permit: permit,
        }
    }

    /// Ends the connection that is of least use: one that only waits until its last answer has arrived, before one that has sent
    /// nothing yet, before one that idles after an answer, before one that is slow to send a head, before one that is slow to send
    /// a body; of equals, the one that has been so for longest. None that is being answered.
    fn evict(&self) {
        let now = self.now.load(Ordering::Relaxed);
        let doubt = u64::try_from(BENEFIT_OF_DOUBT.as_millis()).unwrap_or(u64::MAX);
        let rank = |watched: &Watched| {
            let (phase, since) = watched.phase();
            let is_slow = now.saturating_sub(since) >= doubt;
            let class = match phase {
                Phase::Goodbye if !watched.is_cut() => return Some((0, since)),
                Phase::Fresh => 1,
                Phase::Idle => 2,
                Phase::Head | Phase::Handshake if is_slow => 3,
                Phase::Body if is_slow => 4,
                Phase::Goodbye | Phase::Handshake | Phase::Head | Phase::Body | Phase::Answer => {
                    return None;
                }
            };
            watched.cause().is_none().then_some((class, since))
        };
        self.with_open(|open| {
            let ranked = open
                .iter()
                .filter_map(|(number, watched)| Some(((rank(watched)?, number), watched)));
            if let Some((_, watched)) = ranked.min_by_key(|(rank, _)| *rank) {
                watched.end(Cause::Evicted);
            }
        });
    }

    /// Looks at the clocks for as long as it is polled.
    pub(super) async fn watch(&self) {
        let tick = self.limits.tick();
        let begun = Instant::now();
        let mut looks = tokio::time::interval(tick);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            let now = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
            self.now.store(now, Ordering::Relaxed);
            self.with_open(|open| {
                for watched in open.values() {
                    if let Some(cause) = watched.overdue(now, &self.limits, tick) {
                        watched.end(cause);
                    }
                }
            });
        }
    }

    /// Lets all connections finish what they are at, for at most `patience`, and then ends them. Whether none had to be.
    pub(super) async fn finish(&self, patience: Duration) -> bool {
        self.with_open(|open| open.values().for_each(|watched| watched.stop()));
        let all = self.places.acquire_many(self.limits.connections);
        if tokio::time::timeout(patience, all).await.is_ok() {
            return true;
        }
        self.with_open(|open| {
            open.values()
                .for_each(|watched| watched.end(Cause::Stopped));
        });
        false
    }
}
