//! What to do when a plan does not do for its callers.

use std::fmt;

use rand::Rng;
use serde::Serialize;

use super::report::words::percent;
use super::{Report, Scenario, simulate};
use crate::domain::rollout::percent::Percent;
use crate::domain::rollout::plan::{Plan, Step, Terms};
use crate::domain::weight::Weight;

/// A plan is not to promote harm of the size asked about more often than this.
const MOST_PROMOTED: f64 = 0.01;
/// How many times longer the steps are made, until the promise holds.
const STRETCHES: [u32; 9] = [2, 3, 4, 6, 8, 12, 16, 24, 48];
/// Runs per attempt: enough to tell half a percent from two.
const RUNS: u32 = 400;

/// What is wrong with a plan for these callers, and what would be right.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Advice {
    /// Share of rollouts that promote the harm asked about, 0 to 1.
    pub promoted: f64,
    /// Steps that are long enough, if any of a sensible length are.
    pub longer_steps: Option<LongerSteps>,
    /// The margin, in percentage points, of a certificate that keeps the promise at any volume if its `alpha_percent` is 1:
    /// the harm asked about lies in the certificate's null hypothesis.
    pub certificate_margin_points: Percent,
}

/// Steps that are long enough for the promise.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct LongerSteps {
    /// Minutes of bake time for the longest step below 100 %.
    pub bake_minutes: u32,
    /// About how many calls come in that time.
    pub calls_per_step: u64,
    /// Share of rollouts that then still promote the harm, 0 to 1.
    pub promoted: f64,
}

/// What to say about `report`, the outcome of `scenario`: nothing if the plan keeps its promise.
///
/// Tries longer steps by simulation, so it can take longer than the report itself. `progress` is told each attempt.
pub fn advise(
    scenario: &Scenario,
    report: &Report,
    rng: &mut impl Rng,
    mut progress: impl FnMut(u32),
) -> Option<Advice> {
    if !scenario.is_harmful() || report.endings.promoted <= MOST_PROMOTED {
        return None;
    }
    let longer_steps = STRETCHES.into_iter().find_map(|stretch| {
        progress(stretch);
        try_stretch(scenario, stretch, rng)
    });
    let excess = Percent::between(scenario.active.bad, scenario.candidate.bad);
    Some(Advice {
        promoted: report.endings.promoted,
        longer_steps,
        certificate_margin_points: excess.min(Percent::whole(50)),
    })
}

fn try_stretch(scenario: &Scenario, stretch: u32, rng: &mut impl Rng) -> Option<LongerSteps> {
    let plan = stretched(&scenario.plan, stretch)?;
    let bake_minutes = plan
        .steps
        .iter()
        .filter(|step| is_drawn(step))
        .map(|step| step.bake_minutes)
        .max()?;
    let longer = Scenario {
        plan,
        ..scenario.clone()
    };
    let promoted = simulate(&longer, RUNS, rng, |_| ()).endings.promoted;
    (promoted <= MOST_PROMOTED).then(|| LongerSteps {
        bake_minutes,
        calls_per_step: u64::from(scenario.calls_per_hour) * u64::from(bake_minutes) / 60,
        promoted,
    })
}

/// The plan with longer steps below 100 %, and more time for them; `None` if that is no plan any more.
fn stretched(plan: &Plan, stretch: u32) -> Option<Plan> {
    let mut terms: Terms = plan.clone().into_terms();
    for step in terms.steps.iter_mut().filter(|step| is_drawn(step)) {
        step.bake_minutes = step.bake_minutes.max(1).checked_mul(stretch)?;
    }
    terms.maximum_minutes = terms.maximum_minutes.checked_mul(stretch)?;
    Plan::new(terms).ok()
}

fn is_drawn(step: &Step) -> bool {
    step.weight != Weight::FULL
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "Warning: this plan promotes such a green in {} % of rollouts.",
            percent(self.promoted)
        )?;
        match &self.longer_steps {
            Some(LongerSteps {
                bake_minutes,
                calls_per_step,
                promoted,
            }) => {
                let share = percent(*promoted);
                writeln!(
                    f,
                    "With steps of {bake_minutes} minutes, about {calls_per_step} calls each, it would be {share} %."
                )?;
            }
            None => writeln!(
                f,
                "Steps of any sensible length do not help: there are too few calls."
            )?,
        }
        let margin = self.certificate_margin_points;
        writeln!(
            f,
            "Or ask for proof: with the certificate {{margin_points: {margin}, alpha_percent: 1}} it would be at most 1 %"
        )?;
        writeln!(
            f,
            "at any volume; a good green then waits until it has the calls to prove itself."
        )
    }
}
