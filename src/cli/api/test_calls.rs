//! What is told about test calls.

use serde::{Deserialize, Serialize};

use super::Calls;

/// The calls that overrides gave to a slot lately.
#[derive(Debug, Default, Deserialize)]
pub(in crate::cli) struct TestCallList {
    pub(in crate::cli) since: String,
    pub(in crate::cli) calls: Vec<TestCall>,
    /// How the conversation ended that was asked for.
    pub(in crate::cli) direct: Option<TestOutcome>,
}

/// One of them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::cli) struct TestCall {
    pub(in crate::cli) at: String,
    /// Those that its override is for, if there still is one.
    pub(in crate::cli) calls: Option<Calls>,
    pub(in crate::cli) slot: String,
    pub(in crate::cli) flow_version: Option<String>,
    pub(in crate::cli) revision: u64,
    pub(in crate::cli) has_conversation_id: bool,
    pub(in crate::cli) outcome: Option<TestOutcome>,
}

/// How it ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::cli) struct TestOutcome {
    pub(in crate::cli) at: String,
    /// In which ways it ended badly.
    pub(in crate::cli) bad: Vec<String>,
}
