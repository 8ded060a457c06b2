//! What it costs that an answer is proved: decisions with `Cache-Control: no-cache` against plain ones, both of traffic-cop, at
//! the same rate.
//!
//! The rate is fixed, since proofs are shared by the calls that come meanwhile: what matters is how many reads of the store a
//! second of calls takes. The store is a process of its own, on the load's core.
//!
//! At a trickle nothing is shared: there the question is how much longer than one read of the store a proved answer takes. The
//! read it is held against is a bare HTTP exchange with the store, cheaper than any client of DynamoDB.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde::Serialize;
use tokio::sync::mpsc;

use crate::answer;
use crate::bars::{self, Bar, Judged};
use crate::connection::Connection;
use crate::cores::{Cores, pin_this_thread};
use crate::generator::Load;
use crate::request::{Freshness, Question, Request};
use crate::server::Subject;
use crate::statistics::{Latency, Spread};
use crate::throughput::{self, Pair, Plan, Side};

/// Calls a second: several times what the largest contact centres have.
const RATE: f64 = 5_000.0;
/// Enough that each has its answer long before its next call is due.
const CONNECTIONS: u64 = 256;

/// Time between two calls at a trickle.
const TRICKLE: Duration = Duration::from_millis(50);
/// Validated calls at a trickle, and as many plain ones and reads.
const CALLS: u32 = 300;

/// All measurements.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pairs: Vec<Pair>,
    trickle: Trickle,
    /// CPU against plain decisions, pair by pair; the share of answers that are proved; what an answer takes beyond a read.
    pub(crate) bars: [Bar; 3],
}

/// Latencies at 20 calls a second.
#[derive(Debug, Serialize)]
struct Trickle {
    read: Latency,
    plain: Latency,
    validated: Latency,
}

/// Measures pair by pair.
pub(crate) async fn compare(
    traffic_cop: &Subject,
    cores: Cores,
    plan: Plan,
) -> anyhow::Result<Report> {
    let side = |name, freshness| {
        let load = Load::open(CONNECTIONS, RATE, freshness);
        Side::new(&traffic_cop.called(name), load)
    };
    println!("Validated decisions: {RATE} calls a second over {CONNECTIONS} connections");
    let plain = side("plain", Freshness::Any);
    let validated = side("validated", Freshness::Proved);
    let pairs = throughput::pairs(&plain, &validated, cores, plan).await?;
    let of = |figure: fn(&Pair) -> f64| Spread::of(pairs.iter().map(figure));
    let trickle = at_a_trickle(traffic_cop, cores).await?;
    println!(
        "At 20 a second: a read {:.0} µs, a plain decision {:.0} µs, a validated one {:.0} µs (medians)",
        trickle.read.p50_us, trickle.plain.p50_us, trickle.validated.p50_us
    );
    let bars = [
        Bar::new(
            "CPU per validated / plain",
            of(|pair| pair.candidate.cpu_us_per_request / pair.reference.cpu_us_per_request),
            bars::VALIDATED_CPU,
            Judged::Yes,
        ),
        Bar::new(
            "share of answers proved",
            of(|pair| pair.candidate.proved),
            bars::PROVED,
            Judged::Yes,
        ),
        Bar::new(
            "ms beyond a read at 20/s",
            Spread::of([(trickle.validated.p50_us - trickle.read.p50_us) / 1e3]),
            bars::BEYOND_A_READ_MS,
            Judged::Yes,
        ),
    ];
    Ok(Report {
        pairs,
        trickle,
        bars,
    })
}

/// Asks one server and its store in turn.
async fn at_a_trickle(traffic_cop: &Subject, cores: Cores) -> anyhow::Result<Trickle> {
    let server = traffic_cop.start(cores, &[]).await?;
    let store = server.store().context("it has a store of its own")?;
    let mut decisions = Connection::open(server.address).await?;
    let token = server.token.as_deref();
    let question = Question::Decision;
    let request = |freshness, seed| Request::new(question, server.address, token, freshness, seed);
    let (mut plain, mut validated) = (request(Freshness::Any, 0), request(Freshness::Proved, 1));
    let mut reads = Reads::start(cores, store.address(), store.read());
    let (mut read_ns, mut plain_ns, mut validated_ns) = (Vec::new(), Vec::new(), Vec::new());
    let mut due = Instant::now();
    for _ in 0..CALLS {
        due += TRICKLE / 3;
        tokio::time::sleep_until(due.into()).await;
        read_ns.push(reads.next().await?);
        due += TRICKLE / 3;
        tokio::time::sleep_until(due.into()).await;
        let (took, _) = decide(&mut decisions, &mut plain).await?;
        plain_ns.push(took);
        due += TRICKLE / 3;
        tokio::time::sleep_until(due.into()).await;
        let (took, is_proved) = decide(&mut decisions, &mut validated).await?;
        if is_proved {
            validated_ns.push(took);
        }
    }
    drop((decisions, reads));
    ensure!(
        validated_ns.len() * 100 >= CALLS as usize * 99,
        "only {} of {CALLS} answers were proved",
        validated_ns.len()
    );
    server.stop().await?;
    Ok(Trickle {
        read: Latency::of(read_ns),
        plain: Latency::of(plain_ns),
        validated: Latency::of(validated_ns),
    })
}

/// How long a decision takes, in nanoseconds, and whether it is proved.
async fn decide(connection: &mut Connection, request: &mut Request) -> anyhow::Result<(u32, bool)> {
    let sent = Instant::now();
    let answer = connection.exchange(request.next_bytes()).await?;
    let (took, status) = (nanoseconds(sent), answer.status);
    ensure!(status == 200, "a decision answered {status}");
    Ok((took, answer::is_proved(answer.body)))
}

/// Reads of the store from the server's core, which is where the server's come from: between cores a message takes longer than on
/// one.
struct Reads {
    ask: mpsc::Sender<()>,
    took: mpsc::Receiver<u32>,
}

impl Reads {
    fn start(cores: Cores, store: SocketAddr, read: Vec<u8>) -> Self {
        let (ask, mut asked) = mpsc::channel(1);
        let (tell, took) = mpsc::channel(1);
        let mut run = async move || {
            pin_this_thread(cores.server)?;
            let mut connection = Connection::open(store).await?;
            while asked.recv().await.is_some() {
                let sent = Instant::now();
                let answer = connection.exchange(&read).await?;
                ensure!(answer.status == 200, "the store answered {}", answer.status);
                if tell.send(nanoseconds(sent)).await.is_err() {
                    break;
                }
            }
            Ok(())
        };
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            let read = runtime
                .context("no runtime")
                .and_then(|runtime| runtime.block_on(run()));
            if let Err(error) = read {
                eprintln!("side-by-side: a read of the store: {error:#}");
            }
        });
        Self { ask, took }
    }

    /// How long the next one takes, in nanoseconds.
    async fn next(&mut self) -> anyhow::Result<u32> {
        let gone = "the thread that reads the store has ended";
        self.ask.send(()).await.context(gone)?;
        self.took.recv().await.context(gone)
    }
}

/// Saturates at 4.3 s, where the exact figure no longer matters.
fn nanoseconds(since: Instant) -> u32 {
    u32::try_from(since.elapsed().as_nanos()).unwrap_or(u32::MAX)
}
