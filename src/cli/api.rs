//! The answers of the admin API, as far as people are told about them.
//!
//! Lenient on purpose: a member that this binary does not know is passed over, and a closed set of the server is a text
//! here, so a newer server can be asked with an older binary. `--output json` does not come by here at all.

mod access;
mod explanation;
mod mirror;
mod preflight;
mod rollout;
mod settings;
mod test_calls;

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value};

use crate::domain::slot::{BySlot, Slot};
use crate::domain::test_calls::TestCalls;
use crate::store::verify;

pub(super) use access::*;
pub(super) use explanation::*;
pub(super) use mirror::*;
pub(super) use preflight::*;
pub(super) use rollout::*;
pub(super) use settings::*;
pub(super) use test_calls::*;

/// An environment.
#[derive(Debug, Deserialize)]
pub(super) struct Environment {
    pub(super) environment: String,
    pub(super) revision: u64,
    pub(super) active: Slot,
    pub(super) slots: BySlot<SlotState>,
    pub(super) previously_active: Option<String>,
    #[serde(default)]
    pub(super) retired: Vec<Retired>,
    #[serde(default)]
    pub(super) overrides: Vec<Override>,
    pub(super) rollout: Option<RolloutGlance>,
    #[serde(default)]
    pub(super) freezes: Vec<Freeze>,
    #[serde(default)]
    pub(super) interfaces: Vec<Interface>,
    pub(super) fault: Option<String>,
    #[serde(default)]
    pub(super) stale: bool,
    pub(super) age_ms: Option<u64>,
}

/// A slot of an environment.
#[derive(Debug, Deserialize)]
pub(super) struct SlotState {
    pub(super) flow: Flow,
    pub(super) status: String,
    pub(super) flow_version: Option<FlowVersion>,
    pub(super) claim: Option<Claim>,
    /// Percent of new calls.
    pub(super) share: Number,
    pub(super) share_ended_at: Option<String>,
}

/// An Architect flow.
#[derive(Debug, Deserialize)]
pub(super) struct Flow {
    pub(super) id: String,
    pub(super) name: String,
}

/// What a slot holds.
#[derive(Debug, Deserialize)]
pub(super) struct FlowVersion {
    pub(super) label: String,
    /// What Genesys Cloud calls the version that was published.
    pub(super) published_version: Option<String>,
    pub(super) interface: u32,
    pub(super) registered_at: String,
    #[serde(default)]
    pub(super) rolled_back: bool,
    #[serde(default)]
    pub(super) admits_own_calls: bool,
    /// An interface that its own is not compatible with.
    pub(super) breaks: Option<u32>,
}

/// Which variables a flow version reads.
#[derive(Debug, Deserialize)]
pub(super) struct Interface {
    pub(super) number: u32,
    pub(super) variables: Vec<Variable>,
    #[serde(default)]
    pub(super) in_use: bool,
}

/// A variable.
#[derive(Debug, Deserialize)]
pub(super) struct Variable {
    pub(super) name: String,
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) default: Value,
    /// What it holds now.
    pub(super) value: Value,
}

/// What a slot is reserved for.
#[derive(Debug, Deserialize)]
pub(super) struct Claim {
    pub(super) flow_version: String,
    pub(super) expires_at: String,
}

/// A flow version that no slot holds any more.
#[derive(Debug, Deserialize)]
pub(super) struct Retired {
    pub(super) label: String,
}

/// Calls that go to one slot.
#[derive(Debug, Deserialize)]
pub(super) struct Override {
    pub(super) calls: Calls,
    pub(super) to: String,
    pub(super) owner: String,
    pub(super) expires_at: String,
    pub(super) status: String,
}

/// A rollout under way, in short.
#[derive(Debug, Deserialize)]
pub(super) struct RolloutGlance {
    /// From 1.
    pub(super) step: usize,
    pub(super) steps: usize,
    /// Why, if it is.
    pub(super) paused: Option<String>,
}

/// Which calls: the number, under the name of the kind of number that it is.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Calls(std::collections::BTreeMap<String, String>);

impl Calls {
    /// Whether they are these.
    pub(super) fn are(&self, calls: TestCalls) -> bool {
        let (kind, number) = match calls {
            TestCalls::Ani(number) => ("ani", number),
            TestCalls::Dnis(number) => ("dnis", number),
        };
        let Self(known) = self;
        known.len() == 1
            && known
                .get(kind)
                .is_some_and(|known| *known == number.to_string())
    }
}

impl fmt::Display for Calls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (kind, number) in &self.0 {
            match kind.as_str() {
                "ani" => write!(f, "from {number}")?,
                "dnis" => write!(f, "to {number}")?,
                other => write!(f, "{other} {number}")?,
            }
        }
        Ok(())
    }
}

/// Every environment.
#[derive(Debug, Deserialize)]
pub(super) struct Environments {
    pub(super) environments: Vec<Environment>,
    #[serde(default)]
    pub(super) stale: bool,
    pub(super) age_ms: Option<u64>,
}

/// What came of a change of an environment.
#[derive(Debug, Deserialize)]
pub(super) struct Written {
    pub(super) outcome: String,
    pub(super) because: Option<String>,
    pub(super) revision: u64,
    pub(super) state: Option<Environment>,
    pub(super) notice: Option<String>,
    pub(super) preflight: Option<Preflight>,
}

/// Which replicas decide by a change.
#[derive(Debug, Deserialize)]
pub(super) struct Receipt {
    pub(super) status: String,
    pub(super) replicas: Vec<Confirmation>,
}

/// A replica in a receipt.
#[derive(Debug, Deserialize)]
pub(super) struct Confirmation {
    pub(super) replica: String,
    pub(super) status: String,
    pub(super) acknowledged_ms: Option<u64>,
}

/// Some of an environment's changes, the latest first.
#[derive(Debug, Deserialize)]
pub(super) struct History {
    pub(super) entries: Vec<Entry>,
    pub(super) next_before: Option<u64>,
}

/// One change.
#[derive(Debug, Deserialize)]
pub(super) struct Entry {
    pub(super) revision: u64,
    pub(super) action: String,
    pub(super) actor: String,
    pub(super) reason: String,
    pub(super) at: String,
    pub(super) state: Option<Environment>,
}

/// The calls decided to the slots of an environment lately.
#[derive(Debug, Deserialize)]
pub(super) struct Drain {
    pub(super) active: Slot,
    pub(super) minutes: u16,
    pub(super) slots: BySlot<SlotDrain>,
    #[serde(default)]
    pub(super) silent: Vec<Silent>,
}

/// The calls of a slot.
#[derive(Debug, Deserialize)]
pub(super) struct SlotDrain {
    pub(super) calls: u64,
    pub(super) last_call: Option<String>,
    pub(super) share_ended_at: Option<String>,
    pub(super) status: String,
    pub(super) drained_at: Option<String>,
}

/// A replica that fell silent.
#[derive(Debug, Deserialize)]
pub(super) struct Silent {
    pub(super) replica: String,
    pub(super) reported_at: String,
}

/// A change, as it is sent to those who follow.
#[derive(Debug, Deserialize)]
pub(super) struct Event {
    pub(super) sequence: u64,
    pub(super) aggregate: String,
    pub(super) environment: Option<String>,
    #[serde(flatten)]
    pub(super) change: Entry,
}

/// The replicas.
#[derive(Debug, Deserialize)]
pub(super) struct Replicas {
    pub(super) replicas: Vec<ReplicaState>,
}

/// A replica, by its last heartbeat.
#[derive(Debug, Deserialize)]
pub(super) struct ReplicaState {
    pub(super) replica: String,
    pub(super) live: bool,
    /// Changes that it does not have yet.
    pub(super) lag: u64,
    /// Since its heartbeat was last seen to move.
    pub(super) age_ms: u64,
    pub(super) version: String,
    /// Alarms that it raised. An older server tells of none.
    #[serde(default)]
    pub(super) alarms: Vec<String>,
}

/// What is wrong, as one replica knows it.
#[derive(Debug, Deserialize)]
pub(super) struct Alarms {
    pub(super) replica: String,
    pub(super) alarms: Vec<Alarm>,
}

/// An alarm that is raised.
#[derive(Debug, Deserialize)]
pub(super) struct Alarm {
    /// Its name, as in docs/operations.md.
    pub(super) condition: String,
    pub(super) why: String,
}

/// What a verification of the journal found.
#[derive(Debug, Deserialize)]
pub(super) struct Verification {
    pub(super) entries: u64,
    pub(super) head: u64,
    pub(super) head_hash: String,
    pub(super) findings: Vec<Finding>,
}

impl From<&verify::Verification> for Verification {
    fn from(found: &verify::Verification) -> Self {
        let findings = found.findings.iter().map(|finding| Finding {
            sequence: finding.sequence.0,
            problem: finding.problem.clone(),
        });
        Self {
            entries: found.entries,
            head: found.head.0,
            head_hash: found.head_hash.clone(),
            findings: findings.collect(),
        }
    }
}

/// Something that should not be so.
#[derive(Debug, Deserialize)]
pub(super) struct Finding {
    pub(super) sequence: u64,
    pub(super) problem: String,
}

/// Which flow takes a call. The casing is that of the data action.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Decision {
    #[serde(rename = "Active_Flow_ID")]
    pub(super) active_flow_id: String,
    #[serde(rename = "Active_Flow_Name")]
    pub(super) active_flow_name: String,
    pub(super) slot: String,
    #[serde(rename = "Flow_Version")]
    pub(super) flow_version: String,
    pub(super) reason: String,
    pub(super) revision: u64,
    pub(super) source: String,
    /// The members that are not for a glance, and the variables of the interface.
    #[serde(flatten)]
    pub(super) others: Map<String, Value>,
}
