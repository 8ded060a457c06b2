//! Format 1 of the access aggregate.

use std::collections::{BTreeMap, BTreeSet};

use data_encoding::HEXLOWER;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{FormatError, Stored, hex};
use crate::domain::access::{
    Access, Grant, Issuer, RetiringText, Scope, Token, TokenHash, TokenId,
};
use crate::domain::ids::{
    Actor, AggregateKey, Audience, ClaimName, ClaimPattern, EnvironmentName, IssuerName, IssuerUrl,
};
use crate::store::item::Item;

#[derive(Serialize, Deserialize)]
pub struct WireAccess {
    tokens: BTreeMap<TokenId, WireToken>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    issuers: BTreeMap<IssuerName, WireIssuer>,
}

#[derive(Serialize, Deserialize)]
struct WireIssuer {
    url: IssuerUrl,
    audience: Audience,
    claims: BTreeMap<ClaimName, ClaimPattern>,
    scopes: BTreeSet<Scope>,
    /// Absent: every environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    environments: Option<BTreeSet<EnvironmentName>>,
}

#[derive(Serialize, Deserialize)]
struct WireToken {
    name: Actor,
    sha256: String,
    scopes: BTreeSet<Scope>,
    /// Absent: every environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    environments: Option<BTreeSet<EnvironmentName>>,
    created_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    retiring: Vec<WireRetiringText>,
}

#[derive(Serialize, Deserialize)]
struct WireRetiringText {
    sha256: String,
    until: Timestamp,
}

impl Stored for Access {
    const MEMBER: &'static str = "access";
    const MAX_STATE_BYTES: usize = 256 * 1024;
    type Wire = WireAccess;

    fn to_wire(&self) -> WireAccess {
        WireAccess {
            tokens: self
                .tokens
                .iter()
                .map(|(id, token)| (id.clone(), token.into()))
                .collect(),
            issuers: self
                .issuers
                .iter()
                .map(|(name, issuer)| (name.clone(), issuer.into()))
                .collect(),
        }
    }

    fn from_wire(wire: WireAccess, _: u32) -> Result<Self, FormatError> {
        let tokens = wire
            .tokens
            .into_iter()
            .map(|(id, token)| Ok((id, token.try_into()?)));
        let issuers = wire.issuers.into_iter();
        let access = Self {
            tokens: tokens.collect::<Result<_, FormatError>>()?,
            issuers: issuers
                .map(|(name, issuer)| (name, issuer.into()))
                .collect(),
        };
        match access.inconsistency() {
            None => Ok(access),
            Some(contradiction) => Err(FormatError::Inconsistent(contradiction)),
        }
    }

    fn row(_: Option<&Self>) -> Item {
        Item::new()
    }

    fn is_kind(key: &AggregateKey) -> bool {
        matches!(key, AggregateKey::Access)
    }
}

impl From<&Issuer> for WireIssuer {
    fn from(issuer: &Issuer) -> Self {
        Self {
            url: issuer.url.clone(),
            audience: issuer.audience.clone(),
            claims: issuer.claims.clone(),
            scopes: issuer.grant.scopes.clone(),
            environments: issuer.grant.reach.environments().cloned(),
        }
    }
}

impl From<WireIssuer> for Issuer {
    fn from(wire: WireIssuer) -> Self {
        Self {
            url: wire.url,
            audience: wire.audience,
            claims: wire.claims,
            grant: Grant {
                scopes: wire.scopes,
                reach: wire.environments.into(),
            },
        }
    }
}

impl From<&Token> for WireToken {
    fn from(token: &Token) -> Self {
        Self {
            name: token.name.clone(),
            sha256: HEXLOWER.encode(&token.hash.0),
            scopes: token.grant.scopes.clone(),
            environments: token.grant.reach.environments().cloned(),
            created_at: token.created_at,
            expires_at: token.expires_at,
            retiring: token
                .retiring
                .iter()
                .map(|text| WireRetiringText {
                    sha256: HEXLOWER.encode(&text.hash.0),
                    until: text.until,
                })
                .collect(),
        }
    }
}

impl TryFrom<WireToken> for Token {
    type Error = FormatError;

    fn try_from(wire: WireToken) -> Result<Self, FormatError> {
        let retiring = wire.retiring.into_iter().map(|text| {
            Ok(RetiringText {
                hash: token_hash(&text.sha256)?,
                until: text.until,
            })
        });
        Ok(Self {
            name: wire.name,
            hash: token_hash(&wire.sha256)?,
            grant: Grant {
                scopes: wire.scopes,
                reach: wire.environments.into(),
            },
            created_at: wire.created_at,
            expires_at: wire.expires_at,
            retiring: retiring.collect::<Result<_, FormatError>>()?,
        })
    }
}

fn token_hash(text: &str) -> Result<TokenHash, FormatError> {
    hex(text)
        .map(TokenHash)
        .map_err(|_| FormatError::Inconsistent("a token hash is not 64 hexadecimal digits"))
}
