//! The access aggregate: which tokens exist and what each may do. Only hashes are kept, so the journal, its rows and every
//! replica can hold it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::ids::{Actor, EnvironmentName};
use super::refusal::MAX_TOKENS;
use super::{Action, Aggregate, Change, Context, Refusal};

#[cfg(test)]
mod tests;

/// What a caller may do.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Ask for decisions.
    Decide,
    /// Report outcomes.
    Report,
    /// Look at environments, their history and the replicas.
    Read,
    /// Change environments; includes `read`.
    Operate,
    /// Everything, tokens and the journal included.
    Admin,
}

impl Scope {
    /// Every scope, the weakest first.
    pub const ALL: [Self; 5] = [
        Self::Decide,
        Self::Report,
        Self::Read,
        Self::Operate,
        Self::Admin,
    ];

    /// Whether a caller with this scope may do what asks for `needed`.
    #[must_use]
    pub fn includes(self, needed: Self) -> bool {
        self == needed || self == Self::Admin || (self == Self::Operate && needed == Self::Read)
    }

    /// The scope's name everywhere.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Decide => "decide",
            Self::Report => "report",
            Self::Read => "read",
            Self::Operate => "operate",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text names no scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("invalid scope: expected decide, report, read, operate or admin")]
pub struct InvalidScope;

impl FromStr for Scope {
    type Err = InvalidScope;

    fn from_str(text: &str) -> Result<Self, InvalidScope> {
        Self::ALL
            .into_iter()
            .find(|scope| scope.as_str() == text)
            .ok_or(InvalidScope)
    }
}

/// Where a caller may do it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// In every environment, those to come included.
    Everywhere,
    /// In these.
    Environments(BTreeSet<EnvironmentName>),
}

/// What a caller may do, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// What.
    pub scopes: BTreeSet<Scope>,
    /// Where.
    pub reach: Reach,
}

impl Grant {
    /// Everything, everywhere.
    #[must_use]
    pub fn everything() -> Self {
        Self {
            scopes: BTreeSet::from([Scope::Admin]),
            reach: Reach::Everywhere,
        }
    }

    /// Only decisions, everywhere.
    #[must_use]
    pub fn decisions() -> Self {
        Self {
            scopes: BTreeSet::from([Scope::Decide]),
            reach: Reach::Everywhere,
        }
    }

    /// Whether it covers `needed` in `environment`; for `None`, whether it covers it in the deployment as a whole.
    #[must_use]
    pub fn allows(&self, needed: Scope, environment: Option<&str>) -> bool {
        let reaches = match (&self.reach, environment) {
            (Reach::Everywhere, _) => true,
            (Reach::Environments(names), Some(name)) => names.contains(name),
            (Reach::Environments(_), None) => false,
        };
        reaches && self.scopes.iter().any(|scope| scope.includes(needed))
    }
}

/// SHA-256 of a token's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenHash(pub [u8; 32]);

impl TokenHash {
    /// The public id of the token: the first eight bytes in hexadecimal. It says nothing of the secret.
    #[must_use]
    pub fn id(&self) -> TokenId {
        TokenId(
            self.0[..8]
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect(),
        )
    }
}

/// Public id of a token.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(example = "9f86d081884c7d65", pattern = "^[0-9a-f]{16}$")]
pub struct TokenId(pub String);

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A token that can be presented until it expires.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// The name under which it acts: the actor of its writes.
    pub name: Actor,
    /// SHA-256 of its text.
    pub hash: TokenHash,
    /// What it may do.
    pub grant: Grant,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it stops working, if ever.
    pub expires_at: Option<Timestamp>,
}

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
