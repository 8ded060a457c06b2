//! What open dashboards cost those who call: decisions at a fixed rate, with nobody looking and with twenty people, each of whom
//! follows the page of an environment as a browser does.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde::Serialize;

use crate::bars::{self, Bar, Judged};
use crate::cores::Cores;
use crate::generator::Load;
use crate::request::{ENVIRONMENT, Freshness};
use crate::server::{Server, Subject};
use crate::statistics::Spread;
use crate::throughput::{self, Pair, Plan, Side};

/// Calls a second: more than the largest contact centres have.
const RATE: f64 = 1_000.0;
/// Enough that each has its answer long before its next call is due.
const CONNECTIONS: u64 = 64;
/// People who look.
const DASHBOARDS: usize = 20;
/// How long a page may take to come, on a server that has just started.
const PATIENCE: Duration = Duration::from_secs(20);

/// All measurements.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pairs: Vec<Pair>,
    /// The slowest of a hundred answers, with dashboards by without.
    pub(crate) bars: [Bar; 1],
}

/// Measures pair by pair.
pub(crate) async fn compare(
    traffic_cop: &Subject,
    cores: Cores,
    plan: Plan,
) -> anyhow::Result<Report> {
    let load = Load::open(CONNECTIONS, RATE, Freshness::Any);
    let side = |name, dashboards| Side {
        dashboards,
        ..Side::new(&traffic_cop.called(name), load)
    };
    println!("Dashboards: {RATE} calls a second, nobody looking and {DASHBOARDS} people");
    let (alone, watched) = (side("alone", 0), side("watched", DASHBOARDS));
    let pairs = throughput::pairs(&alone, &watched, cores, plan).await?;
    let p99 = Spread::of(
        pairs
            .iter()
            .map(|pair| pair.candidate.latency.p99_us / pair.reference.latency.p99_us),
    );
    let bars = [Bar::new(
        "p99 with 20 dashboards / without",
        p99,
        bars::DASHBOARDS_P99,
        Judged::Yes,
    )];
    Ok(Report { pairs, bars })
}

/// Somebody who looks at a page as it becomes, until they are dropped.
#[derive(Debug)]
pub(crate) struct Dashboard {
    stream: TcpStream,
    reader: Option<JoinHandle<()>>,
}

impl Dashboard {
    /// Signs in to `server` and opens so many pages that become.
    ///
    /// # Errors
    /// Somebody is not let in, or gets no page.
    pub(crate) fn open(server: &Server, count: usize) -> anyhow::Result<Vec<Self>> {
        let Some((admin, token)) = server.operator().filter(|_| count > 0) else {
            return Ok(Vec::new());
        };
        let cookie = sign_in(admin, token)?;
        (0..count).map(|_| Self::follow(admin, &cookie)).collect()
    }

    fn follow(admin: SocketAddr, cookie: &str) -> anyhow::Result<Self> {
        let mut stream = connect(admin)?;
        write!(
            stream,
            "GET /dashboard/environments/{ENVIRONMENT}/events HTTP/1.1\r\nhost: {admin}\r\ncookie: {cookie}\r\n\r\n"
        )?;
        let mut reading = stream.try_clone().context("cannot share a connection")?;
        let first = read_until(&mut reading, "event: page").context("no page")?;
        ensure!(first.starts_with("HTTP/1.1 200"), "no page: {first}");
        stream.set_read_timeout(None)?;
        let reader = std::thread::spawn(move || {
            let mut page = vec![0; 65_536];
            // Ends with the connection.
            while matches!(reading.read(&mut page), Ok(count) if count > 0) {}
        });
        Ok(Self {
            stream,
            reader: Some(reader),
        })
    }
}

impl Drop for Dashboard {
    fn drop(&mut self) {
        // An error means that it is closed.
        let _ = self.stream.shutdown(Shutdown::Both);
        if let Some(reader) = self.reader.take() {
            // It cannot panic.
            let _ = reader.join();
        }
    }
}

/// The cookie of a session.
fn sign_in(admin: SocketAddr, token: &str) -> anyhow::Result<String> {
    let mut stream = connect(admin)?;
    let form = format!("to=%2F&token={token}");
    write!(
        stream,
        "POST /dashboard/login HTTP/1.1\r\nhost: {admin}\r\norigin: http://{admin}\r\nconnection: close\r\n\
         content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{form}",
        form.len()
    )?;
    let answer = read_until(&mut stream, "\r\n\r\n").context("no answer to who signs in")?;
    let cookie = answer.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let is_it = name.eq_ignore_ascii_case("set-cookie");
        is_it.then(|| {
            value
                .trim()
                .split(';')
                .next()
                .unwrap_or_default()
                .to_owned()
        })
    });
    cookie.with_context(|| format!("nobody is let in: {answer}"))
}

fn connect(admin: SocketAddr) -> anyhow::Result<TcpStream> {
    let stream = TcpStream::connect(admin).context("cannot reach the admin listener")?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// What comes, until `end` has.
fn read_until(stream: &mut TcpStream, end: &str) -> anyhow::Result<String> {
    let (mut text, mut some) = (String::new(), [0; 4_096]);
    while !text.contains(end) {
        let count = stream.read(&mut some)?;
        ensure!(count > 0, "the connection ended after: {text}");
        text += &String::from_utf8_lossy(&some[..count]);
    }
    Ok(text)
}
