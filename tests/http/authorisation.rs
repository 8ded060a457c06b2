//! Who may use which route: every route of the description against every kind of caller.

use std::collections::{BTreeMap, BTreeSet};

use http::StatusCode;

use crate::world::{MAIN, TestApp};

/// The callers, in the order of the columns below.
const CALLERS: [&str; 9] = [
    "nobody",
    "decide",
    "report",
    "read here",
    "read elsewhere",
    "read everywhere",
    "operate here",
    "operate everywhere",
    "admin",
];

/// What each caller is told: `401` who are you, `403` you may not, or `ok`, which is anything that comes after that question.
/// "Here" is the environment of the path.
const ROWS: &[(&str, [&str; 9])] = &[
    //                                             nobody decide report r.here r.else r.all  o.here o.all  admin
    (
        "POST /v1/environments/{environment}/decisions",
        ["401", "ok", "403", "403", "403", "403", "403", "403", "ok"],
    ),
    (
        "POST /v1/environments/{environment}/variables",
        ["401", "ok", "403", "403", "403", "403", "403", "403", "ok"],
    ),
    (
        "POST /v1/environments/{environment}/outcomes",
        ["401", "403", "ok", "403", "403", "403", "403", "403", "ok"],
    ),
    (
        "GET /v1/environments",
        ["401", "ok", "ok", "ok", "ok", "ok", "ok", "ok", "ok"],
    ),
    (
        "GET /v1/environments/{environment}",
        ["401", "403", "403", "ok", "403", "ok", "ok", "ok", "ok"],
    ),
    (
        "GET /v1/environments/{environment}/history",
        ["401", "403", "403", "ok", "403", "ok", "ok", "ok", "ok"],
    ),
    (
        "POST /v1/environments/{environment}/explain",
        ["401", "403", "403", "ok", "403", "ok", "ok", "ok", "ok"],
    ),
    (
        "PUT /v1/environments/{environment}",
        ["401", "403", "403", "403", "403", "403", "ok", "ok", "ok"],
    ),
    (
        "DELETE /v1/environments/{environment}",
        ["401", "403", "403", "403", "403", "403", "ok", "ok", "ok"],
    ),
    (
        "POST /v1/environments/{environment}/register",
        ["401", "403", "403", "403", "403", "403", "ok", "ok", "ok"],
    ),
    (
        "POST /v1/environments/{environment}/claim",
        ["401", "403", "403", "403", "403", "403", "ok", "ok", "ok"],
    ),
    (
        "POST /v1/environments/{environment}/release",
        ["401", "403", "403", "403", "403", "403", "ok", "ok", "ok"],
    ),
    (
        "POST /v1/environments/{environment}/rebind",
        ["401", "403", "403", "403", "403", "403", "ok", "ok", "ok"],
    ),
    (
        "POST /v1/environments/{environment}/cutover",
        ["401", "403", "403", "403", "403", "403", "ok", "ok", "ok"],
    ),
    (
        "POST /v1/environments/{environment}/rollback",
        ["401", "403", "403", "403", "403", "403", "ok", "ok", "ok"],
    ),
    (
        "POST /v1/environments/{environment}/weight",
        ["401", "403", "403", "403", "403", "403", "ok", "ok", "ok"],
    ),
    (
        "POST /v1/environments/{environment}/add_override",
        ["401", "403", "403", "403", "403", "403", "ok", "ok", "ok"],
    ),
    (
        "POST /v1/environments/{environment}/remove_override",
        ["401", "403", "403", "403", "403", "403", "ok", "ok", "ok"],
    ),
    (
        "POST /v1/environments/{environment}/repair",
        ["401", "403", "403", "403", "403", "403", "403", "403", "ok"],
    ),
    (
        "POST /v1/access/repair",
        ["401", "403", "403", "403", "403", "403", "403", "403", "ok"],
    ),
    (
        "GET /v1/tokens",
        ["401", "403", "403", "403", "403", "403", "403", "403", "ok"],
    ),
    (
        "POST /v1/tokens",
        ["401", "403", "403", "403", "403", "403", "403", "403", "ok"],
    ),
    (
        "POST /v1/tokens/{id}/rotate",
        ["401", "403", "403", "403", "403", "403", "403", "403", "ok"],
    ),
    (
        "DELETE /v1/tokens/{id}",
        ["401", "403", "403", "403", "403", "403", "403", "403", "ok"],
    ),
    (
        "GET /v1/issuers",
        ["401", "403", "403", "403", "403", "403", "403", "ok"],
    ),
    (
        "POST /v1/issuers",
        ["401", "403", "403", "403", "403", "403", "403", "ok"],
    ),
    (
        "DELETE /v1/issuers/{name}",
        ["401", "403", "403", "403", "403", "403", "403", "ok"],
    ),
    (
        "PUT /v1/environments/{environment}/interfaces/{number}",
        ["401", "403", "403", "403", "403", "403", "ok", "ok", "ok"],
    ),
    (
        "DELETE /v1/environments/{environment}/interfaces/{number}",
        ["401", "403", "403", "403", "403", "403", "ok", "ok", "ok"],
    ),
    (
        "PATCH /v1/environments/{environment}/variables",
        ["401", "403", "403", "403", "403", "403", "ok", "ok", "ok"],
    ),
    (
        "GET /v1/replicas",
        ["401", "403", "403", "403", "403", "ok", "403", "ok", "ok"],
    ),
    (
        "GET /v1/health/detail",
        ["401", "403", "403", "403", "403", "ok", "403", "ok", "ok"],
    ),
    (
        "GET /v1/events",
        ["401", "403", "403", "ok", "ok", "ok", "ok", "ok", "ok"],
    ),
    (
        "GET /v1/environments/{environment}/drain",
        ["401", "403", "403", "ok", "403", "ok", "ok", "ok", "ok"],
    ),
    (
        "GET /v1/snapshot",
        ["401", "403", "403", "403", "403", "403", "403", "403", "ok"],
    ),
    (
        "GET /v1/journal/export",
        ["401", "403", "403", "403", "403", "403", "403", "403", "ok"],
    ),
    (
        "GET /v1/journal/verification",
        ["401", "403", "403", "403", "403", "403", "403", "403", "ok"],
    ),
];

/// The routes that the description names.
async fn described(app: &TestApp) -> BTreeSet<String> {
    let description = app.admin("GET", "/openapi.json").send().await.ok().json();
    let paths = description["paths"].as_object().expect("paths");
    let routes = paths.iter().flat_map(|(path, operations)| {
        let methods = operations.as_object().expect("operations").keys();
        methods.map(move |method| format!("{} {path}", method.to_uppercase()))
    });
    routes.collect()
}

/// Tokens of the callers; `None` is nobody.
async fn tokens(app: &TestApp) -> [Option<String>; 9] {
    [
        None,
        Some(app.token(&["decide"], None).await),
        Some(app.token(&["report"], None).await),
        Some(app.token(&["read"], Some(&[MAIN])).await),
        Some(app.token(&["read"], Some(&["Other_IVR"])).await),
        Some(app.token(&["read"], None).await),
        Some(app.token(&["operate"], Some(&[MAIN])).await),
        Some(app.token(&["operate"], None).await),
        Some(app.token(&["admin"], None).await),
    ]
}

/// Whether the decisions listener serves the route.
fn is_asked_by_flows(route: &str) -> bool {
    ["decisions", "variables", "outcomes"]
        .iter()
        .any(|resource| route == format!("POST /v1/environments/{{environment}}/{resource}"))
}

async fn told(app: &TestApp, route: &str, token: Option<&String>) -> &'static str {
    let (method, path) = route.split_once(' ').expect("method and path");
    let path = path
        .replace("{environment}", MAIN)
        .replace("{id}", "0123456789abcdef")
        .replace("{number}", "1")
        .replace("{name}", "nobody")
        // A stream without an end, unless it is asked to begin nowhere.
        .replace("/v1/events", "/v1/events?after=nowhere");
    let ask = if is_asked_by_flows(route) {
        app.decisions(method, &path)
    } else {
        app.admin(method, &path)
    };
    let answer = match token {
        Some(token) => ask.by(token),
        None => ask.by_nobody(),
    };
    match answer.send().await.status {
        StatusCode::UNAUTHORIZED => "401",
        StatusCode::FORBIDDEN => "403",
        status if status.is_server_error() => panic!("{route}: {status}"),
        _ => "ok",
    }
}

/// Routes that ask for another kind of proof.
const OTHERS: [&str; 1] = ["POST /oauth/token"];

#[tokio::test]
async fn every_route_has_a_row() {
    let app = TestApp::start().await;
    let rows = ROWS.iter().map(|(route, _)| *route).chain(OTHERS);
    let rows: BTreeSet<_> = rows.map(str::to_owned).collect();
    assert_eq!(
        described(&app).await,
        rows,
        "described on the left, in the table on the right"
    );
}

#[tokio::test]
async fn every_caller_may_do_what_the_table_says_and_no_more() {
    let app = TestApp::start_for_known_callers().await;
    app.create_with_candidate(MAIN).await;
    app.create("Other_IVR").await;
    let tokens = tokens(&app).await;
    let mut wrong = BTreeMap::new();
    for (route, expected) in ROWS {
        for ((caller, token), expected) in CALLERS.iter().zip(&tokens).zip(expected) {
            let told = told(&app, route, token.as_ref()).await;
            if told != *expected {
                wrong.insert(
                    format!("{route} for {caller}"),
                    format!("told {told}, should be {expected}"),
                );
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(
        app.revision(MAIN).await,
        2,
        "none of these requests was a whole one"
    );
}

#[tokio::test]
async fn a_decisions_listener_for_anyone_does_not_open_the_admin_api() {
    let app = TestApp::start().await;
    app.create(MAIN).await;
    for (route, _) in ROWS {
        // Anyone may ask; to report takes a token here too.
        let expected = if is_asked_by_flows(route) && !route.ends_with("/outcomes") {
            "ok"
        } else {
            "401"
        };
        assert_eq!(told(&app, route, None).await, expected, "{route}");
    }
}
