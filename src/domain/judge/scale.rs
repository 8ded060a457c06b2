//! The scale that evidence is drawn on: powers of ten, as far as they say something.

use std::f64::consts::LN_10;

use super::mixture::EValue;

/// The powers of ten between which evidence is drawn; what lies beyond is drawn at the edge.
const LOWEST: f64 = -2.0;
const HIGHEST: f64 = 3.0;
/// Those that have a line, and how they are labelled.
const POWERS: [(f64, &str); 6] = [
    (-2.0, "0.01"),
    (-1.0, "0.1"),
    (0.0, "1"),
    (1.0, "10"),
    (2.0, "100"),
    (3.0, "1000"),
];

/// How deep `e` lies below the top of a picture, as a share of its height: 0 to 1.
#[must_use]
pub fn depth(e: EValue) -> f64 {
    depth_of_power(e.ln() / LN_10)
}

/// How deep the lines lie, each with its label, the lowest first.
pub fn lines() -> impl Iterator<Item = (f64, &'static str)> {
    POWERS
        .into_iter()
        .map(|(power, label)| (depth_of_power(power), label))
}

fn depth_of_power(power: f64) -> f64 {
    (HIGHEST - power.clamp(LOWEST, HIGHEST)) / (HIGHEST - LOWEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_lies_between_the_lines_and_never_beyond_them() {
        let lines: Vec<_> = lines().collect();
        assert_eq!((lines[0], lines[5]), ((1.0, "0.01"), (0.0, "1000")));
        for (depth_of_line, label) in lines {
            let value: f64 = label.parse().unwrap();
            let found = depth(EValue::from_ln(value.ln()));
            assert!((found - depth_of_line).abs() < 1e-12, "{label}");
        }
        for (ln, end) in [(-1e9, 1.0), (1e9, 0.0)] {
            assert!((depth(EValue::from_ln(ln)) - end).abs() < f64::EPSILON);
        }
    }
}
