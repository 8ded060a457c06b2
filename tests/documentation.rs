//! What the documentation names is there: tests that try to break a promise, metrics that somebody watches, alerts that wake people.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use traffic_cop::http::problem::Kind;

fn text(path: impl AsRef<Path>) -> String {
    let path = path.as_ref();
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Files with one of these endings in a folder, and below it.
fn files(folder: &str, endings: &[&str]) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder");
    entries
        .flat_map(|entry| {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                return files(path.to_str().expect("a name in UTF-8"), endings);
            }
            let is_meant = path
                .extension()
                .is_some_and(|end| endings.iter().any(|ending| end == *ending));
            is_meant.then_some(path).into_iter().collect()
        })
        .collect()
}

/// The tests that a page names, as `file: function`.
fn named_tests(page: &str) -> Vec<(&str, &str)> {
    page.split('`')
        .filter_map(|quoted| quoted.split_once(".rs: "))
        .collect()
}

#[test]
fn every_promise_names_tests_that_are_there() {
    let page = text("docs/SEMANTICS.md");
    let promises: Vec<_> = page
        .split("## What is not promised")
        .next()
        .expect("a first part")
        .split("\n**")
        .skip(1)
        .collect();
    assert!(promises.len() > 10, "{}", promises.len());
    for promise in promises {
        let tests = named_tests(promise);
        assert!(!tests.is_empty(), "nothing tries to break it: {promise}");
        for (file, test) in tests {
            let source = text(format!("{file}.rs"));
            assert!(source.contains(&format!("fn {test}(")), "{file}.rs: {test}");
        }
    }
}

#[test]
fn the_guide_to_the_api_has_every_problem() {
    let page = text("docs/api.md");
    let (_, table) = page.split_once("## Problems").expect("a table of problems");
    let told: BTreeSet<_> = table
        .lines()
        .filter(|line| line.starts_with("| `"))
        .collect();
    let known = Kind::ALL.map(|kind| {
        let (name, status, title) = (kind.name(), kind.status().as_u16(), kind.title());
        format!("| `{name}` | {status} | {title} |")
    });
    assert_eq!(told, known.iter().map(String::as_str).collect());
}

/// What a scrape calls a metric, without what it adds to the name that the metric is registered by.
fn registered_name(scraped: &str) -> &str {
    let mut name = scraped;
    for suffix in ["_total", "_bucket", "_sum", "_count", "_info"] {
        name = name.strip_suffix(suffix).unwrap_or(name);
    }
    for unit in ["_seconds", "_bytes"] {
        name = name.strip_suffix(unit).unwrap_or(name);
    }
    name
}

/// The metrics that a text names.
fn metrics(text: &str) -> BTreeSet<&str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .filter_map(|word| word.strip_prefix("traffic_cop_"))
        .map(registered_name)
        .filter(|name| !name.is_empty())
        .collect()
}

/// The names in calls of `register` and `register_with_unit`.
fn registered() -> BTreeSet<String> {
    let mut sources = files("src/telemetry", &["rs"]);
    sources.push("src/telemetry.rs".into());
    let mut names = BTreeSet::new();
    for source in sources {
        let source = text(source);
        for call in source.split("registry.register").skip(1) {
            let arguments = call.split_once('(').expect("arguments").1;
            let name = arguments.split('"').nth(1).expect("a name");
            names.insert(name.to_owned());
        }
    }
    names
}

#[test]
fn every_metric_that_is_watched_or_explained_is_there_and_every_one_is_explained() {
    let registered = registered();
    assert!(registered.len() > 25, "{registered:?}");
    let mut pages = files("infra", &["yaml", "json", "md"]);
    pages.extend(files("docs", &["md"]));
    pages.push("README.md".into());
    for page in pages {
        let text = text(&page);
        let unknown: Vec<_> = metrics(&text)
            .into_iter()
            .filter(|name| !registered.contains(*name))
            .collect();
        assert!(unknown.is_empty(), "{}: {unknown:?}", page.display());
    }
    let page = text("docs/metrics.md");
    let explained = metrics(&page);
    let missing: Vec<_> = registered
        .iter()
        .filter(|name| !explained.contains(name.as_str()))
        .collect();
    assert!(missing.is_empty(), "docs/metrics.md: {missing:?}");
}

#[test]
fn every_alert_has_a_row_that_says_what_to_do_and_leads_there() {
    let page = text("docs/operations.md");
    let (_, section) = page.split_once("\n## Alerts\n").expect("a section");
    let section = section.split("\n## ").next().expect("a first part");
    let rows = section.lines().filter(|line| line.starts_with("| "));
    // The first two columns name them, between backquotes.
    let told: BTreeSet<_> = rows
        .flat_map(|row| row.split('|').skip(1).take(2))
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .collect();

    let prometheus = text("infra/observability/alerts.yaml");
    let of_each = |key: &'static str| {
        let lines = prometheus.lines();
        lines.filter_map(move |line| line.trim_start().strip_prefix(key))
    };
    let alerts: BTreeSet<_> = of_each("- alert: ").collect();
    assert!(alerts.len() > 10, "{alerts:?}");
    let cloud_watch = text("infra/aws/alarms.yaml");
    let lines: Vec<_> = cloud_watch.lines().collect();
    let alarms: BTreeSet<_> = lines
        .windows(2)
        .filter(|pair| pair[1].trim() == "Type: AWS::CloudWatch::Alarm")
        .map(|pair| pair[0].trim().trim_end_matches(':'))
        .collect();
    assert!(alarms.len() > 10, "{alarms:?}");
    assert_eq!(told, alerts.union(&alarms).copied().collect());

    let runbooks: Vec<_> = of_each("runbook: docs/operations.md#").collect();
    assert_eq!(runbooks.len(), alerts.len());
    let headings: BTreeSet<_> = page
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .map(|heading| heading.to_lowercase().replace(' ', "-"))
        .collect();
    for anchor in runbooks {
        assert!(headings.contains(anchor), "{anchor}: {headings:?}");
    }
}

#[test]
fn a_name_in_a_scrape_is_that_of_its_metric() {
    assert_eq!(
        registered_name("decision_duration_seconds_bucket"),
        "decision_duration"
    );
    assert_eq!(registered_name("decisions_total"), "decisions");
    assert_eq!(registered_name("replica_sequence"), "replica_sequence");
}
