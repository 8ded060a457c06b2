//! Sessions of the dashboard: a person types a token once, and a cookie stands for it until it ends.
//!
//! A session is signed by the key of access tokens and says whose it is, never what they may do: the token is looked up in the
//! snapshot at every request, so a revocation holds at once. Every replica with the key knows every session, and none is kept
//! anywhere. A process without a key draws one for itself; its sessions are its own and end with it.
//!
//! A session is no access token and an access token no session: they name different issuers.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::jwt::{Presented, Times};
use super::oauth::{SigningKeys, generate};
use crate::clock::Clock;
use crate::domain::access::TokenId;

/// How long a session lasts: a shift.
pub const LIFETIME: Duration = Duration::from_secs(12 * 60 * 60);

/// Who issues sessions. No trusted issuer can have this name, since it is no address.
const ISSUER: &str = "urn:traffic-cop:dashboard";
/// The type of a session among JWTs.
const TYPE: &str = "session+jwt";

/// What a session says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct SessionClaims {
    iss: String,
    /// The id of the token.
    pub(super) sub: TokenId,
    /// The id of the text that was typed: when that ends, so does this.
    pub(super) text: TokenId,
    /// Tells two sessions of one moment apart.
    jti: uuid::Uuid,
    iat: i64,
    exp: i64,
}

/// A session that was opened.
#[derive(Clone, PartialEq, Eq)]
pub struct Session {
    /// What the cookie holds.
    pub text: String,
    /// How long it lasts.
    pub lifetime: Duration,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("lifetime", &self.lifetime)
            .finish_non_exhaustive()
    }
}

/// The key of sessions where there is none of access tokens: drawn when it is first needed.
#[derive(Debug, Clone, Default)]
pub(super) struct OwnKey(Arc<OnceLock<SigningKeys>>);

impl OwnKey {
    fn get(&self) -> &SigningKeys {
        self.0.get_or_init(|| {
            let pem = generate().unwrap_or_default();
            SigningKeys::from_pem(pem.as_bytes()).unwrap_or_default()
        })
    }
}

impl SessionClaims {
    /// Claims of whoever types, now, a text that works until `text_ends_at`. They last for a shift of theirs, however fast the time
    /// of day goes by.
    pub(super) fn new(
        token: TokenId,
        text: TokenId,
        text_ends_at: Option<Timestamp>,
        clock: &dyn Clock,
    ) -> Self {
        let (now, lifetime) = (clock.now(), LIFETIME * clock.speed());
        let end = now.saturating_add(lifetime).unwrap_or(Timestamp::MAX);
        let end = text_ends_at.map_or(end, |text_ends_at| text_ends_at.min(end));
        Self {
            iss: ISSUER.to_owned(),
            sub: token,
            text,
            jti: uuid::Uuid::new_v4(),
            iat: now.as_second(),
            exp: end.as_second(),
        }
    }

    /// The session that says this; `None` if the system has no randomness to make a key of.
    pub(super) fn seal(&self, shared: &SigningKeys, own: &OwnKey) -> Option<Session> {
        let keys = if shared.can_sign() { shared } else { own.get() };
        let lifetime = u64::try_from(self.exp - self.iat).unwrap_or(0);
        Some(Session {
            text: keys.sign(self, TYPE)?,
            lifetime: Duration::from_secs(lifetime),
        })
    }

    /// What a session says, if it is one of ours and holds at `now`.
    pub(super) fn open(
        session: &str,
        shared: &SigningKeys,
        own: &OwnKey,
        now: Timestamp,
    ) -> Option<Self> {
        let presented = Presented::read(session.as_bytes())?;
        if presented.issuer() != ISSUER {
            return None;
        }
        let keys = if shared.can_sign() { shared } else { own.get() };
        let claims: Self = keys.prove(&presented).ok()?;
        Times::between(claims.iat, claims.exp)
            .hold(now)
            .then_some(claims)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::oauth::generate;
    use crate::clock::ManualClock;

    fn claims(now: Timestamp) -> SessionClaims {
        let id = |text: &str| TokenId(text.to_owned());
        SessionClaims::new(id("token"), id("text"), None, &ManualClock::at(now))
    }

    fn keys() -> SigningKeys {
        SigningKeys::from_pem(generate().unwrap().as_bytes()).unwrap()
    }

    #[test]
    fn replicas_with_one_key_know_each_others_sessions_and_others_do_not() {
        let (shared, now) = (keys(), Timestamp::UNIX_EPOCH);
        let session = claims(now).seal(&shared, &OwnKey::default()).unwrap();
        let open = |keys: &SigningKeys| {
            SessionClaims::open(&session.text, keys, &OwnKey::default(), now).is_some()
        };
        assert_eq!((open(&shared), open(&keys())), (true, false));
        assert!(!open(&SigningKeys::default()));
        assert!(!format!("{session:?}").contains(&session.text));
    }

    #[test]
    fn a_process_without_a_key_knows_its_own_sessions() {
        let (none, own, now) = (
            SigningKeys::default(),
            OwnKey::default(),
            Timestamp::UNIX_EPOCH,
        );
        let session = claims(now).seal(&none, &own).unwrap().text;
        assert!(SessionClaims::open(&session, &none, &own, now).is_some());
        assert!(SessionClaims::open(&session, &none, &OwnKey::default(), now).is_none());
    }

    #[test]
    fn a_session_ends_after_a_shift_and_with_its_text() {
        let (keys, own, now) = (keys(), OwnKey::default(), Timestamp::UNIX_EPOCH);
        let session = claims(now).seal(&keys, &own).unwrap();
        assert_eq!(session.lifetime, LIFETIME);
        let holds = |after: Duration| {
            SessionClaims::open(&session.text, &keys, &own, now + after).is_some()
        };
        assert!(holds(LIFETIME) && !holds(LIFETIME + Duration::from_secs(61)));
        let id = || TokenId("x".to_owned());
        let soon = Some(now + Duration::from_secs(90));
        let short = SessionClaims::new(id(), id(), soon, &ManualClock::at(now));
        let short = short.seal(&keys, &own).unwrap();
        assert_eq!(short.lifetime, Duration::from_secs(90));
    }

    #[test]
    fn two_sessions_of_one_moment_differ() {
        let (keys, own) = (keys(), OwnKey::default());
        let session = || claims(Timestamp::UNIX_EPOCH).seal(&keys, &own).unwrap();
        assert_ne!(session().text, session().text);
    }
}
