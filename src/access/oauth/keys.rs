//! Keys of access tokens: Ed25519, in PEM. The last private one signs, all of them prove.

use std::fmt;

use data_encoding::{BASE64, HEXLOWER};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header};
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair};
use rustls::pki_types::pem::{PemObject, SectionKind};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use crate::access::jwt::{self, Presented, Unproved, VerifyingKey};

/// What comes before the 32 bytes of a public Ed25519 key in a `PUBLIC KEY` (RFC 8410, section 4).
const PUBLIC_KEY_PREFIX: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];
/// Bytes of a public Ed25519 key.
const PUBLIC_KEY_BYTES: usize = 32;
/// Bytes of a key's hash that name it.
const ID_BYTES: usize = 8;
/// Characters on a line of PEM (RFC 7468, section 2).
const PEM_LINE: usize = 64;

/// The keys of one moment.
#[derive(Clone, Default)]
pub struct SigningKeys {
    signing: Option<(String, EncodingKey)>,
    verifying: Vec<VerifyingKey>,
}

/// A text that holds no keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SigningKeyError {
    /// It does not read as PEM.
    #[error("a signing key does not read as PEM")]
    NoPem,
    /// It holds something else than the keys that are used here.
    #[error(
        "a signing key is no Ed25519 key: expected PRIVATE KEY (make one with `openssl genpkey -algorithm ed25519`) or PUBLIC KEY"
    )]
    NoKey,
}

impl SigningKeys {
    /// The keys in `pem`, in their order. The last private one signs; public ones only prove, so that every process can know
    /// a key before the first one signs with it.
    ///
    /// # Errors
    /// Something in it is no Ed25519 key.
    pub fn from_pem(pem: &[u8]) -> Result<Self, SigningKeyError> {
        jwt::install();
        let mut keys = Self::default();
        for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(pem) {
            match section.map_err(|_| SigningKeyError::NoPem)? {
                (SectionKind::PrivateKey, der) => keys.add_private(&der)?,
                (SectionKind::PublicKey, der) => {
                    let key = der.strip_prefix(&PUBLIC_KEY_PREFIX);
                    let key = key.filter(|key| key.len() == PUBLIC_KEY_BYTES);
                    keys.add_public(key.ok_or(SigningKeyError::NoKey)?);
                }
                _ => return Err(SigningKeyError::NoKey),
            }
        }
        if keys.verifying.is_empty() {
            return Err(SigningKeyError::NoPem);
        }
        Ok(keys)
    }

    fn add_private(&mut self, der: &[u8]) -> Result<(), SigningKeyError> {
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der);
        let pair = pair.map_err(|_| SigningKeyError::NoKey)?;
        let id = self.add_public(pair.public_key().as_ref());
        self.signing = Some((id, EncodingKey::from_ed_der(der)));
        Ok(())
    }

    fn add_public(&mut self, key: &[u8]) -> String {
        let id = HEXLOWER.encode(&Sha256::digest(key)[..ID_BYTES]);
        self.verifying.push(VerifyingKey {
            id: Some(id.clone()),
            key: DecodingKey::from_ed_der(key),
            algorithms: vec![Algorithm::EdDSA],
        });
        id
    }

    /// Whether there is a key to sign with.
    #[must_use]
    pub fn can_sign(&self) -> bool {
        self.signing.is_some()
    }

    /// The token of type `kind` that says `claims`; `None` without a key to sign with.
    pub(in crate::access) fn sign(&self, claims: &impl Serialize, kind: &str) -> Option<String> {
        let (id, key) = self.signing.as_ref()?;
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some(id.clone());
        header.typ = Some(kind.to_owned());
        jsonwebtoken::encode(&header, claims, key).ok()
    }

    pub(in crate::access) fn prove<C: DeserializeOwned>(
        &self,
        token: &Presented<'_>,
    ) -> Result<C, Unproved> {
        token.prove(&self.verifying)
    }
}

impl fmt::Debug for SigningKeys {
    /// Without the keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids: Vec<_> = self.verifying.iter().map(|key| &key.id).collect();
        f.debug_struct("SigningKeys")
            .field("ids", &ids)
            .finish_non_exhaustive()
    }
}

/// A new private key, in PEM.
///
/// # Errors
/// The system gives no random bytes.
pub fn generate() -> Result<String, ring::error::Unspecified> {
    let der = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new())?;
    let text = BASE64.encode(der.as_ref());
    let mut pem = "-----BEGIN PRIVATE KEY-----\n".to_owned();
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(PEM_LINE));
        pem += line;
        pem.push('\n');
        rest = after;
    }
    pem += "-----END PRIVATE KEY-----\n";
    Ok(pem)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::access::oauth::{ACCESS_TOKEN, ClientClaims};
    use crate::domain::access::TokenId;

    fn claims() -> ClientClaims {
        let id = |text: &str| TokenId(text.to_owned());
        ClientClaims::new(id("client"), id("text"), None, Timestamp::UNIX_EPOCH)
    }

    fn proved(keys: &SigningKeys, token: &str) -> Result<ClientClaims, Unproved> {
        keys.prove(&Presented::read(token.as_bytes()).expect("a token"))
    }

    /// As OpenSSL writes it: the private half alone. The pair is that of RFC 8032, section 7.1, test 1.
    const PRIVATE: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g
-----END PRIVATE KEY-----
";
    const PUBLIC: &str = "-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=
-----END PUBLIC KEY-----
";

    #[test]
    fn the_last_private_key_signs_and_all_prove() {
        let (first, second) = (generate().unwrap(), generate().unwrap());
        let keys = |texts: &[&str]| SigningKeys::from_pem(texts.concat().as_bytes()).unwrap();
        let [old, new] = [keys(&[&first]), keys(&[&first, &second])];
        let (by_old, by_new) = (
            old.sign(&claims(), ACCESS_TOKEN).unwrap(),
            new.sign(&claims(), ACCESS_TOKEN).unwrap(),
        );
        assert_eq!(proved(&new, &by_old), Ok(claims()));
        assert_eq!(proved(&new, &by_new), Ok(claims()));
        assert_eq!(proved(&old, &by_new), Err(Unproved::UnknownKey));
        assert_eq!(
            proved(&keys(&[&second]), &by_old),
            Err(Unproved::UnknownKey)
        );
    }

    #[test]
    fn a_public_key_proves_and_does_not_sign() {
        let (private, public) = (PRIVATE.as_bytes(), PUBLIC.as_bytes());
        let token = SigningKeys::from_pem(private)
            .unwrap()
            .sign(&claims(), ACCESS_TOKEN);
        let public = SigningKeys::from_pem(public).unwrap();
        assert!(!public.can_sign() && public.sign(&claims(), ACCESS_TOKEN).is_none());
        assert_eq!(proved(&public, &token.unwrap()), Ok(claims()));
    }

    #[test]
    fn a_changed_token_is_not_proved() {
        let keys = SigningKeys::from_pem(PRIVATE.as_bytes()).unwrap();
        let token = keys.sign(&claims(), ACCESS_TOKEN).unwrap();
        let [header, body, signature]: [&str; 3] =
            token.split('.').collect::<Vec<_>>().try_into().unwrap();
        let other = ClientClaims {
            sub: TokenId("admin".to_owned()),
            ..claims()
        };
        let encode = |value: &[u8]| data_encoding::BASE64URL_NOPAD.encode(value);
        let forged = encode(serde_json::to_string(&other).unwrap().as_bytes());
        let unsigned = encode(br#"{"alg":"none","typ":"JWT"}"#);
        let symmetric = encode(br#"{"alg":"HS256","typ":"JWT"}"#);
        for token in [
            format!("{header}.{forged}.{signature}"),
            format!("{header}.{body}."),
            format!("{header}.{body}.{}", "A".repeat(86)),
            format!("{symmetric}.{body}.{signature}"),
        ] {
            assert_eq!(proved(&keys, &token), Err(Unproved::Invalid), "{token}");
        }
        for token in [
            format!("{unsigned}.{body}."),
            format!("{header}.{body}"),
            format!("{token}.x"),
            String::new(),
        ] {
            assert!(Presented::read(token.as_bytes()).is_none(), "{token}");
        }
    }

    #[test]
    fn what_is_no_key_is_refused_without_being_shown() {
        for (pem, error) in [
            ("", SigningKeyError::NoPem),
            ("c4N4rY", SigningKeyError::NoPem),
            (
                "-----BEGIN PRIVATE KEY-----\n?\n-----END PRIVATE KEY-----\n",
                SigningKeyError::NoPem,
            ),
            (
                "-----BEGIN PRIVATE KEY-----\nYzRONHJZ\n-----END PRIVATE KEY-----\n",
                SigningKeyError::NoKey,
            ),
            (
                "-----BEGIN PUBLIC KEY-----\nYzRONHJZ\n-----END PUBLIC KEY-----\n",
                SigningKeyError::NoKey,
            ),
            (
                "-----BEGIN RSA PRIVATE KEY-----\nYzRONHJZ\n-----END RSA PRIVATE KEY-----\n",
                SigningKeyError::NoKey,
            ),
        ] {
            assert_eq!(
                SigningKeys::from_pem(pem.as_bytes()).unwrap_err(),
                error,
                "{pem}"
            );
        }
        let keys = SigningKeys::from_pem(PRIVATE.as_bytes()).unwrap();
        assert!(!format!("{keys:?}").contains("9d"));
    }
}
