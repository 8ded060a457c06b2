//! Time and room that a connection gets: nothing that a caller does or leaves undone holds what others need.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use data_encoding::BASE64;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use traffic_cop::http::listener::tls::Tls;
use traffic_cop::http::listener::{self, ConnectionLimits, Door};
use traffic_cop::http::{DecisionsService, RoutedService};

use crate::support::raw::Raw;
use crate::world::{MAIN, TestApp, because};

/// Short, and far from what these tests need otherwise.
const SHORT: Duration = Duration::from_millis(200);
/// Longer than any test runs.
const LONG: Duration = Duration::from_secs(600);

/// How long anything may take that should be a matter of moments.
const PATIENCE: Duration = Duration::from_secs(30);

/// Limits of which none matters.
pub(crate) fn unlimited() -> ConnectionLimits {
    ConnectionLimits {
        handshake: LONG,
        first_byte: LONG,
        head: LONG,
        body: LONG,
        write: LONG,
        ..ConnectionLimits::default()
    }
}

/// Both listeners of an app, with their sockets.
pub(crate) struct Edge {
    pub(crate) app: TestApp,
    pub(crate) decisions: SocketAddr,
    pub(crate) admin: SocketAddr,
    stop: CancellationToken,
    serving: Vec<JoinHandle<()>>,
}

async fn door(
    name: &'static str,
    app: &TestApp,
    limits: ConnectionLimits,
    tls: Option<Arc<Tls>>,
) -> Door {
    Door {
        name,
        socket: TcpListener::bind("127.0.0.1:0").await.expect("a free port"),
        limits,
        metrics: app.process.metrics.clone(),
        tls,
        load: None,
    }
}

impl Edge {
    /// The sockets of an app with the environment [`MAIN`].
    pub(crate) async fn start(limits: ConnectionLimits) -> Self {
        Self::of(TestApp::start().await, limits, None, None).await
    }

    /// The sockets of `app`, with TLS where it is given.
    pub(crate) async fn of(
        app: TestApp,
        limits: ConnectionLimits,
        decisions: Option<Arc<Tls>>,
        admin: Option<Arc<Tls>>,
    ) -> Self {
        app.create(MAIN).await;
        let stop = CancellationToken::new();
        let decisions = door("decisions", &app, limits.clone(), decisions).await;
        let admin = door("admin", &app, limits, admin).await;
        let addresses = (
            decisions.socket.local_addr().expect("an address"),
            admin.socket.local_addr().expect("an address"),
        );
        let service = DecisionsService::new(Arc::clone(&app.listener));
        let routed = RoutedService::admin(Arc::clone(&app.listener));
        let serving = vec![
            tokio::spawn(listener::serve(decisions, service, stop.clone())),
            tokio::spawn(listener::serve(admin, routed, stop.clone())),
        ];
        Self {
            app,
            decisions: addresses.0,
            admin: addresses.1,
            stop,
            serving,
        }
    }

    pub(crate) async fn call(&self) -> Raw {
        Raw::connect(self.decisions).await
    }

    /// The value of a metric, 0 while nothing was counted.
    pub(crate) fn metric(&self, line: &str) -> u64 {
        let exposition = self.app.process.metrics.exposition();
        let value = exposition.lines().find_map(|found| {
            found
                .strip_prefix(line)
                .and_then(|value| value.trim().parse().ok())
        });
        value.unwrap_or(0)
    }

    fn refused(&self, listener: &str, reason: &str) -> u64 {
        self.metric(&format!(
            "traffic_cop_connections_refused_total{{listener=\"{listener}\",reason=\"{reason}\"}}"
        ))
    }

    /// Waits until a connection was refused for `reason`.
    pub(crate) async fn until_refused(&self, listener: &str, reason: &str) {
        self.until(reason, || self.refused(listener, reason) > 0)
            .await;
    }

    async fn until(&self, what: &str, is_so: impl Fn() -> bool) {
        let waiting = async {
            while !is_so() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, waiting).await;
        waited.unwrap_or_else(|_| panic!("waited {PATIENCE:?} in vain: {what}"));
    }

    async fn stop(self) {
        self.stop.cancel();
        for serving in self.serving {
            serving.await.expect("an orderly end");
        }
    }
}

/// A request for a decision with this body.
pub(crate) fn decision(body: &str) -> String {
    let length = body.len();
    format!(
        "POST /v1/environments/{MAIN}/decisions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    )
}

const LIVE: &str = "GET /v1/health/live HTTP/1.1\r\nHost: x\r\n\r\n";

#[tokio::test]
async fn a_connection_that_says_nothing_is_closed_without_a_word() {
    let edge = Edge::start(ConnectionLimits {
        first_byte: SHORT,
        ..unlimited()
    })
    .await;
    assert_eq!(edge.call().await.answers().await, []);
    assert_eq!(edge.refused("decisions", "first_byte_timeout"), 1);
}

#[tokio::test]
async fn an_idle_connection_is_closed_when_nothing_follows_its_last_answer() {
    let edge = Edge::start(ConnectionLimits {
        first_byte: SHORT,
        ..unlimited()
    })
    .await;
    let mut call = edge.call().await;
    assert_eq!(call.ask(decision("{}")).await.status, 200);
    assert_eq!(call.answers().await, []);
    assert_eq!(edge.refused("decisions", "first_byte_timeout"), 1);
}

#[tokio::test]
async fn half_a_head_is_told_so_and_closed() {
    let edge = Edge::start(ConnectionLimits {
        head: SHORT,
        ..unlimited()
    })
    .await;
    for half in ["P", "GET /v1/health/live HTTP/1.1\r\nHost: x\r\n"] {
        let mut call = edge.call().await;
        call.send(half).await;
        let answers = call.answers().await;
        assert_eq!(answers.len(), 1, "{half:?}");
        assert_eq!(answers[0].problem(), "request-timeout");
        assert_eq!(answers[0].header("connection"), Some("close"));
    }
    assert_eq!(edge.refused("decisions", "head_timeout"), 2);
}

#[tokio::test]
async fn a_byte_now_and_then_does_not_stretch_the_clock_of_a_head() {
    let edge = Edge::start(ConnectionLimits {
        head: SHORT,
        ..unlimited()
    })
    .await;
    let mut call = edge.call().await;
    let mut pace = tokio::time::interval(SHORT / 20);
    call.send("GET / HTTP/1.1\r\nX: ").await;
    while call.send("x").await {
        pace.tick().await;
    }
    assert_eq!(edge.refused("decisions", "head_timeout"), 1);
}

#[tokio::test]
async fn a_body_that_comes_too_slowly_is_told_so_and_closed() {
    let edge = Edge::start(ConnectionLimits {
        body: SHORT,
        ..unlimited()
    })
    .await;
    let request = decision(&format!("{{{}}}", " ".repeat(1_000)));
    let (half, rest) = request.split_at(request.len() - 900);
    let mut call = edge.call().await;
    call.send(half).await;
    let mut pace = tokio::time::interval(SHORT / 20);
    let mut bytes = rest.as_bytes().chunks(1);
    let answer = loop {
        tokio::select! {
            answer = call.answer() => break answer.expect("an answer"),
            _ = pace.tick() => {}
        }
        let byte = bytes.next().expect("an answer before the end");
        call.send(byte).await;
    };
    assert_eq!(answer.problem(), "request-timeout");
    assert_eq!(answer.header("connection"), Some("close"));
    assert_eq!(call.answers().await, []);
    assert_eq!(edge.refused("decisions", "body_timeout"), 1);
    assert_eq!(
        edge.metric("traffic_cop_problems_total{problem=\"request-timeout\"}"),
        1
    );
}

#[tokio::test]
async fn a_client_whose_form_is_late_is_told_so_in_the_words_of_oauth() {
    let edge = Edge::start(ConnectionLimits {
        body: SHORT,
        ..unlimited()
    })
    .await;
    let made = edge.app.admin("POST", "/v1/tokens").json(&because(json!({
        "name": "genesys", "scopes": ["decide"],
    })));
    let made = made.send().await.ok().json();
    let pair = format!("genesys:{}", made["token"].as_str().expect("a text"));
    let mut call = edge.call().await;
    call.send(format!(
        "POST /oauth/token HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 29\r\n\r\ngrant_type=",
        BASE64.encode(pair.as_bytes()),
    ))
    .await;
    let answer = call.answer().await.expect("an answer");
    assert_eq!(answer.status, 408);
    let error: Value = serde_json::from_str(&answer.body).expect("an error of OAuth");
    assert_eq!(error["error"], "invalid_request");
    assert_eq!(answer.header("connection"), Some("close"));
}

#[tokio::test]
async fn the_clock_of_heads_does_not_run_while_a_connection_idles() {
    let edge = Edge::start(ConnectionLimits {
        head: SHORT,
        body: SHORT,
        ..unlimited()
    })
    .await;
    let mut fresh = edge.call().await;
    let mut idle = edge.call().await;
    assert_eq!(idle.ask(decision("{}")).await.status, 200);
    // Another connection's clock shows that this one's would have run out.
    let mut witness = edge.call().await;
    witness.send("P").await;
    assert_eq!(witness.answers().await.len(), 1);
    assert_eq!(idle.ask(decision("{}")).await.status, 200);
    assert_eq!(fresh.ask(LIVE).await.status, 200);
}

#[tokio::test]
async fn a_caller_that_does_not_take_its_answers_is_let_go() {
    let edge = Edge::start(ConnectionLimits {
        write: SHORT,
        ..unlimited()
    })
    .await;
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4096).expect("a small buffer");
    let stream = socket.connect(edge.admin).await.expect("a connection");
    let mut call = Raw::over(stream);
    let request = "GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: x\r\n\r\n";
    assert!(call.send(request.repeat(20)).await);
    edge.until_refused("admin", "write_timeout").await;
}

#[tokio::test]
async fn whoever_says_nothing_makes_room_for_a_newcomer() {
    let edge = Edge::start(ConnectionLimits {
        connections: 3,
        ..unlimited()
    })
    .await;
    let mut useful = edge.call().await;
    assert_eq!(useful.ask(LIVE).await.status, 200);
    let (mut first, mut second) = (edge.call().await, edge.call().await);
    // Both are in: the listener takes connections in order.
    let mut newcomer = edge.call().await;
    assert_eq!(newcomer.ask(LIVE).await.status, 200);
    assert_eq!(first.answers().await, [], "the first to have said nothing");
    assert_eq!(edge.call().await.ask(LIVE).await.status, 200);
    assert_eq!(second.answers().await, []);
    assert_eq!(
        useful.ask(LIVE).await.status,
        200,
        "what has been of use stays"
    );
    assert_eq!(edge.refused("decisions", "evicted"), 2);
}

#[tokio::test]
async fn a_newcomer_waits_while_everyone_is_busy() {
    let edge = Edge::start(ConnectionLimits {
        connections: 1,
        ..unlimited()
    })
    .await;
    let token = edge.app.first_admin_text();
    let mut busy = Raw::connect(edge.admin).await;
    let head =
        format!("GET /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n");
    busy.send(head).await;
    busy.stream()
        .readable()
        .await
        .expect("an answer, which goes on");
    let mut newcomer = Raw::connect(edge.admin).await;
    newcomer.send(LIVE).await;
    assert_eq!(
        edge.metric("traffic_cop_connections{listener=\"admin\"}"),
        1
    );
    drop(busy);
    assert_eq!(newcomer.answer().await.expect("an answer").status, 200);
    assert_eq!(edge.refused("admin", "evicted"), 0);
}

#[tokio::test]
async fn a_body_that_is_kept_back_makes_room_for_a_newcomer() {
    let edge = Edge::start(ConnectionLimits {
        connections: 1,
        ..unlimited()
    })
    .await;
    let request = decision("{}");
    let half = request[..request.len() - 1].replace("\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n");
    let mut slow = edge.call().await;
    slow.send(&half).await;
    assert_eq!(slow.answer().await.expect("a go-ahead").status, 100);
    assert_eq!(edge.call().await.ask(LIVE).await.status, 200);
    assert_eq!(slow.answers().await, []);
    assert_eq!(edge.refused("decisions", "evicted"), 1);
}

#[tokio::test]
async fn a_stranger_gets_no_access_token_before_its_body_is_there() {
    let edge = Edge::start(unlimited()).await;
    let mut call = edge.call().await;
    call.send(
        "POST /oauth/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: 29\r\n\r\ngrant_type=client_credential",
    )
    .await;
    let answer = call.answer().await.expect("an answer");
    assert_eq!(answer.status, 401);
    assert_eq!(call.answers().await, [], "the rest is not waited for");
}

#[tokio::test]
async fn open_connections_are_counted() {
    let edge = Edge::start(unlimited()).await;
    let open = "traffic_cop_connections{listener=\"decisions\"}";
    let mut call = edge.call().await;
    call.ask(LIVE).await;
    assert_eq!(edge.metric(open), 1);
    drop(call);
    edge.until("its end", || edge.metric(open) == 0).await;
    edge.stop().await;
}

#[tokio::test]
async fn a_head_may_have_sixteen_kibibytes_and_sixty_four_fields() {
    let edge = Edge::start(unlimited()).await;
    let padded = |length: usize| {
        let (start, end) = ("GET /v1/health/live HTTP/1.1\r\nHost: x\r\nX: ", "\r\n\r\n");
        format!(
            "{start}{}{end}",
            "x".repeat(length - start.len() - end.len())
        )
    };
    assert_eq!(edge.call().await.ask(padded(16 * 1024)).await.status, 200);
    let mut call = edge.call().await;
    call.send(padded(16 * 1024 + 1)).await;
    let answers = call.answers().await;
    assert_eq!(answers.len(), 1);
    assert_eq!(answers[0].problem(), "head-too-large");

    let fields = |count: usize| {
        let fields = "X: y\r\n".repeat(count - 1);
        format!("GET /v1/health/live HTTP/1.1\r\nHost: x\r\n{fields}\r\n")
    };
    assert_eq!(edge.call().await.ask(fields(64)).await.status, 200);
    for count in [65, 100, 101, 1_000] {
        let answer = edge.call().await.ask(fields(count)).await;
        assert_eq!(answer.problem(), "head-too-large", "{count}");
    }
    assert!(edge.refused("decisions", "unreadable_head") >= 2);
}

#[tokio::test]
async fn an_address_may_have_two_kibibytes() {
    let edge = Edge::start(unlimited()).await;
    let ask = |length: usize| {
        let query = "x".repeat(length - "/v1/health/live?".len());
        format!("GET /v1/health/live?{query} HTTP/1.1\r\nHost: x\r\n\r\n")
    };
    let mut call = edge.call().await;
    assert_eq!(call.ask(ask(2_048)).await.status, 200);
    assert_eq!(call.ask(ask(2_049)).await.problem(), "uri-too-long");
    assert_eq!(call.ask(LIVE).await.status, 200, "the connection goes on");
    let long = edge.call().await.ask(ask(70_000)).await;
    assert_eq!(long.status, 431, "longer than a head may be");
}

#[tokio::test]
async fn a_body_in_chunks_is_taken() {
    let edge = Edge::start(unlimited()).await;
    let head = format!(
        "POST /v1/environments/{MAIN}/decisions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
         Transfer-Encoding: chunked\r\n\r\n"
    );
    let chunked = format!("{head}1\r\n{{\r\n5;a=b\r\n\"x\":1\r\n1\r\n}}\r\n0\r\nT: x\r\n\r\n");
    let mut call = edge.call().await;
    assert_eq!(call.ask(&chunked).await.status, 200);
    assert_eq!(call.ask(&chunked).await.status, 200, "and another");
    let endless = format!("{head}4000\r\n{}\r\n1\r\n ", " ".repeat(0x4000));
    assert_eq!(call.ask(endless).await.problem(), "too-large");
}

#[tokio::test]
async fn a_refusal_reaches_a_caller_that_is_still_sending() {
    let edge = Edge::start(unlimited()).await;
    let mut call = edge.call().await;
    let length = 4 * 1024 * 1024;
    let head = format!(
        "POST /v1/environments/{MAIN}/decisions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n"
    );
    call.send(head).await;
    call.send(" ".repeat(200_000)).await;
    assert_eq!(call.ask("").await.problem(), "too-large");
}

#[tokio::test]
async fn an_answer_does_not_wait_for_what_comes_behind_its_request() {
    let edge = Edge::start(unlimited()).await;
    for behind in ["\r\n", "P", "GET / HTTP/1.1\r\n"] {
        let mut call = edge.call().await;
        let answer = call.ask(decision("{}") + behind).await;
        assert_eq!(answer.status, 200, "{behind:?}");
    }
}
