//! Traces across the real binary: what is logged, what is answered, and what a collector gets.

use std::collections::HashMap;
use std::net::TcpListener;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as AnyValue;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use crate::client::{Change, Client, MAIN};
use crate::receiver::{Receiver, Reply, SECRET};
use crate::world::{Service, admin_token, until};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

/// A service with the sample environment, and somebody who sends it requests of their trace.
struct World {
    service: Service,
    client: Client,
    http: reqwest::Client,
    token: String,
    _data: tempfile::TempDir,
}

impl World {
    fn start(arguments: &[&str]) -> Self {
        let data = tempfile::tempdir().expect("a directory");
        let directory = data.path().to_str().expect("a readable path");
        let mut all = vec!["--data-dir", directory, "--shutdown-delay-ms", "0"];
        all.extend(arguments);
        let service = Service::start(&all);
        let token = admin_token(data.path());
        let client = service.client(&token);
        Self {
            service,
            client,
            http: reqwest::Client::new(),
            token,
            _data: data,
        }
    }

    fn request(&self, method: Method, path: &str, traceparent: &str) -> RequestBuilder {
        let url = format!("http://{}{path}", self.service.admin);
        let request = self.http.request(method, url).bearer_auth(&self.token);
        request
            .header("traceparent", traceparent)
            .header("if-match", "*")
    }

    /// Sets the weight as a part of the trace that `traceparent` names, if it does.
    async fn weigh(&self, percent: u8, traceparent: &str) {
        let path = format!("/v1/environments/{MAIN}/weight");
        let request = self.request(Method::POST, &path, traceparent);
        let body = json!({ "weight": percent, "reason": "a test" });
        let answer = request.json(&body).send().await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::OK);
    }

    /// What has been logged with this message, as JSON.
    fn logged(&self, message: &str) -> Vec<Value> {
        let log = self.service.process.errors();
        let lines = log
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        lines.filter(|line| line["message"] == message).collect()
    }
}

fn traceparent(flags: &str) -> String {
    format!("00-{TRACE}-{PARENT}-{flags}")
}

#[tokio::test]
async fn what_is_logged_and_refused_names_the_trace_of_who_asked() {
    let world = World::start(&["--log-format", "json"]);
    world.weigh(5, &traceparent("00")).await;
    world.weigh(6, "00-no-trace-01").await;
    world.client.change(MAIN, Change::weight(700)).await;
    let committed: Vec<_> = until("three changes in the log", async || {
        let mut committed = world.logged("committed");
        committed.retain(|line| line["action"] == "set_weight");
        (committed.len() == 3).then_some(committed)
    })
    .await;
    let traces = committed.iter().map(|line| &line["span"]["trace_id"]);
    assert_eq!(
        traces.collect::<Vec<_>>(),
        [&json!(TRACE), &Value::Null, &Value::Null]
    );

    let unknown = world.request(Method::GET, "/v1/environments/Nobody", &traceparent("01"));
    let problem: Value = unknown
        .send()
        .await
        .expect("an answer")
        .json()
        .await
        .expect("JSON");
    assert_eq!(
        (&problem["status"], &problem["trace_id"]),
        (&json!(404), &json!(TRACE))
    );

    let decide = async |name: &str, flags: &str| -> Value {
        let url = format!(
            "http://{}/v1/environments/{name}/decisions",
            world.service.decisions
        );
        let request = world
            .http
            .post(url)
            .header("traceparent", traceparent(flags));
        request
            .json(&json!({}))
            .send()
            .await
            .expect("an answer")
            .json()
            .await
            .expect("JSON")
    };
    let decision = decide(MAIN, "01").await;
    assert!(
        decision["Slot"].is_string() && decision.get("trace_id").is_none(),
        "{decision}"
    );
    for flags in ["00", "01"] {
        let problem = decide("Nobody", flags).await;
        assert_eq!(
            (&problem["status"], &problem["trace_id"]),
            (&json!(404), &json!(TRACE))
        );
    }
    let unanswered = world.logged("a call got no answer");
    let said: Vec<_> = unanswered
        .iter()
        .map(|line| (&line["trace_id"], &line["problem"]))
        .collect();
    assert_eq!(
        said,
        [(&json!(TRACE), &json!("environment-not-found"))],
        "the one that is recorded elsewhere too"
    );
}

/// Every span that has come to the collector, by its id.
fn spans(collector: &Receiver) -> HashMap<Vec<u8>, Span> {
    let received = collector.received();
    let spans = received.iter().flat_map(|delivery| {
        assert_eq!(
            (delivery.path.as_str(), delivery.header("content-type")),
            ("/hooks/ivr/v1/traces", "application/x-protobuf")
        );
        assert_eq!(delivery.header("x-tenant"), "ours");
        let request = ExportTraceServiceRequest::decode(&*delivery.body).expect("OTLP");
        request.resource_spans.into_iter().flat_map(|spans| {
            let resource = spans.resource.expect("a resource");
            assert_eq!(text(&resource.attributes, "service.name"), "traffic-cop");
            spans.scope_spans.into_iter().flat_map(|scope| scope.spans)
        })
    });
    spans.map(|span| (span.span_id.clone(), span)).collect()
}

fn text(attributes: &[opentelemetry_proto::tonic::common::v1::KeyValue], key: &str) -> String {
    let value = attributes
        .iter()
        .find(|attribute| attribute.key == key)
        .and_then(|attribute| attribute.value.clone()?.value);
    match value {
        Some(AnyValue::StringValue(text)) => text,
        Some(AnyValue::IntValue(number)) => number.to_string(),
        other => panic!("{key}: {other:?} in {attributes:?}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

#[tokio::test]
async fn a_change_a_step_and_a_delivery_are_spans_with_their_store_requests_below() {
    let collector = Receiver::start().await;
    let chat = Receiver::start().await;
    let endpoint = collector.url();
    let secrets = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(secrets.path(), json!({ "chat": SECRET }).to_string()).expect("a file");
    let world = World::start(&[
        "--otlp-endpoint",
        &endpoint,
        "--otlp-headers",
        "x-tenant=ours",
        "--webhook-secrets-file",
        secrets.path().to_str().expect("a readable path"),
    ]);
    let webhook = json!({ "name": "chat", "url": chat.url(), "reason": "a test" });
    world
        .client
        .send(Method::POST, "/v1/webhooks", &webhook)
        .await
        .ok();
    world.weigh(5, &traceparent("01")).await;
    let plan = json!({ "steps": [{ "weight": 100, "bake_minutes": 0, "minimum_calls": 1 }], "hold_back_percent": 5 });
    world.client.change(MAIN, Change::rollout(plan)).await;
    world.client.change(MAIN, Change::promote_rollout()).await;

    let named = |spans: &HashMap<Vec<u8>, Span>, name: &str| -> Vec<Span> {
        spans
            .values()
            .filter(|span| span.name == name)
            .cloned()
            .collect()
    };
    let spans = until("a span of each kind", async || {
        let spans = spans(&collector);
        let is_there = |name| !named(&spans, name).is_empty();
        (is_there("POST /v1/environments/{environment}/weight")
            && is_there("step of a rollout")
            && is_there("delivery to a webhook"))
        .then_some(spans)
    })
    .await;

    let [change] = named(&spans, "POST /v1/environments/{environment}/weight")
        .try_into()
        .expect("one change");
    assert_eq!(
        (
            hex(&change.trace_id).as_str(),
            hex(&change.parent_span_id).as_str()
        ),
        (TRACE, PARENT)
    );
    assert_eq!(text(&change.attributes, "http.response.status_code"), "200");
    let [step] = named(&spans, "step of a rollout")
        .try_into()
        .expect("one step");
    assert!(
        step.parent_span_id.is_empty() && hex(&step.trace_id) != TRACE,
        "{step:?}"
    );
    for cause in [&change, &step] {
        let put = named(&spans, "DynamoDB.PutItem");
        let put = put.iter().find(|put| put.parent_span_id == cause.span_id);
        assert_eq!(
            put.expect("a request to the store").trace_id,
            cause.trace_id
        );
    }
    for request in spans
        .values()
        .filter(|span| span.name.starts_with("DynamoDB."))
    {
        assert!(
            spans.contains_key(&request.parent_span_id),
            "polls are no spans: {request:?}"
        );
    }
    let delivery = named(&spans, "delivery to a webhook").swap_remove(0);
    assert_eq!(text(&delivery.attributes, "outcome"), "delivered");
    let told: Vec<_> = chat
        .received()
        .iter()
        .map(|told| told.header("traceparent").to_owned())
        .collect();
    let expected = format!(
        "00-{}-{}-01",
        hex(&delivery.trace_id),
        hex(&delivery.span_id)
    );
    assert!(told.contains(&expected), "{expected} is not in {told:?}");
    assert!(spans.values().all(|span| !span.name.contains("decisions")));
}

/// An address at which nobody is.
fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    format!("http://{}", listener.local_addr().expect("an address"))
}

#[tokio::test]
async fn without_its_collector_everything_is_answered_as_before() {
    let silent = Receiver::start().await;
    silent.always(Reply::Silence);
    for endpoint in [nobody(), silent.url()] {
        let world = World::start(&["--otlp-endpoint", &endpoint]);
        for percent in 1..=20 {
            world.weigh(percent, &traceparent("01")).await;
        }
        if endpoint != silent.url() {
            until("spans counted as lost", async || {
                let metrics = world.client.metrics().await;
                metrics
                    .contains("traffic_cop_spans_total{outcome=\"failed\"}")
                    .then_some(())
            })
            .await;
        }
        assert_eq!(world.client.show(MAIN).await["weight"], 20);
        let World { service, .. } = world;
        service.stop().await;
    }
}
