//! Every kind of credential in, one [`Principal`] out.

mod authenticator;
pub mod token;

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;

pub use authenticator::{Authenticator, Unauthenticated};

use crate::clock::Clock;
use crate::domain::access::{Access, Grant, TokenHash};
use crate::domain::ids::Actor;

/// Who asks, and what they may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The name under which writes are recorded.
    pub actor: Actor,
    /// What they may do.
    pub grant: Grant,
}

/// The tokens of one snapshot, found by hash.
#[derive(Debug, Clone, Default)]
pub struct AccessTable(HashMap<TokenHash, Entry>);

#[derive(Debug, Clone)]
struct Entry {
    principal: Arc<Principal>,
    expires_at: Option<Timestamp>,
}

impl AccessTable {
    /// The table of the tokens in `access`.
    #[must_use]
    pub fn new(access: &Access) -> Self {
        let entries = access.tokens.values().map(|token| {
            let principal = Principal {
                actor: token.name.clone(),
                grant: token.grant.clone(),
            };
            (
                token.hash,
                Entry {
                    principal: Arc::new(principal),
                    expires_at: token.expires_at,
                },
            )
        });
        Self(entries.collect())
    }

    /// Who the token with this hash belongs to, unless it has expired. The clock is read only if it can.
    #[must_use]
    pub fn find(&self, hash: &TokenHash, clock: &dyn Clock) -> Option<&Arc<Principal>> {
        let entry = self.0.get(hash)?;
        entry
            .expires_at
            .is_none_or(|end| end > clock.now())
            .then_some(&entry.principal)
    }
}
