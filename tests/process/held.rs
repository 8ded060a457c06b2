//! Callers by the thousand who hold on to their connections and are of no use: each is let go on time, and others are answered
//! all the while. With shortened clocks for every change, with the real ones in `.ci/proof`.

use std::net::SocketAddr;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::client::MAIN;
use crate::world::{PATIENCE, Service};

const SOCKETS: usize = 2_000;
/// Of this process and of the service: connections, and what else there is.
const OPEN_FILES: u64 = 8_192;

/// What a caller does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Caller {
    /// Nothing.
    Silent,
    /// Half of a head, and then nothing.
    HalfAHead,
    /// A head, and then a byte of the body now and then, without end.
    SlowBody,
}

/// How long each may go on.
#[derive(Debug, Clone, Copy)]
struct Clocks {
    first_byte: Duration,
    head: Duration,
    body: Duration,
    /// Between two bytes of a slow body.
    pause: Duration,
}

/// How long a connection was there: the service may have seen it before its caller could look at the time.
#[derive(Debug, Clone, Copy)]
struct Held {
    at_least: Duration,
    at_most: Duration,
}

impl Caller {
    const ALL: [Self; 3] = [Self::Silent, Self::HalfAHead, Self::SlowBody];

    fn clock(self, clocks: Clocks) -> Duration {
        match self {
            Self::Silent => clocks.first_byte,
            Self::HalfAHead => clocks.head,
            Self::SlowBody => clocks.body,
        }
    }

    fn first_words(self) -> String {
        match self {
            Self::Silent => String::new(),
            Self::HalfAHead => {
                format!("POST /v1/environments/{MAIN}/decisions HTTP/1.1\r\nHost: x\r\n")
            }
            Self::SlowBody => head(10_000),
        }
    }

    /// What it is told before the connection ends.
    fn told(self) -> &'static str {
        match self {
            Self::Silent => "",
            Self::HalfAHead | Self::SlowBody => "HTTP/1.1 408 ",
        }
    }

    /// Holds a connection for as long as it is let.
    async fn hold(self, address: SocketAddr, pause: Duration) -> Held {
        let tried = Instant::now();
        let mut stream = TcpStream::connect(address).await.expect("a connection");
        let begun = Instant::now();
        stream
            .write_all(self.first_words().as_bytes())
            .await
            .expect("an open connection");
        let (mut input, mut output) = stream.into_split();
        let feed = async move {
            let mut ticks = interval(pause);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            if self == Self::SlowBody {
                // Fails once the service has had enough; what it says is read below.
                while output.write_all(b" ").await.is_ok() {
                    ticks.tick().await;
                }
            }
            // The connection is open for as long as this half of it lives.
            std::future::pending::<()>().await;
        };
        let mut told = Vec::new();
        let read = async {
            // A reset is an end as well: of a caller that was still sending.
            let _ = input.read_to_end(&mut told).await;
        };
        tokio::select! {
            () = feed => unreachable!("it never ends"),
            () = read => {}
        }
        let held = Held {
            at_least: begun.elapsed(),
            at_most: tried.elapsed(),
        };
        let told = String::from_utf8_lossy(&told);
        assert!(told.starts_with(self.told()), "{self:?} was told: {told}");
        assert_eq!(
            told.is_empty(),
            self.told().is_empty(),
            "{self:?} was told: {told}"
        );
        held
    }
}

fn head(length: usize) -> String {
    format!(
        "POST /v1/environments/{MAIN}/decisions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n"
    )
}

/// Lets this process, and those that it starts, have so many open files.
fn make_room() {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("the limit of open files");
    assert!(
        hard >= OPEN_FILES,
        "this test needs {OPEN_FILES} open files, and {hard} are allowed"
    );
    setrlimit(Resource::RLIMIT_NOFILE, soft.max(OPEN_FILES), hard).expect("more open files");
}

/// Someone who calls all the time, on one connection and on a new one each: how often, once told to stop.
fn prober(service: &Service, stop: CancellationToken) -> JoinHandle<usize> {
    let url = format!(
        "http://{}/v1/environments/{MAIN}/decisions",
        service.decisions
    );
    let client = |idle| {
        let builder = reqwest::Client::builder().pool_max_idle_per_host(idle);
        builder.timeout(PATIENCE).build().expect("a client")
    };
    let clients = [client(1), client(0)];
    tokio::spawn(async move {
        let mut calls = 0;
        while !stop.is_cancelled() {
            for client in &clients {
                let call = client.post(&url).json(&json!({}));
                let answer = call.send().await.expect("an answer");
                assert!(answer.status().is_success(), "{answer:?}");
                calls += 1;
            }
        }
        calls
    })
}

/// Has thousands of each kind hold on to connections. Returns how late the last one of each was let go.
async fn all_are_let_go(clocks: Clocks) -> Vec<(Caller, Duration)> {
    make_room();
    let data = tempfile::tempdir().expect("a directory");
    let ms = |time: Duration| time.as_millis().to_string();
    let service = Service::start(&[
        "--data-dir",
        data.path().to_str().expect("a readable path"),
        "--first-byte-timeout-ms",
        &ms(clocks.first_byte),
        "--head-timeout-ms",
        &ms(clocks.head),
        "--body-timeout-ms",
        &ms(clocks.body),
        // How fast a debug build answers on a busy machine is not the question.
        "--decision-deadline-ms",
        "20000",
    ]);
    let _ = rustls::crypto::ring::default_provider().install_default();
    let stop = CancellationToken::new();
    let prober = prober(&service, stop.clone());
    let mut late = Vec::new();
    for caller in Caller::ALL {
        let clock = caller.clock(clocks);
        let mut holding = JoinSet::new();
        for _ in 0..SOCKETS {
            holding.spawn(caller.hold(service.decisions, clocks.pause));
        }
        let all = timeout(clock + PATIENCE, holding.join_all()).await;
        let held = all.unwrap_or_else(|_| panic!("{caller:?} is still holding on"));
        let shortest = held.iter().map(|held| held.at_most).min();
        let shortest = shortest.expect("callers");
        assert!(
            shortest >= clock,
            "{caller:?} was let go after {shortest:?}, before its time"
        );
        let longest = held.iter().map(|held| held.at_least).max();
        let longest = longest.expect("callers");
        late.push((caller, longest.saturating_sub(clock)));
    }
    stop.cancel();
    let calls = prober.await.expect("a prober that is answered");
    assert!(
        calls > SOCKETS / 100,
        "{calls} calls were answered meanwhile"
    );
    service.stop().await;
    late
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_callers_who_hold_on_are_let_go_and_others_answered() {
    all_are_let_go(Clocks {
        // The prober's pauses and those between a connection and its first words count as well, and machines are busy.
        first_byte: Duration::from_secs(10),
        head: Duration::from_secs(1),
        body: Duration::from_secs(2),
        pause: Duration::from_millis(250),
    })
    .await;
}

mod proof {
    use super::*;

    /// Two looks at the clocks, and what a busy machine adds.
    const LATEST: Duration = Duration::from_secs(2);

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    #[ignore = "takes minutes: the real clocks"]
    async fn two_thousand_callers_who_hold_on_are_let_go_on_time() {
        let late = all_are_let_go(Clocks {
            first_byte: Duration::from_secs(75),
            head: Duration::from_secs(5),
            body: Duration::from_secs(5),
            pause: Duration::from_secs(1),
        })
        .await;
        for (caller, late) in late {
            println!("{SOCKETS} of {caller:?}: the last one was let go {late:?} after its time");
            assert!(late <= LATEST, "{caller:?}: {late:?} late");
        }
    }

    #[tokio::test]
    #[ignore = "takes minutes: the real clocks"]
    async fn an_idle_connection_still_answers_after_longer_than_balancers_keep_theirs() {
        let data = tempfile::tempdir().expect("a directory");
        let service = Service::embedded(data.path());
        let request = head(2) + "{}";
        let idle = [61, 70].map(|seconds| {
            let (address, request) = (service.decisions, request.clone());
            tokio::spawn(async move {
                let mut stream = TcpStream::connect(address).await.expect("a connection");
                for pause in [0, seconds] {
                    sleep(Duration::from_secs(pause)).await;
                    stream
                        .write_all(request.as_bytes())
                        .await
                        .expect("an open connection");
                    let mut answer = [0; 4096];
                    let count = stream.read(&mut answer).await.expect("an open connection");
                    let answer = String::from_utf8_lossy(&answer[..count]);
                    assert!(
                        answer.starts_with("HTTP/1.1 200 "),
                        "after {seconds} s: {answer}"
                    );
                }
                println!("a connection that idled for {seconds} s answers");
            })
        });
        for idle in idle {
            idle.await.expect("an answer");
        }
    }
}
