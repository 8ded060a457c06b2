//! Why calls go where they go.

use serde::Deserialize;
use serde_json::Number;

use super::{Calls, Flow};

/// Why a call goes where it goes.
#[derive(Debug, Deserialize)]
pub(in crate::cli) struct Explanation {
    pub(in crate::cli) environment: String,
    pub(in crate::cli) revision: u64,
    pub(in crate::cli) at: String,
    pub(in crate::cli) decision: ExplainedDecision,
    #[serde(rename = "override")]
    pub(in crate::cli) overrides: OverrideRule,
    pub(in crate::cli) affinity: AffinityRule,
    pub(in crate::cli) weighted: WeightedRule,
    pub(in crate::cli) active: ActiveRule,
    pub(in crate::cli) fault: Option<String>,
    #[serde(default)]
    pub(in crate::cli) stale: bool,
    #[serde(default)]
    pub(in crate::cli) age_ms: Option<u64>,
}

/// The decision that is explained.
#[derive(Debug, Deserialize)]
pub(in crate::cli) struct ExplainedDecision {
    pub(in crate::cli) slot: String,
    pub(in crate::cli) reason: String,
    pub(in crate::cli) flow: Flow,
    pub(in crate::cli) flow_version: Option<String>,
}

/// What the overrides come to.
#[derive(Debug, Deserialize)]
pub(in crate::cli) struct OverrideRule {
    pub(in crate::cli) slot: Option<String>,
    pub(in crate::cli) ani: String,
    pub(in crate::cli) dnis: String,
    pub(in crate::cli) overrides: Vec<TriedOverride>,
}

/// An override, and what it comes to.
#[derive(Debug, Deserialize)]
pub(in crate::cli) struct TriedOverride {
    pub(in crate::cli) calls: Calls,
    pub(in crate::cli) to: String,
    pub(in crate::cli) owner: String,
    pub(in crate::cli) expires_at: String,
    pub(in crate::cli) outcome: String,
}

/// What the version that a call was in comes to.
#[derive(Debug, Deserialize)]
pub(in crate::cli) struct AffinityRule {
    pub(in crate::cli) slot: Option<String>,
    pub(in crate::cli) outcome: String,
}

/// What the weight comes to.
#[derive(Debug, Deserialize)]
pub(in crate::cli) struct WeightedRule {
    pub(in crate::cli) applies: bool,
    pub(in crate::cli) slot: String,
    pub(in crate::cli) bucket: u16,
    pub(in crate::cli) drawn: bool,
    pub(in crate::cli) weight: Number,
}

/// What is left when no other rule applies.
#[derive(Debug, Deserialize)]
pub(in crate::cli) struct ActiveRule {
    pub(in crate::cli) applies: bool,
    pub(in crate::cli) slot: String,
}
