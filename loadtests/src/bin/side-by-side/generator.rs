//! The load: keep-alive connections in a closed loop, each sending its next request when it has the answer to the last.
//!
//! Everything runs on the calling thread, so it stays on the core that thread is pinned to, and needs no locks.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use tokio::task::{JoinSet, LocalSet};

use crate::answer;
use crate::connection::Connection;
use crate::request::Request;

/// One answer in so many has its body checked on each connection, the first among them; every status is checked.
const SAMPLE: u64 = 256;

/// Where the load goes.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// The server's decisions listener.
    pub(crate) address: SocketAddr,
    /// Bearer token of every request, if any.
    pub(crate) token: Option<String>,
    /// How many connections ask at the same time.
    pub(crate) connections: u64,
}

/// Open connections to one server, kept from one spell of load to the next.
pub(crate) struct Generator {
    callers: Vec<Caller>,
}

impl Generator {
    /// Opens all connections.
    ///
    /// # Errors
    /// If one cannot be opened.
    pub(crate) async fn connect(target: &Target) -> anyhow::Result<Self> {
        let mut callers = Vec::new();
        for seed in 0..target.connections {
            let connection = Connection::open(target.address).await?;
            let request = Request::new(target.address, target.token.as_deref(), seed << 32);
            callers.push(Caller {
                connection,
                request,
                answers: 0,
            });
        }
        Ok(Self { callers })
    }

    /// Keeps the server busy for `duration` and until it has answered what was sent by then. Gives the latency of every
    /// request in nanoseconds, unordered.
    ///
    /// # Errors
    /// If a connection fails, or one answer is not what it must be. The generator is then useless.
    pub(crate) async fn run_for(&mut self, duration: Duration) -> anyhow::Result<Vec<u32>> {
        let tally = Rc::new(Tally::new(u64::MAX));
        LocalSet::new()
            .run_until(async {
                let mut calls = self.start(&tally);
                undisturbed(&mut calls, duration).await?;
                tally.left.set(0);
                self.finish(calls).await
            })
            .await?;
        Ok(tally.latencies_ns.take())
    }

    /// Sends exactly `requests` requests and waits for their answers.
    ///
    /// # Errors
    /// If a connection fails, or one answer is not what it must be. The generator is then useless.
    pub(crate) async fn run_count(&mut self, requests: u64) -> anyhow::Result<()> {
        let tally = Rc::new(Tally::new(requests));
        LocalSet::new()
            .run_until(async {
                let calls = self.start(&tally);
                self.finish(calls).await
            })
            .await
    }

    fn start(&mut self, tally: &Rc<Tally>) -> Calls {
        let mut calls = Calls::new();
        for caller in self.callers.drain(..) {
            calls.spawn_local(caller.call(Rc::clone(tally)));
        }
        calls
    }

    async fn finish(&mut self, mut calls: Calls) -> anyhow::Result<()> {
        while let Some(ended) = calls.join_next().await {
            self.callers
                .push(ended.context("a connection's task panicked")??);
        }
        Ok(())
    }
}

/// The tasks of a spell; each gives its caller back.
type Calls = JoinSet<anyhow::Result<Caller>>;

/// Lets `duration` pass, and fails as soon as a connection does.
async fn undisturbed(calls: &mut Calls, duration: Duration) -> anyhow::Result<()> {
    tokio::select! {
        () = tokio::time::sleep(duration) => Ok(()),
        Some(ended) = calls.join_next() => {
            ended.context("a connection's task panicked")??;
            bail!("a connection ended before the load did")
        }
    }
}

/// One connection and what it asks.
struct Caller {
    connection: Connection,
    request: Request,
    /// Answers so far, all spells together.
    answers: u64,
}

impl Caller {
    async fn call(mut self, tally: Rc<Tally>) -> anyhow::Result<Self> {
        while tally.take_one() {
            let sent = Instant::now();
            let response = self.connection.exchange(self.request.next_bytes()).await?;
            let latency = sent.elapsed();
            let text = || String::from_utf8_lossy(response.body);
            ensure!(
                response.status == 200,
                "expected status 200, got {}: {}",
                response.status,
                text()
            );
            if self.answers.is_multiple_of(SAMPLE) {
                answer::check(response.body)?;
            }
            self.answers += 1;
            // Saturates at 4.3 s, where the exact figure no longer matters.
            tally
                .latencies_ns
                .borrow_mut()
                .push(u32::try_from(latency.as_nanos()).unwrap_or(u32::MAX));
        }
        Ok(self)
    }
}

/// What all connections share during a spell.
struct Tally {
    /// Requests that may still be sent.
    left: Cell<u64>,
    latencies_ns: RefCell<Vec<u32>>,
}

impl Tally {
    fn new(requests: u64) -> Self {
        Self {
            left: Cell::new(requests),
            latencies_ns: RefCell::default(),
        }
    }

    /// Whether one more request may be sent; if so it counts as sent.
    fn take_one(&self) -> bool {
        let left = self.left.get();
        self.left.set(left.saturating_sub(1));
        left > 0
    }
}
