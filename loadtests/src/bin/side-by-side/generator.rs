//! The load: keep-alive connections, each sending its next request when it has the answer to the last, or when it is due.
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
use crate::request::{Freshness, Question, Request};

/// One answer in so many has its body checked on each connection, the first among them; every status is checked.
const SAMPLE: u64 = 256;

/// Where the load goes.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// The server's decisions listener.
    pub(crate) address: SocketAddr,
    /// Bearer token of every request, if any.
    pub(crate) token: Option<String>,
    /// What is asked.
    pub(crate) question: Question,
    /// How fresh, and how often.
    pub(crate) load: Load,
}

/// What is asked, and how often.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    /// How many connections ask at the same time.
    pub(crate) connections: u64,
    /// When.
    pub(crate) pace: Pace,
    /// For what.
    pub(crate) freshness: Freshness,
}

/// When requests are sent.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Pace {
    /// Each connection sends its next one as soon as it has the answer to the last.
    Closed,
    /// So many a second over all connections, whether or not answers come. Latency counts from when a request was due.
    Open(f64),
}

impl Load {
    /// So many requests a second over connections enough.
    pub(crate) fn open(connections: u64, rate: f64, freshness: Freshness) -> Self {
        Self {
            connections,
            pace: Pace::Open(rate),
            freshness,
        }
    }

    /// As many requests as the server takes.
    pub(crate) fn closed(connections: u64) -> Self {
        Self {
            connections,
            pace: Pace::Closed,
            freshness: Freshness::Any,
        }
    }
}

/// What came of a spell of load.
#[derive(Debug, Default)]
pub(crate) struct Spell {
    /// The latency of every request in nanoseconds, unordered.
    pub(crate) latencies_ns: Vec<u32>,
    /// Answers that were proved.
    pub(crate) proved: usize,
}

/// Open connections to one server, kept from one spell of load to the next.
pub(crate) struct Generator {
    callers: Vec<Caller>,
    load: Load,
}

impl Generator {
    /// Opens all connections.
    ///
    /// # Errors
    /// If one cannot be opened.
    pub(crate) async fn connect(target: &Target) -> anyhow::Result<Self> {
        let mut callers = Vec::new();
        for seed in 0..target.load.connections {
            let connection = Connection::open(target.address).await?;
            let token = target.token.as_deref();
            let (question, freshness) = (target.question, target.load.freshness);
            let request = Request::new(question, target.address, token, freshness, seed << 32);
            callers.push(Caller {
                connection,
                question,
                request,
                answers: 0,
            });
        }
        Ok(Self {
            callers,
            load: target.load,
        })
    }

    /// Loads the server for `duration` and until it has answered what was sent by then.
    ///
    /// # Errors
    /// If a connection fails, or one answer is not what it must be. The generator is then useless.
    pub(crate) async fn run_for(&mut self, duration: Duration) -> anyhow::Result<Spell> {
        let tally = Rc::new(Tally::new(u64::MAX));
        LocalSet::new()
            .run_until(async {
                let mut calls = self.start(&tally, self.load.pace);
                undisturbed(&mut calls, duration).await?;
                tally.left.set(0);
                self.finish(calls).await
            })
            .await?;
        Ok(tally.spell.take())
    }

    /// Sends exactly `requests` requests, in a closed loop, and waits for their answers.
    ///
    /// # Errors
    /// If a connection fails, or one answer is not what it must be. The generator is then useless.
    pub(crate) async fn run_count(&mut self, requests: u64) -> anyhow::Result<()> {
        let tally = Rc::new(Tally::new(requests));
        LocalSet::new()
            .run_until(async {
                let calls = self.start(&tally, Pace::Closed);
                self.finish(calls).await
            })
            .await
    }

    fn start(&mut self, tally: &Rc<Tally>, pace: Pace) -> Calls {
        let mut calls = Calls::new();
        let (connections, began) = (self.callers.len() as f64, Instant::now());
        for (place, caller) in self.callers.drain(..).enumerate() {
            let due = match pace {
                Pace::Closed => None,
                Pace::Open(rate) => Some(Due {
                    next: began + Duration::from_secs_f64(place as f64 / rate),
                    interval: Duration::from_secs_f64(connections / rate),
                }),
            };
            calls.spawn_local(caller.call(due, Rc::clone(tally)));
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

/// When a connection's requests are due.
struct Due {
    next: Instant,
    interval: Duration,
}

impl Due {
    /// Waits for the next one. Gives when it was due.
    async fn wait(&mut self) -> Instant {
        let due = self.next;
        self.next += self.interval;
        tokio::time::sleep_until(due.into()).await;
        due
    }
}

/// One connection and what it asks.
struct Caller {
    connection: Connection,
    question: Question,
    request: Request,
    /// Answers so far, all spells together.
    answers: u64,
}

impl Caller {
    async fn call(mut self, mut due: Option<Due>, tally: Rc<Tally>) -> anyhow::Result<Self> {
        loop {
            let sent = match &mut due {
                Some(due) => due.wait().await,
                None => Instant::now(),
            };
            if !tally.take_one() {
                return Ok(self);
            }
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
                answer::check(self.question, response.body)?;
            }
            self.answers += 1;
            let mut spell = tally.spell.borrow_mut();
            spell.proved += usize::from(answer::is_proved(response.body));
            // Saturates at 4.3 s, where the exact figure no longer matters.
            let latency_ns = u32::try_from(latency.as_nanos()).unwrap_or(u32::MAX);
            spell.latencies_ns.push(latency_ns);
        }
    }
}

/// What all connections share during a spell.
struct Tally {
    /// Requests that may still be sent.
    left: Cell<u64>,
    spell: RefCell<Spell>,
}

impl Tally {
    fn new(requests: u64) -> Self {
        Self {
            left: Cell::new(requests),
            spell: RefCell::default(),
        }
    }

    /// Whether one more request may be sent; if so it counts as sent.
    fn take_one(&self) -> bool {
        let left = self.left.get();
        self.left.set(left.saturating_sub(1));
        left > 0
    }
}
