//! What a caller says, read without copying.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use serde::de::{Error as _, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::http::problem::{Kind, Problem};

/// The members of a decision request, borrowed from its body: they go with it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Input<'a> {
    pub(super) conversation_id: Cow<'a, str>,
    pub(super) flow_version: Cow<'a, str>,
    pub(super) ani: Cow<'a, str>,
    pub(super) dnis: Cow<'a, str>,
}

/// Reads one JSON object whose known members are texts or null, none of its members twice.
pub(super) fn parse(body: &[u8]) -> Result<Input<'_>, Problem> {
    let no_json = || Problem::new(Kind::BadRequest, "the body does not read as JSON");
    // Checked once for all of it; from bytes, the parser would check each text by itself.
    let body = std::str::from_utf8(body).map_err(|_| no_json())?;
    serde_json::from_str(body).map_err(|error| {
        if !error.is_data() {
            return no_json();
        }
        let detail = "the body must be one JSON object in which Conversation_ID, Flow_Version, ANI and DNIS are texts, no \
                      member twice";
        Problem::new(Kind::BadRequest, detail)
    })
}

impl<'de> Deserialize<'de> for Input<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Not `deserialize_struct`: that would take an array for an object.
        deserializer.deserialize_map(Members)
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Input<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Input<'de>, A::Error> {
        let mut input = [const { None }; 4];
        let mut unknown = Unknown::default();
        while let Some(Text(name)) = map.next_key()? {
            let known = ["Conversation_ID", "Flow_Version", "ANI", "DNIS"]
                .iter()
                .position(|known| *known == name);
            let is_repeated = match known {
                Some(member) => input[member]
                    .replace(map.next_value::<OptionalText<'_>>()?.0)
                    .is_some(),
                None => {
                    map.next_value::<IgnoredAny>()?;
                    !unknown.is_new(name)
                }
            };
            if is_repeated {
                return Err(A::Error::custom("a member stands twice"));
            }
        }
        let [conversation_id, flow_version, ani, dnis] = input.map(Option::unwrap_or_default);
        Ok(Input {
            conversation_id,
            flow_version,
            ani,
            dnis,
        })
    }
}

/// As many unknown names are compared one by one, which costs less than keeping order.
const FEW: usize = 8;

/// The names of unknown members so far.
#[derive(Default)]
struct Unknown<'a> {
    few: Vec<Cow<'a, str>>,
    /// In order, so that thousands of them take no longer than thousands of anything.
    others: BTreeSet<Cow<'a, str>>,
}

impl<'a> Unknown<'a> {
    /// Keeps a name; false if it was there.
    fn is_new(&mut self, name: Cow<'a, str>) -> bool {
        if self.few.contains(&name) {
            return false;
        }
        if self.few.len() < FEW {
            self.few.push(name);
            return true;
        }
        self.others.insert(name)
    }
}

/// A text, borrowed from the body unless it holds escapes.
struct Text<'a>(Cow<'a, str>);

/// A text, or null for an empty one.
struct OptionalText<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor).map(Self)
    }
}

impl<'de> Deserialize<'de> for OptionalText<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor).map(Self)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Owned(text.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Borrowed(""))
    }
}
