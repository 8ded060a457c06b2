//! JSON Web Tokens (RFC 7519): reading one, and proving its signature. Which keys there are and what the claims mean is said
//! elsewhere.

mod backend;

use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation};
use serde::Deserialize;
use serde::de::DeserializeOwned;

pub(super) use backend::install;

/// Most bytes of a token. Identity providers stay below 4 KiB, and so do the header limits of what stands in front of us.
const MAX_BYTES: usize = 8 * 1024;
/// How far the clocks of who issues a token and who reads it may be apart.
const LEEWAY: SignedDuration = SignedDuration::from_secs(60);

/// A public key, and what it may prove. Symmetric algorithms are not among it: whoever can check those can also sign.
#[derive(Debug, Clone)]
pub(super) struct VerifyingKey {
    /// Its name in the tokens that it proves; without one it is tried on any.
    pub(super) id: Option<String>,
    /// The key.
    pub(super) key: DecodingKey,
    /// The algorithms that it is for.
    pub(super) algorithms: Vec<Algorithm>,
}

/// A token that does not say who sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unproved {
    /// It is no token, or its signature is none.
    Invalid,
    /// It names a key that is not there.
    UnknownKey,
}

/// A token as it presents itself. Nothing of it is proved.
#[derive(Debug)]
pub(super) struct Presented<'a> {
    text: &'a str,
    header: Header,
    issuer: String,
}

/// When a token holds. All in seconds since 1970, fractions allowed (RFC 7519, section 2).
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub(super) struct Times {
    exp: f64,
    nbf: Option<f64>,
    iat: Option<f64>,
}

impl<'a> Presented<'a> {
    /// Reads a token without believing it. `None` if it is none, or asks for extensions that are not known here.
    pub(super) fn read(text: &'a [u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Claims {
            iss: String,
        }
        let text = std::str::from_utf8(text)
            .ok()
            .filter(|text| text.len() <= MAX_BYTES)?;
        let header = jsonwebtoken::decode_header(text).ok()?;
        // Extensions that must be understood are not (RFC 7515, section 4.1.11).
        if header.crit.is_some() || header.zip.is_some() {
            return None;
        }
        let Claims { iss } = jsonwebtoken::dangerous::insecure_decode_claims(text).ok()?;
        Some(Self {
            text,
            header,
            issuer: iss,
        })
    }

    /// Who is said to have issued it.
    pub(super) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The claims, proved to be of whoever holds one of `keys`.
    pub(super) fn prove<'k, C: DeserializeOwned>(
        &self,
        keys: impl IntoIterator<Item = &'k VerifyingKey>,
    ) -> Result<C, Unproved> {
        let named = keys
            .into_iter()
            .filter(|key| match (&key.id, &self.header.kid) {
                (Some(id), Some(named)) => id == named,
                (None, _) | (_, None) => true,
            });
        let mut is_known = false;
        for key in named {
            is_known = true;
            if let Some(claims) = self.prove_by(key) {
                return Ok(claims);
            }
        }
        Err(if is_known {
            Unproved::Invalid
        } else {
            Unproved::UnknownKey
        })
    }

    fn prove_by<C: DeserializeOwned>(&self, key: &VerifyingKey) -> Option<C> {
        let algorithm = self.header.alg;
        if !key.algorithms.contains(&algorithm) {
            return None;
        }
        let mut only_the_signature = Validation::new(algorithm);
        // Times are judged by our own clock, and at every use; the rest is for whoever knows what it means.
        only_the_signature.validate_exp = false;
        only_the_signature.validate_aud = false;
        only_the_signature.required_spec_claims.clear();
        let proved = jsonwebtoken::decode(self.text, &key.key, &only_the_signature);
        proved.ok().map(|proved| proved.claims)
    }
}

impl Times {
    /// From one second to another.
    pub(super) fn between(iat: i64, exp: i64) -> Self {
        // Exact for the next 285 million years.
        let (iat, exp) = (Some(iat as f64), exp as f64);
        Self {
            exp,
            nbf: None,
            iat,
        }
    }

    /// Whether a token of these times holds at `now`.
    pub(super) fn hold(&self, now: Timestamp) -> bool {
        let now = now.as_duration().as_secs_f64();
        let leeway = LEEWAY.as_secs_f64();
        let mut begins = self.nbf.into_iter().chain(self.iat);
        self.exp + leeway > now && begins.all(|at| at - leeway <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_holds_between_its_times_give_or_take_a_minute() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let times = Times::between(1_000, 2_000);
        for (second, holds) in [
            (939, false),
            (940, true),
            (1_500, true),
            (2_059, true),
            (2_060, false),
        ] {
            assert_eq!(times.hold(at(second)), holds, "{second}");
        }
        let later = Times {
            nbf: Some(1_500.5),
            ..times
        };
        assert!(!later.hold(at(1_440)) && later.hold(at(1_441)));
        for never in [f64::NAN, f64::NEG_INFINITY] {
            assert!(
                !Times {
                    exp: never,
                    ..times
                }
                .hold(at(1_500))
            );
            assert!(
                !Times {
                    nbf: Some(f64::NAN),
                    ..times
                }
                .hold(at(1_500))
            );
        }
    }

    #[test]
    fn what_is_too_long_or_asks_for_extensions_is_not_read() {
        let token = |header: &str, claims: &str| {
            let encode = |text: &str| data_encoding::BASE64URL_NOPAD.encode(text.as_bytes());
            format!("{}.{}.", encode(header), encode(claims))
        };
        let plain = r#"{"alg":"EdDSA"}"#;
        let is_read = |token: String| Presented::read(token.as_bytes()).is_some();
        assert!(is_read(token(plain, r#"{"iss":"i"}"#)));
        let long = format!(r#"{{"iss":"i","x":"{}"}}"#, "x".repeat(MAX_BYTES));
        for refused in [
            token(plain, &long),
            token(plain, "{}"),
            token(plain, r#"{"iss":["i"]}"#),
            token(
                r#"{"alg":"EdDSA","crit":["b64"],"b64":false}"#,
                r#"{"iss":"i"}"#,
            ),
            token(r#"{"alg":"EdDSA","zip":"DEF"}"#, r#"{"iss":"i"}"#),
            token(r#"{"alg":"none"}"#, r#"{"iss":"i"}"#),
            token("{}", r#"{"iss":"i"}"#),
        ] {
            assert!(!is_read(refused.clone()), "{refused}");
        }
    }
}
