//! What the runs of a scenario come to.

pub(super) mod words;

use std::time::Duration;

use serde::Serialize;

use super::trial::{Ending, Trial};
use super::{Scenario, advice::Advice};
use crate::domain::judge::metric::Metric;
use crate::domain::judge::planning::calls_to_reach;
use crate::domain::rollout::percent::Percent;
use crate::domain::rollout::{AbortCause, PauseCause};
use crate::domain::weight::Weight;

/// What the runs of a scenario come to. Its [`Display`](std::fmt::Display) is a page of plain text.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// How many runs there were.
    pub runs: u32,
    /// The metric that goes wrong.
    pub metric: Metric,
    /// Calls per hour.
    pub calls_per_hour: u32,
    /// True bad-call rate of the active version.
    pub active_bad_percent: Percent,
    /// True bad-call rate of the candidate.
    pub candidate_bad_percent: Percent,
    /// Whether the candidate is worse by more than the plan tolerates. If not, stopping it for harm is a false alarm.
    pub is_harmful: bool,
    /// How the runs ended, as shares from 0 to 1.
    pub endings: Endings,
    /// When evidence of harm stopped the runs that it stopped.
    pub detection: Option<Detection>,
    /// What happened in each step.
    pub steps: Vec<StepReport>,
    /// Minutes that promoted runs took.
    pub minutes_to_promotion: Option<Quantiles>,
    /// Where the simulation departs from the plan.
    pub notes: Vec<&'static str>,
    /// What would serve better, if the plan does not do for these callers.
    pub advice: Option<Advice>,
    /// Runs to draw.
    #[serde(skip)]
    pub traces: Vec<(Ending, Vec<(Duration, f64)>)>,
}

/// How runs ended, as shares from 0 to 1. They add up to 1.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Endings {
    /// The candidate became active.
    pub promoted: f64,
    /// Paused on evidence of harm.
    pub paused_for_harm: f64,
    /// Given up on evidence of harm.
    pub aborted_for_harm: f64,
    /// Stopped because the maximum duration was over.
    pub out_of_time: f64,
    /// Stopped for anything else: the split, reports, or stale data.
    pub stopped_otherwise: f64,
}

/// When evidence of harm stopped the rollout.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Detection {
    /// Share of all runs, 0 to 1.
    pub share: f64,
    /// Calls that had come by then.
    pub calls: Quantiles,
    /// Those of them that the candidate took.
    pub candidate_calls: Quantiles,
    /// Minutes since the start.
    pub minutes: Quantiles,
}

/// What happened in one step. The means are over all runs, those that never got there included.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct StepReport {
    /// Its weight.
    pub weight: Weight,
    /// Share of runs that got there, 0 to 1.
    pub reached: f64,
    /// Share of runs that stopped there for harm, 0 to 1.
    pub stopped_for_harm: f64,
    /// Median minutes, of the runs that got there.
    pub minutes: f64,
    /// Median calls, of the runs that got there.
    pub calls: f64,
    /// Mean number of calls per run that ended badly and would not have without the candidate.
    pub extra_bad_calls: f64,
    /// About how many calls it takes at this weight until the harm is evident, by the planning formula.
    pub calls_to_detect: Option<f64>,
}

/// Where most of the values lie.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Quantiles {
    /// One in ten is at most this.
    pub p10: f64,
    /// One in two is at most this.
    pub median: f64,
    /// Nine in ten are at most this.
    pub p90: f64,
}

impl Quantiles {
    /// The quantiles of `values`; `None` without any.
    #[must_use]
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let last = values.len().checked_sub(1)?;
        // Nearest rank: a value that occurred. The product is within 0 to last.
        let at = |share: f64| values[(share * last as f64).round() as usize];
        Some(Self {
            p10: at(0.1),
            median: at(0.5),
            p90: at(0.9),
        })
    }
}

impl Report {
    /// Sums up `trials` of `scenario`.
    #[must_use]
    pub fn new(scenario: &Scenario, trials: &[Trial]) -> Self {
        let promoted = trials
            .iter()
            .filter(|trial| trial.ending == Ending::Promoted);
        Self {
            // Trials are counted in a u32 where they are made.
            runs: u32::try_from(trials.len()).unwrap_or(u32::MAX),
            metric: scenario.metric,
            calls_per_hour: scenario.calls_per_hour,
            active_bad_percent: scenario.active.bad,
            candidate_bad_percent: scenario.candidate.bad,
            is_harmful: scenario.is_harmful(),
            endings: Endings::of(trials),
            detection: Detection::of(trials),
            steps: (0..scenario.plan.steps.len())
                .map(|index| StepReport::of(scenario, trials, index))
                .collect(),
            minutes_to_promotion: Quantiles::of(promoted.map(|trial| minutes(trial.lasted))),
            notes: scenario.notes.clone(),
            advice: None,
            traces: trials
                .iter()
                .filter(|trial| !trial.trace.is_empty())
                .map(|trial| (trial.ending, trial.trace.clone()))
                .collect(),
        }
    }

    /// Share of runs that evidence of harm stopped, 0 to 1: false alarms if the candidate is harmless.
    #[must_use]
    pub fn stopped_for_harm(&self) -> f64 {
        self.endings.paused_for_harm + self.endings.aborted_for_harm
    }
}

impl Endings {
    fn of(trials: &[Trial]) -> Self {
        let mut endings = Self::default();
        let share = 1.0 / trials.len().max(1) as f64;
        for trial in trials {
            let counter = match trial.ending {
                Ending::Promoted => &mut endings.promoted,
                Ending::Paused(PauseCause::Maximum) | Ending::Aborted(AbortCause::Maximum) => {
                    &mut endings.out_of_time
                }
                Ending::Paused(_) if trial.ending.is_for_harm() => &mut endings.paused_for_harm,
                Ending::Aborted(_) if trial.ending.is_for_harm() => &mut endings.aborted_for_harm,
                Ending::Paused(_) | Ending::Aborted(_) => &mut endings.stopped_otherwise,
            };
            *counter += share;
        }
        endings
    }
}

impl Detection {
    fn of(trials: &[Trial]) -> Option<Self> {
        let stopped: Vec<&Trial> = trials
            .iter()
            .filter(|trial| trial.ending.is_for_harm())
            .collect();
        let calls = |trial: &&Trial| trial.calls();
        Some(Self {
            share: stopped.len() as f64 / trials.len() as f64,
            calls: Quantiles::of(
                stopped
                    .iter()
                    .map(calls)
                    .map(|calls| (calls.active + calls.candidate) as f64),
            )?,
            candidate_calls: Quantiles::of(
                stopped
                    .iter()
                    .map(calls)
                    .map(|calls| calls.candidate as f64),
            )?,
            minutes: Quantiles::of(stopped.iter().map(|trial| minutes(trial.lasted)))?,
        })
    }
}

impl StepReport {
    fn of(scenario: &Scenario, trials: &[Trial], index: usize) -> Self {
        let weight = scenario.plan.weight(index);
        let runs = trials.len().max(1) as f64;
        let steps = || {
            trials
                .iter()
                .filter_map(move |trial| trial.steps.get(index))
        };
        let stops = trials
            .iter()
            .filter(|trial| trial.ending.is_for_harm() && trial.steps.len() == index + 1);
        let median =
            |values: Vec<f64>| Quantiles::of(values).map_or(0.0, |quantiles| quantiles.median);
        let limit = scenario.limit();
        Self {
            weight,
            reached: steps().count() as f64 / runs,
            stopped_for_harm: stops.count() as f64 / runs,
            minutes: median(steps().map(|step| minutes(step.lasted)).collect()),
            calls: median(
                steps()
                    .map(|step| (step.calls.active + step.calls.candidate) as f64)
                    .collect(),
            ),
            extra_bad_calls: steps().map(|step| step.extra_bad).sum::<i64>() as f64 / runs,
            calls_to_detect: calls_to_reach(
                limit.pause_line(),
                weight,
                &scenario.rates(),
                limit.tolerance_points,
            ),
        }
    }
}

fn minutes(duration: Duration) -> f64 {
    duration.as_secs_f64() / 60.0
}
