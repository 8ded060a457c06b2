//! Freeze windows: what they hold up, and what they never do.

use proptest::prelude::*;

use super::*;
use crate::domain::command::{AddFreeze, RemoveFreeze};
use crate::domain::environment::strategy::{changes, reached};
use crate::domain::freeze::{Freeze, Freezes, Frozen, MAX_FREEZES, Place};
use crate::domain::ids::FreezeNumber;
use crate::domain::rollout::command::{PauseRollout, PromoteRollout, ResumeRollout};
use crate::domain::rollout::{Move, Promotion, Transition, Wait};

impl World {
    /// Frozen from the next minute to the eleventh.
    fn soon_frozen(self) -> Self {
        let freeze = freeze(self.in_minutes(1), self.in_minutes(11));
        self.next_revision().after(freeze)
    }

    fn frozen(self) -> Self {
        self.soon_frozen().minutes_later(1)
    }

    fn next_revision(mut self) -> Self {
        self.context.revision = self.context.revision.next();
        self
    }
}

fn freeze(start: Timestamp, end: Timestamp) -> AddFreeze {
    AddFreeze {
        start: Some(start),
        end,
        reason: "Black Friday".parse().unwrap(),
    }
}

#[track_caller]
fn assert_frozen(world: &World, command: impl Into<Command>) {
    let refusal = world.refusal(command);
    assert!(matches!(refusal, Refusal::Frozen(_)), "{refusal:?}");
}

#[test]
fn while_it_is_in_force_nobody_moves_callers_to_the_candidate() {
    let world = World::released().soon_frozen();
    assert!(world.apply(cutover()).is_ok(), "not yet");
    let world = world.minutes_later(1);
    assert_frozen(&world, cutover());
    assert_frozen(&world, weight("1"));
    assert_frozen(&world, StartRollout::default());
    assert_eq!(
        world.refusal(cutover()).to_string(),
        "freeze window 2 until 2026-11-23T12:11:00Z (Black Friday) lets no callers be moved to the candidate; wait, or remove \
         it. Rollback, abort and pause work as ever"
    );
    let world = world.minutes_later(9);
    assert_frozen(&world, cutover());
    let after = world.minutes_later(1).after(cutover());
    assert!(after.environment().freezes.is_empty(), "it is over");
}

#[test]
fn a_rollout_is_neither_moved_on_nor_resumed_and_can_be_paused_and_aborted() {
    let world = World::released()
        .next_revision()
        .after(StartRollout::default())
        .frozen();
    let now = PromoteRollout {
        when: Promotion::Now,
    };
    assert_frozen(&world, now);
    assert_frozen(&world, world.step(Move::Advance));
    let paused = world.clone().after(PauseRollout {});
    assert_frozen(&paused, ResumeRollout {});
    for way_out in [
        Command::from(AbortRollout::default()),
        Rollback::default().into(),
    ] {
        let back = paused.clone().after(way_out);
        assert_eq!(back.environment().weight, Weight::ZERO);
    }
}

#[test]
fn a_weight_can_be_lowered_and_calls_be_taken_back_from_the_candidate() {
    let world = World::released().after(weight("50")).frozen();
    assert_frozen(&world, weight("50.01"));
    assert_eq!(world.unchanged(weight("50")), Unchanged::SameWeight);
    world.clone().after(weight("49.99"));
    let all_to_active = Cutover {
        to: Some(Blue),
        ..Cutover::default()
    };
    world.after(all_to_active);
    let swapped = World::released().after(cutover()).frozen();
    let back = swapped.after(Rollback::default());
    assert_eq!(back.environment().active, Blue);
}

#[test]
fn windows_are_numbered_by_their_revisions_and_removed_by_their_numbers() {
    let world = World::released().soon_frozen().soon_frozen();
    let numbers = |world: &World| -> Vec<u64> {
        let freezes = world.environment().freezes.iter();
        freezes.map(|(number, _)| number.0).collect()
    };
    assert_eq!(numbers(&world), [2, 3]);
    let remove = |number| RemoveFreeze {
        number: FreezeNumber(number),
    };
    let world = world.after(remove(2));
    assert_eq!(numbers(&world), [3]);
    assert_eq!(world.unchanged(remove(2)), Unchanged::NoSuchFreeze);
}

#[test]
fn a_window_has_a_length_and_does_not_lie_in_the_past_and_there_are_not_too_many() {
    let mut world = World::released();
    let (now, later) = (world.in_minutes(0), world.in_minutes(1));
    let past = world.in_minutes(-1);
    for (start, end) in [(later, later), (later, now), (past, now)] {
        assert_eq!(world.refusal(freeze(start, end)), Refusal::FreezeSpan);
    }
    for _ in 0..MAX_FREEZES {
        world = world.next_revision().after(freeze(past, later));
    }
    let one_more = freeze(now, later);
    assert_eq!(world.refusal(one_more.clone()), Refusal::TooManyFreezes);
    let at_once = AddFreeze {
        start: None,
        end: world.in_minutes(2),
        ..one_more
    };
    let world = world.minutes_later(1).next_revision().after(at_once);
    let (_, only) = world.environment().freezes.iter().next().unwrap();
    assert_eq!(only.start, world.in_minutes(0));
}

#[test]
fn of_several_in_force_the_one_that_ends_last_counts() {
    let world = World::released();
    let span = |from, to| Freeze {
        start: world.in_minutes(from),
        end: world.in_minutes(to),
        reason: "r".parse().unwrap(),
    };
    let all = [span(0, 5), span(-9, 8), span(2, 20), span(-9, -1)];
    let numbered = (1..).map(FreezeNumber).zip(all);
    let frozen = Frozen::of(
        &numbered.collect::<Freezes>(),
        Place::Environment,
        world.context.now,
    )
    .unwrap();
    assert_eq!(
        (frozen.number, frozen.until),
        (FreezeNumber(2), world.in_minutes(8))
    );
}

#[test]
fn a_window_of_the_deployment_holds_here_too() {
    let mut world = World::released();
    let until = world.in_minutes(30);
    let of_deployment = Frozen {
        place: Place::Deployment,
        number: FreezeNumber(4),
        until,
        reason: "Christmas".parse().unwrap(),
    };
    world.context.frozen = Some(of_deployment.clone());
    assert_eq!(
        world.refusal(cutover()),
        Refusal::Frozen(of_deployment.clone())
    );
    assert_eq!(
        of_deployment.to_string(),
        "freeze window 4 of the deployment until 2026-11-23T12:30:00Z (Christmas)"
    );
    let own = world.frozen();
    assert_eq!(
        own.refusal(cutover()),
        Refusal::Frozen(of_deployment),
        "the one that ends last is named"
    );
}

#[test]
fn a_transition_holds_if_it_leads_on_and_goes_if_it_leads_back() {
    let world = World::released().frozen();
    let frozen = world.environment().frozen(None, world.context.now);
    let wait = Wait::Freeze(frozen.clone().unwrap());
    assert_eq!(
        wait.to_string(),
        "the end of freeze window 2 until 2026-11-23T12:11:00Z (Black Friday)"
    );
    let while_frozen = |transition: Transition| transition.while_frozen(frozen.clone());
    for forward in [Move::Advance, Move::Finish] {
        assert_eq!(
            while_frozen(Transition::Go(forward)),
            Transition::Hold(vec![wait.clone()])
        );
        let free = Transition::Go(forward);
        assert_eq!(free.clone().while_frozen(None), free);
    }
    let abort = Transition::Go(Move::Abort(crate::domain::rollout::AbortCause::FastLane));
    assert_eq!(while_frozen(abort.clone()), abort);
    assert_eq!(
        while_frozen(Transition::Hold(vec![Wait::Gate])),
        Transition::Hold(vec![Wait::Gate, wait])
    );
    let over = Transition::Hold(vec![Wait::Over]);
    assert_eq!(while_frozen(over.clone()), over);
}

proptest! {
    #[test]
    fn while_frozen_only_a_rollback_gives_a_version_more_callers(state in reached(), command in changes()) {
        let now = state.context.now;
        let mut state = state;
        let window = Freeze { start: now, end: now + SignedDuration::from_mins(1), reason: "r".parse().unwrap() };
        state.environment.freezes = [(FreezeNumber(1), window)].into_iter().collect();
        if let Ok(Change::To(Some(after))) = state.apply(&command)
            && !matches!(command, Command::Rollback(_))
        {
            prop_assert_eq!(after.active, state.environment.active);
            prop_assert!(after.weight <= state.environment.weight);
        }
    }

    #[test]
    fn what_takes_callers_back_asks_no_window(state in reached(), keep_calls: bool) {
        let now = state.context.now;
        let window = Freeze { start: now, end: now + SignedDuration::from_mins(1), reason: "r".parse().unwrap() };
        let windows: Freezes = [(FreezeNumber(1), window)].into_iter().collect();
        let (mut frozen, mut free) = (state.clone(), state);
        frozen.environment.freezes = windows.clone();
        free.environment.freezes = Freezes::default();
        let ways_out: [Command; 3] = [
            Rollback { keep_calls }.into(),
            AbortRollout { keep_calls }.into(),
            PauseRollout {}.into(),
        ];
        for way_out in ways_out {
            let with_window = |change| match change {
                Change::To(Some(after)) => Change::To(Some(Environment { freezes: windows.clone(), ..after })),
                other => other,
            };
            prop_assert_eq!(frozen.apply(&way_out), free.apply(&way_out).map(with_window));
        }
    }
}
