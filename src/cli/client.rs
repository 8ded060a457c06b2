//! The HTTP client of the admin API and the decisions listener.

use std::time::Duration;

use anyhow::Context as _;
use http::header::{AUTHORIZATION, HeaderValue};
use http::{Method, StatusCode};
use reqwest::{RequestBuilder, Url};
use serde::de::DeserializeOwned;

use super::connection::{BaseUrl, TokenArgs, TrustArgs};
use super::exit::Exit;
use super::failure::Failure;

/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a request may take, its answer included. The server's own deadlines are shorter.
pub(super) const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);

/// An answer with a success status.
#[derive(Debug)]
pub(super) struct Answer {
    /// Its body.
    pub(super) text: String,
}

impl Answer {
    /// Its body, as a `T`.
    pub(super) fn read<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        let answer = serde_json::from_str(&self.text)
            .context("the answer is not what was expected; is this a traffic-cop's listener?")?;
        Ok(answer)
    }
}

/// A client of one listener.
#[derive(Debug, Clone)]
pub(super) struct Client {
    http: reqwest::Client,
    base: BaseUrl,
    authorization: Option<HeaderValue>,
}

impl Client {
    /// A client of the listener at `base`. Nothing is sent yet.
    pub(super) fn new(
        base: &BaseUrl,
        token: &TokenArgs,
        trust: &TrustArgs,
    ) -> Result<Self, Failure> {
        // An error means that the process has a provider already, which does as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("traffic-cop/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            // For `doctor`, which looks at the server's certificate.
            .tls_info(true)
            // The API never redirects; what does is a log-in page, and no answer.
            .redirect(reqwest::redirect::Policy::none());
        builder = trust.apply(builder, base)?;
        if base.is_loopback() {
            // A proxy for the world outside must not be asked for this host.
            builder = builder.no_proxy();
        }
        Ok(Self {
            http: builder.build().context("cannot set up the HTTP client")?,
            authorization: token.authorization(base)?,
            base: base.clone(),
        })
    }

    /// Where the listener is.
    pub(super) fn base(&self) -> &BaseUrl {
        &self.base
    }

    /// The URL of a resource.
    pub(super) fn url(&self, segments: &[&str]) -> Url {
        self.base.join(segments)
    }

    /// A request with the token and the usual time limit.
    pub(super) fn request(&self, method: Method, url: Url) -> RequestBuilder {
        self.unlimited_request(method, url).timeout(REQUEST_TIMEOUT)
    }

    /// A request with the token that may take as long as it takes.
    pub(super) fn unlimited_request(&self, method: Method, url: Url) -> RequestBuilder {
        let request = self.http.request(method, url);
        match &self.authorization {
            Some(authorization) => request.header(AUTHORIZATION, authorization.clone()),
            None => request,
        }
    }

    /// Reads a resource.
    pub(super) async fn get(&self, url: Url) -> Result<Answer, Failure> {
        self.answer(self.request(Method::GET, url)).await
    }

    /// Sends a request that changes nothing.
    pub(super) async fn answer(&self, request: RequestBuilder) -> Result<Answer, Failure> {
        let (status, text) = exchange(request)
            .await
            .map_err(|error| self.no_answer(&error))?;
        self.judge(status, text)
    }

    /// The answer if the server did what it was asked to.
    pub(super) fn judge(&self, status: StatusCode, text: String) -> Result<Answer, Failure> {
        if status.is_success() {
            return Ok(Answer { text });
        }
        let mut failure = Failure::from_answer(status, &text);
        if failure.exit == Exit::NotAllowed && self.authorization.is_none() {
            failure.hint = Some(
                "no token was sent; give one with --token-file, or name the server's --data-dir"
                    .to_owned(),
            );
        }
        Err(failure)
    }

    /// What to tell when a request got no answer.
    pub(super) fn no_answer(&self, error: &reqwest::Error) -> Failure {
        // The innermost cause says what happened; the layers above it say that something did.
        let mut cause: &dyn std::error::Error = error;
        while let Some(source) = cause.source() {
            cause = source;
        }
        Failure::no_answer(format!("{} did not answer: {cause}", self.base))
    }
}

/// Sends a request and reads the whole answer.
pub(super) async fn exchange(request: RequestBuilder) -> reqwest::Result<(StatusCode, String)> {
    let response = request.send().await?;
    Ok((response.status(), response.text().await?))
}
