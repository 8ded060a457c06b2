//! The whole system in one thread: several replicas with their controllers, callers and operators over a network, disks and
//! clocks that fail, all of it simulated, so that minutes pass in a second and everything follows from one seed.
//!
//! - [`network`] is the store's engine and the ways to it.
//! - [`deployment`] has processes that are started, killed and started again, and everybody who asks them something.
//! - [`truth`] knows what was said and acknowledged, and holds it against the promises (docs/SEMANTICS.md).
//!
//! `TRAFFIC_COP_TEST_SEED` runs one seed, `TRAFFIC_COP_TEST_SIMULATIONS` says how many there are.

#[path = "../support/mod.rs"]
mod support;

mod clock;
mod deployment;
mod network;
mod truth;

use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use deployment::{Course, run};
use network::Betrayal;
use support::engine::environment_variable;
use support::random::SEED;
use truth::Tally;

/// Simulations for every change.
const FEW: u64 = 20;
/// Those of the proof.
const MANY: u64 = 1_000;
/// Says how many there are.
const HOW_MANY: &str = "TRAFFIC_COP_TEST_SIMULATIONS";
/// How many of them are the same each time, from seed 0 on; what breaks one of these is seen again by whoever looks.
const FIXED: u64 = 10;
/// Seeds that have broken a promise before: none has yet.
const PAST: [u64; 0] = [];
/// How long a course takes, by its own clock.
const LENGTH: Duration = Duration::from_secs(30);

fn course(seed: u64) -> Course {
    Course {
        seed,
        length: LENGTH,
        betrayal: None,
    }
}

/// Runs the seed that is asked for, or so many, the first of them fixed and the others from a random one on, as many at a time as
/// there are processors.
fn keeps_every_promise(count: u64) -> Tally {
    let seeds: Vec<u64> = match environment_variable(SEED) {
        Some(seed) => vec![seed.parse().expect("a seed is a whole number")],
        None => {
            let fixed = FIXED.min(count);
            let first = u64::from(rand::random::<u32>());
            let random = first..first + count - fixed;
            PAST.into_iter().chain(0..fixed).chain(random).collect()
        }
    };
    let next = Mutex::new(seeds.into_iter());
    // Everything of a course is on one thread.
    let several = || {
        let mut total = Tally::default();
        loop {
            let seed = next.lock().expect("no holder panics").next();
            let Some(seed) = seed else { return total };
            match run(&course(seed)) {
                Ok(report) => total = total + report.tally,
                Err(broken) => panic!("{broken}\nrun again with {SEED}={seed}"),
            }
        }
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(several)).collect();
        let ended = running.into_iter().map(|thread| thread.join());
        // A thread that panicked has said why.
        ended.fold(Tally::default(), |total, ended| {
            total + ended.expect("every promise kept")
        })
    })
}

#[test]
fn whatever_fails_every_promise_is_kept() {
    println!("{}", keeps_every_promise(FEW));
}

#[test]
#[ignore = "a proof: see .ci/proof"]
fn whatever_fails_every_promise_is_kept_a_thousand_times() {
    let count = environment_variable(HOW_MANY);
    let count = count.map_or(MANY, |count| count.parse().expect("a number"));
    println!("{}", keeps_every_promise(count));
}

#[test]
fn a_seed_is_a_whole_course() {
    let trace = || run(&course(7)).expect("every promise kept").trace;
    let (first, second) = (trace(), trace());
    let differs = first.iter().zip(&second).position(|(a, b)| a != b);
    if let Some(place) = differs {
        let before = &first[place.saturating_sub(10)..place];
        panic!(
            "after {before:#?} follows {:?} or {:?}",
            first[place], second[place]
        );
    }
    assert_eq!(first.len(), second.len());
    assert!(first.len() > 500, "{} events", first.len());
}

/// A store that does not keep what it promises is noticed, each in its own way: so these checks can fail.
#[test]
fn a_store_that_breaks_its_own_promises_is_noticed() {
    for betrayal in [
        Betrayal::Forgets,
        Betrayal::ReadsFromThePast,
        Betrayal::WritesAgain,
    ] {
        let is_noticed = (0..20).any(|seed| {
            let betrayed = Course {
                betrayal: Some(betrayal),
                ..course(seed)
            };
            run(&betrayed).is_err()
        });
        assert!(is_noticed, "{betrayal:?}");
    }
}
