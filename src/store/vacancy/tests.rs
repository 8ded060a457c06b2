use std::collections::VecDeque;

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use serde_json::json;
use tokio::net::TcpListener;

use super::*;
use crate::store::connection::Endpoint;
use crate::telemetry::StoreRequests;

const PLACE: Sequence = Sequence(7);

/// A store that answers what it is told, and keeps the number that the SDK gave each of its calls.
#[derive(Clone, Default)]
struct Scripted {
    answers: Arc<Mutex<VecDeque<(u16, String)>>>,
    calls: Arc<Mutex<Vec<String>>>,
}

impl Scripted {
    async fn start(answers: &[(u16, &str)]) -> (Self, Store, StoreRequests) {
        let scripted = Self::default();
        let texts = answers
            .iter()
            .map(|(status, text)| (*status, (*text).to_owned()));
        *scripted.answers.lock().unwrap() = texts.collect();
        let server = scripted.clone();
        let router = Router::new().fallback(async move |headers: HeaderMap| {
            let call = headers["amz-sdk-invocation-id"]
                .to_str()
                .unwrap()
                .to_owned();
            server.calls.lock().unwrap().push(call);
            let (status, text) = server.answers.lock().unwrap().pop_front().unwrap();
            (StatusCode::from_u16(status).unwrap(), text)
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = Endpoint {
            url: Some(format!("http://{}", listener.local_addr().unwrap())),
            region: None,
            control_table: "control".to_owned(),
            evidence_table: "evidence".to_owned(),
        };
        tokio::spawn(async move { axum::serve(listener, router).await });
        let requests = StoreRequests::default();
        let store = Store::connect(&endpoint, requests.clone()).await;
        (scripted, store, requests)
    }

    /// For each request that came, which call of the SDK's it was, counted from 0.
    fn calls(&self) -> Vec<usize> {
        let calls = self.calls.lock().unwrap();
        let mut known: Vec<&String> = Vec::new();
        let number = |call| {
            known
                .iter()
                .position(|&other| other == call)
                .unwrap_or_else(|| {
                    known.push(call);
                    known.len() - 1
                })
        };
        calls.iter().map(number).collect()
    }
}

#[tokio::test]
async fn the_same_question_is_asked_with_the_same_request_until_it_is_old() {
    let (scripted, store, requests) = Scripted::start(&[(200, "{}"); 5]).await;
    for _ in 0..3 {
        assert!(store.is_vacant(PLACE).await.unwrap());
    }
    assert_eq!(scripted.calls(), [0, 0, 0]);
    assert!(store.is_vacant(Sequence(8)).await.unwrap());
    assert_eq!(scripted.calls(), [0, 0, 0, 1], "another question");
    let later = Instant::now() + REPEATED_FOR;
    assert!(store.is_vacant_at(Sequence(8), later).await.unwrap());
    assert_eq!(scripted.calls(), [0, 0, 0, 1, 2], "an old one");
    assert_eq!(requests.reads(), 5, "each is counted");
}

#[tokio::test]
async fn whatever_does_not_say_plainly_that_nothing_is_there_is_asked_again_by_the_sdk() {
    let item = json!({ "Item": { "Environment_State": { "S": "journal" } } }).to_string();
    let long = format!("{{\"more\": \"{}\"}}", "x".repeat(LONGEST_ANSWER));
    let refused = json!({ "__type": "com.amazon.coral.service#ExpiredTokenException" }).to_string();
    let cases = [
        (200, &*item),
        (200, &*long),
        (200, "not JSON"),
        (200, "[]"),
        (200, ""),
        (400, &*refused),
        (500, "{}"),
    ];
    for (status, text) in cases {
        let answers = [(200, "{}"), (status, text), (200, "{}"), (200, "{}")];
        let (scripted, store, _) = Scripted::start(&answers).await;
        for _ in 0..3 {
            assert!(store.is_vacant(PLACE).await.unwrap());
        }
        assert_eq!(scripted.calls(), [0, 0, 1, 1], "after {status} {text}");
    }
    let answers = [(200, "{}"), (200, &*item), (200, &*item)];
    let (scripted, store, _) = Scripted::start(&answers).await;
    assert!(store.is_vacant(PLACE).await.unwrap());
    assert!(!store.is_vacant(PLACE).await.unwrap());
    assert_eq!(scripted.calls(), [0, 0, 1]);
}

#[tokio::test]
async fn a_request_that_was_refused_is_not_sent_again() {
    let refused = json!({ "__type": "com.amazon.coral.service#AccessDeniedException" }).to_string();
    let answers = [(400, &*refused), (200, "{}")];
    let (scripted, store, _) = Scripted::start(&answers).await;
    let error = store.is_vacant(PLACE).await.unwrap_err();
    assert!(matches!(error, StoreError::Refused { .. }), "{error}");
    assert!(store.is_vacant(PLACE).await.unwrap());
    assert_eq!(scripted.calls(), [0, 1]);
}

#[tokio::test]
async fn credentials_are_not_shown() {
    let (_, store, _) = Scripted::start(&[(200, "{}")]).await;
    assert!(store.is_vacant(PLACE).await.unwrap());
    let shown = format!("{store:?}");
    assert!(!shown.contains("Signature="), "{shown}");
}
