//! From the headers of a request to a principal.

use std::sync::Arc;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use subtle::ConstantTimeEq;

use super::token::{TokenText, hash};
use super::{AccessTable, Principal};
use crate::clock::Clock;
use crate::domain::access::{Grant, TokenHash};
use crate::domain::ids::Actor;

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
    pub fn authenticate<'a>(
        &'a self,
        headers: &HeaderMap,
        access: Option<&'a AccessTable>,
        clock: &dyn Clock,
    ) -> Result<&'a Arc<Principal>, Unauthenticated> {
        let Some(authorization) = headers.get(AUTHORIZATION) else {
            return self.anonymous.as_ref().ok_or(Unauthenticated);
        };
        let (scheme, token) = authorization
            .to_str()
            .ok()
            .and_then(|text| text.split_once(' '))
            .ok_or(Unauthenticated)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(Unauthenticated);
        }
        let hash = hash(token.trim_start_matches(' '));
        // The look-up compares hashes of what was presented, so its time says nothing about a secret.
        if let Some(principal) = access.and_then(|access| access.find(&hash, clock)) {
            return Ok(principal);
        }
        let first_admin = self
            .first_admin
            .as_ref()
            .filter(|(known, _)| bool::from(known.0.ct_eq(&hash.0)));
        first_admin
            .map(|(_, principal)| principal)
            .ok_or(Unauthenticated)
    }
}

fn name(text: &str) -> Actor {
    // The names above follow the grammar of an actor.
    text.parse().expect("a valid actor")
}
