//! Phone numbers, as far as telling them apart needs.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The most digits of a number (ITU-T E.164, section 6.2.1).
const MAX_DIGITS: usize = 15;

/// A caller's or a dialled number: 1 to 15 digits, with a `+` before them or not.
///
/// Genesys and the trunks before it spell one number in many ways, so this is what is left of a text after:
/// 1. blanks at its ends and one scheme `tel:`, `sip:` or `sips:`, in any case, are taken away;
/// 2. the first `@` or `;` and all behind it, the host and the parameters of an address, are taken away;
/// 3. blanks, `-`, `.`, `(` and `)`, which only help the eye (RFC 3966, section 5.1.1), are taken away.
///
/// What is not digits with at most a leading `+` by then is no number, and equals none: an anonymous caller, a name, an
/// address with a name. Nothing is guessed: `+4930123`, `004930123` and `030123` are three numbers, since only the trunk
/// knows whether they are one.
// Four bits per symbol, the last one lowest, so that reading and comparing allocate nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(
    value_type = String,
    pattern = r"^ *(([Tt][Ee][Ll]|[Ss][Ii][Pp][Ss]?):)?[ .()-]*[+]?[ .()-]*[0-9]([ .()-]*[0-9]){0,14}[ .()-]*([@;].*)?$",
    example = "+4930123456"
)]
pub struct PhoneNumber(u64);

/// A text is no phone number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "invalid phone number: expected 1 to {MAX_DIGITS} digits, with a + before them or not, such as +4930123456"
)]
pub struct InvalidPhoneNumber;

/// The `+`, beside the digits 0 to 9, which are 1 to 10: a symbol is never 0, so no two numbers look alike.
const PLUS: u64 = 11;

impl FromStr for PhoneNumber {
    type Err = InvalidPhoneNumber;

    fn from_str(text: &str) -> Result<Self, InvalidPhoneNumber> {
        let address = without_scheme(text.trim_ascii());
        let user = address.split(['@', ';']).next().unwrap_or_default();
        let (mut symbols, mut digits) = (0, 0);
        for byte in user.bytes() {
            match byte {
                b'0'..=b'9' if digits < MAX_DIGITS => {
                    symbols = (symbols << 4) | u64::from(byte - b'0' + 1);
                    digits += 1;
                }
                b'+' if symbols == 0 => symbols = PLUS,
                b' ' | b'-' | b'.' | b'(' | b')' => {}
                _ => return Err(InvalidPhoneNumber),
            }
        }
        if digits == 0 {
            return Err(InvalidPhoneNumber);
        }
        Ok(Self(symbols))
    }
}

fn without_scheme(address: &str) -> &str {
    ["tel:", "sip:", "sips:"]
        .iter()
        .find_map(|scheme| {
            let (start, rest) = address.split_at_checked(scheme.len())?;
            start.eq_ignore_ascii_case(scheme).then_some(rest)
        })
        .unwrap_or(address)
}

impl fmt::Display for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let symbols = (0..16).rev().map(|place| (self.0 >> (4 * place)) & 0xf);
        for symbol in symbols.filter(|symbol| *symbol != 0) {
            match symbol {
                PLUS => f.write_str("+")?,
                digit => (digit - 1).fmt(f)?,
            }
        }
        Ok(())
    }
}

impl fmt::Debug for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PhoneNumber({self})")
    }
}

impl TryFrom<String> for PhoneNumber {
    type Error = InvalidPhoneNumber;

    fn try_from(text: String) -> Result<Self, InvalidPhoneNumber> {
        text.parse()
    }
}

impl From<PhoneNumber> for String {
    fn from(number: PhoneNumber) -> Self {
        number.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{Strategy, any, prop_assert_eq, proptest};
    use proptest::{collection, sample};

    use super::*;

    fn read(text: &str) -> Option<String> {
        let number = text.parse::<PhoneNumber>().ok()?;
        Some(number.to_string())
    }

    #[test]
    fn the_spellings_of_genesys_and_its_trunks_are_one_number() {
        for text in [
            "+4930123456",
            "tel:+4930123456",
            "TEL:+49-30-123456",
            "tel:+4930123456;ext=12",
            "sip:+4930123456@trunk.example.com:5060;transport=tls",
            "sips:+4930123456;phone-context=example.com@trunk.example.com",
            "Sip:+4930123456",
            " +49 (30) 123.456 ",
            "+4930123456@trunk.example.com",
            "\t+4930123456\r\n",
        ] {
            assert_eq!(read(text).as_deref(), Some("+4930123456"), "{text:?}");
        }
    }

    #[test]
    fn what_only_the_trunk_could_know_to_be_the_same_is_another_number() {
        let numbers = [
            "+4930123",
            "4930123",
            "004930123",
            "030123",
            "30123",
            "0",
            "00",
            "+0",
        ];
        for number in numbers {
            assert_eq!(read(number).as_deref(), Some(number));
        }
    }

    #[test]
    fn what_is_no_number_is_told_apart() {
        for text in [
            "",
            " ",
            "+",
            "tel:",
            "sip:@trunk.example.com",
            "sip:anonymous@anonymous.invalid",
            "sip:anna@example.com",
            "sip:1anna@example.com",
            "tel:tel:+4930123456",
            "tel: sip:1",
            "+49+30",
            "49+30",
            "++49",
            "*100#",
            "1,2",
            "１２３",
            "+1234567890123456",
            "1234567890123456",
            "tel",
            "té",
            "sip:\u{0}1",
        ] {
            assert_eq!(read(text), None, "{text:?}");
        }
        assert_eq!(
            read("+123456789012345").as_deref(),
            Some("+123456789012345")
        );
        assert_eq!(read("000000000000000").as_deref(), Some("000000000000000"));
    }

    #[test]
    fn the_json_is_the_text() {
        let number: PhoneNumber = serde_json::from_str(r#""tel:+49 30 1""#).unwrap();
        assert_eq!(serde_json::to_string(&number).unwrap(), r#""+49301""#);
        let error = serde_json::from_str::<PhoneNumber>(r#""secret""#).unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
    }

    /// Numbers as they are written back.
    fn canonical() -> impl Strategy<Value = String> {
        r"\+?[0-9]{1,15}"
    }

    proptest! {
        #[test]
        fn a_number_reads_back_from_its_text(text in canonical()) {
            prop_assert_eq!(read(&text), Some(text));
        }

        #[test]
        fn numbers_are_equal_exactly_if_their_texts_are(one in canonical(), other in canonical()) {
            let parse = |text: &str| text.parse::<PhoneNumber>().unwrap();
            prop_assert_eq!(parse(&one) == parse(&other), one == other);
        }

        #[test]
        fn dressing_a_number_up_does_not_change_it(
            text in canonical(),
            scheme in sample::select(vec!["", "tel:", "sip:", "sips:", "TEL:", "Sip:"]),
            separators in collection::vec(sample::select(vec!["", " ", "-", ".", "(", ")", " ("]), 16),
            end in sample::select(vec!["", ";ext=1", "@example.com", ";a=b@[::1]:5060", "@x;y?z"]),
            blanks in sample::select(vec!["", " ", "\t "]),
        ) {
            let dressed: String = text
                .chars()
                .zip(&separators)
                .flat_map(|(symbol, separator)| separator.chars().chain([symbol]))
                .collect();
            let dressed = format!("{blanks}{scheme}{dressed}{end}{blanks}");
            prop_assert_eq!(read(&dressed), Some(text), "{:?}", dressed);
        }

        #[test]
        fn any_text_is_a_number_or_none(text in any::<String>()) {
            // What is a number is one of those that read back.
            if let Some(number) = read(&text) {
                prop_assert_eq!(read(&number), Some(number));
            }
        }
    }
}
