//! The way past the router that most decisions take over a socket: it must not show.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use traffic_cop::http::listener::{self, Answers, ConnectionLimits, Door};
use traffic_cop::http::{DecisionsService, RoutedService};
use traffic_cop::telemetry::Metrics;

use crate::ask::CANARY;
use crate::world::{MAIN, TestApp};

/// What `service` sends back on a connection of its own when it gets exactly this, headers sorted and without the date.
async fn exchange(service: impl Answers, request: &[u8]) -> String {
    let socket = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = socket.local_addr().expect("an address");
    let stop = CancellationToken::new();
    let door = Door {
        name: "decisions",
        socket,
        limits: ConnectionLimits::default(),
        metrics: Metrics::default(),
        tls: None,
        load: None,
    };
    let serving = tokio::spawn(listener::serve(door, service, stop.clone()));
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.write_all(request).await.expect("an open connection");
    stream.shutdown().await.expect("an open connection");
    let mut answer = Vec::new();
    stream
        .read_to_end(&mut answer)
        .await
        .expect("an answer and the end of the connection");
    stop.cancel();
    serving.await.expect("an orderly end");
    let answer = String::from_utf8(answer).expect("text");
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer");
    let (status, headers) = head.split_once("\r\n").expect("headers");
    let mut headers: Vec<_> = headers
        .split("\r\n")
        .filter(|header| !header.starts_with("date:"))
        .collect();
    headers.sort_unstable();
    format!("{status}\n{}\n\n{body}", headers.join("\n"))
}

#[tokio::test]
async fn the_shortcut_answers_as_the_router_does() {
    let app = TestApp::start().await;
    app.create(MAIN).await;
    let call = |method: &str, path: &str| {
        format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}"
        )
    };
    let decisions = format!("/v1/environments/{MAIN}/decisions");
    let paths = [
        decisions.clone(),
        format!("{decisions}?interface=0"),
        format!("{decisions}?interface={CANARY}"),
        format!("{decisions}?"),
        format!("{decisions}/"),
        format!("/{decisions}"),
        format!("{decisions}%20"),
        "/v1/environments/Main%5FIVR/decisions".to_owned(),
        "/v1/environments//decisions".to_owned(),
        "/v1/environments/a/b/decisions".to_owned(),
        "/v1/environments/a%2Fb/decisions".to_owned(),
        "/v1/environments/%FF/decisions".to_owned(),
        "/v1/environments/decisions".to_owned(),
        format!("/v1/environments/{CANARY}/decisions"),
        "/V1/environments/Main_IVR/decisions".to_owned(),
        format!("/v1/environments/{MAIN}/decisionsx"),
        format!("/x/v1/environments/{MAIN}/decisions"),
        format!("/v1/environments/{MAIN}?/decisions"),
        format!("http://elsewhere{decisions}"),
        "/v1/health/live".to_owned(),
        "*".to_owned(),
    ];
    for path in paths {
        for method in ["POST", "GET", "HEAD", "PUT", "OPTIONS", "post"] {
            let request = call(method, &path);
            let past = exchange(
                DecisionsService::new(Arc::clone(&app.listener)),
                request.as_bytes(),
            )
            .await;
            let through = exchange(
                RoutedService::decisions(Arc::clone(&app.listener)),
                request.as_bytes(),
            )
            .await;
            assert_eq!(past, through, "{method} {path}");
            assert!(
                past.contains("cache-control: no-store, no-cache\n"),
                "{method} {path}: {past}"
            );
        }
    }
}

#[tokio::test]
async fn a_panic_on_the_shortcut_is_a_problem_too() {
    let app = TestApp::start().await;
    app.create(MAIN).await;
    let request = format!(
        "POST /v1/environments/{MAIN}/decisions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{{}}",
        app.expiring_token().await
    );
    app.break_clock();
    let past = exchange(
        DecisionsService::new(Arc::clone(&app.listener)),
        request.as_bytes(),
    )
    .await;
    app.repair_clock();
    assert!(
        past.starts_with("HTTP/1.1 500 ") && past.contains("urn:traffic-cop:problem:internal"),
        "{past}"
    );
}
