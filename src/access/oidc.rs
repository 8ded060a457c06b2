//! Tokens of issuers elsewhere: JWTs that a pipeline gets from where it runs (OpenID Connect), so that it needs no secret.
//!
//! What a token says is proved by its issuer's keys ([`issuers`] has them ready, so that no request waits for them). Whether
//! that lets its holder in, and what they may do, is looked up in the snapshot at every use: an entry that is removed lets
//! nobody in any more.

mod fetch;
pub mod issuers;
mod keys;

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::{Map, Value};

pub use keys::IssuerKeys;

use super::jwt::Times;
use crate::domain::access::Assertion;
use crate::domain::ids::{Actor, IssuerUrl};

/// What a proved token of an issuer says.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct SubjectClaims {
    /// When it holds.
    pub(super) times: Times,
    /// Who its holder is in the history: the issuer without its scheme, a colon, and the subject.
    pub(super) actor: Actor,
    /// What entries about issuers look at.
    pub(super) assertion: Assertion,
}

impl SubjectClaims {
    /// Reads the claims of a token of `issuer`. `None` if they do not say for how long, for whom and about whom.
    fn read(issuer: &IssuerUrl, claims: Map<String, Value>) -> Option<Self> {
        let subject = claims.get("sub")?.as_str()?;
        let subject = Some(subject).filter(|subject| !subject.is_empty())?;
        let actor = format!("{}:{subject}", issuer.without_scheme());
        let actor = actor.parse().ok()?;
        let audiences: BTreeSet<_> = texts(claims.get("aud")?).into_iter().collect();
        let named = |(name, value): (&String, &Value)| (name.clone(), texts(value));
        let claims_as_texts: BTreeMap<_, _> = claims.iter().map(named).collect();
        Some(Self {
            times: Times::deserialize(Value::Object(claims)).ok()?,
            actor,
            assertion: Assertion {
                issuer: issuer.as_str().to_owned(),
                audiences,
                claims: claims_as_texts,
            },
        })
    }
}

/// What a claim says: a text, a number or truth value as JSON writes it, or several of these. Anything else says nothing.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Bool(_) | Value::Number(_) => vec![value.to_string()],
        Value::Array(values) => values
            .iter()
            .filter(|value| !value.is_array())
            .flat_map(texts)
            .collect(),
        Value::Null | Value::Object(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(claims: Value) -> Option<SubjectClaims> {
        let Value::Object(claims) = claims else {
            panic!("no object")
        };
        SubjectClaims::read(&"https://issuer.example/a".parse().unwrap(), claims)
    }

    #[test]
    fn claims_are_texts_and_the_subject_is_the_actor() {
        let claims = json!({
            "iss": "https://issuer.example/a", "sub": "repo:acme/ivr:environment:production", "aud": ["a", "b"],
            "exp": 2_000, "run_number": 7, "ref_protected": true, "groups": ["x", 1, ["y"], null], "nested": {"a": "b"},
        });
        let read = read(claims).expect("claims");
        assert_eq!(
            read.actor.as_str(),
            "issuer.example/a:repo:acme/ivr:environment:production"
        );
        let says = |name: &str| read.assertion.claims[name].join(" ");
        assert_eq!(says("run_number") + " " + &says("ref_protected"), "7 true");
        assert_eq!(
            (says("groups"), says("nested")),
            ("x 1".into(), String::new())
        );
        assert_eq!(
            read.assertion.audiences,
            ["a", "b"].map(str::to_owned).into()
        );
    }

    #[test]
    fn a_token_says_about_whom_for_whom_and_until_when() {
        let whole = json!({ "sub": "s", "aud": "a", "exp": 1 });
        assert!(read(whole.clone()).is_some());
        for (name, value) in [
            ("sub", json!(null)),
            ("sub", json!(7)),
            ("sub", json!("")),
            ("sub", json!("two\nlines")),
            ("sub", json!("x".repeat(257))),
            ("aud", Value::Null),
            ("exp", json!("1")),
            ("nbf", json!("1")),
        ] {
            let mut claims = whole.clone();
            claims[name] = value;
            // A token for nobody is for none of us either.
            let read = read(claims.clone()).filter(|read| !read.assertion.audiences.is_empty());
            assert_eq!(read, None, "{claims}");
        }
        for name in ["sub", "aud", "exp"] {
            let mut claims = whole.clone();
            claims.as_object_mut().unwrap().remove(name);
            assert_eq!(read(claims), None, "without {name}");
        }
    }
}
