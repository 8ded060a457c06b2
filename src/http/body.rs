//! Request bodies: JSON objects, read strictly.

mod described;
mod strict;

use std::error::Error;
use std::fmt;

use axum::body::Body;
use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Body as _;
use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

pub use described::WriteBody;
use strict::Strict;

use super::head::fields;
use super::listener::BodyFault;
use super::problem::{Kind, Problem};
use crate::domain::ids::Reason;

/// The whole body, if it is labelled as JSON and holds at most `limit` bytes.
///
/// # Errors
/// Another media type, a body that is too large, or one that breaks off.
pub async fn read(headers: &HeaderMap, body: Body, limit: usize) -> Result<Bytes, Problem> {
    if !is_json(headers) {
        return Err(Problem::new(
            Kind::UnsupportedMediaType,
            "send the header `Content-Type: application/json`",
        ));
    }
    whole(body, limit).await
}

/// The whole body, if it holds at most `limit` bytes.
///
/// # Errors
/// A body that is too large, takes too long or breaks off.
pub(super) async fn whole(body: Body, limit: usize) -> Result<Bytes, Problem> {
    let collected = collect(body, limit).await;
    collected.map_err(|error| incomplete(&*error, limit))
}

/// All of a body. Nearly every one comes in one piece, which is not copied.
async fn collect(mut body: Body, limit: usize) -> Result<Bytes, Box<dyn Error + Send + Sync>> {
    let mut first = Bytes::new();
    while first.is_empty()
        && let Some(frame) = Limited::new(&mut body, limit).frame().await
    {
        first = frame?.into_data().unwrap_or_default();
    }
    if body.is_end_stream() {
        return Ok(first);
    }
    let rest = Limited::new(body, limit - first.len()).collect().await?;
    let rest = rest.to_bytes();
    Ok(if rest.is_empty() {
        first
    } else {
        [first, rest].concat().into()
    })
}

/// What to tell of a body that did not come whole.
fn incomplete(error: &(dyn Error + 'static), limit: usize) -> Problem {
    let mut next = Some(error);
    while let Some(cause) = next {
        next = cause.source();
        if cause.is::<http_body_util::LengthLimitError>() {
            let detail = format!("the body may hold at most {limit} bytes");
            return Problem::new(Kind::TooLarge, detail);
        }
        if let Some(BodyFault::Late) = cause.downcast_ref() {
            let detail = "the body took too long; the connection is closed";
            return Problem::new(Kind::RequestTimeout, detail);
        }
    }
    Problem::new(Kind::BadRequest, "the body ended before it was complete")
}

/// Whether the body is labelled as JSON, parameters aside.
fn is_json(headers: &HeaderMap) -> bool {
    is_labelled(headers, "application/json")
}

/// Whether the body is labelled as a form, parameters aside.
pub(super) fn is_form(headers: &HeaderMap) -> bool {
    is_labelled(headers, "application/x-www-form-urlencoded")
}

fn is_labelled(headers: &HeaderMap, media_type: &str) -> bool {
    let mut labels = fields(headers, CONTENT_TYPE);
    let (Some(value), None) = (labels.next(), labels.next()) else {
        return false;
    };
    if value == media_type {
        return true;
    }
    let Ok(value) = value.to_str() else {
        return false;
    };
    let essence = value.split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case(media_type)
}

/// The members of a write: why, and the command's own.
#[derive(Debug, Clone)]
pub struct Write<C> {
    /// Why.
    pub reason: Reason,
    /// The command's members.
    pub members: C,
}

impl<C: DeserializeOwned> Write<C> {
    /// Reads the members of a write: an object that has a `reason` and nothing but what `C` knows.
    ///
    /// # Errors
    /// The problem names the first member that is missing or wrong.
    pub fn parse(body: &[u8]) -> Result<Self, Problem> {
        check_strictly(body)?;
        let Members(mut members) = parse(body)?;
        let place = members.iter().position(|(name, _)| name == "reason");
        let reason = place.map(|place| members.swap_remove(place).1);
        let reason = reason.ok_or_else(|| {
            Problem::new(
                Kind::BadRequest,
                "member reason: missing; say why, in one line",
            )
        })?;
        let reason = member("reason", &reason)?;
        let rest: Vec<_> = members
            .iter()
            .map(|(name, value)| format!("{}:{value}", serde_json::Value::from(name.as_str())))
            .collect();
        Ok(Self {
            reason,
            members: parse(format!("{{{}}}", rest.join(",")).as_bytes())?,
        })
    }
}

fn member<T: DeserializeOwned>(name: &str, value: &RawValue) -> Result<T, Problem> {
    serde_json::from_str(value.get()).map_err(|error| malformed(name, &error))
}

/// Reads one JSON object.
///
/// # Errors
/// A problem document that names the member and quotes nothing.
pub fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
    if first != Some(&b'{') {
        return Err(Problem::new(
            Kind::BadRequest,
            "the body must be one JSON object",
        ));
    }
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let parsed = serde_path_to_error::deserialize(&mut deserializer);
    let parsed = parsed.map_err(|error| malformed(&error.path().to_string(), error.inner()))?;
    deserializer.end().map_err(|error| malformed(".", &error))?;
    Ok(parsed)
}

/// Refuses JSON that readers understand differently. Where it stands is not told: names on the way there are input.
fn check_strictly(body: &[u8]) -> Result<(), Problem> {
    let read = serde_json::from_slice::<Strict>(body);
    read.map(|_| ()).map_err(|error| malformed(".", &error))
}

fn malformed(path: &str, error: &serde_json::Error) -> Problem {
    let what = explain(error);
    // The name of an unknown member is input: where it stands has to do.
    let path = match path.rsplit_once('.') {
        _ if !is_unknown_member(&error.to_string()) => path,
        Some((parent, _)) => parent,
        None => ".",
    };
    // The root, or a place that the parser could not name.
    let detail = if matches!(path, "" | "." | "?") {
        what
    } else {
        format!("member {path}: {what}")
    };
    Problem::new(Kind::BadRequest, detail)
}

fn is_unknown_member(text: &str) -> bool {
    text.starts_with("unknown field ")
}

/// What is wrong, without the input that serde's messages quote before they say what they expected. Messages of our own
/// types quote nothing.
fn explain(error: &serde_json::Error) -> String {
    if !error.is_data() {
        return "the body does not read as JSON".to_owned();
    }
    let text = error.to_string();
    let text = text
        .rsplit_once(" at line ")
        .map_or(text.as_str(), |(text, _)| text);
    // The last one: what is quoted may hold these words too.
    let expected = text
        .rsplit_once(", expected ")
        .map(|(_, expected)| expected);
    let is_of = |kinds: &[&str]| kinds.iter().any(|kind| text.starts_with(kind));
    match expected {
        Some(expected) if is_unknown_member(text) => {
            format!("unknown member; expected {expected}")
        }
        None if is_unknown_member(text) => "unknown member; none is expected".to_owned(),
        Some(expected) if is_of(&["unknown variant "]) => {
            format!("unknown value; expected {expected}")
        }
        Some(expected) if is_of(&["invalid type: ", "invalid value: ", "invalid length "]) => {
            format!("wrong type or value; expected {}", in_json(expected))
        }
        _ => text.replace("field", "member"),
    }
}

/// What was expected in the words of JSON, where serde has Rust's.
fn in_json(expected: &str) -> &str {
    match expected {
        "a string" | "a borrowed string" => "a text",
        "a sequence" => "a list",
        "a map" => "an object",
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number, not too large and not negative",
        _ if expected.starts_with("struct ") => "an object",
        _ => expected,
    }
}

/// An object's members in order. That none stands twice has been looked at before.
struct Members(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members: Vec<(String, Box<RawValue>)> = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, Box<RawValue>>()? {
                    members.push((name, value));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::command::{Create, Delete, Rebind, Register, SetWeight};

    fn detail<C: DeserializeOwned + fmt::Debug>(body: &str) -> String {
        let problem = Write::<C>::parse(body.as_bytes()).unwrap_err();
        assert_eq!(problem.kind(), Kind::BadRequest);
        format!("{problem:?}")
            .split("detail: \"")
            .nth(1)
            .unwrap()
            .split("\", ext")
            .next()
            .unwrap()
            .to_owned()
    }

    #[test]
    fn a_weight_is_read_from_its_decimal_text() {
        let write =
            Write::<SetWeight>::parse(br#" {"weight": 12.50, "reason": "canary"} "#).unwrap();
        assert_eq!(
            (write.members.weight.bps(), write.reason.as_str()),
            (1250, "canary")
        );
        assert!(
            detail::<SetWeight>(r#"{"weight":5.00000000000000000001,"reason":"r"}"#)
                .starts_with("member weight: ")
        );
    }

    #[test]
    fn what_is_wrong_is_named_and_nothing_is_quoted() {
        let secret = "S3CRET";
        let bodies = [
            format!(r#"["{secret}"]"#),
            format!(r#"{{"weight":"{secret}","reason":"r"}}"#),
            format!(r#"{{"{secret}":1,"weight":5,"reason":"r"}}"#),
            format!(r#"{{"weight":5,"reason":"{secret}\n"}}"#),
            format!(r#"{{"weight":5,"reason":"r"}} {secret}"#),
            format!(r#"{{"weight":5,"weight":6,"reason":"r","x":"{secret}"}}"#),
            format!(r#"{{"weight":{secret}"#),
        ];
        for body in bodies {
            let detail = detail::<SetWeight>(&body);
            assert!(
                !detail.contains(secret) && !detail.contains(" at line "),
                "{body} gives {detail}"
            );
        }
        assert!(detail::<SetWeight>(r#"{"reason":"r"}"#).contains("missing member `weight`"));
        assert!(detail::<SetWeight>(r#"{"weight":5}"#).starts_with("member reason"));
        let nested = r#"{"flows":{"blue":{"id":"a b","name":"x"},"green":{"id":"g","name":"y"}},"flow_version":"1","reason":"r"}"#;
        assert!(
            detail::<Create>(nested).starts_with("member flows.blue.id: invalid flow id"),
            "{}",
            detail::<Create>(nested)
        );
    }

    #[test]
    fn neither_names_nor_texts_made_to_look_like_our_messages_are_quoted() {
        let secret = "S3CRET";
        let of_register = [
            format!(r#"{{"flow_version":"v","{secret}":1,"reason":"r"}}"#),
            format!(r#"{{"flow_version":"v","x, expected {secret}":1,"reason":"r"}}"#),
            format!(r#"{{"flow_version":"v","interface":"x: expected {secret}","reason":"r"}}"#),
            format!(r#"{{"flow_version":"v","interface":"x, expected {secret}","reason":"r"}}"#),
            format!(r#"{{"flow_version":"v","slot":"red`, expected {secret}","reason":"r"}}"#),
        ];
        for body in of_register {
            let detail = detail::<Register>(&body);
            assert!(!detail.contains(secret), "{body} gives {detail}");
        }
        let nested = format!(
            r#"{{"slot":"green","flow":{{"id":"f","name":"n","{secret}":1}},"reason":"r"}}"#
        );
        let nested = detail::<Rebind>(&nested);
        assert_eq!(
            nested,
            "member flow: unknown member; expected `id` or `name`"
        );
    }

    #[test]
    fn slots_are_two_and_no_member_beside_them_is_ignored() {
        let body = r#"{"flows":{"blue":{"id":"a","name":"x"},"green":{"id":"g","name":"y"},"S3CRET":1},"flow_version":"1","reason":"r"}"#;
        assert_eq!(
            detail::<Create>(body),
            "member flows: unknown member; expected `blue` or `green`"
        );
    }

    #[test]
    fn very_many_members_take_no_time() {
        let members: Vec<_> = (0..8_000).map(|number| format!("\"{number}\":0")).collect();
        let body = format!("{{{}}}", members.join(","));
        assert!(body.len() < 128 * 1024);
        assert!(detail::<Delete>(&body).starts_with("member reason: missing"));
    }

    #[test]
    fn duplicates_are_refused_at_every_depth() {
        assert!(detail::<Delete>(r#"{"reason":"r","reason":"s"}"#).contains("twice"));
        let nested = r#"{"flows":{"blue":{"id":"a","id":"b","name":"x"},"green":{"id":"g","name":"y"}},"flow_version":"1","reason":"r"}"#;
        assert!(
            detail::<Create>(nested).contains("twice"),
            "{}",
            detail::<Create>(nested)
        );
    }
}
