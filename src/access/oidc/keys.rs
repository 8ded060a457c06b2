//! The keys of one issuer, from its JSON Web Key Set (RFC 7517).

use std::fmt;
use std::sync::Arc;

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::SubjectClaims;
use crate::access::jwt::{self, Presented, Unproved, VerifyingKey};
use crate::domain::ids::IssuerUrl;

/// The keys of one issuer, cheap to clone.
#[derive(Clone)]
pub struct IssuerKeys {
    issuer: IssuerUrl,
    keys: Arc<Vec<VerifyingKey>>,
}

/// A text that is no key set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "no key set with a key that signs with RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384 or EdDSA"
)]
pub struct NoKeys;

impl IssuerKeys {
    /// Of an issuer whose keys are not known yet: none.
    #[must_use]
    pub fn none(issuer: IssuerUrl) -> Self {
        let keys = Arc::default();
        Self { issuer, keys }
    }

    /// The keys in a key set. Keys of other kinds and for other uses are passed over.
    ///
    /// # Errors
    /// It is no key set, or there is no usable key in it.
    pub fn read(issuer: IssuerUrl, set: &Value) -> Result<Self, NoKeys> {
        jwt::install();
        let keys = set.get("keys").and_then(Value::as_array).ok_or(NoKeys)?;
        let keys: Vec<_> = keys.iter().filter_map(read_key).collect();
        if keys.is_empty() {
            return Err(NoKeys);
        }
        let keys = Arc::new(keys);
        Ok(Self { issuer, keys })
    }

    /// How many there are.
    pub(in crate::access) fn len(&self) -> usize {
        self.keys.len()
    }

    /// What a token of this issuer says.
    pub(in crate::access) fn prove(
        &self,
        token: &Presented<'_>,
    ) -> Result<SubjectClaims, Unproved> {
        let claims: Map<String, Value> = token.prove(self.keys.iter())?;
        SubjectClaims::read(&self.issuer, claims).ok_or(Unproved::Invalid)
    }
}

impl fmt::Debug for IssuerKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids: Vec<_> = self.keys.iter().map(|key| &key.id).collect();
        f.debug_tuple("IssuerKeys").field(&ids).finish()
    }
}

/// A key that is for signatures. What it is for is fixed by its own type, never by the token that names it.
fn read_key(value: &Value) -> Option<VerifyingKey> {
    let jwk = Jwk::deserialize(value).ok()?;
    if !matches!(
        jwk.common.public_key_use,
        None | Some(PublicKeyUse::Signature)
    ) {
        return None;
    }
    let named = jwk.common.key_algorithm;
    let algorithm = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => match named {
            None | Some(KeyAlgorithm::RS256) => Algorithm::RS256,
            Some(KeyAlgorithm::RS384) => Algorithm::RS384,
            Some(KeyAlgorithm::RS512) => Algorithm::RS512,
            Some(KeyAlgorithm::PS256) => Algorithm::PS256,
            Some(KeyAlgorithm::PS384) => Algorithm::PS384,
            Some(KeyAlgorithm::PS512) => Algorithm::PS512,
            Some(_) => return None,
        },
        AlgorithmParameters::EllipticCurve(key) => match (&key.curve, named) {
            (EllipticCurve::P256, None | Some(KeyAlgorithm::ES256)) => Algorithm::ES256,
            (EllipticCurve::P384, None | Some(KeyAlgorithm::ES384)) => Algorithm::ES384,
            _ => return None,
        },
        AlgorithmParameters::OctetKeyPair(key) => match (&key.curve, named) {
            (EllipticCurve::Ed25519, None | Some(KeyAlgorithm::EdDSA)) => Algorithm::EdDSA,
            _ => return None,
        },
        // A symmetric key in a public place proves nothing; of others nothing is known.
        _ => return None,
    };
    Some(VerifyingKey {
        id: jwk.common.key_id.clone(),
        key: DecodingKey::from_jwk(&jwk).ok()?,
        algorithms: vec![algorithm],
    })
}
