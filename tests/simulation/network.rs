//! The store and the ways to it: a DynamoDB-compatible engine in this thread, reached by the SDK over a network that delays,
//! loses and cuts off as it is drawn.
//!
//! What is on its way is on its own: a write that nobody waits for any more may still arrive.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::StatusCode;
use dynoxide::Database;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt as _, SeedableRng as _};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::oneshot;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::truth::Truth;

/// Longer than anybody waits.
const FOR_EVER: Duration = Duration::from_secs(30);

/// A promise of DynamoDB's that the store breaks, now and then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Betrayal {
    /// It acknowledges a write to the journal and does not keep it.
    Forgets,
    /// A consistent read does not find what was just written.
    ReadsFromThePast,
    /// A condition is not looked at: what is there is written over.
    WritesAgain,
}

/// The store and the network in front of it.
pub(crate) struct Network {
    engine: Database,
    seed: u64,
    /// How many requests of a kind there were.
    counts: Mutex<BTreeMap<Kind, u64>>,
    betrayal: Option<Betrayal>,
    truth: Arc<Mutex<Truth>>,
}

/// Requests of which one comes after the other: from where, the operation, the table and the partition. The fate of a request follows
/// from its kind and its number, whatever else happens at the same moment: the order of that is the runtime's.
type Kind = (&'static str, String, String, String);

/// What the way of one process to the store is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weather {
    /// Nothing is lost, and little is late.
    Calm,
    /// Whatever can happen to a request happens now and then.
    Rough,
    /// Nothing gets through.
    Cut,
}

/// The way of one process. Clones are one way.
#[derive(Clone)]
pub(crate) struct Way {
    name: &'static str,
    network: Arc<Network>,
    weather: Arc<Mutex<Weather>>,
}

impl fmt::Debug for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Way").finish_non_exhaustive()
    }
}

/// What becomes of a request.
#[derive(Debug, Clone, Copy)]
struct Passage {
    there: Duration,
    arrives: bool,
    back: Duration,
    answer: Fate,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Arrives,
    /// The connection breaks.
    Breaks,
    /// Nothing is heard.
    IsLost,
    /// The store has too much to do.
    Throttled,
}

impl Network {
    pub(crate) fn new(
        seed: u64,
        betrayal: Option<Betrayal>,
        truth: Arc<Mutex<Truth>>,
    ) -> Arc<Self> {
        Arc::new(Self {
            engine: Database::memory().expect("an engine"),
            seed,
            counts: Mutex::default(),
            betrayal,
            truth,
        })
    }

    /// A way to the store of one's own.
    pub(crate) fn way(self: &Arc<Self>, name: &'static str) -> Way {
        Way {
            name,
            network: self.clone(),
            weather: Arc::new(Mutex::new(Weather::Calm)),
        }
    }

    /// Draws for one request.
    fn random(&self, from: &'static str, operation: &str, request: &Value) -> Xoshiro256PlusPlus {
        let text = |path: &str| {
            request
                .pointer(path)
                .and_then(Value::as_str)
                .map(str::to_owned)
        };
        let keys = [
            "/Item/pk/S",
            "/Key/pk/S",
            "/ExpressionAttributeValues/:pk/S",
        ];
        let partition = keys.into_iter().find_map(text).unwrap_or_default();
        let table = text("/TableName").unwrap_or_default();
        let kind = (from, operation.to_owned(), table, partition);
        let mut counts = self.counts.lock().expect("no holder panics");
        let count = counts.entry(kind.clone()).or_default();
        *count += 1;
        let name = format!("{kind:?} {count}");
        Xoshiro256PlusPlus::seed_from_u64(xxh3_64_with_seed(name.as_bytes(), self.seed))
    }

    fn passage(&self, weather: Weather, random: &mut Xoshiro256PlusPlus) -> Passage {
        let mut leg = || Duration::from_micros(random.random_range(300..3_000));
        let mut passage = Passage {
            there: leg(),
            arrives: weather != Weather::Cut,
            back: leg(),
            answer: Fate::Arrives,
        };
        if weather != Weather::Rough {
            return passage;
        }
        let late = Duration::from_millis(random.random_range(5..400));
        match random.random_range(0..100) {
            0..6 => passage.there += late,
            6..14 => passage.back += late,
            14..17 => passage.arrives = false,
            17..22 => passage.answer = Fate::Breaks,
            22..24 => passage.answer = Fate::IsLost,
            24..26 => passage.answer = Fate::Throttled,
            // Past the time of an attempt: it is sent again, and arrives all the same.
            26 => passage.there += Duration::from_millis(1_200),
            _ => {}
        }
        passage
    }

    /// The store's answer: a status and a JSON body.
    fn answer(&self, operation: &str, body: &[u8], is_betrayed: bool) -> (u16, String) {
        let engine = &self.engine;
        if let Some(answer) = self.betray(operation, body, is_betrayed) {
            return answer;
        }
        match operation {
            "GetItem" => serve(body, |request| engine.get_item(request)),
            "BatchGetItem" => serve(body, |request| engine.batch_get_item(request)),
            "Query" => serve(body, |request| engine.query(request)),
            "PutItem" => serve(body, |request| engine.put_item(request)),
            "BatchWriteItem" => serve(body, |request| engine.batch_write_item(request)),
            "CreateTable" => serve(body, |request| engine.create_table(request)),
            "DescribeTable" => serve(body, |request| engine.describe_table(request)),
            _ => failure("UnknownOperationException"),
        }
    }

    /// What a store answers that breaks its promises; `None` where it keeps them.
    fn betray(&self, operation: &str, body: &[u8], happens: bool) -> Option<(u16, String)> {
        let betrayal = self.betrayal?;
        let mut request: Value = serde_json::from_slice(body).ok()?;
        let partition = |of: &Value| of.pointer("/pk/S").and_then(Value::as_str) == Some("journal");
        match (betrayal, operation) {
            (Betrayal::Forgets, "PutItem") if partition(&request["Item"]) && happens => {
                Some((200, "{}".to_owned()))
            }
            (Betrayal::ReadsFromThePast, "GetItem") if partition(&request["Key"]) => {
                Some((200, "{}".to_owned()))
            }
            (Betrayal::WritesAgain, "PutItem") if partition(&request["Item"]) => {
                let members = request.as_object_mut()?;
                members.remove("ConditionExpression");
                members.remove("ExpressionAttributeNames");
                Some(serve(request.to_string().as_bytes(), |request| {
                    self.engine.put_item(request)
                }))
            }
            _ => None,
        }
    }
}

fn serve<Q: DeserializeOwned, A: Serialize>(
    body: &[u8],
    act: impl FnOnce(Q) -> Result<A, dynoxide::DynoxideError>,
) -> (u16, String) {
    let request = serde_json::from_slice(body).expect("a request that the engine knows");
    match act(request) {
        Ok(answer) => (200, serde_json::to_string(&answer).expect("JSON")),
        Err(error) => (error.status_code(), error.to_json()),
    }
}

fn failure(name: &str) -> (u16, String) {
    let kind = format!("com.amazonaws.dynamodb.v20120810#{name}");
    (400, json!({ "__type": kind, "message": name }).to_string())
}

impl Way {
    pub(crate) fn set(&self, weather: Weather) {
        *self.weather.lock().expect("no holder panics") = weather;
    }

    fn weather(&self) -> Weather {
        *self.weather.lock().expect("no holder panics")
    }

    fn note(&self, operation: &str, passage: Passage) {
        let mut truth = self.network.truth.lock().expect("no holder panics");
        truth.note(format!("{} asks for {operation}: {passage:?}", self.name));
    }

    /// Carries one request to the store and the answer back; `None` if the connection breaks.
    async fn carry(self, operation: String, body: Vec<u8>) -> Option<(u16, String)> {
        let request: Value = serde_json::from_slice(&body).expect("JSON");
        let mut random = self.network.random(self.name, &operation, &request);
        let passage = self.network.passage(self.weather(), &mut random);
        let is_betrayed = random.random_bool(0.1);
        self.note(&operation, passage);
        tokio::time::sleep(passage.there).await;
        if !passage.arrives || self.weather() == Weather::Cut {
            tokio::time::sleep(FOR_EVER).await;
            return None;
        }
        let answer = match passage.answer {
            Fate::Throttled => failure("ProvisionedThroughputExceededException"),
            _ => self.network.answer(&operation, &body, is_betrayed),
        };
        tokio::time::sleep(passage.back).await;
        if passage.answer == Fate::IsLost || self.weather() == Weather::Cut {
            tokio::time::sleep(FOR_EVER).await;
            return None;
        }
        (passage.answer != Fate::Breaks).then_some(answer)
    }
}

impl HttpConnector for Way {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let operation = target.split('.').next_back().unwrap_or_default().to_owned();
        let body = request.body().bytes().unwrap_or_default().to_vec();
        let (sender, receiver) = oneshot::channel();
        let way = self.clone();
        // Beside whoever asks, who may stop waiting.
        tokio::spawn(async move {
            let answer = way.carry(operation, body).await;
            // Nobody may be waiting any more.
            let _ = sender.send(answer);
        });
        HttpConnectorFuture::new(async move {
            let broken =
                || ConnectorError::io(io::Error::from(io::ErrorKind::ConnectionReset).into());
            let (status, body) = receiver.await.ok().flatten().ok_or_else(broken)?;
            let status = StatusCode::try_from(status).expect("a status");
            Ok(HttpResponse::new(status, body.into()))
        })
    }
}

impl HttpClient for Way {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}
