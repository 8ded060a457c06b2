//! What came of a form that was sent, as people are told.

use super::action::Action;
use super::actions::Sent;
use super::form::Form;
use super::words::count;
use crate::control::{Answer, Outcome as Wrote};
use crate::domain::{Environment, Unchanged};
use crate::http::admin::preflight::PreflightView;
use crate::http::problem::Problem;
use crate::replica::receipt::{Receipt, Standing, Status};

/// What came of a form that was sent.
#[derive(Debug)]
pub(super) enum Attempted {
    /// It was refused; what stood in it stands there still.
    Refused(Sent),
    /// It was done, or there was nothing to do.
    Done(Outcome),
}

impl Attempted {
    pub(super) fn into_parts(self) -> (Option<Sent>, Option<Outcome>) {
        match self {
            Self::Refused(sent) => {
                let outcome = Outcome {
                    is_done: false,
                    title: format!("Not done: {}", sent.action.title().to_lowercase()),
                    detail: sent.refused.clone(),
                    preflight: None,
                    receipt: None,
                };
                (Some(sent), Some(outcome))
            }
            Self::Done(outcome) => (None, Some(outcome)),
        }
    }
}

/// What people are told of it.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) is_done: bool,
    pub(super) title: String,
    pub(super) detail: String,
    /// What a look at the flow came to.
    pub(super) preflight: Option<String>,
    /// Which replicas have it.
    pub(super) receipt: Option<ReceiptView>,
}

/// Which replicas decide by a change.
#[derive(Debug)]
pub(super) struct ReceiptView {
    pub(super) is_complete: bool,
    pub(super) text: String,
    pub(super) replicas: Vec<(String, String)>,
}

impl Outcome {
    pub(super) fn of(
        action: Action,
        answer: &Answer<Environment>,
        preflight: Option<&PreflightView>,
    ) -> Self {
        let revision = answer.revision;
        let (title, detail) = match answer.outcome {
            Wrote::Committed(sequence) => (
                format!("Done: {}", action.title().to_lowercase()),
                format!("This is revision {revision}, journal entry {sequence}."),
            ),
            Wrote::Repeated(sequence) => (
                format!("Done before: {}", action.title().to_lowercase()),
                format!(
                    "The same form was sent before and made revision {revision}, journal entry {sequence}; nothing was changed again."
                ),
            ),
            Wrote::Unchanged(unchanged) => (
                format!("Nothing to do: {}", action.title().to_lowercase()),
                nothing(unchanged).to_owned(),
            ),
        };
        Self {
            is_done: true,
            title,
            detail,
            preflight: preflight.map(PreflightView::in_words),
            receipt: answer.receipt.as_ref().map(ReceiptView::of),
        }
    }
}

impl ReceiptView {
    fn of(receipt: &Receipt) -> Self {
        let replicas = receipt.replicas.iter().map(|confirmation| {
            let said = match confirmation.standing {
                Standing::Acknowledged(after) => {
                    let ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
                    format!("has it, within {} ms", count(ms))
                }
                Standing::Unconfirmed => "is alive and has not confirmed it in time".to_owned(),
                Standing::Silent => {
                    "was silent before: killed, or cut off and deciding by what it knew".to_owned()
                }
            };
            (confirmation.replica.clone(), said)
        });
        Self {
            is_complete: receipt.status == Status::All,
            text: match receipt.status {
                Status::All => "Every live replica decides by it.",
                Status::Unconfirmed => "Not every live replica has confirmed it in time.",
                Status::Unknown => {
                    "The heartbeats cannot be read, so nobody can say which replicas have it."
                }
            }
            .to_owned(),
            replicas: replicas.collect(),
        }
    }
}

/// What it sent, for refusals by the writer.
pub(super) fn refused(action: Action, form: Form, problem: &Problem) -> Attempted {
    Attempted::Refused(Sent {
        action,
        form,
        refused: sentence(problem.detail()),
        kind: Some(problem.kind()),
    })
}

/// `text` as a sentence of its own.
pub(super) fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string());
    let end = if text.ends_with('.') { "" } else { "." };
    format!("{}{}{end}", first.unwrap_or_default(), letters.as_str())
}

/// Why nothing has to be done.
pub(super) fn nothing(unchanged: Unchanged) -> &'static str {
    match unchanged {
        Unchanged::AlreadyActive => "The candidate is active already.",
        Unchanged::AlreadyRolledBack => {
            "There is nothing to take back: the version in the other slot was rolled back already."
        }
        Unchanged::SameWeight => "The weight is this already.",
        Unchanged::AlreadyPaused => "The rollout is paused already.",
        Unchanged::AlreadyAborted => "The rollout was aborted already.",
        Unchanged::SameFlow
        | Unchanged::NoSuchOverride
        | Unchanged::NoSuchFreeze
        | Unchanged::NoSuchWebhook
        | Unchanged::SameInterface
        | Unchanged::SameVariables => "It is so already.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_a_sentence() {
        assert_eq!(sentence("slot green is claimed"), "Slot green is claimed.");
        assert_eq!(sentence("Wait."), "Wait.");
        assert_eq!(sentence(""), ".");
    }
}
