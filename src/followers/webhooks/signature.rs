//! Signatures of webhooks as Standard Webhooks 1.0 wants them: HMAC-SHA256 over id, time and body.

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE64;
use ring::hmac;

/// How a secret begins.
const PREFIX: &str = "whsec_";
/// How many bytes a secret may have: what the specification asks for.
const LENGTHS: std::ops::RangeInclusive<usize> = 24..=64;
/// Bytes of a secret that is made here.
const DRAWN: usize = 32;

/// A secret that webhooks are signed with.
#[derive(Clone)]
pub struct SigningSecret(hmac::Key);

/// A text is no secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected whsec_ and 24 to 64 bytes in Base64")]
pub struct InvalidSecret;

impl FromStr for SigningSecret {
    type Err = InvalidSecret;

    fn from_str(text: &str) -> Result<Self, InvalidSecret> {
        let encoded = text.strip_prefix(PREFIX).ok_or(InvalidSecret)?;
        let bytes = BASE64.decode(encoded.as_bytes());
        let bytes = bytes.ok().filter(|bytes| LENGTHS.contains(&bytes.len()));
        let bytes = bytes.ok_or(InvalidSecret)?;
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &bytes)))
    }
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningSecret(…)")
    }
}

/// The text of a secret that nobody has yet.
#[must_use]
pub fn draw() -> String {
    use rand::Rng as _;
    let mut bytes = [0; DRAWN];
    rand::rng().fill_bytes(&mut bytes);
    format!("{PREFIX}{}", BASE64.encode(&bytes))
}

/// The header `webhook-signature`: a signature by each of the secrets, so that a receiver may know either while they change.
#[must_use]
pub fn signatures(secrets: &[SigningSecret], id: &str, timestamp: i64, body: &[u8]) -> String {
    let signed = [format!("{id}.{timestamp}.").as_bytes(), body].concat();
    let signatures = secrets.iter().map(|SigningSecret(key)| {
        let tag = hmac::sign(key, &signed);
        format!("v1,{}", BASE64.encode(tag.as_ref()))
    });
    signatures.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification and of the libraries of Standard Webhooks.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    #[test]
    fn it_signs_as_the_published_example_is_signed() {
        let sign = |secrets: &[SigningSecret]| {
            let id = "msg_p5jXN8AQM9LWM0D4loKWxJek";
            signatures(secrets, id, 1_614_265_330, br#"{"test": 2432232314}"#)
        };
        let published = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        let secret: SigningSecret = SECRET.parse().unwrap();
        assert_eq!(sign(std::slice::from_ref(&secret)), published);
        let other: SigningSecret = draw().parse().unwrap();
        let both = sign(&[other, secret]);
        let (first, second) = both.split_once(' ').unwrap();
        assert_eq!(second, published);
        assert!(first.starts_with("v1,") && first != published, "{first}");
    }

    #[test]
    fn what_is_no_secret_is_refused_and_one_is_never_shown() {
        for bad in [
            "",
            "whsec_",
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS",
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS!",
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2Las4==",
            &format!("whsec_{}", BASE64.encode(&[1; 65])),
            &format!("whsec_{}", BASE64.encode(&[1; 23])),
        ] {
            assert_eq!(bad.parse::<SigningSecret>().err(), Some(InvalidSecret));
        }
        let secret: SigningSecret = SECRET.parse().unwrap();
        assert_eq!(format!("{secret:?}"), "SigningSecret(…)");
        assert_ne!(draw(), draw());
    }
}
