//! The tokens of one snapshot.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use moka::sync::Cache;

use super::Principal;
use super::token::hash;
use crate::clock::Clock;
use crate::domain::access::{Access, TokenHash};

/// Token texts remembered as verified.
const REMEMBERED_TEXTS: u64 = 1_024;

/// The tokens of one snapshot, found by what is presented.
///
/// A text that was verified is remembered, since hashing it costs more than the decision it asks for. What is remembered
/// lives and dies with the snapshot: a revoked token is in no later one, so it cannot outlive its revocation.
#[derive(Clone)]
pub struct AccessTable {
    tokens: HashMap<TokenHash, Entry>,
    verified: Cache<Box<str>, Entry>,
}

#[derive(Clone)]
struct Entry {
    principal: Arc<Principal>,
    expires_at: Option<Timestamp>,
}

impl AccessTable {
    /// The table of the tokens in `access`.
    #[must_use]
    pub fn new(access: &Access) -> Self {
        let tokens = access.tokens.values().map(|token| {
            let principal = Principal {
                actor: token.name.clone(),
                grant: token.grant.clone(),
            };
            let entry = Entry {
                principal: Arc::new(principal),
                expires_at: token.expires_at,
            };
            (token.hash, entry)
        });
        Self {
            tokens: tokens.collect(),
            verified: Cache::new(REMEMBERED_TEXTS),
        }
    }

    /// Who the token with this text belongs to, unless it has expired. The clock is read only if it can.
    #[must_use]
    pub fn find(&self, text: &str, clock: &dyn Clock) -> Option<Arc<Principal>> {
        let entry = self.verified.get(text).or_else(|| self.verify(text))?;
        let is_valid = entry.expires_at.is_none_or(|end| end > clock.now());
        is_valid.then_some(entry.principal)
    }

    /// The look-up compares hashes of what was presented, so its time says nothing about a secret. Only texts that passed
    /// are remembered: guesses cannot push them out.
    fn verify(&self, text: &str) -> Option<Entry> {
        let entry = self.tokens.get(&hash(text))?.clone();
        self.verified.insert(text.into(), entry.clone());
        Some(entry)
    }
}

impl Default for AccessTable {
    fn default() -> Self {
        Self::new(&Access::default())
    }
}

impl fmt::Debug for AccessTable {
    /// Without the remembered texts.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tokens = self.tokens.len();
        f.debug_struct("AccessTable")
            .field("tokens", &tokens)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::access::token::TokenText;
    use crate::clock::ManualClock;
    use crate::domain::access::{Grant, Token};

    #[test]
    fn a_verified_token_is_remembered_until_it_expires_and_never_shown() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let text = TokenText::from_secret([7; 32]);
        let token = Token {
            name: "pipeline".parse().unwrap(),
            hash: text.hash(),
            grant: Grant::decisions(),
            created_at: now,
            expires_at: Some(now + Duration::from_secs(60)),
        };
        let access = Access {
            tokens: [(text.hash().id(), token)].into(),
        };
        let (table, clock) = (AccessTable::new(&access), ManualClock::at(now));
        for _ in 0..2 {
            let found = table.find(text.reveal(), &clock).expect("a valid token");
            assert_eq!(found.actor.as_str(), "pipeline");
        }
        assert!(table.verified.contains_key(text.reveal()));
        assert!(!format!("{table:?}").contains(text.reveal()));
        clock.advance(Duration::from_secs(60));
        assert!(table.find(text.reveal(), &clock).is_none());
        assert!(table.find("tc_guess", &clock).is_none());
        assert!(!table.verified.contains_key("tc_guess"));
        assert!(AccessTable::default().find(text.reveal(), &clock).is_none());
    }
}
