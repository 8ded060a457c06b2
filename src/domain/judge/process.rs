//! The running bets: on harm, on its absence, and on a split that is not the one that was set.
//!
//! Each starts at E = 1 and is only ever multiplied. None is reset while a rollout lasts: every reset would be another
//! chance of a false alarm.

use serde::{Deserialize, Serialize};

use super::arm::{Arm, ByArm, Tally};
use super::mixture::{EValue, Mixture};
use super::rates::{Rates, believed, draw_probability, ln_factor, projection, with_odds};
use crate::domain::rollout::percent::Percent;
use crate::domain::weight::Weight;

/// How many times worse the candidate's odds are in the bets on harm: from a quarter worse to dead.
pub const HARM_ODDS: [f64; 6] = [1.25, 1.5, 2.0, 3.0, 6.0, 20.0];
/// The candidate's rate in the bets on no harm, as a part of the active version's.
pub const HARMLESS_RATES: [f64; 3] = [1.0, 0.8, 0.6];
/// How many times more often than set the candidate is drawn, in the bets on a wrong split.
pub const SPLIT_ODDS: [f64; 6] = [1.0 / 2.0, 2.0 / 3.0, 4.0 / 5.0, 5.0 / 4.0, 3.0 / 2.0, 2.0];

/// Evidence that the candidate's rate of bad calls exceeds the active version's by more than a tolerance.
///
/// The null hypothesis is "at no moment is it higher", and nothing more: the rates may drift together, the weight may change
/// with what was seen, and anyone may look at any time. What it needs is the weight each call was *drawn* with, and the calls
/// in the order they were drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Harm {
    ln_e: Mixture<6>,
    active: Tally,
}

impl Harm {
    /// Before any call.
    pub const NEW: Self = Self {
        ln_e: Mixture::ONE,
        active: Tally { calls: 0, bad: 0 },
    };

    /// The evidence so far.
    #[must_use]
    pub fn e(&self) -> EValue {
        self.ln_e.e()
    }

    /// Takes in one call, or the counts of an interval in which the weight was constant. Without a draw nothing is learned.
    pub fn observe(&mut self, weight: Weight, tolerance: Percent, seen: &ByArm<Tally>) {
        let Some(w) = draw_probability(weight) else {
            return;
        };
        let (b, delta) = (believed(self.active), tolerance.fraction());
        self.ln_e.multiply(HARM_ODDS.map(|odds| {
            let alternative = Rates {
                active: b,
                candidate: with_odds(b, odds),
            };
            // An excess within the tolerance is no harm, so there is nothing to bet on.
            if alternative.candidate <= b + delta {
                return 0.0;
            }
            ln_factor(&alternative, &projection(w, &alternative, delta), seen)
        }));
        self.active.add(seen.active);
    }
}

/// Evidence that the candidate's rate of bad calls does *not* exceed the active version's by a margin: the proof some
/// centres want before they promote. The null hypothesis is the harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Harmlessness {
    ln_e: Mixture<3>,
    active: Tally,
}

impl Harmlessness {
    /// Before any call.
    pub const NEW: Self = Self {
        ln_e: Mixture::ONE,
        active: Tally { calls: 0, bad: 0 },
    };

    /// The evidence so far.
    #[must_use]
    pub fn e(&self) -> EValue {
        self.ln_e.e()
    }

    /// Takes in one call, or the counts of an interval in which the weight was constant. Without a draw nothing is learned.
    pub fn observe(&mut self, weight: Weight, margin: Percent, seen: &ByArm<Tally>) {
        let Some(w) = draw_probability(weight) else {
            return;
        };
        // The null's active rate stays below 1 - margin, so the bet does too.
        let delta = margin.fraction();
        let b = believed(self.active).min(1.0 - delta - 1e-3);
        self.ln_e.multiply(HARMLESS_RATES.map(|part| {
            let alternative = Rates {
                active: b,
                candidate: b * part,
            };
            ln_factor(&alternative, &projection(w, &alternative, delta), seen)
        }));
        self.active.add(seen.active);
    }
}

/// Evidence that calls, or reports of calls, do not come from the two arms in the proportion in which they were drawn.
///
/// The factor is `q_A / w_A` with `q = r w / (1 - w + r w)`, `A` being the arm of the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mismatch {
    ln_e: Mixture<6>,
    /// How many came from each arm.
    pub seen: ByArm<u64>,
}

impl Mismatch {
    /// Before any call.
    pub const NEW: Self = Self {
        ln_e: Mixture::ONE,
        seen: ByArm {
            active: 0,
            candidate: 0,
        },
    };

    /// The evidence so far.
    #[must_use]
    pub fn e(&self) -> EValue {
        self.ln_e.e()
    }

    /// Takes in one call, betting on the candidate being drawn `odds` times as often as set. With odds above 1 only, it is
    /// evidence that the candidate has *more* than its share.
    pub fn observe(&mut self, odds: &[f64; 6], weight: Weight, arm: Arm) {
        let Some(w) = draw_probability(weight) else {
            return;
        };
        self.ln_e.multiply(odds.map(|r| {
            let total = 1.0 - w + r * w;
            match arm {
                Arm::Active => -libm::log(total),
                Arm::Candidate => libm::log(r / total),
            }
        }));
        self.seen[arm] += 1;
    }
}
