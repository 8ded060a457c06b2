//! A token: its name, what it may do, and the hash of the text that proves it.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Grant;
use crate::domain::ids::Actor;

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
///
/// Its id is that of its first text and stays the same when the text is rotated, so it names the token for its whole life.
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
    /// Earlier texts that still work, the latest last.
    pub retiring: Vec<RetiringText>,
}

/// A text that was replaced and goes on for a while, so that its users can change over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetiringText {
    /// SHA-256 of the text.
    pub hash: TokenHash,
    /// When it stops working.
    pub until: Timestamp,
}

impl Token {
    /// Every text that proves the token, and when it stops doing so, if ever.
    pub fn texts(&self) -> impl Iterator<Item = (TokenHash, Option<Timestamp>)> {
        let retiring = self
            .retiring
            .iter()
            .map(|text| (text.hash, Some(text.until)));
        std::iter::once((self.hash, self.expires_at)).chain(retiring)
    }

    /// Whether one of its texts works at `now`.
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.texts().any(|(_, end)| end.is_none_or(|end| end > now))
    }
}
