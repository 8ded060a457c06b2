//! How many calls a verdict takes, before any was made.

use super::mixture::EValue;
use super::rates::{Rates, draw_probability, growth, projection};
use crate::domain::rollout::percent::Percent;
use crate::domain::weight::Weight;

/// About how many calls, both arms together, it takes until the evidence reaches `line` when the true rates are `rates`:
/// `ln(line) / I`, with `I` the growth of evidence in nats per call. `None` if it never grows: there is no draw at this
/// weight, or the excess is within the tolerance.
///
/// It leaves out what the judge pays for not knowing the rates beforehand. For a candidate two or three times as bad that is
/// within ten percent of simulation; for one that is dead, where a handful of calls decide, take the simulator.
#[must_use]
pub fn calls_to_reach(
    line: EValue,
    weight: Weight,
    rates: &Rates,
    tolerance: Percent,
) -> Option<f64> {
    let w = draw_probability(weight)?;
    let delta = tolerance.fraction();
    if rates.candidate <= rates.active + delta {
        return None;
    }
    let null = projection(w, rates, delta);
    Some(line.ln() / growth(w, rates, &null))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_formula_gives_the_figures_of_the_design() {
        let calls = |bps, candidate| {
            let rates = Rates {
                active: 0.05,
                candidate,
            };
            let line = EValue::line(Percent::whole(5));
            calls_to_reach(line, Weight::from_bps(bps).unwrap(), &rates, Percent::ZERO)
        };
        assert_eq!(calls(500, 0.15).map(f64::round), Some(920.0));
        assert_eq!(calls(500, 0.10).map(f64::round), Some(3095.0));
        assert_eq!(calls(500, 0.05), None);
        assert_eq!(calls(10_000, 0.15), None);
    }
}
