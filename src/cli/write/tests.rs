//! Writes against a server that answers as told, in this process.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use http::HeaderMap;

use super::*;
use crate::cli::connection::AdminArgs;
use crate::cli::exit::Exit;

/// What the server does with a request.
#[derive(Clone, Copy)]
enum Reaction {
    Answer(u16),
    /// Drops the connection without a word.
    HangUp,
}

/// A server that reacts as told, in order, and keeps the headers it saw.
#[derive(Clone, Default)]
struct Server {
    reactions: Arc<Mutex<VecDeque<Reaction>>>,
    seen: Arc<Mutex<Vec<HeaderMap>>>,
}

impl Server {
    async fn start(reactions: &[Reaction]) -> (Self, Client) {
        let server = Self::default();
        server.reactions.lock().unwrap().extend(reactions);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = axum::Router::new()
            .route("/v1/write", post(react))
            .with_state(server.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (server, client(&format!("http://{address}")))
    }

    fn seen(&self, header: &str) -> Vec<String> {
        let seen = self.seen.lock().unwrap();
        seen.iter()
            .map(|headers| headers[header].to_str().unwrap().to_owned())
            .collect()
    }
}

async fn react(State(server): State<Server>, headers: HeaderMap) -> Response {
    server.seen.lock().unwrap().push(headers);
    let reaction = server.reactions.lock().unwrap().pop_front().unwrap();
    match reaction {
        Reaction::Answer(status) => {
            let status = StatusCode::from_u16(status).unwrap();
            let document = format!(
                r#"{{"type":"urn:x","title":"t","status":{}}}"#,
                status.as_u16()
            );
            (status, document).into_response()
        }
        // The connection task dies with the handler, and the connection with it.
        Reaction::HangUp => std::panic::resume_unwind(Box::new(())),
    }
}

fn client(url: &str) -> Client {
    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        admin: AdminArgs,
    }
    let line = ["x", "--server", url, "--token", "tc_x"];
    let line: Line = clap::Parser::try_parse_from(line).unwrap();
    line.admin.client().unwrap()
}

fn write(client: &Client) -> Write {
    Write {
        method: Method::POST,
        url: client.url(&["v1", "write"]),
        body: None,
        if_match: Some(Revision(3)),
        key: "build-1".parse().unwrap(),
        wait: None,
    }
}

async fn send(client: &Client) -> Result<Answer, Failure> {
    let write = write(client);
    client.write_with_pause(&write, Duration::ZERO).await
}

#[test]
fn a_wait_goes_with_the_query_and_is_given_the_time_it_takes() {
    let client = client("http://127.0.0.1:1");
    let mut write = write(&client);
    write.url.set_query(Some("reason=r"));
    write.wait = Some(10_000);
    let request = client.prepare(&write).build().unwrap();
    assert_eq!(
        request.url().query(),
        Some("reason=r&wait=all&timeout_ms=10000")
    );
    assert!(*request.timeout().unwrap() > Duration::from_secs(20));
}

#[tokio::test]
async fn a_write_without_an_answer_is_sent_again_under_the_same_key() {
    let reactions = [
        Reaction::Answer(504),
        Reaction::HangUp,
        Reaction::Answer(200),
    ];
    let (server, client) = Server::start(&reactions).await;
    send(&client).await.unwrap();
    assert_eq!(server.seen("idempotency-key"), ["build-1"; 3]);
    assert_eq!(server.seen("if-match"), ["\"3\""; 3]);
    assert_eq!(server.seen("authorization"), ["Bearer tc_x"; 3]);
}

#[tokio::test]
async fn a_verdict_is_not_asked_for_twice() {
    for (status, exit) in [
        (412, Exit::Refused),
        (403, Exit::NotAllowed),
        (503, Exit::Failed),
    ] {
        let (server, client) = Server::start(&[Reaction::Answer(status)]).await;
        let failure = send(&client).await.unwrap_err();
        assert_eq!(failure.exit, exit);
        assert_eq!(server.seen("idempotency-key").len(), 1);
    }
}

#[tokio::test]
async fn a_write_that_never_gets_an_answer_has_an_unknown_outcome() {
    for reaction in [
        Reaction::Answer(504),
        Reaction::Answer(502),
        Reaction::HangUp,
    ] {
        let (_, client) = Server::start(&[reaction; 3]).await;
        let failure = send(&client).await.unwrap_err();
        assert_eq!(failure.exit, Exit::OutcomeUnknown);
        assert!(failure.hint.unwrap().contains("build-1"));
    }
}

#[tokio::test]
async fn a_write_that_never_arrived_has_failed() {
    let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", unused.local_addr().unwrap());
    drop(unused);
    let client = client(&url);
    let failure = send(&client).await.unwrap_err();
    assert_eq!(failure.exit, Exit::Failed);
    assert!(
        failure
            .problem
            .message()
            .starts_with(&format!("{url} did not answer"))
    );
}

#[test]
fn a_write_without_a_given_key_gets_a_fresh_one() {
    let args = WriteArgs {
        reason: "r".parse().unwrap(),
        idempotency_key: None,
        wait: None,
    };
    assert_ne!(args.key(), args.key());
}
