//! The keys that JWTs are proved with.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use moka::sync::Cache;

use super::jwt::{Presented, Unproved};
use super::oauth::{self, ClientClaims, SigningKeys};

/// JWTs remembered as proved.
const REMEMBERED: u64 = 1_024;

/// The keys at hand, changed as a whole while requests go on.
///
/// A JWT whose signature was proved is remembered with the keys that proved it: other keys start with nothing remembered.
/// Only the signature is: when a token ends and what its holder may do is looked up at every use.
#[derive(Debug, Default)]
pub struct Keyring(ArcSwap<Keys>);

/// The keys of one moment.
struct Keys {
    signing: SigningKeys,
    proved: Cache<Box<[u8]>, Arc<ClientClaims>>,
}

impl Keyring {
    /// Signs and proves access tokens with `keys` from now on.
    pub fn set_signing_keys(&self, keys: SigningKeys) {
        self.0.store(Arc::new(Keys {
            signing: keys,
            ..Keys::default()
        }));
    }

    /// The keys of access tokens.
    #[must_use]
    pub fn signing_keys(&self) -> SigningKeys {
        self.0.load().signing.clone()
    }

    /// What this JWT says, if its signature is proved.
    pub(super) fn prove(&self, text: &[u8]) -> Result<Arc<ClientClaims>, Unproved> {
        let keys = self.0.load();
        if let Some(claims) = keys.proved.get(text) {
            return Ok(claims);
        }
        let token = Presented::read(text).ok_or(Unproved::Invalid)?;
        if !oauth::is_issuer(token.issuer()) {
            return Err(Unproved::Invalid);
        }
        let claims = Arc::new(keys.signing.prove(&token)?);
        keys.proved.insert(text.into(), Arc::clone(&claims));
        Ok(claims)
    }
}

impl Default for Keys {
    fn default() -> Self {
        Self {
            signing: SigningKeys::default(),
            proved: Cache::new(REMEMBERED),
        }
    }
}

impl fmt::Debug for Keys {
    /// Without what is remembered.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys")
            .field("signing", &self.signing)
            .finish_non_exhaustive()
    }
}
