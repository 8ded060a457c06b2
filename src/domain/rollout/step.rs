//! What a rollout does next: the only place where a verdict turns into a change.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::limits::OnPause;
use super::plan::{AfterMaximum, Gate, Step, WhenStale};
use super::{AbortCause, Commit, PauseCause, Promotion, Refusal, Rollout, Status};
use crate::domain::freeze::Frozen;
use crate::domain::judge::metric::Metric;
use crate::domain::judge::mixture::EValue;
use crate::domain::judge::verdict::{Data, Level, Verdict};
use crate::domain::slot::Slot;
use crate::domain::weight::Weight;

/// How long things have lasted, and the time.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// The time, for the maximum duration.
    pub now: Timestamp,
    /// How long the caller has seen the rollout in the present step, by a clock that never jumps. Someone who takes over
    /// begins at zero: a bake time may come out longer, never shorter.
    pub in_step: Duration,
    /// How long, by the same clock, verdicts have said that the data is not good enough.
    pub without_data: Duration,
}

/// What a rollout does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transition {
    /// Nothing, and why.
    Hold(Vec<Wait>),
    /// It moves.
    Go(Move),
}

impl Transition {
    /// The same while `frozen` is in force: nothing that moves callers towards the candidate. What takes them back, or stops,
    /// goes on.
    #[must_use]
    pub fn while_frozen(self, frozen: Option<Frozen>) -> Self {
        match (self, frozen) {
            (Self::Go(change), Some(frozen)) if change.is_forward() => {
                Self::Hold(vec![Wait::Freeze(frozen)])
            }
            (Self::Hold(mut waits), Some(frozen)) if waits != [Wait::Over] => {
                waits.push(Wait::Freeze(frozen));
                Self::Hold(waits)
            }
            (transition, _) => transition,
        }
    }
}

/// A change of a rollout that nobody has to ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Move {
    /// It enters the next step.
    Advance,
    /// The candidate becomes active.
    Finish,
    /// It pauses.
    Pause(PauseCause),
    /// It is given up.
    Abort(AbortCause),
}

impl Move {
    /// Whether it gives the candidate more callers.
    #[must_use]
    pub fn is_forward(self) -> bool {
        matches!(self, Self::Advance | Self::Finish)
    }
}

/// What a rollout waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wait {
    /// Nothing any more: it is over.
    Over,
    /// A person who resumes or aborts it.
    Person(PauseCause),
    /// The rest of the bake time.
    Bake(Duration),
    /// Calls assigned before 100 % that may still end badly.
    Maturity(Duration),
    /// More calls of the candidate.
    Calls {
        /// The candidate.
        slot: Slot,
        /// How many there are.
        usable: u64,
        /// How many it takes.
        minimum: u64,
    },
    /// Better data.
    Data(Data),
    /// Proof of no harm.
    Certificate {
        /// The metric.
        metric: Metric,
        /// The evidence so far.
        e: EValue,
        /// The line to reach.
        line: EValue,
    },
    /// A person's consent.
    Gate,
    /// The end of a freeze window.
    Freeze(Frozen),
}

/// What `rollout` does next, given what the judge says.
///
/// Alarms come first, the graver before the lesser, and in every state that is not final. Then the conditions for leaving
/// the step, all of which have to hold; silence fulfils none. Then the limits of patience.
#[must_use]
pub fn step(rollout: &Rollout, verdict: &Verdict, timing: &Timing) -> Transition {
    let (index, promotion) = match rollout.status {
        Status::Finished | Status::Aborted(_) => return Transition::Hold(vec![Wait::Over]),
        Status::Paused { cause, .. } => {
            return match alarm(verdict) {
                Some(abort @ Move::Abort(_)) => Transition::Go(abort),
                _ => Transition::Hold(vec![Wait::Person(cause)]),
            };
        }
        Status::Running { step, promotion } => (step, promotion),
    };
    if let Some(alarm) = alarm(verdict) {
        return Transition::Go(alarm);
    }
    let waits = waits(rollout, index, promotion, verdict, timing);
    if !waits.is_empty() {
        return impatience(rollout, timing, &waits).map_or(Transition::Hold(waits), Transition::Go);
    }
    Transition::Go(if index + 1 < rollout.plan.steps.len() {
        Move::Advance
    } else {
        Move::Finish
    })
}

impl Rollout {
    /// The state after `change`.
    ///
    /// # Errors
    /// The rollout has changed since the move was chosen, and refuses.
    pub fn after(self, change: Move, commit: Commit) -> Result<Self, Refusal> {
        match change {
            Move::Advance => self.advance(commit),
            Move::Finish => self.finish(),
            Move::Pause(cause) => self.pause(cause),
            Move::Abort(cause) => self.abort(cause),
        }
    }
}

/// The gravest thing that the verdict calls for.
fn alarm(verdict: &Verdict) -> Option<Move> {
    let fast_lane = verdict
        .fast_lane
        .map_or(Level::Sound, |finding| finding.level());
    let harm = |least: Level| {
        verdict
            .metrics
            .iter()
            .find(|finding| finding.harm.level() >= least)
    };
    if fast_lane == Level::Abort {
        return Some(Move::Abort(AbortCause::FastLane));
    }
    if let Some(finding) = harm(Level::Abort) {
        return Some(Move::Abort(AbortCause::Harm(finding.metric)));
    }
    if fast_lane == Level::Pause {
        return Some(Move::Pause(PauseCause::FastLane));
    }
    // Of two metrics that call for a pause, the one that wants the callers back has its way.
    let wants_zero = |least: Level| {
        verdict
            .metrics
            .iter()
            .find(|finding| finding.harm.level() >= least && finding.on_pause == OnPause::Zero)
    };
    if let Some(finding) = wants_zero(Level::Pause).or_else(|| harm(Level::Pause)) {
        return Some(Move::Pause(PauseCause::Harm(finding.metric)));
    }
    if verdict.decisions.level() > Level::Sound {
        return Some(Move::Pause(PauseCause::Split));
    }
    if verdict.reports.level() > Level::Sound {
        return Some(Move::Pause(PauseCause::Reports));
    }
    let late = verdict
        .metrics
        .iter()
        .find(|finding| finding.late.level() > Level::Sound);
    late.map(|finding| Move::Pause(PauseCause::Late(finding.metric)))
}

/// What still keeps the rollout in its step. Alarms are not among it: there are none by now.
fn waits(
    rollout: &Rollout,
    index: usize,
    promotion: Option<Promotion>,
    verdict: &Verdict,
    timing: &Timing,
) -> Vec<Wait> {
    let step = rollout.plan.steps[index];
    let is_drawing = rollout.plan.weight(index) != Weight::FULL;
    let mut waits = Vec::new();
    if !is_drawing {
        // Nobody may waive this one: the calls of the steps before have not all been heard.
        waits.extend(left(rollout.plan.data.maturity(), timing.in_step).map(Wait::Maturity));
    }
    if promotion == Some(Promotion::Now) {
        return waits;
    }
    waits.extend(left(step.bake(), timing.in_step).map(Wait::Bake));
    if is_drawing {
        waits.extend(evidence_waits(verdict));
    }
    waits.extend(gate_wait(&step, promotion));
    waits
}

/// What is missing in calls, data and proof.
fn evidence_waits(verdict: &Verdict) -> Vec<Wait> {
    let mut waits = Vec::new();
    let calls = &verdict.calls;
    if calls.usable < calls.minimum {
        waits.push(Wait::Calls {
            slot: verdict.candidate,
            usable: calls.usable,
            minimum: calls.minimum,
        });
    }
    if verdict.data != Data::Fresh {
        waits.push(Wait::Data(verdict.data));
    }
    for finding in &verdict.metrics {
        if let Some(certificate) = finding
            .certificate
            .filter(|certificate| !certificate.is_issued())
        {
            waits.push(Wait::Certificate {
                metric: finding.metric,
                e: certificate.e,
                line: certificate.line,
            });
        }
    }
    waits
}

fn gate_wait(step: &Step, promotion: Option<Promotion>) -> Option<Wait> {
    (step.gate == Gate::Manual && promotion.is_none()).then_some(Wait::Gate)
}

/// What the plan does instead of waiting any longer.
fn impatience(rollout: &Rollout, timing: &Timing, waits: &[Wait]) -> Option<Move> {
    let plan = &rollout.plan;
    let lacks_data = waits.iter().any(|wait| matches!(wait, Wait::Data(_)));
    if lacks_data
        && plan.data.when_stale == WhenStale::Rollback
        && timing.without_data > plan.data.max_stale()
    {
        return Some(Move::Abort(AbortCause::Stale));
    }
    let going = Duration::try_from(timing.now.duration_since(rollout.going_since))
        .unwrap_or(Duration::ZERO);
    (going > plan.maximum()).then_some(match plan.after_maximum {
        AfterMaximum::Ask => Move::Pause(PauseCause::Maximum),
        AfterMaximum::Abort => Move::Abort(AbortCause::Maximum),
    })
}

fn left(whole: Duration, passed: Duration) -> Option<Duration> {
    whole.checked_sub(passed).filter(|left| !left.is_zero())
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let minutes = |duration: &Duration| duration.as_secs().div_ceil(60);
        match self {
            Self::Over => f.write_str("the rollout is over"),
            Self::Person(cause) => write!(f, "paused ({cause}); a person has to resume or abort"),
            Self::Bake(left) => write!(f, "{} minutes of bake time left", minutes(left)),
            Self::Maturity(left) => write!(
                f,
                "{} minutes until the last compared calls have matured",
                minutes(left)
            ),
            Self::Calls {
                slot,
                usable,
                minimum,
            } => write!(f, "{usable} of {minimum} matured {slot} calls"),
            Self::Data(data) => data.fmt(f),
            Self::Certificate { metric, e, line } => {
                write!(f, "{metric} certificate E = {e} of {line}")
            }
            Self::Gate => f.write_str("a person has to agree"),
            Self::Freeze(frozen) => write!(f, "the end of {frozen}"),
        }
    }
}
