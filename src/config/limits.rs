//! Settings of the edge: how long and how much a caller may take.

use std::time::Duration;

use clap::Args;

use crate::http::RequestLimits;
use crate::http::listener::ConnectionLimits;

/// Where the help lists these.
const HEADING: &str = "Limits";

/// How long and how much callers may take. Times are milliseconds.
#[derive(Debug, Clone, Args)]
pub struct LimitArgs {
    /// Most connections of the decisions listener. When they are all taken, the one that has been of no use for longest makes room.
    #[arg(
        long,
        env = "TRAFFIC_COP_MAX_CONNECTIONS",
        default_value_t = 4096,
        value_parser = clap::value_parser!(u32).range(1..=1_000_000),
        value_name = "COUNT",
        help_heading = HEADING
    )]
    pub max_connections: u32,
    /// Most connections of the admin listener.
    #[arg(
        long,
        env = "TRAFFIC_COP_MAX_ADMIN_CONNECTIONS",
        default_value_t = 256,
        value_parser = clap::value_parser!(u32).range(1..=1_000_000),
        value_name = "COUNT",
        help_heading = HEADING
    )]
    pub max_admin_connections: u32,
    /// Most connections that the system lets wait until they are accepted, per listener; the kernel's own limit
    /// (`net.core.somaxconn`) holds too.
    #[arg(
        long,
        env = "TRAFFIC_COP_ACCEPT_QUEUE",
        default_value_t = 1024,
        value_parser = clap::value_parser!(u32).range(1..=65_535),
        value_name = "COUNT",
        help_heading = HEADING
    )]
    pub accept_queue: u32,
    /// How long a connection may idle before the first byte of a request, new or between two requests. Let it be longer than
    /// your balancer keeps idle connections (most often 60 s).
    #[arg(
        long,
        env = "TRAFFIC_COP_FIRST_BYTE_TIMEOUT_MS",
        default_value_t = 75_000,
        value_parser = clap::value_parser!(u32).range(1..),
        value_name = "MS",
        help_heading = HEADING
    )]
    pub first_byte_timeout_ms: u32,
    /// How long the head of a request may take from its first byte.
    #[arg(
        long,
        env = "TRAFFIC_COP_HEAD_TIMEOUT_MS",
        default_value_t = 5_000,
        value_parser = clap::value_parser!(u32).range(1..),
        value_name = "MS",
        help_heading = HEADING
    )]
    pub head_timeout_ms: u32,
    /// How long the body of a request may take from the end of its head.
    #[arg(
        long,
        env = "TRAFFIC_COP_BODY_TIMEOUT_MS",
        default_value_t = 5_000,
        value_parser = clap::value_parser!(u32).range(1..),
        value_name = "MS",
        help_heading = HEADING
    )]
    pub body_timeout_ms: u32,
    /// How long a caller may take nothing of an answer that is being sent.
    #[arg(
        long,
        env = "TRAFFIC_COP_WRITE_TIMEOUT_MS",
        default_value_t = 10_000,
        value_parser = clap::value_parser!(u32).range(1..),
        value_name = "MS",
        help_heading = HEADING
    )]
    pub write_timeout_ms: u32,
    /// How long a TLS handshake may take.
    #[arg(
        long,
        env = "TRAFFIC_COP_HANDSHAKE_TIMEOUT_MS",
        default_value_t = 5_000,
        value_parser = clap::value_parser!(u32).range(1..),
        value_name = "MS",
        help_heading = HEADING
    )]
    pub handshake_timeout_ms: u32,
    /// Most bytes of a request's head.
    #[arg(
        long,
        env = "TRAFFIC_COP_MAX_HEAD_BYTES",
        default_value_t = 16 * 1024,
        value_parser = clap::value_parser!(u32).range(256..=1024 * 1024),
        value_name = "BYTES",
        help_heading = HEADING
    )]
    pub max_head_bytes: u32,
    /// Most header fields of a request.
    #[arg(
        long,
        env = "TRAFFIC_COP_MAX_HEADERS",
        default_value_t = 64,
        value_parser = clap::value_parser!(u32).range(1..=100),
        value_name = "COUNT",
        help_heading = HEADING
    )]
    pub max_headers: u32,
    /// Most bytes of a request's address.
    #[arg(
        long,
        env = "TRAFFIC_COP_MAX_URI_BYTES",
        default_value_t = 2 * 1024,
        value_parser = clap::value_parser!(u32).range(128..=65_535),
        value_name = "BYTES",
        help_heading = HEADING
    )]
    pub max_uri_bytes: u32,
    /// Most bytes of the body of a request for a decision.
    #[arg(
        long,
        env = "TRAFFIC_COP_MAX_DECISION_BODY_BYTES",
        default_value_t = 16 * 1024,
        value_parser = clap::value_parser!(u32).range(256..=1024 * 1024),
        value_name = "BYTES",
        help_heading = HEADING
    )]
    pub max_decision_body_bytes: u32,
    /// Most bytes of the body of a request to the admin API.
    #[arg(
        long,
        env = "TRAFFIC_COP_MAX_ADMIN_BODY_BYTES",
        default_value_t = 64 * 1024,
        value_parser = clap::value_parser!(u32).range(256..=1024 * 1024),
        value_name = "BYTES",
        help_heading = HEADING
    )]
    pub max_admin_body_bytes: u32,
}

impl LimitArgs {
    /// What a connection gets on a listener that may have so many.
    #[must_use]
    pub fn of_connections(&self, connections: u32) -> ConnectionLimits {
        let time = |ms: u32| Duration::from_millis(ms.into());
        ConnectionLimits {
            handshake: time(self.handshake_timeout_ms),
            first_byte: time(self.first_byte_timeout_ms),
            head: time(self.head_timeout_ms),
            body: time(self.body_timeout_ms),
            write: time(self.write_timeout_ms),
            head_bytes: self.max_head_bytes as usize,
            connections,
        }
    }

    /// What a request may hold, with a deadline for reads.
    #[must_use]
    pub fn of_requests(&self, read_deadline: Duration) -> RequestLimits {
        RequestLimits {
            uri_bytes: self.max_uri_bytes as usize,
            headers: self.max_headers as usize,
            decision_body_bytes: self.max_decision_body_bytes as usize,
            admin_body_bytes: self.max_admin_body_bytes as usize,
            read_deadline,
            ..RequestLimits::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Only {
        #[command(flatten)]
        limits: LimitArgs,
    }

    #[test]
    fn the_defaults_of_the_settings_are_those_of_the_limits() {
        let Only { limits } = Only::parse_from(["x"]);
        let connections = limits.of_connections(limits.max_connections);
        let ours = ConnectionLimits::default();
        assert_eq!(format!("{connections:?}"), format!("{ours:?}"));
        let ours = RequestLimits::default();
        let requests = limits.of_requests(ours.read_deadline);
        assert_eq!(format!("{requests:?}"), format!("{ours:?}"));
    }
}
