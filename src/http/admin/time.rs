//! Times in bodies. Their own reader would quote what it cannot read.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer};

/// A time, or null. For `#[serde(deserialize_with)]`.
pub(super) fn optional<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Timestamp>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| parse(&text)).transpose()
}

/// A time. For `#[serde(deserialize_with)]`.
pub(super) fn required<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    parse(&String::deserialize(deserializer)?)
}

fn parse<E: serde::de::Error>(text: &str) -> Result<Timestamp, E> {
    text.parse()
        .map_err(|_| E::custom("invalid time: expected one such as 2027-01-31T12:00:00Z"))
}
