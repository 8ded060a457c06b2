//! The drain meter: how many calls are decided to each slot, and when the last one was, across replicas; and what callers got
//! since the share is what it is.
//!
//! Costs a decision nothing: the counters that it counts itself in anyway are looked at before every heartbeat, which tells
//! the others. So the time of a last call is late by up to two seconds, and never early.

use std::collections::HashMap;

use jiff::Timestamp;

use super::{Replica, locked};
use crate::domain::drain::LastCalls;
use crate::domain::ids::EnvironmentName;
use crate::domain::slot::{BySlot, Slot};
use crate::store::StoreError;
use crate::store::heartbeats::{Calls, MINUTES, Presence, SlotCalls, Tallies, Tally};

/// What this replica has counted so far.
#[derive(Debug, Default)]
pub(super) struct Meter {
    /// The counters as they were looked at last.
    totals: HashMap<EnvironmentName, BySlot<u64>>,
    calls: Calls,
}

impl Meter {
    /// Takes in that so many calls had been decided by `now` since the process started.
    fn take(&mut self, environment: &EnvironmentName, totals: BySlot<u64>, now: Timestamp) {
        let before = self
            .totals
            .insert(environment.clone(), totals)
            .unwrap_or_default();
        for (slot, total) in totals.iter() {
            let calls = total.saturating_sub(before[slot]);
            self.calls.record(environment, slot, calls, now);
        }
    }
}

/// What all replicas report of one environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reported {
    /// Calls in the time asked for.
    pub calls: BySlot<u64>,
    /// When the last one was.
    pub last: LastCalls,
    /// Replicas that fell silent without a word, and when they last reported. One that runs on decides calls that nobody knows
    /// of.
    pub silent: Vec<(String, Timestamp)>,
}

impl Reported {
    fn add(&mut self, calls: &Calls, environment: &EnvironmentName, minutes: u16, now: Timestamp) {
        let known = calls.of(environment);
        for slot in Slot::BOTH {
            if let Some(calls) = known[slot] {
                self.calls[slot] += calls.within(minutes, now);
                self.last[slot] = self.last[slot].max(Some(SlotCalls::last(calls)));
            }
        }
    }
}

impl Replica {
    /// The calls that this replica has decided, as of now.
    pub(super) fn count_calls(&self) -> Calls {
        let now = self.clock.now();
        let mut meter = locked(&self.meter);
        if let Some(snapshot) = self.snapshot().as_ref() {
            for (name, served) in &snapshot.environments {
                meter.take(name, served.decided(), now);
            }
        }
        meter.calls.forget(now);
        meter.calls.clone()
    }

    /// The calls that this replica has decided under the share of each environment, as of now.
    pub(super) fn tallies(&self) -> Tallies {
        let mut tallies = Tallies::default();
        if let Some(snapshot) = self.snapshot().as_ref() {
            for (name, served) in &snapshot.environments {
                tallies.take(name, served.tally());
            }
        }
        tallies
    }

    /// What all replicas report of `environment` for the last `minutes`, those that are gone included: calls that they decided
    /// may still be inside.
    ///
    /// # Errors
    /// The heartbeats cannot be read.
    pub async fn reported_calls(
        &self,
        environment: &EnvironmentName,
        minutes: u16,
    ) -> Result<Reported, StoreError> {
        self.look_around().await?;
        Ok(self.known_calls().of(environment, minutes))
    }

    /// What is known of calls without asking the store: of those that others decided, what they told a few seconds ago.
    #[must_use]
    pub fn known_calls(&self) -> KnownCalls {
        let monotonic = self.clock.monotonic();
        let mut known = KnownCalls {
            now: self.clock.now(),
            calls: vec![self.count_calls()],
            silent: Vec::new(),
            tallies: Vec::new(),
        };
        self.with_peers(|peers| {
            let others = peers
                .iter()
                .filter(|peer| peer.heartbeat.replica != self.id());
            for peer in others {
                let heartbeat = &peer.heartbeat;
                known.calls.push(heartbeat.calls.clone());
                match peer.presence(monotonic) {
                    Presence::Live => known.tallies.push(heartbeat.tallies.clone()),
                    Presence::Silent => {
                        let silent = (heartbeat.replica.clone(), heartbeat.written_at);
                        known.silent.push(silent);
                    }
                    Presence::Ended => {}
                }
            }
        });
        known
    }
}

/// What is known of the calls that replicas have decided.
#[derive(Debug)]
pub struct KnownCalls {
    now: Timestamp,
    /// Of each replica.
    calls: Vec<Calls>,
    silent: Vec<(String, Timestamp)>,
    /// Of each other replica that is alive, as far as it tells.
    tallies: Vec<Option<Tallies>>,
}

/// What callers got under one share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnderShare {
    /// The calls of all that count alike, since the first of them began to.
    pub tally: Tally,
    /// So many live replicas, this one among them.
    pub replicas: usize,
    /// Live replicas whose calls are not among them: they decide by another share, or do not say.
    pub others: usize,
}

impl KnownCalls {
    /// What callers of one environment got under the share that this replica decides by, to which it has decided `own` calls.
    #[must_use]
    pub fn under_share(&self, environment: &EnvironmentName, own: Tally) -> UnderShare {
        let mut all = UnderShare {
            tally: own,
            replicas: 1,
            others: 0,
        };
        for tallies in &self.tallies {
            let is_counted = tallies.as_ref().is_some_and(|tallies| {
                let told = tallies.of(environment);
                told.is_none_or(|told| all.tally.add(told))
            });
            if is_counted {
                all.replicas += 1;
            } else {
                all.others += 1;
            }
        }
        all
    }

    /// Those of one environment, in the last `minutes`.
    #[must_use]
    pub fn of(&self, environment: &EnvironmentName, minutes: u16) -> Reported {
        let mut reported = Reported {
            calls: BySlot::default(),
            last: LastCalls::default(),
            silent: self.silent.clone(),
        };
        for calls in &self.calls {
            reported.add(calls, environment, minutes, self.now);
        }
        reported
    }

    /// Those of one environment by the minute: an hour, the oldest first, the present minute last.
    #[must_use]
    pub fn by_minute(&self, environment: &EnvironmentName) -> Vec<BySlot<u64>> {
        let mut minutes = vec![BySlot::default(); usize::from(MINUTES)];
        for calls in &self.calls {
            let known = calls.of(environment);
            for slot in Slot::BOTH {
                let counts = known[slot].into_iter();
                let counts = counts.flat_map(|calls| calls.by_minute(self.now));
                for (age, count) in counts {
                    let place = minutes.len() - 1 - usize::from(age);
                    minutes[place][slot] += count;
                }
            }
        }
        minutes
    }
}
