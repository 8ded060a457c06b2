//! The calls that a smoke test is about.

use serde::{Deserialize, Serialize};
use utoipa::openapi::schema::{AdditionalProperties, ObjectBuilder, OneOfBuilder, RefBuilder};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::phone_number::PhoneNumber;

/// The calls that a smoke-test override is for, known by one number. An operator's number stays in the history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", try_from = "Members")]
pub enum TestCalls {
    /// Calls from this number.
    Ani(PhoneNumber),
    /// Calls to this number.
    Dnis(PhoneNumber),
}

/// What stands for the calls in JSON. Read as a whole, so that two numbers are told from one that is malformed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Members {
    ani: Option<PhoneNumber>,
    dnis: Option<PhoneNumber>,
}

impl TryFrom<Members> for TestCalls {
    type Error = &'static str;

    fn try_from(members: Members) -> Result<Self, Self::Error> {
        match (members.ani, members.dnis) {
            (Some(number), None) => Ok(Self::Ani(number)),
            (None, Some(number)) => Ok(Self::Dnis(number)),
            (None, None) | (Some(_), Some(_)) => Err("one number is needed, either ani or dnis"),
        }
    }
}

impl PartialSchema for TestCalls {
    /// Two closed objects, each with one number; what derives a schema would leave them open.
    fn schema() -> RefOr<Schema> {
        let calls = |member: &str, description| {
            let number = RefBuilder::new().ref_location_from_schema_name(PhoneNumber::name());
            ObjectBuilder::new()
                .description(Some(description))
                .property(member, RefOr::Ref(number.build()))
                .required(member)
                .additional_properties(Some(AdditionalProperties::FreeForm(false)))
        };
        let description = "The calls that a smoke-test override is for, known by one number. An operator's number stays in the history.";
        OneOfBuilder::new()
            .item(calls("ani", "Calls from this number."))
            .item(calls("dnis", "Calls to this number."))
            .description(Some(description))
            .into()
    }
}

impl ToSchema for TestCalls {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((PhoneNumber::name().into_owned(), PhoneNumber::schema()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_known_by_one_number() {
        for (json, calls) in [
            (
                r#"{"ani":"+49301"}"#,
                TestCalls::Ani("+49301".parse().unwrap()),
            ),
            (
                r#"{"dnis":"0800"}"#,
                TestCalls::Dnis("0800".parse().unwrap()),
            ),
        ] {
            assert_eq!(serde_json::from_str::<TestCalls>(json).unwrap(), calls);
            assert_eq!(serde_json::to_string(&calls).unwrap(), json);
        }
        for bad in [
            "{}",
            r#"{"ani":"1","dnis":"2"}"#,
            r#"{"ani":null}"#,
            r#"{"ani":"1","cli":"2"}"#,
            r#"{"ani":"anna"}"#,
            r#""1""#,
        ] {
            assert!(serde_json::from_str::<TestCalls>(bad).is_err(), "{bad}");
        }
    }
}
