//! The access aggregate: which tokens exist and what each may do, and whose tokens from elsewhere are taken. Only hashes are
//! kept, so the journal, its rows and every replica can hold it.
//!
//! A name acts for one token at a time, so a record's actor tells who made a change. The names of callers that are no tokens
//! are not to be had: see `is_reserved`.

mod grant;
mod issuer;
mod token;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

pub use grant::{Grant, InvalidScope, Reach, Scope};
pub use issuer::{Assertion, Issuer, MAX_CLAIMS};
pub use token::{RetiringText, Token, TokenHash, TokenId};

use super::ids::{Actor, IssuerName, IssuerUrl};
use super::refusal::{MAX_ISSUERS, MAX_RETIRING_TEXTS, MAX_TOKENS};
use super::{Action, Aggregate, Change, Context, Refusal};

#[cfg(test)]
mod tests;

/// Every token of the deployment, and every issuer that it trusts. What was revoked is gone; the journal remembers it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Access {
    /// The tokens by id.
    pub tokens: BTreeMap<TokenId, Token>,
    /// The issuers by the name of their entry.
    pub issuers: BTreeMap<IssuerName, Issuer>,
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
    /// Give a token another text.
    RotateToken {
        /// The token.
        id: TokenId,
        /// SHA-256 of the new text.
        hash: TokenHash,
        /// How long the present text goes on; `None` ends it at once.
        old_until: Option<Timestamp>,
        /// When the new text stops working; `None` leaves that as it is.
        expires_at: Option<Timestamp>,
    },
    /// Let a token in no longer, whatever its text.
    RevokeToken(TokenId),
    /// Let in holders of an issuer's tokens.
    AddIssuer {
        /// Name of the entry.
        name: IssuerName,
        /// Which of them, and what they may do.
        issuer: Issuer,
    },
    /// Let those in no longer.
    RemoveIssuer(IssuerName),
}

/// Whether `name` stands for a caller that is no token: the ways in without one, the service itself, and the subjects of
/// identity providers, which have a colon. A colon could not stand in the user name of HTTP Basic either.
fn is_reserved(name: &Actor) -> bool {
    let name = name.as_str();
    matches!(name, "first-admin" | "anonymous" | "traffic-cop") || name.contains(':')
}

impl AccessCommand {
    /// The name of every action that there is.
    pub const ACTIONS: [&'static str; 5] = [
        "create_token",
        "rotate_token",
        "revoke_token",
        "add_issuer",
        "remove_issuer",
    ];
}

impl Action for AccessCommand {
    fn action(&self) -> &'static str {
        match self {
            Self::CreateToken { .. } => "create_token",
            Self::RotateToken { .. } => "rotate_token",
            Self::RevokeToken(_) => "revoke_token",
            Self::AddIssuer { .. } => "add_issuer",
            Self::RemoveIssuer(_) => "remove_issuer",
        }
    }

    fn is_rescue(&self) -> bool {
        matches!(self, Self::RevokeToken(_) | Self::RemoveIssuer(_))
    }

    /// The hash of a new text is left out: a repeat draws another one and asks for the same.
    fn fingerprint(&self) -> String {
        match self {
            Self::CreateToken {
                name,
                grant,
                expires_at,
                ..
            } => format!("{:?}", (name, grant, expires_at)),
            Self::RotateToken {
                id,
                old_until,
                expires_at,
                ..
            } => format!("{:?}", (id, old_until, expires_at)),
            Self::RevokeToken(id) => id.to_string(),
            Self::AddIssuer { name, issuer } => format!("{:?}", (name, issuer)),
            Self::RemoveIssuer(name) => name.to_string(),
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
                let token = Token {
                    name: name.clone(),
                    hash: *hash,
                    grant: grant.clone(),
                    created_at: context.now,
                    expires_at: *expires_at,
                    retiring: Vec::new(),
                };
                after.create(token, context.now)?;
            }
            AccessCommand::RotateToken {
                id,
                hash,
                old_until,
                expires_at,
            } => after.rotate(id, *hash, *old_until, *expires_at, context.now)?,
            AccessCommand::RevokeToken(id) => {
                after.tokens.remove(id).ok_or(Refusal::TokenMissing)?;
            }
            AccessCommand::AddIssuer { name, issuer } => {
                after.add_issuer(name.clone(), issuer.clone())?;
            }
            AccessCommand::RemoveIssuer(name) => {
                after.issuers.remove(name).ok_or(Refusal::IssuerMissing)?;
            }
        }
        Ok(Change::To(Some(after)))
    }
}

impl Access {
    /// The issuers that are trusted.
    #[must_use]
    pub fn issuer_urls(&self) -> BTreeSet<IssuerUrl> {
        let issuers = self.issuers.values();
        issuers.map(|issuer| issuer.url.clone()).collect()
    }

    /// What the holder of a token that says this may do: what all entries allow that it fits. Empty if it fits none.
    #[must_use]
    pub fn grants(&self, assertion: &Assertion) -> Vec<Grant> {
        let issuers = self.issuers.values();
        let admitting = issuers.filter(|issuer| issuer.admits(assertion));
        admitting.map(|issuer| issuer.grant.clone()).collect()
    }

    fn add_issuer(&mut self, name: IssuerName, issuer: Issuer) -> Result<(), Refusal> {
        if self.issuers.contains_key(&name) {
            return Err(Refusal::IssuerExists);
        }
        if self.issuers.len() >= MAX_ISSUERS {
            return Err(Refusal::TooManyIssuers);
        }
        if issuer.grant.scopes.is_empty() {
            return Err(Refusal::NoScope);
        }
        if !(1..=MAX_CLAIMS).contains(&issuer.claims.len()) {
            return Err(Refusal::ClaimCount);
        }
        self.issuers.insert(name, issuer);
        Ok(())
    }

    fn create(&mut self, token: Token, now: Timestamp) -> Result<(), Refusal> {
        self.drop_ended(now);
        if is_reserved(&token.name) {
            return Err(Refusal::NameReserved);
        }
        if self.knows(token.hash) || self.tokens.values().any(|known| known.name == token.name) {
            return Err(Refusal::TokenExists);
        }
        if self.tokens.len() >= MAX_TOKENS {
            return Err(Refusal::TooManyTokens);
        }
        if token.grant.scopes.is_empty() {
            return Err(Refusal::NoScope);
        }
        check_expiry(token.expires_at, now)?;
        self.tokens.insert(token.hash.id(), token);
        Ok(())
    }

    fn rotate(
        &mut self,
        id: &TokenId,
        hash: TokenHash,
        old_until: Option<Timestamp>,
        expires_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        self.drop_ended(now);
        let is_taken = self.knows(hash);
        let token = self.tokens.get_mut(id).ok_or(Refusal::TokenMissing)?;
        if is_taken {
            return Err(Refusal::TokenExists);
        }
        // The text that goes on must not go on for longer than it would have.
        let until = old_until.map(|until| token.expires_at.map_or(until, |end| end.min(until)));
        if let Some(until) = until.filter(|until| *until > now) {
            if token.retiring.len() >= MAX_RETIRING_TEXTS {
                return Err(Refusal::TooManyTexts);
            }
            let hash = token.hash;
            token.retiring.push(RetiringText { hash, until });
        }
        token.hash = hash;
        token.expires_at = expires_at.or(token.expires_at);
        check_expiry(token.expires_at, now)
    }

    /// Whether a text with this hash, or one that begins like it, proves a token. One text under a second name would push
    /// the first token out.
    fn knows(&self, hash: TokenHash) -> bool {
        let id = hash.id();
        let mut texts = self.tokens.values().flat_map(Token::texts);
        self.tokens.contains_key(&id) || texts.any(|(known, _)| known.id() == id)
    }

    /// What is wrong with the tokens and issuers, if anything is: a state read from outside is checked with this before anybody is let in
    /// by it. Commands keep it.
    #[must_use]
    pub fn inconsistency(&self) -> Option<&'static str> {
        if self.tokens.len() > MAX_TOKENS {
            return Some("too many tokens");
        }
        let (mut names, mut texts) = (BTreeSet::new(), BTreeMap::new());
        for (id, token) in &self.tokens {
            if is_reserved(&token.name) {
                return Some("a token has the name of a caller that is none");
            }
            if !names.insert(&token.name) {
                return Some("two tokens have one name");
            }
            if token.grant.scopes.is_empty() {
                return Some("a token has no scope");
            }
            if token.retiring.len() > MAX_RETIRING_TEXTS {
                return Some("a token has too many retiring texts");
            }
            let of_text = token.texts().map(|(hash, _)| hash.id());
            for text in of_text.chain([id.clone()]) {
                if texts.insert(text, id).is_some_and(|other| other != id) {
                    return Some("two tokens share a text or an id");
                }
            }
        }
        if self.issuers.len() > MAX_ISSUERS {
            return Some("too many issuer entries");
        }
        for issuer in self.issuers.values() {
            if issuer.grant.scopes.is_empty() {
                return Some("an issuer entry has no scope");
            }
            if !(1..=MAX_CLAIMS).contains(&issuer.claims.len()) {
                return Some("an issuer entry asks for no claims, or for too many");
            }
        }
        None
    }

    /// Forgets texts that work no longer, and tokens that have none left.
    fn drop_ended(&mut self, now: Timestamp) {
        self.tokens.retain(|_, token| token.is_live(now));
        for token in self.tokens.values_mut() {
            token.retiring.retain(|text| text.until > now);
        }
    }
}

fn check_expiry(expires_at: Option<Timestamp>, now: Timestamp) -> Result<(), Refusal> {
    match expires_at.filter(|end| *end <= now) {
        Some(end) => Err(Refusal::ExpiryPassed(end)),
        None => Ok(()),
    }
}
