//! A server for tests, in this process, that answers as it is told.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::extract::State;
use http::StatusCode;
use http::header::{AUTHORIZATION, HeaderMap};
use tokio::net::TcpListener;

/// A server that gives these answers, in order, whatever it is asked.
#[derive(Debug, Clone)]
pub(super) struct StandIn {
    /// Where it listens.
    pub(super) url: String,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    answers: VecDeque<(StatusCode, String)>,
    /// What each request proved its sender with, in order.
    authorizations: Vec<String>,
}

impl StandIn {
    /// Each answer is a status and a body.
    pub(super) async fn start(answers: &[(u16, &str)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let answers = answers.iter().map(|(status, body)| {
            let status = StatusCode::from_u16(*status).unwrap();
            (status, (*body).to_owned())
        });
        let shared = Shared {
            answers: answers.collect(),
            ..Shared::default()
        };
        let stand_in = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            shared: Arc::new(Mutex::new(shared)),
        };
        let router = axum::Router::new()
            .fallback(answer)
            .with_state(stand_in.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        stand_in
    }

    /// What the requests so far proved their sender with.
    pub(super) fn authorizations(&self) -> Vec<String> {
        self.shared.lock().unwrap().authorizations.clone()
    }
}

async fn answer(State(server): State<StandIn>, headers: HeaderMap) -> (StatusCode, String) {
    let mut shared = server.shared.lock().unwrap();
    let authorization = headers.get(AUTHORIZATION);
    let authorization = authorization.map_or("", |value| value.to_str().unwrap());
    shared.authorizations.push(authorization.to_owned());
    shared.answers.pop_front().expect("an answer")
}
