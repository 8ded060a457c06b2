//! Signing in and out, and what a session is good for.

use std::time::Duration;

use axum::body::Body;
use http::StatusCode;
use http::header::{CONTENT_TYPE, SET_COOKIE};
use serde_json::json;

use super::{Browser, PAGE, app, running};
use crate::world::{MAIN, because};

#[tokio::test]
async fn a_token_becomes_a_strict_cookie_that_holds_no_token() {
    let app = app().await;
    let mut browser = Browser::new(&app);
    let token = app.token(&["read"], None).await;
    let page = browser.sign_in(&token).await;
    assert_eq!(page.status, StatusCode::SEE_OTHER);
    assert_eq!(page.location(), "/dashboard");
    let cookie = page.header(SET_COOKIE).to_owned();
    assert!(cookie.starts_with("traffic_cop="), "{cookie}");
    assert!(
        cookie.ends_with("; Path=/; Max-Age=43200; HttpOnly; SameSite=Strict"),
        "{cookie}"
    );
    assert!(!cookie.contains(&token));
    browser.get("/dashboard").await.ok().assert_says(MAIN);

    browser.origin = "https://cop.example:8081";
    let page = browser.sign_in(&token).await;
    let cookie = page.header(SET_COOKIE);
    assert!(cookie.starts_with("__Host-traffic_cop="), "{cookie}");
    assert!(cookie.ends_with("; Secure"), "{cookie}");
    browser.get("/dashboard").await.ok().assert_says(MAIN);
}

#[tokio::test]
async fn a_wrong_token_lets_nobody_in() {
    let app = app().await;
    let mut browser = Browser::new(&app);
    for wrong in ["", "tc_guess", "not a token at all", "a.b.c"] {
        let page = browser.sign_in(wrong).await;
        assert_eq!(page.status, StatusCode::UNAUTHORIZED, "{wrong}");
        page.assert_says("This is no valid token");
        assert_eq!(browser.cookie, None);
    }
    let decide = app.token(&["decide", "report"], None).await;
    let page = browser.sign_in(&decide).await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    page.assert_says("it needs the scope read");
    assert_eq!(browser.cookie, None);
}

#[tokio::test]
async fn wrong_tokens_are_listened_to_ten_times_a_minute_and_good_ones_always() {
    let app = app().await;
    let mut browser = Browser::new(&app);
    for _ in 0..10 {
        let page = browser.sign_in("tc_guess").await;
        assert_eq!(page.status, StatusCode::UNAUTHORIZED);
    }
    let page = browser.sign_in("tc_guess").await;
    assert_eq!(page.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(page.header("retry-after"), "60");
    let good = app.token(&["read"], None).await;
    assert_eq!(browser.sign_in(&good).await.status, StatusCode::SEE_OTHER);
    app.advance(Duration::from_secs(60));
    let page = browser.sign_in("tc_guess").await;
    assert_eq!(page.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_revoked_or_expired_token_ends_its_sessions_at_once() {
    let app = app().await;
    let made = app
        .admin("POST", "/v1/tokens")
        .json(&because(
            json!({ "name": "night shift", "scopes": ["operate"] }),
        ))
        .send()
        .await
        .ok()
        .json();
    let browser = Browser::of(&app, made["token"].as_str().expect("a text")).await;
    let shown = browser.get(PAGE).await.ok();
    shown.assert_says("night shift");
    let id = made["id"].as_str().expect("an id");
    let path = format!("/v1/tokens/{id}?reason=lost");
    app.admin("DELETE", &path).send().await.ok();
    let page = browser.get(PAGE).await;
    assert_eq!(page.status, StatusCode::SEE_OTHER);
    let path = format!("{PAGE}/cutover");
    let fields = shown.fields(&path);
    let mut fields: Vec<_> = fields
        .iter()
        .map(|(n, v)| (n.as_str(), v.as_str()))
        .collect();
    fields.push(("reason", "too late"));
    assert_eq!(
        browser.post(&path, &fields).await.status,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(app.revision(MAIN).await, 2);

    let ends = json!({ "scopes": ["read"], "expires_at": "2026-01-05T08:30:00Z" });
    let brief = app.new_token(ends).await;
    let browser = Browser::of(&app, &brief).await;
    browser.get(PAGE).await.ok();
    app.advance(Duration::from_secs(30 * 60));
    assert_eq!(browser.get(PAGE).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_session_ends_after_a_shift() {
    let app = app().await;
    let browser = Browser::of_admin(&app).await;
    app.advance(Duration::from_secs(12 * 3600 - 1));
    browser.get("/dashboard").await.ok();
    app.advance(Duration::from_secs(120));
    assert_eq!(
        browser.get("/dashboard").await.status,
        StatusCode::SEE_OTHER
    );
}

#[tokio::test]
async fn whoever_is_not_signed_in_is_led_to_the_door_and_back() {
    let app = app().await;
    let mut browser = Browser::new(&app);
    let page = browser.get("/").await;
    assert_eq!(
        (page.status, page.location()),
        (StatusCode::SEE_OTHER, "/dashboard")
    );
    let page = browser.get(PAGE).await;
    let door = "/dashboard/login?to=%2Fdashboard%2Fenvironments%2FMain_IVR";
    assert_eq!(
        (page.status, page.location()),
        (StatusCode::SEE_OTHER, door)
    );
    let page = browser.get(door).await.ok();
    assert_eq!(page.field("/dashboard/login", "to"), PAGE);
    let token = app.first_admin_text();
    let fields = [("token", token.as_str()), ("to", PAGE)];
    let page = browser.post("/dashboard/login", &fields).await;
    assert_eq!(page.location(), PAGE);
    let fields = [
        ("token", token.as_str()),
        ("to", "https://elsewhere.example/"),
    ];
    let page = browser.post("/dashboard/login", &fields).await;
    assert_eq!(page.location(), "/dashboard");
    browser.sign_in(&token).await;
    let page = browser.get(door).await;
    assert_eq!(page.location(), PAGE, "who is signed in needs no door");
    browser.cookie = Some("traffic_cop=forged.session.text".to_owned());
    assert_eq!(browser.get(PAGE).await.status, StatusCode::SEE_OTHER);
    let stream = browser.get(&format!("{PAGE}/events")).await;
    assert_eq!(stream.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn an_access_token_is_no_session_and_a_session_no_access_token() {
    let app = app().await;
    let browser = Browser::of_admin(&app).await;
    let cookie = browser.cookie.clone().expect("a cookie");
    let session = cookie.strip_prefix("traffic_cop=").expect("its name");
    let answer = app
        .admin("GET", "/v1/environments")
        .by(session)
        .send()
        .await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);

    let name = "flows";
    let members = because(json!({ "name": name, "scopes": ["admin"] }));
    let made = app.admin("POST", "/v1/tokens").json(&members).send().await;
    let text = made.ok().json()["token"]
        .as_str()
        .expect("a text")
        .to_owned();
    let pair = data_encoding::BASE64.encode(format!("{name}:{text}").as_bytes());
    let access = app
        .decisions("POST", "/oauth/token")
        .header("authorization", &format!("Basic {pair}"))
        .body(
            "application/x-www-form-urlencoded",
            "grant_type=client_credentials",
        )
        .send()
        .await
        .ok()
        .json();
    let mut browser = Browser::new(&app);
    let access = access["access_token"].as_str().expect("a token");
    browser.cookie = Some(format!("traffic_cop={access}"));
    assert_eq!(browser.get(PAGE).await.status, StatusCode::SEE_OTHER);
    let page = browser.sign_in(access).await;
    assert_eq!(page.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn forms_from_elsewhere_are_refused() {
    let (app, _running) = running().await;
    let token = app.first_admin_text();
    let mut browser = Browser::of(&app, &token).await;
    let shown = browser.get(PAGE).await.ok();
    let rollback = format!("{PAGE}/cutover");
    let mut fields = shown.fields(&rollback);
    fields.retain(|(name, _)| name != "reason");
    fields.push(("reason".to_owned(), "a trick".to_owned()));
    let fields: Vec<_> = fields
        .iter()
        .map(|(n, v)| (n.as_str(), v.as_str()))
        .collect();
    for origin in ["http://evil.example", "http://cop.example:9999", "null"] {
        browser.origin = origin;
        for path in [rollback.as_str(), "/dashboard/logout"] {
            let page = browser.post(path, &fields).await;
            assert_eq!(page.status, StatusCode::FORBIDDEN, "{path} from {origin}");
        }
        let page = browser.post("/dashboard/login", &[("token", &token)]).await;
        assert_eq!(page.status, StatusCode::FORBIDDEN, "sign-in from {origin}");
    }
    let form = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(&fields)
        .finish();
    let form_type = (CONTENT_TYPE.as_str(), "application/x-www-form-urlencoded");
    for headers in [
        vec![form_type],
        vec![form_type, ("sec-fetch-site", "cross-site")],
        vec![
            form_type,
            ("sec-fetch-site", "same-site"),
            ("origin", "http://cop.example:8081"),
        ],
    ] {
        let page = browser
            .send("POST", &rollback, Body::from(form.clone()), &headers)
            .await;
        assert_eq!(page.status, StatusCode::FORBIDDEN, "{headers:?}");
    }
    assert_eq!(app.revision(MAIN).await, 2);
    let headers = [form_type, ("sec-fetch-site", "same-origin")];
    let page = browser
        .send("POST", &rollback, Body::from(form), &headers)
        .await;
    page.ok();
    assert_eq!(app.revision(MAIN).await, 3);
}

#[tokio::test]
async fn a_form_holds_a_text_that_only_a_page_of_its_session_has() {
    let app = app().await;
    let browser = Browser::of_admin(&app).await;
    let other = Browser::of_admin(&app).await;
    let path = format!("{PAGE}/rollback");
    let of_other = other.get(PAGE).await.ok().field(&path, "form_token");
    let own = browser.get(PAGE).await.ok().field(&path, "form_token");
    assert_ne!(own, of_other);
    for wrong in ["", "guess", &of_other] {
        let fields = [("form_token", wrong), ("reason", "a trick")];
        for path in [path.as_str(), "/dashboard/logout"] {
            let page = browser.post(path, &fields).await;
            assert_eq!(page.status, StatusCode::FORBIDDEN);
            page.assert_says("the form is not from a page of this session");
        }
    }
    let page = browser.post(&path, &[("reason", "a trick")]).await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn signing_out_takes_the_session_out_of_the_browser() {
    let app = app().await;
    let browser = Browser::of_admin(&app).await;
    let shown = browser.get("/dashboard").await.ok();
    let form_token = shown.field("/dashboard/logout", "form_token");
    let page = browser
        .post("/dashboard/logout", &[("form_token", &form_token)])
        .await;
    assert_eq!(page.location(), "/dashboard/login");
    let cookies: Vec<_> = page.headers.get_all(SET_COOKIE).iter().collect();
    assert_eq!(cookies.len(), 2);
    for cookie in cookies {
        let cookie = cookie.to_str().expect("text");
        assert!(cookie.contains("=; Path=/; Max-Age=0; "), "{cookie}");
    }
}

#[tokio::test]
async fn what_is_no_form_is_refused() {
    let app = app().await;
    let browser = Browser::of_admin(&app).await;
    let path = format!("{PAGE}/rollback");
    for (kind, body, status) in [
        ("application/json", "{}", StatusCode::UNSUPPORTED_MEDIA_TYPE),
        (
            "application/x-www-form-urlencoded",
            "reason=a&reason=b",
            StatusCode::BAD_REQUEST,
        ),
        (
            "application/x-www-form-urlencoded",
            &"x".repeat(16 * 1024 + 1),
            StatusCode::PAYLOAD_TOO_LARGE,
        ),
    ] {
        let headers = [(CONTENT_TYPE.as_str(), kind), ("origin", browser.origin)];
        let page = browser
            .send("POST", &path, Body::from(body.to_owned()), &headers)
            .await;
        assert_eq!(page.status, status);
    }
}
