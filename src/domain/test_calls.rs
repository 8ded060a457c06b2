//! The calls that a smoke test is about.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::openapi::schema::{AdditionalProperties, ObjectBuilder, OneOfBuilder, RefBuilder};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use xxhash_rust::xxh3::xxh3_64;

use super::environment::Salt;
use super::ids::Revision;
use super::judge::evidence::ConversationHash;
use super::phone_number::PhoneNumber;
use super::slot::Slot;

/// The calls that a smoke-test override is for, known by one number. An operator's number stays in the history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", try_from = "Members")]
pub enum TestCalls {
    /// Calls from this number.
    Ani(PhoneNumber),
    /// Calls to this number.
    Dnis(PhoneNumber),
}

/// What stands for the calls of one override in the evidence: a hash with the salt of the environment, never the number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TestMark(pub u64);

/// A call that an override gave to a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TestCall {
    /// Which calls the override is for.
    pub mark: TestMark,
    /// The conversation, if the call had an id.
    pub conversation: Option<ConversationHash>,
    /// When it was decided.
    pub at: Timestamp,
    /// The revision decided by.
    pub revision: Revision,
    /// The slot that took it.
    pub slot: Slot,
}

impl TestCalls {
    /// What stands for these calls in the evidence of the environment with this salt: XXH3-64 over the salt, the kind of number and
    /// the number.
    #[must_use]
    pub fn mark(self, salt: &Salt) -> TestMark {
        let (kind, number) = match self {
            Self::Ani(number) => ("ani", number),
            Self::Dnis(number) => ("dnis", number),
        };
        let text = format!("{kind} {number}");
        TestMark(xxh3_64(&[&salt.0[..], text.as_bytes()].concat()))
    }
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

    /// Made in Python, `xxhash` 4.1.0: `xxh3_64_intdigest(salt + b"ani +49301")`. Replicas of several versions write and read them.
    #[test]
    fn marks_are_pinned_for_ever() {
        let salt = Salt([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
        let ani = TestCalls::Ani("tel:+49 301".parse().unwrap());
        let dnis = TestCalls::Dnis("+49301".parse().unwrap());
        assert_eq!(ani.mark(&salt), TestMark(0x998c_c710_e55a_21f8));
        assert_eq!(dnis.mark(&salt), TestMark(0x86ca_031a_4c2a_36fe));
        assert_ne!(ani.mark(&Salt([0; 16])), ani.mark(&salt));
    }

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
