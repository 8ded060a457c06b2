//! What a listener grants each connection.

use std::time::Duration;

/// Time and room that a connection gets. The defaults are those of the settings.
#[derive(Debug, Clone)]
pub struct ConnectionLimits {
    /// How long the TLS handshake may take.
    pub handshake: Duration,
    /// How long a connection may wait before the first byte of a request, new or between two requests. Longer than balancers
    /// keep theirs (60 s): the side that waits for less closes first, and if that is us, a request may be lost.
    pub first_byte: Duration,
    /// How long the head of a request may take from its first byte.
    pub head: Duration,
    /// How long the body of a request may take from the end of its head.
    pub body: Duration,
    /// How long the peer may take nothing of an answer. Not how long an answer takes: streams last for days.
    pub write: Duration,
    /// Most bytes of a head.
    pub head_bytes: usize,
    /// Most connections at a time.
    pub connections: u32,
}

/// The clocks are looked at this often in the time of the shortest of them, within [`TICKS`].
const LOOKS: u32 = 10;
/// Never more often, since each look passes over every connection; never less, since a clock is late by up to two of these.
const TICKS: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(250));

impl ConnectionLimits {
    /// How often the clocks are looked at.
    pub(super) fn tick(&self) -> Duration {
        let clocks = [
            self.handshake,
            self.first_byte,
            self.head,
            self.body,
            self.write,
        ];
        let shortest = clocks.into_iter().min().unwrap_or_default();
        (shortest / LOOKS).clamp(TICKS.0, TICKS.1)
    }
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(5),
            first_byte: Duration::from_secs(75),
            head: Duration::from_secs(5),
            body: Duration::from_secs(5),
            write: Duration::from_secs(10),
            head_bytes: 16 * 1024,
            connections: 4096,
        }
    }
}
