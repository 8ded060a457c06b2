//! A plan run against imagined callers, with the functions that judge real ones.
//!
//! Before a release: how often would this plan stop a release that is fine, how soon one that is not, and how many callers
//! would have paid for knowing? The imagined part is only the calls: they come at random, are drawn to a version with the
//! step's weight, end badly with that version's rate, and are reported or not. Everything from there on is
//! [`Judge`](super::judge::Judge) and [`rollout::step`](super::rollout::step).
//!
//! Randomness is an argument, so the same seed gives the same report.

pub mod advice;
pub mod picture;
pub mod report;
mod trial;

#[cfg(test)]
mod tests;

use std::time::Duration;

use rand::Rng;

pub use self::report::Report;
pub use self::trial::{Ending, Trial};

use super::judge::metric::Metric;
use super::judge::rates::Rates;
use super::rollout::limits::{HarmLimit, Source};
use super::rollout::percent::Percent;
use super::rollout::plan::{Gate, Plan};

/// How many runs are kept step by step, for the picture.
pub const TRACED_RUNS: u32 = 60;

/// What is imagined.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// The plan, as it is simulated.
    pub plan: Plan,
    /// The metric that goes wrong; the others never do.
    pub metric: Metric,
    /// Calls to the environment per hour, on average.
    pub calls_per_hour: u32,
    /// Callers of the active version.
    pub active: Callers,
    /// Callers of the candidate.
    pub candidate: Callers,
    /// Where the simulation departs from the plan.
    pub notes: Vec<&'static str>,
}

/// How calls of one version go.
#[derive(Debug, Clone, Copy)]
pub struct Callers {
    /// Share of calls that end badly.
    pub bad: Percent,
    /// Share of calls that report how they ended.
    pub reported: Percent,
    /// How long bad calls last on average.
    pub bad_after: Duration,
    /// How long the others last on average.
    pub good_after: Duration,
}

/// Why a scenario cannot be simulated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidScenario {
    /// The plan has no limit for the metric.
    #[error("the plan does not limit {0}, so nothing would be noticed")]
    Unlimited(Metric),
    /// No calls, or more than any contact centre has.
    #[error("calls per hour: expected 1 to 1000000")]
    CallsPerHour,
}

impl Callers {
    /// Callers of whom `bad` end badly, after a minute and a half on average; the others last four minutes. All report.
    #[must_use]
    pub fn with_bad(bad: Percent) -> Self {
        Self {
            bad,
            reported: Percent::whole(100),
            bad_after: Duration::from_secs(90),
            good_after: Duration::from_mins(4),
        }
    }
}

impl Scenario {
    /// The scenario of `plan` in which `metric` goes wrong.
    ///
    /// Manual gates are taken to be opened as soon as they are all that is waited for, and metrics that come from analytics
    /// to be reported per call: [`Self::notes`] says so.
    ///
    /// # Errors
    /// Nothing could be learned from it.
    pub fn new(
        plan: Plan,
        metric: Metric,
        calls_per_hour: u32,
        active: Callers,
        candidate: Callers,
    ) -> Result<Self, InvalidScenario> {
        if plan.limits[metric].is_none() {
            return Err(InvalidScenario::Unlimited(metric));
        }
        if !(1..=1_000_000).contains(&calls_per_hour) {
            return Err(InvalidScenario::CallsPerHour);
        }
        let (plan, notes) = simulated(plan);
        Ok(Self {
            plan,
            metric,
            calls_per_hour,
            active,
            candidate,
            notes,
        })
    }

    /// The limit of the metric that goes wrong.
    #[must_use]
    pub fn limit(&self) -> HarmLimit {
        self.plan.limits[self.metric].unwrap_or_default()
    }

    /// The true rates.
    #[must_use]
    pub fn rates(&self) -> Rates {
        Rates {
            active: self.active.bad.fraction(),
            candidate: self.candidate.bad.fraction(),
        }
    }

    /// Whether the candidate is worse by more than the plan tolerates, so that it should be stopped.
    #[must_use]
    pub fn is_harmful(&self) -> bool {
        self.candidate.bad.bps() > self.active.bad.bps() + self.limit().tolerance_points.bps()
    }
}

/// The plan with what cannot be simulated replaced, and what that was.
fn simulated(plan: Plan) -> (Plan, Vec<&'static str>) {
    let (mut terms, mut notes) = (plan.clone().into_terms(), Vec::new());
    if terms.steps.iter().any(|step| step.gate == Gate::Manual) {
        notes.push("manual gates are taken to be opened as soon as everything else holds");
        terms
            .steps
            .iter_mut()
            .for_each(|step| step.gate = Gate::Automatic);
    }
    for (_, limit) in terms.limits.iter_mut() {
        if let Some(limit) = limit.as_mut().filter(|limit| limit.source.is_approximate()) {
            notes.push("a metric that comes from analytics is taken to be reported per call; the real one is slower");
            limit.source = Source::Outcomes;
        }
    }
    notes.dedup();
    // A plan stays valid when its gates open by themselves and its metrics come per call.
    (Plan::new(terms).unwrap_or(plan), notes)
}

/// Runs `scenario` so many times. `progress` is told after each run how many are done.
pub fn simulate(
    scenario: &Scenario,
    runs: u32,
    rng: &mut impl Rng,
    mut progress: impl FnMut(u32),
) -> Report {
    let trials = (0..runs).map(|index| {
        let trial = trial::run(
            scenario,
            rng,
            if index < TRACED_RUNS {
                Trace::Kept
            } else {
                Trace::Dropped
            },
        );
        progress(index + 1);
        trial
    });
    let trials: Vec<Trial> = trials.collect();
    Report::new(scenario, &trials)
}

/// Whether a run is kept step by step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trace {
    Kept,
    Dropped,
}
