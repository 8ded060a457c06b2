//! As much of Velocity as the templates of exported data actions use, and not a word more: whatever else there is in a template
//! is refused, so that no test passes by chance.
//!
//! References (`${a.b}`, quiet `$!{a.b}`), calls of the two macros that Genesys Cloud documents (`$esc.jsonString(…)`,
//! `$encoding.base64("…")`), text. As in Velocity, a reference to nothing prints as it is written, unless it is quiet.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::iter::Peekable;
use std::str::Chars;

use data_encoding::BASE64;

/// What references mean: `input.ANI` and the like.
pub(crate) type Context = BTreeMap<String, String>;

/// The text that `template` renders to.
pub(crate) fn render(template: &str, context: &Context) -> String {
    let mut out = String::new();
    let mut rest = template.chars().peekable();
    while let Some(next) = rest.next() {
        match next {
            '$' => {
                let reference = Reference::read(&mut rest);
                match reference.value(context) {
                    Some(value) => out.push_str(&value),
                    None if reference.is_quiet => {}
                    None => out.push_str(&reference.spelled),
                }
            }
            '#' => panic!("a directive, perhaps: {template}"),
            '\\' if rest.peek().is_some_and(|next| "$#\\".contains(*next)) => {
                panic!("an escape, perhaps: {template}")
            }
            _ => out.push(next),
        }
    }
    out
}

/// A reference, or the call of a macro.
struct Reference {
    /// As it stands in the template.
    spelled: String,
    is_quiet: bool,
    /// Its name, with dots.
    name: String,
    /// What a macro is called with.
    argument: Option<String>,
}

impl Reference {
    /// Reads what follows a `$`.
    fn read(rest: &mut Peekable<Chars<'_>>) -> Self {
        let mut spelled = "$".to_owned();
        let mut take = |rest: &mut Peekable<Chars<'_>>, wanted: char| {
            let is_there = rest.peek() == Some(&wanted);
            if is_there {
                spelled.push(wanted);
                rest.next();
            }
            is_there
        };
        let is_quiet = take(rest, '!');
        let is_braced = take(rest, '{');
        let mut name = String::new();
        while let Some(next) = rest.peek().copied() {
            if !(next.is_ascii_alphanumeric() || "._-".contains(next)) {
                break;
            }
            name.push(next);
            spelled.push(next);
            rest.next();
        }
        assert!(
            name.starts_with(|first: char| first.is_ascii_alphabetic()),
            "`{spelled}` begins no reference"
        );
        let mut argument = None;
        if is_braced {
            assert_eq!(rest.next(), Some('}'), "{spelled} is not closed");
            spelled.push('}');
        } else if rest.peek() == Some(&'(') {
            rest.next();
            let inner = argument_of(rest);
            let _ = write!(spelled, "({inner})");
            argument = Some(inner);
        }
        Self {
            spelled,
            is_quiet,
            name,
            argument,
        }
    }

    fn value(&self, context: &Context) -> Option<String> {
        let Some(argument) = &self.argument else {
            return context.get(&self.name).cloned();
        };
        let given = evaluate(argument, context);
        match self.name.as_str() {
            "esc.jsonString" => given.map(|text| json_string(&text)),
            "encoding.base64" => given.map(|text| BASE64.encode(text.as_bytes())),
            other => panic!("Genesys Cloud documents no macro {other}"),
        }
    }
}

/// What stands before the closing parenthesis.
fn argument_of(rest: &mut Peekable<Chars<'_>>) -> String {
    let mut argument = String::new();
    let mut is_quoted = false;
    for next in rest.by_ref() {
        match next {
            '"' => is_quoted = !is_quoted,
            ')' if !is_quoted => return argument,
            _ => {}
        }
        argument.push(next);
    }
    panic!("a call that is not closed: {argument}")
}

/// What an argument is: a reference, which may be to nothing, or a text in quotes, in which references are rendered.
fn evaluate(argument: &str, context: &Context) -> Option<String> {
    if let Some(text) = argument
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
    {
        return Some(render(text, context));
    }
    let mut rest = argument.chars().peekable();
    assert_eq!(rest.next(), Some('$'), "{argument} is no reference");
    let reference = Reference::read(&mut rest);
    assert_eq!(rest.next(), None, "{argument} is more than a reference");
    reference.value(context)
}

/// What `escapeJson` of Apache Commons makes of a text: ASCII alone, slashes escaped.
fn json_string(text: &str) -> String {
    let mut out = String::new();
    for unit in text.encode_utf16() {
        let _ = match char::from_u32(unit.into()) {
            Some(plain @ ('"' | '\\' | '/')) => write!(out, "\\{plain}"),
            Some(plain @ ' '..='~') => write!(out, "{plain}"),
            _ => write!(out, "\\u{unit:04X}"),
        };
    }
    out
}

#[test]
fn references_to_nothing_print_as_they_are_written_unless_they_are_quiet() {
    let context = Context::from([("input.a".to_owned(), "x\"/ä\n".to_owned())]);
    for (template, rendered) in [
        ("[${input.a}]", "[x\"/ä\n]"),
        ("[${input.b}]", "[${input.b}]"),
        ("[$!{input.b}]", "[]"),
        ("[$esc.jsonString(${input.a})]", "[x\\\"\\/\\u00E4\\u000A]"),
        (
            "[$esc.jsonString(${input.b})]",
            "[$esc.jsonString(${input.b})]",
        ),
        ("[$!esc.jsonString(${input.b})]", "[]"),
        ("$encoding.base64(\"a:${input.b}\")", "YToke2lucHV0LmJ9"),
    ] {
        assert_eq!(render(template, &context), rendered, "{template}");
    }
}
