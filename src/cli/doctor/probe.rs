//! Asking: what the checks look at.

use std::sync::Arc;
use std::time::Duration;

use http::header::{CACHE_CONTROL, DATE};
use http::{HeaderMap, Method, StatusCode};
use jiff::Timestamp;
use reqwest::tls::TlsInfo;
use reqwest::{RequestBuilder, Url};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use x509_parser::parse_x509_certificate;

use super::{Check, checks};
use crate::cli::client::Client;
use crate::cli::failure::Failure;
use crate::clock::{Clock, SystemClock};
use crate::domain::ids::EnvironmentName;

/// How often something is measured; the shortest time counts.
const TIMES: usize = 5;

/// Who asks, and whom.
pub(super) struct Probe {
    pub(super) admin: Client,
    pub(super) decisions: Client,
    pub(super) environment: Option<EnvironmentName>,
}

/// An answer, whatever its status.
pub(super) struct Asked {
    pub(super) status: StatusCode,
    pub(super) body: Value,
    pub(super) took: Duration,
    /// The server's clock against ours, in seconds; positive if it is ahead.
    pub(super) ahead: Option<i64>,
    /// The last day of its certificate.
    pub(super) not_after: Option<Timestamp>,
    pub(super) is_encrypted: bool,
}

impl Asked {
    /// Its body as a `T`, if it is the answer that was asked for.
    pub(super) fn read<T: DeserializeOwned>(&self) -> Option<T> {
        let is_good = self.status.is_success();
        serde_json::from_value(self.body.clone())
            .ok()
            .filter(|_| is_good)
    }
}

/// An answer, or why there is none.
pub(super) type Answer = Result<Asked, String>;

impl Probe {
    /// Every check, in order.
    pub(super) async fn all(&self) -> Vec<Check> {
        let clock = SystemClock::start();
        let now = clock.now();
        let clock: Arc<dyn Clock> = Arc::new(clock);
        let admin = self
            .shortest(&clock, &self.admin, &["health", "live"])
            .await;
        let decisions = self
            .shortest(&clock, &self.decisions, &["health", "ready"])
            .await;
        let mut found = vec![
            checks::admin(&admin),
            checks::decisions(&decisions),
            checks::clock(&admin),
            checks::certificate("certificate of the admin listener", &admin, now),
            checks::certificate("certificate of the decisions listener", &decisions, now),
        ];
        let Ok(admin) = admin else {
            return found;
        };
        let health = self.look(&clock, &self.admin, &["health", "detail"]).await;
        found.push(checks::replica(&health));
        found.extend(checks::alarms(&health));
        let environments = self.shortest(&clock, &self.admin, &["environments"]).await;
        found.push(checks::store_reads(&environments, admin.took));
        let replicas = self.look(&clock, &self.admin, &["replicas"]).await;
        found.push(checks::store_writes(&health, &replicas));
        found.push(checks::peers(&replicas));
        let name = self
            .environment
            .as_ref()
            .map(|name| name.as_str().to_owned());
        let name = name.or_else(|| checks::first_environment(&environments));
        found.push(match &name {
            Some(name) => checks::validation(&self.validations(&clock, name).await),
            None => Check::skipped(checks::VALIDATION, "there is no environment to ask with"),
        });
        let tokens = self.look(&clock, &self.admin, &["tokens"]).await;
        found.push(checks::tokens(&tokens, now));
        found.push(match &name {
            Some(name) => {
                let path = ["environments", name.as_str(), "preflight"];
                checks::genesys(&self.look(&clock, &self.admin, &path).await)
            }
            None => Check::skipped(checks::GENESYS, "there is no environment to ask with"),
        });
        found
    }

    async fn look(&self, clock: &Arc<dyn Clock>, client: &Client, path: &[&str]) -> Answer {
        let request = client.request(Method::GET, url(client, path));
        ask(clock, client, request).await
    }

    /// The quickest of some answers: the others waited for something that has nothing to do with what is asked.
    async fn shortest(&self, clock: &Arc<dyn Clock>, client: &Client, path: &[&str]) -> Answer {
        let mut shortest = self.look(clock, client, path).await?;
        for _ in 1..TIMES {
            let next = self.look(clock, client, path).await?;
            if next.took < shortest.took {
                shortest = next;
            }
        }
        Ok(shortest)
    }

    /// Questions that want the latest. They look variables up, which routes nobody and counts as no call.
    async fn validations(&self, clock: &Arc<dyn Clock>, name: &str) -> Vec<Answer> {
        let mut answers = Vec::new();
        for _ in 0..TIMES {
            let path = ["environments", name, "variables"];
            let request = self
                .decisions
                .request(Method::POST, url(&self.decisions, &path))
                .header(CACHE_CONTROL, "no-cache")
                .json(&json!({}));
            answers.push(ask(clock, &self.decisions, request).await);
        }
        answers
    }
}

fn url(client: &Client, path: &[&str]) -> Url {
    let segments: Vec<_> = std::iter::once("v1").chain(path.iter().copied()).collect();
    client.url(&segments)
}

async fn ask(clock: &Arc<dyn Clock>, client: &Client, request: RequestBuilder) -> Answer {
    let told = |failure: Failure| failure.problem.message().to_owned();
    let began = clock.monotonic();
    let response = client.send(request).await;
    let response = response.map_err(|silence| told(silence.into()))?;
    let (status, headers) = (response.status(), response.headers().clone());
    let is_encrypted = response.url().scheme() == "https";
    let certificate = response.extensions().get::<TlsInfo>();
    let not_after = certificate.and_then(|info| not_after(info.peer_certificate()?));
    let text = response.text().await;
    let text = text.map_err(|error| told(client.no_answer(&error)))?;
    Ok(Asked {
        status,
        body: serde_json::from_str(&text).unwrap_or_default(),
        took: clock.monotonic().saturating_sub(began),
        ahead: date(&headers).map(|theirs| theirs.duration_since(clock.now()).as_secs()),
        not_after,
        is_encrypted,
    })
}

fn not_after(certificate: &[u8]) -> Option<Timestamp> {
    let (_, certificate) = parse_x509_certificate(certificate).ok()?;
    Timestamp::from_second(certificate.validity().not_after.timestamp()).ok()
}

fn date(headers: &HeaderMap) -> Option<Timestamp> {
    let text = headers.get(DATE)?.to_str().ok()?;
    Some(jiff::fmt::rfc2822::parse(text).ok()?.timestamp())
}
