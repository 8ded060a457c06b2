//! What the commands of a rollout do to its environment.
//!
//! While a rollout is under way it alone decides about the weight and the candidate: each of its changes sets the weight it
//! calls for in the same commit, and other commands that would move callers are refused, but for a rollback.

use super::{Applied, Environment, Standing};
use crate::domain::rollout::command::{AbortRollout, PromoteRollout, StartRollout, StepRollout};
use crate::domain::rollout::{self, AbortCause, Commit, End, Move, PauseCause, Rollout, Status};
use crate::domain::{Change, Context, Refusal, Unchanged};

impl Environment {
    pub(super) fn start_rollout(mut self, start: &StartRollout, context: &Context) -> Applied {
        self.refuse_during_rollout()?;
        self.refuse_while_frozen(context)?;
        let candidate = self.candidate();
        self.admit(candidate, start.force_incompatible, context.now)?;
        self.follow(Rollout::start(
            start.plan.clone(),
            candidate,
            commit(context),
        ))
    }

    pub(super) fn pause_rollout(mut self) -> Applied {
        let rollout = self.take_rollout()?;
        match rollout.pause(PauseCause::Operator) {
            Err(rollout::Refusal::AlreadyPaused) => Ok(Change::Nothing(Unchanged::AlreadyPaused)),
            paused => self.follow(paused?),
        }
    }

    pub(super) fn resume_rollout(mut self, context: &Context) -> Applied {
        let rollout = self.take_rollout()?.resume(commit(context))?;
        self.refuse_while_frozen(context)?;
        self.follow(rollout)
    }

    pub(super) fn promote_rollout(
        mut self,
        promote: &PromoteRollout,
        context: &Context,
    ) -> Applied {
        let rollout = self.take_rollout()?.promote(promote.when)?;
        self.refuse_while_frozen(context)?;
        self.follow(rollout)
    }

    pub(super) fn abort_rollout(mut self, abort: &AbortRollout) -> Applied {
        let rollout = self.take_rollout()?;
        if matches!(rollout.status, Status::Aborted(_)) {
            return Ok(Change::Nothing(Unchanged::AlreadyAborted));
        }
        self.give_up(
            rollout.abort(AbortCause::Operator)?,
            Standing::RolledBack {
                keep_calls: abort.keep_calls,
            },
        )
    }

    pub(super) fn step_rollout(mut self, step: &StepRollout, context: &Context) -> Applied {
        let rollout = self.take_rollout()?;
        if rollout.entered() != step.entered {
            return Err(rollout::Refusal::MovedOn.into());
        }
        if step.chosen.is_forward() {
            self.refuse_while_frozen(context)?;
        }
        let after = rollout
            .with_record(step.record.clone())
            .after(step.chosen, commit(context))?;
        match step.chosen {
            Move::Advance | Move::Pause(_) => self.follow(after),
            Move::Finish => {
                self.activate(after.candidate);
                self.rollout = Some(Box::new(after));
                Ok(Change::To(Some(self)))
            }
            Move::Abort(_) => self.give_up(after, Standing::RolledBack { keep_calls: false }),
        }
    }

    /// Ends the rollout under way, if there is one, because a person takes the calls away. Returns whether there was.
    pub(super) fn absorb_rollout(&mut self) -> bool {
        let Some(rollout) = self.rollout_under_way().cloned() else {
            return false;
        };
        // One that is under way can always be given up.
        self.rollout = rollout.abort(AbortCause::Operator).ok().map(Box::new);
        true
    }

    /// Ends a rollout whose weight is no longer the one in force. A binary that does not know the rollout has rolled back: it
    /// changes the members it knows and leaves the rest as it stands.
    pub fn drop_overtaken_rollout(&mut self) {
        let is_overtaken = self.rollout_under_way().is_some_and(|rollout| {
            rollout.candidate != self.candidate() || rollout.weight() != self.weight
        });
        if is_overtaken {
            self.absorb_rollout();
        }
    }

    pub(super) fn refuse_during_rollout(&self) -> Result<(), Refusal> {
        match self.rollout_under_way() {
            Some(_) => Err(Refusal::RolloutUnderWay),
            None => Ok(()),
        }
    }

    fn take_rollout(&mut self) -> Result<Rollout, Refusal> {
        let rollout = self.rollout.take().ok_or(rollout::Refusal::None)?;
        Ok(*rollout)
    }

    /// Keeps `rollout` and sets the weight that it calls for.
    fn follow(mut self, rollout: Rollout) -> Applied {
        self.weight = rollout.weight();
        self.rollout = Some(Box::new(rollout));
        Ok(Change::To(Some(self)))
    }

    /// Takes the candidate's calls away and marks its version.
    fn give_up(mut self, aborted: Rollout, left: Standing) -> Applied {
        debug_assert_eq!(aborted.end(), Some(End::Aborted));
        self.mark(aborted.candidate, left);
        self.follow(aborted)
    }
}

fn commit(context: &Context) -> Commit {
    Commit {
        revision: context.revision,
        now: context.now,
    }
}
