//! The pair of a name and a text in HTTP Basic (RFC 7617).

use data_encoding::BASE64;

/// A decoded pair. It has no `Debug`, so that no log shows it.
#[derive(PartialEq, Eq)]
pub(super) struct BasicPair {
    /// The name.
    pub(super) user: String,
    /// The text.
    pub(super) text: Vec<u8>,
}

impl BasicPair {
    /// The pair behind the scheme `Basic`; `None` if it is not one. The name ends at the first colon.
    pub(super) fn decode(encoded: &[u8]) -> Option<Self> {
        let mut user = BASE64.decode(encoded).ok()?;
        let colon = user.iter().position(|byte| *byte == b':')?;
        let text = user.split_off(colon + 1);
        user.truncate(colon);
        let user = String::from_utf8(user).ok()?;
        Some(Self { user, text })
    }

    /// The pair as OAuth means it: name and text are form-encoded before they are put together (RFC 6749, section 2.3.1).
    /// Many clients, Genesys Cloud among them, leave that step out.
    pub(super) fn form_decoded(&self) -> Self {
        let decode = |bytes: &[u8]| {
            let decoded = form_urlencoded::parse(bytes).next();
            decoded.map_or_else(String::new, |(text, _)| text.into_owned())
        };
        Self {
            user: decode(self.user.as_bytes()),
            text: decode(&self.text).into_bytes(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_is_split_at_its_first_colon() {
        let pair = BasicPair::decode(BASE64.encode("größe:a:b".as_bytes()).as_bytes()).unwrap();
        assert_eq!((pair.user.as_str(), &pair.text[..]), ("größe", &b"a:b"[..]));
        let pair = BasicPair::decode(BASE64.encode(b":").as_bytes()).unwrap();
        assert_eq!((pair.user.as_str(), &pair.text[..]), ("", &b""[..]));
    }

    #[test]
    fn a_pair_of_oauth_may_be_form_encoded() {
        let pair = BasicPair::decode(BASE64.encode(b"Ops%2C+night%25:tc_1").as_bytes()).unwrap();
        let pair = pair.form_decoded();
        assert_eq!(
            (pair.user.as_str(), &pair.text[..]),
            ("Ops, night%", &b"tc_1"[..])
        );
    }

    #[test]
    fn what_is_no_pair_is_none() {
        for bytes in [&b"no colon"[..], b"\xff:a", b""] {
            assert!(BasicPair::decode(BASE64.encode(bytes).as_bytes()).is_none());
        }
        for encoded in [&b"?"[..], b"YTpi\n", b"YTpi=", b"YTpiYw"] {
            assert!(BasicPair::decode(encoded).is_none());
        }
    }
}
