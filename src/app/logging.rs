//! Where log lines go, and spans.

use anyhow::Context as _;
use opentelemetry_sdk::trace::SdkTracer;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry};

use crate::config::{LogFormat, ServeArgs, TraceArgs, may_colour};
use crate::store;
use crate::telemetry::Metrics;
use crate::telemetry::spans::{self, Collector, Exporter};

/// Starts both, before anything is done that could be told of. Returns what posts the spans, if anybody wants them.
///
/// # Errors
/// A setting does not read, or there is no TLS to be had.
pub(super) fn start(args: &ServeArgs, metrics: &Metrics) -> anyhow::Result<Option<Exporter>> {
    let filter = EnvFilter::try_new(&args.log).with_context(|| format!("--log {}", args.log))?;
    let log = tracing_subscriber::fmt::layer()
        // Told on standard error too, so where that is a file on a full disk, to be told would be a panic of whoever logs.
        .log_internal_errors(false)
        .with_writer(std::io::stderr);
    let log: Box<dyn Layer<Registry> + Send + Sync> = match args.log_format {
        LogFormat::Text => log.with_ansi(may_colour(&std::io::stderr())).boxed(),
        LogFormat::Json => log.json().flatten_event(true).boxed(),
    };
    let Some((tracer, exporter)) = exporter(&args.traces, metrics)? else {
        tracing_subscriber::registry().with(log).with(filter).init();
        return Ok(None);
    };
    tracing_subscriber::registry()
        .with(log.with_filter(filter))
        .with(spans::layer(tracer, store::SPANS))
        .init();
    Ok(Some(exporter))
}

fn exporter(args: &TraceArgs, metrics: &Metrics) -> anyhow::Result<Option<(SdkTracer, Exporter)>> {
    let Some(url) = args.otlp_endpoint.clone() else {
        return Ok(None);
    };
    let headers = args.headers()?;
    let collector = Collector { url, headers };
    let exporter = spans::export(collector, metrics.spans.clone());
    exporter.map(Some).context("cannot export spans")
}
