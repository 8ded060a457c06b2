//! Access tokens of OAuth 2.0 client credentials (RFC 6749, section 4.4), as the credential type *User Defined (OAuth)* of
//! Genesys Cloud asks for them.
//!
//! A **client** is a token of the access aggregate: its name or id is the client id, its text the client secret. What it gets
//! is a signed token that names the client and nothing that it may do. Every replica proves the signature without asking
//! anyone, and takes the rights from the client's grant in its snapshot: so whatever happens to the client, a revocation or a
//! narrower grant, holds for the access tokens it has fetched.

mod keys;
pub mod sources;

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use keys::{SigningKeyError, SigningKeys, generate};

use super::jwt::Times;
use crate::domain::access::TokenId;

/// How long an access token holds. Revocation does not wait for it, so it may as well be fetched seldom.
pub const LIFETIME: Duration = Duration::from_secs(60 * 60);
/// Who issues them, and for whom: this service, whatever its address.
const ISSUER: &str = "urn:traffic-cop";
/// The type of an access token among JWTs. Not a plain `JWT`: nobody shall take it for proof of who somebody is (RFC 9068,
/// section 2.1).
pub(super) const ACCESS_TOKEN: &str = "at+jwt";

/// What an access token says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct ClientClaims {
    iss: String,
    /// The client: the id of its token.
    pub(super) sub: TokenId,
    /// The id of the text that the client was authenticated with: when that ends, so does this.
    pub(super) text: TokenId,
    iat: i64,
    exp: i64,
}

/// An access token that was issued.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessToken {
    /// Its text.
    pub text: String,
    /// How long it holds.
    pub lifetime: Duration,
    /// What its client may do at present, with blanks between scopes.
    pub scope: String,
}

/// Why no access token was issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotIssued {
    /// Nothing is loaded yet, so a good client cannot be told from a bad one.
    #[error("nothing has been loaded from the store yet")]
    NotReady,
    /// The client is not authenticated.
    #[error("the client is unknown, its secret is wrong, or it has expired")]
    InvalidClient,
    /// The client sent more than one credential.
    #[error("the request carries several credentials")]
    SeveralCredentials,
    /// There is no key to sign with.
    #[error("this deployment has no signing key, so it issues no access tokens")]
    NoKey,
}

impl ClientClaims {
    /// Claims of a client that was authenticated at `now` with a text that works until `text_ends_at`.
    pub(super) fn new(
        client: TokenId,
        text: TokenId,
        text_ends_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Self {
        let end = now.saturating_add(LIFETIME).unwrap_or(Timestamp::MAX);
        let end = text_ends_at.map_or(end, |text_ends_at| text_ends_at.min(end));
        Self {
            iss: ISSUER.to_owned(),
            sub: client,
            text,
            iat: now.as_second(),
            exp: end.as_second(),
        }
    }

    pub(super) fn lifetime(&self) -> Duration {
        Duration::from_secs(u64::try_from(self.exp - self.iat).unwrap_or(0))
    }

    pub(super) fn times(&self) -> Times {
        Times::between(self.iat, self.exp)
    }
}

/// Whether a token that says it was issued by `issuer` is one of these.
pub(super) fn is_issuer(issuer: &str) -> bool {
    issuer == ISSUER
}
