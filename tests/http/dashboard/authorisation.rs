//! Who may see and do what: every route, every kind of visitor, and two environments.

use std::collections::{BTreeMap, BTreeSet};

use http::StatusCode;

use super::{Browser, app};
use crate::world::{MAIN, TestApp};

const ENVIRONMENTS: [&str; 2] = [MAIN, "Other_IVR"];
const SCOPES: [&str; 5] = ["decide", "report", "read", "operate", "admin"];

/// What a route needs.
#[derive(Debug, Clone, Copy)]
enum Needs {
    Nothing,
    ReadAnywhere,
    ReadHere,
    OperateHere,
}

const ROWS: [(&str, Needs); 21] = [
    ("GET /", Needs::Nothing),
    ("GET /dashboard/login", Needs::Nothing),
    ("GET /dashboard/style.css", Needs::Nothing),
    ("GET /dashboard/live.js", Needs::Nothing),
    ("GET /dashboard/icon.svg", Needs::Nothing),
    ("GET /dashboard", Needs::ReadAnywhere),
    ("GET /dashboard/environments/{environment}", Needs::ReadHere),
    (
        "GET /dashboard/environments/{environment}/history",
        Needs::ReadHere,
    ),
    (
        "GET /dashboard/environments/{environment}/rollback",
        Needs::ReadHere,
    ),
    (
        "GET /dashboard/environments/{environment}/rollout/abort",
        Needs::ReadHere,
    ),
    (
        "POST /dashboard/environments/{environment}/rollback",
        Needs::OperateHere,
    ),
    (
        "POST /dashboard/environments/{environment}/cutover",
        Needs::OperateHere,
    ),
    (
        "POST /dashboard/environments/{environment}/weight",
        Needs::OperateHere,
    ),
    (
        "POST /dashboard/environments/{environment}/rollout",
        Needs::OperateHere,
    ),
    (
        "POST /dashboard/environments/{environment}/rollout/pause",
        Needs::OperateHere,
    ),
    (
        "POST /dashboard/environments/{environment}/rollout/resume",
        Needs::OperateHere,
    ),
    (
        "POST /dashboard/environments/{environment}/rollout/promote",
        Needs::OperateHere,
    ),
    (
        "POST /dashboard/environments/{environment}/rollout/abort",
        Needs::OperateHere,
    ),
    // Asked while the process is on its way out, since streams have no end.
    ("GET /dashboard/events", Needs::ReadAnywhere),
    (
        "GET /dashboard/environments/{environment}/events",
        Needs::ReadHere,
    ),
    ("POST /dashboard/logout", Needs::ReadAnywhere),
];

impl Needs {
    /// Whether a visitor who has `scope` in `place`, or everywhere, may ask about `environment`.
    fn admits(self, scope: &str, place: Option<&str>, environment: &str) -> bool {
        let is_here = place.is_none_or(|place| place == environment);
        let reads = matches!(scope, "read" | "operate" | "admin");
        match self {
            Self::Nothing => true,
            Self::ReadAnywhere => reads,
            Self::ReadHere => reads && is_here,
            Self::OperateHere => matches!(scope, "operate" | "admin") && is_here,
        }
    }
}

/// What a visitor is told: who are you, you may not, or anything that comes after that.
async fn told(browser: &Browser, route: &str, environment: &str) -> &'static str {
    let (method, path) = route.split_once(' ').expect("method and path");
    let path = path.replace("{environment}", environment);
    let page = match method {
        "GET" => browser.get(&path).await,
        // A form of nobody's page: whoever may send one is told that.
        _ => browser.post(&path, &[("form_token", "none")]).await,
    };
    let is_door = page.location().starts_with("/dashboard/login?to=");
    match page.status {
        StatusCode::UNAUTHORIZED => "who",
        StatusCode::SEE_OTHER if is_door => "who",
        StatusCode::FORBIDDEN if page.words().contains("form is not from a page") => "ok",
        StatusCode::FORBIDDEN => "no",
        StatusCode::SERVICE_UNAVAILABLE if path.ends_with("/events") => "ok",
        status if status.is_server_error() => panic!("{route}: {status}"),
        _ => "ok",
    }
}

/// An app with two environments, on its way out.
async fn two() -> TestApp {
    let app = app().await;
    app.create_with_candidate(ENVIRONMENTS[1]).await;
    app
}

#[tokio::test]
async fn every_visitor_may_do_what_the_table_says_and_no_more() {
    let app = two().await;
    let mut visitors = Vec::new();
    for scope in SCOPES {
        for place in [None, Some(ENVIRONMENTS[0]), Some(ENVIRONMENTS[1])] {
            let environments = place.map(|place| [place]);
            let environments = environments.as_ref().map(|one| &one[..]);
            let token = app.token(&[scope], environments).await;
            let mut browser = Browser::new(&app);
            let page = browser.sign_in(&token).await;
            // Who may look at nothing does not get in.
            let may = Needs::ReadAnywhere.admits(scope, place, MAIN);
            assert_eq!(page.status == StatusCode::SEE_OTHER, may, "{scope}");
            visitors.push((scope, place, browser));
        }
    }
    visitors.push(("nobody", None, Browser::new(&app)));
    app.start_draining();
    let mut wrong = BTreeMap::new();
    for (route, needs) in ROWS {
        for environment in ENVIRONMENTS {
            for (scope, place, browser) in &visitors {
                let expected = match needs {
                    Needs::Nothing => "ok",
                    _ if browser.cookie.is_none() => "who",
                    needs if needs.admits(scope, *place, environment) => "ok",
                    _ => "no",
                };
                let told = told(browser, route, environment).await;
                if told != expected {
                    let who = format!("{scope} in {}", place.unwrap_or("everywhere"));
                    wrong.insert(
                        format!("{route} in {environment} for {who}"),
                        (told, expected),
                    );
                }
            }
        }
    }
    assert!(wrong.is_empty(), "told, should be: {wrong:#?}");
    for environment in ENVIRONMENTS {
        assert_eq!(app.revision(environment).await, 2, "none was a whole form");
    }
}

#[tokio::test]
async fn every_route_has_a_row() {
    let app = app().await;
    let browser = Browser::of_admin(&app).await;
    let known: BTreeSet<_> = ROWS
        .iter()
        .map(|(route, _)| route.replace("{environment}", MAIN))
        .collect();
    // What pages lead to, as far as one can go.
    let mut ahead = vec!["/dashboard".to_owned()];
    let mut seen = BTreeSet::new();
    app.ask(MAIN, "rollout", serde_json::json!({})).await.ok();
    while let Some(path) = ahead.pop() {
        if !seen.insert(format!("GET {path}")) {
            continue;
        }
        let page = browser.get(&path).await.ok();
        let address = |attribute: &str| {
            let parts = page.text.split(attribute).skip(1);
            let addresses = parts.filter_map(|part| part.split(['"', '?']).next());
            addresses.map(str::to_owned).collect::<Vec<_>>()
        };
        let links = address(" href=\"").into_iter().chain(address(" src=\""));
        ahead.extend(links.filter(|link| !link.starts_with('#')));
        let forms = address(" action=\"").into_iter();
        seen.extend(forms.map(|path| format!("POST {path}")));
    }
    seen.remove("POST /dashboard/login");
    let unknown: Vec<_> = seen.difference(&known).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    assert!(seen.len() > 10, "{seen:?}");
}

#[tokio::test]
async fn a_visitor_sees_only_what_they_may() {
    let app = two().await;
    let token = app.token(&["read"], Some(&[MAIN])).await;
    let browser = Browser::of(&app, &token).await;
    let page = browser.get("/dashboard").await.ok();
    page.assert_says(MAIN);
    page.assert_says_nothing_of("Other_IVR");
    let page = browser.get(super::PAGE).await.ok();
    page.assert_says_nothing_of("The way back");
    page.assert_says_nothing_of("Replicas");
    assert!(page.form(&format!("{}/rollback", super::PAGE)).is_none());
    let token = app.token(&["operate"], None).await;
    let browser = Browser::of(&app, &token).await;
    let page = browser.get(super::PAGE).await.ok();
    page.assert_says("The way back");
    page.assert_says("Replicas");
}
