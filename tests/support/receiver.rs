//! Somebody who is told of changes by a webhook: notes what comes, proves who sent it, and answers as the test says.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use data_encoding::BASE64;
use ring::hmac;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

/// How long anything may take that should be a matter of moments.
const PATIENCE: Duration = Duration::from_secs(30);
/// The secret that it knows, if it is told of no other.
pub(crate) const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// What becomes of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reply {
    /// An answer with this status.
    Status(u16),
    /// The same, with seconds in `Retry-After`.
    RetryAfter(u16, u64),
    /// An answer that leads elsewhere.
    Redirect(String),
    /// No answer at all.
    Silence,
    /// The end of the connection.
    HangUp,
    /// Something that is no HTTP.
    Garbage,
    /// A success, and more bytes than anyone should read.
    Huge,
    /// The head of a success, and then nothing.
    SlowBody,
}

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Delivery {
    /// Its path.
    pub(crate) path: String,
    /// Its header fields, names in small letters.
    headers: Vec<(String, String)>,
    /// Its body as it came.
    pub(crate) body: Vec<u8>,
    /// How it was answered.
    pub(crate) reply: Reply,
}

/// A receiver of webhooks on this host.
#[derive(Debug)]
pub(crate) struct Receiver {
    address: SocketAddr,
    shared: Arc<Shared>,
    count: watch::Receiver<usize>,
    _serving: DropGuard,
}

#[derive(Debug)]
struct Shared {
    plan: Mutex<Plan>,
    count: watch::Sender<usize>,
}

#[derive(Debug)]
struct Plan {
    next: VecDeque<Reply>,
    always: Reply,
    received: Vec<Delivery>,
}

impl Receiver {
    /// One that takes everything.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (sender, count) = watch::channel(0);
        let plan = Plan {
            next: VecDeque::new(),
            always: Reply::Status(204),
            received: Vec::new(),
        };
        let shared = Arc::new(Shared {
            plan: Mutex::new(plan),
            count: sender,
        });
        let stop = CancellationToken::new();
        let (serving, stopped) = (Arc::clone(&shared), stop.clone());
        tokio::spawn(stopped.run_until_cancelled_owned(serve(listener, serving)));
        Self {
            address,
            shared,
            count,
            _serving: stop.drop_guard(),
        }
    }

    /// Where it is told.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/hooks/ivr", self.address)
    }

    /// Answers the next request like this, after those that have an answer already.
    pub(crate) fn replies(&self, reply: Reply) {
        self.plan().next.push_back(reply);
    }

    /// Answers every request like this from now on.
    pub(crate) fn always(&self, reply: Reply) {
        self.plan().always = reply;
    }

    /// Everything that came.
    pub(crate) fn received(&self) -> Vec<Delivery> {
        self.plan().received.clone()
    }

    /// The ids of everything that came, in order.
    pub(crate) fn ids(&self) -> Vec<String> {
        let received = self.received();
        received.iter().map(|one| one.id().to_owned()).collect()
    }

    /// The ids of what it has taken, in order.
    pub(crate) fn taken(&self) -> Vec<String> {
        let received = self.received();
        let taken = received.iter().filter(|one| one.is_taken());
        taken.map(|one| one.id().to_owned()).collect()
    }

    /// Waits until so many requests have come in all.
    pub(crate) async fn until(&mut self, count: usize) {
        let come = self.count.wait_for(|come| *come >= count);
        let come = tokio::time::timeout(PATIENCE, come).await;
        come.expect("a request in time").expect("a receiver");
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        locked(&self.shared.plan)
    }
}

impl Delivery {
    /// What a header field says; nothing if it is not there once.
    pub(crate) fn header(&self, name: &str) -> &str {
        let mut found = self.headers.iter().filter(|(other, _)| other == name);
        match (found.next(), found.next()) {
            (Some((_, value)), None) => value,
            _ => "",
        }
    }

    /// Its id.
    pub(crate) fn id(&self) -> &str {
        self.header("webhook-id")
    }

    /// The event in it.
    pub(crate) fn event(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }

    /// Whether it was answered with a success.
    pub(crate) fn is_taken(&self) -> bool {
        matches!(
            self.reply,
            Reply::Status(200..=299) | Reply::Huge | Reply::SlowBody
        )
    }

    /// Fails unless one of its signatures is by `secret`.
    pub(crate) fn assert_signed_with(&self, secret: &str) {
        let key = secret.strip_prefix("whsec_").expect("a secret");
        let key = BASE64.decode(key.as_bytes()).expect("a secret");
        let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
        let (id, time) = (self.id(), self.header("webhook-timestamp"));
        let signed = [format!("{id}.{time}.").as_bytes(), &self.body].concat();
        let is_good = |signature: &str| {
            let tag = signature.strip_prefix("v1,");
            let tag = tag.and_then(|tag| BASE64.decode(tag.as_bytes()).ok());
            tag.is_some_and(|tag| hmac::verify(&key, &signed, &tag).is_ok())
        };
        let signatures = self.header("webhook-signature");
        assert!(signatures.split(' ').any(is_good), "{self:?}");
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        tokio::spawn(answer(stream, Arc::clone(&shared)));
    }
}

/// Reads one request and answers it. An error means that the other side has gone.
async fn answer(mut stream: TcpStream, shared: Arc<Shared>) {
    let Some(mut delivery) = read(&mut stream).await else {
        return;
    };
    {
        let mut plan = locked(&shared.plan);
        delivery.reply = plan.next.pop_front().unwrap_or_else(|| plan.always.clone());
        plan.received.push(delivery.clone());
    }
    shared.count.send_modify(|count| *count += 1);
    let close = "connection: close\r\n";
    let text = match delivery.reply {
        Reply::Status(status) => format!("HTTP/1.1 {status} x\r\n{close}content-length: 0\r\n\r\n"),
        Reply::RetryAfter(status, seconds) => {
            format!(
                "HTTP/1.1 {status} x\r\n{close}retry-after: {seconds}\r\ncontent-length: 0\r\n\r\n"
            )
        }
        Reply::Redirect(to) => {
            format!("HTTP/1.1 307 x\r\n{close}location: {to}\r\ncontent-length: 0\r\n\r\n")
        }
        Reply::Silence => return std::future::pending().await,
        Reply::HangUp => return,
        Reply::Garbage => "220 mail.example ESMTP\r\n".to_owned(),
        Reply::Huge => {
            let body = "x".repeat(4 * 1024 * 1024);
            let length = body.len();
            format!("HTTP/1.1 200 x\r\n{close}content-length: {length}\r\n\r\n{body}")
        }
        Reply::SlowBody => {
            let head = "HTTP/1.1 200 x\r\ncontent-length: 10\r\n\r\n";
            let _ = stream.write_all(head.as_bytes()).await;
            return std::future::pending().await;
        }
    };
    let _ = stream.write_all(text.as_bytes()).await;
    let _ = stream.shutdown().await;
}

async fn read(stream: &mut TcpStream) -> Option<Delivery> {
    let mut received = Vec::new();
    let end = loop {
        if let Some(end) = received.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(&mut received).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(received[..end].to_vec()).ok()?;
    let mut lines = head.split("\r\n");
    let request = lines.next()?.to_owned();
    assert!(request.starts_with("POST "), "{request}");
    let headers = lines.map(|line| {
        let (name, value) = line.split_once(": ").expect("a header field");
        (name.to_ascii_lowercase(), value.to_owned())
    });
    let mut delivery = Delivery {
        path: request.split(' ').nth(1)?.to_owned(),
        headers: headers.collect(),
        body: received.split_off(end + 4),
        reply: Reply::Silence,
    };
    let length: usize = delivery.header("content-length").parse().ok()?;
    while delivery.body.len() < length {
        if stream.read_buf(&mut delivery.body).await.ok()? == 0 {
            return None;
        }
    }
    Some(delivery)
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
