//! Why there are no counts of intervals that could be relied on. Whatever the reason, a rollout that is judged by them holds.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::slot::Slot;

/// What is wrong with the platform's analytics, or with asking for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Trouble {
    /// The controller has no access to analytics.
    NotSetUp,
    /// The client's secret cannot be read.
    NoSecret,
    /// There is no answer in time.
    NoAnswer,
    /// The client's id or secret is wrong.
    LoginRefused,
    /// New access tokens are refused.
    Unauthenticated,
    /// The client lacks a permission.
    Forbidden,
    /// Too much is asked; nothing is for so many seconds.
    Throttled(u64),
    /// The answer has this status.
    Status(u16),
    /// The answer is too large.
    TooLarge,
    /// The answer has another shape, or this record of one is of a newer binary.
    Unreadable,
    /// The platform's clock is so many seconds ahead of ours.
    ClocksApart(i64),
    /// Counts are negative, fractions, doubled, or of what was not asked for.
    Absurd,
    /// An interval has no calls.
    NoCalls,
    /// An interval still gets more calls.
    Growing,
    /// An interval has lost calls since the last look.
    Shrinking,
    /// An interval has calls of the other slot only.
    OneSided(Slot),
    /// An interval has far fewer calls of a version than were decided in it.
    Partial {
        /// Calls that analytics has.
        counted: u64,
        /// Calls that were decided.
        decided: u64,
    },
    /// An interval has far more calls than were decided in it: others come from elsewhere, and chance did not draw them.
    Excess {
        /// Calls that analytics has.
        counted: u64,
        /// Calls that were decided.
        decided: u64,
    },
    /// Calls are counted without how they ended.
    WithoutExits,
    /// This slot's flow has calls in several versions.
    SeveralVersions(Slot),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSetUp => f.write_str("the controller has no access to analytics"),
            Self::NoSecret => f.write_str("the secret of the analytics client cannot be read"),
            Self::NoAnswer => f.write_str("analytics does not answer"),
            Self::LoginRefused => f.write_str("analytics refuses the id and secret of its client"),
            Self::Unauthenticated => f.write_str("analytics refuses its own access tokens"),
            Self::Forbidden => {
                f.write_str("analytics refuses its client; it needs analytics:flowAggregate:view")
            }
            Self::Throttled(seconds) => {
                write!(
                    f,
                    "analytics is asked too much; it wants {seconds} s of silence"
                )
            }
            Self::Status(status) => write!(f, "analytics answers with status {status}"),
            Self::TooLarge => f.write_str("the answer of analytics is too large"),
            Self::Unreadable => f.write_str("the answer of analytics cannot be read"),
            Self::ClocksApart(ahead) => {
                write!(f, "the clock of analytics is {ahead} s ahead of ours")
            }
            Self::Absurd => f.write_str("analytics counts what cannot be"),
            Self::NoCalls => f.write_str("analytics has no calls in the last interval"),
            Self::Growing => f.write_str("analytics still gets calls of the last interval"),
            Self::Shrinking => f.write_str("analytics has lost calls of the last interval"),
            Self::OneSided(slot) => write!(
                f,
                "analytics has no {slot} calls in the last interval, only others"
            ),
            Self::Partial { counted, decided } => write!(
                f,
                "analytics has only {counted} of {decided} calls of the last interval"
            ),
            Self::Excess { counted, decided } => write!(
                f,
                "analytics has {counted} calls in the last interval, though only {decided} were decided"
            ),
            Self::WithoutExits => f.write_str("analytics does not say how calls left the flows"),
            Self::SeveralVersions(slot) => {
                write!(
                    f,
                    "analytics has calls in several versions of the {slot} flow"
                )
            }
        }
    }
}
