//! Issuers of tokens elsewhere, and which holders of those are let in.

use std::collections::{BTreeMap, BTreeSet};

use super::Grant;
use crate::domain::ids::{Audience, ClaimName, ClaimPattern, IssuerUrl};

/// The most claims that one entry looks at.
pub const MAX_CLAIMS: usize = 16;

/// Which holders of an issuer's tokens are let in, and what they may do.
///
/// Several entries may name one issuer. A holder may do what the entries allow together that their token fits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issuer {
    /// The issuer, as its tokens name it.
    pub url: IssuerUrl,
    /// Whom a token has to be for.
    pub audience: Audience,
    /// What a token has to say. Never empty: an issuer such as GitHub has tokens for everybody.
    pub claims: BTreeMap<ClaimName, ClaimPattern>,
    /// What its holder may do.
    pub grant: Grant,
}

/// What a token says of its holder, once it is proved.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Assertion {
    /// Who issued it.
    pub issuer: String,
    /// Whom it is for.
    pub audiences: BTreeSet<String>,
    /// Its claims, each with what it says: several texts if it is a list.
    pub claims: BTreeMap<String, Vec<String>>,
}

impl Issuer {
    /// Whether a token that says this lets its holder in.
    #[must_use]
    pub fn admits(&self, assertion: &Assertion) -> bool {
        let says = |name: &ClaimName, pattern: &ClaimPattern| {
            let values = assertion.claims.get(name.as_str());
            values.is_some_and(|values| values.iter().any(|value| pattern.fits(value)))
        };
        self.url.as_str() == assertion.issuer
            && assertion.audiences.contains(self.audience.as_str())
            && !self.claims.is_empty()
            && self
                .claims
                .iter()
                .all(|(name, pattern)| says(name, pattern))
    }
}
