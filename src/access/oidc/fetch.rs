//! Asking an issuer for its keys: its discovery document (OpenID Connect Discovery 1.0, section 4), then the key set it names.

use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode};
use serde::Deserialize;
use serde_json::Value;

use super::keys::{IssuerKeys, NoKeys};
use crate::domain::ids::IssuerUrl;

/// Most bytes of an answer. GitHub's key set has 10 KB.
const MAX_BYTES: usize = 64 * 1024;
/// How long a connection may take.
const CONNECT_TIME: Duration = Duration::from_secs(2);
/// How long one of the two answers may take.
const ANSWER_TIME: Duration = Duration::from_secs(4);

/// Keys, and the set that they were read from.
pub(super) struct Fetched {
    pub(super) keys: IssuerKeys,
    pub(super) set: Value,
}

/// Keys that could not be had. Nothing of an answer is repeated.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error("it did not answer: {0}")]
    NoAnswer(String),
    #[error("it answered with status {0}")]
    Status(StatusCode),
    #[error("its answer is larger than {MAX_BYTES} bytes")]
    TooLarge,
    #[error("its answer is no JSON of the shape expected")]
    Unreadable,
    #[error("its discovery document is that of another issuer")]
    OtherIssuer,
    #[error("its discovery document names a key set that is not at an https URL")]
    KeySetPlace,
    #[error(transparent)]
    NoKeys(#[from] NoKeys),
}

#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

/// The keys of `issuer`, by two requests.
pub(super) async fn fetch(issuer: &IssuerUrl) -> Result<Fetched, FetchError> {
    let client = client(issuer)?;
    let base = issuer.as_str().trim_end_matches('/');
    let discovery = get(&client, &format!("{base}/.well-known/openid-configuration")).await?;
    let discovery = Discovery::deserialize(discovery).map_err(|_| FetchError::Unreadable)?;
    if discovery.issuer != issuer.as_str() {
        return Err(FetchError::OtherIssuer);
    }
    let place = discovery.jwks_uri;
    let is_safe = place.starts_with("https://")
        || issuer.is_on_this_host() && place.parse::<IssuerUrl>().is_ok();
    if !is_safe {
        return Err(FetchError::KeySetPlace);
    }
    let set = get(&client, &place).await?;
    let keys = IssuerKeys::read(issuer.clone(), &set)?;
    Ok(Fetched { keys, set })
}

/// Made anew each time: a changed trust store of the host is noticed, and it happens every few minutes.
fn client(issuer: &IssuerUrl) -> Result<Client, FetchError> {
    // An error means that the process has a provider already, which does as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = Client::builder()
        .user_agent(concat!("traffic-cop/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIME)
        .timeout(ANSWER_TIME)
        // Keys come from where the issuer says that they are, and from nowhere else.
        .redirect(Policy::none());
    builder = if issuer.is_on_this_host() {
        builder.no_proxy().tls_certs_only([])
    } else {
        builder.https_only(true)
    };
    builder.build().map_err(|error| no_answer(&error))
}

async fn get(client: &Client, url: &str) -> Result<Value, FetchError> {
    let sent = client.get(url).send().await;
    let mut response = sent.map_err(|error| no_answer(&error))?;
    if response.status() != StatusCode::OK {
        return Err(FetchError::Status(response.status()));
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| no_answer(&error))? {
        if body.len() + chunk.len() > MAX_BYTES {
            return Err(FetchError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    serde_json::from_slice(&body).map_err(|_| FetchError::Unreadable)
}

/// The innermost cause says what happened; the layers above it say that something did.
fn no_answer(error: &reqwest::Error) -> FetchError {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    FetchError::NoAnswer(cause.to_string())
}
