//! Controllers: what they carry out, whoever else runs, whatever fails.
//!
//! The simulation ([`arena`]) runs rollouts with calls, replicas, operators and several controllers under a clock that only moves
//! when it is told to. What counts as a failure is in [`truth`]: it knows every call and every moment, and checks each commit of a
//! controller against them.

mod arena;
mod truth;

use std::time::Duration;

use libtest_mimic::Trial;
use traffic_cop::clock::Clock as _;
use traffic_cop::controller::Tick;
use traffic_cop::domain::rollout::{End, Status};

use crate::support::engine::{self, cases, environment_variable};
use crate::support::random::{SEED, seed};
use crate::support::{Engine, World};
use arena::{Arena, Callers, Fate, Storm, plan};

cases![
    a_harmless_candidate_is_promoted_step_by_step,
    silence_never_promotes,
    a_candidate_that_harms_is_taken_back,
    one_of_two_controllers_leads_and_the_other_takes_over_when_it_is_gone,
    a_controller_that_takes_over_begins_the_bake_time_again,
    a_crash_at_any_request_of_a_step_neither_loses_nor_doubles_it,
    evidence_that_cannot_be_read_holds_the_rollout,
    a_clock_that_jumps_promotes_nothing,
    operators_have_the_last_word,
    a_freeze_window_holds_a_rollout_until_it_ends_and_saves_nobody_who_harms,
    rollouts_in_a_storm_break_no_promise,
    a_dropped_condition_is_noticed,
];

/// Storms for every change.
const FEW: u64 = 20;
/// Storms of the proof.
const MANY: u64 = 1_000;
/// Says how many storms the proof has.
const HOW_MANY: &str = "TRAFFIC_COP_TEST_STORMS";

async fn a_harmless_candidate_is_promoted_step_by_step(world: &mut World) {
    let mut arena = Arena::start(world, 1, Callers::healthy(), Storm::NONE).await;
    arena.run_until_over(100).await.expect("every promise kept");
    assert_eq!(arena.rollout().end(), Some(End::Finished));
    let actions = arena.actions().await;
    assert_eq!(
        actions,
        [
            "create",
            "register",
            "start_rollout",
            "advance_rollout",
            "advance_rollout",
            "finish_rollout"
        ]
    );
}

async fn silence_never_promotes(world: &mut World) {
    for callers in [Callers::silent(), Callers::none(), Callers::silent_green()] {
        let mut arena = Arena::start(world, 1, callers, Storm::NONE).await;
        arena.run(60).await.expect("every promise kept");
        let rollout = arena.rollout();
        assert!(
            matches!(
                rollout.status,
                Status::Running { step: 0, .. } | Status::Paused { step: 0, .. }
            ),
            "{callers:?}: {:?}",
            rollout.status
        );
        arena.end().await;
    }
}

async fn a_candidate_that_harms_is_taken_back(world: &mut World) {
    let mut arena = Arena::start(world, 1, Callers::with_a_dead_green(), Storm::NONE).await;
    arena.run_until_over(20).await.expect("every promise kept");
    assert_eq!(arena.rollout().end(), Some(End::Aborted));
    let calls = arena.calls_to_green();
    assert!(calls < 40, "{calls} calls to a green that is dead");
}

async fn one_of_two_controllers_leads_and_the_other_takes_over_when_it_is_gone(world: &mut World) {
    let mut arena = Arena::start(world, 2, Callers::none(), Storm::NONE).await;
    let [mut first, mut second] = arena.take_two_controllers();
    assert_eq!(first.tick().await, Ok(Tick::Led(0)));
    for _ in 0..20 {
        world_second(&arena);
        assert_eq!(first.tick().await, Ok(Tick::Led(0)));
        assert_eq!(second.tick().await, Ok(Tick::Following));
    }
    // The first is killed.
    let mut seconds = 0;
    while second.tick().await == Ok(Tick::Following) {
        world_second(&arena);
        seconds += 1;
    }
    assert!((7..=11).contains(&seconds), "{seconds} s");
    assert_eq!(first.tick().await, Ok(Tick::Following), "it comes back");
    // One that ends in good order keeps nobody waiting.
    second.end().await;
    assert_eq!(first.tick().await, Ok(Tick::Led(0)));
}

fn world_second(arena: &Arena<'_>) {
    arena.world.clock.advance(Duration::from_secs(1));
}

async fn a_controller_that_takes_over_begins_the_bake_time_again(world: &mut World) {
    let mut arena = Arena::start(world, 1, Callers::content(), Storm::NONE).await;
    let bake = plan().steps[0].bake();
    arena.run_until_due().await.expect("every promise kept");
    arena.restart_controllers().await;
    let since = arena.world.clock.monotonic();
    arena
        .run_until_revision_moves(100)
        .await
        .expect("an advance");
    assert!(arena.world.clock.monotonic() - since >= bake);
    assert!(matches!(
        arena.rollout().status,
        Status::Running { step: 1, .. }
    ));
}

async fn a_crash_at_any_request_of_a_step_neither_loses_nor_doubles_it(world: &mut World) {
    let mut arena = Arena::start(world, 1, Callers::content(), Storm::NONE).await;
    let mut crashes = 0;
    for fate in [Fate::NotDelivered, Fate::Delivered] {
        for request in 1.. {
            arena.end().await;
            arena.start_again().await;
            // The next tick advances.
            arena.run_until_due().await.expect("every promise kept");
            let before = arena.rollout().entered();
            let has_crashed = arena.crash_during_tick(request, fate).await;
            arena.world.clock.advance(Duration::from_secs(11));
            arena.restart_controllers().await;
            arena
                .run_until_revision_moves_from(before, 100)
                .await
                .expect("every promise kept");
            let status = arena.rollout().status;
            assert!(
                matches!(status, Status::Running { step: 1, .. }),
                "request {request}, {fate:?}: {status:?}"
            );
            if !has_crashed {
                break;
            }
            crashes += 1;
        }
    }
    // The lease, the journal, outcomes, exposures, then at least the write.
    assert!(crashes >= 10, "{crashes} crashes");
}

async fn evidence_that_cannot_be_read_holds_the_rollout(world: &mut World) {
    let mut arena = Arena::start(world, 1, Callers::healthy(), Storm::NONE).await;
    arena.fail_reads_of_evidence();
    arena.run(40).await.expect("every promise kept");
    assert!(matches!(
        arena.rollout().status,
        Status::Running { step: 0, .. }
    ));
    arena.heal();
    arena.run_until_over(100).await.expect("every promise kept");
    assert_eq!(arena.rollout().end(), Some(End::Finished));
}

async fn a_clock_that_jumps_promotes_nothing(world: &mut World) {
    for hours in [-30, -1, 1, 5] {
        let mut arena = Arena::start(world, 1, Callers::healthy(), Storm::NONE).await;
        arena.run(2).await.expect("every promise kept");
        arena.set_controllers_clock(hours);
        arena.run(2).await.expect("every promise kept");
        let status = arena.rollout().status;
        assert!(
            matches!(status, Status::Running { step: 0, .. }),
            "{hours} h: {status:?}"
        );
        arena.end().await;
    }
}

async fn operators_have_the_last_word(world: &mut World) {
    let mut arena = Arena::start(world, 2, Callers::healthy(), Storm::NONE).await;
    arena.run(4).await.expect("every promise kept");
    arena.pause().await;
    arena.run(60).await.expect("every promise kept");
    assert!(matches!(
        arena.rollout().status,
        Status::Paused { step: 0, .. }
    ));
    arena.resume().await;
    arena.run_until_over(100).await.expect("every promise kept");
    assert_eq!(arena.rollout().end(), Some(End::Finished));
}

async fn a_freeze_window_holds_a_rollout_until_it_ends_and_saves_nobody_who_harms(
    world: &mut World,
) {
    let mut arena = Arena::start(world, 2, Callers::healthy(), Storm::NONE).await;
    arena.freeze(Duration::from_secs(60 * 60)).await;
    arena.run(118).await.expect("every promise kept");
    assert!(matches!(
        arena.rollout().status,
        Status::Running { step: 0, .. }
    ));
    arena.run(4).await.expect("every promise kept");
    assert!(matches!(
        arena.rollout().status,
        Status::Running { step: 1, .. }
    ));
    arena.run_until_over(100).await.expect("every promise kept");
    assert_eq!(arena.rollout().end(), Some(End::Finished));

    let mut arena = Arena::start(world, 1, Callers::with_a_dead_green(), Storm::NONE).await;
    arena.freeze(Duration::from_secs(60 * 60)).await;
    arena.run_until_over(20).await.expect("every promise kept");
    assert_eq!(arena.rollout().end(), Some(End::Aborted));
}

async fn rollouts_in_a_storm_break_no_promise(world: &mut World) {
    let first = seed();
    let mut ends = Vec::new();
    for number in 0..FEW {
        ends.push(storm(world, first.wrapping_add(number)).await);
    }
    // Storms have to let something through, or nothing is shown.
    let moved = ends.iter().filter(|steps| **steps > 0).count();
    assert!(moved * 3 >= ends.len(), "{ends:?}; {SEED}={first}");
}

/// One storm: how many steps controllers took in it.
async fn storm(world: &World, seed: u64) -> usize {
    let callers = Callers::drawn(seed);
    let mut arena = Arena::start(world, 2, callers, Storm::of(seed)).await;
    let outcome = arena.run(32).await;
    outcome.unwrap_or_else(|why| panic!("run again with {SEED}={seed}\n{callers:?}\n{why}"));
    arena.heal();
    // What is left of it finds its end, one way or another, or waits for a person.
    let outcome = arena.run(12).await;
    outcome.unwrap_or_else(|why| panic!("run again with {SEED}={seed}\n{callers:?}\n{why}"));
    let steps = arena.steps();
    arena.end().await;
    steps
}

/// The checks have to fail where somebody takes a step without its condition, or they prove nothing.
async fn a_dropped_condition_is_noticed(world: &mut World) {
    let storm = Storm::DROPPED_CONDITION;
    let mut arena = Arena::start(world, 1, Callers::healthy(), storm).await;
    let why = arena
        .run_until_over(100)
        .await
        .expect_err("a step too soon");
    assert!(why.contains("bake"), "{why}");
}

/// The proof: many storms. Ignored by default; `.ci/proof` runs it.
#[expect(clippy::print_stdout, reason = "the figures are the result")]
pub(crate) fn proof() -> Trial {
    let name = "proof::rollouts_in_many_storms_break_no_promise";
    let run = || {
        let many = environment_variable(HOW_MANY)
            .map_or(MANY, |many| many.parse().expect("a whole number"));
        let steps = engine::runtime().block_on(async {
            let mut steps = 0;
            let mut world = World::start(Engine::Memory).await;
            for number in 0..many {
                // A world holds at most 256 environments, and a journal grows.
                if number % 100 == 99 {
                    world = World::start(Engine::Memory).await;
                }
                steps += storm(&world, seed().wrapping_add(number)).await;
            }
            steps
        });
        println!("{many} storms from seed {}: {steps} steps", seed());
        assert!(steps as u64 > many / 2, "{steps} steps");
        Ok(())
    };
    Trial::test(name, run).with_ignored_flag(true)
}
