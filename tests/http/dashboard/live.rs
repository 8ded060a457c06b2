//! Pages as they become.

use axum::body::Body;
use http::StatusCode;
use http_body_util::BodyExt as _;
use serde_json::json;

use super::{Browser, PAGE, app};
use crate::world::{MAIN, because};

/// A page that is followed.
struct Followed {
    body: Body,
    text: String,
}

impl Followed {
    async fn open(browser: &Browser, path: &str) -> Self {
        let response = browser.request("GET", path, Body::empty(), &[]).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self {
            body: response.into_body(),
            text: String::new(),
        }
    }

    /// The name and the data of the next event; `None` at the end.
    async fn next(&mut self) -> Option<(String, String)> {
        loop {
            if let Some(end) = self.text.find("\n\n") {
                let block: String = self.text.drain(..end + 2).collect();
                let lines = |kind: &str| {
                    let lines = block.lines().filter_map(|line| line.strip_prefix(kind));
                    lines.collect::<Vec<_>>().join("\n")
                };
                return Some((lines("event: "), lines("data: ")));
            }
            let frame = self.body.frame().await?.expect("a frame");
            let bytes = frame.into_data().expect("data");
            self.text += std::str::from_utf8(&bytes).expect("text");
        }
    }

    /// The next page that says something.
    async fn until(&mut self, words: &str) -> String {
        loop {
            let (name, page) = self.next().await.expect("another page");
            assert_eq!(name, "page");
            if page.contains(words) {
                return page;
            }
        }
    }
}

#[tokio::test]
async fn changes_arrive_as_they_are_made() {
    let app = app().await;
    let browser = Browser::of_admin(&app).await;
    let mut one = Followed::open(&browser, &format!("{PAGE}/events")).await;
    let mut all = Followed::open(&browser, "/dashboard/events").await;
    one.until("revision 2<").await;
    all.until("revision 2<").await;
    app.cut_over(MAIN).await;
    let page = one.until("revision 3<").await;
    assert!(page.contains("active: blue → green"), "with its history");
    assert!(page.contains("<title>Main_IVR: blue 0 %, green 100 %"));
    all.until("revision 3<").await;
}

#[tokio::test]
async fn a_page_says_when_it_is_over() {
    let app = app().await;
    let members = json!({ "name": "night shift", "scopes": ["read"] });
    let made = app.admin("POST", "/v1/tokens").json(&because(members));
    let made = made.send().await.ok().json();
    let browser = Browser::of(&app, made["token"].as_str().expect("a text")).await;
    let mut page = Followed::open(&browser, &format!("{PAGE}/events")).await;
    page.until("revision 2<").await;
    let id = made["id"].as_str().expect("an id");
    let path = format!("/v1/tokens/{id}?reason=lost");
    app.admin("DELETE", &path).send().await.ok();
    let (name, _) = page.next().await.expect("a last word");
    assert_eq!(name, "over");
    assert_eq!(page.next().await, None);

    let browser = Browser::of_admin(&app).await;
    let mut page = Followed::open(&browser, &format!("{PAGE}/events")).await;
    page.until("revision 2<").await;
    app.delete(MAIN).await;
    assert_eq!(page.next().await.expect("a last word").0, "over");

    let mut all = Followed::open(&browser, "/dashboard/events").await;
    all.until("There is no environment that you may see").await;
    app.start_draining();
    assert_eq!(all.next().await, None, "another replica goes on");
}
