//! Who looks: a session in a cookie, and what a form has to bring along besides.
//!
//! A form is taken only from a page of ours. The cookie is never sent from elsewhere (`SameSite=Strict`), the browser says
//! where the form was (`Sec-Fetch-Site`, `Origin`), and the form holds a text that only a page of this session can know.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Redirect, Response};
use data_encoding::HEXLOWER;
use http::header::{COOKIE, HOST, ORIGIN};
use http::request::Parts;
use http::{HeaderMap, HeaderName, Method};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::LOGIN;
use crate::access::session::Session;
use crate::domain::access::Scope;
use crate::http::Listener;
use crate::http::admin::caller::Caller;
use crate::http::problem::{Kind, Problem};

/// The cookie where the browser speaks TLS: nobody but this very host can set it (RFC 6265bis, section 4.1.3.2).
const SECURE_COOKIE: &str = "__Host-traffic_cop";
/// The cookie elsewhere, as on loopback.
const COOKIE_NAME: &str = "traffic_cop";

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Somebody who is signed in.
#[derive(Clone)]
pub(super) struct Visitor {
    pub(super) caller: Arc<Caller>,
    session: Arc<str>,
}

impl Visitor {
    /// Whose session the request carries, as of now.
    pub(super) fn of(listener: &Listener, headers: &HeaderMap) -> Result<Self, Problem> {
        let session = session(headers).ok_or_else(not_signed_in)?;
        Self::holding(listener, session.into())
    }

    fn holding(listener: &Listener, session: Arc<str>) -> Result<Self, Problem> {
        let snapshot = listener.replica.snapshot();
        let access = snapshot.as_ref().map(|snapshot| &*snapshot.access);
        let holder = listener
            .authenticator
            .session_holder(&session, access, &*listener.clock);
        match holder {
            Ok(principal) => Ok(Self {
                caller: Arc::new(Caller::holding(principal)),
                session,
            }),
            // Before the first load a good session cannot be told from a bad one.
            Err(_) if snapshot.is_none() => Err(Problem::not_ready()),
            Err(_) => Err(not_signed_in()),
        }
    }

    /// The same, asked anew: the token may have been revoked, or have expired.
    pub(super) fn renewed(&self, listener: &Listener) -> Option<Self> {
        Self::holding(listener, Arc::clone(&self.session)).ok()
    }

    /// What every form of this session holds. It says nothing of the session.
    pub(super) fn form_token(&self) -> String {
        let mut digest = Sha256::new();
        digest.update(b"traffic-cop dashboard form\0");
        digest.update(self.session.as_bytes());
        HEXLOWER.encode(&digest.finalize())
    }

    /// Refuses a form that is not from a page of this session.
    pub(super) fn require_own_form(&self, presented: &str) -> Result<(), Problem> {
        let is_own = self.form_token().as_bytes().ct_eq(presented.as_bytes());
        if is_own.into() {
            return Ok(());
        }
        let detail = "the form is not from a page of this session; open the page again and send it from there";
        Err(Problem::new(Kind::Forbidden, detail))
    }

    /// Refuses who may not look at `environment`.
    pub(super) fn require_read(&self, environment: &str) -> Result<(), Problem> {
        self.caller.require(Scope::Read, Some(environment))
    }
}

impl FromRequestParts<Arc<Listener>> for Visitor {
    type Rejection = Response;

    /// Who looks without a session is led to the door, and from there to what they wanted to see.
    async fn from_request_parts(
        parts: &mut Parts,
        listener: &Arc<Listener>,
    ) -> Result<Self, Response> {
        Self::of(listener, &parts.headers).map_err(|problem| {
            let is_page = parts.method == Method::GET && !parts.uri.path().ends_with("/events");
            if problem.kind() == Kind::Unauthenticated && is_page {
                let wanted = form_urlencoded::byte_serialize(parts.uri.path().as_bytes());
                let wanted: String = wanted.collect();
                return Redirect::to(&format!("{LOGIN}?to={wanted}")).into_response();
            }
            problem.into_response()
        })
    }
}

fn not_signed_in() -> Problem {
    Problem::new(
        Kind::Unauthenticated,
        "nobody is signed in here, or the session has ended: sign in at /dashboard/login",
    )
}

/// The text of the session in the request's cookies.
fn session(headers: &HeaderMap) -> Option<&str> {
    let named = |name: &str| {
        let cookies = headers.get_all(COOKIE).iter();
        let mut cookies = cookies
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(';'))
            .filter_map(|cookie| cookie.trim().split_once('='));
        cookies.find_map(|(known, value)| (known == name).then_some(value))
    };
    named(SECURE_COOKIE).or_else(|| named(COOKIE_NAME))
}

/// The cookie that holds `session`, for a browser that sent `headers`.
pub(super) fn cookie(session: &Session, headers: &HeaderMap) -> String {
    let (name, secure) = names(headers);
    let (text, seconds) = (&session.text, session.lifetime.as_secs());
    format!("{name}={text}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}")
}

/// The cookies that take sessions out of the browser again.
pub(super) fn gone() -> [String; 2] {
    [
        format!("{SECURE_COOKIE}=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict; Secure"),
        format!("{COOKIE_NAME}=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict"),
    ]
}

/// Whether the browser speaks TLS it says itself: a balancer in front of us may do that for us.
fn names(headers: &HeaderMap) -> (&'static str, &'static str) {
    let origin = headers.get(ORIGIN).and_then(|origin| origin.to_str().ok());
    if origin.is_some_and(|origin| origin.starts_with("https://")) {
        (SECURE_COOKIE, "; Secure")
    } else {
        (COOKIE_NAME, "")
    }
}

/// Refuses a form that was not on a page of ours. Browsers say where it was in one header or both: `Sec-Fetch-Site` only over
/// TLS and on loopback, `Origin` with every form.
pub(super) fn require_same_origin(headers: &HeaderMap) -> Result<(), Problem> {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let is_same = match (text(SEC_FETCH_SITE), text(ORIGIN)) {
        (Some(site), _) => site == "same-origin",
        (None, Some(origin)) => origin
            .split_once("://")
            .is_some_and(|(_, authority)| Some(authority) == text(HOST)),
        (None, None) => false,
    };
    if is_same {
        return Ok(());
    }
    let detail = "forms are taken only from pages of this dashboard, and the browser says that this one was elsewhere";
    Err(Problem::new(Kind::Forbidden, detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let fields = fields.iter().map(|(name, value)| {
            let name = HeaderName::from_static(name);
            (name, value.parse().expect("a value"))
        });
        fields.collect()
    }

    #[test]
    fn a_form_is_of_the_same_origin_if_the_browser_says_so() {
        for (fields, is_same) in [
            (vec![("sec-fetch-site", "same-origin")], true),
            (vec![("sec-fetch-site", "same-site")], false),
            (vec![("sec-fetch-site", "cross-site")], false),
            (vec![("sec-fetch-site", "none")], false),
            (vec![("origin", "http://a:8081")], true),
            (vec![("origin", "https://a:8081")], true),
            (vec![("origin", "http://a:8082")], false),
            (vec![("origin", "http://b:8081")], false),
            (vec![("origin", "null")], false),
            (
                vec![
                    ("sec-fetch-site", "cross-site"),
                    ("origin", "http://a:8081"),
                ],
                false,
            ),
            (vec![], false),
        ] {
            let mut fields = fields;
            fields.push(("host", "a:8081"));
            let found = require_same_origin(&headers(&fields)).is_ok();
            assert_eq!(found, is_same, "{fields:?}");
        }
    }

    #[test]
    fn the_session_is_found_among_other_cookies() {
        let found = |cookie: &'static str| {
            let headers = headers(&[("cookie", cookie)]);
            session(&headers).map(str::to_owned)
        };
        assert_eq!(found("a=b; traffic_cop=x.y.z"), Some("x.y.z".to_owned()));
        let both = "traffic_cop=x; __Host-traffic_cop=y";
        assert_eq!(found(both), Some("y".to_owned()));
        assert_eq!(found("not_traffic_cop=x"), None);
        assert_eq!(found(""), None);
    }

    #[test]
    fn a_cookie_is_for_tls_alone_where_the_browser_speaks_it() {
        let session = Session {
            text: "x".to_owned(),
            lifetime: std::time::Duration::from_secs(60),
        };
        let secure = cookie(&session, &headers(&[("origin", "https://a")]));
        assert_eq!(
            secure,
            "__Host-traffic_cop=x; Path=/; Max-Age=60; HttpOnly; SameSite=Strict; Secure"
        );
        let plain = cookie(&session, &headers(&[("origin", "http://127.0.0.1:8081")]));
        assert_eq!(
            plain,
            "traffic_cop=x; Path=/; Max-Age=60; HttpOnly; SameSite=Strict"
        );
    }
}
