//! From the headers of a request to a principal.

use std::sync::Arc;

use http::HeaderMap;
use subtle::ConstantTimeEq;

use super::credential::Credential;
use super::keyring::Proved;
use super::oauth::{ACCESS_TOKEN, AccessToken, ClientClaims, NotIssued};
use super::session::{OwnKey, Session, SessionClaims};
use super::token::{PREFIX, TokenText, hash};
use super::{AccessTable, BasicPair, Keyring, Principal};
use crate::clock::Clock;
use crate::domain::access::{Grant, TokenHash, TokenId};
use crate::domain::ids::Actor;

/// The name of who holds the first admin token.
const FIRST_ADMIN: &str = "first-admin";

/// A request whose credential does not say who sent it. A credential that is unknown, one that has expired and one that was
/// revoked are not told apart: a caller cannot use the difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unauthenticated {
    /// There is none, and strangers may not ask for this.
    #[error("a credential is needed: send a token as `Authorization: Bearer tc_…`")]
    Missing,
    /// There is more than one.
    #[error("the request carries several credentials; send exactly one")]
    Several,
    /// It does not read as one.
    #[error(
        "the Authorization header does not read; send `Bearer` and a token, or `Basic` and a token's name and text"
    )]
    Malformed,
    /// It lets nobody in.
    #[error("the credential is not valid: it is unknown, has expired or was revoked")]
    Invalid,
}

/// The credentials that do not come from the access aggregate.
#[derive(Debug, Clone, Default)]
pub struct Authenticator {
    first_admin: Option<(TokenHash, Arc<Principal>)>,
    anonymous: Option<Arc<Principal>>,
    keyring: Arc<Keyring>,
    session_key: OwnKey,
}

impl Authenticator {
    /// Lets the holder of `token` do everything: the way in before there are other tokens.
    #[must_use]
    pub fn with_first_admin(mut self, token: &TokenText) -> Self {
        let principal = Principal {
            actor: name(FIRST_ADMIN),
            grants: vec![Grant::everything()],
        };
        self.first_admin = Some((token.hash(), Arc::new(principal)));
        self
    }

    /// Whether there is a way in before there are other tokens.
    #[must_use]
    pub fn has_first_admin(&self) -> bool {
        self.first_admin.is_some()
    }

    /// Lets in who presents a JWT that is proved by a key of `keyring`.
    #[must_use]
    pub fn with_keyring(mut self, keyring: Arc<Keyring>) -> Self {
        self.keyring = keyring;
        self
    }

    /// What JWTs are proved with.
    #[must_use]
    pub fn keyring(&self) -> &Keyring {
        &self.keyring
    }

    /// Lets callers without credentials ask for decisions.
    #[must_use]
    pub fn with_anonymous_decisions(mut self) -> Self {
        self.anonymous = Some(Arc::new(Principal {
            actor: name("anonymous"),
            grants: vec![Grant::decisions()],
        }));
        self
    }

    /// Who asks for a decision with these headers: a stranger is nobody, unless strangers may.
    ///
    /// # Errors
    /// See [`Unauthenticated`]. A wrong credential is never taken for an absent one.
    pub fn authenticate(
        &self,
        headers: &HeaderMap,
        access: Option<&AccessTable>,
        clock: &dyn Clock,
    ) -> Result<Arc<Principal>, Unauthenticated> {
        match Credential::of(headers)? {
            Credential::Absent => self.anonymous.clone().ok_or(Unauthenticated::Missing),
            presented => self.find(presented, access, clock),
        }
    }

    /// Who sent a request with these headers, where strangers may do nothing.
    ///
    /// # Errors
    /// See [`Unauthenticated`].
    pub fn authenticate_known(
        &self,
        headers: &HeaderMap,
        access: Option<&AccessTable>,
        clock: &dyn Clock,
    ) -> Result<Arc<Principal>, Unauthenticated> {
        self.find(Credential::of(headers)?, access, clock)
    }

    fn find(
        &self,
        presented: Credential<'_>,
        access: Option<&AccessTable>,
        clock: &dyn Clock,
    ) -> Result<Arc<Principal>, Unauthenticated> {
        let found = match presented {
            Credential::Absent => return Err(Unauthenticated::Missing),
            Credential::Text(text) if text.starts_with(PREFIX.as_bytes()) => access
                .and_then(|access| access.find(text, clock))
                .or_else(|| self.first_admin(text)),
            Credential::Text(jwt) => access.and_then(|access| self.holder(jwt, access, clock)),
            Credential::Basic(pair) => access
                .and_then(|access| access.find_pair(pair, clock))
                .or_else(|| self.first_admin_pair(pair)),
        };
        found.ok_or(Unauthenticated::Invalid)
    }

    fn holder(
        &self,
        jwt: &[u8],
        access: &AccessTable,
        clock: &dyn Clock,
    ) -> Option<Arc<Principal>> {
        let proved = self.keyring.prove(jwt).ok()?;
        proved.times().hold(clock.now()).then_some(())?;
        match proved {
            Proved::Client(claims) => access.holder(&claims.sub, &claims.text, clock),
            Proved::Subject(claims) => access.subject(&claims),
        }
    }

    /// Issues an access token to the client that authenticates itself in these headers with HTTP Basic.
    ///
    /// # Errors
    /// See [`NotIssued`].
    pub fn issue(
        &self,
        headers: &HeaderMap,
        access: Option<&AccessTable>,
        clock: &dyn Clock,
    ) -> Result<AccessToken, NotIssued> {
        let pair = match Credential::of(headers) {
            Ok(Credential::Basic(pair)) => BasicPair::decode(pair),
            Ok(Credential::Absent | Credential::Text(_)) => None,
            Err(Unauthenticated::Several) => return Err(NotIssued::SeveralCredentials),
            Err(_) => None,
        };
        let pair = pair.ok_or(NotIssued::InvalidClient)?;
        let access = access.ok_or(NotIssued::NotReady)?;
        let now = clock.now();
        let client = access
            .client(&pair, now)
            .or_else(|| access.client(&pair.form_decoded(), now))
            .ok_or(NotIssued::InvalidClient)?;
        let claims = ClientClaims::new(client.id.clone(), client.text, client.ends_at, now);
        let text = self.keyring.signing_keys().sign(&claims, ACCESS_TOKEN);
        let scopes = client.token.grant.scopes.iter();
        let scopes: Vec<_> = scopes.map(|scope| scope.as_str()).collect();
        let text = text.ok_or(NotIssued::NoKey)?;
        tracing::info!(client = %client.token.name, "issued an access token");
        Ok(AccessToken {
            text,
            lifetime: claims.lifetime(),
            scope: scopes.join(" "),
        })
    }

    /// Opens a session for whoever has typed `text`, a token.
    ///
    /// # Errors
    /// The text is no valid token.
    pub fn open_session(
        &self,
        text: &str,
        access: Option<&AccessTable>,
        clock: &dyn Clock,
    ) -> Result<(Session, Arc<Principal>), Unauthenticated> {
        let now = clock.now();
        let owner = access.and_then(|access| access.owner(text.as_bytes(), now));
        let (claims, principal) = match owner {
            Some(owner) => {
                let principal = access.and_then(|access| access.find(text.as_bytes(), clock));
                let claims = SessionClaims::new(owner.id.clone(), owner.text, owner.ends_at, clock);
                (claims, principal)
            }
            None => {
                let principal = self.first_admin(text.as_bytes());
                let id = hash(text.as_bytes()).id();
                (
                    SessionClaims::new(TokenId(FIRST_ADMIN.to_owned()), id, None, clock),
                    principal,
                )
            }
        };
        let principal = principal.ok_or(Unauthenticated::Invalid)?;
        let session = claims.seal(&self.keyring.signing_keys(), &self.session_key);
        let session = session.ok_or(Unauthenticated::Invalid)?;
        Ok((session, principal))
    }

    /// Whose session this is, as of now.
    ///
    /// # Errors
    /// It is none, has ended, or the token it was opened with has.
    pub fn session_holder(
        &self,
        session: &str,
        access: Option<&AccessTable>,
        clock: &dyn Clock,
    ) -> Result<Arc<Principal>, Unauthenticated> {
        let keys = self.keyring.signing_keys();
        let claims = SessionClaims::open(session, &keys, &self.session_key, clock.now());
        let claims = claims.ok_or(Unauthenticated::Invalid)?;
        let holder = if claims.sub.0 == FIRST_ADMIN {
            let known = self.first_admin.as_ref();
            known
                .filter(|(known, _)| known.id() == claims.text)
                .map(|(_, principal)| Arc::clone(principal))
        } else {
            access.and_then(|access| access.holder(&claims.sub, &claims.text, clock))
        };
        holder.ok_or(Unauthenticated::Invalid)
    }

    fn first_admin_pair(&self, encoded: &[u8]) -> Option<Arc<Principal>> {
        let pair = BasicPair::decode(encoded)?;
        self.first_admin(&pair.text)
            .filter(|_| pair.user == FIRST_ADMIN)
    }

    fn first_admin(&self, text: &[u8]) -> Option<Arc<Principal>> {
        let (known, principal) = self.first_admin.as_ref()?;
        let is_known = bool::from(known.0.ct_eq(&hash(text).0));
        is_known.then(|| Arc::clone(principal))
    }
}

fn name(text: &str) -> Actor {
    // The names above follow the grammar of an actor.
    text.parse().expect("a valid actor")
}
