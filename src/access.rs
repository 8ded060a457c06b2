//! Every kind of credential in, one [`Principal`] out.

mod authenticator;
mod basic;
mod credential;
mod jwt;
mod keyring;
pub mod oauth;
mod table;
pub mod token;

pub use authenticator::{Authenticator, Unauthenticated};
pub use keyring::Keyring;
pub use table::AccessTable;

use basic::BasicPair;

use crate::domain::access::Grant;
use crate::domain::ids::Actor;

/// Who asks, and what they may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The name under which writes are recorded.
    pub actor: Actor,
    /// What they may do.
    pub grant: Grant,
}
