//! Following changes over real connections, across restarts and replicas.

use std::time::Duration;

use serde_json::Value;
use tokio::task::spawn_blocking;

use crate::client::{Change, Client, MAIN};
use crate::event_stream::{Event, take};
use crate::world::{Cluster, PATIENCE};

const CHANGES: u64 = 200;

/// Someone who follows changes and keeps what they see.
struct Subscriber {
    response: reqwest::Response,
    text: String,
    seen: Vec<u64>,
}

impl Subscriber {
    async fn follow(client: &Client, last_event_id: Option<u64>) -> Self {
        Self {
            response: client.follow(last_event_id).await,
            text: String::new(),
            seen: Vec::new(),
        }
    }

    /// The next event, marks aside; `None` when the connection ends.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = take(&mut self.text) {
                if event.data == Value::Null {
                    continue;
                }
                assert_eq!(event.name, "change", "{event:?}");
                self.seen.push(event.id.expect("an id"));
                return Some(event);
            }
            let chunk = tokio::time::timeout(PATIENCE, self.response.chunk());
            let chunk = chunk.await.expect("an event in time").ok().flatten()?;
            self.text += std::str::from_utf8(&chunk).expect("text");
        }
    }

    async fn until(&mut self, id: u64) {
        while self.seen.last().is_none_or(|last| *last < id) {
            self.next().await.expect("the stream goes on");
        }
    }
}

#[tokio::test]
async fn two_subscribers_lose_nothing_and_see_nothing_twice_across_a_restart() {
    let cluster = Cluster::start().await;
    let (a, b) = (cluster.join("a"), cluster.join("b"));
    let writer = a.client(&cluster.token);
    writer.create_with_candidate(MAIN).await;
    let on_a = writer.clone();
    let steady = tokio::spawn(async move {
        let mut steady = Subscriber::follow(&on_a, Some(0)).await;
        steady.until(2 + CHANGES).await;
        steady.seen
    });
    let mut returning = Subscriber::follow(&b.client(&cluster.token), Some(0)).await;
    let changes = tokio::spawn(async move {
        for bps in 1..=CHANGES {
            writer.change(MAIN, Change::weight(bps)).await;
        }
    });

    returning.until(50).await;
    b.kill().await;
    while returning.next().await.is_some() {}
    let mut seen = returning.seen;
    let b = cluster.join("b");
    let last = seen.last().copied();
    let mut again = Subscriber::follow(&b.client(&cluster.token), last).await;
    again.until(2 + CHANGES).await;
    seen.append(&mut again.seen);

    changes.await.expect("all changes");
    let all: Vec<_> = (1..=2 + CHANGES).collect();
    assert_eq!(seen, all);
    assert_eq!(steady.await.expect("all events"), all);
}

#[tokio::test]
async fn an_open_stream_does_not_keep_a_process_from_ending() {
    let cluster = Cluster::start().await;
    let service = cluster.join("a");
    let mut open = Subscriber::follow(&service.client(&cluster.token), None).await;
    // The drain would cut it after ten seconds; it ends by itself, well before.
    let stopped = tokio::time::timeout(Duration::from_secs(8), service.stop());
    stopped.await.expect("an end without the drain's time");
    assert_eq!(open.next().await, None);
}

#[tokio::test]
async fn the_command_prints_a_line_per_change() {
    let cluster = Cluster::start().await;
    let service = cluster.join("a");
    let client = service.client(&cluster.token);
    client.create_with_candidate(MAIN).await;
    client.change(MAIN, Change::cutover()).await;
    let mut events = cluster.operator(&service);
    events.args(["events", MAIN, "--after", "0"]);
    let lines = spawn_blocking(move || {
        let mut process = crate::world::Process::start(&mut events);
        ["create", "register", "cutover"].map(|action| {
            process.wait_for(action, |line| {
                line.contains(action).then(|| line.to_owned())
            })
        })
    });
    let lines = lines.await.expect("lines");
    assert!(lines[2].contains("blue 0 %, green 100 %"), "{lines:?}");
}
