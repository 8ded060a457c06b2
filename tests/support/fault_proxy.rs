//! An HTTP proxy between a process and its engine that fails as it is told.
//!
//! It reads each request far enough to know what it asks for, and applies the first rule that fits. A request that is to be
//! delivered is delivered even if the client has gone meanwhile: that is what makes a late put dangerous.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

/// What a request asks of the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ask {
    /// Puts an entry into the journal.
    Commit,
    /// Reads one entry of the journal.
    Entry,
    /// Reads the journal from some place on.
    Poll,
    /// Brings a row up to date.
    Row,
    /// Writes or reads heartbeats.
    Heartbeat,
    /// Writes exposures.
    Exposures,
    /// Writes outcomes.
    Outcomes,
    /// Reads exposures or outcomes.
    Evidence,
    /// Reads or writes a lease.
    Lease,
    /// Reads or writes how far a follower has come.
    Cursor,
    /// Anything else.
    Other,
}

/// How a request fails.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    /// It reaches the engine only after this time; the answer goes to whoever still waits for it.
    DeliverLate(Duration),
    /// None: it is for the next rule to fail later ones.
    Pass,
    /// It reaches the engine at once; the answer takes this long to come back.
    ReplyLate(Duration),
    /// It reaches the engine; the answer waits for [`FaultProxy::release`].
    HoldReply,
    /// It reaches the engine; the answer is lost with the connection.
    DropReply,
    /// It reaches nobody: the connection is closed at once.
    Refuse,
    /// It reaches nobody, and nobody says so.
    Silence,
    /// It reaches nobody; the answer is that the service has a fault of its own.
    ServerError,
    /// It reaches nobody; the answer is to come more slowly.
    Throttle,
    /// It reaches nobody; the answer is that there was no room for anything in it. For writes of several items.
    NoRoom,
}

#[derive(Debug)]
struct Rule {
    /// `None` fits every request.
    ask: Option<Ask>,
    /// What the request has to name, if anything.
    about: Option<String>,
    fault: Fault,
    /// Requests that it is still for.
    left: usize,
}

/// How requests fail by chance: what is drawn for one of this kind.
pub(crate) type Draw = fn(&mut StdRng, Ask) -> Option<Fault>;

#[derive(Debug)]
struct Shared {
    upstream: String,
    client: reqwest::Client,
    rules: Mutex<Vec<Rule>>,
    chance: Mutex<Option<(StdRng, Draw)>>,
    /// What was asked, in order of arrival.
    seen: watch::Sender<Vec<Ask>>,
    /// Reads that do not ask for the latest, which no engine here would give away.
    stale_reads: Mutex<Vec<String>>,
    /// Requests that are more than looks: the operation and what it says.
    writes: Mutex<Vec<String>>,
    /// Answers that are held.
    held: watch::Sender<usize>,
    /// Wakes those that hold an answer.
    release: Notify,
    /// Requests on their way to the engine.
    under_way: watch::Sender<usize>,
}

/// A proxy; it ends when it is dropped.
#[derive(Debug)]
pub(crate) struct FaultProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    _stop: DropGuard,
}

impl FaultProxy {
    /// A proxy in front of the engine at `upstream`, without faults for now.
    pub(crate) async fn before(upstream: &str) -> Self {
        // Another proxy may have done so; nothing here speaks TLS, but the client asks for it to be possible.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let shared = Arc::new(Shared {
            upstream: upstream.to_owned(),
            client: reqwest::Client::new(),
            rules: Mutex::default(),
            chance: Mutex::default(),
            seen: watch::Sender::default(),
            stale_reads: Mutex::default(),
            writes: Mutex::default(),
            held: watch::Sender::default(),
            release: Notify::new(),
            under_way: watch::Sender::new(0),
        });
        let address = listener.local_addr().expect("an address");
        let stop = CancellationToken::new();
        tokio::spawn(
            stop.clone()
                .run_until_cancelled_owned(accept(listener, shared.clone())),
        );
        Self {
            address,
            shared,
            _stop: stop.drop_guard(),
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The next `times` requests of this kind fail like this. Earlier rules come first.
    pub(crate) fn fail(&self, ask: Ask, fault: Fault, times: usize) {
        locked(&self.shared.rules).push(Rule {
            ask: Some(ask),
            about: None,
            fault,
            left: times,
        });
    }

    /// Every request of this kind that names `about`, a text of its own, fails like this until [`FaultProxy::heal`].
    pub(crate) fn fail_about(&self, ask: Ask, about: &str, fault: Fault) {
        locked(&self.shared.rules).push(Rule {
            ask: Some(ask),
            about: Some(format!("\"{about}\"")),
            fault,
            left: usize::MAX,
        });
    }

    /// The next `times` requests fail like this, whatever they ask.
    pub(crate) fn fail_any(&self, fault: Fault, times: usize) {
        locked(&self.shared.rules).push(Rule {
            ask: None,
            about: None,
            fault,
            left: times,
        });
    }

    /// Every request fails like this until [`FaultProxy::heal`].
    pub(crate) fn fail_all(&self, fault: Fault) {
        locked(&self.shared.rules).push(Rule {
            ask: None,
            about: None,
            fault,
            left: usize::MAX,
        });
    }

    /// Requests that no rule is for fail as `draw` says, until [`FaultProxy::heal`]: the same again for the same seed, as far
    /// as requests come in the same order.
    pub(crate) fn fail_by_chance(&self, seed: u64, draw: Draw) {
        *locked(&self.shared.chance) = Some((StdRng::seed_from_u64(seed), draw));
    }

    /// No faults from now on. What was delayed stays delayed.
    pub(crate) fn heal(&self) {
        locked(&self.shared.rules).clear();
        *locked(&self.shared.chance) = None;
    }

    /// How many requests of this kind have arrived, faults among them.
    pub(crate) fn count(&self, ask: Ask) -> usize {
        count(&self.shared.seen.borrow(), ask)
    }

    /// The requests so far that are more than looks and name `table`.
    pub(crate) fn writes_to(&self, table: &str) -> Vec<String> {
        let mut writes = locked(&self.shared.writes).clone();
        writes.retain(|write| write.contains(&format!("\"{table}\"")));
        writes
    }

    /// How many requests of any kind have arrived.
    pub(crate) fn count_all(&self) -> usize {
        self.shared.seen.borrow().len()
    }

    /// Waits until so many requests of any kind have arrived.
    pub(crate) async fn arrived_in_all(&self, times: usize) {
        let mut seen = self.shared.seen.subscribe();
        let arrived = seen.wait_for(|seen| seen.len() >= times).await;
        arrived.expect("the proxy is there");
    }

    /// The reads so far that did not ask for the latest.
    pub(crate) fn stale_reads(&self) -> Vec<String> {
        locked(&self.shared.stale_reads).clone()
    }

    /// Waits until so many requests of this kind have arrived, faults among them.
    pub(crate) async fn arrived(&self, ask: Ask, times: usize) {
        let mut seen = self.shared.seen.subscribe();
        let arrived = seen.wait_for(|seen| count(seen, ask) >= times).await;
        arrived.expect("the proxy is there");
    }

    /// Waits until an answer is held.
    pub(crate) async fn holds(&self) {
        let mut held = self.shared.held.subscribe();
        held.wait_for(|held| *held > 0)
            .await
            .expect("the proxy is there");
    }

    /// Lets the answers go that are held.
    pub(crate) fn release(&self) {
        self.shared.release.notify_waiters();
    }

    /// Waits until nothing is on its way to the engine.
    pub(crate) async fn settled(&self) {
        let mut under_way = self.shared.under_way.subscribe();
        under_way
            .wait_for(|under_way| *under_way == 0)
            .await
            .expect("the proxy is there");
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        let shared = shared.clone();
        let service = service_fn(move |request| answer(request, shared.clone()));
        // The client closing the connection is part of the game.
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

/// A connection that ends without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the connection is closed on purpose")]
struct Closed;

async fn answer(
    request: Request<Incoming>,
    shared: Arc<Shared>,
) -> Result<Response<Full<Bytes>>, Closed> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Closed)?.to_bytes();
    let ask = shared.look(&head, &body);
    shared.seen.send_modify(|seen| seen.push(ask));
    let fault = shared.next_fault(ask, &body);
    match fault {
        None | Some(Fault::Pass) => shared.deliver(head, body, Duration::ZERO).await,
        Some(Fault::HoldReply) => {
            let answer = shared.clone().deliver(head, body, Duration::ZERO).await;
            let released = shared.release.notified();
            shared.held.send_modify(|held| *held += 1);
            released.await;
            shared.held.send_modify(|held| *held -= 1);
            answer
        }
        Some(Fault::DeliverLate(by)) => shared.deliver(head, body, by).await,
        Some(Fault::ReplyLate(by)) => {
            let answer = shared.deliver(head, body, Duration::ZERO).await;
            tokio::time::sleep(by).await;
            answer
        }
        Some(Fault::DropReply) => {
            shared.deliver(head, body, Duration::ZERO).await?;
            Err(Closed)
        }
        Some(Fault::Refuse) => Err(Closed),
        Some(Fault::Silence) => {
            let never: Infallible = std::future::pending().await;
            match never {}
        }
        Some(Fault::ServerError) => Ok(problem(
            StatusCode::INTERNAL_SERVER_ERROR,
            "InternalServerError",
        )),
        Some(Fault::Throttle) => Ok(problem(
            StatusCode::BAD_REQUEST,
            "ProvisionedThroughputExceededException",
        )),
        Some(Fault::NoRoom) => {
            let body: Value = serde_json::from_slice(&body).unwrap_or_default();
            Ok(json(
                StatusCode::OK,
                serde_json::json!({ "UnprocessedItems": body["RequestItems"] }).to_string(),
            ))
        }
    }
}

impl Shared {
    fn look(&self, head: &http::request::Parts, body: &[u8]) -> Ask {
        let target = head
            .headers
            .get("x-amz-target")
            .and_then(|target| target.to_str().ok())
            .and_then(|target| target.split('.').next_back())
            .unwrap_or_default();
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let is_read = matches!(target, "GetItem" | "Query" | "Scan" | "BatchGetItem");
        if !is_read && target != "DescribeTable" {
            locked(&self.writes).push(format!("{target} {body}"));
        }
        if is_read && body["ConsistentRead"] != true {
            locked(&self.stale_reads).push(format!("{target} {body}"));
        }
        ask(target, &body)
    }

    fn next_fault(&self, ask: Ask, body: &[u8]) -> Option<Fault> {
        let body = String::from_utf8_lossy(body);
        let mut rules = locked(&self.rules);
        let rule = rules.iter_mut().find(|rule| {
            let is_about = |about: &String| body.contains(about);
            rule.left > 0
                && rule.ask.is_none_or(|of| of == ask)
                && rule.about.as_ref().is_none_or(is_about)
        });
        match rule {
            Some(rule) => {
                rule.left -= 1;
                Some(rule.fault)
            }
            None => {
                let mut chance = locked(&self.chance);
                let (random, draw) = chance.as_mut()?;
                draw(random, ask)
            }
        }
    }

    /// Sends the request on, in a task of its own: whether the client still waits does not matter.
    async fn deliver(
        self: Arc<Self>,
        head: http::request::Parts,
        body: Bytes,
        after: Duration,
    ) -> Result<Response<Full<Bytes>>, Closed> {
        self.under_way.send_modify(|under_way| *under_way += 1);
        let delivery = tokio::spawn(async move {
            tokio::time::sleep(after).await;
            let answer = self.forward(head, body).await;
            self.under_way.send_modify(|under_way| *under_way -= 1);
            answer
        });
        delivery.await.map_err(|_| Closed)?
    }

    async fn forward(
        &self,
        head: http::request::Parts,
        body: Bytes,
    ) -> Result<Response<Full<Bytes>>, Closed> {
        let mut request = self.client.request(head.method, &self.upstream).body(body);
        for (name, value) in &head.headers {
            if !matches!(name.as_str(), "host" | "content-length" | "connection") {
                request = request.header(name, value);
            }
        }
        let answer = request.send().await.map_err(|_| Closed)?;
        let mut response = Response::builder().status(answer.status());
        for (name, value) in answer.headers() {
            if !matches!(
                name.as_str(),
                "content-length" | "connection" | "transfer-encoding"
            ) {
                response = response.header(name, value);
            }
        }
        let body = answer.bytes().await.map_err(|_| Closed)?;
        Ok(response.body(Full::new(body)).expect("an answer"))
    }
}

fn count(seen: &[Ask], ask: Ask) -> usize {
    seen.iter().filter(|seen| **seen == ask).count()
}

fn ask(target: &str, body: &Value) -> Ask {
    let partition = [
        "/Item/pk/S",
        "/Key/pk/S",
        "/ExpressionAttributeValues/:pk/S",
    ]
    .iter()
    .find_map(|path| body.pointer(path)?.as_str())
    .unwrap_or_default();
    match (target, partition) {
        ("PutItem", "journal") => Ask::Commit,
        ("GetItem", "journal") => Ask::Entry,
        ("Query", "journal") => Ask::Poll,
        (_, "heartbeat") => Ask::Heartbeat,
        (_, "lease") => Ask::Lease,
        (_, of) if of.starts_with("cursor/") => Ask::Cursor,
        ("Query", of) if of.starts_with("exposures/") || of.starts_with("outcomes/") => {
            Ask::Evidence
        }
        ("BatchWriteItem", _) if body.to_string().contains("\"S\":\"outcomes/") => Ask::Outcomes,
        ("BatchWriteItem", _) => Ask::Exposures,
        ("PutItem", _) => Ask::Row,
        _ => Ask::Other,
    }
}

fn problem(status: StatusCode, code: &str) -> Response<Full<Bytes>> {
    json(
        status,
        format!(
            r#"{{"__type":"com.amazonaws.dynamodb.v20120810#{code}","message":"a fault on purpose"}}"#
        ),
    )
}

fn json(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    Response::builder()
        .status(status)
        .header("content-type", "application/x-amz-json-1.0")
        .body(Full::new(body.into()))
        .expect("an answer")
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no holder panics")
}
