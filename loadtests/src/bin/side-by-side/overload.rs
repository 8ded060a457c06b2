//! Ten times the calls that the server can take: how many it still answers in time, whether operators get through, and how soon
//! it is itself again.
//!
//! Two thousand callers ask at their times, each on a connection of its own; who is put off comes again when its next call is
//! due, and who is let down connects anew. So that one core can offer ten times what another can take, the server had better
//! be a debug build: `--traffic-cop target/debug/traffic-cop`.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde::Serialize;
use tokio::task::{JoinSet, LocalSet};

use crate::bars::{self, Bar, Judged};
use crate::connection::Connection;
use crate::cores::Cores;
use crate::generator::{Generator, Load};
use crate::request::{Freshness, Question, Request};
use crate::server::{Server, Subject};
use crate::statistics::{Latency, Spread};

/// Calls offered, by those that the server can take.
const TIMES: f64 = 10.0;
/// Callers at that rate, and in the measurement of what the server can take.
const CALLERS: u32 = 2_000;
const PEAK_CONNECTIONS: u64 = 64;
/// How often it is measured, with new servers.
const SPELLS: u32 = 3;
/// How long each load lasts.
const SPELL: Duration = Duration::from_secs(10);
/// An answer that takes longer than a second is of no use to a caller who hears nothing meanwhile.
const USEFUL: Duration = Duration::from_secs(1);
/// Rollbacks in the middle of it, an environment each.
const ROLLBACKS: u32 = 20;
/// What counts as normal: so many answers one after the other, none slower.
const NORMAL_ANSWERS: u32 = 20;
const NORMAL: Duration = Duration::from_millis(25);

/// All measurements.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    spells: Vec<Spell>,
    /// Useful answers by the peak; rollbacks within a second, where there were fewest; seconds until answers come as before.
    pub(crate) bars: [Bar; 3],
}

/// One server, asked for too much once.
#[derive(Debug, Serialize)]
struct Spell {
    /// Answers a second of a server that is asked as much as it can take.
    peak: f64,
    /// Useful answers a second, and requests that were put off or let down, a second.
    useful: f64,
    refused: f64,
    failed: f64,
    answers: Latency,
    rollbacks: Latency,
    /// Rollbacks that took no longer than is useful.
    in_time: usize,
    /// Seconds until answers came as before.
    back: f64,
}

/// Measures it with one server after the other.
pub(crate) async fn measure(traffic_cop: &Subject, cores: Cores) -> anyhow::Result<Report> {
    let mut spells = Vec::new();
    for _ in 0..SPELLS {
        spells.push(once(traffic_cop, cores).await?);
    }
    let of = |figure: fn(&Spell) -> f64| Spread::of(spells.iter().map(figure));
    let in_time = of(|spell| spell.in_time as f64).min;
    let bars = [
        Bar::new(
            "useful answers / peak",
            of(|spell| spell.useful / spell.peak),
            bars::GOODPUT,
            Judged::Yes,
        ),
        Bar::new(
            "rollbacks within 1 s, of 20",
            Spread::of([in_time]),
            bars::ROLLBACKS,
            Judged::Yes,
        ),
        Bar::new(
            "seconds until normal",
            of(|spell| spell.back),
            bars::UNTIL_NORMAL_S,
            Judged::Yes,
        ),
    ];
    Ok(Report { spells, bars })
}

async fn once(traffic_cop: &Subject, cores: Cores) -> anyhow::Result<Spell> {
    let environments: Vec<_> = (1..=ROLLBACKS).map(environment).collect();
    let server = traffic_cop
        .start_for_operators(cores, &environments)
        .await?;
    let target = server.target(Load::closed(PEAK_CONNECTIONS));
    let mut generator = Generator::connect(&target).await?;
    generator.run_for(SPELL / 10).await?;
    let began = Instant::now();
    let peak =
        generator.run_for(SPELL).await?.latencies_ns.len() as f64 / began.elapsed().as_secs_f64();
    drop(generator);
    println!("Overload: the server takes {peak:.0} calls a second, {TIMES} times as many come");

    let (tally, rollbacks) = LocalSet::new()
        .run_until(overload(&server, TIMES * peak))
        .await?;
    let seconds = SPELL.as_secs_f64();
    let of = |count: u32| f64::from(count) / seconds;
    let back = until_normal(&server).await?.as_secs_f64();
    server.stop().await?;

    let (useful, refused, failed) = (of(tally.useful), of(tally.refused), of(tally.failed));
    let in_time = rollbacks.iter().filter(|took| **took <= USEFUL).count();
    let answers = Latency::of(tally.latencies_ns);
    let took = rollbacks
        .into_iter()
        .map(|took| u32::try_from(took.as_nanos()).unwrap_or(u32::MAX));
    let rollbacks = Latency::of(took.collect());
    println!(
        "A second: {useful:.0} useful answers (p50 {:.0} ms, p99 {:.0} ms), {refused:.0} put off, {failed:.0} let down",
        answers.p50_us / 1e3,
        answers.p99_us / 1e3
    );
    println!(
        "Rollbacks: p50 {:.0} ms, slowest {:.0} ms; normal again after {back:.2} s",
        rollbacks.p50_us / 1e3,
        rollbacks.max_us / 1e3,
    );
    Ok(Spell {
        peak,
        useful,
        refused,
        failed,
        answers,
        rollbacks,
        in_time,
        back,
    })
}

/// The environment of a rollback.
fn environment(number: u32) -> String {
    format!("Overload_{number}")
}

/// What the callers were told.
#[derive(Default)]
struct Tally {
    latencies_ns: Vec<u32>,
    useful: u32,
    refused: u32,
    failed: u32,
}

/// `rate` calls a second for a spell, and rollbacks evenly in the middle of it: how long each took.
async fn overload(server: &Server, rate: f64) -> anyhow::Result<(Tally, Vec<Duration>)> {
    let tally = Rc::new(RefCell::new(Tally::default()));
    let (began, mut callers) = (Instant::now(), JoinSet::new());
    let interval = Duration::from_secs_f64(f64::from(CALLERS) / rate);
    for number in 0..CALLERS {
        let request = Request::new(
            Question::Decision,
            server.address,
            server.token.as_deref(),
            Freshness::Any,
            u64::from(number) << 32,
        );
        let first = began + interval.mul_f64(f64::from(number) / f64::from(CALLERS));
        let caller = Caller {
            address: server.address,
            request,
            tally: Rc::clone(&tally),
        };
        callers.spawn_local(caller.call(first, interval, began + SPELL));
    }
    let mut rollbacks = Vec::new();
    for number in 1..=ROLLBACKS {
        let due = began + SPELL.mul_f64(f64::from(number) / f64::from(ROLLBACKS + 2));
        tokio::time::sleep_until(due.into()).await;
        let sent = Instant::now();
        roll_back(server, number).await?;
        rollbacks.push(sent.elapsed());
    }
    callers.join_all().await;
    Ok((tally.take(), rollbacks))
}

/// Somebody who calls again and again.
struct Caller {
    address: SocketAddr,
    request: Request,
    tally: Rc<RefCell<Tally>>,
}

impl Caller {
    async fn call(mut self, first: Instant, interval: Duration, end: Instant) {
        let mut connection = None;
        let mut due = first;
        while due < end && Instant::now() < end {
            tokio::time::sleep_until(due.into()).await;
            // Who waited through its next calls does not make up for them.
            due = (due + interval).max(Instant::now());
            let sent = Instant::now();
            let asked = tokio::time::timeout(
                2 * USEFUL,
                ask(self.address, &mut connection, &mut self.request),
            );
            let status = asked.await.context("no answer").flatten();
            let took = sent.elapsed();
            let mut tally = self.tally.borrow_mut();
            match status {
                Ok(200) if took <= USEFUL => {
                    tally.useful += 1;
                    tally
                        .latencies_ns
                        .push(u32::try_from(took.as_nanos()).unwrap_or(u32::MAX));
                }
                Ok(503) => tally.refused += 1,
                Ok(_) => tally.failed += 1,
                Err(_) => {
                    tally.failed += 1;
                    connection = None;
                }
            }
        }
    }
}

/// Sends the next request, over a new connection if there is none.
async fn ask(
    address: SocketAddr,
    connection: &mut Option<Connection>,
    request: &mut Request,
) -> anyhow::Result<u16> {
    if connection.is_none() {
        *connection = Some(Connection::open(address).await?);
    }
    let open = connection.as_mut().context("it was opened")?;
    Ok(open.exchange(request.next_bytes()).await?.status)
}

/// Rolls an environment back, on a connection of its own, as an operator's command does.
async fn roll_back(server: &Server, number: u32) -> anyhow::Result<()> {
    let (admin, token) = server
        .operator()
        .context("nobody may operate this server")?;
    let body = r#"{"reason":"overload"}"#;
    let environment = environment(number);
    let request = format!(
        "POST /v1/environments/{environment}/rollback HTTP/1.1\r\nhost: {admin}\r\nauthorization: Bearer {token}\r\n\
         if-match: *\r\nidempotency-key: overload-{number}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut connection = Connection::open(admin).await?;
    let answer = connection.exchange(request.as_bytes()).await?;
    let text = String::from_utf8_lossy(answer.body);
    ensure!(
        answer.status == 200,
        "a rollback answered {}: {text}",
        answer.status
    );
    Ok(())
}

/// How long it takes from now until answers come one after the other as they do from a server with nothing else to do.
async fn until_normal(server: &Server) -> anyhow::Result<Duration> {
    let ended = Instant::now();
    let mut request = Request::new(
        Question::Decision,
        server.address,
        server.token.as_deref(),
        Freshness::Any,
        u64::MAX,
    );
    let mut connection = None;
    let (mut good, mut normal_since) = (0, ended);
    while good < NORMAL_ANSWERS {
        ensure!(
            ended.elapsed() < 30 * USEFUL,
            "answers did not come as before"
        );
        let sent = Instant::now();
        let status = ask(server.address, &mut connection, &mut request).await;
        if status.is_ok_and(|status| status == 200) && sent.elapsed() <= NORMAL {
            good += 1;
        } else {
            (good, normal_since, connection) = (0, Instant::now(), None);
        }
    }
    Ok(normal_since - ended)
}
