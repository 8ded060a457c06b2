//! The text of a token: `tc_`, 256 random bits, and a checksum that lets a scanner or a typing error be told from a guess.

use data_encoding::HEXLOWER;
use rand::Rng as _;
use sha2::{Digest, Sha256};

use crate::domain::access::TokenHash;

/// What every token starts with, so that secret scanners find it.
pub(super) const PREFIX: &str = "tc_";
/// Length of the random part in bytes.
const SECRET_BYTES: usize = 32;
/// Length of the checksum in bytes: the start of the SHA-256 of prefix and random part.
const CHECKSUM_BYTES: usize = 4;
/// Length of the whole text.
const TEXT_LENGTH: usize = PREFIX.len() + 2 * (SECRET_BYTES + CHECKSUM_BYTES);

/// A token's text. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenText(String);

impl std::fmt::Debug for TokenText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenText(…)")
    }
}

/// A text that is no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a traffic-cop token: expected tc_ and 72 hexadecimal digits, the last 8 a checksum")]
pub struct NotAToken;

impl TokenText {
    /// A new token.
    #[must_use]
    pub fn draw() -> Self {
        let mut secret = [0; SECRET_BYTES];
        rand::rng().fill_bytes(&mut secret);
        Self::from_secret(secret)
    }

    /// The token made of these random bytes.
    #[must_use]
    pub(super) fn from_secret(secret: [u8; SECRET_BYTES]) -> Self {
        let body = format!("{PREFIX}{}", HEXLOWER.encode(&secret));
        let checksum = HEXLOWER.encode(&checksum(&body));
        Self(body + &checksum)
    }

    /// The text, to be shown once.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What is kept of it.
    #[must_use]
    pub fn hash(&self) -> TokenHash {
        hash(self.0.as_bytes())
    }
}

impl std::str::FromStr for TokenText {
    type Err = NotAToken;

    fn from_str(text: &str) -> Result<Self, NotAToken> {
        let is_hex = |text: &str| text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let digits = text
            .strip_prefix(PREFIX)
            .filter(|digits| text.len() == TEXT_LENGTH && is_hex(digits));
        digits.ok_or(NotAToken)?;
        let (body, end) = text.split_at(TEXT_LENGTH - 2 * CHECKSUM_BYTES);
        if HEXLOWER.encode(&checksum(body)) == end {
            Ok(Self(text.to_owned()))
        } else {
            Err(NotAToken)
        }
    }
}

/// SHA-256 of a presented text. It needs no salt: what it is made of is random already.
#[must_use]
pub fn hash(text: &[u8]) -> TokenHash {
    TokenHash(Sha256::digest(text).into())
}

fn checksum(body: &str) -> [u8; CHECKSUM_BYTES] {
    let digest = Sha256::digest(body);
    [digest[0], digest[1], digest[2], digest[3]]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_round_trip_and_any_changed_character_is_noticed() {
        let token = TokenText::from_secret([0xa5; SECRET_BYTES]);
        assert_eq!(token.reveal().parse(), Ok(token.clone()));
        for place in 0..TEXT_LENGTH {
            let mut bytes = token.reveal().as_bytes().to_vec();
            bytes[place] = if bytes[place] == b'0' { b'1' } else { b'0' };
            assert_eq!(
                String::from_utf8(bytes).unwrap().parse::<TokenText>(),
                Err(NotAToken),
                "{place}"
            );
        }
        assert!(
            token.reveal()[..TEXT_LENGTH - 1]
                .parse::<TokenText>()
                .is_err()
        );
        assert!(!format!("{token:?}").contains("a5a5"));
    }
}
