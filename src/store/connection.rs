//! The connection to the tables: endpoint, credentials, timeouts, retries.

use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::interceptors::BeforeTransmitInterceptorContextRef;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{
    BehaviorVersion, ConfigBag, Intercept, Region, RuntimeComponents, SharedHttpClient,
};
use aws_sdk_dynamodb::error::BoxError;
use aws_smithy_http_client::{Builder, tls};

use super::error::StoreError;
use super::vacancy::LastQuestion;
use crate::telemetry::{StoreOperation, StoreRequests};

/// One attempt of any request. DynamoDB answers in single-digit milliseconds; a second is a lost packet or a lost host.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(1);
/// A TCP and TLS handshake, within and across zones.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);
/// A read with all its attempts. Polls, heartbeats and cold starts come again by themselves, so they need not try for long.
const READ_TIMEOUT: Duration = Duration::from_millis(2_500);
/// Attempts of a read, spread by the SDK's exponential back-off with full jitter from `INITIAL_BACKOFF` to `MAX_BACKOFF`.
const READ_ATTEMPTS: u32 = 3;
const INITIAL_BACKOFF: Duration = Duration::from_millis(25);
const MAX_BACKOFF: Duration = Duration::from_millis(400);

/// How the targets of the SDK's spans begin that stand for one request each, attempts included.
pub const SPANS: &str = "aws_sdk_dynamodb::operation";

/// Where the tables are and what they are called.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// URL of a DynamoDB-compatible endpoint; `None` is the region's own.
    pub url: Option<String>,
    /// AWS region; `None` leaves it to the environment.
    pub region: Option<String>,
    /// Name of the control table.
    pub control_table: String,
    /// Name of the evidence table.
    pub evidence_table: String,
}

impl Endpoint {
    /// Whether the endpoint is on this host, where any credentials do and no TLS is spoken.
    fn is_loopback(&self) -> bool {
        self.url
            .as_deref()
            .and_then(|url| url.parse::<http::Uri>().ok())
            .is_some_and(|uri| {
                uri.scheme_str() == Some("http")
                    && matches!(uri.host(), Some("127.0.0.1" | "localhost" | "[::1]"))
            })
    }
}

/// The two tables, ready to be asked.
#[derive(Debug, Clone)]
pub struct Store {
    pub(super) client: Client,
    /// The same connection for requests that are sent once per call: writes, since whoever writes knows better than the SDK what
    /// a repeat means.
    pub(super) once: Client,
    /// The same with connections of its own, for the reads that calls wait for. A connection belongs to the threads that opened
    /// it, and those are the calls': to read over another would be to wake others twice.
    pub(super) prompt: Client,
    pub(super) control_table: String,
    pub(super) evidence_table: String,
    may_write_control: bool,
    pub(super) requests: StoreRequests,
    pub(super) last_question: LastQuestion,
}

impl Store {
    /// The same tables for a process that only reads the control table. What would write to it is refused before it is sent.
    #[must_use]
    pub fn reading_control(mut self) -> Self {
        self.may_write_control = false;
        self
    }

    /// Refuses `operation` in a process that only reads the control table.
    pub(super) fn check_control_write(&self, operation: &'static str) -> Result<(), StoreError> {
        if self.may_write_control {
            return Ok(());
        }
        Err(StoreError::Refused {
            operation,
            code: "ReadOnly".to_owned(),
            message: "this process only reads the control table".to_owned(),
        })
    }

    /// Prepares a connection; nothing is sent before the first request. `requests` counts every attempt on the wire.
    pub async fn connect(endpoint: &Endpoint, requests: StoreRequests) -> Self {
        Self::connect_over(endpoint, requests, || connections(endpoint)).await
    }

    /// The same over a network of the caller's: each call of `network` is asked for connections of its own.
    pub async fn connect_over(
        endpoint: &Endpoint,
        requests: StoreRequests,
        network: impl Fn() -> SharedHttpClient,
    ) -> Self {
        let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .http_client(network())
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(CONNECT_TIMEOUT)
                    .operation_attempt_timeout(ATTEMPT_TIMEOUT)
                    .operation_timeout(READ_TIMEOUT)
                    .build(),
            )
            .retry_config(
                RetryConfig::standard()
                    .with_max_attempts(READ_ATTEMPTS)
                    .with_initial_backoff(INITIAL_BACKOFF)
                    .with_max_backoff(MAX_BACKOFF),
            );
        if let Some(url) = &endpoint.url {
            loader = loader.endpoint_url(url);
        }
        if let Some(region) = &endpoint.region {
            loader = loader.region(Region::new(region.clone()));
        }
        if endpoint.is_loopback() {
            // No search for credentials.
            loader = loader
                .credentials_provider(Credentials::new("local", "local", None, None, "loopback"));
            if endpoint.region.is_none() {
                loader = loader.region(Region::from_static("local"));
            }
        }
        let config = aws_sdk_dynamodb::config::Builder::from(&loader.load().await)
            .interceptor(CountRequests(requests.clone()))
            .build();
        let once = config
            .to_builder()
            .retry_config(RetryConfig::disabled())
            .build();
        let prompt = once.to_builder().http_client(network()).build();
        Self {
            once: Client::from_conf(once),
            prompt: Client::from_conf(prompt),
            client: Client::from_conf(config),
            control_table: endpoint.control_table.clone(),
            evidence_table: endpoint.evidence_table.clone(),
            may_write_control: true,
            requests,
            last_question: LastQuestion::default(),
        }
    }
}

/// Connections to the endpoint, opened when they are needed and shared by all who ask over them.
fn connections(endpoint: &Endpoint) -> SharedHttpClient {
    if endpoint.is_loopback() {
        // Plain HTTP without the host's trust store, which a container may lack.
        return Builder::new().build_http();
    }
    let ring = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring);
    Builder::new().tls_provider(ring).build_https()
}

/// Counts what goes over the wire, attempts included, so that tests and operators see what a decision costs the store.
#[derive(Debug)]
struct CountRequests(StoreRequests);

impl Intercept for CountRequests {
    fn name(&self) -> &'static str {
        "CountRequests"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        // The protocol names the operation there, behind the version of the service.
        let target = context.request().headers().get("x-amz-target");
        let name = target.and_then(|target| target.split('.').next_back());
        self.0
            .of(StoreOperation::named(name.unwrap_or_default()))
            .inc();
        Ok(())
    }
}
