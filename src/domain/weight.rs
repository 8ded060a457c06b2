//! The traffic weight: which share of new calls goes to the candidate.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use utoipa::ToSchema;

/// Share of new calls that goes to the candidate, in basis points (hundredths of a percent), 0 to 10,000.
///
/// Outside it is a JSON number in percent with at most two decimals, parsed from its decimal text: a float in between would
/// let `5.000000000000001` pass as 5.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, ToSchema)]
#[schema(value_type = f64, minimum = 0, maximum = 100, multiple_of = 0.01, example = 5)]
pub struct Weight(u16);

/// A text or number is not a traffic weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "invalid traffic weight: expected a percentage from 0 to 100 with at most two decimals, such as 5 or 12.5"
)]
pub struct InvalidWeight;

impl Weight {
    /// No new call goes to the candidate.
    pub const ZERO: Self = Self(0);
    /// Every new call goes to the candidate.
    pub const FULL: Self = Self(10_000);

    /// The weight of so many basis points.
    ///
    /// # Errors
    /// More than 10,000.
    pub fn from_bps(bps: u16) -> Result<Self, InvalidWeight> {
        if bps <= Self::FULL.0 {
            Ok(Self(bps))
        } else {
            Err(InvalidWeight)
        }
    }

    /// Basis points, 0 to 10,000.
    #[must_use]
    pub fn bps(self) -> u16 {
        self.0
    }

    /// Whether no new call goes to the candidate.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self == Self::ZERO
    }

    /// Whether both versions get a share of new calls.
    #[must_use]
    pub fn is_split(self) -> bool {
        self > Self::ZERO && self < Self::FULL
    }
}

impl FromStr for Weight {
    type Err = InvalidWeight;

    /// Reads a plain decimal in percent: no sign, no exponent, at most two decimals.
    fn from_str(text: &str) -> Result<Self, InvalidWeight> {
        let (whole, decimals) = match text.split_once('.') {
            Some((_, "")) => return Err(InvalidWeight),
            Some((whole, decimals)) => (whole, decimals),
            None => (text, ""),
        };
        let is_plain = |digits: &str| digits.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty()
            || whole.len() > 3
            || decimals.len() > 2
            || !is_plain(whole)
            || !is_plain(decimals)
        {
            return Err(InvalidWeight);
        }
        let bps: u32 = format!("{whole}{decimals:0<2}")
            .parse()
            .map_err(|_| InvalidWeight)?;
        u16::try_from(bps)
            .map_err(|_| InvalidWeight)
            .and_then(Self::from_bps)
    }
}

impl fmt::Display for Weight {
    /// Percent without trailing zeros: `5`, `12.5`, `33.33`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, hundredths) = (self.0 / 100, self.0 % 100);
        match (hundredths, hundredths % 10) {
            (0, _) => write!(f, "{whole}"),
            (_, 0) => write!(f, "{whole}.{}", hundredths / 10),
            _ => write!(f, "{whole}.{hundredths:02}"),
        }
    }
}

impl Serialize for Weight {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.is_multiple_of(100) {
            serializer.serialize_u16(self.0 / 100)
        } else {
            // The nearest double prints as the same two decimals: they are far above its precision.
            serializer.serialize_f64(f64::from(self.0) / 100.0)
        }
    }
}

impl<'de> Deserialize<'de> for Weight {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Box::<RawValue>::deserialize(deserializer)?
            .get()
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_weight_round_trips_as_text_and_as_json() {
        for bps in 0..=10_000 {
            let weight = Weight::from_bps(bps).unwrap();
            assert_eq!(weight.to_string().parse(), Ok(weight));
            let json = serde_json::to_string(&weight).unwrap();
            assert_eq!(json, weight.to_string());
            assert_eq!(serde_json::from_str::<Weight>(&json).unwrap(), weight);
        }
        assert!(Weight::from_bps(10_001).is_err());
    }

    #[test]
    fn trailing_zeros_mean_the_same() {
        assert_eq!("5.00".parse(), Weight::from_bps(500));
        assert_eq!("5.0".parse(), Weight::from_bps(500));
        assert_eq!("005".parse(), Weight::from_bps(500));
    }

    #[test]
    fn what_is_not_a_percentage_is_refused() {
        for bad in [
            "",
            ".",
            "5.",
            ".5",
            "-1",
            "+1",
            "5e1",
            "100.01",
            "101",
            "0.001",
            "5.000000000000001",
            "NaN",
            "٥",
            " 5",
        ] {
            assert_eq!(bad.parse::<Weight>(), Err(InvalidWeight), "{bad:?}");
        }
        for bad in [
            "\"5\"",
            "null",
            "true",
            "[5]",
            "5.0000000000000000001",
            "1e1",
        ] {
            assert!(serde_json::from_str::<Weight>(bad).is_err(), "{bad}");
        }
    }
}
