//! The fold: what counts, for which version, and when.

mod fold;
mod intervals;
mod statistics;

use jiff::{SignedDuration, Timestamp};

use super::evidence::{ConversationHash, Evidence, Exposure, Outcome};
use super::metric::{Metric, MetricSet};
use super::{Judge, Verdict};
use crate::domain::ids::Revision;
use crate::domain::rollout::plan::{Plan, Step};
use crate::domain::rollout::{Commit, Rollout};
use crate::domain::slot::Slot;
use crate::domain::weight::Weight;

/// A time so many seconds after the rollout's start.
pub(super) fn at(seconds: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds)
}

pub(super) fn minutes(minutes: i64) -> Timestamp {
    at(60 * minutes)
}

pub(super) fn half() -> Weight {
    Weight::from_bps(5_000).unwrap()
}

/// A randomised decision at revision 1 and half the calls.
pub(super) fn exposure(conversation: u128, seconds: i64, slot: Slot) -> Exposure {
    Exposure {
        conversation: ConversationHash(conversation),
        assigned_at: at(seconds),
        revision: Revision(1),
        weight: half(),
        slot,
        is_randomised: true,
    }
}

pub(super) fn abandoned(conversation: u128, seconds: i64) -> Outcome {
    Outcome {
        conversation: ConversationHash(conversation),
        at: at(seconds),
        bad: MetricSet::from(Metric::Abandon),
    }
}

pub(super) fn ended_well(conversation: u128, seconds: i64) -> Outcome {
    Outcome {
        bad: MetricSet::NONE,
        ..abandoned(conversation, seconds)
    }
}

pub(super) fn evidence(exposures: &[Exposure], outcomes: &[Outcome]) -> Evidence {
    Evidence {
        exposures: exposures.to_vec(),
        outcomes: outcomes.to_vec(),
        intervals: Vec::new(),
    }
}

pub(super) fn rollout() -> Rollout {
    rollout_of(Plan::default())
}

pub(super) fn rollout_of(plan: Plan) -> Rollout {
    Rollout::start(
        plan,
        Slot::Green,
        Commit {
            revision: Revision(1),
            now: Timestamp::UNIX_EPOCH,
        },
    )
}

/// A judge that was told this and has looked at `now`.
pub(super) fn judged(exposures: &[Exposure], outcomes: &[Outcome], now: Timestamp) -> Judge {
    let mut judge = Judge::resume(&rollout());
    judge.absorb(&evidence(exposures, outcomes));
    judge.advance(now);
    judge
}

pub(super) fn verdict(judge: &Judge, now: Timestamp) -> Verdict {
    judge.verdict(&Step::at(half()), now)
}

/// A step's worth of calls, alternating between the versions, one each second: every tenth of blue and every third of
/// green is abandoned after half a minute.
pub(super) fn a_bad_day(calls: u128) -> Evidence {
    let mut evidence = Evidence::default();
    for call in 0..calls {
        let (slot, seconds) = (
            if call % 2 == 0 {
                Slot::Blue
            } else {
                Slot::Green
            },
            1 + call as i64,
        );
        let is_bad = if slot == Slot::Blue {
            call % 20 == 0
        } else {
            call % 6 == 1
        };
        evidence.exposures.push(exposure(call, seconds, slot));
        let outcome = if is_bad {
            abandoned(call, seconds + 30)
        } else {
            ended_well(call, seconds + 200)
        };
        evidence.outcomes.push(outcome);
    }
    evidence
}
