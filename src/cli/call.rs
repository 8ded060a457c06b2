//! A call, as it is described on the command line.

use clap::Args;

/// The call that a decision is about.
#[derive(Debug, Args)]
pub(super) struct Call {
    /// Id of the conversation. Equal ids get equal answers; without one the draw is random.
    #[arg(long, value_name = "ID")]
    pub(super) conversation_id: Option<String>,
    /// Label of the flow version that the call has been in.
    #[arg(long, value_name = "LABEL")]
    pub(super) flow_version: Option<String>,
    /// Number of the caller.
    #[arg(long, value_name = "NUMBER")]
    pub(super) ani: Option<String>,
    /// Number that was dialled.
    #[arg(long, value_name = "NUMBER")]
    pub(super) dnis: Option<String>,
}
