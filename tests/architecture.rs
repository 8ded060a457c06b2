//! The rules of docs/ARCHITECTURE.md about which module may use which, read from the sources.

use std::fs;
use std::path::{Path, PathBuf};

/// In these sources, no line may hold any of these texts.
struct Rule {
    name: &'static str,
    within: &'static [&'static str],
    except: &'static [&'static str],
    forbidden: &'static [&'static str],
}

const RULES: [Rule; 4] = [
    Rule {
        name: "domain is pure",
        within: &["src/domain"],
        except: &[],
        forbidden: &[
            "crate::http",
            "crate::store",
            "crate::replica",
            "crate::evidence",
            "crate::control",
            "crate::cli",
            "crate::app",
            "crate::access",
            "crate::clock",
            "crate::dice",
            "async ",
            "tokio",
            "axum",
            "aws_sdk",
            "tracing::",
            "std::fs",
            "std::net",
            "Instant::now",
            "Timestamp::now",
            "rand::rng",
        ],
    },
    Rule {
        name: "only store/ names the AWS SDK",
        within: &["src"],
        except: &["src/store"],
        forbidden: &["aws_sdk", "aws_config", "aws_smithy"],
    },
    Rule {
        name: "the store does not know who uses it",
        within: &["src/store"],
        except: &[],
        forbidden: &[
            "crate::http",
            "crate::replica",
            "crate::evidence",
            "crate::control",
            "crate::cli",
            "crate::app",
        ],
    },
    Rule {
        name: "only app/ and cli/ build the clocks of the computer",
        within: &["src"],
        except: &["src/app", "src/cli", "src/clock.rs"],
        forbidden: &["SystemClock", "FastClock"],
    },
];

fn sources(place: &Path) -> Vec<PathBuf> {
    if place.is_file() {
        return vec![place.to_owned()];
    }
    let entries = fs::read_dir(place).into_iter().flatten().flatten();
    entries
        .flat_map(|entry| sources(&entry.path()))
        .filter(|path| path.extension().is_some_and(|end| end == "rs"))
        .collect()
}

/// `src/domain` is the file and the folder of that name.
fn is_within(path: &Path, place: &str) -> bool {
    path.starts_with(place) || path == Path::new(&format!("{place}.rs"))
}

/// Tests may use what the code they test must not.
fn is_test(path: &Path) -> bool {
    path.iter()
        .any(|part| part == "tests" || part == "tests.rs")
}

#[test]
fn no_module_uses_what_it_must_not_know() {
    let mut broken = Vec::new();
    let all = sources(Path::new("src"));
    assert!(all.len() > 20, "the sources are not where they should be");
    for rule in &RULES {
        let covered = all
            .iter()
            .filter(|path| rule.within.iter().any(|place| is_within(path, place)));
        let covered =
            covered.filter(|path| !rule.except.iter().any(|place| is_within(path, place)));
        for path in covered.filter(|path| !is_test(path)) {
            let text = fs::read_to_string(path).expect("a source file");
            let code = text
                .lines()
                .enumerate()
                .filter(|(_, line)| !line.trim_start().starts_with("//"));
            for (number, line) in code {
                if let Some(word) = rule.forbidden.iter().find(|word| line.contains(**word)) {
                    broken.push(format!(
                        "{}:{}: {} ({word})",
                        path.display(),
                        number + 1,
                        rule.name
                    ));
                }
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn a_broken_rule_would_be_noticed() {
    assert!(is_within(Path::new("src/domain.rs"), "src/domain"));
    assert!(is_within(Path::new("src/domain/ids.rs"), "src/domain"));
    assert!(!is_within(Path::new("src/domainless.rs"), "src/domain"));
}
