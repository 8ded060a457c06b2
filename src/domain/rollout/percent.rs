//! A percentage as plans spell it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::ToSchema;

use crate::domain::weight::Weight;

/// A percentage from 0 to 100 with at most two decimals, kept in basis points.
///
/// Plans carry error probabilities and shares as these rather than as floats: what was written is what is compared, stored
/// and printed. Outside it is a JSON number, spelled as a [`Weight`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, ToSchema)]
#[schema(value_type = f64, minimum = 0, maximum = 100, multiple_of = 0.01, example = 5)]
pub struct Percent(u16);

/// A text or number is not a percentage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a percentage from 0 to 100 with at most two decimals, such as 5 or 12.5")]
pub struct InvalidPercent;

impl Percent {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// The least that is not nothing: a hundredth of a percent.
    pub const LEAST: Self = Self(1);

    /// So many whole percent; more than 100 count as 100.
    #[must_use]
    pub const fn whole(percent: u16) -> Self {
        Self(if percent < 100 { percent * 100 } else { 10_000 })
    }

    /// Basis points, 0 to 10,000.
    #[must_use]
    pub fn bps(self) -> u16 {
        self.0
    }

    /// The same as a fraction, 0 to 1.
    #[must_use]
    pub fn fraction(self) -> f64 {
        f64::from(self.0) / 10_000.0
    }

    /// By how many percentage points `high` exceeds `low`; 0 if it does not.
    #[must_use]
    pub fn between(low: Self, high: Self) -> Self {
        Self(high.0.saturating_sub(low.0))
    }

    fn weight(self) -> Weight {
        // Every percentage is a weight: both go from 0 to 10,000.
        Weight::from_bps(self.0).unwrap_or(Weight::FULL)
    }
}

impl From<Weight> for Percent {
    fn from(weight: Weight) -> Self {
        Self(weight.bps())
    }
}

impl FromStr for Percent {
    type Err = InvalidPercent;

    /// Reads a plain decimal, with or without a percent sign behind it.
    fn from_str(text: &str) -> Result<Self, InvalidPercent> {
        let number = text.strip_suffix('%').unwrap_or(text);
        number
            .parse::<Weight>()
            .map(Self::from)
            .map_err(|_| InvalidPercent)
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.weight().fmt(f)
    }
}

impl Serialize for Percent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.weight().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Percent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Weight::deserialize(deserializer)
            .map(Self::from)
            .map_err(|_| serde::de::Error::custom(InvalidPercent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_round_trip_as_text_and_as_json() {
        for text in ["0", "0.01", "5", "12.5", "99.99", "100"] {
            let percent: Percent = text.parse().unwrap();
            assert_eq!(percent.to_string(), text);
            let json = serde_json::to_string(&percent).unwrap();
            assert_eq!(serde_json::from_str::<Percent>(&json).unwrap(), percent);
        }
        assert_eq!("5%".parse(), Ok(Percent::whole(5)));
    }

    #[test]
    fn what_is_not_a_percentage_is_refused() {
        for bad in ["", "%", "5%%", "-1", "101", "0.001", "NaN"] {
            assert_eq!(bad.parse::<Percent>(), Err(InvalidPercent), "{bad:?}");
        }
    }
}
