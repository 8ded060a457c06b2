//! An organisation of Genesys Cloud on this host: as much of its Platform API as this service asks, in the shapes that the
//! official SDKs describe, fed with imagined calls.
//!
//! What it answers is made of the calls that it was told of ([`Genesys::ends`]). It refuses what the platform would refuse: no
//! or an old access token, a member that there is not. How it fails is up to the test ([`Genesys::fails`], and
//! [`Genesys::counts`] for data that is wrong).

mod analytics;
pub(crate) mod data_tables;
mod faults;
pub(crate) mod flows;
mod page;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use data_encoding::BASE64;
use http::StatusCode;
use http::header::AUTHORIZATION;
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use traffic_cop::genesys::client::{ClientSecret, Settings};
use traffic_cop::genesys::place::Place;

pub(crate) use analytics::{Counting, Ended};
pub(crate) use faults::Fault;

/// The id of its only OAuth client.
pub(crate) const CLIENT_ID: &str = "11f1a1c0-5b7d-4d52-9c44-61a0d0c6e9a1";
/// The secret of that client.
pub(crate) const CLIENT_SECRET: &str = "a secret: with signs + of all kinds";

/// Most bytes of a request.
const MOST_BYTES: usize = 1024 * 1024;

/// The organisation.
#[derive(Debug)]
pub(crate) struct Genesys {
    address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
    serving: Option<DropGuard>,
}

/// What it knows.
#[derive(Debug, Default)]
struct Shared {
    /// Access tokens handed out so far; only the last is good.
    logins: u64,
    calls: Vec<Ended>,
    counting: Counting,
    /// Ways to fail, for the next requests in order, then for all.
    next: VecDeque<Fault>,
    always: Option<Fault>,
    asked: Vec<Asked>,
    flows: BTreeMap<String, Value>,
    /// The columns of each data table.
    tables: BTreeMap<String, Map<String, Value>>,
    rows: BTreeMap<(String, String), Map<String, Value>>,
}

/// A request.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: Option<String>,
    /// Its body, if that is JSON.
    pub(crate) body: Option<Value>,
}

impl Genesys {
    /// One without calls that answers as it should.
    pub(crate) async fn start() -> Self {
        let mut genesys = Self {
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            shared: Arc::default(),
            serving: None,
        };
        genesys.come_back().await;
        genesys
    }

    /// Where it is: both its hosts.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn locked(&self) -> MutexGuard<'_, Shared> {
        locked(&self.shared)
    }

    /// How a client asks here, the file with its secret written, so many times a minute.
    pub(crate) fn settings(&self, secret: &str, file: &Path, requests_per_minute: u32) -> Settings {
        std::fs::write(file, format!("{secret}\n")).expect("a file");
        let url = || self.url().parse().expect("a URL");
        Settings {
            place: Place {
                login: url(),
                api: url(),
            },
            client_id: CLIENT_ID.to_owned(),
            client_secret: ClientSecret::File(file.to_owned()),
            requests_per_minute,
        }
    }

    /// Arguments of `serve` to ask here, the file with the secret written.
    pub(crate) fn arguments(&self, file: &str) -> [String; 10] {
        std::fs::write(file, CLIENT_SECRET).expect("a file");
        let url = self.url();
        [
            "--genesys-login-url",
            &url,
            "--genesys-api-url",
            &url,
            "--genesys-client-id",
            CLIENT_ID,
            "--genesys-client-secret-file",
            file,
            "--genesys-requests-per-minute",
            "300",
        ]
        .map(str::to_owned)
    }

    /// A call has left a flow.
    pub(crate) fn ends(&self, call: Ended) {
        self.locked().calls.push(call);
    }

    /// A call leaves a flow at this moment.
    pub(crate) fn ends_now(&self, flow: &str, version: &str, exit_reason: &'static str) {
        self.ends(Ended {
            at: analytics::now(),
            flow: flow.to_owned(),
            version: version.to_owned(),
            exit_reason,
            transfer_type: None,
        });
    }

    /// Counts like this from now on.
    pub(crate) fn counts(&self, counting: Counting) {
        self.locked().counting = counting;
    }

    /// Fails like this from now on, or not at all. Logins do not fail by it.
    pub(crate) fn fails(&self, fault: impl Into<Option<Fault>>) {
        self.locked().always = fault.into();
    }

    /// Fails like this for the next request that is no login, and after those that are to fail already.
    pub(crate) fn fails_once(&self, fault: Fault) {
        self.locked().next.push_back(fault);
    }

    /// The access tokens handed out so far are good no more.
    pub(crate) fn forgets_tokens(&self) {
        self.locked().logins += 1;
    }

    /// What was asked since the last call: method and path.
    pub(crate) fn take_asked(&self) -> Vec<String> {
        let asked = self.take_requests().into_iter();
        asked
            .map(|asked| format!("{} {}", asked.method, asked.path))
            .collect()
    }

    /// The same, whole.
    pub(crate) fn take_requests(&self) -> Vec<Asked> {
        std::mem::take(&mut self.locked().asked)
    }

    /// Nobody is at its address any more.
    pub(crate) fn go_away(&mut self) {
        self.serving = None;
    }

    /// Answers again where it did before.
    pub(crate) async fn come_back(&mut self) {
        let listener = TcpListener::bind(self.address).await.expect("a port");
        self.address = listener.local_addr().expect("an address");
        let api = Router::new()
            .route(
                "/api/v2/analytics/flows/aggregates/query",
                post(analytics::query),
            )
            .route("/api/v2/flows", get(flows::search))
            .route("/api/v2/flows/{id}", get(flows::show))
            .route("/api/v2/flows/datatables/{table}", get(data_tables::table))
            .route(
                "/api/v2/flows/datatables/{table}/rows",
                get(data_tables::rows).post(data_tables::add_row),
            )
            .route(
                "/api/v2/flows/datatables/{table}/rows/{row}",
                get(data_tables::row)
                    .put(data_tables::put_row)
                    .delete(data_tables::remove_row),
            )
            .layer(middleware::from_fn_with_state(
                Arc::clone(&self.shared),
                guard,
            ));
        let router = Router::new()
            .route("/oauth/token", post(log_in))
            .merge(api)
            .fallback(|| async { problem(StatusCode::NOT_FOUND, "not.found", "no such resource") })
            .layer(middleware::from_fn_with_state(
                Arc::clone(&self.shared),
                note,
            ))
            .with_state(Arc::clone(&self.shared));
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = stopped.cancelled() => {}
                served = axum::serve(listener, router) => served.expect("a server"),
            }
        });
        self.serving = Some(stop.drop_guard());
    }
}

async fn note(State(shared): State<Arc<Mutex<Shared>>>, request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, MOST_BYTES).await;
    let body = body.unwrap_or_default();
    let asked = Asked {
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().map(str::to_owned),
        body: serde_json::from_slice(&body).ok(),
    };
    locked(&shared).asked.push(asked);
    next.run(Request::from_parts(head, body.into())).await
}

/// Lets requests with the last access token through, unless they are to fail.
async fn guard(State(shared): State<Arc<Mutex<Shared>>>, request: Request, next: Next) -> Response {
    let (fault, expected) = {
        let mut shared = locked(&shared);
        let next = shared.next.pop_front();
        let fault = next.or_else(|| shared.always.clone());
        (fault, format!("Bearer {}", access_token(shared.logins)))
    };
    let is_lost = matches!(fault, Some(Fault::LostReply));
    if let Some(fault) = fault.filter(|_| !is_lost) {
        return fault.answer().await;
    }
    let given = request.headers().get(AUTHORIZATION);
    if given.is_none_or(|given| given.as_bytes() != expected.as_bytes()) {
        return problem(
            StatusCode::UNAUTHORIZED,
            "bad.credentials",
            "Invalid login credentials.",
        );
    }
    let answer = next.run(request).await;
    if is_lost {
        faults::lost(answer)
    } else {
        answer
    }
}

fn access_token(logins: u64) -> String {
    format!("access-token-{logins}")
}

/// RFC 6749, section 4.4.
async fn log_in(State(shared): State<Arc<Mutex<Shared>>>, request: Request) -> Response {
    let credentials = BASE64.encode(format!("{CLIENT_ID}:{CLIENT_SECRET}").as_bytes());
    let given = request.headers().get(AUTHORIZATION).cloned();
    let body = axum::body::to_bytes(request.into_body(), 1024).await;
    if body.is_ok_and(|body| body != "grant_type=client_credentials") {
        let error = json!({ "error": "unsupported_grant_type" });
        return (StatusCode::BAD_REQUEST, axum::Json(error)).into_response();
    }
    if given.is_none_or(|given| given.as_bytes() != format!("Basic {credentials}").as_bytes()) {
        let error = json!({ "error": "invalid_client", "description": "client not found" });
        return (StatusCode::UNAUTHORIZED, axum::Json(error)).into_response();
    }
    let mut shared = locked(&shared);
    shared.logins += 1;
    let answer = json!({
        "access_token": access_token(shared.logins),
        "token_type": "bearer",
        "expires_in": 86_399,
    });
    axum::Json(answer).into_response()
}

/// An error as the platform words them (`ErrorBody`).
fn problem(status: StatusCode, code: &str, message: &str) -> Response {
    let body = json!({
        "message": message,
        "code": code,
        "status": status.as_u16(),
        "contextId": "7d2f6c1e-0000-4000-8000-000000000000",
        "details": [],
        "errors": [],
    });
    (status, axum::Json(body)).into_response()
}

fn not_found() -> Response {
    problem(StatusCode::NOT_FOUND, "not.found", "there is none")
}

fn locked(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
