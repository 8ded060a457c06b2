//! Settings of the edge: what is put off when there is too much to do.

use std::time::Duration;

use clap::Args;

use crate::http::overload::{AdminPlaces, Load};

/// Where the help lists these.
const HEADING: &str = "Overload";

/// Deadlines, and how much is done at a time.
#[derive(Debug, Clone, Args)]
pub struct OverloadArgs {
    /// Milliseconds that a decision may take from when its request is there. When requests wait longer than this for their turn,
    /// decisions are answered 503; everything else is put off earlier.
    #[arg(
        long,
        env = "TRAFFIC_COP_DECISION_DEADLINE_MS",
        default_value_t = 250,
        value_parser = clap::value_parser!(u32).range(8..=60_000),
        value_name = "MS",
        help_heading = HEADING
    )]
    pub decision_deadline_ms: u32,
    /// Milliseconds that a read of the admin API may take.
    #[arg(
        long,
        env = "TRAFFIC_COP_READ_DEADLINE_MS",
        default_value_t = 60_000,
        value_parser = clap::value_parser!(u32).range(1..),
        value_name = "MS",
        help_heading = HEADING
    )]
    pub read_deadline_ms: u32,
    /// Most changes under way at a time on the admin listener. Rollback, abort and pause are not limited.
    #[arg(
        long,
        env = "TRAFFIC_COP_MAX_WRITES",
        default_value_t = 32,
        value_parser = clap::value_parser!(u32).range(1..=65_536),
        value_name = "COUNT",
        help_heading = HEADING
    )]
    pub max_writes: u32,
    /// Most reads under way at a time on the admin listener.
    #[arg(
        long,
        env = "TRAFFIC_COP_MAX_READS",
        default_value_t = 64,
        value_parser = clap::value_parser!(u32).range(1..=65_536),
        value_name = "COUNT",
        help_heading = HEADING
    )]
    pub max_reads: u32,
    /// Most requests for the dashboard, the documentation and metrics under way at a time.
    #[arg(
        long,
        env = "TRAFFIC_COP_MAX_VIEWS",
        default_value_t = 16,
        value_parser = clap::value_parser!(u32).range(1..=65_536),
        value_name = "COUNT",
        help_heading = HEADING
    )]
    pub max_views: u32,
    /// Most streams of events at a time.
    #[arg(
        long,
        env = "TRAFFIC_COP_MAX_STREAMS",
        default_value_t = 64,
        value_parser = clap::value_parser!(u32).range(1..=65_536),
        value_name = "COUNT",
        help_heading = HEADING
    )]
    pub max_streams: u32,
}

impl OverloadArgs {
    /// The deadline of a decision.
    #[must_use]
    pub fn decision_deadline(&self) -> Duration {
        Duration::from_millis(self.decision_deadline_ms.into())
    }

    /// The deadline of a read of the admin API.
    #[must_use]
    pub fn read_deadline(&self) -> Duration {
        Duration::from_millis(self.read_deadline_ms.into())
    }

    /// No load yet, under these limits.
    #[must_use]
    pub fn load(&self) -> Load {
        let places = AdminPlaces {
            views: self.max_views,
            streams: self.max_streams,
            reads: self.max_reads,
            writes: self.max_writes,
        };
        Load::new(self.decision_deadline(), places)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Only {
        #[command(flatten)]
        overload: OverloadArgs,
    }

    #[test]
    fn the_defaults_of_the_settings_are_those_of_the_load() {
        let Only { overload } = Only::parse_from(["x"]);
        let ours = Load::default();
        assert_eq!(format!("{:?}", overload.load()), format!("{ours:?}"));
    }
}
