//! Spans on their way to a collector of OpenTelemetry: `tracing` makes them where something is done, OpenTelemetry's SDK finishes
//! them, and they are posted as OTLP over HTTP in protobuf.
//!
//! Nothing waits for the collector. A finished span goes into a queue that holds so many, or is dropped; one task posts what is in
//! it, each span once. What became of spans is counted (`traffic_cop_spans_total`).

use std::error::Error;
use std::time::Duration;

use http::HeaderMap;
use http::header::CONTENT_TYPE;
use opentelemetry::trace::{
    SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceState, TracerProvider as _,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider, SpanData, SpanProcessor};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prost::Message as _;
use reqwest::Url;
use reqwest::redirect::Policy;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Level, Metadata, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::filter::dynamic_filter_fn;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, layer};

use super::OutcomeLabels;
use super::trace_context::{TraceId, TraceParent};
use crate::root_url::RootUrl;

/// What spans of ours have as their target, at the level `DEBUG`.
pub const TARGET: &str = "traffic_cop::spans";
/// Most spans that wait. A change makes about ten.
const QUEUE: usize = 2048;
/// Most spans in one request.
const BATCH: usize = 512;
/// Between two requests, so that there are not more than a few a second.
const PAUSE: Duration = Duration::from_millis(500);
/// How long the collector may take. Spans of that time wait.
const ANSWER_TIME: Duration = Duration::from_secs(5);
/// How long it may take for the last spans, when everything else has ended.
const LAST_ANSWER_TIME: Duration = Duration::from_secs(1);

/// Whether anybody wants spans. Costs next to nothing.
#[must_use]
pub fn are_made() -> bool {
    tracing::enabled!(target: TARGET, Level::DEBUG)
}

/// Puts `span` below the one that `parent` names. Before anything else is done with it.
pub fn adopt(span: &Span, parent: TraceParent) {
    let context = SpanContext::new(
        opentelemetry::TraceId::from_bytes(parent.trace().bytes()),
        SpanId::from_bytes(parent.span()),
        TraceFlags::NOT_SAMPLED.with_sampled(parent.is_sampled()),
        true,
        TraceState::NONE,
    );
    // An error means that nobody exports spans.
    let _ = span.set_parent(Context::new().with_remote_span_context(context));
}

/// Calls `span` by another name, for who gets to see it.
pub fn rename(span: &Span, name: String) {
    span.context().span().update_name(name);
}

/// The trace that `span` belongs to, if it is exported.
#[must_use]
pub fn trace_of(span: &Span) -> Option<TraceId> {
    let context = span.context();
    TraceId::new(context.span().span_context().trace_id().to_bytes())
}

/// What a request says that is sent on behalf of the present span; `None` if it is not recorded.
#[must_use]
pub fn current() -> Option<TraceParent> {
    let context = Span::current().context();
    let span = context.span();
    let span = span.span_context();
    let trace = TraceId::new(span.trace_id().to_bytes())?;
    TraceParent::recorded(trace, span.span_id().to_bytes()).filter(|_| span.is_sampled())
}

/// Who takes spans.
#[derive(Debug, Clone)]
pub struct Collector {
    /// Where it is; spans go to `v1/traces` below.
    pub url: RootUrl,
    /// What else each request has in its head.
    pub headers: HeaderMap,
}

/// The layer that gives spans to a tracer: ours, and those with a target that begins with `requests`, if they are a part of one of
/// ours. On its own, reading the journal every 200 ms is nothing to look at.
pub fn layer<S>(tracer: SdkTracer, requests: &'static str) -> impl Layer<S>
where
    S: tracing::Subscriber + for<'a> LookupSpan<'a>,
{
    let is_request = move |metadata: &Metadata<'_>| {
        metadata.is_span() && metadata.target().starts_with(requests)
    };
    let is_ours = |metadata: &Metadata<'_>| metadata.target() == TARGET;
    let filter = dynamic_filter_fn(move |metadata, context: &layer::Context<'_, S>| {
        is_ours(metadata) || is_request(metadata) && context.lookup_current().is_some()
    });
    let filter = filter
        .with_callsite_filter(
            move |metadata| match is_ours(metadata) || is_request(metadata) {
                true => Interest::sometimes(),
                false => Interest::never(),
            },
        )
        .with_max_level_hint(LevelFilter::DEBUG);
    tracing_opentelemetry::layer()
        .with_tracer(tracer)
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
        .with_level(false)
        .with_filter(filter)
}

/// A tracer, and what posts its spans to `collector`. Traces that nobody has begun are recorded, others as their callers do.
///
/// # Errors
/// There is no TLS to be had.
pub fn export(
    collector: Collector,
    spans: Family<OutcomeLabels, Counter>,
) -> Result<(SdkTracer, Exporter), reqwest::Error> {
    let resource = Resource::builder_empty()
        .with_attributes([
            KeyValue::new("service.name", "traffic-cop"),
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("service.instance.id", uuid::Uuid::new_v4().to_string()),
        ])
        .build();
    let (queue, waiting) = mpsc::channel(QUEUE);
    let exporter = Exporter {
        waiting,
        resource: (&resource).into(),
        http: client(collector.url.as_url())?,
        url: collector.url.join(&["v1", "traces"]),
        headers: collector.headers,
        spans: spans.clone(),
        is_failing: false,
    };
    let provider = SdkTracerProvider::builder()
        .with_sampler(Sampler::ParentBased(Box::new(Sampler::AlwaysOn)))
        .with_resource(resource)
        .with_span_processor(Queue { queue, spans })
        .build();
    Ok((provider.tracer("traffic-cop"), exporter))
}

fn client(url: &Url) -> Result<reqwest::Client, reqwest::Error> {
    // An error means that the process has a provider already, which does as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut http = reqwest::Client::builder()
        .user_agent(concat!("traffic-cop/", env!("CARGO_PKG_VERSION")))
        .redirect(Policy::none());
    if url.scheme() == "http" {
        // The host's trust store is not needed, and a container may lack one.
        http = http.tls_certs_only([]);
    }
    http.build()
}

/// Where finished spans wait.
#[derive(Debug)]
struct Queue {
    queue: mpsc::Sender<SpanData>,
    spans: Family<OutcomeLabels, Counter>,
}

impl SpanProcessor for Queue {
    fn on_start(&self, _: &mut opentelemetry_sdk::trace::Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() && self.queue.try_send(span).is_err() {
            count(&self.spans, "dropped", 1);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

fn count(spans: &Family<OutcomeLabels, Counter>, outcome: &'static str, number: usize) {
    let spans = spans.get_or_create(&OutcomeLabels { outcome });
    spans.inc_by(number as u64);
}

/// What posts spans.
#[derive(Debug)]
pub struct Exporter {
    waiting: mpsc::Receiver<SpanData>,
    resource: ResourceAttributesWithSchema,
    http: reqwest::Client,
    url: Url,
    headers: HeaderMap,
    spans: Family<OutcomeLabels, Counter>,
    is_failing: bool,
}

impl Exporter {
    /// Posts spans until `stop`, then those that are left, if the collector takes them at once.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut batch = Vec::new();
        let posting = async {
            // The tracer holds the other end for as long as the process runs.
            while self.waiting.recv_many(&mut batch, BATCH).await > 0 {
                self.post(&mut batch, ANSWER_TIME).await;
                tokio::time::sleep(PAUSE).await;
            }
        };
        stop.run_until_cancelled(posting).await;
        self.waiting.close();
        self.waiting.recv_many(&mut batch, BATCH).await;
        self.post(&mut batch, LAST_ANSWER_TIME).await;
    }

    /// Posts `batch` once.
    async fn post(&mut self, batch: &mut Vec<SpanData>, answer_time: Duration) {
        let number = batch.len();
        if number == 0 {
            return;
        }
        // Kept until there is an answer: the end may come before it.
        let spans = group_spans_by_resource_and_scope(batch.clone(), &self.resource);
        let body = ExportTraceServiceRequest {
            resource_spans: spans,
        };
        let request = self
            .http
            .post(self.url.clone())
            .headers(self.headers.clone())
            .header(CONTENT_TYPE, "application/x-protobuf")
            .body(body.encode_to_vec());
        let answer = timeout(answer_time, request.send()).await;
        batch.clear();
        let error = match answer {
            Ok(Ok(answer)) if answer.status().is_success() => None,
            Ok(Ok(answer)) => Some(format!(
                "it answers with status {}",
                answer.status().as_u16()
            )),
            Ok(Err(error)) => Some(innermost(&error)),
            Err(_) => Some(format!("nothing within {answer_time:?}")),
        };
        let outcome = if error.is_none() {
            "exported"
        } else {
            "failed"
        };
        count(&self.spans, outcome, number);
        match error {
            Some(error) if !self.is_failing => {
                tracing::warn!(error, "spans are lost: the collector does not take them");
            }
            None if self.is_failing => tracing::info!("the collector takes spans again"),
            _ => {}
        }
        self.is_failing = outcome == "failed";
    }
}

/// The innermost cause says what happened; the layers above it say that something did.
fn innermost(mut error: &dyn Error) -> String {
    while let Some(cause) = error.source() {
        error = cause;
    }
    error.to_string()
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{Span as _, Tracer as _};

    use super::*;

    fn counted(spans: &Family<OutcomeLabels, Counter>, outcome: &'static str) -> u64 {
        spans.get_or_create(&OutcomeLabels { outcome }).get()
    }

    #[test]
    fn a_span_that_finds_no_place_is_counted_and_waits_for_nobody() {
        let (queue, mut waiting) = mpsc::channel(2);
        let spans = Family::default();
        let processor = Queue {
            queue,
            spans: spans.clone(),
        };
        let provider = SdkTracerProvider::builder()
            .with_sampler(Sampler::AlwaysOn)
            .with_span_processor(processor)
            .build();
        let tracer = provider.tracer("a test");
        for name in ["first", "second", "third", "fourth"] {
            tracer.start(name).end();
        }
        assert_eq!(counted(&spans, "dropped"), 2);
        assert_eq!(waiting.try_recv().unwrap().name, "first");
        tracer.start("fifth").end();
        assert_eq!(counted(&spans, "dropped"), 2, "there is a place again");
    }

    #[test]
    fn nobody_wants_spans_unless_asked() {
        tracing::subscriber::with_default(tracing_subscriber::registry(), || {
            let span = tracing::debug_span!(target: TARGET, "a change");
            adopt(
                &span,
                "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
                    .parse()
                    .unwrap(),
            );
            assert_eq!(trace_of(&span), None);
            assert_eq!(span.in_scope(current), None);
        });
    }
}
