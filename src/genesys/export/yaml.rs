//! Writing YAML that every reader takes for the same: block style, and every text that could be taken for anything else in
//! double quotes, where only escapes mean something.

use std::fmt::Write as _;

/// A value, and what stands above it.
#[derive(Debug, Clone)]
pub(super) enum Yaml {
    /// A text.
    Text(String),
    /// A number or truth value, as it is written.
    Bare(String),
    /// A token that Archy, Terraform or `fill` replace.
    Token(&'static str),
    /// Members, in this order.
    Map(Vec<(String, Yaml)>),
    /// Items.
    List(Vec<Yaml>),
    /// A value with a comment directly above its key or item.
    Noted(&'static str, Box<Yaml>),
}

/// A text.
pub(super) fn text(text: impl Into<String>) -> Yaml {
    Yaml::Text(text.into())
}

/// A number.
pub(super) fn number(number: impl ToString) -> Yaml {
    Yaml::Bare(number.to_string())
}

/// Members, in this order.
pub(super) fn map<K: Into<String>>(members: impl IntoIterator<Item = (K, Yaml)>) -> Yaml {
    let members = members.into_iter().map(|(key, value)| (key.into(), value));
    Yaml::Map(members.collect())
}

/// One member.
pub(super) fn one(key: impl Into<String>, value: Yaml) -> Yaml {
    map([(key, value)])
}

/// Items.
pub(super) fn list(items: impl IntoIterator<Item = Yaml>) -> Yaml {
    Yaml::List(items.into_iter().collect())
}

impl Yaml {
    /// The same with a comment above it.
    pub(super) fn noted(self, note: &'static str) -> Self {
        Self::Noted(note, Box::new(self))
    }

    /// The document, with a line end at its end.
    pub(super) fn document(&self, heading: &str) -> String {
        let mut out = String::new();
        for line in heading.lines() {
            // Writing to a text cannot fail, here and below.
            let _ = writeln!(out, "# {line}");
        }
        self.write(&mut out, 0);
        out
    }

    /// Writes lines, each at `depth`.
    fn write(&self, out: &mut String, depth: usize) {
        match self {
            Self::Map(members) => {
                for (key, value) in members {
                    let value = value.noting(out, depth);
                    let _ = write!(out, "{:depth$}{}:", "", scalar(key));
                    value.write_after(out, depth + 2);
                }
            }
            Self::List(items) => {
                for item in items {
                    let item = item.noting(out, depth);
                    let _ = write!(out, "{:depth$}-", "");
                    item.write_item(out, depth + 2);
                }
            }
            scalar => scalar.write_after(out, depth),
        }
    }

    /// Writes the comment if there is one: what it is about.
    fn noting(&self, out: &mut String, depth: usize) -> &Self {
        let Self::Noted(note, value) = self else {
            return self;
        };
        for line in note.lines() {
            let _ = writeln!(out, "{:depth$}# {line}", "");
        }
        value.noting(out, depth)
    }

    /// Writes a value behind its key.
    fn write_after(&self, out: &mut String, depth: usize) {
        match self {
            Self::Text(text) => {
                let _ = writeln!(out, " {}", scalar(text));
            }
            Self::Bare(bare) => {
                let _ = writeln!(out, " {bare}");
            }
            Self::Token(name) => {
                let _ = writeln!(out, " {}", token(name));
            }
            Self::Map(members) if members.is_empty() => out.push_str(" {}\n"),
            Self::List(items) if items.is_empty() => out.push_str(" []\n"),
            Self::Map(_) | Self::List(_) => {
                out.push('\n');
                self.write(out, depth);
            }
            Self::Noted(_, value) => value.write_after(out, depth),
        }
    }

    /// Writes a value behind the dash of its item: members begin on the same line.
    fn write_item(&self, out: &mut String, depth: usize) {
        if !matches!(self, Self::Map(members) if !members.is_empty()) {
            return self.write_after(out, depth);
        }
        let mut lines = String::new();
        self.write(&mut lines, depth);
        out.push(' ');
        out.push_str(lines.trim_start_matches(' '));
    }
}

/// Words that some reader of YAML takes for something else than a text.
const WORDS: [&str; 11] = [
    "y", "n", "yes", "no", "true", "false", "on", "off", "null", "nan", "inf",
];

/// A text as a scalar: as it is if nobody could take it for anything else, or else in quotes.
fn scalar(text: &str) -> String {
    let is_plain = text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
        && !WORDS.contains(&&*text.to_ascii_lowercase());
    if is_plain {
        text.to_owned()
    } else {
        quoted(text)
    }
}

/// A text in double quotes. Two braces in a row are no token to whoever replaces tokens without reading YAML.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    let mut previous = None;
    for character in text.chars() {
        let code = u32::from(character);
        let _ = match character {
            '"' | '\\' => write!(out, "\\{character}"),
            '\n' => write!(out, "\\n"),
            '\t' => write!(out, "\\t"),
            '{' if previous == Some('{') => write!(out, "\\x7B"),
            _ if code < 0x20 || (0x7f..0xa1).contains(&code) => write!(out, "\\x{code:02X}"),
            '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' => {
                write!(out, "\\u{code:04X}")
            }
            _ => write!(out, "{character}"),
        };
        previous = Some(character);
    }
    out.push('"');
    out
}

/// A token, in quotes: what replaces it has to be a text.
pub(super) fn token(name: &str) -> String {
    format!("\"{{{{{name}}}}}\"")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{ProptestConfig, any, prop_oneof, proptest};
    use proptest::strategy::Strategy;
    use serde_json::{Value, json};

    use super::*;

    fn read(text: &str) -> Value {
        serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    #[test]
    fn what_is_written_reads_as_what_was_meant() {
        let yaml = map([
            ("plain", text("inboundCall")),
            (
                "list",
                list([
                    map([("a", text("1")), ("b", list([text("x: y"), number(2)]))]),
                    text("- no list"),
                    map::<&str>([]),
                    list([list([]), one("c", one("d", Yaml::Bare("true".to_owned())))]),
                ])
                .noted("one\ntwo"),
            ),
            ("yes", Yaml::Token("flow_name").noted("three")),
        ]);
        let written = yaml.document("A heading.");
        insta::assert_snapshot!(written, @r##"
        # A heading.
        plain: inboundCall
        # one
        # two
        list:
          - a: "1"
            b:
              - "x: y"
              - 2
          - "- no list"
          - {}
          -
            - []
            - c:
                d: true
        # three
        "yes": "{{flow_name}}"
        "##);
        let expected = json!({
            "plain": "inboundCall",
            "list": [{ "a": "1", "b": ["x: y", 2] }, "- no list", {}, [[], { "c": { "d": true } }]],
            "yes": "{{flow_name}}",
        });
        assert_eq!(read(&written), expected);
    }

    #[test]
    fn words_and_numbers_stay_texts() {
        for hostile in [
            "",
            " ",
            "yes",
            "No",
            "on",
            "OFF",
            "true",
            "null",
            "~",
            "y",
            ".inf",
            ".nan",
            "NaN",
            "1",
            "1e3",
            "0x1f",
            "0o7",
            "1_000",
            "12:30:45",
            "2026-01-01",
            "=",
            "<<",
            "*a",
            "&a",
            "!t",
            "%a",
            "@a",
            "`a",
            "a: b",
            "a #b",
            "#a",
            "- a",
            "? a",
            "[a]",
            "{a}",
            "{{a}}",
            "'a'",
            "\"a\"",
            "a\\n",
            "\\",
            "a\nb",
            "a\tb",
            "---",
            "...",
            "a\r",
            "\u{85}",
            "\u{2028}",
            "\u{feff}a",
            "ä 🚦",
            "${a}",
            "$!{a}",
            "#set($a=1)",
            "$esc.jsonString(x)",
            "\u{0}",
            "\u{7f}",
        ] {
            let written = one(hostile, list([text(hostile), one("x", text(hostile))])).document("");
            let expected = json!({ hostile: [hostile, { "x": hostile }] });
            assert_eq!(read(&written), expected, "{written}");
            let inside = written.replace("\"x\"", "");
            assert!(!inside.contains("{{"), "{written}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn any_text_survives_as_key_and_as_value(
            hostile in prop_oneof![".*", "[\\x00-\\x7f]{0,20}", any::<String>(), "[{}#$:\\-\"'\\\\ \n]{0,12}"]
                .prop_map(String::from)
        ) {
            let written = one(hostile.clone(), list([text(hostile.clone())])).document("");
            assert_eq!(read(&written), json!({ hostile.clone(): [hostile] }));
        }
    }
}
