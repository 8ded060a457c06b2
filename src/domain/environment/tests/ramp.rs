//! Rollouts: who decides about the weight while one is under way, and how each ends.

use super::*;
use crate::domain::rollout::command::{PauseRollout, PromoteRollout, ResumeRollout, StepRollout};
use crate::domain::rollout::{self, AbortCause, End, Move, PauseCause, Promotion, Rollout, Status};

impl World {
    /// Blue is active and holds v1, green holds v2 and is in the first step of the default plan.
    fn ramping() -> Self {
        Self::released().next(StartRollout::default())
    }

    /// After `command`, which makes the next revision.
    #[track_caller]
    fn next(mut self, command: impl Into<Command>) -> Self {
        self.context.revision = self.context.revision.next();
        self.after(command)
    }

    /// After what the controller does in the present step.
    #[track_caller]
    fn moves(self, chosen: Move) -> Self {
        let step = self.step(chosen);
        self.next(step)
    }

    pub(super) fn step(&self, chosen: Move) -> StepRollout {
        let rollout = self.rollout();
        StepRollout::of(rollout, chosen, rollout.record.clone())
    }

    #[track_caller]
    fn rollout(&self) -> &Rollout {
        self.environment().rollout.as_deref().expect("a rollout")
    }

    fn weight(&self) -> String {
        self.environment().weight.to_string()
    }
}

fn in_last_step() -> World {
    (0..3).fold(World::ramping(), |world, _| world.moves(Move::Advance))
}

#[test]
fn a_rollout_raises_the_weight_step_by_step_and_makes_the_candidate_active() {
    let mut world = World::ramping();
    for weight in ["5", "25", "50"] {
        assert_eq!(world.weight(), weight);
        world = world.moves(Move::Advance);
    }
    assert_eq!(world.weight(), "100");
    let world = world.moves(Move::Finish);
    let environment = world.environment();
    assert_eq!(
        (environment.active, environment.weight),
        (Green, Weight::ZERO)
    );
    assert_eq!(environment.previously_active, Some(label("v1")));
    assert_eq!(world.rollout().end(), Some(End::Finished));
    let world = world.after(rollback());
    assert_eq!(
        world.environment().active,
        Blue,
        "and it can be rolled back"
    );
}

#[test]
fn while_a_rollout_is_under_way_nothing_else_moves_callers() {
    let paused = World::ramping().next(PauseRollout {});
    let at_zero = World::ramping().moves(Move::Pause(PauseCause::FastLane));
    assert_eq!(at_zero.weight(), "0");
    for world in [World::ramping(), paused, at_zero] {
        let commands: [Command; 8] = [
            StartRollout::default().into(),
            weight("10").into(),
            weight("0").into(),
            cutover().into(),
            register("v3").into(),
            claim("v3").into(),
            rebind(Green, "other").into(),
            Delete {}.into(),
        ];
        for command in commands {
            assert_eq!(
                world.refusal(command.clone()),
                Refusal::RolloutUnderWay,
                "{command:?}"
            );
        }
    }
}

#[test]
fn a_rollback_ends_a_rollout_wherever_it_stands() {
    let at_zero = World::ramping().moves(Move::Pause(PauseCause::FastLane));
    for world in [World::ramping(), at_zero, in_last_step()] {
        let world = world.next(rollback());
        let environment = world.environment();
        assert_eq!(
            (environment.active, environment.weight),
            (Blue, Weight::ZERO)
        );
        assert_eq!(
            world.rollout().status,
            Status::Aborted(AbortCause::Operator)
        );
        assert_eq!(world.version(Green).standing, RECALLED);
        assert_eq!(world.unchanged(rollback()), Unchanged::AlreadyRolledBack);
    }
}

#[test]
fn an_abort_marks_the_version_whoever_decides_it() {
    let by_person = World::ramping().next(AbortRollout::default());
    let by_evidence = World::ramping().moves(Move::Abort(AbortCause::FastLane));
    for world in [by_person, by_evidence] {
        assert_eq!(world.weight(), "0");
        assert_eq!(world.version(Green).standing, RECALLED);
        assert_eq!(
            world.unchanged(AbortRollout::default()),
            Unchanged::AlreadyAborted
        );
        let world = world.next(StartRollout::default());
        assert_eq!(
            world.version(Green).standing,
            Standing::Good,
            "a new start is a new chance"
        );
    }
    let kept = World::ramping().next(AbortRollout { keep_calls: true });
    assert!(kept.version(Green).admits_own_calls());
}

#[test]
fn a_pause_does_to_the_weight_what_the_plan_says_and_resuming_gives_it_back() {
    let held = World::ramping().moves(Move::Advance).next(PauseRollout {});
    assert_eq!(held.weight(), "25");
    assert_eq!(held.unchanged(PauseRollout {}), Unchanged::AlreadyPaused);
    let at_zero = World::ramping()
        .moves(Move::Advance)
        .moves(Move::Pause(PauseCause::FastLane));
    assert_eq!(at_zero.weight(), "0");
    for world in [held, at_zero] {
        let world = world.next(ResumeRollout {});
        assert_eq!(world.weight(), "25");
        assert_eq!(
            world.rollout().entered(),
            world.context.revision,
            "the step begins again"
        );
    }
}

#[test]
fn a_move_chosen_for_another_step_is_refused() {
    let world = World::ramping();
    let late = world.step(Move::Advance);
    let world = world.moves(Move::Advance);
    assert_eq!(world.refusal(late), rollout::Refusal::MovedOn.into());
    let late = world.step(Move::Advance);
    let world = world.next(rollback());
    assert_eq!(
        world.refusal(late),
        rollout::Refusal::Over(End::Aborted).into()
    );
}

#[test]
fn what_a_rollout_does_not_allow_is_refused() {
    let none = World::released();
    for command in [
        Command::from(PauseRollout {}),
        ResumeRollout {}.into(),
        AbortRollout::default().into(),
    ] {
        assert_eq!(none.refusal(command), rollout::Refusal::None.into());
    }
    let empty = World::created().refusal(StartRollout::default());
    assert_eq!(empty, Refusal::SlotEmpty(Green));
    let when_ready = PromoteRollout {
        when: Promotion::WhenReady,
    };
    assert_eq!(
        World::ramping().refusal(when_ready),
        rollout::Refusal::NoGate(0).into()
    );
    let resumed = World::ramping().refusal(ResumeRollout {});
    assert_eq!(resumed, rollout::Refusal::NotPaused.into());
}

#[test]
fn the_findings_about_a_version_go_with_it() {
    let world = World::ramping().next(rollback()).next(register("v3"));
    assert!(world.environment().rollout.is_none());
}

#[test]
fn a_rollout_that_another_binary_has_rolled_back_unknowingly_is_over() {
    let mut environment = World::ramping().environment().clone();
    environment.weight = Weight::ZERO;
    environment.drop_overtaken_rollout();
    assert!(environment.rollout_under_way().is_none());
    assert_eq!(environment.inconsistency(), None);
}
