//! Answers about tokens and issuers.

use std::collections::BTreeMap;

use serde::Deserialize;

/// Every token.
#[derive(Debug, Deserialize)]
pub(in crate::cli) struct Tokens {
    pub(in crate::cli) tokens: Vec<Token>,
}

/// A token, without its text.
#[derive(Debug, Deserialize)]
pub(in crate::cli) struct Token {
    pub(in crate::cli) id: String,
    pub(in crate::cli) name: String,
    pub(in crate::cli) scopes: Vec<String>,
    /// `None` is every environment.
    pub(in crate::cli) environments: Option<Vec<String>>,
    pub(in crate::cli) created_at: String,
    pub(in crate::cli) expires_at: Option<String>,
    /// When its earlier texts stop working.
    #[serde(default)]
    pub(in crate::cli) retiring: Vec<String>,
}

/// A token that was made, or had been made before.
#[derive(Debug, Deserialize)]
pub(in crate::cli) struct NewToken {
    /// Its text; `None` if it had been made before.
    pub(in crate::cli) token: Option<String>,
    pub(in crate::cli) id: String,
    pub(in crate::cli) notice: Option<String>,
}

/// What came of a change of the tokens.
#[derive(Debug, Deserialize)]
pub(in crate::cli) struct TokenWritten {
    pub(in crate::cli) outcome: String,
    pub(in crate::cli) notice: Option<String>,
}

/// What came of a repair of the tokens.
#[derive(Debug, Deserialize)]
pub(in crate::cli) struct AccessWritten {
    pub(in crate::cli) outcome: String,
    pub(in crate::cli) revision: u64,
    pub(in crate::cli) tokens: Vec<Token>,
}

/// Every entry about an issuer.
#[derive(Debug, Deserialize)]
pub(in crate::cli) struct Issuers {
    pub(in crate::cli) issuers: Vec<Issuer>,
}

/// An entry about an issuer.
#[derive(Debug, Deserialize)]
pub(in crate::cli) struct Issuer {
    pub(in crate::cli) name: String,
    pub(in crate::cli) url: String,
    pub(in crate::cli) audience: String,
    pub(in crate::cli) claims: BTreeMap<String, String>,
    pub(in crate::cli) scopes: Vec<String>,
    /// `None` is every environment.
    pub(in crate::cli) environments: Option<Vec<String>>,
    pub(in crate::cli) keys: u64,
}

/// What came of a change of the issuers.
#[derive(Debug, Deserialize)]
pub(in crate::cli) struct IssuerWritten {
    pub(in crate::cli) outcome: String,
}
