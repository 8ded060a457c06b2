//! Settings of what the ends of flows mean.

use clap::Args;

use crate::genesys::flow_end::FlowEnds;

/// Where the help lists these.
const HEADING: &str = "Outcomes";

/// What the ends of flows mean that Genesys Cloud reports through Amazon EventBridge, or counts in its analytics. Names are
/// compared without regard to case.
#[derive(Debug, Clone, Args)]
pub struct FlowEndArgs {
    /// Exit reasons of callers who hung up, with commas: the metric `abandon`.
    #[arg(
        long,
        env = "TRAFFIC_COP_ABANDON_EXITS",
        value_delimiter = ',',
        default_value = FlowEnds::ABANDON,
        value_name = "REASONS",
        help_heading = HEADING
    )]
    pub abandon_exits: Vec<String>,
    /// Exit reasons of flows that failed: the metric `error`. Add FLOW_DISCONNECT if your flows never hang up on purpose.
    #[arg(
        long,
        env = "TRAFFIC_COP_ERROR_EXITS",
        value_delimiter = ',',
        default_value = FlowEnds::ERROR,
        value_name = "REASONS",
        help_heading = HEADING
    )]
    pub error_exits: Vec<String>,
    /// Transfer types that lead to a person: the metrics `transfer` and `containment`.
    #[arg(
        long,
        env = "TRAFFIC_COP_PERSON_TRANSFERS",
        value_delimiter = ',',
        default_value = FlowEnds::TO_A_PERSON,
        value_name = "TYPES",
        help_heading = HEADING
    )]
    pub person_transfers: Vec<String>,
}

impl FlowEndArgs {
    /// What ends of flows mean by these settings.
    #[must_use]
    pub fn flow_ends(&self) -> FlowEnds {
        FlowEnds {
            abandon: self.abandon_exits.clone(),
            error: self.error_exits.clone(),
            to_a_person: self.person_transfers.clone(),
        }
    }
}
