//! Commands in the documentation: each is one that this binary understands.

use std::fs;
use std::iter::once;
use std::path::{Path, PathBuf};

use clap::Parser as _;

use crate::cli::Cli;

/// The pages in a folder and below it.
fn pages(folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap();
    entries
        .flat_map(|entry| {
            let path = entry.unwrap().path();
            if path.is_dir() {
                pages(path.to_str().unwrap())
            } else if path.extension().is_some_and(|end| end == "md") {
                vec![path]
            } else {
                Vec::new()
            }
        })
        .collect()
}

/// The lines of a page's blocks of shell commands, those that are continued as one.
fn commands(page: &str) -> Vec<String> {
    page.split("\n```sh\n")
        .skip(1)
        .filter_map(|rest| rest.split("\n```").next())
        .flat_map(|block| {
            let block = block.replace("\\\n", " ");
            block.lines().map(str::to_owned).collect::<Vec<_>>()
        })
        .collect()
}

/// The words of a simple command, as a shell has them: quotes keep words together, a comment ends the line. What a page leaves out
/// of a hash with "…" is filled up; other options that it leaves out are left out.
fn words(command: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in command.chars() {
        match (quote, c) {
            (Some(open), _) if c == open => quote = None,
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, '#') if word.is_none() => break,
            (None, ' ') => words.extend(word.take()),
            _ => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words.retain(|word| word != "…");
    for word in &mut words {
        if let Some(begin) = word.strip_suffix('…') {
            *word = format!("{begin:0<64}");
        }
    }
    words
}

#[test]
fn every_documented_command_is_understood() {
    let mut all = pages("docs");
    all.extend(pages("infra"));
    all.push(Path::new("README.md").to_owned());
    let mut understood = 0;
    for page in all {
        let text = fs::read_to_string(&page).unwrap();
        for command in commands(&text) {
            let Some(arguments) = command.strip_prefix("traffic-cop ") else {
                continue;
            };
            let line = once("traffic-cop".to_owned()).chain(words(arguments));
            if let Err(error) = Cli::try_parse_from(line) {
                panic!("{}: {command}\n{error}", page.display());
            }
            understood += 1;
        }
    }
    assert!(understood > 30, "only {understood} are there");
}

#[test]
fn words_are_those_of_a_shell() {
    assert_eq!(words(r#"a "b c" '' d=e  # f"#), ["a", "b c", "", "d=e"]);
    let words = words("--head 5f… …");
    assert_eq!((words.len(), words[1].len()), (2, 64));
}
