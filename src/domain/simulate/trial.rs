//! One imagined rollout, from its start until it ends or asks for a person.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use rand::{Rng, RngExt};

use super::{Callers, Scenario, Trace};
use crate::domain::ids::Revision;
use crate::domain::judge::Judge;
use crate::domain::judge::arm::{Arm, ByArm};
use crate::domain::judge::evidence::{ConversationHash, Evidence, Exposure, Outcome};
use crate::domain::judge::metric::MetricSet;
use crate::domain::judge::verdict::{Data, Verdict};
use crate::domain::rollout::{
    AbortCause, Commit, Move, PauseCause, Rollout, Status, Timing, Transition, step,
};
use crate::domain::slot::Slot;
use crate::domain::weight::Weight;

/// How often the imagined controller looks.
const TICK: Duration = Duration::from_secs(30);

/// What came of one run.
#[derive(Debug, Clone)]
pub struct Trial {
    /// How it ended.
    pub ending: Ending,
    /// After how long.
    pub lasted: Duration,
    /// The steps it got to.
    pub steps: Vec<StepTrial>,
    /// The evidence of harm after each look, as its natural logarithm; empty unless asked for.
    pub trace: Vec<(Duration, f64)>,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The candidate became active.
    Promoted,
    /// It was paused, so a person would decide.
    Paused(PauseCause),
    /// It was given up.
    Aborted(AbortCause),
}

/// What happened in one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StepTrial {
    /// How long it lasted.
    pub lasted: Duration,
    /// The calls that came.
    pub calls: ByArm<u64>,
    /// How many more calls ended badly than would have without the candidate; less than zero if it is better.
    pub extra_bad: i64,
}

impl Trial {
    /// The calls that came, in all steps.
    #[must_use]
    pub fn calls(&self) -> ByArm<u64> {
        self.steps.iter().fold(ByArm::default(), |sum, step| ByArm {
            active: sum.active + step.calls.active,
            candidate: sum.candidate + step.calls.candidate,
        })
    }
}

impl Ending {
    /// Whether it was stopped for evidence of harm.
    #[must_use]
    pub fn is_for_harm(self) -> bool {
        matches!(
            self,
            Self::Paused(PauseCause::Harm(_) | PauseCause::FastLane | PauseCause::Late(_))
                | Self::Aborted(AbortCause::Harm(_) | AbortCause::FastLane)
        )
    }
}

/// Runs `scenario` once.
pub(super) fn run(scenario: &Scenario, rng: &mut impl Rng, trace: Trace) -> Trial {
    let mut world = World::new(scenario);
    world.next_call = world.gap(rng);
    loop {
        let evidence = world.tick(rng);
        world.judge.absorb(&evidence);
        world.judge.advance(world.now());
        let verdict = world.verdict();
        if trace == Trace::Kept {
            world.note(&verdict);
        }
        world.act(&verdict);
        if let Some(ending) = world.ending() {
            return Trial {
                ending,
                lasted: world.elapsed,
                steps: world.steps,
                trace: world.trace,
            };
        }
    }
}

/// An environment with a rollout, its callers and its controller.
struct World<'a> {
    scenario: &'a Scenario,
    rollout: Rollout,
    judge: Judge,
    revision: Revision,
    /// Time since the start. The clock of this world never jumps.
    elapsed: Duration,
    entered_at: Duration,
    /// Since when the data has not been good enough.
    without_data_since: Option<Duration>,
    next_call: Duration,
    calls: u64,
    /// Outcomes by the time they happen.
    outcomes: BTreeMap<Duration, Vec<Outcome>>,
    steps: Vec<StepTrial>,
    trace: Vec<(Duration, f64)>,
}

impl<'a> World<'a> {
    fn new(scenario: &'a Scenario) -> Self {
        let revision = Revision(1);
        let commit = Commit {
            revision,
            now: Timestamp::UNIX_EPOCH,
        };
        let rollout = Rollout::start(scenario.plan.clone(), Slot::Green, commit);
        Self {
            scenario,
            judge: Judge::resume(&rollout),
            rollout,
            revision,
            elapsed: Duration::ZERO,
            entered_at: Duration::ZERO,
            without_data_since: Some(Duration::ZERO),
            next_call: Duration::ZERO,
            calls: 0,
            outcomes: BTreeMap::new(),
            steps: vec![StepTrial::default()],
            trace: Vec::new(),
        }
    }

    fn now(&self) -> Timestamp {
        at(self.elapsed)
    }

    /// Lets time pass until the next look, and gives what became known.
    fn tick(&mut self, rng: &mut impl Rng) -> Evidence {
        self.elapsed += TICK;
        let mut evidence = Evidence::default();
        while self.next_call <= self.elapsed {
            evidence.exposures.extend(self.call(self.next_call, rng));
            self.next_call += self.gap(rng);
        }
        let later = self
            .outcomes
            .split_off(&(self.elapsed + Duration::from_nanos(1)));
        evidence.outcomes = std::mem::replace(&mut self.outcomes, later)
            .into_values()
            .flatten()
            .collect();
        evidence
    }

    /// The time until the next call.
    fn gap(&self, rng: &mut impl Rng) -> Duration {
        let per_hour = f64::from(self.scenario.calls_per_hour);
        exponential(Duration::from_secs_f64(3_600.0 / per_hour), rng)
    }

    /// A call comes at `time`; its exposure, if there is a draw.
    fn call(&mut self, time: Duration, rng: &mut impl Rng) -> Option<Exposure> {
        let weight = self.rollout.weight();
        let arm = if rng.random_range(0..Weight::FULL.bps()) < weight.bps() {
            Arm::Candidate
        } else {
            Arm::Active
        };
        // One draw for both versions: what the call would have come to in the other one is known, too.
        let fate = rng.random_range(0..Weight::FULL.bps());
        let is_bad = ByArm {
            active: fate < self.scenario.active.bad.bps(),
            candidate: fate < self.scenario.candidate.bad.bps(),
        };
        self.calls += 1;
        if let Some(step) = self.steps.last_mut() {
            step.calls[arm] += 1;
            step.extra_bad += i64::from(is_bad[arm]) - i64::from(is_bad.active);
        }
        let conversation = ConversationHash(u128::from(self.calls));
        self.end_later(conversation, arm, time, is_bad[arm], rng);
        (weight != Weight::FULL).then(|| Exposure {
            conversation,
            assigned_at: at(time),
            revision: self.revision,
            weight,
            slot: arm.slot(Slot::Green),
            is_randomised: true,
        })
    }

    fn end_later(
        &mut self,
        conversation: ConversationHash,
        arm: Arm,
        time: Duration,
        is_bad: bool,
        rng: &mut impl Rng,
    ) {
        let callers: Callers = match arm {
            Arm::Active => self.scenario.active,
            Arm::Candidate => self.scenario.candidate,
        };
        let mean = if is_bad {
            callers.bad_after
        } else {
            callers.good_after
        };
        let end = time + exponential(mean, rng);
        if rng.random_range(0..Weight::FULL.bps()) < callers.reported.bps() {
            let bad = if is_bad {
                MetricSet::from(self.scenario.metric)
            } else {
                MetricSet::NONE
            };
            self.outcomes.entry(end).or_default().push(Outcome {
                conversation,
                at: at(end),
                bad,
            });
        }
    }

    fn verdict(&self) -> Verdict {
        let step = self
            .rollout
            .current_step()
            .unwrap_or(&self.scenario.plan.steps[0]);
        self.judge.verdict(step, self.now())
    }

    fn note(&mut self, verdict: &Verdict) {
        let harm = verdict
            .metrics
            .iter()
            .find(|finding| finding.metric == self.scenario.metric);
        self.trace
            .extend(harm.map(|finding| (self.elapsed, finding.harm.e.ln())));
    }

    /// What the controller does: one step, committed with what the judge knows.
    fn act(&mut self, verdict: &Verdict) {
        self.without_data_since = match verdict.data {
            Data::Fresh => None,
            _ => self.without_data_since.or(Some(self.elapsed)),
        };
        let timing = Timing {
            now: self.now(),
            in_step: self.elapsed - self.entered_at,
            without_data: self
                .without_data_since
                .map_or(Duration::ZERO, |since| self.elapsed - since),
        };
        if let Some(trial) = self.steps.last_mut() {
            trial.lasted = timing.in_step;
        }
        let Transition::Go(chosen) = step(&self.rollout, verdict, &timing) else {
            return;
        };
        let commit = Commit {
            revision: self.revision.next(),
            now: self.now(),
        };
        let before = self
            .rollout
            .clone()
            .with_record(self.judge.record().clone());
        // The move was chosen for this very state, so it is not refused.
        let Ok(after) = before.after(chosen, commit) else {
            return;
        };
        self.rollout = after;
        self.revision = commit.revision;
        self.judge.follow(&self.rollout);
        if chosen == Move::Advance {
            self.entered_at = self.elapsed;
            self.without_data_since = Some(self.elapsed);
            self.steps.push(StepTrial::default());
        }
    }

    fn ending(&self) -> Option<Ending> {
        match self.rollout.status {
            Status::Running { .. } => None,
            Status::Paused { cause, .. } => Some(Ending::Paused(cause)),
            Status::Finished => Some(Ending::Promoted),
            Status::Aborted(cause) => Some(Ending::Aborted(cause)),
        }
    }
}

fn at(elapsed: Duration) -> Timestamp {
    Timestamp::UNIX_EPOCH
        .checked_add(elapsed)
        .unwrap_or(Timestamp::MAX)
}

/// A time drawn from the exponential distribution with this mean.
fn exponential(mean: Duration, rng: &mut impl Rng) -> Duration {
    let uniform: f64 = rng.random();
    mean.mul_f64(-libm::log1p(-uniform))
}
