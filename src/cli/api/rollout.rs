//! Rollouts and the evidence about them.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Number;

use crate::domain::slot::Slot;

/// Where a rollout stands.
#[derive(Debug, Deserialize)]
pub(in crate::cli) struct Rollout {
    pub(in crate::cli) environment: String,
    pub(in crate::cli) candidate: Slot,
    pub(in crate::cli) flow_version: Option<String>,
    pub(in crate::cli) status: String,
    pub(in crate::cli) cause: Option<String>,
    /// From 1.
    pub(in crate::cli) step: Option<usize>,
    pub(in crate::cli) steps: usize,
    /// Percent of new calls.
    pub(in crate::cli) weight: Number,
    pub(in crate::cli) promotion: Option<String>,
    plan: PlannedSteps,
    #[serde(default)]
    pub(in crate::cli) stale: bool,
}

#[derive(Debug, Deserialize)]
struct PlannedSteps {
    #[serde(default)]
    steps: Vec<PlannedStep>,
}

#[derive(Debug, Deserialize)]
struct PlannedStep {
    #[serde(default)]
    gate: Option<String>,
}

impl Rollout {
    /// Whether it has ended.
    pub(in crate::cli) fn is_over(&self) -> bool {
        matches!(self.status.as_str(), "finished" | "aborted")
    }

    /// Whether it is in a step that a person has to agree to leave, and nobody has.
    pub(in crate::cli) fn is_behind_a_gate(&self) -> bool {
        let step = self.step.and_then(|step| self.plan.steps.get(step - 1));
        let is_manual = step.is_some_and(|step| step.gate.as_deref() == Some("manual"));
        is_manual && self.promotion.is_none() && self.status == "running"
    }
}

/// A rollout and the evidence about it.
#[derive(Debug, Deserialize)]
pub(in crate::cli) struct RolloutEvidence {
    #[serde(flatten)]
    pub(in crate::cli) rollout: Rollout,
    pub(in crate::cli) summary: String,
    pub(in crate::cli) verdict: Verdict,
    pub(in crate::cli) waits: Vec<String>,
    #[serde(default)]
    pub(in crate::cli) needs_a_person: bool,
    pub(in crate::cli) judged_until: String,
    pub(in crate::cli) observation: Observation,
}

/// What the evidence amounts to.
#[derive(Debug, Deserialize)]
pub(in crate::cli) struct Verdict {
    pub(in crate::cli) metrics: Vec<MetricFinding>,
    pub(in crate::cli) fast_lane: Option<EvidenceFinding>,
    pub(in crate::cli) decisions: EvidenceFinding,
    pub(in crate::cli) reports: EvidenceFinding,
}

/// What is known about one metric.
#[derive(Debug, Deserialize)]
pub(in crate::cli) struct MetricFinding {
    pub(in crate::cli) metric: String,
    pub(in crate::cli) harm: EvidenceFinding,
    pub(in crate::cli) seen: Versions,
}

/// Evidence and its lines; a number that JSON has not is missing.
#[derive(Debug, Deserialize)]
pub(in crate::cli) struct EvidenceFinding {
    pub(in crate::cli) e: Option<f64>,
    pub(in crate::cli) pause_line: Option<f64>,
    pub(in crate::cli) abort_line: Option<f64>,
}

/// The calls of both versions.
#[derive(Debug, Deserialize)]
pub(in crate::cli) struct Versions {
    pub(in crate::cli) active: Observed,
    pub(in crate::cli) candidate: Observed,
}

/// The calls of a version.
#[derive(Debug, Deserialize)]
pub(in crate::cli) struct Observed {
    pub(in crate::cli) calls: u64,
    pub(in crate::cli) bad: u64,
}

/// How calls ended lately, per metric.
#[derive(Debug, Deserialize)]
pub(in crate::cli) struct Observation {
    pub(in crate::cli) minutes: u64,
    pub(in crate::cli) label: String,
    pub(in crate::cli) calls: BTreeMap<String, Versions>,
}
