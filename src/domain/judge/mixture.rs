//! Evidence as numbers: e-values, their lines, and their bit-exact storage.

use std::fmt::{self, Write as _};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::domain::rollout::percent::Percent;

/// An amount of evidence against a null hypothesis: a bet that started with 1 and could not be expected to grow if the
/// hypothesis were true. Kept as its natural logarithm; stored bit for bit.
///
/// If the hypothesis holds, the probability that E ever reaches `1/α` is at most `α` (Ville 1939).
#[derive(Debug, Clone, Copy)]
pub struct EValue {
    ln: f64,
}

impl EValue {
    /// No evidence.
    pub const ONE: Self = Self { ln: 0.0 };

    /// The E-value with this natural logarithm.
    #[must_use]
    pub fn from_ln(ln: f64) -> Self {
        Self { ln }
    }

    /// The line `1/α` that is crossed with probability at most `alpha` if the null hypothesis is true. An `alpha` of zero
    /// is never crossed.
    #[must_use]
    pub fn line(alpha: Percent) -> Self {
        Self {
            ln: -libm::log(alpha.fraction()),
        }
    }

    /// Natural logarithm of E.
    #[must_use]
    pub fn ln(self) -> f64 {
        self.ln
    }

    /// E itself, at most 1e300, so that it is a JSON number.
    #[must_use]
    pub fn value(self) -> f64 {
        libm::exp(self.ln.min(690.0))
    }

    /// So many times this evidence.
    #[must_use]
    pub fn times(self, factor: f64) -> Self {
        Self {
            ln: self.ln + libm::log(factor),
        }
    }

    /// Whether this evidence reaches `line`.
    #[must_use]
    pub fn reaches(self, line: Self) -> bool {
        self.ln >= line.ln
    }

    /// The larger of the two.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        if self.reaches(other) { self } else { other }
    }

    /// The smaller of the two.
    #[must_use]
    pub fn min(self, other: Self) -> Self {
        if self.reaches(other) { other } else { self }
    }
}

impl PartialEq for EValue {
    fn eq(&self, other: &Self) -> bool {
        self.ln.to_bits() == other.ln.to_bits()
    }
}

impl Eq for EValue {}

impl fmt::Display for EValue {
    /// As many digits as matter to a reader: `0.02`, `3.1`, `412`, `8.1e12`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.value() {
            e if e < 0.1 => write!(f, "{e:.2}"),
            // The lines are round numbers that their logarithm misses by an ulp.
            e if e < 10.0 && (e - e.round()).abs() > 1e-9 => write!(f, "{e:.1}"),
            e if e < 100_000.0 => write!(f, "{e:.0}"),
            e => write!(f, "{e:.1e}"),
        }
    }
}

impl Serialize for EValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Mixture([self.ln]).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for EValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Mixture([ln]) = Mixture::<1>::deserialize(deserializer)?;
        Ok(Self { ln })
    }
}

/// `N` bets on different alternatives side by side, each with an equal part of the stake. E is their mean.
///
/// Outside it is the bits of the logarithms in hexadecimal, 16 digits each: a decimal that passes through other tools may
/// come back one bit off, and then a replay would not be the same.
#[derive(Debug, Clone, Copy)]
pub struct Mixture<const N: usize>([f64; N]);

impl<const N: usize> Mixture<N> {
    /// Before any evidence.
    pub const ONE: Self = Self([0.0; N]);

    /// Multiplies each bet by a factor, given as its natural logarithm.
    pub fn multiply(&mut self, ln_factors: [f64; N]) {
        for (ln, factor) in self.0.iter_mut().zip(ln_factors) {
            *ln += factor;
        }
    }

    /// The mean of the bets.
    #[must_use]
    pub fn e(&self) -> EValue {
        let max = self.0.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = self.0.iter().map(|ln| libm::exp(ln - max)).sum();
        EValue {
            ln: max + libm::log(sum / N as f64),
        }
    }
}

impl<const N: usize> PartialEq for Mixture<N> {
    fn eq(&self, other: &Self) -> bool {
        self.0.map(f64::to_bits) == other.0.map(f64::to_bits)
    }
}

impl<const N: usize> Eq for Mixture<N> {}

impl<const N: usize> Serialize for Mixture<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut bits = String::with_capacity(16 * N);
        for ln in self.0 {
            // Writing to a string does not fail.
            let _ = write!(bits, "{:016x}", ln.to_bits());
        }
        serializer.serialize_str(&bits)
    }
}

impl<'de, const N: usize> Deserialize<'de> for Mixture<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let is_hex = text.bytes().all(|b| b.is_ascii_hexdigit());
        if text.len() != 16 * N || !is_hex {
            return Err(D::Error::custom(
                "expected the bits of each logarithm as 16 hexadecimal digits",
            ));
        }
        let mut lns = [0.0; N];
        for (ln, digits) in lns.iter_mut().zip(text.as_bytes().chunks_exact(16)) {
            let bits = digits
                .iter()
                .fold(0, |bits, digit| bits << 4 | u64::from(hex_value(*digit)));
            *ln = f64::from_bits(bits);
        }
        if lns.iter().any(|ln| ln.is_nan()) {
            return Err(D::Error::custom("expected numbers as logarithms"));
        }
        Ok(Self(lns))
    }
}

fn hex_value(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithms_are_stored_bit_for_bit() {
        for ln in [
            0.0,
            -0.0,
            1.0 / 3.0,
            f64::MIN_POSITIVE,
            -1e300,
            5e-324,
            f64::NEG_INFINITY,
        ] {
            let mixture = Mixture([ln, 0.1]);
            let json = serde_json::to_string(&mixture).unwrap();
            assert_eq!(
                serde_json::from_str::<Mixture<2>>(&json).unwrap(),
                mixture,
                "{json}"
            );
        }
        for bad in [
            "\"\"",
            "\"7ff8000000000000\"",
            "\"000000000000000g\"",
            "0",
            "\"00\"",
        ] {
            assert!(serde_json::from_str::<Mixture<1>>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_mean_is_the_mean_of_the_bets_even_when_they_are_far_apart() {
        let mut mixture = Mixture::<2>::ONE;
        assert_eq!(mixture.e(), EValue::ONE);
        mixture.multiply([libm::log(3.0), libm::log(5.0)]);
        assert!((mixture.e().value() - 4.0).abs() < 1e-12);
        let far = Mixture([-2_000.0, 2_000.0]).e();
        assert!((far.ln() - (2_000.0 - libm::log(2.0))).abs() < 1e-9);
        assert!(far.value().is_finite());
    }

    #[test]
    fn e_values_read_well() {
        let shown = |e: f64| EValue::from_ln(libm::log(e)).to_string();
        assert_eq!(
            [0.023, 0.5, 3.12, 20.0, 412.3, 8.1e12].map(shown),
            ["0.02", "0.5", "3.1", "20", "412", "8.1e12"]
        );
        assert_eq!(EValue::line(Percent::whole(5)).to_string(), "20");
        assert!(!EValue::from_ln(1e9).reaches(EValue::line(Percent::ZERO)));
    }
}
