//! What it costs at a trickle that an answer is proved: 20 calls a second, each with a read of the store of its own.
//!
//! A proved answer is held against one read, which is a bare HTTP exchange with the store, cheaper than any client of DynamoDB. Most
//! of what it takes beyond that is what any answer takes that has to wake a core first; a guest of another machine pays for that
//! several times over and can do nothing about it. So it is measured twice: with cores that sleep between calls, and with cores that
//! are kept awake by programs which run only while nothing else wants to. The first is what a caller waits for, and is judged; the second
//! says what of it the service takes. The same request to the reference, which does nothing, stands beside both.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde::Serialize;
use tokio::sync::mpsc;

use crate::answer;
use crate::bars::{self, Bar, Judged};
use crate::connection::Connection;
use crate::cores::{Awake, Cores, pin_this_thread};
use crate::request::{Freshness, Question, Request};
use crate::server::Subject;
use crate::statistics::{Latency, Spread};

/// Time between two calls of a kind.
const INTERVAL: Duration = Duration::from_millis(50);
/// Calls of each kind, each time.
const CALLS: u32 = 200;
/// How often each is measured, with new processes.
const TIMES: usize = 3;

/// All measurements.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    asleep: Vec<Trickle>,
    awake: Vec<Trickle>,
    /// What a proved answer takes beyond a read: with cores kept awake, and with cores that sleep.
    pub(crate) bars: [Bar; 2],
}

/// Latencies at 20 calls a second.
#[derive(Debug, Serialize)]
struct Trickle {
    read: Latency,
    reference: Latency,
    plain: Latency,
    validated: Latency,
}

impl Trickle {
    /// What a proved answer takes beyond a read, in milliseconds: the difference of the medians.
    fn beyond_a_read_ms(&self) -> f64 {
        (self.validated.p50_us - self.read.p50_us) / 1e3
    }
}

/// Measures with cores that sleep and with cores that are kept awake, in turn.
///
/// # Errors
/// A server does not start or does not answer as it should, or cores cannot be kept awake here.
pub(crate) async fn measure(
    reference: &Subject,
    traffic_cop: &Subject,
    cores: Cores,
) -> anyhow::Result<Report> {
    println!("At 20 calls a second (medians):");
    let (mut asleep, mut awake) = (Vec::new(), Vec::new());
    for _ in 0..TIMES {
        asleep.push(once("cores that sleep", reference, traffic_cop, cores).await?);
        let keeper = Awake::keep(cores)?;
        awake.push(once("cores kept awake", reference, traffic_cop, cores).await?);
        drop(keeper);
    }
    let beyond = |of: &[Trickle]| Spread::of(of.iter().map(Trickle::beyond_a_read_ms));
    let limit = bars::BEYOND_A_READ_MS;
    let bars = [
        Bar::new(
            "ms beyond a read, cores awake",
            beyond(&awake),
            limit,
            Judged::No,
        ),
        Bar::new(
            "ms beyond a read, cores asleep",
            beyond(&asleep),
            limit,
            Judged::Yes,
        ),
    ];
    Ok(Report {
        asleep,
        awake,
        bars,
    })
}

/// Asks the store, the reference and the service in turn.
async fn once(
    how: &str,
    reference: &Subject,
    traffic_cop: &Subject,
    cores: Cores,
) -> anyhow::Result<Trickle> {
    let bare = reference.start(cores, &[]).await?;
    let server = traffic_cop.start(cores, &[]).await?;
    let store = server.store().context("it has a store of its own")?;
    let token = server.token.as_deref();
    let request = |address, freshness, seed| {
        Request::new(Question::Decision, address, token, freshness, seed)
    };
    let mut nothing = Caller::new(request(bare.address, Freshness::Any, 0), bare.address).await?;
    let mut plain = Caller::new(request(server.address, Freshness::Any, 1), server.address).await?;
    let proved = request(server.address, Freshness::Proved, 2);
    let mut validated = Caller::new(proved, server.address).await?;
    let mut reads = Reads::start(cores, store.address(), store.read());
    let mut took: [Vec<u32>; 4] = Default::default();
    let mut due = Instant::now();
    for _ in 0..CALLS {
        for (kind, took) in took.iter_mut().enumerate() {
            due += INTERVAL / 4;
            tokio::time::sleep_until(due.into()).await;
            match kind {
                0 => took.push(reads.next().await?),
                1 => took.push(nothing.call().await?.0),
                2 => took.push(plain.call().await?.0),
                _ => {
                    let (nanoseconds, is_proved) = validated.call().await?;
                    took.extend(is_proved.then_some(nanoseconds));
                }
            }
        }
    }
    drop((nothing, plain, validated, reads));
    let proved = took[3].len();
    ensure!(
        proved * 100 >= CALLS as usize * 99,
        "only {proved} of {CALLS} answers were proved"
    );
    server.stop().await?;
    bare.stop().await?;
    let [read, reference, plain, validated] = took.map(Latency::of);
    println!(
        "{how}: a read {:.0} µs, an answer of the reference {:.0} µs, a plain decision {:.0} µs, a validated one {:.0} µs",
        read.p50_us, reference.p50_us, plain.p50_us, validated.p50_us
    );
    Ok(Trickle {
        read,
        reference,
        plain,
        validated,
    })
}

/// Somebody with a connection of their own.
struct Caller {
    connection: Connection,
    request: Request,
}

impl Caller {
    async fn new(request: Request, address: SocketAddr) -> anyhow::Result<Self> {
        let connection = Connection::open(address).await?;
        Ok(Self {
            connection,
            request,
        })
    }

    /// How long an answer takes, in nanoseconds, and whether it is proved.
    async fn call(&mut self) -> anyhow::Result<(u32, bool)> {
        let sent = Instant::now();
        let answer = self.connection.exchange(self.request.next_bytes()).await?;
        let (took, status) = (nanoseconds(sent), answer.status);
        ensure!(status == 200, "a decision answered {status}");
        Ok((took, answer::is_proved(answer.body)))
    }
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
