//! Batches of evidence, made for the store.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::domain::ids::EnvironmentName;
use crate::domain::rollout::Rollout;
use crate::replica::{Replica, Served};
use crate::store::evidence::{Batch, MOST_BATCHES, MOST_CALLS};

/// How long evidence is kept beyond the time that its rollout may take, so that a verdict can be checked afterwards.
const KEPT_AFTER: Duration = Duration::from_hours(30 * 24);
/// Most calls in one request: about 350 KB, far more than comes in a second.
const MOST_AT_ONCE: usize = 2 * MOST_CALLS;

/// Makes batches of one kind, as one replica.
#[derive(Debug)]
pub(super) struct Batches {
    replica: String,
    /// Batches made so far.
    made: u64,
}

impl Batches {
    /// None made yet, as `replica`.
    pub(super) fn of(replica: &Replica) -> Self {
        Self {
            replica: replica.id().to_owned(),
            made: 0,
        }
    }

    /// Batches of `evidence`, each piece with what its environment was then, by environment. `made_at` is not before any of it.
    pub(super) fn make<E: Clone>(
        &mut self,
        evidence: impl IntoIterator<Item = (Arc<Served>, E)>,
        made_at: Timestamp,
    ) -> Vec<Batch<E>> {
        let mut by_environment = BTreeMap::<EnvironmentName, (Duration, Vec<E>)>::new();
        for (served, call) in evidence {
            let (kept, calls) = by_environment
                .entry(served.compiled.name.clone())
                .or_default();
            *kept = (*kept).max(kept_for(served.environment.rollout.as_deref()));
            calls.push(call);
        }
        let mut batches = Vec::new();
        for (environment, (kept, calls)) in by_environment {
            let expires_at = made_at.saturating_add(kept).unwrap_or(Timestamp::MAX);
            for calls in calls.chunks(MOST_CALLS) {
                self.made += 1;
                batches.push(Batch {
                    environment: environment.clone(),
                    replica: self.replica.clone(),
                    made_at,
                    number: self.made,
                    expires_at,
                    calls: calls.to_vec(),
                });
            }
        }
        batches
    }
}

/// How many of `batches` go into one request. Large ones go in several, so that a slow connection takes them one by one.
pub(super) fn next_request<E>(batches: &[Batch<E>]) -> usize {
    let mut calls = 0;
    let fit = batches.iter().take(MOST_BATCHES).take_while(|batch| {
        calls += batch.calls.len();
        calls <= MOST_AT_ONCE
    });
    fit.count().max(1)
}

/// How long evidence is kept that is written while `rollout` is what the environment holds: as long as it may take, and a
/// month. A weight that was set by hand has no end.
pub(super) fn kept_for(rollout: Option<&Rollout>) -> Duration {
    rollout.map_or(Duration::ZERO, |rollout| rollout.plan.maximum()) + KEPT_AFTER
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::Revision;
    use crate::domain::rollout::Commit;
    use crate::domain::rollout::plan::{Plan, Terms};
    use crate::domain::slot::Slot;

    #[test]
    fn evidence_outlives_the_longest_that_its_rollout_may_take_by_a_month() {
        let month = Duration::from_hours(30 * 24);
        assert_eq!(kept_for(None), month);
        for maximum_minutes in [24 * 60, 7 * 24 * 60] {
            let terms = Terms {
                maximum_minutes,
                ..Terms::default()
            };
            let commit = Commit {
                revision: Revision(1),
                now: Timestamp::UNIX_EPOCH,
            };
            let rollout = Rollout::start(Plan::new(terms).unwrap(), Slot::Green, commit);
            let longest = Duration::from_secs(60 * u64::from(maximum_minutes));
            assert_eq!(kept_for(Some(&rollout)), longest + month);
        }
    }
}
