//! Signing in with a token, and out again.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use askama::Template;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Redirect, Response};
use http::header::{RETRY_AFTER, SET_COOKIE};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::Deserialize;

use super::form::Form;
use super::frame::Frame;
use super::session::{Visitor, cookie, gone, require_same_origin};
use super::{HOME, LOGIN, page};
use crate::domain::access::Scope;
use crate::http::Listener;
use crate::http::admin::extract::Query;
use crate::http::problem::{Kind, Problem};

/// Wrong tokens that a process listens to in [`PAUSE`].
const MOST_FAILURES: usize = 10;
/// The time in which they are counted.
const PAUSE: Duration = Duration::from_secs(60);

/// The times of the last wrong tokens, by the monotonic clock.
///
/// A token is 256 random bits, so nobody guesses one, however often they try. This is about what tries cost: time, and lines
/// in the log. A good token is let in whatever others do, so nobody can lock anyone out.
#[derive(Debug, Default)]
pub(super) struct Attempts(Mutex<VecDeque<Duration>>);

impl Attempts {
    /// Whether there have been too many of late; if not, notes one more.
    fn is_one_too_many(&self, now: Duration) -> bool {
        // A short critical section, entered only with a wrong token.
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while failures
            .front()
            .is_some_and(|at| now.saturating_sub(*at) >= PAUSE)
        {
            failures.pop_front();
        }
        if failures.len() >= MOST_FAILURES {
            return true;
        }
        failures.push_back(now);
        false
    }
}

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage {
    frame: Frame,
    /// Where to go afterwards.
    to: String,
    refused: Option<&'static str>,
}

/// Where somebody wanted to go.
#[derive(Deserialize)]
pub(super) struct Wanted {
    to: Option<String>,
}

/// The door.
pub(super) async fn show(
    State(listener): State<Arc<Listener>>,
    Query(Wanted { to }): Query<Wanted>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let to = destination(to.as_deref().unwrap_or_default());
    if Visitor::of(&listener, &headers).is_ok() {
        return Ok(Redirect::to(&to).into_response());
    }
    page(&LoginPage {
        frame: Frame::of_nobody(&listener),
        to,
        refused: None,
    })
}

/// Takes a token for a session.
pub(super) async fn sign_in(
    State(listener): State<Arc<Listener>>,
    request: Request,
) -> Result<Response, Problem> {
    let (head, body) = request.into_parts();
    require_same_origin(&head.headers)?;
    let form = Form::read(&head.headers, body).await?;
    let to = destination(form.field("to"));
    let snapshot = listener.replica.snapshot().clone();
    let access = snapshot.as_ref().map(|snapshot| &*snapshot.access);
    let opened =
        listener
            .authenticator
            .open_session(form.field("token").trim(), access, &*listener.clock);
    let refused = match opened {
        Ok((session, principal)) if principal.may_somewhere(Scope::Read) => {
            tracing::info!(actor = %principal.actor, "signed in to the dashboard");
            let mut response = Redirect::to(&to).into_response();
            set_cookie(&mut response, &cookie(&session, &head.headers));
            return Ok(response);
        }
        Ok((_, principal)) => {
            tracing::warn!(actor = %principal.actor, why = "forbidden", "refused at the dashboard");
            (
                StatusCode::FORBIDDEN,
                "This token may not look at anything: it needs the scope read, and operate to change something.",
            )
        }
        // Before the first load a good token cannot be told from a bad one.
        Err(_) if snapshot.is_none() => return Err(Problem::not_ready()),
        Err(_)
            if listener
                .dashboard
                .attempts
                .is_one_too_many(listener.clock.monotonic()) =>
        {
            (
                StatusCode::TOO_MANY_REQUESTS,
                "There were too many wrong tokens in the last minute. Wait a minute, then try again.",
            )
        }
        Err(_) => {
            tracing::warn!(why = "unauthenticated", "refused at the dashboard");
            (
                StatusCode::UNAUTHORIZED,
                "This is no valid token: it is unknown, has expired or was revoked.",
            )
        }
    };
    let (status, refused) = refused;
    let mut response = page(&LoginPage {
        frame: Frame::of_nobody(&listener),
        to,
        refused: Some(refused),
    })?;
    *response.status_mut() = status;
    if status == StatusCode::TOO_MANY_REQUESTS {
        let seconds = HeaderValue::from(PAUSE.as_secs());
        response.headers_mut().insert(RETRY_AFTER, seconds);
    }
    Ok(response)
}

/// Has the browser forget the session.
pub(super) async fn sign_out(
    visitor: Visitor,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    require_same_origin(&headers)?;
    let form = Form::read(&headers, body).await?;
    visitor.require_own_form(form.field("form_token"))?;
    let mut response = Redirect::to(LOGIN).into_response();
    for cookie in gone() {
        set_cookie(&mut response, &cookie);
    }
    Ok(response)
}

fn set_cookie(response: &mut Response, cookie: &str) {
    match HeaderValue::from_str(cookie) {
        Ok(cookie) => {
            response.headers_mut().append(SET_COOKIE, cookie);
        }
        // A JWT is letters, digits, dots, dashes and underscores.
        Err(_) => {
            *response = Problem::new(Kind::Internal, "no cookie could be made").into_response();
        }
    }
}

/// A page of the dashboard, whatever `wanted` says.
fn destination(wanted: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '_' | '-');
    let is_ours = wanted == HOME || wanted.starts_with("/dashboard/environments/");
    if is_ours && wanted.chars().all(is_plain) && !wanted.contains("//") && !wanted.contains("..") {
        wanted.to_owned()
    } else {
        HOME.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_signs_in_stays_in_the_dashboard() {
        let good = "/dashboard/environments/Main_IVR/history";
        assert_eq!(destination(good), good);
        for bad in [
            "",
            "/",
            "https://elsewhere.example/",
            "//elsewhere.example/dashboard",
            "/dashboard/environments/../../v1/tokens",
            "/dashboard/environments//elsewhere.example",
            "/dashboard/environments/a\r\nSet-Cookie: a=b",
            "/dashboard/environments/a?x=<script>",
            "/dashboard/logout",
        ] {
            assert_eq!(destination(bad), HOME, "{bad:?}");
        }
    }

    #[test]
    fn ten_wrong_tokens_a_minute_are_listened_to() {
        let (attempts, second) = (Attempts::default(), Duration::from_secs(1));
        for n in 0..10 {
            assert!(!attempts.is_one_too_many(second * n));
        }
        assert!(attempts.is_one_too_many(second * 59));
        assert!(
            !attempts.is_one_too_many(second * 60),
            "the first is long ago"
        );
        assert!(attempts.is_one_too_many(second * 60), "the second is not");
    }
}
