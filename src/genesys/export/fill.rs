//! Making a flow for one slot out of the one file that a team keeps for both.

use super::yaml;
use crate::domain::ids::{FlowName, VersionLabel};

/// Stands where a flow's name goes.
pub(super) const FLOW_NAME: &str = "flow_name";
/// Stands where the label of its version goes.
pub(super) const FLOW_VERSION: &str = "flow_version";

/// A file that cannot be made a flow of.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTemplate {
    /// A token is missing.
    #[error(
        "expected {0} somewhere: without it the flow would be published under another name or version"
    )]
    Missing(String),
    /// A token is part of something.
    #[error(
        "line {line}: expected {token} as a whole value in double quotes, or what replaces it could change the meaning of the rest"
    )]
    NotAlone {
        /// The line, from 1.
        line: usize,
        /// The token as it has to stand there.
        token: String,
    },
}

/// The flow `name` at `version`: `template` with both in the places of their tokens, whatever characters they hold.
///
/// # Errors
/// A token is missing, or stands where a text cannot be put without looking around.
pub fn fill(
    template: &str,
    name: &FlowName,
    version: &VersionLabel,
) -> Result<String, InvalidTemplate> {
    let values = [(FLOW_NAME, name.as_str()), (FLOW_VERSION, version.as_str())];
    let mut lines = Vec::new();
    let mut is_there = [false; 2];
    for (at, line) in template.split('\n').enumerate() {
        let mut line = line.to_owned();
        // A comment may tell of tokens.
        if !line.trim_start().starts_with('#') {
            for (found, (name, value)) in is_there.iter_mut().zip(values) {
                let token = yaml::token(name);
                if line.contains(&format!("{{{{{name}}}}}")) {
                    let whole = value_of(&line) == Some(token.as_str());
                    if !whole {
                        return Err(InvalidTemplate::NotAlone {
                            line: at + 1,
                            token,
                        });
                    }
                    line = line.replace(&token, &yaml::quoted(value));
                    *found = true;
                    break;
                }
            }
        }
        lines.push(line);
    }
    for (is_there, (name, _)) in is_there.into_iter().zip(values) {
        if !is_there {
            return Err(InvalidTemplate::Missing(yaml::token(name)));
        }
    }
    Ok(lines.join("\n"))
}

/// What stands behind the first `key: ` or dash of a line.
fn value_of(line: &str) -> Option<&str> {
    let line = line.trim();
    let behind = |mark: &str| line.split_once(mark).map(|(_, value)| value.trim());
    behind(": ").or_else(|| behind("- "))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const TEMPLATE: &str = "# {{flow_name}} is replaced\nname: \"{{flow_name}}\"\nlit: \"{{flow_version}}\"\nother: {{prefix}}-x\n";

    fn filled(template: &str) -> Result<String, InvalidTemplate> {
        fill(template, &"Blue".parse().unwrap(), &"2.0".parse().unwrap())
    }

    #[test]
    fn whatever_a_name_holds_it_arrives() {
        for hostile in [
            "a\"b",
            "a\\b",
            "a: b #c",
            "{{flow_version}}",
            "${x} #set($a)",
            "+1 ä 🚦",
            "'",
        ] {
            let template = "name: \"{{flow_name}}\"\nlit: \"{{flow_version}}\"\n";
            let flow = fill(
                template,
                &hostile.parse().unwrap(),
                &hostile.parse().unwrap(),
            );
            let read: Value = serde_saphyr::from_str(&flow.unwrap()).unwrap();
            assert_eq!(read, json!({ "name": hostile, "lit": hostile }));
        }
    }

    #[test]
    fn what_is_none_of_ours_stays() {
        assert_eq!(
            filled(TEMPLATE).unwrap(),
            "# {{flow_name}} is replaced\nname: \"Blue\"\nlit: \"2.0\"\nother: {{prefix}}-x\n"
        );
    }

    #[test]
    fn a_token_that_is_part_of_something_is_refused_by_its_line() {
        for (line, bad) in [
            (1, "name: {{flow_name}}\nlit: \"{{flow_version}}\""),
            (2, "name: \"{{flow_name}}\"\nlit: 'v {{flow_version}}'"),
            (
                2,
                "name: \"{{flow_name}}\"\nexp: Append(\"{{flow_version}}\", \"x\")",
            ),
            (
                1,
                "name: \"{{flow_name}}\" # {{flow_name}}\nlit: \"{{flow_version}}\"",
            ),
        ] {
            let Err(InvalidTemplate::NotAlone { line: at, .. }) = filled(bad) else {
                panic!("{bad}");
            };
            assert_eq!(at, line, "{bad}");
        }
    }

    #[test]
    fn a_flow_that_would_not_say_its_version_is_refused() {
        let missing = |template| match filled(template) {
            Err(InvalidTemplate::Missing(token)) => token,
            other => panic!("{other:?}"),
        };
        assert_eq!(missing("name: \"{{flow_name}}\""), "\"{{flow_version}}\"");
        assert_eq!(
            missing("lit: \"{{flow_version}}\"\n# \"{{flow_name}}\""),
            "\"{{flow_name}}\""
        );
    }
}
