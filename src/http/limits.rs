//! How much a request may hold, and how long a read may take.

use std::time::Duration;

/// Room for the parts of a request. The defaults are those of the settings, where there is one.
#[derive(Debug, Clone, Copy)]
pub struct RequestLimits {
    /// Most bytes of the address.
    pub uri_bytes: usize,
    /// Most header fields.
    pub headers: usize,
    /// Most bytes of the body of a request for a decision.
    pub decision_body_bytes: usize,
    /// Most bytes of the body of a request to the admin API.
    pub admin_body_bytes: usize,
    /// Most records walked back to find a revision or a time; each is one read of the store.
    pub longest_walk: usize,
    /// How long a read of the admin API may take.
    pub read_deadline: Duration,
}

impl Default for RequestLimits {
    fn default() -> Self {
        Self {
            uri_bytes: 2 * 1024,
            headers: 64,
            decision_body_bytes: 16 * 1024,
            admin_body_bytes: 64 * 1024,
            longest_walk: 10_000,
            read_deadline: Duration::from_secs(60),
        }
    }
}
