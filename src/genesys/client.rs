//! A client of the Platform API: access tokens by client credentials (`POST /oauth/token` at the login host), questions, and the
//! rows of data tables.
//!
//! The secret and the token go to the two hosts of the settings and nowhere else, so redirects are not followed. An access token
//! is used until it is refused, and then another is fetched once. An answer has 10 s and 1 MiB, and nothing of it is repeated in
//! errors or the log.

mod data_table;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{CONTENT_TYPE, DATE, HeaderMap, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{RequestBuilder, StatusCode, Url};
use serde::Deserialize;

use super::budget::Budget;
use super::flow_aggregates::{self, InvalidAnswer, Query, Row};
use super::place::Place;
use super::preflight::{self, Flow};
use crate::clock::Clock;
use crate::config::Secret;
use crate::domain::ids::FlowId;

/// Most bytes of an answer.
const MAX_BYTES: usize = 1024 * 1024;
/// How long a connection may take.
const CONNECT_TIME: Duration = Duration::from_secs(3);
/// How long an answer may take, connection included.
const ANSWER_TIME: Duration = Duration::from_secs(10);
/// How far the clock of Genesys Cloud may be from ours. Intervals are asked for by our clock and counted by theirs.
const MOST_APART: Duration = Duration::from_secs(60);

/// Who asks, and where.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where the organisation is.
    pub place: Place,
    /// Id of the OAuth client.
    pub client_id: String,
    /// Where its secret is.
    pub client_secret: ClientSecret,
    /// Most requests in a minute, for everything.
    pub requests_per_minute: u32,
}

/// The secret of the OAuth client.
#[derive(Debug, Clone)]
pub enum ClientSecret {
    /// A file has it; read for every login, so that it can be changed.
    File(PathBuf),
    /// This is it, for as long as the process lasts.
    Given(Secret),
}

/// A question that was not answered.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// The minute's requests are used up, or a refusal is being heeded. Nothing was asked.
    #[error("it is not the time to ask")]
    NotNow,
    /// The secret cannot be read.
    #[error("the client secret cannot be read: {0}")]
    NoSecret(#[source] std::io::Error),
    /// There is no answer, or it takes too long.
    #[error("it did not answer: {0}")]
    NoAnswer(String),
    /// The client's id or secret is wrong.
    #[error("it refuses the client's id and secret (status {0})")]
    LoginRefused(StatusCode),
    /// A new access token is refused like the one before.
    #[error("it refuses its own access tokens")]
    Unauthenticated,
    /// The client lacks a permission.
    #[error("the client may not ask this")]
    Forbidden,
    /// Too much is asked; nothing is until then.
    #[error("too much is asked; it wants {0:?} of silence")]
    Throttled(Duration),
    /// Another status that is no answer, a redirect among them.
    #[error("it answered with status {0}")]
    Status(StatusCode),
    /// The answer is too large.
    #[error("its answer is larger than {MAX_BYTES} bytes")]
    TooLarge,
    /// The answer cannot be used.
    #[error(transparent)]
    Invalid(#[from] InvalidAnswer),
    /// The two clocks are too far apart to name an interval.
    #[error("its clock is {0} s ahead of ours")]
    ClocksApart(i64),
}

/// An organisation that can be asked.
#[derive(Debug)]
pub struct Client {
    settings: Settings,
    http: reqwest::Client,
    clock: Arc<dyn Clock>,
    token: Mutex<Option<Secret>>,
    budget: Mutex<Budget>,
}

/// A whole answer that is a success.
struct Answer {
    headers: HeaderMap,
    body: Vec<u8>,
}

#[derive(Deserialize)]
struct Login {
    access_token: String,
}

impl ClientSecret {
    async fn read(&self) -> std::io::Result<Secret> {
        let file = match self {
            Self::File(file) => file.clone(),
            Self::Given(secret) => return Ok(secret.clone()),
        };
        let read = tokio::task::spawn_blocking(move || std::fs::read_to_string(file)).await;
        read.map_err(std::io::Error::other)
            .flatten()
            .map(Secret::from)
    }
}

impl Client {
    /// A client that has asked nothing yet.
    ///
    /// # Errors
    /// The host's trust store cannot be read.
    pub fn new(settings: Settings, clock: Arc<dyn Clock>) -> Result<Self, reqwest::Error> {
        // An error means that the process has a provider already, which does as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut http = reqwest::Client::builder()
            .user_agent(concat!("traffic-cop/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIME)
            .timeout(ANSWER_TIME)
            .redirect(Policy::none());
        let place = &settings.place;
        if place.login.is_on_this_host() && place.api.is_on_this_host() {
            http = http.no_proxy().tls_certs_only([]);
        }
        Ok(Self {
            http: http.build()?,
            budget: Mutex::new(Budget::of(settings.requests_per_minute)),
            settings,
            clock,
            token: Mutex::new(None),
        })
    }

    /// The counts that `query` asks for.
    ///
    /// # Errors
    /// Why there are none.
    pub async fn flow_aggregates(&self, query: &Query) -> Result<Vec<Row>, AskError> {
        let url = self
            .settings
            .place
            .api
            .at("/api/v2/analytics/flows/aggregates/query");
        let answer = self.ask(self.http.post(url).json(&query.body())).await?;
        self.compare_clocks(&answer.headers)?;
        Ok(flow_aggregates::read(&answer.body)?)
    }

    /// The flow `id`; `None` if there is none that this client may see.
    ///
    /// # Errors
    /// Why nothing is known of it.
    pub async fn flow(&self, id: &FlowId) -> Result<Option<Flow>, AskError> {
        // The grammar of ids leaves nothing that could lead elsewhere.
        let url = self.settings.place.api.at(&format!("/api/v2/flows/{id}"));
        let answer = self.ask_for(url).await?;
        let flow = answer.map(|answer| preflight::read(id, &answer.body));
        Ok(flow.transpose()?)
    }

    /// Whether a request could be sent now: one that could not is answered by [`AskError::NotNow`].
    #[must_use]
    pub fn may_ask(&self) -> bool {
        locked(&self.budget).has_room(self.clock.monotonic())
    }

    /// Most requests in a minute, for everything.
    #[must_use]
    pub fn requests_per_minute(&self) -> u32 {
        self.settings.requests_per_minute
    }

    /// What is at `url`, if anything is.
    async fn ask_for(&self, url: Url) -> Result<Option<Answer>, AskError> {
        match self.ask(self.http.get(url)).await {
            Ok(answer) => Ok(Some(answer)),
            Err(AskError::Status(StatusCode::NOT_FOUND)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Asks with an access token, and once more with a new one if that is refused.
    async fn ask(&self, request: RequestBuilder) -> Result<Answer, AskError> {
        let known = self.token();
        let is_known = known.is_some();
        let token = match known {
            Some(token) => token,
            None => self.log_in().await?,
        };
        // Requests with a body in memory can be cloned.
        let again = request.try_clone();
        match self.send(request.bearer_auth(token.reveal())).await {
            Err(AskError::Unauthenticated) => {
                *locked(&self.token) = None;
                let again = again
                    .filter(|_| is_known)
                    .ok_or(AskError::Unauthenticated)?;
                let token = self.log_in().await?;
                let answer = self.send(again.bearer_auth(token.reveal())).await;
                if matches!(answer, Err(AskError::Unauthenticated)) {
                    *locked(&self.token) = None;
                }
                answer
            }
            answer => answer,
        }
    }

    fn token(&self) -> Option<Secret> {
        locked(&self.token).clone()
    }

    /// Fetches an access token.
    async fn log_in(&self) -> Result<Secret, AskError> {
        let secret = self.settings.client_secret.read().await;
        let secret = secret.map_err(AskError::NoSecret)?;
        let request = self
            .http
            .post(self.settings.place.login.at("/oauth/token"))
            .basic_auth(&self.settings.client_id, Some(secret.reveal().trim()))
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body("grant_type=client_credentials");
        let answer = self.send(request).await.map_err(|error| match error {
            AskError::Unauthenticated => AskError::LoginRefused(StatusCode::UNAUTHORIZED),
            AskError::Forbidden => AskError::LoginRefused(StatusCode::FORBIDDEN),
            AskError::Status(StatusCode::BAD_REQUEST) => {
                AskError::LoginRefused(StatusCode::BAD_REQUEST)
            }
            other => other,
        })?;
        let login: Login =
            serde_json::from_slice(&answer.body).map_err(|_| InvalidAnswer::Unreadable)?;
        let token = Secret::from(login.access_token);
        *locked(&self.token) = Some(token.clone());
        Ok(token)
    }

    /// Sends one request, if the budget has one left.
    async fn send(&self, request: RequestBuilder) -> Result<Answer, AskError> {
        if !locked(&self.budget).take(self.clock.monotonic()) {
            return Err(AskError::NotNow);
        }
        let mut response = request.send().await.map_err(|error| no_answer(&error))?;
        let status = response.status();
        if status == StatusCode::TOO_MANY_REQUESTS {
            let pause = retry_after(response.headers());
            let pause = locked(&self.budget).refused(self.clock.monotonic(), pause);
            return Err(AskError::Throttled(pause));
        }
        locked(&self.budget).heard();
        match status {
            status if status.is_success() => {}
            StatusCode::UNAUTHORIZED => return Err(AskError::Unauthenticated),
            StatusCode::FORBIDDEN => return Err(AskError::Forbidden),
            other => return Err(AskError::Status(other)),
        }
        let headers = response.headers().clone();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| no_answer(&error))? {
            if body.len() + chunk.len() > MAX_BYTES {
                return Err(AskError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { headers, body })
    }

    /// An answer that has no date, or none that reads, proves nothing against a clock.
    fn compare_clocks(&self, headers: &HeaderMap) -> Result<(), AskError> {
        let Some(theirs) = date(headers) else {
            return Ok(());
        };
        let ahead = theirs.duration_since(self.clock.now());
        if ahead.unsigned_abs() > MOST_APART {
            return Err(AskError::ClocksApart(ahead.as_secs()));
        }
        Ok(())
    }
}

/// A short critical section that copies or replaces.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn date(headers: &HeaderMap) -> Option<Timestamp> {
    let text = headers.get(DATE)?.to_str().ok()?;
    let date = jiff::fmt::rfc2822::parse(text).ok()?;
    Some(date.timestamp())
}

/// In seconds, which is how Genesys Cloud says it.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    seconds.parse().ok().map(Duration::from_secs)
}

/// The innermost cause says what happened; the layers above it say that something did.
fn no_answer(error: &reqwest::Error) -> AskError {
    if error.is_timeout() {
        return AskError::NoAnswer(format!("nothing within {ANSWER_TIME:?}"));
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    AskError::NoAnswer(cause.to_string())
}
