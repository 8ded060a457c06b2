//! The split of calls over the slots, seen from outside.

use std::net::SocketAddr;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::client::{Change, MAIN};
use crate::world::{Cluster, Service, until};

const CALLS: usize = 100_000;
/// Connections to each process, kept alive for all calls.
const CONNECTIONS: usize = 4;
/// Calls sent before their answers are read.
const IN_FLIGHT: usize = 50;

/// The answers to calls with these conversation ids, in order.
async fn decide_all(address: SocketAddr, name: &str, token: &str, ids: &[String]) -> Vec<String> {
    let share = ids.len().div_ceil(CONNECTIONS);
    let connections: Vec<_> = ids
        .chunks(share)
        .map(|ids| {
            let calls = ids.iter().map(|id| call(name, token, id)).collect();
            tokio::spawn(decide_on_one_connection(address, calls))
        })
        .collect();
    let mut answers = Vec::with_capacity(ids.len());
    for connection in connections {
        answers.append(&mut connection.await.expect("answers"));
    }
    answers
}

async fn decide_on_one_connection(address: SocketAddr, calls: Vec<String>) -> Vec<String> {
    let mut stream = BufReader::new(TcpStream::connect(address).await.expect("a connection"));
    let mut answers = Vec::with_capacity(calls.len());
    for calls in calls.chunks(IN_FLIGHT) {
        stream
            .write_all(calls.concat().as_bytes())
            .await
            .expect("an open connection");
        for _ in calls {
            answers.push(read_answer(&mut stream).await);
        }
    }
    answers
}

fn call(name: &str, token: &str, id: &str) -> String {
    let body = format!("{{\"Conversation_ID\":\"{id}\"}}");
    format!(
        "POST /v1/environments/{name}/decisions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// The body of the next answer, which must be a decision.
async fn read_answer(stream: &mut BufReader<TcpStream>) -> String {
    let mut line = String::new();
    stream.read_line(&mut line).await.expect("a status line");
    assert!(line.starts_with("HTTP/1.1 200 "), "{line}");
    let mut length = 0;
    loop {
        line.clear();
        stream.read_line(&mut line).await.expect("a header");
        match line.trim_end().to_ascii_lowercase().split_once(": ") {
            Some(("content-length", value)) => length = value.parse().expect("a length"),
            Some(_) => {}
            None => break,
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.expect("a body");
    String::from_utf8(body).expect("text")
}

/// Whether so many of [`CALLS`] at `share` lie within what happens by chance in 99.9 % of all cases.
fn is_within_the_band(hits: usize, share: f64) -> bool {
    let calls = CALLS as f64;
    let deviation = (calls * share * (1.0 - share)).sqrt();
    (hits as f64 - calls * share).abs() <= 3.2905 * deviation
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_percent_of_calls_go_to_the_candidate_and_both_processes_say_which() {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let cluster = Cluster::start().await;
    let services: [Service; 2] = [cluster.join("a"), cluster.join("b")];
    let uuid = |random: &mut StdRng| {
        uuid::Builder::from_random_bytes(random.random())
            .into_uuid()
            .to_string()
    };
    let ids: Vec<_> = (0..CALLS).map(|_| uuid(&mut random)).collect();
    // A fair split leaves the band once in a thousand runs, and with a new salt again once in a million.
    let mut hits = Vec::new();
    for name in [MAIN, "Second_IVR"] {
        hits.push(hits_on_both(&cluster, &services, name, &ids).await);
        if is_within_the_band(hits[hits.len() - 1], 0.05) {
            return;
        }
    }
    panic!("{hits:?} of {CALLS}, seed {seed}");
}

/// How many calls the candidate gets at 5 %; fails if the processes disagree about one.
async fn hits_on_both(
    cluster: &Cluster,
    services: &[Service; 2],
    name: &str,
    ids: &[String],
) -> usize {
    let clients = services
        .each_ref()
        .map(|service| service.client(&cluster.token));
    clients[0].create_with_candidate(name).await;
    let revision = clients[0].change(name, Change::weight(500)).await["revision"].clone();
    until("both processes at one revision", async || {
        let answers = [
            clients[0].ask_for_decision(name).await,
            clients[1].ask_for_decision(name).await,
        ];
        answers
            .iter()
            .all(|answer| answer.json["Revision"] == revision)
            .then_some(())
    })
    .await;

    let (a, b) = tokio::join!(
        decide_all(services[0].decisions, name, &cluster.token, ids),
        decide_all(services[1].decisions, name, &cluster.token, ids),
    );

    for ((id, a), b) in ids.iter().zip(&a).zip(&b) {
        assert_eq!(a, b, "the answers to {id}");
    }
    a.iter()
        .filter(|answer| answer.contains("\"Slot\":\"green\""))
        .count()
}
