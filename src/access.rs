//! Every kind of credential in, one [`Principal`] out.

mod authenticator;
mod basic;
mod credential;
mod jwt;
mod keyring;
pub mod oauth;
pub mod oidc;
pub mod session;
mod table;
pub mod token;

pub use authenticator::{Authenticator, Unauthenticated};
pub use keyring::Keyring;
pub use table::AccessTable;

use basic::BasicPair;

use crate::domain::access::{Grant, Scope};
use crate::domain::ids::Actor;

/// Who asks, and what they may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The name under which writes are recorded.
    pub actor: Actor,
    /// What they may do: what these allow together.
    pub grants: Vec<Grant>,
}

impl Principal {
    /// Whether they may do what asks for `needed` in `environment`; `None` is the deployment as a whole.
    #[must_use]
    pub fn may(&self, needed: Scope, environment: Option<&str>) -> bool {
        self.grants
            .iter()
            .any(|grant| grant.allows(needed, environment))
    }

    /// Whether they may do what asks for `needed` in any environment.
    #[must_use]
    pub fn may_somewhere(&self, needed: Scope) -> bool {
        self.grants
            .iter()
            .any(|grant| grant.allows_somewhere(needed))
    }
}
