//! A step is left only if every precondition held: tried on streams of evidence with every defect we could think of.
//!
//! The judge's own account is not believed. A reference works out from what was delivered, and when, which calls count and
//! what they prove: slowly, from the words of the specification, with nothing shared but the types of the evidence.

use std::time::Duration;

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};

use super::*;
use crate::domain::judge::Judge;
use crate::domain::judge::evidence::{ConversationHash, Evidence, Exposure, Outcome};
use crate::domain::judge::metric::MetricSet;
use crate::domain::judge::mixture::EValue;
use crate::domain::judge::verdict::{Data, Verdict};
use crate::domain::rollout::percent::Percent;
use crate::domain::rollout::plan::Terms;

const TICK_SECONDS: i64 = 30;
/// Horizon of the plans below; their grace is none.
const MATURITY_SECONDS: i64 = 60;

/// Streams per run; enough that each defect meets each other one.
const STREAMS: u64 = 100_000;

#[test]
fn a_step_is_left_only_if_every_precondition_held() {
    let threads = 4;
    let left: u64 = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|thread| {
                scope.spawn(move || {
                    (0..STREAMS / threads)
                        .map(|n| Stream::run(n * threads + thread))
                        .sum::<u64>()
                })
            })
            .collect();
        workers
            .into_iter()
            .map(|worker| worker.join().expect("a stream failed; its seed is above"))
            .sum()
    });
    // Or the test would prove nothing.
    assert!(
        left > STREAMS / 20,
        "only {left} steps were left in {STREAMS} streams"
    );
}

/// One rollout with a controller, and everything it was told.
struct Stream {
    seed: u64,
    rng: Xoshiro256PlusPlus,
    rollout: Rollout,
    judge: Judge,
    revision: u64,
    conversations: u64,
    /// By the clock that never jumps.
    seconds: i64,
    entered_at: i64,
    /// How far the controller's other clock is off.
    clock_error: i64,
    /// What is under way, by the tick it arrives in.
    under_way: Vec<Evidence>,
    delivered: Vec<Delivery>,
    steps_left: u64,
}

/// What arrived before a look, and how far calls had matured then.
struct Delivery {
    evidence: Evidence,
    watermark: i64,
}

/// A call as the reference sees it.
struct Judged {
    exposure: Exposure,
    is_reported: bool,
    is_bad: bool,
}

fn time(seconds: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds)
}

fn plan(rng: &mut Xoshiro256PlusPlus) -> Plan {
    let mut terms: Terms = Plan::default().into_terms();
    let ramp: &[u16] = if rng.random_bool(0.5) {
        &[5_000, 10_000]
    } else {
        &[3_000, 6_000, 10_000]
    };
    terms.steps = ramp
        .iter()
        .map(|bps| Step {
            bake_minutes: rng.random_range(0..2),
            minimum_calls: rng.random_range(1..4),
            gate: if rng.random_bool(0.1) {
                Gate::Manual
            } else {
                Gate::Automatic
            },
            ..Step::at(Weight::from_bps(*bps).unwrap())
        })
        .collect();
    terms.data.horizon_minutes = 1;
    terms.data.grace_minutes = 0;
    terms.data.max_stale_minutes = 3;
    terms.fast_lane.within_seconds = 30;
    terms.hold_back_percent = if rng.random_bool(0.2) {
        Percent::whole(10)
    } else {
        Percent::ZERO
    };
    // Lines that a handful of calls can reach.
    if let Some(limit) = &mut terms.limits.abandon {
        limit.pause_alpha_percent = Percent::whole(50);
        limit.abort_alpha_percent = Percent::whole(20);
    }
    Plan::new(terms).unwrap()
}

impl Stream {
    /// Runs the stream of this seed; how many steps were left.
    fn run(seed: u64) -> u64 {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let rollout = Rollout::start(
            plan(&mut rng),
            Slot::Green,
            Commit {
                revision: Revision(1),
                now: time(0),
            },
        );
        let mut stream = Self {
            seed,
            judge: Judge::resume(&rollout),
            rollout,
            rng,
            revision: 1,
            conversations: 0,
            seconds: 0,
            entered_at: 0,
            clock_error: 0,
            under_way: vec![Evidence::default(); 24],
            delivered: Vec::new(),
            steps_left: 0,
        };
        for tick in 0..12 {
            stream.tick(tick);
            if stream.rollout.end().is_some() {
                break;
            }
        }
        stream.steps_left
    }

    fn tick(&mut self, tick: usize) {
        self.seconds += TICK_SECONDS;
        (0..self.rng.random_range(0..4)).for_each(|_| self.call(tick));
        if self.rng.random_bool(0.03) {
            self.clock_error = [0, -90, 45, 600][self.rng.random_range(0..4_usize)];
        }
        if self.rng.random_bool(0.1) {
            self.restart();
        }
        self.deliver(tick);
        if self.rng.random_bool(0.1) {
            self.interfere();
        }
        self.look();
    }

    fn now(&self) -> Timestamp {
        time(self.seconds + self.clock_error)
    }

    /// A call comes, and something may be wrong with what is told about it.
    fn call(&mut self, tick: usize) {
        self.conversations += 1;
        let conversation = ConversationHash(
            u128::from(self.rng.random_range(0..4_u32)) << 64 | u128::from(self.conversations),
        );
        let assigned = self.seconds - self.rng.random_range(0..TICK_SECONDS);
        let weight = self.rollout.weight();
        let slot = if self.rng.random_range(0..10_000) < weight.bps() {
            Slot::Green
        } else {
            Slot::Blue
        };
        let exposure = Exposure {
            conversation,
            assigned_at: time(assigned),
            revision: Revision(
                self.revision
                    .saturating_sub(u64::from(self.rng.random_bool(0.05))),
            ),
            weight,
            slot,
            is_randomised: !self.rng.random_bool(0.05),
        };
        self.send(tick, |evidence| evidence.exposures.push(exposure));
        if self.rng.random_bool(0.1) {
            let again = Exposure {
                assigned_at: time(assigned + 7),
                slot: slot.other(),
                ..exposure
            };
            self.send(tick, |evidence| evidence.exposures.push(again));
        }
        if self.rng.random_bool(0.1) {
            self.send(tick, |evidence| evidence.exposures.push(exposure));
        }
        let bad_rate = if slot == Slot::Green { 0.3 } else { 0.2 };
        let bad = if self.rng.random_bool(bad_rate) {
            MetricSet::from(Metric::Abandon)
        } else {
            MetricSet::NONE
        };
        let outcome = Outcome {
            conversation,
            at: time(assigned + self.rng.random_range(0..90)),
            bad,
        };
        let times = [0, 1, 1, 1, 1, 1, 1, 2][self.rng.random_range(0..8_usize)];
        (0..times).for_each(|_| self.send(tick, |evidence| evidence.outcomes.push(outcome)));
        if self.rng.random_bool(0.05) {
            let stray = Outcome {
                conversation: ConversationHash(u128::MAX - u128::from(self.conversations)),
                ..outcome
            };
            self.send(tick, |evidence| evidence.outcomes.push(stray));
        }
    }

    /// Puts something under way; most arrives at once, some late.
    fn send(&mut self, tick: usize, what: impl FnOnce(&mut Evidence)) {
        let delay = [0, 0, 0, 0, 0, 1, 1, 2, 4][self.rng.random_range(0..9_usize)];
        what(&mut self.under_way[tick + delay]);
    }

    fn deliver(&mut self, tick: usize) {
        let evidence = std::mem::take(&mut self.under_way[tick]);
        self.judge.absorb(&evidence);
        self.judge.advance(self.now());
        let before = self.watermark();
        let watermark = before.max(self.seconds + self.clock_error - MATURITY_SECONDS);
        self.delivered.push(Delivery {
            evidence,
            watermark,
        });
    }

    fn watermark(&self) -> i64 {
        self.delivered
            .last()
            .map_or(0, |delivery| delivery.watermark)
    }

    /// The controller dies after a commit, and another one takes over.
    fn restart(&mut self) {
        self.rollout = self
            .rollout
            .clone()
            .with_record(self.judge.record().clone());
        self.judge = Judge::resume(&self.rollout);
        let mut all = Evidence::default();
        for delivery in &self.delivered {
            all.exposures.extend(&delivery.evidence.exposures);
            all.outcomes.extend(&delivery.evidence.outcomes);
        }
        self.judge.recall(&all);
        self.entered_at = self.seconds;
    }

    /// A person pauses, resumes or promotes.
    fn interfere(&mut self) {
        let rollout = self
            .rollout
            .clone()
            .with_record(self.judge.record().clone());
        let commit = Commit {
            revision: Revision(self.revision + 1),
            now: self.now(),
        };
        let result = match self.rng.random_range(0..4) {
            0 => rollout.pause(PauseCause::Operator),
            1 | 2 => rollout.resume(commit),
            _ => rollout.promote(Promotion::WhenReady),
        };
        if let Ok(rollout) = result {
            self.commit(rollout);
        }
    }

    fn commit(&mut self, rollout: Rollout) {
        self.revision += 1;
        if rollout.entered() != self.rollout.entered() {
            self.entered_at = self.seconds;
        }
        self.rollout = rollout;
        self.judge.follow(&self.rollout);
    }

    /// What the controller does, and what it must not have done.
    fn look(&mut self) {
        let Some(current) = self.rollout.current_step() else {
            return;
        };
        let verdict = self.judge.verdict(current, self.now());
        let in_step = Duration::from_secs(u64::try_from(self.seconds - self.entered_at).unwrap());
        let timing = Timing {
            now: self.now(),
            in_step,
            without_data: Duration::ZERO,
        };
        let Transition::Go(chosen) = step(&self.rollout, &verdict, &timing) else {
            return;
        };
        if matches!(chosen, Move::Advance | Move::Finish) {
            self.check(current, in_step, &verdict);
            self.steps_left += 1;
        }
        let commit = Commit {
            revision: Revision(self.revision + 1),
            now: self.now(),
        };
        let before = self
            .rollout
            .clone()
            .with_record(self.judge.record().clone());
        if let Ok(after) = before.after(chosen, commit) {
            self.commit(after);
        }
    }

    /// Fails unless everything held that the specification asks for.
    fn check(&self, current: &Step, in_step: Duration, verdict: &Verdict) {
        let seed = self.seed;
        let Status::Running { step, promotion } = self.rollout.status else {
            panic!("seed {seed}: not running")
        };
        assert!(
            in_step >= current.bake(),
            "seed {seed}: left after {in_step:?}"
        );
        assert!(
            current.gate == Gate::Automatic || promotion.is_some(),
            "seed {seed}: the gate was shut"
        );
        let judged = self.judged();
        let e = evidence_of_harm(&judged);
        let line = verdict.metrics[0].harm.pause_line.unwrap();
        assert!(
            line.value() >= 2.0 - 1e-9 && e.ln() < line.ln(),
            "seed {seed}: left with E = {e}, line {line}"
        );
        let seen = verdict.metrics[0].seen;
        assert_eq!(
            seen.active.calls + seen.candidate.calls,
            judged.len() as u64,
            "seed {seed}: calls judged"
        );
        assert!(
            (verdict.metrics[0].harm.e.ln() - e.ln()).abs() < 1e-9,
            "seed {seed}: E {e}"
        );
        if self.rollout.plan.weight(step) == Weight::FULL {
            assert!(
                in_step >= Duration::from_secs(60),
                "seed {seed}: finished after {in_step:?}"
            );
            return;
        }
        for slot in Slot::BOTH {
            let of_step = || {
                judged.iter().filter(|call| {
                    call.exposure.slot == slot && call.exposure.revision >= self.rollout.entered()
                })
            };
            let (matured, reported) = (
                of_step().count(),
                of_step().filter(|call| call.is_reported).count(),
            );
            assert!(
                matured > 0 && 10 * reported >= 8 * matured,
                "seed {seed}: {reported} of {matured} {slot} calls"
            );
            let is_enough = slot == Slot::Blue || reported >= current.minimum_calls as usize;
            assert!(
                is_enough,
                "seed {seed}: {reported} of {} calls",
                current.minimum_calls
            );
        }
        assert_eq!(verdict.data, Data::Fresh, "seed {seed}");
    }

    /// The calls that count, in the order they were assigned.
    fn judged(&self) -> Vec<Judged> {
        let exposures = self
            .delivered
            .iter()
            .flat_map(|delivery| &delivery.evidence.exposures);
        let mut conversations: Vec<ConversationHash> =
            exposures.map(|exposure| exposure.conversation).collect();
        conversations.sort_unstable();
        conversations.dedup();
        let mut judged: Vec<Judged> = conversations
            .into_iter()
            .filter_map(|which| self.judged_call(which))
            .collect();
        judged.sort_by_key(|call| (call.exposure.assigned_at, call.exposure.conversation));
        judged
    }

    /// The conversation as it was known at the look by which its first decision had matured; nothing if that decision
    /// arrived later, or was not left to chance.
    fn judged_call(&self, which: ConversationHash) -> Option<Judged> {
        let (mut exposures, mut outcomes, mut watermark) =
            (Vec::<Exposure>::new(), Vec::<Outcome>::new(), time(0));
        for delivery in &self.delivered {
            let arrived = delivery
                .evidence
                .exposures
                .iter()
                .filter(|exposure| exposure.conversation == which);
            exposures.extend(arrived.copied());
            outcomes.extend(
                delivery
                    .evidence
                    .outcomes
                    .iter()
                    .filter(|outcome| outcome.conversation == which)
                    .copied(),
            );
            let first = exposures
                .iter()
                .min_by_key(|exposure| (exposure.assigned_at, exposure.slot))
                .copied();
            if first.is_some_and(|first| first.assigned_at <= watermark) {
                return None;
            }
            watermark = time(delivery.watermark);
            let Some(exposure) = first.filter(|first| first.assigned_at <= watermark) else {
                continue;
            };
            let is_drawn = exposure.is_randomised
                && exposure.weight != Weight::FULL
                && exposure.weight != Weight::ZERO;
            let limit = exposure.assigned_at + SignedDuration::from_secs(MATURITY_SECONDS);
            let is_bad = outcomes
                .iter()
                .any(|outcome| !outcome.bad.is_empty() && outcome.at <= limit);
            return is_drawn.then_some(Judged {
                exposure,
                is_reported: !outcomes.is_empty(),
                is_bad,
            });
        }
        None
    }
}

/// The evidence of harm by the formulas of the specification.
fn evidence_of_harm(judged: &[Judged]) -> EValue {
    let mut product = [1.0_f64; 6];
    let (mut blue, mut blue_bad) = (0.0, 0.0);
    for call in judged {
        let w = f64::from(call.exposure.weight.bps()) / 10_000.0;
        let b = f64::clamp((1.0 + blue_bad) / (20.0 + blue), 1e-4, 0.999);
        for (product, r) in product.iter_mut().zip([1.25, 1.5, 2.0, 3.0, 6.0, 20.0]) {
            let g = r * b / (1.0 - b + r * b);
            let m = w * g + (1.0 - w) * b;
            let p = if call.exposure.slot == Slot::Green {
                g
            } else {
                b
            };
            *product *= if call.is_bad {
                p / m
            } else {
                (1.0 - p) / (1.0 - m)
            };
        }
        if call.exposure.slot == Slot::Blue {
            blue += 1.0;
            blue_bad += f64::from(u8::from(call.is_bad));
        }
    }
    EValue::from_ln((product.iter().sum::<f64>() / 6.0).ln())
}
