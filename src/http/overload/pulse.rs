//! How long what arrives waits for its turn: a byte now and then, there and back through the threads in question.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use prometheus_client::metrics::gauge::Gauge;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::runtime::Handle;

use super::Wait;
use crate::clock::Clock;

/// Between two beats, and the longest that the wait of one goes unnoticed.
const BEAT: Duration = Duration::from_millis(50);
/// The shortest wait of so many beats counts: less than half a second, within which stalls are over by themselves.
const BEATS: usize = 8;

/// A pulse that beats until it is dropped.
#[derive(Debug)]
pub struct Pulse {
    is_over: Arc<AtomicBool>,
}

impl Drop for Pulse {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

impl Pulse {
    /// Measures `wait` on the threads of `runtime`, from a thread of its own that waits for nobody else.
    ///
    /// # Errors
    /// The system has no sockets or threads left.
    pub fn start(
        runtime: &Handle,
        wait: Arc<Wait>,
        gauge: Gauge<f64, std::sync::atomic::AtomicU64>,
        clock: Arc<dyn Clock>,
    ) -> io::Result<Self> {
        let (here, there) = UnixStream::pair()?;
        here.set_read_timeout(Some(BEAT))?;
        there.set_nonblocking(true)?;
        let there = {
            let _runtime = runtime.enter();
            tokio::net::UnixStream::from_std(there)?
        };
        runtime.spawn(echo(there));
        let is_over = Arc::new(AtomicBool::new(false));
        let measure = Measure {
            socket: here,
            wait,
            gauge,
            clock,
            last: VecDeque::with_capacity(BEATS),
            is_over: Arc::clone(&is_over),
        };
        let thread = std::thread::Builder::new().name("pulse".to_owned());
        // It ends with `is_over`, or with the other end of its socket.
        thread.stack_size(64 * 1024).spawn(|| measure.run())?;
        Ok(Self { is_over })
    }
}

/// Sends every byte back, as a request gets its answer.
async fn echo(mut socket: tokio::net::UnixStream) {
    let mut byte = [0];
    while matches!(socket.read(&mut byte).await, Ok(1)) {
        if socket.write_all(&byte).await.is_err() {
            return;
        }
    }
}

struct Measure {
    socket: UnixStream,
    wait: Arc<Wait>,
    gauge: Gauge<f64, std::sync::atomic::AtomicU64>,
    clock: Arc<dyn Clock>,
    last: VecDeque<Duration>,
    is_over: Arc<AtomicBool>,
}

impl Measure {
    fn run(mut self) {
        // An error is the end of the other end.
        while !self.is_over.load(Ordering::Relaxed) && self.beat().is_ok() {
            std::thread::sleep(BEAT);
        }
    }

    fn beat(&mut self) -> io::Result<()> {
        let sent = self.clock.monotonic();
        self.socket.write_all(&[0])?;
        loop {
            let outcome = self.socket.read(&mut [0]);
            self.take(self.clock.monotonic().saturating_sub(sent));
            match outcome {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(_) => return Ok(()),
                // Still waiting: that it is at least so long is known by now.
                Err(error) if is_pause(&error) && !self.is_over.load(Ordering::Relaxed) => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn take(&mut self, wait: Duration) {
        if self.last.len() == BEATS {
            self.last.pop_front();
        }
        self.last.push_back(wait);
        // While few are known, it is too early to speak of what lasts.
        let shortest = self.last.iter().min().copied().unwrap_or_default();
        let lasting = if self.last.len() < BEATS {
            Duration::ZERO
        } else {
            shortest
        };
        self.wait.set(lasting);
        self.gauge.set(lasting.as_secs_f64());
    }
}

fn is_pause(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
    )
}
