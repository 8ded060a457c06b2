//! Whole numbers in JSON, which tells them from others by their value and not by how they are written (JSON Schema, draft
//! 2020-12, section 6.1.1): `5.0` is one.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserializer;
use serde::de::{Error, Unexpected, Visitor};

/// Beyond this a float may stand for several whole numbers.
const LARGEST_EXACT: f64 = 9_007_199_254_740_991.0;

/// Reads a whole number, however it is written. For `#[serde(deserialize_with)]`.
///
/// # Errors
/// It is no number, has a fraction, or `N` has no such number.
pub fn read<'de, D: Deserializer<'de>, N: TryFrom<i128>>(deserializer: D) -> Result<N, D::Error> {
    // Not any: the name of a member, which may be a number too, would be a text.
    deserializer.deserialize_u64(WholeNumber(PhantomData))
}

struct WholeNumber<N>(PhantomData<N>);

impl<N: TryFrom<i128>> Visitor<'_> for WholeNumber<N> {
    type Value = N;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number, not too large and not negative")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<N, E> {
        N::try_from(number.into())
            .map_err(|_| E::invalid_value(Unexpected::Unsigned(number), &self))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<N, E> {
        N::try_from(number.into()).map_err(|_| E::invalid_value(Unexpected::Signed(number), &self))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<N, E> {
        if number.fract() == 0.0 && number.abs() <= LARGEST_EXACT {
            // Exact: it has no fraction and lies in the range of both.
            self.visit_i64(number as i64)
        } else {
            Err(E::invalid_value(Unexpected::Float(number), &self))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(transparent)]
    struct Minutes(#[serde(deserialize_with = "super::read")] u16);

    #[test]
    fn a_number_without_a_fraction_is_whole_however_it_is_written() {
        for (json, minutes) in [
            ("0", 0),
            ("60", 60),
            ("60.0", 60),
            ("6e1", 60),
            ("65535", 65535),
        ] {
            assert_eq!(
                serde_json::from_str::<Minutes>(json).unwrap(),
                Minutes(minutes),
                "{json}"
            );
        }
        for bad in [
            "-1", "-1.0", "0.5", "65536", "65536.0", "1e300", "\"60\"", "null",
        ] {
            let error = serde_json::from_str::<Minutes>(bad)
                .unwrap_err()
                .to_string();
            assert!(error.contains("expected a whole number"), "{bad}: {error}");
        }
    }
}
