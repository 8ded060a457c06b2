//! The signals that a service manager sends: to end in good order, and to look at files again.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// SIGINT and SIGTERM, caught from the moment this is made.
#[derive(Debug)]
pub struct Stop {
    interrupt: Signal,
    terminate: Signal,
    /// Somebody in this process who may stop it as well.
    within: CancellationToken,
}

impl Stop {
    /// Starts to listen: before anyone is told that the process is there, since whoever knows may send a signal at once.
    ///
    /// # Errors
    /// The system lets nobody catch signals.
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            within: CancellationToken::new(),
        })
    }

    /// The same, where the holders of `within` may stop the process as well.
    #[must_use]
    pub fn or(self, within: CancellationToken) -> Self {
        Self { within, ..self }
    }

    /// Waits for any of them.
    pub async fn wait(&mut self) {
        tokio::select! {
            () = self.within.cancelled() => {}
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// SIGHUP, which would end the process until this is made, and never again from then on.
#[derive(Debug)]
pub struct HangUp(Signal);

impl HangUp {
    /// Starts to listen. Whoever else listens hears it too.
    ///
    /// # Errors
    /// The system lets nobody catch signals.
    pub fn listen() -> io::Result<Self> {
        signal(SignalKind::hangup()).map(Self)
    }

    /// Waits for the next one.
    pub async fn wait(&mut self) {
        let Self(signal) = self;
        signal.recv().await;
    }
}
