//! The tokens of one snapshot.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use foldhash::fast::RandomState;
use jiff::Timestamp;

use super::oidc::SubjectClaims;
use super::token::hash;
use super::{BasicPair, Principal};
use crate::clock::Clock;
use crate::domain::access::{Access, Token, TokenHash, TokenId};
use crate::domain::ids::IssuerUrl;

/// The tokens of one snapshot, found by what is presented.
///
/// A credential that was verified is remembered, since hashing it costs more than the decision it asks for. What is
/// remembered lives and dies with the snapshot: a revoked token is in no later one, so it cannot outlive its revocation.
/// Only what passed is remembered, so guesses cannot push it out.
pub struct AccessTable {
    access: Access,
    texts: HashMap<TokenHash, Entry>,
    /// By the text itself.
    verified: Verified,
    /// By the encoded pair of HTTP Basic.
    verified_pairs: Verified,
}

/// Credentials that were verified, as they are presented. Each token text has one form as a bearer token and two in a pair, so
/// there are never too many of them; and nobody but those who hold one puts anything into it, so its hash need not withstand
/// collisions that are sought. A look into it takes no lock and writes nothing, which a cache that has to drop entries would.
#[derive(Default)]
struct Verified(ArcSwap<HashMap<Box<[u8]>, Entry, RandomState>>);

impl Verified {
    fn get(&self, presented: &[u8]) -> Option<Entry> {
        self.0.load().get(presented).cloned()
    }

    fn remember(&self, presented: &[u8], entry: &Entry) {
        self.0.rcu(|known| {
            let mut known = HashMap::clone(known);
            known.insert(presented.into(), entry.clone());
            known
        });
    }
}

/// A token that was presented, as by a client of OAuth.
pub(super) struct Client<'a> {
    /// Its id.
    pub(super) id: &'a TokenId,
    /// The id of the text that it gave as its secret.
    pub(super) text: TokenId,
    /// When that text stops working, if ever.
    pub(super) ends_at: Option<Timestamp>,
    /// What it is.
    pub(super) token: &'a Token,
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
        let texts = access.tokens.values().flat_map(|token| {
            let principal = Arc::new(Principal {
                actor: token.name.clone(),
                grants: vec![token.grant.clone()],
            });
            token.texts().map(move |(hash, expires_at)| {
                let principal = Arc::clone(&principal);
                (
                    hash,
                    Entry {
                        principal,
                        expires_at,
                    },
                )
            })
        });
        Self {
            texts: texts.collect(),
            access: access.clone(),
            verified: Verified::default(),
            verified_pairs: Verified::default(),
        }
    }

    /// Whether this is the table of the tokens in `access`, so that it may go on with what it remembers.
    #[must_use]
    pub fn is_of(&self, access: &Access) -> bool {
        self.access == *access
    }

    /// The issuers that are trusted.
    #[must_use]
    pub fn issuer_urls(&self) -> BTreeSet<IssuerUrl> {
        self.access.issuer_urls()
    }

    /// Who the token with this text belongs to, unless it has expired. The clock is read only if it can.
    #[must_use]
    pub fn find(&self, text: &[u8], clock: &dyn Clock) -> Option<Arc<Principal>> {
        let entry = self.verified.get(text).or_else(|| self.verify(text))?;
        entry.now(clock)
    }

    /// Who the token belongs to whose name or id and whose text are this pair, encoded as in HTTP Basic.
    #[must_use]
    pub fn find_pair(&self, encoded: &[u8], clock: &dyn Clock) -> Option<Arc<Principal>> {
        let entry = self.verified_pairs.get(encoded);
        entry
            .or_else(|| self.verify_pair(encoded))
            .and_then(|entry| entry.now(clock))
    }

    /// The client of OAuth whose name or id and whose text are `pair`, unless it has expired.
    pub(super) fn client(&self, pair: &BasicPair, now: Timestamp) -> Option<Client<'_>> {
        let hash = hash(&pair.text);
        let (id, token) = self.named(&pair.user, hash)?;
        let (_, ends_at) = token.texts().find(|(known, _)| *known == hash)?;
        ends_at.is_none_or(|end| end > now).then(|| Client {
            id,
            text: hash.id(),
            ends_at,
            token,
        })
    }

    /// Whose token `text` is, unless it has expired.
    pub(super) fn owner(&self, text: &[u8], now: Timestamp) -> Option<Client<'_>> {
        let hash = hash(text);
        self.access.tokens.iter().find_map(|(id, token)| {
            let (_, ends_at) = token.texts().find(|(known, _)| *known == hash)?;
            ends_at.is_none_or(|end| end > now).then(|| Client {
                id,
                text: hash.id(),
                ends_at,
                token,
            })
        })
    }

    /// The holder of the token `id`, while its text of the id `text` still works.
    pub(super) fn holder(
        &self,
        id: &TokenId,
        text: &TokenId,
        clock: &dyn Clock,
    ) -> Option<Arc<Principal>> {
        let token = self.access.tokens.get(id)?;
        let (hash, _) = token.texts().find(|(hash, _)| hash.id() == *text)?;
        self.texts.get(&hash)?.clone().now(clock)
    }

    /// The holder of an issuer's token, if some entry admits them.
    pub(super) fn subject(&self, claims: &SubjectClaims) -> Option<Arc<Principal>> {
        let grants = self.access.grants(&claims.assertion);
        if grants.is_empty() {
            tracing::debug!(actor = %claims.actor, "the token of a trusted issuer fits no entry");
            return None;
        }
        let actor = claims.actor.clone();
        Some(Arc::new(Principal { actor, grants }))
    }

    /// The look-up compares hashes of what was presented, so its time says nothing about a secret.
    fn verify(&self, text: &[u8]) -> Option<Entry> {
        let entry = self.texts.get(&hash(text))?.clone();
        self.verified.remember(text, &entry);
        Some(entry)
    }

    fn verify_pair(&self, encoded: &[u8]) -> Option<Entry> {
        let pair = BasicPair::decode(encoded)?;
        let hash = hash(&pair.text);
        self.named(&pair.user, hash)?;
        let entry = self.texts.get(&hash)?.clone();
        self.verified_pairs.remember(encoded, &entry);
        Some(entry)
    }

    /// The token of this name or id, if this is one of its texts. Two settings that do not belong together are a mistake
    /// somewhere, and better noticed where it was made.
    fn named(&self, name: &str, text: TokenHash) -> Option<(&TokenId, &Token)> {
        self.access.tokens.iter().find(|(id, token)| {
            let is_named = id.0 == name || token.name.as_str() == name;
            is_named && token.texts().any(|(known, _)| known == text)
        })
    }
}

impl Entry {
    fn now(self, clock: &dyn Clock) -> Option<Arc<Principal>> {
        let is_valid = self.expires_at.is_none_or(|end| end > clock.now());
        is_valid.then_some(self.principal)
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
        let texts = self.texts.len();
        f.debug_struct("AccessTable")
            .field("texts", &texts)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use data_encoding::BASE64;

    use super::*;
    use crate::access::token::TokenText;
    use crate::clock::ManualClock;
    use crate::domain::access::{Grant, RetiringText};

    /// A token with a new text for a minute and an old one for half of it; the texts, new and old.
    fn rotated() -> (AccessTable, ManualClock, [TokenText; 2]) {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let texts = [7, 8].map(|seed| TokenText::from_secret([seed; 32]));
        let token = Token {
            name: "pipeline".parse().unwrap(),
            hash: texts[0].hash(),
            grant: Grant::decisions(),
            created_at: now,
            expires_at: Some(now + Duration::from_secs(60)),
            retiring: vec![RetiringText {
                hash: texts[1].hash(),
                until: now + Duration::from_secs(30),
            }],
        };
        let access = Access {
            tokens: [(texts[1].hash().id(), token)].into(),
            ..Access::default()
        };
        (AccessTable::new(&access), ManualClock::at(now), texts)
    }

    fn pair(user: &str, text: &TokenText) -> Vec<u8> {
        let pair = format!("{user}:{}", text.reveal());
        BASE64.encode(pair.as_bytes()).into_bytes()
    }

    #[test]
    fn a_verified_token_is_remembered_until_it_expires_and_never_shown() {
        let (table, clock, [text, _]) = rotated();
        let text = text.reveal().as_bytes();
        for _ in 0..2 {
            let found = table.find(text, &clock).expect("a valid token");
            assert_eq!(found.actor.as_str(), "pipeline");
        }
        assert!(table.verified.get(text).is_some());
        assert!(!format!("{table:?}").contains("0707"));
        clock.advance(Duration::from_secs(60));
        assert!(table.find(text, &clock).is_none());
        assert!(table.find(b"tc_guess", &clock).is_none());
        assert!(table.verified.get(b"tc_guess").is_none());
        assert!(AccessTable::default().find(text, &clock).is_none());
    }

    #[test]
    fn an_old_text_goes_on_until_its_time() {
        let (table, clock, [new, old]) = rotated();
        let is_in = |text: &TokenText| table.find(text.reveal().as_bytes(), &clock).is_some();
        assert_eq!((is_in(&new), is_in(&old)), (true, true));
        clock.advance(Duration::from_secs(30));
        assert_eq!((is_in(&new), is_in(&old)), (true, false));
    }

    #[test]
    fn a_pair_is_a_tokens_name_or_id_and_one_of_its_texts() {
        let (table, clock, [new, old]) = rotated();
        let id = old.hash().id().to_string();
        for _ in 0..2 {
            for user in ["pipeline", &id] {
                for text in [&new, &old] {
                    assert!(table.find_pair(&pair(user, text), &clock).is_some());
                }
            }
        }
        for user in ["", "Pipeline", "other", &new.hash().id().to_string()] {
            assert!(table.find_pair(&pair(user, &new), &clock).is_none());
        }
        // What is remembered as one kind of credential is none of the other.
        assert!(table.find(&pair("pipeline", &new), &clock).is_none());
        clock.advance(Duration::from_secs(30));
        assert!(table.find_pair(&pair("pipeline", &old), &clock).is_none());
        assert!(table.find_pair(&pair("pipeline", &new), &clock).is_some());
    }
}
