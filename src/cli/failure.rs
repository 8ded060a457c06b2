//! What went wrong, whoever noticed: an exit code for scripts and a problem document (RFC 9457) for everyone.

use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::exit::Exit;
use crate::domain::ids::IdempotencyKey;

/// A command that did not come to its end.
#[derive(Debug)]
pub(super) struct Failure {
    /// What the process says with its exit code.
    pub(super) exit: Exit,
    /// What it says on standard error.
    pub(super) problem: Box<Problem>,
    /// What a person can do about it, if we know better than the server.
    pub(super) hint: Option<String>,
}

/// A problem document: the server's, with every member it sent, or one of our own.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Problem {
    #[serde(rename = "type")]
    kind: String,
    title: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    #[serde(flatten)]
    extensions: Map<String, Value>,
}

impl Failure {
    /// The command was used wrongly.
    pub(super) fn usage(detail: impl Into<String>) -> Self {
        Self::own(Exit::Usage, "usage", "wrong usage", detail.into())
    }

    /// There is no answer. The request may or may not have arrived.
    pub(super) fn no_answer(detail: String) -> Self {
        Self::own(Exit::Failed, "no-answer", "no answer", detail)
    }

    /// The state does not allow it.
    pub(super) fn refused(detail: String) -> Self {
        Self::own(Exit::Refused, "refused", "refused", detail)
    }

    /// What was to be waited for has not come.
    pub(super) fn pending(detail: String) -> Self {
        Self::own(Exit::Pending, "pending", "not yet", detail)
    }

    /// The rollout that was waited for was aborted.
    pub(super) fn aborted(detail: String) -> Self {
        Self::own(Exit::Aborted, "aborted", "aborted", detail)
    }

    /// The test call that was waited for is a bad sign.
    pub(super) fn smoke(detail: String) -> Self {
        Self::own(Exit::EndedBadly, "smoke", "the test failed", detail)
    }

    /// The rollout that was waited for does not go on by itself.
    pub(super) fn needs_a_person(detail: String) -> Self {
        let kind = "needs-a-person";
        Self::own(Exit::NeedsAPerson, kind, "needs a person", detail)
    }

    /// What an answer with an error status says.
    pub(super) fn from_answer(status: StatusCode, text: &str) -> Self {
        let problem = serde_json::from_str(text).unwrap_or_else(|_| {
            let detail =
                format!("the answer is {status} and no problem document; is this a traffic-cop?");
            Box::new(Problem {
                status: Some(status.as_u16()),
                ..Problem::own("unexpected-answer", "unexpected answer", detail)
            })
        });
        Self {
            exit: Exit::of_status(status),
            problem,
            hint: None,
        }
    }

    /// The same failure of a write that may have taken effect all the same. Repeating it under `key` is safe and tells.
    pub(super) fn with_unknown_outcome(mut self, key: &IdempotencyKey) -> Self {
        self.exit = Exit::OutcomeUnknown;
        self.hint = Some(format!(
            "the change may have been made; repeat the command with --idempotency-key {key} to find out"
        ));
        let name = "idempotency_key".to_owned();
        self.problem
            .extensions
            .insert(name, Value::String(key.to_string()));
        self
    }

    /// Whether the same request would fail again.
    pub(super) fn is_for_good(&self) -> bool {
        self.exit != Exit::Failed
    }

    fn own(exit: Exit, kind: &str, title: &str, detail: String) -> Self {
        Self {
            exit,
            problem: Box::new(Problem::own(kind, title, detail)),
            hint: None,
        }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::own(Exit::Failed, "failed", "failed", format!("{error:#}"))
    }
}

impl Problem {
    /// A problem that this program noticed, not the server.
    fn own(kind: &str, title: &str, detail: String) -> Self {
        Self {
            kind: format!("urn:traffic-cop:cli:{kind}"),
            title: title.to_owned(),
            status: None,
            detail: Some(detail),
            extensions: Map::new(),
        }
    }

    /// What a person should read.
    pub(super) fn message(&self) -> &str {
        self.detail.as_deref().unwrap_or(&self.title)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_document_keeps_every_member_it_came_with() {
        let text = r#"{"type":"urn:traffic-cop:problem:slot-claimed","title":"claimed","status":409,"detail":"d","slot":"green"}"#;
        let failure = Failure::from_answer(StatusCode::CONFLICT, text);
        assert_eq!(failure.exit, Exit::Refused);
        assert_eq!(failure.problem.message(), "d");
        assert_eq!(serde_json::to_string(&failure.problem).unwrap(), text);
    }

    #[test]
    fn an_error_page_of_something_else_is_named_as_such() {
        let failure = Failure::from_answer(StatusCode::NOT_FOUND, "<html>");
        assert_eq!(failure.exit, Exit::Missing);
        assert!(failure.problem.message().contains("404"));
    }

    #[test]
    fn an_unknown_outcome_hands_over_the_key_that_finds_out() {
        let key = "build-1".parse().unwrap();
        let failure = Failure::no_answer("gone".to_owned()).with_unknown_outcome(&key);
        assert_eq!(failure.exit, Exit::OutcomeUnknown);
        let document = serde_json::to_value(&failure.problem).unwrap();
        assert_eq!(document["idempotency_key"], "build-1");
        assert!(
            failure
                .hint
                .is_some_and(|hint| hint.contains("--idempotency-key build-1"))
        );
    }
}
