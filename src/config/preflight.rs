//! Settings of the look at a flow before callers are sent there.

use std::time::Duration;

use clap::{Args, ValueEnum};

/// Where the help lists these.
const HEADING: &str = "Preflight";

/// What is done about a flow that is not fit to get callers, as Genesys Cloud describes it. It is asked with the client of the
/// analytics (`--genesys-client-id`), which needs the permission architect:flow:view for it.
#[derive(Debug, Clone, Args)]
pub struct PreflightArgs {
    /// Before a cutover to the candidate, the start of a rollout and a higher weight: warn in the answer, refuse the change, or do
    /// not look. Rollback, abort and pause are never held up.
    #[arg(
        long,
        env = "TRAFFIC_COP_GENESYS_PREFLIGHT",
        default_value = "warn",
        value_name = "POLICY",
        help_heading = HEADING
    )]
    pub genesys_preflight: Policy,
    /// Milliseconds that such a look may take; past that nothing is known, which is a warning or, with refuse, a refusal.
    #[arg(
        long,
        env = "TRAFFIC_COP_GENESYS_PREFLIGHT_MS",
        default_value_t = 3_000,
        value_parser = clap::value_parser!(u32).range(1..=10_000),
        value_name = "MS",
        help_heading = HEADING
    )]
    pub genesys_preflight_ms: u32,
}

/// What follows from a look at a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Policy {
    /// The change is made, and its answer says what was found.
    Warn,
    /// The change is refused if the flow is not fit, or nothing can be found out.
    Refuse,
    /// Nobody looks.
    Off,
}

impl Policy {
    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Warn => "warn",
            Self::Refuse => "refuse",
            Self::Off => "off",
        }
    }
}

impl PreflightArgs {
    /// How long a look may take.
    #[must_use]
    pub fn budget(&self) -> Duration {
        Duration::from_millis(self.genesys_preflight_ms.into())
    }
}
