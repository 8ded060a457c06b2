//! One rollout before the controller: the hearing, and what its clock says.

use std::time::Duration;

use super::reason;
use crate::clock::Clock;
use crate::domain::freeze::Frozen;
use crate::domain::ids::{EnvironmentName, Reason, Revision};
use crate::domain::judge::trouble::Trouble;
use crate::domain::judge::verdict::{Data, Verdict};
use crate::domain::judge::{Judge, Record};
use crate::domain::rollout::{Move, Rollout, Status, Timing, Transition, step};
use crate::evidence::Hearing;
use crate::store::{Store, StoreError};

/// What one controller knows of a rollout.
#[derive(Debug)]
pub(super) struct Case {
    hearing: Hearing,
    /// The step that the rollout is in, and since when this controller has seen it there, by its own plan time.
    step: Option<(Revision, Duration)>,
    /// Since when verdicts in this step have said that the data is not good enough, by the same clock.
    unfit_since: Option<Duration>,
}

/// What follows from the evidence.
#[derive(Debug)]
pub(super) struct Chosen {
    pub(super) transition: Transition,
    /// Why, in words.
    pub(super) reason: Reason,
    /// What the judge knew.
    pub(super) record: Record,
}

impl Case {
    /// The case of a rollout that was not seen before.
    pub(super) fn open(environment: EnvironmentName, rollout: &Rollout) -> Self {
        Self {
            hearing: Hearing::open(environment, rollout),
            step: None,
            unfit_since: None,
        }
    }

    /// Whether it is the case of `rollout`.
    pub(super) fn is_about(&self, rollout: &Rollout) -> bool {
        self.hearing.is_about(rollout)
    }

    /// Takes note of where the rollout stands, and hears what is stored about it.
    pub(super) async fn hear(
        &mut self,
        rollout: &Rollout,
        store: &Store,
        clock: &dyn Clock,
    ) -> Result<(), StoreError> {
        let plan_time = clock.plan_time();
        if self
            .step
            .is_none_or(|(entered, _)| entered != rollout.entered())
        {
            self.step = Some((rollout.entered(), plan_time));
            self.unfit_since = None;
        }
        self.hearing.follow(rollout);
        self.hearing.hear(store, clock.now(), plan_time).await
    }

    /// The judge, who has heard what there was.
    pub(super) fn judge(&self) -> &Judge {
        self.hearing.judge()
    }

    /// What the rollout does next, analytics being in `trouble` and while `frozen` is in force; `None` if it is over.
    pub(super) fn choose(
        &mut self,
        rollout: &Rollout,
        trouble: Option<Trouble>,
        frozen: Option<Frozen>,
        clock: &dyn Clock,
    ) -> Option<Chosen> {
        let (now, plan_time) = (clock.now(), clock.plan_time());
        let judge = self.hearing.judge();
        let verdict = judge.verdict(rollout.current_step()?, now);
        let verdict = verdict.in_trouble(trouble);
        self.unfit_since = match verdict.data {
            Data::Fresh => None,
            _ => self.unfit_since.or(Some(plan_time)),
        };
        let passed = |since: Duration| plan_time.saturating_sub(since);
        let timing = Timing {
            now,
            in_step: self.step.map_or(Duration::ZERO, |(_, since)| passed(since)),
            without_data: self.unfit_since.map_or(Duration::ZERO, passed),
        };
        let transition = step(rollout, &verdict, &timing).while_frozen(frozen);
        Some(Chosen {
            reason: why(rollout, &transition, &verdict),
            record: judge.record().clone(),
            transition,
        })
    }

    /// Takes note that what was chosen is committed.
    pub(super) fn committed(&mut self, rollout: &Rollout) {
        self.hearing.committed(rollout);
    }
}

/// The reason for a step as the history shows it: what was decided, then the verdict.
fn why(rollout: &Rollout, transition: &Transition, verdict: &Verdict) -> Reason {
    let step = match rollout.status {
        Status::Running { step, .. } | Status::Paused { step, .. } => step + 1,
        Status::Finished | Status::Aborted(_) => rollout.plan.steps.len(),
    };
    let steps = rollout.plan.steps.len();
    let what = match transition {
        Transition::Hold(_) => "it waits".to_owned(),
        Transition::Go(Move::Advance) => format!("all conditions of step {step} of {steps} hold"),
        Transition::Go(Move::Finish) => "all conditions of the last step hold".to_owned(),
        Transition::Go(Move::Pause(cause)) => format!("paused: {cause}"),
        Transition::Go(Move::Abort(cause)) => format!("aborted: {cause}"),
    };
    reason(&format!("{what}; {verdict}"))
}
