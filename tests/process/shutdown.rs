//! The end of a process in good order.

use nix::sys::signal::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::world::{Service, until};

/// Reads from `stream` until what came ends with `end`.
async fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut text = String::new();
    while !text.ends_with(end) {
        let mut byte = [0];
        let count = stream.read(&mut byte).await.expect("an open connection");
        assert_eq!(count, 1, "the connection ended after: {text}");
        text.push(char::from(byte[0]));
    }
    text
}

async fn a_request_under_way_is_answered_after(signal: Signal) {
    let data = tempfile::tempdir().expect("a directory");
    let mut service = Service::embedded(data.path());
    let client = service.client("");
    assert_eq!(client.is_ready().await, Some(true));
    let mut idle = TcpStream::connect(service.decisions)
        .await
        .expect("a connection");
    let mut call = TcpStream::connect(service.decisions)
        .await
        .expect("a connection");
    let head = "POST /v1/environments/Main_IVR/decisions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
                Content-Length: 2\r\nExpect: 100-continue\r\n\r\n";
    call.write_all(head.as_bytes())
        .await
        .expect("an open connection");
    // The handler has begun: it asks for the body.
    assert!(
        read_until(&mut call, "\r\n\r\n")
            .await
            .starts_with("HTTP/1.1 100")
    );

    service.process.send(signal);

    until("no longer ready", async || {
        (client.is_ready().await != Some(true)).then_some(())
    })
    .await;
    assert_eq!(
        idle.read(&mut [0]).await.expect("an orderly end"),
        0,
        "nobody waits for an idle connection"
    );
    call.write_all(b"{}").await.expect("an open connection");
    let mut answer = String::new();
    call.read_to_string(&mut answer)
        .await
        .expect("an answer and the end of the connection");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("\"Slot\":\"blue\""), "{answer}");
    let status = service.process.end().await;
    assert_eq!(status.code(), Some(0), "{}", service.process.errors());
}

#[tokio::test]
async fn a_request_under_way_is_answered_after_sigterm() {
    a_request_under_way_is_answered_after(Signal::SIGTERM).await;
}

#[tokio::test]
async fn a_request_under_way_is_answered_after_sigint() {
    a_request_under_way_is_answered_after(Signal::SIGINT).await;
}

#[tokio::test]
async fn a_caller_who_never_ends_its_request_does_not_keep_the_process() {
    let data = tempfile::tempdir().expect("a directory");
    let service = Service::embedded(data.path());
    let mut call = TcpStream::connect(service.decisions)
        .await
        .expect("a connection");
    let head = "POST /v1/environments/Main_IVR/decisions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
                Content-Length: 2\r\nExpect: 100-continue\r\n\r\n";
    call.write_all(head.as_bytes())
        .await
        .expect("an open connection");
    read_until(&mut call, "\r\n\r\n").await;
    service.stop().await;
}
