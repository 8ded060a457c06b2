//! A point in an environment's past.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::de::{Error, IntoDeserializer, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};
use utoipa::openapi::schema::{
    AnyOfBuilder, KnownFormat, ObjectBuilder, SchemaFormat, SchemaType, Type,
};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::domain::ids::Revision;
use crate::domain::whole_number;
use crate::store::record::Record;

/// A revision, or a time and with it the revision that was in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    /// What this change made.
    Revision(Revision),
    /// What there was at this time.
    Time(Timestamp),
}

/// A text is neither.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected {EXPECTED}")]
pub(super) struct InvalidMoment;

const EXPECTED: &str = "a revision, or a time such as 2026-01-31T12:00:00Z";

impl Moment {
    /// Whether a walk back has come far enough with `record`.
    pub(super) fn is_reached(self, record: &Record) -> bool {
        match self {
            Self::Revision(revision) => record.change.revision <= revision,
            Self::Time(time) => record.change.at <= time,
        }
    }

    /// Whether `record`, the first one far enough back, is what was asked for.
    pub(super) fn is_met(self, record: &Record) -> bool {
        match self {
            Self::Revision(revision) => record.change.revision == revision,
            Self::Time(_) => true,
        }
    }
}

impl FromStr for Moment {
    type Err = InvalidMoment;

    fn from_str(text: &str) -> Result<Self, InvalidMoment> {
        if let Ok(number) = text.parse() {
            return Ok(Self::Revision(Revision(number)));
        }
        text.parse().map(Self::Time).map_err(|_| InvalidMoment)
    }
}

impl<'de> Deserialize<'de> for Moment {
    /// A number, or a text.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumberOrText;
        impl Visitor<'_> for NumberOrText {
            type Value = Moment;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(EXPECTED)
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Moment, E> {
                Ok(Moment::Revision(Revision(number)))
            }

            fn visit_f64<E: Error>(self, number: f64) -> Result<Moment, E> {
                let revision = whole_number::read(IntoDeserializer::<E>::into_deserializer(number));
                revision
                    .map(|number| Moment::Revision(Revision(number)))
                    .map_err(|_| E::invalid_value(Unexpected::Float(number), &self))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Moment, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(NumberOrText)
    }
}

impl PartialSchema for Moment {
    fn schema() -> RefOr<Schema> {
        let revision = ObjectBuilder::new()
            .schema_type(SchemaType::new(Type::Integer))
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
            .minimum(Some(0));
        let time = ObjectBuilder::new()
            .schema_type(SchemaType::new(Type::String))
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)));
        let either = AnyOfBuilder::new().item(revision).item(time);
        let description =
            "A revision, or a time (RFC 3339) and with it the revision that was in force.";
        either.description(Some(description)).into()
    }
}

impl ToSchema for Moment {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_revision_or_a_time() {
        let time = Moment::Time("2026-01-31T12:00:00Z".parse().unwrap());
        let revision = Moment::Revision(Revision(7));
        for (json, expected) in [
            ("7", revision),
            ("7.0", revision),
            (r#""7""#, revision),
            (r#""2026-01-31T12:00:00Z""#, time),
            (r#""2026-01-31T13:00:00+01:00""#, time),
        ] {
            assert_eq!(serde_json::from_str::<Moment>(json).unwrap(), expected);
        }
        for bad in [
            "-1",
            "7.5",
            "true",
            "[7]",
            r#""""#,
            r#""yesterday""#,
            r#""2026-01-31""#,
        ] {
            let error = serde_json::from_str::<Moment>(bad).unwrap_err().to_string();
            assert!(error.contains(EXPECTED), "{bad}: {error}");
        }
    }
}
