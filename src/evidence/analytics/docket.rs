//! The intervals of one step of a rollout: which are to be looked at, and what two looks make of them.
//!
//! An interval counts once it is over, a lag has passed, and two looks at it that are a pause apart have found the same; before
//! that it may be known in part. It begins at least one horizon after the weight changed, or calls of the old weight would be in
//! it. Which ones there are follows from the time of day alone, so whoever leads asks for the same ones.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::counts::{Counts, sort};
use super::{Schedule, trouble_of};
use crate::domain::environment::Environment;
use crate::domain::ids::{FlowId, Revision};
use crate::domain::judge::Judge;
use crate::domain::judge::arm::{Arm, ByArm, Tally};
use crate::domain::judge::evidence::Interval;
use crate::domain::judge::metric::{Metric, MetricSet};
use crate::domain::judge::trouble::Trouble;
use crate::domain::rollout::Rollout;
use crate::domain::slot::{BySlot, Slot};
use crate::domain::weight::Weight;
use crate::genesys::client::AskError;
use crate::genesys::flow_aggregates::{Query, Row};
use crate::genesys::flow_end::FlowEnds;

/// Most intervals in one question.
const MOST_INTERVALS: usize = 12;

/// What is the same for all intervals of a docket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ground {
    pub(super) entered: Revision,
    pub(super) weight: Weight,
    pub(super) candidate: Slot,
    pub(super) flows: BySlot<FlowId>,
    pub(super) metrics: MetricSet,
}

/// What is to be asked, and on what ground.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Question {
    pub(super) ground: Ground,
    pub(super) query: Query,
}

/// The intervals of one step of a rollout.
#[derive(Debug)]
pub(super) struct Docket {
    pub(super) ground: Ground,
    schedule: Schedule,
    /// Start of the first interval that is not accepted.
    next: Timestamp,
    /// What the last look found, by the start of the interval.
    looks: BTreeMap<Timestamp, Counts>,
    /// Monotonic time of the last question.
    pub(super) asked_at: Option<Duration>,
    /// What was wrong with the last answer.
    unanswered: Option<Trouble>,
    /// What is wrong with the newest interval that was looked at twice.
    doubtful: Option<Trouble>,
}

impl Ground {
    pub(super) fn of(environment: &Environment, rollout: &Rollout, metrics: MetricSet) -> Self {
        Self {
            entered: rollout.entered(),
            weight: rollout.weight(),
            candidate: rollout.candidate,
            flows: BySlot::from_fn(|slot| environment.slots[slot].flow.id.clone()),
            metrics,
        }
    }
}

impl Docket {
    /// The docket of a step that is seen for the first time at `now`. `horizon` is how long calls of an earlier weight may last.
    pub(super) fn open(
        ground: Ground,
        schedule: Schedule,
        horizon: Duration,
        now: Timestamp,
    ) -> Self {
        let length = schedule.interval.as_secs().max(1) as i64;
        let first = now.as_second().saturating_add(horizon.as_secs() as i64);
        let first = first
            .div_euclid(length)
            .saturating_add(1)
            .saturating_mul(length);
        Self {
            ground,
            schedule,
            next: Timestamp::from_second(first).unwrap_or(Timestamp::MAX),
            looks: BTreeMap::new(),
            asked_at: None,
            unanswered: None,
            doubtful: None,
        }
    }

    /// What is wrong at the moment.
    pub(super) fn trouble(&self) -> Option<Trouble> {
        self.unanswered.or(self.doubtful)
    }

    /// The question that is due, if one is.
    pub(super) fn due(&self, now: Timestamp, monotonic: Duration) -> Option<Question> {
        let is_early = self
            .asked_at
            .is_some_and(|asked| monotonic.saturating_sub(asked) < self.schedule.pause);
        if is_early || !self.ground.weight.is_split() {
            return None;
        }
        let over = now.checked_sub(self.schedule.lag).ok()?;
        let length = self.schedule.interval.as_secs() as i64;
        let intervals = over.duration_since(self.next).as_secs().div_euclid(length);
        let intervals = intervals.min(MOST_INTERVALS as i64);
        (intervals > 0).then(|| Question {
            ground: self.ground.clone(),
            query: Query {
                flows: self.ground.flows.iter().map(|(_, id)| id.clone()).collect(),
                from: self.next,
                until: self.next + SignedDuration::from_secs(intervals * length),
                granularity: self.schedule.interval,
                by_transfer: [Metric::Transfer, Metric::Containment]
                    .iter()
                    .any(|metric| self.ground.metrics.contains(*metric)),
            },
        })
    }

    /// Takes the answer to `query`: the intervals that count from now on, each with its values.
    pub(super) fn take(
        &mut self,
        query: &Query,
        answer: Result<Vec<Row>, AskError>,
        ends: &FlowEnds,
        judge: &Judge,
    ) -> Vec<(Timestamp, Vec<Interval>)> {
        let intervals = self.intervals(query);
        let sorted = answer
            .map_err(|error| trouble_of(&error))
            .and_then(|rows| sort(&rows, &self.ground.flows, &intervals, ends).map_err(Some));
        let sorted = match sorted {
            Ok(sorted) => sorted,
            Err(trouble) => {
                self.unanswered = trouble.or(self.unanswered);
                return Vec::new();
            }
        };
        self.unanswered = None;
        let mut accepted = Vec::new();
        for (from, counts) in sorted {
            let Some(before) = self.looks.insert(from, counts.clone()) else {
                continue;
            };
            let until = intervals[&from];
            let unusable = || {
                let decided = judge.decided(from, until);
                counts.unusable(self.ground.candidate, decided)
            };
            self.doubtful = counts.unsettled(&before).or_else(unusable);
            if self.doubtful.is_none() {
                // Earlier ones that are still doubtful are passed over with it.
                self.next = until;
                accepted.push((until, self.values(from, until, &counts)));
            }
        }
        self.looks = self.looks.split_off(&self.next);
        accepted
    }

    /// The intervals of `query`, by their starts.
    fn intervals(&self, query: &Query) -> BTreeMap<Timestamp, Timestamp> {
        let length = SignedDuration::from_secs(self.schedule.interval.as_secs() as i64);
        let mut intervals = BTreeMap::new();
        let mut from = query.from;
        while from < query.until {
            intervals.insert(from, from + length);
            from += length;
        }
        intervals
    }

    fn values(&self, from: Timestamp, until: Timestamp, counts: &Counts) -> Vec<Interval> {
        let value = |metric: Metric| {
            let mut seen = ByArm::<Tally>::default();
            for arm in Arm::BOTH {
                let calls = &counts.0[arm.slot(self.ground.candidate)];
                seen[arm] = Tally {
                    calls: calls.all,
                    bad: calls.bad[metric],
                };
            }
            Interval {
                metric,
                from,
                until,
                revision: self.ground.entered,
                weight: self.ground.weight,
                seen,
            }
        };
        self.ground.metrics.iter().map(value).collect()
    }
}
