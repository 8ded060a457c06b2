//! Settings of Genesys Cloud's analytics as a source of evidence.

use std::time::Duration;

use clap::Args;

use crate::evidence::analytics::Schedule;

/// Where the help lists these.
const HEADING: &str = "Analytics";

/// How Genesys Cloud's analytics is asked, for rollouts whose plan names it as a source. Without a client (`--genesys-client-id`) they
/// hold.
#[derive(Debug, Clone, Args)]
pub struct AnalyticsArgs {
    /// Seconds that calls are counted over.
    #[arg(
        long,
        env = "TRAFFIC_COP_ANALYTICS_INTERVAL_SECONDS",
        default_value_t = 300,
        value_parser = clap::value_parser!(u32).range(1..=3600),
        value_name = "SECONDS",
        help_heading = HEADING
    )]
    pub analytics_interval_seconds: u32,
    /// Seconds after the end of an interval until it is looked at. How late Genesys Cloud may be is nowhere documented.
    #[arg(
        long,
        env = "TRAFFIC_COP_ANALYTICS_LAG_SECONDS",
        default_value_t = 300,
        value_parser = clap::value_parser!(u32).range(0..=86_400),
        value_name = "SECONDS",
        help_heading = HEADING
    )]
    pub analytics_lag_seconds: u32,
    /// Seconds until it is looked at again. It counts if it has not changed by then.
    #[arg(
        long,
        env = "TRAFFIC_COP_ANALYTICS_PAUSE_SECONDS",
        default_value_t = 60,
        value_parser = clap::value_parser!(u32).range(1..=3600),
        value_name = "SECONDS",
        help_heading = HEADING
    )]
    pub analytics_pause_seconds: u32,
}

impl AnalyticsArgs {
    /// When intervals are asked for.
    #[must_use]
    pub fn schedule(&self) -> Schedule {
        let seconds = |seconds: u32| Duration::from_secs(seconds.into());
        Schedule {
            interval: seconds(self.analytics_interval_seconds),
            lag: seconds(self.analytics_lag_seconds),
            pause: seconds(self.analytics_pause_seconds),
        }
    }
}
