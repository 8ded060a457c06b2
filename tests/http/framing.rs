//! Requests that two readers could understand in two ways: each gets one answer or a refusal, and what hides in it never runs.

use crate::ask::CANARY;
use crate::edge::{Edge, decision, unlimited};
use crate::support::raw::Raw;
use crate::world::{MAIN, TestApp, creation};

/// A whole request that would create an environment, if anybody read it as one.
fn hidden(token: &str) -> String {
    let body = creation("Hidden").to_string();
    format!(
        "PUT /v1/environments/Hidden HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// The head of a rollback with these fields, and a body that some readers take for the request's and others for the next one.
fn request(token: &str, fields: &str, body: &str) -> String {
    format!(
        "POST /v1/environments/{MAIN}/rollback HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\n{fields}\r\n\r\n{body}"
    )
}

const ROLLBACK: &str = "{\"reason\":\"r\"}";

/// Sends `bytes` to the admin listener and takes all that comes back; nothing may have been created.
async fn statuses(edge: &Edge, what: &str, bytes: &str) -> Vec<u16> {
    let mut call = Raw::connect(edge.admin).await;
    call.send(bytes).await;
    let answers = call.answers().await;
    for answer in &answers {
        assert!(!answer.body.contains(CANARY), "{what}: {answer:?}");
        if answer.status >= 400 {
            answer.problem();
        }
    }
    let hidden = edge.app.show("Hidden").await;
    assert_eq!(hidden.status, 404, "{what}: the hidden request ran");
    answers.into_iter().map(|answer| answer.status).collect()
}

#[tokio::test]
async fn a_body_of_two_lengths_hides_nothing() {
    let edge = Edge::start(unlimited()).await;
    let token = edge.app.token(&["operate", "read"], None).await;
    let hidden = hidden(&token);
    let length = ROLLBACK.len();
    let both = ROLLBACK.len() + hidden.len();
    let framings = [
        format!("Content-Length: {length}\r\nContent-Length: {both}"),
        format!("Content-Length: {both}\r\nContent-Length: {length}"),
        format!("Content-Length: {length}, {both}"),
        format!("Content-Length: {length},{length}"),
        format!("Content-Length: +{length}"),
        format!("Content-Length: -{length}"),
        format!("Content-Length: 0x{length:x}"),
        format!("Content-Length: {length} {length}"),
        "Content-Length: ".to_owned(),
        "Content-Length: 99999999999999999999".to_owned(),
        format!("Content-Length : {length}"),
        format!(" Content-Length: {length}"),
        format!("X: y\r\n Content-Length: {length}"),
        format!("X: y\r\n\tz\r\nContent-Length: {length}"),
        format!("Content-Length: {length}\rX: y"),
        format!("Content-Length: {length}\0"),
        format!("Content-Length\0: {length}"),
        format!("{CANARY}\r\nContent-Length: {length}"),
    ];
    for framing in framings {
        let bytes = request(&token, &framing, &format!("{ROLLBACK}{hidden}"));
        assert_eq!(
            statuses(&edge, &framing, &bytes).await,
            [400],
            "{framing:?}"
        );
    }
}

#[tokio::test]
async fn a_body_with_a_length_and_in_chunks_hides_nothing() {
    let edge = Edge::start(unlimited()).await;
    let token = edge.app.token(&["operate", "read"], None).await;
    let hidden = hidden(&token);
    let chunked = format!("{:x}\r\n{ROLLBACK}\r\n0\r\n\r\n", ROLLBACK.len());
    let (inner, all) = (chunked.len(), chunked.len() + hidden.len());
    let body = format!("{chunked}{hidden}");
    let fields = [
        // Chunks are what counts, and the connection ends with the answer (RFC 9112, section 6.1). There is nothing to roll
        // back to.
        (
            format!("Content-Length: {inner}\r\nTransfer-Encoding: chunked"),
            [409],
        ),
        (
            format!("Transfer-Encoding: chunked\r\nContent-Length: {all}"),
            [409],
        ),
        (
            format!("Content-Length: {all}\r\nTransfer-Encoding: Chunked"),
            [409],
        ),
        // None of these is a way to send a body.
        (
            format!("Content-Length: {all}\r\nTransfer-Encoding: identity"),
            [400],
        ),
        (
            format!("Content-Length: {all}\r\nTransfer-Encoding: chunked, identity"),
            [400],
        ),
        (
            format!("Content-Length: {all}\r\nTransfer-Encoding: xchunked"),
            [400],
        ),
        (
            format!("Content-Length: {all}\r\nTransfer-Encoding:\u{b}chunked"),
            [400],
        ),
        (
            format!("Content-Length: {all}\r\nTransfer-Encoding : chunked"),
            [400],
        ),
        (
            format!("Content-Length: {all}\r\n Transfer-Encoding: chunked"),
            [400],
        ),
        (
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity".to_owned(),
            [400],
        ),
    ];
    for (fields, expected) in fields {
        let bytes = request(&token, &fields, &body);
        assert_eq!(
            statuses(&edge, &fields, &bytes).await,
            expected,
            "{fields:?}"
        );
    }
    let old = request(&token, "Transfer-Encoding: chunked", &body).replace("HTTP/1.1", "HTTP/1.0");
    assert_eq!(statuses(&edge, "HTTP/1.0", &old).await, [400]);
}

#[tokio::test]
async fn bad_chunks_hide_nothing() {
    let edge = Edge::start(unlimited()).await;
    let token = edge.app.token(&["operate", "read"], None).await;
    let hidden = hidden(&token);
    let length = ROLLBACK.len();
    let bodies = [
        format!("zz\r\n{ROLLBACK}\r\n0\r\n\r\n{hidden}"),
        format!("-{length:x}\r\n{ROLLBACK}\r\n0\r\n\r\n{hidden}"),
        format!("0x{length:x}\r\n{ROLLBACK}\r\n0\r\n\r\n{hidden}"),
        format!("+{length:x}\r\n{ROLLBACK}\r\n0\r\n\r\n{hidden}"),
        format!("ffffffffffffffffff\r\n{ROLLBACK}\r\n0\r\n\r\n{hidden}"),
        format!("\r\n{ROLLBACK}\r\n0\r\n\r\n{hidden}"),
        format!("{:x}\r\n{ROLLBACK}\r\n0\r\n\r\n{hidden}", length - 1),
        format!("{length:x}\r\n{ROLLBACK}0\r\n\r\n{hidden}"),
        format!("{length:x}{ROLLBACK}\r\n0\r\n\r\n{hidden}"),
        format!("{length:x}\n{ROLLBACK}\n0\n\n{hidden}"),
        format!("{length:x};\n{ROLLBACK}\r\n0\r\n\r\n{hidden}"),
        format!("{length:x}\r\n{ROLLBACK}\r\n0\r\n{hidden}"),
    ];
    for body in bodies {
        let bytes = request(&token, "Transfer-Encoding: chunked", &body);
        assert_eq!(statuses(&edge, &body, &bytes).await, [400], "{body:?}");
    }
}

#[tokio::test]
async fn what_is_no_http_is_refused() {
    let edge = Edge::start(unlimited()).await;
    let refused = [
        "GET /\r\n\r\n",
        "GET / HTTP/2.0\r\nHost: x\r\n\r\n",
        "GET / HTTP/1.2\r\nHost: x\r\n\r\n",
        "GET / http/1.1\r\nHost: x\r\n\r\n",
        "GET  / HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET / HTTP/1.1 x\r\nHost: x\r\n\r\n",
        "GET / \r\nHost: x\r\n\r\n",
        " GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        "G@T / HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /a b HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /\0 HTTP/1.1\r\nHost: x\r\n\r\n",
        "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}\u{fc}\u{3}\u{3}",
        "SSH-2.0-OpenSSH_9.2\r\n",
    ];
    for bytes in refused {
        assert_eq!(statuses(&edge, bytes, bytes).await, [400], "{bytes:?}");
    }
    // Whoever wants HTTP/2 without asking first understands nothing but an end.
    let preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    assert_eq!(statuses(&edge, preface, preface).await, Vec::<u16>::new());
}

#[tokio::test]
async fn lines_may_end_with_a_line_feed_alone_and_mean_the_same() {
    let edge = Edge::start(unlimited()).await;
    let mut call = edge.call().await;
    let answer = call.ask(decision("{}").replace("\r\n", "\n")).await;
    assert_eq!(answer.status, 200);
    let twice = format!("{0}{0}", decision("{}").replace("\r\n", "\n"));
    call.send(twice).await;
    for _ in 0..2 {
        assert_eq!(call.answer().await.expect("an answer").status, 200);
    }
}

#[tokio::test]
async fn a_host_stands_once_and_is_one() {
    let edge = Edge::start(unlimited()).await;
    let mut call = edge.call().await;
    let live = |hosts: &str| format!("GET /v1/health/live HTTP/1.1\r\n{hosts}\r\n");
    for bad in [
        "",
        "Host:\r\n",
        "Host: x\r\nHost: x\r\n",
        "Host: x, y\r\n",
        "Host: x/y\r\n",
        "Host: user@x\r\n",
        "Host: x:port\r\n",
    ] {
        let answer = call.ask(live(bad)).await;
        assert_eq!(answer.problem(), "bad-request", "{bad:?}");
        assert!(answer.body.contains("header Host"), "{answer:?}");
    }
    for good in [
        "Host: x\r\n",
        "Host: cop.example:8080\r\n",
        "Host: [::1]:1\r\n",
    ] {
        assert_eq!(call.ask(live(good)).await.status, 200, "{good:?}");
    }
    let absolute = "GET http://elsewhere/v1/health/live HTTP/1.1\r\nHost: x\r\n\r\n";
    assert_eq!(
        call.ask(absolute).await.status,
        200,
        "a server must take what a proxy is sent (RFC 9112, section 3.2.2)"
    );
    let old = "GET /v1/health/live HTTP/1.0\r\n\r\n";
    assert_eq!(call.ask(old).await.status, 200, "it knows no hosts");
}

#[tokio::test]
async fn a_path_that_can_be_read_in_two_ways_is_refused() {
    let edge = Edge::start(unlimited()).await;
    let token = edge.app.token(&["read"], None).await;
    let paths = [
        "//v1/environments",
        "/v1//environments",
        "/v1/./environments",
        "/v1/x/../environments",
        "/v1/%2e%2e/environments",
        "/v1/environments/%00",
        "/v1/environments/a%0d%0aX:%20y",
        "/v1/environments/a%2Fb",
        "/v1/environments/%FF",
        "/v1/environments/%",
        "/v1/environments//decisions",
        "/v1/environments/../decisions",
        "/v1/environments/\u{e4}",
        "v1",
    ];
    for address in [edge.decisions, edge.admin] {
        let mut call = Raw::connect(address).await;
        for path in paths {
            let request =
                format!("GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n");
            assert_eq!(call.ask(request).await.problem(), "bad-request", "{path}");
        }
    }
}

#[tokio::test]
async fn other_methods_are_told_which_there_are() {
    let edge = Edge::start(unlimited()).await;
    let mut call = edge.call().await;
    for method in ["TRACE", "QUERY", "post", "A-NEW-ONE"] {
        let path = format!("/v1/environments/{MAIN}/decisions");
        let request = format!("{method} {path} HTTP/1.1\r\nHost: x\r\n\r\n");
        let answer = call.ask(request).await;
        assert_eq!(answer.problem(), "method-not-allowed", "{method}");
        assert_eq!(answer.header("allow"), Some("post"), "{method}");
    }
    let problems = "traffic_cop_problems_total{problem=\"method-not-allowed\"}";
    assert_eq!(edge.metric(problems), 4, "each is counted");
    let nothing = "GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n";
    assert_eq!(call.ask(nothing).await.problem(), "not-found");
    assert_eq!(
        edge.metric("traffic_cop_problems_total{problem=\"not-found\"}"),
        1
    );
    let everything = "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n";
    assert_eq!(call.ask(everything).await.problem(), "not-found");
    let tunnel = "CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n";
    assert_eq!(edge.call().await.ask(tunnel).await.problem(), "bad-request");
}

#[tokio::test]
async fn each_problem_is_counted_once_whichever_way_it_took() {
    let app = TestApp::start().await;
    app.create(MAIN).await;
    let edge = Edge::start(unlimited()).await;
    let mut call = edge.call().await;
    let unread = "traffic_cop_problems_total{problem=\"bad-request\"}";
    assert_eq!(call.ask(decision("[]")).await.problem(), "bad-request");
    assert_eq!(edge.metric(unread), 1);
    let through = edge.app.call(MAIN).raw("[]").send().await;
    assert_eq!(through.problem(), "bad-request");
    assert_eq!(edge.metric(unread), 2);
}
