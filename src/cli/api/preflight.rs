//! Answers about the flow that callers are sent to.

use serde::Deserialize;

use super::Flow;
use crate::domain::ids::PublishedVersion;

/// What a look at a flow came to.
#[derive(Debug, Deserialize)]
pub(in crate::cli) struct Preflight {
    pub(in crate::cli) outcome: String,
    pub(in crate::cli) because: Option<String>,
    pub(in crate::cli) flow: Flow,
    #[serde(default)]
    pub(in crate::cli) findings: Vec<FlowFinding>,
}

/// Something that was found out about a flow.
#[derive(Debug, Deserialize)]
pub(in crate::cli) struct FlowFinding {
    pub(in crate::cli) problem: bool,
    pub(in crate::cli) detail: String,
}

/// What is published of a flow.
#[derive(Debug, Deserialize)]
pub(in crate::cli) struct Publication {
    pub(in crate::cli) flow: Flow,
    pub(in crate::cli) outcome: String,
    pub(in crate::cli) published_version: Option<PublishedVersion>,
    pub(in crate::cli) because: Option<String>,
}

/// A look at the flow of a candidate.
#[derive(Debug, Deserialize)]
pub(in crate::cli) struct CandidatePreflight {
    pub(in crate::cli) environment: String,
    pub(in crate::cli) policy: String,
    #[serde(flatten)]
    pub(in crate::cli) preflight: Preflight,
}
