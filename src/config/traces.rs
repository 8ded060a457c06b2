//! Settings of traces: where spans go.

use anyhow::Context as _;
use clap::Args;
use http::{HeaderMap, HeaderName, HeaderValue};
use reqwest::Url;

use super::Secret;
use crate::root_url::RootUrl;

/// Where the help lists these.
const HEADING: &str = "Traces";

/// Whether spans are made, and who gets them.
#[derive(Debug, Clone, Args)]
pub struct TraceArgs {
    /// URL of an OpenTelemetry collector that takes OTLP over HTTP, such as http://127.0.0.1:4318. It gets the spans of changes, of
    /// steps of rollouts and of webhooks, at `v1/traces` below it. Without it none are made.
    #[arg(
        long,
        env = "TRAFFIC_COP_OTLP_ENDPOINT",
        value_parser = collector,
        value_name = "URL",
        help_heading = HEADING
    )]
    pub otlp_endpoint: Option<RootUrl>,
    /// Header fields for the collector, such as its credentials: NAME=VALUE, several with commas. Better given by the environment
    /// than on a command line that others can read.
    #[arg(
        long,
        env = "TRAFFIC_COP_OTLP_HEADERS",
        hide_env_values = true,
        requires = "otlp_endpoint",
        value_name = "FIELDS",
        help_heading = HEADING
    )]
    pub otlp_headers: Option<Secret>,
}

impl TraceArgs {
    /// The header fields for the collector.
    ///
    /// # Errors
    /// They do not read as such. The message does not repeat them.
    pub fn headers(&self) -> anyhow::Result<HeaderMap> {
        let fields = self.otlp_headers.as_ref().map_or("", Secret::reveal);
        let fields = fields.split(',').filter(|field| !field.trim().is_empty());
        let fields = fields.map(|field| {
            let (name, value) = field.split_once('=')?;
            let name: HeaderName = name.trim().parse().ok()?;
            let mut value = HeaderValue::from_str(value.trim()).ok()?;
            value.set_sensitive(true);
            Some((name, value))
        });
        let fields: Option<HeaderMap> = fields.collect();
        fields.context("--otlp-headers: expected NAME=VALUE, several with commas")
    }
}

/// A URL that something can be put below.
fn collector(text: &str) -> Result<RootUrl, &'static str> {
    let url = Url::parse(text).ok();
    let url = url.filter(|url| matches!(url.scheme(), "http" | "https"));
    url.and_then(RootUrl::of)
        .ok_or("expected an http or https URL, such as http://127.0.0.1:4318")
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Only {
        #[command(flatten)]
        traces: TraceArgs,
    }

    fn traces(arguments: &[&str]) -> Option<TraceArgs> {
        let line = std::iter::once("x").chain(arguments.iter().copied());
        Only::try_parse_from(line).ok().map(|only| only.traces)
    }

    #[test]
    fn a_collector_is_a_host_perhaps_with_a_path() {
        for good in ["http://127.0.0.1:4318", "https://otel.example/tenant/4711/"] {
            assert!(traces(&["--otlp-endpoint", good]).is_some(), "{good}");
        }
        for bad in [
            "",
            "127.0.0.1:4318",
            "grpc://x",
            "http://x/?a=b",
            "http://x/#a",
        ] {
            assert!(traces(&["--otlp-endpoint", bad]).is_none(), "{bad}");
        }
        assert!(traces(&["--otlp-headers", "a=b"]).is_none(), "for whom?");
    }

    #[test]
    fn header_fields_are_names_and_values_that_nobody_gets_to_see() {
        let with =
            |fields| traces(&["--otlp-endpoint", "http://x", "--otlp-headers", fields]).unwrap();
        let headers = with("Authorization=Basic YTpi=, x-tenant = ours ,")
            .headers()
            .unwrap();
        assert_eq!(
            (&headers["authorization"], &headers["x-tenant"]),
            (
                &HeaderValue::from_static("Basic YTpi="),
                &HeaderValue::from_static("ours")
            )
        );
        let shown = format!("{headers:?} {:?}", with("a=YTpi"));
        assert!(!shown.contains("YTpi"), "{shown}");
        for bad in ["secret", "a b=secret", "=secret", "a=se\ncret"] {
            let error = with(bad).headers().unwrap_err();
            assert!(!error.to_string().contains("cret"), "{error}");
        }
        assert!(traces(&[]).unwrap().headers().unwrap().is_empty());
    }
}
