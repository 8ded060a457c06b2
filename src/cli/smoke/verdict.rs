//! How a smoke test stands, by what became of the calls.

use crate::cli::api::{TestCall, TestCallList};
use crate::cli::failure::Failure;
use crate::domain::slot::Slot;
use crate::domain::test_calls::TestCalls;

/// How it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Standing {
    /// The call was in the candidate's flow and ended well.
    EndedWell,
    /// It ended badly: in these ways.
    EndedBadly(String),
    /// It was not the version under test that took it, but this.
    Elsewhere(String),
    /// It was decided, and nobody has reported how it ended.
    NoEnd,
    /// It was decided without the id of a conversation: nobody can say how it ends.
    NoId,
    /// None has come.
    NoCall,
    /// Somebody did not want to wait any longer.
    Interrupted,
}

/// How a test stands whose `calls` should be taken by `flow_version` in `candidate`, by what was seen of all test calls, and the
/// last call of it; without calls it is about a conversation that was not decided here.
pub(super) fn standing<'a>(
    seen: &'a TestCallList,
    calls: Option<TestCalls>,
    candidate: Slot,
    flow_version: &str,
) -> (Standing, Option<&'a TestCall>) {
    let Some(calls) = calls else {
        let end = seen.direct.as_ref();
        return (end.map_or(Standing::NoCall, |end| ended(&end.bad)), None);
    };
    let is_ours = |call: &&TestCall| call.calls.as_ref().is_some_and(|seen| seen.are(calls));
    let Some(call) = seen.calls.iter().rfind(is_ours) else {
        return (Standing::NoCall, None);
    };
    let version = call.flow_version.as_deref().unwrap_or("an unknown version");
    let standing = if call.slot != candidate.as_str() || version != flow_version {
        Standing::Elsewhere(format!("{} ({version})", call.slot))
    } else {
        match &call.outcome {
            Some(end) => ended(&end.bad),
            None if !call.has_conversation_id => Standing::NoId,
            None => Standing::NoEnd,
        }
    };
    (standing, Some(call))
}

fn ended(bad: &[String]) -> Standing {
    if bad.is_empty() {
        Standing::EndedWell
    } else {
        Standing::EndedBadly(bad.join(", "))
    }
}

impl Standing {
    /// Its name, for programs.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::EndedWell => "ended_well",
            Self::EndedBadly(_) => "ended_badly",
            Self::Elsewhere(_) => "elsewhere",
            Self::NoEnd | Self::NoId => "no_end",
            Self::NoCall => "no_call",
            Self::Interrupted => "interrupted",
        }
    }

    /// Whether waiting changes nothing any more.
    pub(super) fn is_final(&self) -> bool {
        !matches!(self, Self::NoEnd | Self::NoCall)
    }

    /// What came of the test, as a sentence.
    pub(super) fn told(&self, candidate: Slot, flow_version: &str) -> String {
        match self {
            Self::EndedWell => {
                format!("{candidate} ({flow_version}) took the call, and it ended well")
            }
            Self::EndedBadly(bad) => {
                format!("{candidate} ({flow_version}) took the call, and it ended badly: {bad}")
            }
            Self::Elsewhere(place) => {
                format!("{place} took the call, and not {candidate} ({flow_version})")
            }
            Self::NoEnd => format!(
                "{candidate} ({flow_version}) took the call, and nobody has reported how it ended"
            ),
            Self::NoId => format!(
                "{candidate} ({flow_version}) took the call, but it had no Conversation_ID, without which nobody can say how it ended"
            ),
            Self::NoCall => "no call has come".to_owned(),
            Self::Interrupted => "interrupted before the call had ended".to_owned(),
        }
    }

    /// What the exit code says, after `told`.
    pub(super) fn verdict(&self, told: String) -> Result<(), Failure> {
        match self {
            Self::EndedWell => Ok(()),
            Self::EndedBadly(_) | Self::Elsewhere(_) => Err(Failure::smoke(told)),
            Self::NoEnd | Self::NoId | Self::NoCall | Self::Interrupted => {
                Err(Failure::pending(told))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::exit::Exit;

    fn seen(calls: &str, direct: &str) -> TestCallList {
        let json =
            format!(r#"{{"since":"2026-01-05T08:00:00Z","calls":[{calls}],"direct":{direct}}}"#);
        serde_json::from_str(&json).expect("an answer")
    }

    fn call(ani: &str, slot: &str, version: &str, outcome: &str) -> String {
        format!(
            r#"{{"at":"2026-01-05T08:00:01Z","calls":{{"ani":"{ani}"}},"slot":"{slot}","flow_version":"{version}","revision":3,
               "has_conversation_id":true,"outcome":{outcome}}}"#
        )
    }

    fn stands(calls: &[String]) -> (Standing, Exit) {
        let ours = TestCalls::Ani("+49301".parse().unwrap());
        let seen = seen(&calls.join(","), "null");
        let (standing, _) = standing(&seen, Some(ours), Slot::Green, "2.0");
        let exit = match standing.verdict(String::new()) {
            Ok(()) => Exit::Done,
            Err(failure) => failure.exit,
        };
        (standing, exit)
    }

    #[test]
    fn a_test_stands_as_its_last_call() {
        let good = r#"{"at":"2026-01-05T08:00:09Z","bad":[]}"#;
        let bad = r#"{"at":"2026-01-05T08:00:09Z","bad":["abandon","error"]}"#;
        let ours = |slot, version, outcome| call("+49301", slot, version, outcome);
        assert_eq!(stands(&[]), (Standing::NoCall, Exit::Pending));
        assert_eq!(
            stands(&[ours("green", "2.0", "null")]),
            (Standing::NoEnd, Exit::Pending)
        );
        assert_eq!(
            stands(&[ours("green", "2.0", bad), ours("green", "2.0", good)]),
            (Standing::EndedWell, Exit::Done)
        );
        assert_eq!(
            stands(&[ours("green", "2.0", bad)]),
            (
                Standing::EndedBadly("abandon, error".to_owned()),
                Exit::EndedBadly
            )
        );
        let elsewhere = Standing::Elsewhere("green (2.1)".to_owned());
        assert_eq!(
            stands(&[ours("green", "2.1", good)]),
            (elsewhere, Exit::EndedBadly)
        );
        let others = call("+49302", "green", "2.0", good);
        assert_eq!(stands(&[others]), (Standing::NoCall, Exit::Pending));
        let nobodys = ours("green", "2.0", good).replace(r#"{"ani":"+49301"}"#, "null");
        assert_eq!(stands(&[nobodys]), (Standing::NoCall, Exit::Pending));
        let nameless = ours("green", "2.0", "null").replace("id\":true", "id\":false");
        assert_eq!(stands(&[nameless]), (Standing::NoId, Exit::Pending));
    }

    #[test]
    fn a_call_that_nobody_decided_stands_as_it_ended() {
        let direct = |end: &str| standing(&seen("", end), None, Slot::Green, "2.0").0;
        assert_eq!(direct("null"), Standing::NoCall);
        assert_eq!(
            direct(r#"{"at":"2026-01-05T08:00:09Z","bad":[]}"#),
            Standing::EndedWell
        );
    }

    #[test]
    fn waiting_helps_only_while_something_may_come() {
        let waits = [Standing::NoCall, Standing::NoEnd];
        assert!(waits.iter().all(|standing| !standing.is_final()));
        let over = [
            Standing::EndedWell,
            Standing::EndedBadly("error".to_owned()),
            Standing::Elsewhere("blue".to_owned()),
            Standing::NoId,
            Standing::Interrupted,
        ];
        assert!(over.iter().all(Standing::is_final));
    }
}
