//! A rollout: a planned ramp with a judge.
//!
//! What the state owns is where the ramp stands and what the judge knew when that was written. What the state does not own
//! is the traffic weight that is in force: the environment's weight is set to [`Rollout::weight`] in the same commit.
//!
//! Transitions consume a state and give the next, or refuse. The controller's are chosen by [`step()`]; people have the rest.

mod cause;
pub mod command;
pub mod limits;
pub mod percent;
pub mod plan;
mod step;
#[cfg(test)]
mod tests;

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use self::cause::{AbortCause, PauseCause};
pub use self::step::{Move, Timing, Transition, Wait, step};

use self::limits::OnPause;
use self::plan::{Gate, Plan, Step};
use super::ids::Revision;
use super::judge::record::Record;
use super::slot::Slot;
use super::weight::Weight;

/// The state of a rollout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rollout {
    /// What is planned. Fixed at the start.
    pub plan: Plan,
    /// The slot whose version is on trial.
    pub candidate: Slot,
    /// Where it stands.
    pub status: Status,
    /// When it started, or was last resumed: the maximum duration counts from here.
    pub going_since: Timestamp,
    /// What the judge knew at the last commit.
    pub record: Record,
}

/// Where a rollout stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Status {
    /// In a step.
    Running {
        /// Index of the step in the plan.
        step: usize,
        /// What a person has agreed to.
        promotion: Option<Promotion>,
    },
    /// Stopped in a step until a person decides. The judge goes on, and may still abort.
    Paused {
        /// Index of the step in the plan.
        step: usize,
        /// Why.
        cause: PauseCause,
        /// What became of the weight.
        weight: OnPause,
    },
    /// The candidate became the active version. Final.
    Finished,
    /// The candidate takes no new calls. Final.
    Aborted(AbortCause),
}

/// How a person lets a rollout leave its step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Promotion {
    /// Once everything else holds: opens the manual gate.
    WhenReady,
    /// At once, without waiting for time, calls, data or certificate; for evidence of harm or an unsound split it still does
    /// not, nor for calls that have not matured at 100 %.
    Now,
}

/// Why a rollout does not do what was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is none.
    #[error("there is no rollout; start one first")]
    None,
    /// It has left the step that a move was chosen for.
    #[error("the rollout has moved on since; look at it again")]
    MovedOn,
    /// It is final.
    #[error("the rollout is {0}; start a new one")]
    Over(End),
    /// It is paused already.
    #[error("the rollout is paused already")]
    AlreadyPaused,
    /// It is paused, and only runs on when resumed.
    #[error("the rollout is paused; resume it first")]
    Paused,
    /// It is not paused.
    #[error("the rollout is not paused")]
    NotPaused,
    /// The step needs nobody's consent.
    #[error("step {} has no manual gate; it is left when its conditions hold", .0 + 1)]
    NoGate(usize),
    /// There is no step to go on to.
    #[error("the rollout is in its last step; it can only finish")]
    LastStep,
    /// There are steps to go.
    #[error("the rollout is in step {} of {steps}; it finishes from the last", .step + 1)]
    StepsLeft {
        /// Index of the present step.
        step: usize,
        /// How many there are.
        steps: usize,
    },
}

/// How a rollout ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The candidate became active.
    Finished,
    /// It was given up.
    Aborted,
}

/// The commit that makes a change.
#[derive(Debug, Clone, Copy)]
pub struct Commit {
    /// The revision it makes.
    pub revision: Revision,
    /// Its time.
    pub now: Timestamp,
}

impl Rollout {
    /// A rollout in its first step.
    #[must_use]
    pub fn start(plan: Plan, candidate: Slot, commit: Commit) -> Self {
        let record = Record::new(&plan, commit.revision, commit.now);
        let status = Status::Running {
            step: 0,
            promotion: None,
        };
        Self {
            plan,
            candidate,
            status,
            going_since: commit.now,
            record,
        }
    }

    /// The traffic weight it calls for.
    #[must_use]
    pub fn weight(&self) -> Weight {
        match self.status {
            Status::Running { step, .. }
            | Status::Paused {
                step,
                weight: OnPause::Hold,
                ..
            } => self.plan.weight(step),
            Status::Paused {
                weight: OnPause::Zero,
                ..
            }
            | Status::Finished
            | Status::Aborted(_) => Weight::ZERO,
        }
    }

    /// How it ended, if it did.
    #[must_use]
    pub fn end(&self) -> Option<End> {
        match self.status {
            Status::Running { .. } | Status::Paused { .. } => None,
            Status::Finished => Some(End::Finished),
            Status::Aborted(_) => Some(End::Aborted),
        }
    }

    /// The step it is in, running or paused.
    #[must_use]
    pub fn current_step(&self) -> Option<&Step> {
        match self.status {
            Status::Running { step, .. } | Status::Paused { step, .. } => self.plan.steps.get(step),
            Status::Finished | Status::Aborted(_) => None,
        }
    }

    /// The revision that entered the present step. The step's bake time starts again whenever this changes.
    #[must_use]
    pub fn entered(&self) -> Revision {
        self.record.step.entered
    }

    /// The same with what the judge knows now, to be committed with the next transition.
    #[must_use]
    pub fn with_record(self, record: Record) -> Self {
        Self { record, ..self }
    }

    /// Stops, and leaves the rest to a person.
    ///
    /// # Errors
    /// It is paused already, or over.
    pub fn pause(self, cause: PauseCause) -> Result<Self, Refusal> {
        let weight = match cause {
            PauseCause::Harm(metric) | PauseCause::Late(metric) => self.plan.on_pause_for(metric),
            PauseCause::FastLane => self.plan.fast_lane.on_pause,
            PauseCause::Operator
            | PauseCause::Split
            | PauseCause::Reports
            | PauseCause::Maximum => self.plan.on_pause,
        };
        match self.running()? {
            Some((step, _)) => Ok(Self {
                status: Status::Paused {
                    step,
                    cause,
                    weight,
                },
                ..self
            }),
            None => Err(Refusal::AlreadyPaused),
        }
    }

    /// Goes on in the same step, from its beginning: bake time and calls are counted anew. The evidence is kept, and where it
    /// had reached its pause line the line becomes three times the evidence.
    ///
    /// # Errors
    /// It is not paused, or over.
    pub fn resume(mut self, commit: Commit) -> Result<Self, Refusal> {
        self.running()?
            .map_or(Ok(()), |_| Err(Refusal::NotPaused))?;
        let Status::Paused { step, .. } = self.status else {
            return Err(Refusal::NotPaused);
        };
        self.record.raise_lines(&self.plan);
        self.record.enter_step(commit.revision);
        Ok(Self {
            status: Status::Running {
                step,
                promotion: None,
            },
            going_since: commit.now,
            ..self
        })
    }

    /// Notes that a person wants the present step left.
    ///
    /// # Errors
    /// It is paused or over; or there is no gate that consent would open.
    pub fn promote(self, promotion: Promotion) -> Result<Self, Refusal> {
        let (step, _) = self.running()?.ok_or(Refusal::Paused)?;
        let has_gate = self
            .plan
            .steps
            .get(step)
            .is_some_and(|step| step.gate == Gate::Manual);
        if promotion == Promotion::WhenReady && !has_gate {
            return Err(Refusal::NoGate(step));
        }
        Ok(Self {
            status: Status::Running {
                step,
                promotion: Some(promotion),
            },
            ..self
        })
    }

    /// Enters the next step.
    ///
    /// # Errors
    /// It is paused or over, or there is no next step.
    pub fn advance(mut self, commit: Commit) -> Result<Self, Refusal> {
        let (step, _) = self.running()?.ok_or(Refusal::Paused)?;
        if step + 1 >= self.plan.steps.len() {
            return Err(Refusal::LastStep);
        }
        self.record.enter_step(commit.revision);
        Ok(Self {
            status: Status::Running {
                step: step + 1,
                promotion: None,
            },
            ..self
        })
    }

    /// Ends well: the candidate becomes the active version.
    ///
    /// # Errors
    /// It is paused or over, or not in its last step.
    pub fn finish(self) -> Result<Self, Refusal> {
        let (step, _) = self.running()?.ok_or(Refusal::Paused)?;
        let steps = self.plan.steps.len();
        if step + 1 < steps {
            return Err(Refusal::StepsLeft { step, steps });
        }
        Ok(Self {
            status: Status::Finished,
            ..self
        })
    }

    /// Gives up: the candidate takes no new calls. Giving up twice is giving up once, for the first cause.
    ///
    /// # Errors
    /// It has finished.
    pub fn abort(self, cause: AbortCause) -> Result<Self, Refusal> {
        match self.status {
            Status::Aborted(_) => Ok(self),
            Status::Finished => Err(Refusal::Over(End::Finished)),
            Status::Running { .. } | Status::Paused { .. } => Ok(Self {
                status: Status::Aborted(cause),
                ..self
            }),
        }
    }

    /// The step it runs in and what a person agreed to there; `None` if it is paused.
    fn running(&self) -> Result<Option<(usize, Option<Promotion>)>, Refusal> {
        match self.status {
            Status::Running { step, promotion } => Ok(Some((step, promotion))),
            Status::Paused { .. } => Ok(None),
            Status::Finished => Err(Refusal::Over(End::Finished)),
            Status::Aborted(_) => Err(Refusal::Over(End::Aborted)),
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Finished => "finished",
            Self::Aborted => "aborted",
        })
    }
}
