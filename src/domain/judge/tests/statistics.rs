//! What the judge promises, tried on calls whose truth is known.
//!
//! The tests that run by default are small. Those marked as proof repeat them at full size and print their figures:
//! `cargo test --release judge::tests::statistics -- --ignored --nocapture --test-threads 1`.

mod proof;

use std::f64::consts::TAU;

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};

use crate::domain::judge::arm::{Arm, ByArm, Tally};
use crate::domain::judge::mixture::EValue;
use crate::domain::judge::planning::calls_to_reach;
use crate::domain::judge::process::{Harm, Harmlessness, Mismatch, SPLIT_ODDS};
use crate::domain::judge::rates::Rates;
use crate::domain::rollout::percent::Percent;
use crate::domain::weight::Weight;

const SEED: u64 = 20_261_123;

/// How the weight goes over the calls of a run.
#[derive(Debug, Clone, Copy)]
enum Split {
    Fixed(u16),
    /// 5, 25, 50 %, a third of the calls each.
    Ramp,
}

/// How the common rate goes over the calls of a run.
#[derive(Debug, Clone, Copy)]
enum Drift {
    Flat,
    /// A wave of half the rate, four times.
    Sine,
    /// Once, twice, three times the rate, a third of the calls each.
    Climb,
}

/// Imagined calls.
#[derive(Debug, Clone, Copy)]
struct Calls {
    split: Split,
    drift: Drift,
    /// Rate of the active version, before drift.
    base: f64,
    /// The candidate's rate as a multiple, at most 1.
    ratio: f64,
    number: u32,
}

impl Calls {
    fn weight(&self, index: u32) -> Weight {
        let bps = match self.split {
            Split::Fixed(bps) => bps,
            Split::Ramp => [500, 2_500, 5_000][(3 * index / self.number) as usize],
        };
        Weight::from_bps(bps).unwrap()
    }

    fn rates(&self, index: u32) -> Rates {
        let passed = f64::from(index) / f64::from(self.number);
        let active = match self.drift {
            Drift::Flat => self.base,
            Drift::Sine => self.base * (1.0 + 0.5 * (4.0 * TAU * passed).sin()),
            Drift::Climb => self.base * (1.0 + (3.0 * passed).floor()),
        };
        Rates {
            active,
            candidate: (active * self.ratio).min(1.0),
        }
    }

    /// The calls, one after another: weight, arm, and whether it ended badly.
    fn draw<'a>(
        &'a self,
        rng: &'a mut Xoshiro256PlusPlus,
    ) -> impl Iterator<Item = (Weight, Arm, bool)> + 'a {
        (0..self.number).map(|index| {
            let weight = self.weight(index);
            let is_candidate = rng.random_range(0..Weight::FULL.bps()) < weight.bps();
            let arm = if is_candidate {
                Arm::Candidate
            } else {
                Arm::Active
            };
            (weight, arm, rng.random::<f64>() < self.rates(index)[arm])
        })
    }
}

fn one_call(arm: Arm, is_bad: bool) -> ByArm<Tally> {
    let mut seen = ByArm::default();
    seen[arm] = Tally::one(is_bad);
    seen
}

/// Calls until the evidence of harm first reached a line.
#[derive(Debug, Clone, Copy)]
struct Crossing {
    calls: u32,
    candidate: u32,
}

/// Looks after every call, and gives the first time that the evidence reaches `line`.
fn first_crossing(
    calls: &Calls,
    tolerance: Percent,
    line: EValue,
    rng: &mut Xoshiro256PlusPlus,
) -> Option<Crossing> {
    let (mut harm, mut crossing) = (
        Harm::NEW,
        Crossing {
            calls: 0,
            candidate: 0,
        },
    );
    for (weight, arm, is_bad) in calls.draw(rng) {
        harm.observe(weight, tolerance, &one_call(arm, is_bad));
        crossing.calls += 1;
        crossing.candidate += u32::from(arm == Arm::Candidate);
        if harm.e().reaches(line) {
            return Some(crossing);
        }
    }
    None
}

/// Share of `runs` in which the evidence ever reaches the line of `alpha`.
fn alarms(calls: &Calls, tolerance: Percent, alpha: Percent, runs: u32, seed: u64) -> f64 {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let line = EValue::line(alpha);
    let crossed = (0..runs)
        .filter(|_| first_crossing(calls, tolerance, line, &mut rng).is_some())
        .count();
    crossed as f64 / f64::from(runs)
}

/// `alpha` and three standard errors of a share observed in `runs`.
fn bound(alpha: f64, runs: u32) -> f64 {
    alpha + 3.0 * (alpha * (1.0 - alpha) / f64::from(runs)).sqrt()
}

fn median(mut values: Vec<u32>) -> u32 {
    values.sort_unstable();
    values[values.len() / 2]
}

/// Every base rate, split and drift of the promise, with `number` calls per run.
fn harmless(number: u32) -> Vec<Calls> {
    let splits = [
        Split::Fixed(500),
        Split::Fixed(2_500),
        Split::Fixed(5_000),
        Split::Ramp,
    ];
    let mut all = Vec::new();
    for base in [0.02, 0.05, 0.10, 0.30] {
        for split in splits {
            for drift in [Drift::Flat, Drift::Sine, Drift::Climb] {
                all.push(Calls {
                    split,
                    drift,
                    base,
                    ratio: 1.0,
                    number,
                });
            }
        }
    }
    all
}

/// False alarms in every cell, and over all of them.
fn check_false_alarms(runs: u32, number: u32) -> f64 {
    let cells = harmless(number);
    let shares = cells.iter().zip(SEED..).map(|(calls, seed)| {
        let share = alarms(calls, Percent::ZERO, Percent::whole(5), runs, seed);
        assert!(
            share <= bound(0.05, runs),
            "{share} of {runs} runs alarm, seed {seed}: {calls:?}"
        );
        share
    });
    let mean = shares.sum::<f64>() / cells.len() as f64;
    let all = runs * cells.len() as u32;
    assert!(
        mean <= bound(0.05, all),
        "{mean} of {all} runs alarm, seeds from {SEED}"
    );
    mean
}

#[test]
fn a_harmless_candidate_is_rarely_accused_at_any_rate_split_and_drift() {
    check_false_alarms(40, 600);
}

#[test]
fn a_better_candidate_is_accused_even_less() {
    let calls = Calls {
        split: Split::Ramp,
        drift: Drift::Flat,
        base: 0.1,
        ratio: 0.7,
        number: 1_500,
    };
    let share = alarms(&calls, Percent::ZERO, Percent::whole(5), 200, SEED);
    assert!(share <= 0.03, "{share}, seed {SEED}");
}

#[test]
fn harm_within_the_tolerance_is_no_harm_and_beyond_it_is() {
    let calls = |ratio| Calls {
        split: Split::Fixed(5_000),
        drift: Drift::Flat,
        base: 0.1,
        ratio,
        number: 500,
    };
    let tolerance = Percent::whole(3);
    let tolerated = alarms(&calls(1.3), tolerance, Percent::whole(5), 60, SEED);
    assert!(tolerated <= bound(0.05, 60), "{tolerated}, seed {SEED}");
    let harmful = alarms(&calls(3.0), tolerance, Percent::whole(5), 40, SEED);
    assert!(harmful >= 0.9, "{harmful}, seed {SEED}");
}

#[test]
fn the_planning_formula_foretells_the_median() {
    check_planning(0.25, 2_500, 3.0, 200, 0.25);
    check_planning(0.5, 5_000, 2.0, 120, 0.25);
}

/// Compares the median number of calls until a pause with the formula, within `band`; gives both.
fn check_planning(w: f64, bps: u16, ratio: f64, runs: u32, band: f64) -> (f64, f64) {
    let calls = Calls {
        split: Split::Fixed(bps),
        drift: Drift::Flat,
        base: 0.05,
        ratio,
        number: 60_000,
    };
    let line = EValue::line(Percent::whole(5));
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(SEED);
    let crossings = (0..runs).filter_map(|_| first_crossing(&calls, Percent::ZERO, line, &mut rng));
    let simulated = f64::from(median(crossings.map(|crossing| crossing.calls).collect()));
    let planned = calls_to_reach(line, calls.weight(0), &calls.rates(0), Percent::ZERO).unwrap();
    let off = (planned / simulated - 1.0).abs();
    assert!(
        off <= band,
        "w {w}, x{ratio}: formula {planned}, simulation {simulated}, seed {SEED}"
    );
    (planned, simulated)
}

#[test]
fn a_dead_candidate_is_noticed_after_a_handful_of_its_own_calls() {
    let calls = Calls {
        split: Split::Fixed(500),
        drift: Drift::Flat,
        base: 0.02,
        ratio: 50.0,
        number: 5_000,
    };
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(SEED);
    let line = EValue::line(Percent::whole(1));
    let crossings = (0..200).filter_map(|_| first_crossing(&calls, Percent::ZERO, line, &mut rng));
    let own: Vec<u32> = crossings.map(|crossing| crossing.candidate).collect();
    assert_eq!(own.len(), 200);
    assert!(median(own.clone()) <= 5, "{}, seed {SEED}", median(own));
}

#[test]
fn a_split_of_six_percent_instead_of_five_is_noticed_and_the_right_one_is_not() {
    let line = EValue::line(Percent::whole(1));
    let set = Weight::from_bps(500).unwrap();
    let crossed = |drawn: u16, runs: u32, number: u32| {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(SEED);
        let notices = |rng: &mut Xoshiro256PlusPlus| {
            let mut split = Mismatch::NEW;
            (0..number).any(|_| {
                let is_candidate = rng.random_range(0..Weight::FULL.bps()) < drawn;
                split.observe(
                    &SPLIT_ODDS,
                    set,
                    if is_candidate {
                        Arm::Candidate
                    } else {
                        Arm::Active
                    },
                );
                split.e().reaches(line)
            })
        };
        (0..runs).filter(|_| notices(&mut rng)).count()
    };
    assert!(crossed(600, 10, 25_000) >= 9, "seed {SEED}");
    assert!(crossed(500, 50, 3_000) <= 3, "seed {SEED}");
}

#[test]
fn the_certificate_is_issued_to_the_harmless_and_withheld_from_the_harmful() {
    let certified = |candidate: f64, runs: u32| {
        let calls = Calls {
            split: Split::Fixed(5_000),
            drift: Drift::Flat,
            base: 0.05,
            ratio: candidate / 0.05,
            number: 1_200,
        };
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(SEED);
        let line = EValue::line(Percent::whole(5));
        let is_issued = |rng: &mut Xoshiro256PlusPlus| {
            let mut bet = Harmlessness::NEW;
            calls.draw(rng).any(|(weight, arm, is_bad)| {
                bet.observe(weight, Percent::whole(5), &one_call(arm, is_bad));
                bet.e().reaches(line)
            })
        };
        (0..runs).filter(|_| is_issued(&mut rng)).count() as f64 / f64::from(runs)
    };
    assert!(certified(0.05, 20) >= 0.8, "seed {SEED}");
    assert!(certified(0.10, 40) <= bound(0.05, 40), "seed {SEED}");
}

/// Share of runs with evidence for an abort when one of three replicas keeps drawing with 5 % while the others use 50 %, all
/// versions being alike; `believed` is the weight that the judge takes a call of the cut-off replica to be drawn with.
fn alarms_with_a_stale_replica(believed: u16, runs: u32, number: u32) -> f64 {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(SEED);
    let line = EValue::line(Percent::whole(1));
    let weights = [5_000, 5_000, 500_u16];
    let alarms = |rng: &mut Xoshiro256PlusPlus| {
        let mut harm = Harm::NEW;
        (0..number).any(|_| {
            let drawn = weights[rng.random_range(0..3_usize)];
            let is_candidate = rng.random_range(0..Weight::FULL.bps()) < drawn;
            let arm = if is_candidate {
                Arm::Candidate
            } else {
                Arm::Active
            };
            let is_bad = rng.random::<f64>() < 0.05;
            let weight = Weight::from_bps(if drawn == 500 { believed } else { drawn }).unwrap();
            harm.observe(weight, Percent::ZERO, &one_call(arm, is_bad));
            harm.e().reaches(line)
        })
    };
    (0..runs).filter(|_| alarms(&mut rng)).count() as f64 / f64::from(runs)
}

#[test]
fn a_replica_that_draws_with_an_old_weight_causes_no_false_alarm() {
    let with_its_own_weight = alarms_with_a_stale_replica(500, 60, 3_000);
    assert!(
        with_its_own_weight <= bound(0.01, 60),
        "{with_its_own_weight}, seed {SEED}"
    );
    let with_the_journals = alarms_with_a_stale_replica(5_000, 60, 3_000);
    println!("with the journal's weight: {with_the_journals}");
}

/// The order in which calls are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Assignment,
    /// Of their ends: what a dashboard that counts finished calls does.
    Completion,
}

/// Share of runs that accuse a green which is exactly as good and only slower: its good calls take twice as long.
fn alarms_of_a_slow_green(order: Order, runs: u32, number: u32) -> f64 {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(SEED);
    let calls = Calls {
        split: Split::Ramp,
        drift: Drift::Flat,
        base: 0.05,
        ratio: 1.0,
        number,
    };
    let line = EValue::line(Percent::whole(5));
    let alarms = |rng: &mut Xoshiro256PlusPlus| {
        let mut timed: Vec<(f64, (Weight, Arm, bool))> =
            calls.draw(rng).map(|call| (0.0, call)).collect();
        for (index, (time, (_, arm, is_bad))) in timed.iter_mut().enumerate() {
            let seconds = match (*is_bad, *arm) {
                (true, _) => 30.0 + 60.0 * rng.random::<f64>(),
                (false, Arm::Active) => 120.0 + 120.0 * rng.random::<f64>(),
                (false, Arm::Candidate) => 240.0 + 240.0 * rng.random::<f64>(),
            };
            *time = 2.0 * index as f64
                + if order == Order::Completion {
                    seconds
                } else {
                    0.0
                };
        }
        timed.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        let mut harm = Harm::NEW;
        timed.into_iter().any(|(_, (weight, arm, is_bad))| {
            harm.observe(weight, Percent::ZERO, &one_call(arm, is_bad));
            harm.e().reaches(line)
        })
    };
    (0..runs).filter(|_| alarms(&mut rng)).count() as f64 / f64::from(runs)
}

#[test]
fn a_green_that_is_only_slower_is_not_accused_in_the_order_of_assignment() {
    let share = alarms_of_a_slow_green(Order::Assignment, 80, 900);
    assert!(share <= bound(0.05, 80), "{share}, seed {SEED}");
    let by_completion = alarms_of_a_slow_green(Order::Completion, 80, 900);
    assert!(
        by_completion > share,
        "completion {by_completion}, assignment {share}, seed {SEED}"
    );
}
