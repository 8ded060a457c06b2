//! Why rollouts stop.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::judge::metric::Metric;

/// Why a rollout is paused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PauseCause {
    /// A person asked for it.
    Operator,
    /// Evidence that the candidate is worse in this metric.
    Harm(Metric),
    /// Evidence that calls to the candidate end badly at once.
    FastLane,
    /// Bad ends in this metric that became known too late are the candidate's more often than chance would have it.
    Late(Metric),
    /// Calls are not split as set.
    Split,
    /// One version's calls report how they ended less often than the other's.
    Reports,
    /// The maximum duration is over.
    Maximum,
}

/// Why a rollout was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AbortCause {
    /// A person asked for it, by abort or rollback.
    Operator,
    /// Evidence that the candidate is worse in this metric.
    Harm(Metric),
    /// Evidence that calls to the candidate end badly at once.
    FastLane,
    /// There was no good enough data for too long.
    Stale,
    /// The maximum duration is over.
    Maximum,
}

impl fmt::Display for PauseCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operator => f.write_str("asked for"),
            Self::Harm(metric) => write!(f, "evidence of harm: {metric}"),
            Self::FastLane => f.write_str("evidence of harm right after assignment"),
            Self::Late(metric) => {
                write!(f, "evidence of harm that became known too late: {metric}")
            }
            Self::Split => f.write_str("calls are not split as set"),
            Self::Reports => f.write_str("one version reports less than the other"),
            Self::Maximum => f.write_str("the maximum duration is over"),
        }
    }
}

impl fmt::Display for AbortCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operator => f.write_str("asked for"),
            Self::Harm(metric) => write!(f, "evidence of harm: {metric}"),
            Self::FastLane => f.write_str("evidence of harm right after assignment"),
            Self::Stale => f.write_str("no good enough data for too long"),
            Self::Maximum => f.write_str("the maximum duration is over"),
        }
    }
}
