//! The names and numbers of the domain, parsed once at the edge.
//!
//! Each text type owns its grammar, so a value that exists is valid and nothing inside checks it again. Error messages say
//! what was expected and never repeat the input: they travel in problem documents to callers we do not trust.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::whole_number;

/// A text does not follow the grammar of what it should name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("invalid {what}: expected {expected}")]
pub struct InvalidText {
    what: &'static str,
    expected: &'static str,
}

/// Defines a validated text type: a private `String` that only its grammar can fill.
macro_rules! text_type {
    ($(#[$meta:meta])* $name:ident, $what:literal, $expected:literal, |$text:ident| $grammar:expr) => {
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
        #[serde(try_from = "String", into = "String")]
        $(#[$meta])*
        pub struct $name(String);

        impl $name {
            /// The text itself.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// Whether a text follows the grammar.
            #[must_use]
            pub fn is_valid($text: &str) -> bool {
                $grammar
            }
        }

        impl FromStr for $name {
            type Err = InvalidText;

            fn from_str(text: &str) -> Result<Self, InvalidText> {
                if Self::is_valid(text) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(InvalidText { what: $what, expected: $expected })
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidText;

            fn try_from(text: String) -> Result<Self, InvalidText> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(text: $name) -> String {
                text.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

/// One line a person can read: 1 to `max` characters, none of them a control character, no blank at either end.
fn is_line(text: &str, max: usize) -> bool {
    !text.is_empty()
        && text.trim() == text
        && text.chars().count() <= max
        && !text.chars().any(char::is_control)
}

mod urls;

pub use urls::{IssuerUrl, WebhookUrl};

text_type! {
    /// Name of an environment: one controlled entry point, for example `Main_IVR`.
    #[schema(min_length = 1, max_length = 64, pattern = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", example = "Main_IVR")]
    EnvironmentName, "environment name",
    "1 to 64 ASCII letters, digits, '.', '_' or '-', the first a letter or digit",
    |text| text.len() <= 64
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

text_type! {
    /// Id of an Architect flow. Genesys uses UUIDs; any short token of that alphabet is taken.
    #[schema(min_length = 1, max_length = 64, pattern = r"^[A-Za-z0-9-]{1,64}$", example = "5f0c9a52-3d0e-4f7e-9b8e-0a4f6b1d2c3e")]
    FlowId, "flow id", "1 to 64 ASCII letters, digits or '-'",
    |text| (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

text_type! {
    /// Id of an Architect data table. Genesys uses UUIDs; any short token of that alphabet is taken.
    #[schema(min_length = 1, max_length = 64, pattern = r"^[A-Za-z0-9-]{1,64}$", example = "0c7d2b1e-6a55-4a0c-9a43-5d2f8f1b7e60")]
    DataTableId, "data table id", "1 to 64 ASCII letters, digits or '-'",
    |text| FlowId::is_valid(text)
}

text_type! {
    /// Name of an Architect flow, as people see it.
    #[schema(min_length = 1, max_length = 128, pattern = r"^[^\s\x00-\x1f\x7f-\x9f]([^\x00-\x1f\x7f-\x9f]{0,126}[^\s\x00-\x1f\x7f-\x9f])?$", example = "Main IVR Blue")]
    FlowName, "flow name", "1 to 128 characters on one line, no blank at either end",
    |text| is_line(text, 128)
}

text_type! {
    /// Label of a flow version, unique in its environment. Genesys numbers each flow on its own, so both can have a "45.0".
    #[schema(min_length = 1, max_length = 64, pattern = r"^[^\s\x00-\x1f\x7f-\x9f]([^\x00-\x1f\x7f-\x9f]{0,62}[^\s\x00-\x1f\x7f-\x9f])?$", example = "2026-11-23.1")]
    VersionLabel, "flow version", "1 to 64 characters on one line, no blank at either end",
    |text| is_line(text, 64)
}

text_type! {
    /// Version of a flow as Genesys Cloud numbers it when it is published: the id or the name of the flow's published version.
    #[schema(min_length = 1, max_length = 64, pattern = r"^[^\s\x00-\x1f\x7f-\x9f]([^\x00-\x1f\x7f-\x9f]{0,62}[^\s\x00-\x1f\x7f-\x9f])?$", example = "45.0")]
    PublishedVersion, "published version", "1 to 64 characters on one line, no blank at either end",
    |text| is_line(text, 64)
}

/// Names that a variable cannot have, in lower case: the members that every decision's answer has anyway. It may look like a
/// list that will grow; but then a state that uses the new name would not read any more, so members that are added to answers
/// start with [`RESERVED_PREFIX`] instead.
const RESERVED_NAMES: [&str; 10] = [
    "active_flow_id",
    "active_flow_name",
    "flow_version",
    "flow_version_known",
    "reason",
    "revision",
    "schema_version",
    "slot",
    "source",
    "traffic_weight",
];
/// How the names of our own future members start, in lower case.
const RESERVED_PREFIX: &str = "tc_";

/// Reserved names are compared without regard to case: a flow's author would take `reason` and `Reason` for one.
fn is_reserved(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.starts_with(RESERVED_PREFIX) || RESERVED_NAMES.contains(&name.as_str())
}

text_type! {
    /// Name of a variable of an interface: a member of the answers to flows, beside those of every answer.
    #[schema(min_length = 1, max_length = 64, pattern = r"^[A-Za-z_][A-Za-z0-9_]{0,63}$", example = "Callback_Offered")]
    VariableName, "variable name",
    "1 to 64 ASCII letters, digits or '_', the first no digit; neither TC_ in front nor a member of every answer, such as Slot",
    |text| text.len() <= 64
        && text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && !is_reserved(text)
}

text_type! {
    /// Why a change was made, in the words of who made it. Kept in the journal for ever.
    #[schema(min_length = 1, max_length = 500, pattern = r"^[^\s\x00-\x1f\x7f-\x9f]([^\x00-\x1f\x7f-\x9f]{0,498}[^\s\x00-\x1f\x7f-\x9f])?$", example = "release 2026-11-23")]
    Reason, "reason", "1 to 500 characters on one line, no blank at either end",
    |text| is_line(text, 500)
}

text_type! {
    /// Who answers for a smoke-test override: a person or a pipeline.
    #[schema(min_length = 1, max_length = 64, pattern = r"^[^\s\x00-\x1f\x7f-\x9f]([^\x00-\x1f\x7f-\x9f]{0,62}[^\s\x00-\x1f\x7f-\x9f])?$", example = "IVR team, ext. 4711")]
    Owner, "owner", "1 to 64 characters on one line, no blank at either end",
    |text| is_line(text, 64)
}

text_type! {
    /// Who made a change: a token's name, or a subject that an identity provider vouches for.
    #[schema(min_length = 1, max_length = 256, pattern = r"^[^\s\x00-\x1f\x7f-\x9f]([^\x00-\x1f\x7f-\x9f]{0,254}[^\s\x00-\x1f\x7f-\x9f])?$", example = "release-pipeline")]
    Actor, "actor", "1 to 256 characters on one line, no blank at either end",
    |text| is_line(text, 256)
}

text_type! {
    /// Name of an entry about an issuer of tokens.
    #[schema(min_length = 1, max_length = 64, pattern = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", example = "github-production")]
    IssuerName, "issuer name",
    "1 to 64 ASCII letters, digits, '.', '_' or '-', the first a letter or digit",
    |text| EnvironmentName::is_valid(text)
}

text_type! {
    /// Whom a token has to be for (`aud`).
    #[schema(min_length = 1, max_length = 256, example = "traffic-cop")]
    Audience, "audience", "1 to 256 characters on one line, no blank at either end",
    |text| is_line(text, 256)
}

text_type! {
    /// Name of a claim in a token.
    #[schema(min_length = 1, max_length = 128, example = "repository")]
    ClaimName, "claim", "1 to 128 characters on one line, no blank at either end",
    |text| is_line(text, 128)
}

text_type! {
    /// What a claim has to say: exactly this, or, with `*` at its end, something that begins so.
    #[schema(min_length = 1, max_length = 256, example = "octo-org/ivr")]
    ClaimPattern, "claim value",
    "1 to 256 characters on one line, no blank at either end; '*' only at its end, behind what the value begins with",
    |text| is_line(text, 256) && text.find('*').is_none_or(|at| at > 0 && at + 1 == text.len())
}

impl ClaimPattern {
    /// Whether a claim that says `value` says this.
    #[must_use]
    pub fn fits(&self, value: &str) -> bool {
        match self.0.strip_suffix('*') {
            Some(start) => value.starts_with(start),
            None => value == self.0,
        }
    }
}

text_type! {
    /// Name of a webhook.
    #[schema(min_length = 1, max_length = 64, pattern = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", example = "chat")]
    WebhookName, "webhook name",
    "1 to 64 ASCII letters, digits, '.', '_' or '-', the first a letter or digit",
    |text| EnvironmentName::is_valid(text)
}

text_type! {
    /// Name of a secret that webhooks are signed with. The secret itself is in no table.
    #[schema(min_length = 1, max_length = 64, pattern = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", example = "chat")]
    SecretName, "secret name",
    "1 to 64 ASCII letters, digits, '.', '_' or '-', the first a letter or digit",
    |text| EnvironmentName::is_valid(text)
}

text_type! {
    /// Name of a kind of change, as the history has it.
    #[schema(min_length = 1, max_length = 64, pattern = r"^[a-z][a-z_]{0,63}$", example = "rollback")]
    ActionName, "action", "1 to 64 small ASCII letters or '_', the first a letter",
    |text| text.len() <= 64
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
}

text_type! {
    /// A caller's own name for one write, so that a repeat is recognised.
    #[schema(min_length = 1, max_length = 128, pattern = r"^[!-~]{1,128}$", example = "build-4711-cutover")]
    IdempotencyKey, "idempotency key", "1 to 128 printable ASCII characters without blanks",
    |text| (1..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

/// Defines a counter that starts at 0 and only grows.
macro_rules! counter_type {
    ($(#[$meta:meta])* $name:ident) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, ToSchema)]
        #[serde(transparent)]
        $(#[$meta])*
        pub struct $name(#[serde(deserialize_with = "whole_number::read")] pub u64);

        impl $name {
            /// The one after this.
            #[must_use]
            pub fn next(self) -> Self {
                Self(self.0.saturating_add(1))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

counter_type! {
    /// How many changes an aggregate has seen: +1 per committed change, never reused, continued when it is created again.
    Revision
}

counter_type! {
    /// Place of a record in the journal, from 1; 0 stands for "before the first".
    Sequence
}

counter_type! {
    /// Number of a freeze window: the revision that added it, so that none is given twice.
    FreezeNumber
}

/// Which aggregate a change is about. Its text is its name in the journal: `environment/Main_IVR`, `access`, `settings`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AggregateKey {
    /// One environment.
    Environment(EnvironmentName),
    /// The tokens.
    Access,
    /// What holds for the deployment as a whole.
    Settings,
    /// An aggregate that only newer binaries know.
    Other(String),
}

impl fmt::Display for AggregateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment(name) => write!(f, "environment/{name}"),
            Self::Access => f.write_str("access"),
            Self::Settings => f.write_str("settings"),
            Self::Other(name) => f.write_str(name),
        }
    }
}

impl FromStr for AggregateKey {
    type Err = InvalidText;

    fn from_str(text: &str) -> Result<Self, InvalidText> {
        match text.split_once('/') {
            Some(("environment", name)) => Ok(Self::Environment(name.parse()?)),
            None if text == "access" => Ok(Self::Access),
            None if text == "settings" => Ok(Self::Settings),
            _ if is_line(text, 128) => Ok(Self::Other(text.to_owned())),
            _ => Err(InvalidText {
                what: "aggregate",
                expected: "a name of at most 128 characters",
            }),
        }
    }
}

/// Number of an interface, the contract of participant-data variables between a flow and its callers; 0 means none.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    Serialize,
    Deserialize,
    ToSchema,
)]
#[serde(transparent)]
#[schema(value_type = u64, maximum = 4_294_967_295_u64, example = 0)]
pub struct InterfaceNumber(#[serde(deserialize_with = "whole_number::read")] pub u32);

impl InterfaceNumber {
    /// No interface, and so no variables.
    pub const NONE: Self = Self(0);
}

impl fmt::Display for InterfaceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_met_whole_or_by_its_beginning() {
        let fits = |pattern: &str, value| pattern.parse::<ClaimPattern>().unwrap().fits(value);
        assert!(fits("acme/ivr", "acme/ivr") && !fits("acme/ivr", "acme/ivr2"));
        assert!(!fits("acme/ivr", "Acme/ivr") && !fits("acme/ivr", ""));
        assert!(fits("refs/heads/*", "refs/heads/main") && fits("refs/heads/*", "refs/heads/"));
        assert!(!fits("refs/heads/*", "refs/tags/1"));
        for bad in ["", "*", "a*b", "a**", "*a", " a", "a\n"] {
            assert!(bad.parse::<ClaimPattern>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn environment_names_follow_their_grammar() {
        for good in ["Main_IVR", "a", "0", "a.b-c_d", &"x".repeat(64)] {
            assert_eq!(good.parse::<EnvironmentName>().unwrap().as_str(), good);
        }
        for bad in [
            "",
            ".",
            "..",
            "_a",
            "-a",
            "a b",
            "a/b",
            "a\0",
            "ä",
            "a%0d",
            &"x".repeat(65),
        ] {
            assert!(bad.parse::<EnvironmentName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn variable_names_follow_their_grammar() {
        for good in [
            "Callback_Offered",
            "x",
            "_",
            "_1",
            "tc",
            "TCP_Port",
            "Slots",
            &"x".repeat(64),
        ] {
            assert_eq!(good.parse::<VariableName>().unwrap().as_str(), good);
        }
        for bad in [
            "",
            "1x",
            "a-b",
            "a.b",
            "a b",
            "Größe",
            "a\0",
            &"x".repeat(65),
        ] {
            assert!(bad.parse::<VariableName>().is_err(), "{bad:?}");
        }
        for reserved in ["Slot", "slot", "FLOW_VERSION", "TC_", "tc_region", "Tc_x"] {
            assert!(reserved.parse::<VariableName>().is_err(), "{reserved:?}");
        }
    }

    #[test]
    fn lines_have_no_control_characters_and_no_outer_blanks() {
        for bad in ["", " a", "a ", "a\nb", "\u{7f}", &"x".repeat(65)] {
            assert!(bad.parse::<VersionLabel>().is_err(), "{bad:?}");
        }
        assert!("Größe 2.0 \"beta\" <b>".parse::<VersionLabel>().is_ok());
    }

    #[test]
    fn errors_do_not_repeat_the_input() {
        let message = "secret thing"
            .parse::<EnvironmentName>()
            .unwrap_err()
            .to_string();
        assert!(!message.contains("secret"), "{message}");
    }
}
