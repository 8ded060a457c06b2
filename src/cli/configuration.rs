//! `configuration`: every setting, from the definitions that parse it.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use clap::builder::Resettable;
use clap::{Arg, Command, CommandFactory as _};

use super::failure::Failure;
use super::output;

/// Prints the page.
pub(super) fn run() -> Result<(), Failure> {
    output::print(page().trim_end())
}

const INTRODUCTION: &str = "\
# Configuration

Every setting is a flag and an environment variable; there is no configuration file. Where both are given the flag counts. A value that
does not read as one is refused at the start, by name.

Secrets are better given by the environment or in a file than as a flag, which everybody on the machine can read. Not in these tables:
`HTTPS_PROXY` is heeded by whatever asks other hosts, `NO_COLOR` by whatever writes to a terminal, and credentials for DynamoDB come from
where AWS looks for them.

`traffic-cop configuration` prints this page, from the same definitions that read the settings, and a test compares the two. After a
change of those: `cargo run -- configuration > docs/configuration.md`.
";

/// `docs/configuration.md`.
fn page() -> String {
    let cli = super::Cli::command();
    let mut page = INTRODUCTION.to_owned();
    let mut of_serve = Vec::new();
    if let Some(serve) = cli.find_subcommand("serve") {
        let settings: Vec<_> = settings(serve).collect();
        page += "\n## The service: `traffic-cop serve`\n";
        let headings = settings.iter().map(|(heading, _)| *heading);
        for heading in distinct(headings) {
            let of_it = settings.iter().filter(|(other, _)| *other == heading);
            let table = table(of_it.map(|(_, setting)| setting));
            // Writing to a text cannot fail.
            let _ = write!(page, "\n### {heading}\n\n{table}");
        }
        of_serve.extend(settings.into_iter().map(|(_, setting)| setting));
    }
    page + &other_commands(&cli, &of_serve)
}

/// The chapter about the settings of all other commands, but for those that are `known` from the service.
fn other_commands(cli: &Command, known: &[Setting]) -> String {
    let mut own: Vec<(Setting, Vec<String>)> = Vec::new();
    let mut sharing = BTreeSet::new();
    visit(cli, "", &mut |name, setting| {
        if known.contains(&setting) {
            sharing.insert(format!("`{name}`"));
        } else if let Some((_, names)) = own.iter_mut().find(|(other, _)| *other == setting) {
            names.push(name.to_owned());
        } else {
            own.push((setting, vec![name.to_owned()]));
        }
    });
    let sharing: Vec<_> = sharing.into_iter().collect();
    let sharing = sharing.join(" and ");
    let mut chapter = format!(
        "\n## The command line\n\nThe settings under *Store* are those of {sharing} too.\n"
    );
    let own: Vec<_> = own
        .into_iter()
        .map(|(setting, names)| (whose(&names), setting))
        .collect();
    for name in distinct(own.iter().map(|(name, _)| name)) {
        let of_them = own.iter().filter(|(other, _)| other == name);
        let table = table(of_them.map(|(_, setting)| setting));
        // Writing to a text cannot fail.
        let _ = write!(chapter, "\n### {name}\n\n{table}");
    }
    chapter
}

/// Whose a setting is that commands of these names have.
fn whose(names: &[String]) -> String {
    match names {
        [root] if root.is_empty() => "All commands".to_owned(),
        names if names.len() > FEW => "Commands that ask a service".to_owned(),
        names => {
            let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
            names.join(", ")
        }
    }
}

/// So many commands are named.
const FEW: usize = 4;

/// Each of `items` once, where it comes first.
fn distinct<T: PartialEq>(items: impl Iterator<Item = T>) -> Vec<T> {
    items.fold(Vec::new(), |mut seen, item| {
        if !seen.contains(&item) {
            seen.push(item);
        }
        seen
    })
}

/// Shows `look` every setting of `command` and of those below it, with the words that these are called by; not those of `serve`.
fn visit(command: &Command, name: &str, look: &mut impl FnMut(&str, Setting)) {
    for (_, setting) in settings(command) {
        look(name, setting);
    }
    for below in command
        .get_subcommands()
        .filter(|below| !(name.is_empty() && below.get_name() == "serve"))
    {
        visit(
            below,
            format!("{name} {}", below.get_name()).trim_start(),
            look,
        );
    }
}

/// The settings of a command, each with the heading that the help lists it under.
fn settings(command: &Command) -> impl Iterator<Item = (&str, Setting)> {
    // What a shell happens to have set is nobody's range.
    let probe = command
        .clone()
        .mut_args(|argument| argument.env(Resettable::Reset));
    command.get_arguments().filter_map(move |argument| {
        let heading = argument.get_help_heading().unwrap_or("Others");
        Some((heading, Setting::of(argument, &probe)?))
    })
}

/// One line of a table.
#[derive(Debug, PartialEq, Eq)]
struct Setting {
    flag: String,
    variable: String,
    default: String,
    value: String,
    meaning: String,
}

impl Setting {
    /// What `argument` is; `None` if it has no place but a command line. Its range is found out from `probe`, its command.
    fn of(argument: &Arg, probe: &Command) -> Option<Self> {
        let variable = argument.get_env()?.to_str()?.to_owned();
        let flag = argument.get_long()?.to_owned();
        let help = argument.get_long_help().or(argument.get_help());
        let mut meaning = help.map(ToString::to_string).unwrap_or_default();
        if !meaning.ends_with('.') {
            meaning.push('.');
        }
        let default: Vec<_> = match argument.get_action().takes_values() {
            true => argument
                .get_default_values()
                .iter()
                .map(|value| value.to_string_lossy())
                .collect(),
            false => vec!["false".into()],
        };
        Some(Self {
            value: value(argument, range(probe, &flag)),
            flag,
            variable,
            default: default.join(","),
            meaning,
        })
    }

    fn row(&self) -> String {
        let Self {
            flag,
            variable,
            default,
            value,
            meaning,
        } = self;
        let default = if default.is_empty() {
            String::new()
        } else {
            format!("`{default}`")
        };
        format!(
            "| `--{flag}`<br>`{variable}` | {value} | {default} | {} |\n",
            meaning.replace('|', "\\|")
        )
    }
}

fn table<'a>(settings: impl Iterator<Item = &'a Setting>) -> String {
    let head = "| setting | value | default | meaning |\n| --- | --- | --- | --- |\n".to_owned();
    settings.fold(head, |table, setting| table + &setting.row())
}

/// What may be given, in words.
fn value(argument: &Arg, range: Option<(i64, i64)>) -> String {
    if !argument.get_action().takes_values() {
        return "`true`, `false`".to_owned();
    }
    let choices = argument.get_possible_values();
    if !choices.is_empty() {
        let choices: Vec<_> = choices
            .iter()
            .map(|choice| format!("`{}`", choice.get_name()))
            .collect();
        return choices.join(", ");
    }
    let name = argument.get_value_names().and_then(|names| names.first());
    let mut words = match name.map_or("", |name| name.as_str()) {
        "MS" => "milliseconds".to_owned(),
        "DIR" => "directory".to_owned(),
        name @ ("ID" | "JSON" | "PEM" | "URI" | "URL") => name.to_owned(),
        name => name.to_lowercase(),
    };
    if argument.get_value_delimiter().is_some() {
        words += ", several with commas";
    }
    if argument.is_hide_env_values_set() {
        words += ", secret";
    }
    if let Some((least, most)) = range {
        words += ", ";
        words += &match most {
            // As much as the type holds.
            most if most == i64::from(u32::MAX) => format!("at least {}", grouped(least)),
            most => format!("{} to {}", grouped(least), grouped(most)),
        };
    }
    words
}

/// The whole numbers that a flag takes, least and most. Clap does not tell them but to who gives another one.
fn range(command: &Command, flag: &str) -> Option<(i64, i64)> {
    let wrong = format!("--{flag}={}", i64::MAX);
    let error = command
        .clone()
        .try_get_matches_from([command.get_name(), &wrong])
        .err()?;
    let error = error.to_string();
    let (_, range) = error.split_once(" is not in ")?;
    let (least, most) = range.split_whitespace().next()?.split_once("..=")?;
    Some((least.parse().ok()?, most.parse().ok()?))
}

/// A number with commas between thousands.
fn grouped(number: i64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A binary without the embedded store has fewer commands.
    #[cfg(feature = "embedded")]
    #[test]
    fn the_page_is_what_the_definitions_say() {
        let kept = fs::read_to_string("docs/configuration.md").unwrap_or_default();
        assert!(
            kept == page(),
            "docs/configuration.md is out of date: cargo run -- configuration > docs/configuration.md"
        );
    }

    #[test]
    fn every_setting_has_a_heading_and_tells_its_range() {
        let page = page();
        assert!(!page.contains("### Others"), "{page}");
        let line = |flag: &str| {
            let begin = format!("| `--{flag}`<br>");
            page.lines()
                .find(|line| line.starts_with(&begin))
                .unwrap_or_else(|| panic!("no {flag}: {page}"))
        };
        assert_eq!(
            line("genesys-preflight-ms")
                .split(" | ")
                .skip(1)
                .take(2)
                .collect::<Vec<_>>(),
            ["milliseconds, 1 to 10,000", "`3000`"]
        );
        assert!(line("drain-minutes").contains("| minutes, 0 to 1,440 | `30` |"));
        assert!(line("controller").contains("| `on`, `off` | `on` |"));
        assert!(line("admin-token").contains("| token, secret |  |"));
        assert!(line("server").contains("`TRAFFIC_COP_SERVER` | URL |"));
    }

    #[test]
    fn every_flag_of_the_service_is_on_the_page() {
        let page = page();
        let cli = crate::cli::Cli::command();
        let serve = cli.find_subcommand("serve").unwrap();
        for argument in serve.get_arguments() {
            let flag = argument.get_long().unwrap();
            assert!(
                page.contains(&format!("| `--{flag}`<br>`TRAFFIC_COP_")),
                "{flag} has no environment variable"
            );
        }
    }

    #[test]
    fn thousands_are_told_apart() {
        assert_eq!(
            [0, 999, 1000, 65_535, 1_048_576].map(grouped),
            ["0", "999", "1,000", "65,535", "1,048,576"]
        );
    }
}
