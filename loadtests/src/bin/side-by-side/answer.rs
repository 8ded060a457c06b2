//! What an answer must look like for its request to count.

use anyhow::{Context as _, ensure};
use serde_json::{Map, Value};

use crate::request::{FLAG, Question};

/// Tells whether a member's value may stand there.
type Check = fn(&Value) -> bool;

/// Every member of a decision.
const MEMBERS: [(&str, Check); 10] = [
    ("Active_Flow_ID", Value::is_string),
    ("Active_Flow_Name", Value::is_string),
    ("Slot", |value| {
        matches!(value.as_str(), Some("blue" | "green"))
    }),
    ("Flow_Version", Value::is_string),
    ("Traffic_Weight", Value::is_number),
    ("Schema_Version", Value::is_u64),
    ("Flow_Version_Known", Value::is_boolean),
    // Any other rule would be a cheaper or a dearer way to answer than the one that is measured.
    ("Reason", |value| value == "weighted"),
    ("Revision", Value::is_u64),
    ("Source", Value::is_string),
];

/// Every member of a flag's value that matters, after the OpenFeature Remote Evaluation Protocol.
const FLAG_MEMBERS: [(&str, Check); 3] = [
    ("key", |value| value == FLAG),
    ("value", |value| {
        matches!(value.as_str(), Some("blue" | "green"))
    }),
    ("reason", |value| value == "TARGETING_MATCH"),
];

/// Checks that `body` answers `question`: a decision, made by the rule `weighted`, or the value of a flag, drawn.
///
/// # Errors
/// If it is no JSON object, or a member is missing or has a value it cannot have.
pub(crate) fn check(question: Question, body: &[u8]) -> anyhow::Result<()> {
    let members: &[_] = match question {
        Question::Decision => &MEMBERS,
        Question::Flag => &FLAG_MEMBERS,
    };
    let text = String::from_utf8_lossy(body);
    let answer: Map<String, Value> = serde_json::from_slice(body)
        .with_context(|| format!("answer is no JSON object: {text}"))?;
    for &(name, is_valid) in members {
        let value = answer
            .get(name)
            .with_context(|| format!("answer lacks {name}: {text}"))?;
        ensure!(is_valid(value), "answer has an unexpected {name}: {text}");
    }
    Ok(())
}

/// Whether `body` says that it was proved to hold every change acknowledged before it was asked for.
pub(crate) fn is_proved(body: &[u8]) -> bool {
    const PROVED: &[u8] = br#""Source":"validated""#;
    body.windows(PROVED.len()).any(|part| part == PROVED)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"Active_Flow_ID":"a","Active_Flow_Name":"b","Slot":"green","Flow_Version":"c","Traffic_Weight":2.5,
        "Schema_Version":0,"Flow_Version_Known":true,"Reason":"weighted","Revision":4,"Source":"live"}"#;

    #[test]
    fn a_whole_decision_passes() {
        assert!(check(Question::Decision, GOOD.as_bytes()).is_ok());
    }

    #[test]
    fn a_missing_null_or_unexpected_member_does_not() {
        for (from, to) in [
            (r#""Slot""#, r#""slot""#),
            ("true", "null"),
            ("weighted", "active"),
            ("4,", "-4,"),
        ] {
            assert!(
                check(Question::Decision, GOOD.replace(from, to).as_bytes()).is_err(),
                "{from} -> {to}"
            );
        }
    }
}
