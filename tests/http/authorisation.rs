//! Who may use which route: every route of the description, every kind of caller, and two environments.
//!
//! What a route needs is said here by hand, what a caller has for it too; everything else is made from the two: each scope
//! for each place, presented in each way, and all that lets nobody in.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use data_encoding::BASE64;
use http::StatusCode;
use http::header::AUTHORIZATION;
use serde_json::{Value, json};

use crate::ask::Ask;
use crate::support::issuer::Issuer;
use crate::world::{MAIN, TestApp, because};

/// The two environments. Callers who are limited to one are limited to one of these.
const ENVIRONMENTS: [&str; 2] = [MAIN, "Other_IVR"];
/// The scopes, in the order of the columns below.
const SCOPES: [&str; 5] = ["decide", "report", "read", "operate", "admin"];

/// What a route needs. "Here" is the environment of its path.
#[derive(Debug, Clone, Copy)]
enum Needs {
    /// Any scope: the answer holds what the caller may see.
    Anything,
    DecideHere,
    ReportHere,
    ReadHere,
    ReadAnywhere,
    ReadEverywhere,
    OperateHere,
    OperateEverywhere,
    AdminHere,
    Admin,
}

impl Needs {
    /// For each scope, where a caller has to have it: `h`ere, e`l`sewhere or `e`verywhere.
    const fn suffices(self) -> [&'static str; 5] {
        match self {
            //                     decide report read  operate admin
            Self::Anything => ["h l e", "h l e", "h l e", "h l e", "h l e"],
            Self::DecideHere => ["h e", "", "", "", "h e"],
            Self::ReportHere => ["", "h e", "", "", "h e"],
            Self::ReadHere => ["", "", "h e", "h e", "h e"],
            Self::ReadAnywhere => ["", "", "h l e", "h l e", "h l e"],
            Self::ReadEverywhere => ["", "", "e", "e", "e"],
            Self::OperateHere => ["", "", "", "h e", "h e"],
            Self::OperateEverywhere => ["", "", "", "e", "e"],
            Self::AdminHere => ["", "", "", "", "h e"],
            Self::Admin => ["", "", "", "", "e"],
        }
    }
}

const ROWS: &[(&str, Needs)] = &[
    (
        "POST /v1/environments/{environment}/decisions",
        Needs::DecideHere,
    ),
    (
        "POST /v1/environments/{environment}/variables",
        Needs::DecideHere,
    ),
    (
        "POST /v1/environments/{environment}/outcomes",
        Needs::ReportHere,
    ),
    ("GET /v1/environments", Needs::Anything),
    ("GET /v1/environments/{environment}", Needs::ReadHere),
    (
        "GET /v1/environments/{environment}/history",
        Needs::ReadHere,
    ),
    (
        "POST /v1/environments/{environment}/explain",
        Needs::ReadHere,
    ),
    ("GET /v1/environments/{environment}/drain", Needs::ReadHere),
    (
        "GET /v1/environments/{environment}/preflight",
        Needs::OperateHere,
    ),
    (
        "GET /v1/environments/{environment}/publication",
        Needs::OperateHere,
    ),
    (
        "GET /v1/environments/{environment}/test-calls",
        Needs::ReadHere,
    ),
    ("PUT /v1/environments/{environment}", Needs::OperateHere),
    ("DELETE /v1/environments/{environment}", Needs::OperateHere),
    (
        "POST /v1/environments/{environment}/register",
        Needs::OperateHere,
    ),
    (
        "POST /v1/environments/{environment}/claim",
        Needs::OperateHere,
    ),
    (
        "POST /v1/environments/{environment}/release",
        Needs::OperateHere,
    ),
    (
        "POST /v1/environments/{environment}/rebind",
        Needs::OperateHere,
    ),
    (
        "POST /v1/environments/{environment}/cutover",
        Needs::OperateHere,
    ),
    (
        "POST /v1/environments/{environment}/rollback",
        Needs::OperateHere,
    ),
    (
        "POST /v1/environments/{environment}/weight",
        Needs::OperateHere,
    ),
    (
        "POST /v1/environments/{environment}/add_override",
        Needs::OperateHere,
    ),
    (
        "POST /v1/environments/{environment}/remove_override",
        Needs::OperateHere,
    ),
    (
        "POST /v1/environments/{environment}/rollout",
        Needs::OperateHere,
    ),
    (
        "GET /v1/environments/{environment}/rollout",
        Needs::ReadHere,
    ),
    (
        "GET /v1/environments/{environment}/rollout/evidence",
        Needs::ReadHere,
    ),
    (
        "POST /v1/environments/{environment}/rollout/pause",
        Needs::OperateHere,
    ),
    (
        "POST /v1/environments/{environment}/rollout/resume",
        Needs::OperateHere,
    ),
    (
        "POST /v1/environments/{environment}/rollout/promote",
        Needs::OperateHere,
    ),
    (
        "POST /v1/environments/{environment}/rollout/abort",
        Needs::OperateHere,
    ),
    (
        "PUT /v1/environments/{environment}/interfaces/{number}",
        Needs::OperateHere,
    ),
    (
        "DELETE /v1/environments/{environment}/interfaces/{number}",
        Needs::OperateHere,
    ),
    (
        "PATCH /v1/environments/{environment}/variables",
        Needs::OperateHere,
    ),
    (
        "GET /v1/environments/{environment}/freezes",
        Needs::ReadHere,
    ),
    (
        "POST /v1/environments/{environment}/freezes",
        Needs::OperateHere,
    ),
    (
        "DELETE /v1/environments/{environment}/freezes/{number}",
        Needs::OperateHere,
    ),
    (
        "POST /v1/environments/{environment}/repair",
        Needs::AdminHere,
    ),
    ("GET /v1/freezes", Needs::ReadAnywhere),
    ("POST /v1/freezes", Needs::OperateEverywhere),
    ("DELETE /v1/freezes/{number}", Needs::OperateEverywhere),
    ("GET /v1/webhooks", Needs::Admin),
    ("POST /v1/webhooks", Needs::Admin),
    ("DELETE /v1/webhooks/{name}", Needs::Admin),
    ("POST /v1/settings/repair", Needs::Admin),
    ("POST /v1/access/repair", Needs::Admin),
    ("GET /v1/tokens", Needs::Admin),
    ("POST /v1/tokens", Needs::Admin),
    ("POST /v1/tokens/{id}/rotate", Needs::Admin),
    ("DELETE /v1/tokens/{id}", Needs::Admin),
    ("GET /v1/issuers", Needs::Admin),
    ("POST /v1/issuers", Needs::Admin),
    ("DELETE /v1/issuers/{name}", Needs::Admin),
    ("GET /v1/replicas", Needs::ReadEverywhere),
    ("GET /v1/health/detail", Needs::ReadEverywhere),
    ("GET /v1/mirror", Needs::ReadEverywhere),
    ("GET /v1/events", Needs::ReadAnywhere),
    ("GET /v1/snapshot", Needs::Admin),
    ("GET /v1/journal/export", Needs::Admin),
    ("GET /v1/journal/verification", Needs::Admin),
];

/// Routes that ask for another kind of proof.
const OTHERS: [&str; 1] = ["POST /oauth/token"];

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

/// What a caller presents.
#[derive(Debug, Clone)]
enum Credential {
    Nothing,
    Authorization(String),
    ApiKey(String),
    /// A header and a key: two credentials.
    Both(String),
}

impl Credential {
    fn bearer(text: &str) -> Self {
        Self::Authorization(format!("Bearer {text}"))
    }

    fn basic(user: &str, text: &str) -> Self {
        let pair = BASE64.encode(format!("{user}:{text}").as_bytes());
        Self::Authorization(format!("Basic {pair}"))
    }

    fn present(&self, ask: Ask) -> Ask {
        let ask = ask.by_nobody();
        match self {
            Self::Nothing => ask,
            Self::Authorization(value) => ask.header(AUTHORIZATION, value),
            Self::ApiKey(key) => ask.header("x-api-key", key),
            Self::Both(key) => ask
                .header(AUTHORIZATION, &format!("Bearer {key}"))
                .header("x-api-key", key),
        }
    }
}

/// A caller: what they are called here, what they have and where, and what they present.
struct Caller {
    name: String,
    /// Index of the scope, and the environment or everywhere. `None` is who is let in by nothing.
    has: Option<(usize, Option<&'static str>)>,
    presents: Credential,
}

impl Caller {
    /// What they should be told on `route` in `environment`.
    fn expects(&self, needs: Needs, environment: &str) -> &'static str {
        let Some((scope, place)) = self.has else {
            return "401";
        };
        let place = match place {
            None => "e",
            Some(place) if place == environment => "h",
            Some(_) => "l",
        };
        match needs.suffices()[scope].contains(place) {
            true => "ok",
            false => "403",
        }
    }
}

/// A token: its id and its text.
async fn token(app: &TestApp, name: &str, mut members: Value) -> (String, String) {
    members["name"] = name.into();
    let made = app.admin("POST", "/v1/tokens").json(&because(members));
    let made = made.send().await.ok().json();
    let text = |name: &str| made[name].as_str().expect("a text").to_owned();
    (text("id"), text("token"))
}

async fn access_token(app: &TestApp, client: &str, secret: &str) -> String {
    let ask = app.decisions("POST", "/oauth/token");
    let ask = Credential::basic(client, secret).present(ask);
    let ask = ask.body(
        "application/x-www-form-urlencoded",
        "grant_type=client_credentials",
    );
    let issued = ask.send().await.ok().json();
    issued["access_token"].as_str().expect("a token").to_owned()
}

/// A token of an issuer that holds for a day and fits the entry of this name.
fn jwt(app: &TestApp, issuer: &Issuer, entry: &str) -> String {
    let now = app.listener.clock.now().as_second();
    issuer.token(
        now,
        json!({ "sub": "pipeline", "entry": entry, "exp": now + 86_400 }),
    )
}

/// An entry about an issuer: who names it may use `scope` in one environment.
async fn trust(app: &TestApp, issuer: &Issuer, name: &str, scope: &str) {
    let entry = json!({
        "name": name, "url": issuer.url(), "audience": "traffic-cop", "claims": { "entry": name },
        "scopes": [scope], "environments": [MAIN],
    });
    let ask = app.admin("POST", "/v1/issuers").json(&because(entry));
    ask.send().await.ok();
}

/// Every scope everywhere and in each environment; and in each way of presenting it, for one environment.
async fn callers_with_scopes(app: &TestApp, issuer: &Issuer) -> Vec<Caller> {
    let mut callers = Vec::new();
    for (index, scope) in SCOPES.into_iter().enumerate() {
        for place in [None, Some(ENVIRONMENTS[0]), Some(ENVIRONMENTS[1])] {
            let name = format!("{scope} {}", place.unwrap_or("everywhere"));
            let environments = place.map(|place| [place]);
            let members = json!({ "scopes": [scope], "environments": environments });
            let (_, text) = token(app, &name, members).await;
            let mut ways = vec![("bearer", Credential::bearer(&text))];
            if place == Some(MAIN) {
                let access = access_token(app, &name, &text).await;
                ways.extend([
                    ("Basic", Credential::basic(&name, &text)),
                    ("X-API-Key", Credential::ApiKey(text.clone())),
                    ("OAuth", Credential::bearer(&access)),
                    ("OIDC", Credential::bearer(&jwt(app, issuer, scope))),
                ]);
                trust(app, issuer, scope, scope).await;
            }
            callers.extend(ways.into_iter().map(|(way, presents)| Caller {
                name: format!("{name} by {way}"),
                has: Some((index, place)),
                presents,
            }));
        }
    }
    callers
}

/// Who is let in by nothing: never, not any more, or not by this. Half an hour passes.
async fn callers_without_any(app: &TestApp, issuer: &Issuer) -> Vec<Caller> {
    let ends = json!({ "scopes": ["admin"], "expires_at": "2026-01-05T08:30:00Z" });
    let (_, expired) = token(app, "expired", ends).await;
    let of_expired = access_token(app, "expired", &expired).await;
    let (id, revoked) = token(app, "revoked", json!({ "scopes": ["admin"] })).await;
    let of_revoked = access_token(app, "revoked", &revoked).await;
    let (_, good) = token(app, "good", json!({ "scopes": ["admin"] })).await;
    let now = app.listener.clock.now().as_second();
    trust(app, issuer, "removed", "admin").await;
    let of_removed = jwt(app, issuer, "removed");
    let over = json!({ "sub": "pipeline", "entry": "admin", "exp": now + 1_000 });
    let over = issuer.token(now, over);
    let stranger = Issuer::start().await;
    for path in [format!("/v1/tokens/{id}"), "/v1/issuers/removed".to_owned()] {
        let remove = app.admin("DELETE", &format!("{path}?reason=r"));
        remove.send().await.ok();
    }
    app.advance(Duration::from_secs(30 * 60));
    let bearer = Credential::bearer;
    let callers = [
        ("nobody", Credential::Nothing),
        ("malformed", Credential::Authorization(good.clone())),
        (
            "malformed Basic",
            Credential::Authorization("Basic ?".into()),
        ),
        ("several", Credential::Both(good.clone())),
        ("unknown", bearer(&format!("{good}0"))),
        ("unknown key", Credential::ApiKey("guess".to_owned())),
        ("unknown Basic", Credential::basic("good", &expired)),
        ("no JWT", bearer("a.b.c")),
        ("JWT of a stranger", bearer(&jwt(app, &stranger, "admin"))),
        ("JWT that fits no entry", bearer(&jwt(app, issuer, "none"))),
        ("JWT that is over", bearer(&over)),
        ("JWT whose entry is removed", bearer(&of_removed)),
        ("expired", bearer(&expired)),
        ("expired Basic", Credential::basic("expired", &expired)),
        ("expired key", Credential::ApiKey(expired)),
        ("OAuth of an expired client", bearer(&of_expired)),
        ("revoked", bearer(&revoked)),
        ("revoked Basic", Credential::basic("revoked", &revoked)),
        ("revoked key", Credential::ApiKey(revoked)),
        ("OAuth of a revoked client", bearer(&of_revoked)),
    ];
    let callers = callers.into_iter().map(|(name, presents)| Caller {
        name: name.to_owned(),
        has: None,
        presents,
    });
    callers.collect()
}

/// Whether the decisions listener serves the route.
fn is_asked_by_flows(route: &str) -> bool {
    ["decisions", "variables", "outcomes"]
        .iter()
        .any(|resource| route == format!("POST /v1/environments/{{environment}}/{resource}"))
}

/// What a caller is told: `401` who are you, `403` you may not, or `ok`, which is anything that comes after that question.
async fn told(
    app: &TestApp,
    route: &str,
    environment: &str,
    presents: &Credential,
) -> &'static str {
    let (method, path) = route.split_once(' ').expect("method and path");
    let path = path
        .replace("{environment}", environment)
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
    match presents.present(ask).send().await.status {
        StatusCode::UNAUTHORIZED => "401",
        StatusCode::FORBIDDEN => "403",
        status if status.is_server_error() => panic!("{route}: {status}"),
        _ => "ok",
    }
}

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
    let (app, issuer) = (
        TestApp::start_for_known_callers().await,
        Issuer::start().await,
    );
    for environment in ENVIRONMENTS {
        app.create_with_candidate(environment).await;
    }
    let mut callers = callers_with_scopes(&app, &issuer).await;
    app.refresh_issuers().await;
    callers.extend(callers_without_any(&app, &issuer).await);
    let mut wrong = BTreeMap::new();
    for (route, needs) in ROWS {
        for environment in ENVIRONMENTS {
            for caller in &callers {
                let expected = caller.expects(*needs, environment);
                let told = told(&app, route, environment, &caller.presents).await;
                if told != expected {
                    wrong.insert(
                        format!("{route} in {environment} for {}", caller.name),
                        format!("told {told}, should be {expected}"),
                    );
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    for environment in ENVIRONMENTS {
        let revision = app.revision(environment).await;
        assert_eq!(revision, 2, "none of these requests was a whole one");
    }
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
        let told = told(&app, route, MAIN, &Credential::Nothing).await;
        assert_eq!(told, expected, "{route}");
    }
}
