//! The access aggregate: which tokens exist and what each may do. Only hashes are kept, so the journal, its rows and every
//! replica can hold it.

mod grant;
mod token;

use std::collections::BTreeMap;

use jiff::Timestamp;

pub use grant::{Grant, InvalidScope, Reach, Scope};
pub use token::{Token, TokenHash, TokenId};

use super::ids::Actor;
use super::refusal::MAX_TOKENS;
use super::{Action, Aggregate, Change, Context, Refusal};

#[cfg(test)]
mod tests;

/// Every token of the deployment. A revoked token is gone; the journal remembers it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Access {
    /// The tokens by id.
    pub tokens: BTreeMap<TokenId, Token>,
}

/// A change of the access aggregate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccessCommand {
    /// Let one more token in.
    CreateToken {
        /// Its name.
        name: Actor,
        /// SHA-256 of its text.
        hash: TokenHash,
        /// What it may do.
        grant: Grant,
        /// When it stops working, if ever.
        expires_at: Option<Timestamp>,
    },
    /// Let a token in no longer.
    RevokeToken(TokenId),
}

impl Action for AccessCommand {
    fn action(&self) -> &'static str {
        match self {
            Self::CreateToken { .. } => "create_token",
            Self::RevokeToken(_) => "revoke_token",
        }
    }

    fn is_rescue(&self) -> bool {
        matches!(self, Self::RevokeToken(_))
    }

    /// The hash of a new token is left out: a repeat draws another one and asks for the same.
    fn fingerprint(&self) -> String {
        match self {
            Self::CreateToken {
                name,
                grant,
                expires_at,
                ..
            } => format!("{:?}", (name, grant, expires_at)),
            Self::RevokeToken(id) => id.to_string(),
        }
    }
}

impl Aggregate for Access {
    type Command = AccessCommand;

    fn apply(
        state: Option<&Self>,
        command: &AccessCommand,
        context: &Context,
    ) -> Result<Change<Self>, Refusal> {
        let mut after = state.cloned().unwrap_or_default();
        match command {
            AccessCommand::CreateToken {
                name,
                hash,
                grant,
                expires_at,
            } => {
                after
                    .tokens
                    .retain(|_, token| token.expires_at.is_none_or(|end| end > context.now));
                // One text under a second name would otherwise push the first token out.
                let is_taken = after.tokens.contains_key(&hash.id());
                if is_taken || after.tokens.values().any(|token| token.name == *name) {
                    return Err(Refusal::TokenExists);
                }
                if after.tokens.len() >= MAX_TOKENS {
                    return Err(Refusal::TooManyTokens);
                }
                if grant.scopes.is_empty() {
                    return Err(Refusal::NoScope);
                }
                if let Some(end) = expires_at.filter(|end| *end <= context.now) {
                    return Err(Refusal::ExpiryPassed(end));
                }
                let token = Token {
                    name: name.clone(),
                    hash: *hash,
                    grant: grant.clone(),
                    created_at: context.now,
                    expires_at: *expires_at,
                };
                after.tokens.insert(hash.id(), token);
            }
            AccessCommand::RevokeToken(id) => {
                after.tokens.remove(id).ok_or(Refusal::TokenMissing)?;
            }
        }
        Ok(Change::To(Some(after)))
    }
}
