//! The HTTP client of the admin API and the decisions listener.

use std::time::Duration;

use anyhow::Context as _;
use http::header::AUTHORIZATION;
use http::{Method, StatusCode};
use reqwest::{RequestBuilder, Response, Url};
use serde::de::DeserializeOwned;

use super::connection::{BaseUrl, TokenArgs, TrustArgs};
use super::credential::Credential;
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

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Silence {
    /// The request never arrived.
    NotSent(Failure),
    /// It may have arrived.
    Unknown(Failure),
}

impl From<Silence> for Failure {
    fn from(silence: Silence) -> Self {
        let (Silence::NotSent(failure) | Silence::Unknown(failure)) = silence;
        failure
    }
}

/// A client of one listener.
#[derive(Debug, Clone)]
pub(super) struct Client {
    http: reqwest::Client,
    base: BaseUrl,
    credential: Credential,
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
            credential: token.credential(base)?,
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

    /// A request with the usual time limit.
    pub(super) fn request(&self, method: Method, url: Url) -> RequestBuilder {
        self.unlimited_request(method, url).timeout(REQUEST_TIMEOUT)
    }

    /// A request that may take as long as it takes.
    pub(super) fn unlimited_request(&self, method: Method, url: Url) -> RequestBuilder {
        self.http.request(method, url)
    }

    /// Sends a request with the token; once more, if that is refused and there is another.
    pub(super) async fn send(&self, request: RequestBuilder) -> Result<Response, Silence> {
        let send = async |request: RequestBuilder| {
            let sent = request.send().await;
            sent.map_err(|error| match error.is_connect() {
                true => Silence::NotSent(self.no_answer(&error)),
                false => Silence::Unknown(self.no_answer(&error)),
            })
        };
        let token = self.credential.authorization().await;
        let Some(token) = token.map_err(Silence::NotSent)? else {
            return send(request).await;
        };
        // Requests with a body in memory can be cloned.
        let again = request.try_clone();
        let response = send(request.header(AUTHORIZATION, token.clone())).await?;
        let again = again.filter(|_| response.status() == StatusCode::UNAUTHORIZED);
        let Some(again) = again else {
            return Ok(response);
        };
        // Whoever is refused has had no effect.
        let other = self.credential.instead_of(&token).await;
        match other.map_err(Silence::NotSent)? {
            Some(other) => send(again.header(AUTHORIZATION, other)).await,
            None => Ok(response),
        }
    }

    /// Sends a request and reads the whole answer, whatever its status.
    pub(super) async fn exchange(
        &self,
        request: RequestBuilder,
    ) -> Result<(StatusCode, String), Silence> {
        let response = self.send(request).await?;
        let status = response.status();
        let text = response.text().await;
        let text = text.map_err(|error| Silence::Unknown(self.no_answer(&error)))?;
        Ok((status, text))
    }

    /// Reads a resource.
    pub(super) async fn get(&self, url: Url) -> Result<Answer, Failure> {
        self.answer(self.request(Method::GET, url)).await
    }

    /// Sends a request that changes nothing.
    pub(super) async fn answer(&self, request: RequestBuilder) -> Result<Answer, Failure> {
        let (status, text) = self.exchange(request).await?;
        self.judge(status, text)
    }

    /// The answer if the server did what it was asked to.
    pub(super) fn judge(&self, status: StatusCode, text: String) -> Result<Answer, Failure> {
        if status.is_success() {
            return Ok(Answer { text });
        }
        let mut failure = Failure::from_answer(status, &text);
        if failure.exit == Exit::NotAllowed && self.credential.is_none() {
            failure.hint = Some(
                "no token was sent; give one with --token-file or --token-command, or name the server's --data-dir"
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

#[cfg(test)]
mod tests {
    use std::fs;

    use clap::Parser;

    use super::*;
    use crate::cli::connection::AdminArgs;
    use crate::cli::stand_in::StandIn;

    const REFUSED: (u16, &str) = (401, r#"{"type":"urn:x","title":"who is that?"}"#);

    fn client(server: &StandIn, token: &[&str]) -> Client {
        #[derive(Parser)]
        struct Line {
            #[command(flatten)]
            admin: AdminArgs,
        }
        let line = ["x", "--server", &server.url];
        let line = Line::try_parse_from(line.iter().chain(token)).unwrap();
        line.admin.client().unwrap()
    }

    async fn ask(client: &Client) -> Result<Answer, Failure> {
        client.get(client.url(&["v1", "environments"])).await
    }

    #[tokio::test]
    async fn a_token_that_ends_meanwhile_is_taken_anew_from_where_it_came() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("token");
        let path = file.to_str().unwrap();
        let command = format!("cat '{path}'");
        for token in [["--token-file", path], ["--token-command", &command]] {
            let server = StandIn::start(&[(200, "first"), REFUSED, (200, "second")]).await;
            fs::write(&file, "tc_1\n").unwrap();
            let client = client(&server, &token);
            assert_eq!(ask(&client).await.unwrap().text, "first");
            fs::write(&file, "tc_2\n").unwrap();
            assert_eq!(ask(&client).await.unwrap().text, "second");
            let sent = server.authorizations();
            assert_eq!(sent, ["Bearer tc_1", "Bearer tc_1", "Bearer tc_2"]);
        }
    }

    #[tokio::test]
    async fn who_is_refused_with_every_token_is_told_so_after_one_more() {
        for (token, requests) in [
            (["--token", "tc_1"], 1),
            (["--token-command", "echo tc_1"], 1),
            (["--token-command", "date +%N"], 2),
        ] {
            let server = StandIn::start(&[REFUSED, REFUSED]).await;
            let failure = ask(&client(&server, &token)).await.unwrap_err();
            assert_eq!(failure.exit, Exit::NotAllowed);
            assert_eq!(server.authorizations().len(), requests, "{token:?}");
        }
    }

    #[tokio::test]
    async fn a_failure_to_get_another_token_may_pass() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("token");
        let path = file.to_str().unwrap();
        let server = StandIn::start(&[REFUSED, REFUSED, (200, "at last")]).await;
        fs::write(&file, "tc_1").unwrap();
        let client = client(&server, &["--token-command", &format!("cat '{path}'")]);
        client.credential.authorization().await.unwrap();
        fs::remove_file(&file).unwrap();
        assert!(!ask(&client).await.unwrap_err().is_for_good());
        fs::write(&file, "tc_2").unwrap();
        assert_eq!(ask(&client).await.unwrap().text, "at last");
    }
}
