//! From the headers of a request to a principal.

use std::sync::Arc;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use subtle::ConstantTimeEq;

use super::token::{TokenText, hash};
use super::{AccessTable, Principal};
use crate::clock::Clock;
use crate::domain::access::{Grant, TokenHash};
use crate::domain::ids::Actor;

/// The authentication scheme and the blank behind it.
const SCHEME: &[u8] = b"Bearer ";

/// A request whose credentials are missing or not valid. Which of the two is not told apart: a caller cannot use it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a valid token is needed: send it as `Authorization: Bearer tc_…`")]
pub struct Unauthenticated;

/// The credentials that do not come from the access aggregate.
#[derive(Debug, Clone, Default)]
pub struct Authenticator {
    first_admin: Option<(TokenHash, Arc<Principal>)>,
    anonymous: Option<Arc<Principal>>,
}

impl Authenticator {
    /// Lets the holder of `token` do everything: the way in before there are other tokens.
    #[must_use]
    pub fn with_first_admin(mut self, token: &TokenText) -> Self {
        let principal = Principal {
            actor: name("first-admin"),
            grant: Grant::everything(),
        };
        self.first_admin = Some((token.hash(), Arc::new(principal)));
        self
    }

    /// Whether there is a way in before there are other tokens.
    #[must_use]
    pub fn has_first_admin(&self) -> bool {
        self.first_admin.is_some()
    }

    /// Lets callers without credentials ask for decisions.
    #[must_use]
    pub fn with_anonymous_decisions(mut self) -> Self {
        self.anonymous = Some(Arc::new(Principal {
            actor: name("anonymous"),
            grant: Grant::decisions(),
        }));
        self
    }

    /// Who sent a request with these headers.
    ///
    /// # Errors
    /// Nobody known, or a token that has expired or was revoked. A wrong token is never taken for an absent one.
    pub fn authenticate(
        &self,
        headers: &HeaderMap,
        access: Option<&AccessTable>,
        clock: &dyn Clock,
    ) -> Result<Arc<Principal>, Unauthenticated> {
        let Some(authorization) = headers.get(AUTHORIZATION) else {
            return self.anonymous.clone().ok_or(Unauthenticated);
        };
        let token = bearer_token(authorization).ok_or(Unauthenticated)?;
        if let Some(principal) = access.and_then(|access| access.find(token, clock)) {
            return Ok(principal);
        }
        let (known, principal) = self.first_admin.as_ref().ok_or(Unauthenticated)?;
        let is_known = bool::from(known.0.ct_eq(&hash(token).0));
        is_known
            .then(|| Arc::clone(principal))
            .ok_or(Unauthenticated)
    }
}

/// What follows the scheme `Bearer`, which is written in any case (RFC 9110, section 11.1).
fn bearer_token(authorization: &HeaderValue) -> Option<&str> {
    let (scheme, token) = authorization.as_bytes().split_at_checked(SCHEME.len())?;
    let token = std::str::from_utf8(token)
        .ok()
        .filter(|_| scheme.eq_ignore_ascii_case(SCHEME))?;
    Some(token.trim_start_matches(' '))
}

fn name(text: &str) -> Actor {
    // The names above follow the grammar of an actor.
    text.parse().expect("a valid actor")
}
