//! What the exit code says.

use std::fmt::Write as _;
use std::process::ExitCode;

use http::StatusCode;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    /// It did what it was asked to.
    Done,
    /// It could not.
    Failed,
    /// It was asked wrongly.
    Usage,
    /// The state does not allow it.
    Refused,
    /// What it is about does not exist.
    Missing,
    /// The caller may not do it.
    NotAllowed,
    /// Whether a write took effect is not known.
    OutcomeUnknown,
    /// What was to be waited for has not come.
    Pending,
    /// The rollout that was waited for was aborted.
    Aborted,
    /// The rollout that was waited for needs a person.
    NeedsAPerson,
    /// The test call ended badly, or somewhere else.
    EndedBadly,
}

/// Every exit code with its documented meaning. Scripts rely on them: a code never changes its meaning. `rollout wait` has two of
/// its own, and `smoke` one.
const EXIT_CODES: [(u8, Exit, &str); 11] = [
    (0, Exit::Done, "done"),
    (
        1,
        Exit::Failed,
        "failed: the server cannot be reached, or is in trouble itself",
    ),
    (
        2,
        Exit::Usage,
        "wrong usage: the command line or the request is not well formed",
    ),
    (
        3,
        Exit::Refused,
        "refused by the state, or the state has changed meanwhile; nothing was changed",
    ),
    (4, Exit::Missing, "there is no such thing"),
    (
        5,
        Exit::NotAllowed,
        "not allowed: the token is missing, unknown, or may not do this",
    ),
    (
        6,
        Exit::OutcomeUnknown,
        "outcome unknown: repeat with the idempotency key that was printed to find out",
    ),
    (
        7,
        Exit::Pending,
        "not yet: the change is made, but not every live replica has confirmed it; or the slot has not drained; or the rollout has not ended; or the test call has not come or not ended",
    ),
    (
        2,
        Exit::Aborted,
        "of `rollout wait`: the rollout was aborted",
    ),
    (
        3,
        Exit::NeedsAPerson,
        "of `rollout wait`: the rollout is paused, or waits for consent; a person has to decide",
    ),
    (
        2,
        Exit::EndedBadly,
        "of `smoke`: the test call ended badly, or another version took it",
    ),
];

impl Exit {
    /// What an answer with an error status says of the request.
    pub(super) fn of_status(status: StatusCode) -> Self {
        match status {
            StatusCode::BAD_REQUEST => Self::Usage,
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Self::NotAllowed,
            StatusCode::NOT_FOUND => Self::Missing,
            StatusCode::CONFLICT
            | StatusCode::PRECONDITION_FAILED
            | StatusCode::UNPROCESSABLE_ENTITY
            | StatusCode::PRECONDITION_REQUIRED => Self::Refused,
            _ => Self::Failed,
        }
    }

    fn code(self) -> u8 {
        EXIT_CODES
            .iter()
            .find_map(|(code, exit, _)| (*exit == self).then_some(*code))
            // A test walks the table: every exit is in it.
            .unwrap_or(1)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// The table of exit codes, for the end of the help.
pub(super) fn help() -> String {
    let mut text = "Exit codes:".to_owned();
    for (code, _, meaning) in EXIT_CODES {
        // Writing to a text cannot fail.
        let _ = write!(text, "\n  {code}  {meaning}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_exit_has_the_code_that_is_documented() {
        let codes = [
            (Exit::Done, 0),
            (Exit::Failed, 1),
            (Exit::Usage, 2),
            (Exit::Refused, 3),
            (Exit::Missing, 4),
            (Exit::NotAllowed, 5),
            (Exit::OutcomeUnknown, 6),
            (Exit::Pending, 7),
            (Exit::Aborted, 2),
            (Exit::NeedsAPerson, 3),
            (Exit::EndedBadly, 2),
        ];
        for (exit, code) in codes {
            assert_eq!(exit.code(), code, "{exit:?}");
        }
    }

    #[test]
    fn statuses_map_to_exits() {
        let exits = [
            (400, Exit::Usage),
            (401, Exit::NotAllowed),
            (403, Exit::NotAllowed),
            (404, Exit::Missing),
            (409, Exit::Refused),
            (412, Exit::Refused),
            (422, Exit::Refused),
            (428, Exit::Refused),
            (429, Exit::Failed),
            (500, Exit::Failed),
            (503, Exit::Failed),
            (504, Exit::Failed),
        ];
        for (status, exit) in exits {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(Exit::of_status(status), exit, "{status}");
        }
    }

    #[test]
    fn the_help_lists_every_code() {
        for code in 0..=7 {
            assert!(help().contains(&format!("\n  {code}  ")), "{code}");
        }
    }
}
