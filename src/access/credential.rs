//! The credential that comes with a request, as its headers present it. Whether it is valid is not known here.

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName};

use super::Unauthenticated;

const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");
/// The schemes that are read, with the blank behind them.
const BEARER: &[u8] = b"Bearer ";
const BASIC: &[u8] = b"Basic ";

/// What a request presents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Credential<'a> {
    /// Nothing.
    Absent,
    /// A text that is all there is to say: `Authorization: Bearer …`, or `X-API-Key: …`.
    Text(&'a [u8]),
    /// A name and a text in base 64: `Authorization: Basic …`.
    Basic(&'a [u8]),
}

impl<'a> Credential<'a> {
    /// The one credential in `headers`. Of two, neither counts: which of them was meant is not ours to guess.
    pub(super) fn of(headers: &'a HeaderMap) -> Result<Self, Unauthenticated> {
        // A request has few fields: to compare all their names costs less than to look two up.
        let mut presented = headers
            .iter()
            .filter(|(name, _)| matches!(**name, AUTHORIZATION) || **name == X_API_KEY);
        let Some((name, value)) = presented.next() else {
            return Ok(Self::Absent);
        };
        if presented.next().is_some() {
            return Err(Unauthenticated::Several);
        }
        let value = value.as_bytes();
        if *name == X_API_KEY {
            return Ok(Self::Text(value));
        }
        if let Some(text) = after_scheme(BEARER, value) {
            Ok(Self::Text(text))
        } else if let Some(pair) = after_scheme(BASIC, value) {
            Ok(Self::Basic(pair))
        } else {
            Err(Unauthenticated::Malformed)
        }
    }
}

/// What follows `scheme`, which is written in any case (RFC 9110, section 11.1).
fn after_scheme<'a>(scheme: &[u8], value: &'a [u8]) -> Option<&'a [u8]> {
    let (start, rest) = value.split_at_checked(scheme.len())?;
    start
        .eq_ignore_ascii_case(scheme)
        .then(|| rest.trim_ascii_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn every_way_to_present_a_credential_is_read() {
        for (pairs, expected) in [
            (&[][..], Credential::Absent),
            (
                &[("authorization", "Bearer tc_1")],
                Credential::Text(b"tc_1"),
            ),
            (
                &[("authorization", "bEARER   tc_1")],
                Credential::Text(b"tc_1"),
            ),
            (
                &[("authorization", "basic YTpi")],
                Credential::Basic(b"YTpi"),
            ),
            (&[("x-api-key", "tc_1")], Credential::Text(b"tc_1")),
            // No credential at all is one that is not valid, and no stranger.
            (&[("authorization", "Bearer ")], Credential::Text(b"")),
            (&[("x-api-key", "")], Credential::Text(b"")),
        ] {
            assert_eq!(Credential::of(&headers(pairs)), Ok(expected), "{pairs:?}");
        }
    }

    #[test]
    fn of_two_credentials_neither_counts() {
        for pairs in [
            [("authorization", "Bearer tc_1"), ("x-api-key", "tc_1")],
            [
                ("authorization", "Bearer tc_1"),
                ("authorization", "Bearer tc_1"),
            ],
            [("x-api-key", "tc_1"), ("x-api-key", "tc_1")],
        ] {
            assert_eq!(
                Credential::of(&headers(&pairs)),
                Err(Unauthenticated::Several)
            );
        }
    }

    #[test]
    fn what_reads_as_no_credential_is_not_taken_for_none() {
        for value in ["", "Bearer", "tc_1", "Digest a", "Basicly YTpi"] {
            assert_eq!(
                Credential::of(&headers(&[("authorization", value)])),
                Err(Unauthenticated::Malformed),
                "{value:?}"
            );
        }
    }
}
