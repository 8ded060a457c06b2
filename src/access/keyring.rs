//! The keys that JWTs are proved with.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use moka::sync::Cache;
use tokio::sync::Notify;

use super::jwt::{Presented, Times, Unproved};
use super::oauth::{self, ClientClaims, SigningKeys};
use super::oidc::{IssuerKeys, SubjectClaims};
use crate::domain::ids::IssuerUrl;

/// JWTs remembered as proved.
const REMEMBERED: u64 = 1_024;

/// The keys at hand, changed as a whole while requests go on.
///
/// A JWT whose signature was proved is remembered with the keys that proved it: other keys start with nothing remembered.
/// Only the signature is: when a token ends and what its holder may do is looked up at every use.
#[derive(Debug, Default)]
pub struct Keyring {
    keys: ArcSwap<Keys>,
    /// Issuers of tokens that named a key which is not there.
    wanted: Mutex<BTreeSet<IssuerUrl>>,
    is_wanted: Notify,
}

/// The keys of one moment.
struct Keys {
    signing: SigningKeys,
    issuers: BTreeMap<IssuerUrl, IssuerKeys>,
    proved: Cache<Box<[u8]>, Proved>,
}

/// What a JWT says whose signature is proved.
#[derive(Debug, Clone)]
pub(super) enum Proved {
    /// It is an access token of ours.
    Client(Arc<ClientClaims>),
    /// It was issued elsewhere.
    Subject(Arc<SubjectClaims>),
}

impl Proved {
    /// When it holds.
    pub(super) fn times(&self) -> Times {
        match self {
            Self::Client(claims) => claims.times(),
            Self::Subject(claims) => claims.times,
        }
    }
}

impl Keyring {
    /// Signs and proves access tokens with `keys` from now on.
    pub fn set_signing_keys(&self, keys: SigningKeys) {
        self.keys.rcu(|present| Keys {
            signing: keys.clone(),
            issuers: present.issuers.clone(),
            ..Keys::default()
        });
    }

    /// Proves tokens of these issuers, and no others, with these keys from now on.
    pub fn set_issuer_keys(&self, keys: BTreeMap<IssuerUrl, IssuerKeys>) {
        self.keys.rcu(|present| Keys {
            signing: present.signing.clone(),
            issuers: keys.clone(),
            ..Keys::default()
        });
    }

    /// The keys of access tokens.
    #[must_use]
    pub fn signing_keys(&self) -> SigningKeys {
        self.keys.load().signing.clone()
    }

    /// How many keys of `issuer` there are.
    #[must_use]
    pub fn count_keys(&self, issuer: &IssuerUrl) -> usize {
        self.keys
            .load()
            .issuers
            .get(issuer)
            .map_or(0, IssuerKeys::len)
    }

    /// Waits until a token names a key of a known issuer that is not there.
    pub async fn until_newer_keys_are_wanted(&self) {
        self.is_wanted.notified().await;
    }

    /// The issuers whose keys were wanted since the last call.
    #[must_use]
    pub fn take_wanted(&self) -> BTreeSet<IssuerUrl> {
        let mut wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut wanted)
    }

    /// What this JWT says, if its signature is proved.
    pub(super) fn prove(&self, text: &[u8]) -> Result<Proved, Unproved> {
        let keys = self.keys.load();
        if let Some(proved) = keys.proved.get(text) {
            return Ok(proved);
        }
        let token = Presented::read(text).ok_or(Unproved::Invalid)?;
        let proved = if oauth::is_issuer(token.issuer()) {
            Proved::Client(Arc::new(keys.signing.prove(&token)?))
        } else {
            let issuer = keys.issuers.get_key_value(token.issuer());
            let (url, issuer) = issuer.ok_or(Unproved::Invalid)?;
            let claims = issuer.prove(&token);
            if claims.as_ref().err() == Some(&Unproved::UnknownKey) {
                self.want(url);
            }
            Proved::Subject(Arc::new(claims?))
        };
        keys.proved.insert(text.into(), proved.clone());
        Ok(proved)
    }

    /// A short critical section, entered by nobody whose token can be proved.
    fn want(&self, issuer: &IssuerUrl) {
        let mut wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        wanted.insert(issuer.clone());
        self.is_wanted.notify_one();
    }
}

impl Default for Keys {
    fn default() -> Self {
        Self {
            signing: SigningKeys::default(),
            issuers: BTreeMap::new(),
            proved: Cache::new(REMEMBERED),
        }
    }
}

impl fmt::Debug for Keys {
    /// Without what is remembered.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys")
            .field("signing", &self.signing)
            .field("issuers", &self.issuers)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::access::oidc::issuers::Issuers;
    use crate::clock::ManualClock;
    use crate::telemetry::Metrics;

    #[tokio::test]
    async fn without_issuers_nothing_is_forgotten_and_nothing_written() {
        let (keyring, directory) = (Arc::new(Keyring::default()), tempfile::tempdir().unwrap());
        let clock = Arc::new(ManualClock::at(Timestamp::UNIX_EPOCH));
        let path = Some(directory.path());
        let issuers = Issuers::new(Arc::clone(&keyring), clock, Metrics::default(), path);
        let before = keyring.keys.load_full();
        for _ in 0..2 {
            issuers.refresh(BTreeSet::new()).await;
        }
        assert!(Arc::ptr_eq(&before, &keyring.keys.load_full()));
        assert_eq!(directory.path().read_dir().unwrap().count(), 0);
    }
}
