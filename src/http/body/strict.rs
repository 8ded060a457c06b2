//! JSON that every reader understands alike (I-JSON, RFC 7493): no member twice at any depth, no number that some readers
//! would round.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// Beyond this a whole number is not exact in every reader (RFC 7493, section 2.2).
const LARGEST_EXACT: u64 = (1 << 53) - 1;

/// A JSON value, looked at and not kept.
pub(super) struct Strict;

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Look)
    }
}

struct Look;

impl Look {
    fn number<E: Error>(is_exact: bool) -> Result<Strict, E> {
        if is_exact {
            Ok(Strict)
        } else {
            Err(E::custom(
                "a number is too large for every reader to take it exactly (RFC 7493)",
            ))
        }
    }
}

impl<'de> Visitor<'de> for Look {
    type Value = Strict;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Strict, E> {
        Ok(Strict)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Strict, E> {
        Ok(Strict)
    }

    fn visit_str<E>(self, _: &str) -> Result<Strict, E> {
        Ok(Strict)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Strict, E> {
        Self::number(number <= LARGEST_EXACT)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Strict, E> {
        Self::number(number.unsigned_abs() <= LARGEST_EXACT)
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Strict, E> {
        // Exact as a float, and so is everything that is compared with it.
        Self::number(number.abs() <= LARGEST_EXACT as f64)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Strict, A::Error> {
        while items.next_element::<Strict>()?.is_some() {}
        Ok(Strict)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Strict, A::Error> {
        // A set in order: what callers choose to send cannot make it slow.
        let mut names = BTreeSet::new();
        while let Some(Name(name)) = members.next_key()? {
            if !names.insert(name) {
                return Err(A::Error::custom("a member stands twice in one object"));
            }
            members.next_value::<Strict>()?;
        }
        Ok(Strict)
    }
}

/// The name of a member, borrowed from the body unless it holds escapes.
#[derive(Deserialize)]
#[serde(transparent)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(json: &str) -> Option<String> {
        serde_json::from_str::<Strict>(json)
            .err()
            .map(|error| error.to_string())
    }

    #[test]
    fn no_member_stands_twice_at_any_depth() {
        for good in [
            "{}",
            r#"{"a":1,"b":{"a":[{"a":null},{"a":true}]}}"#,
            r#"["a","a"]"#,
        ] {
            assert_eq!(fault(good), None, "{good}");
        }
        for bad in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":{"b":[{"c":1,"d":2,"c":3}]}}"#,
            r#"{"a":1,"\u0061":1}"#,
        ] {
            assert!(
                fault(bad).is_some_and(|text| text.contains("twice")),
                "{bad}"
            );
        }
    }

    #[test]
    fn numbers_are_those_that_every_reader_keeps() {
        for good in [
            "9007199254740991",
            "-9007199254740991",
            "0.1",
            "5.25e2",
            "-0",
        ] {
            assert_eq!(fault(good), None, "{good}");
        }
        for bad in [
            "9007199254740992",
            "-9007199254740992",
            "18446744073709551616",
            "1e16",
            "1e400",
        ] {
            assert!(fault(bad).is_some(), "{bad}");
        }
    }
}
