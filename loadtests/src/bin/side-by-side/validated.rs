//! What it costs that an answer is proved: decisions with `Cache-Control: no-cache` against plain ones, both of traffic-cop, at
//! the same rate.
//!
//! The rate is fixed, since proofs are shared by the calls that come meanwhile: what matters is how many reads of the store a
//! second of calls takes. The store is a process of its own, on the load's core.
//!
//! At a trickle nothing is shared: there the question is how much longer than one read of the store a proved answer takes. The
//! read it is held against is a bare HTTP exchange with the store, cheaper than any client of DynamoDB.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde::Serialize;

use crate::answer;
use crate::bars::{self, Bar, Judged};
use crate::connection::Connection;
use crate::cores::Cores;
use crate::generator::{Load, Pace};
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
/// Calls at a trickle, and as many reads.
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
    validated: Latency,
}

/// Measures pair by pair.
pub(crate) async fn compare(
    traffic_cop: &Subject,
    cores: Cores,
    plan: Plan,
) -> anyhow::Result<Report> {
    let side = |name, freshness| Side {
        subject: Subject {
            name,
            ..traffic_cop.clone()
        },
        load: Load {
            connections: CONNECTIONS,
            pace: Pace::Open(RATE),
            freshness,
        },
    };
    println!("Validated decisions: {RATE} calls a second over {CONNECTIONS} connections");
    let plain = side("plain", Freshness::Any);
    let validated = side("validated", Freshness::Proved);
    let pairs = throughput::pairs(&plain, &validated, cores, plan).await?;
    let of = |figure: fn(&Pair) -> f64| Spread::of(pairs.iter().map(figure));
    let trickle = at_a_trickle(traffic_cop, cores).await?;
    println!(
        "At 20 a second: a read {:.0} µs, a validated decision {:.0} µs (medians)",
        trickle.read.p50_us, trickle.validated.p50_us
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
    let mut request = Request::new(
        Question::Decision,
        server.address,
        token,
        Freshness::Proved,
        0,
    );
    let mut reads = Connection::open(store.address()).await?;
    let read = store.read();
    let (mut read_ns, mut validated_ns) = (Vec::new(), Vec::new());
    let mut due = Instant::now();
    for _ in 0..CALLS {
        due += TRICKLE / 2;
        tokio::time::sleep_until(due.into()).await;
        let sent = Instant::now();
        let answer = reads.exchange(&read).await?;
        ensure!(answer.status == 200, "the store answered {}", answer.status);
        read_ns.push(nanoseconds(sent));
        due += TRICKLE / 2;
        tokio::time::sleep_until(due.into()).await;
        let sent = Instant::now();
        let answer = decisions.exchange(request.next_bytes()).await?;
        ensure!(
            answer.status == 200,
            "a decision answered {}",
            answer.status
        );
        if answer::is_proved(answer.body) {
            validated_ns.push(nanoseconds(sent));
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
        validated: Latency::of(validated_ns),
    })
}

/// Saturates at 4.3 s, where the exact figure no longer matters.
fn nanoseconds(since: Instant) -> u32 {
    u32::try_from(since.elapsed().as_nanos()).unwrap_or(u32::MAX)
}
