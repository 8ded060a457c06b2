//! Anything at all, sent to the decisions listener of the whole service.
//!
//! The first byte says how the rest is sent: as the body of a decision request, or as all that comes over a connection. A body
//! has to be taken exactly if a slow reader of its own takes it; whatever else comes, each answer is HTTP, none is a fault of
//! the service's, and the service goes on.

#![no_main]

use std::collections::BTreeSet;
use std::fmt;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use clap::Parser;
use libfuzzer_sys::fuzz_target;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use traffic_cop::config::ServeArgs;

/// How long anything may take that should be a matter of moments.
const PATIENCE: Duration = Duration::from_secs(30);

static SERVICE: LazyLock<SocketAddr> = LazyLock::new(start);

fuzz_target!(|data: &[u8]| {
    match data.split_first() {
        Some((how, body)) if how % 2 == 0 => {
            let status = status(&exchange(*SERVICE, &request(body), Sender::Waits));
            let expected = if is_sound(body) { 200 } else { 400 };
            assert_eq!(
                status,
                Some(expected),
                "for {:?}",
                String::from_utf8_lossy(body)
            );
        }
        Some((_, raw)) => {
            let answers = exchange(*SERVICE, raw, Sender::Leaves);
            let status = status(&answers);
            assert!(
                matches!(status, None | Some(100 | 200 | 400..=499 | 501 | 505)),
                "{status:?}"
            );
            // Nothing of what was sent is in an answer, so that this is no echo.
            let fault = answers.windows(12).any(|text| text == b"HTTP/1.1 500");
            assert!(!fault, "{}", String::from_utf8_lossy(&answers));
        }
        None => {}
    }
});

/// Starts the service on a store of its own, where one environment is.
fn start() -> SocketAddr {
    #[derive(Parser)]
    struct Serve {
        #[command(flatten)]
        args: ServeArgs,
    }
    let address = free_address();
    let dir = tempfile::tempdir().expect("a directory").keep();
    let serve = Serve::parse_from([
        "fuzz".as_ref(),
        "--data-dir".as_ref(),
        dir.as_os_str(),
        "--decisions".as_ref(),
        address.to_string().as_ref(),
        "--admin".as_ref(),
        free_address().to_string().as_ref(),
    ]);
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let end = runtime.block_on(traffic_cop::app::serve(serve.args));
        panic!("the service has ended: {end:?}");
    });
    let deadline = Instant::now() + PATIENCE;
    while TcpStream::connect(address).is_err()
        || status(&exchange(address, &request(b"{}"), Sender::Waits)) != Some(200)
    {
        assert!(Instant::now() < deadline, "the service does not answer");
        std::thread::yield_now();
    }
    address
}

fn free_address() -> SocketAddr {
    let socket = TcpListener::bind("127.0.0.1:0").expect("a free port");
    socket.local_addr().expect("an address")
}

/// A decision request with `body`, on a connection that ends after it.
fn request(body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST /v1/environments/Main_IVR/decisions HTTP/1.1\r\nHost: fuzz\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// What somebody does who has sent everything.
#[derive(PartialEq, Eq)]
enum Sender {
    /// Waits for the answer.
    Waits,
    /// Closes its side of the connection. Whoever does that is taken for gone, and may get no answer.
    Leaves,
}

/// Sends `bytes` and nothing more, and returns all that comes back.
fn exchange(address: SocketAddr, bytes: &[u8], sender: Sender) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    // The service may have said all it has to say before it has heard everything.
    let sent = stream.write_all(bytes).and_then(|()| match sender {
        Sender::Waits => Ok(()),
        Sender::Leaves => stream.shutdown(std::net::Shutdown::Write),
    });
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        Err(error) => panic!("no end of the answer: {error} (sent: {sent:?})"),
    }
    answer
}

/// The status of the first answer, if there is one.
fn status(answers: &[u8]) -> Option<u16> {
    if answers.is_empty() {
        return None;
    }
    let status = answers
        .strip_prefix(b"HTTP/1.")
        .and_then(|rest| rest.get(2..5));
    let status = std::str::from_utf8(status.expect("HTTP")).expect("a status");
    Some(status.parse().expect("a status"))
}

/// Whether `body` is one object, no member twice, the four known ones texts or null.
fn is_sound(body: &[u8]) -> bool {
    let Ok(Members(members)) = serde_json::from_slice(body) else {
        return false;
    };
    let mut names = BTreeSet::new();
    members.iter().all(|(name, value)| {
        let is_known = ["Conversation_ID", "Flow_Version", "ANI", "DNIS"].contains(&&**name);
        let is_text = || serde_json::from_str::<Option<String>>(value.get()).is_ok();
        names.insert(name) && (!is_known || is_text())
    })
}

/// The members of an object, all of them.
struct Members(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Collect)
    }
}

struct Collect;

impl<'de> Visitor<'de> for Collect {
    type Value = Members;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Members(members))
    }
}
