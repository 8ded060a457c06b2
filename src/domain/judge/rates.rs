//! Pairs of bad-call rates: the alternative that a bet is placed on, and the null hypothesis' best answer to it.
//!
//! A call is drawn to the candidate with known probability `w`; then it ends badly with its arm's rate. A bet on rates
//! `(g, b)` (candidate, active) against the null is the likelihood ratio of what was seen. With the null's rates chosen as
//! the projection of `(g, b)` on it in Kullback-Leibler divergence, the ratio's expected value is at most 1 for *every* pair
//! of rates in the null, because the null is convex. That is the whole reason why the product may be looked at after each
//! call. (Turner, Ly, Grünwald, "Generic E-variables for exact sequential k-sample tests that allow for optional stopping",
//! JSPI 230, 2024.)

use super::arm::{Arm, ByArm, Tally};
use crate::domain::weight::Weight;

/// A bad-call rate for each arm, strictly between 0 and 1.
pub type Rates = ByArm<f64>;

/// Lower end of what a rate is believed to be: a metric that was never bad must stay able to surprise.
const LOWEST: f64 = 1e-4;
/// Upper end of what a rate is believed to be.
const HIGHEST: f64 = 0.999;
/// Halvings of an interval shorter than 1 down to the precision of a double.
const BISECTIONS: u32 = 60;

/// The probability with which a call was drawn to the candidate; `None` where there was no draw (0 and 100 %).
#[must_use]
pub fn draw_probability(weight: Weight) -> Option<f64> {
    let is_draw = weight.is_split();
    is_draw.then(|| f64::from(weight.bps()) / f64::from(Weight::FULL.bps()))
}

/// The active version's rate as earlier calls suggest it: `(1 + bad) / (20 + calls)`, so 5 % before the first call.
#[must_use]
pub fn believed(active: Tally) -> f64 {
    ((1.0 + active.bad as f64) / (20.0 + active.calls as f64)).clamp(LOWEST, HIGHEST)
}

/// `rate` with its odds multiplied by `ratio`.
#[must_use]
pub fn with_odds(rate: f64, ratio: f64) -> f64 {
    ratio * rate / (1.0 - rate + ratio * rate)
}

/// The rates on the line `candidate = active + delta` that are nearest to `alternative` in Kullback-Leibler divergence, `w`
/// being the probability of the candidate.
///
/// For `delta = 0` both are the mean rate `w g + (1-w) b`. Otherwise the active rate `q` solves
/// `w (q+δ-g) / ((q+δ)(1-q-δ)) + (1-w) (q-b) / (q(1-q)) = 0`, found by bisection: the left side increases in `q`, and has
/// opposite signs at `b` and at `g-δ`.
#[must_use]
pub fn projection(w: f64, alternative: &Rates, delta: f64) -> Rates {
    let Rates {
        active: b,
        candidate: g,
    } = *alternative;
    if delta == 0.0 {
        let mean = w * g + (1.0 - w) * b;
        return Rates {
            active: mean,
            candidate: mean,
        };
    }
    let slope = |q: f64| {
        let p = q + delta;
        w * (p - g) / (p * (1.0 - p)) + (1.0 - w) * (q - b) / (q * (1.0 - q))
    };
    let (mut low, mut high) = (b.min(g - delta).max(0.0), b.max(g - delta).min(1.0 - delta));
    for _ in 0..BISECTIONS {
        let middle = f64::midpoint(low, high);
        if slope(middle) < 0.0 {
            low = middle;
        } else {
            high = middle;
        }
    }
    let q = f64::midpoint(low, high);
    Rates {
        active: q,
        candidate: q + delta,
    }
}

/// The logarithm of the factor by which `seen` multiplies a bet on `alternative` against `null`, per arm.
#[must_use]
pub fn ln_factor(alternative: &Rates, null: &Rates, seen: &ByArm<Tally>) -> f64 {
    let of_arm = |arm: Arm| {
        let Tally { bad, .. } = seen[arm];
        let good = seen[arm].good();
        let mut ln = 0.0;
        // A zero count would only cost its logarithm, and one call is the common case.
        if bad > 0 {
            ln += bad as f64 * libm::log(alternative[arm] / null[arm]);
        }
        if good > 0 {
            ln += good as f64 * libm::log((1.0 - alternative[arm]) / (1.0 - null[arm]));
        }
        ln
    };
    of_arm(Arm::Active) + of_arm(Arm::Candidate)
}

/// How fast evidence for `alternative` grows when it is the truth, in nats per call:
/// `w KL(g‖m) + (1-w) KL(b‖m)`, `m` being the null's nearest rates.
#[must_use]
pub fn growth(w: f64, alternative: &Rates, null: &Rates) -> f64 {
    w * divergence(alternative.candidate, null.candidate)
        + (1.0 - w) * divergence(alternative.active, null.active)
}

/// Kullback-Leibler divergence of a coin with rate `p` from one with rate `q`, in nats.
fn divergence(p: f64, q: f64) -> f64 {
    let term = |p: f64, q: f64| if p > 0.0 { p * libm::log(p / q) } else { 0.0 };
    term(p, q) + term(1.0 - p, 1.0 - q)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The factor's mean when the true rates are `truth` and the draw's probability is `w`.
    fn mean_factor(w: f64, alternative: &Rates, null: &Rates, truth: &Rates) -> f64 {
        let arms = [(Arm::Active, 1.0 - w), (Arm::Candidate, w)];
        arms.into_iter()
            .flat_map(|(arm, share)| {
                [
                    (arm, true, share * truth[arm]),
                    (arm, false, share * (1.0 - truth[arm])),
                ]
            })
            .map(|(arm, is_bad, probability)| {
                let mut seen = ByArm::<Tally>::default();
                seen[arm] = Tally::one(is_bad);
                probability * ln_factor(alternative, null, &seen).exp()
            })
            .sum()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn the_mean_factor_is_one_when_both_versions_are_alike_and_less_when_the_candidate_is_better(
            w in 0.0001..0.9999_f64, b in LOWEST..HIGHEST, ratio in 1.01..30.0_f64, active in 0.0..1.0_f64, share in 0.0..1.0_f64,
        ) {
            let alternative = Rates { active: b, candidate: with_odds(b, ratio) };
            let null = projection(w, &alternative, 0.0);
            let alike = mean_factor(w, &alternative, &null, &Rates { active, candidate: active });
            prop_assert!((alike - 1.0).abs() < 1e-12, "{alike}");
            let better = mean_factor(w, &alternative, &null, &Rates { active, candidate: active * share });
            prop_assert!(better < 1.0 + 1e-12, "{better}");
        }

        #[test]
        fn the_mean_factor_is_at_most_one_wherever_the_harm_is_tolerated(
            w in 0.01..0.99_f64, b in 0.001..0.6_f64, excess in 0.001..0.3_f64, delta in 0.001..0.09_f64,
            active in 0.0..0.9_f64, better_by in 0.0..1.0_f64,
        ) {
            let alternative = Rates { active: b, candidate: b + delta + excess };
            let null = projection(w, &alternative, delta);
            let edge = mean_factor(w, &alternative, &null, &Rates { active, candidate: active + delta });
            let inside = mean_factor(w, &alternative, &null, &Rates { active, candidate: (active + delta) * better_by });
            prop_assert!(edge < 1.0 + 1e-9 && inside < 1.0 + 1e-9, "{edge} {inside}");
            let truth = mean_factor(w, &alternative, &null, &alternative);
            prop_assert!(truth > 1.0, "no power: {truth}");
        }

        #[test]
        fn the_mean_factor_of_the_certificate_is_at_most_one_wherever_there_is_harm(
            w in 0.01..0.99_f64, b in 0.001..0.8_f64, ratio in 0.3..1.0_f64, delta in 0.001..0.1_f64,
            active in 0.0..0.8_f64, worse_by in 0.0..0.1_f64,
        ) {
            let alternative = Rates { active: b, candidate: b * ratio };
            let null = projection(w, &alternative, delta);
            let harmful = mean_factor(w, &alternative, &null, &Rates { active, candidate: active + delta + worse_by });
            prop_assert!(harmful < 1.0 + 1e-9, "{harmful}");
        }
    }

    #[test]
    fn the_projection_without_tolerance_is_the_limit_of_the_one_with_it() {
        let alternative = Rates {
            active: 0.05,
            candidate: 0.10,
        };
        let exact = projection(0.25, &alternative, 0.0);
        let near = projection(0.25, &alternative, 1e-9);
        assert!(
            (exact.active - near.active).abs() < 1e-8,
            "{exact:?} {near:?}"
        );
    }

    #[test]
    fn there_is_no_draw_at_the_ends() {
        assert_eq!(draw_probability(Weight::ZERO), None);
        assert_eq!(draw_probability(Weight::FULL), None);
        assert_eq!(draw_probability(Weight::from_bps(500).unwrap()), Some(0.05));
    }
}
