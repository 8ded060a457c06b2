//! The dashboard, asked as a browser asks it: cookies go along, forms are sent with what stands in them.

mod actions;
mod authorisation;
mod live;
mod pages;
mod sessions;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, COOKIE, HOST, LOCATION, ORIGIN,
    REFERRER_POLICY, SET_COOKIE, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;

use crate::receipts::Running;
use crate::world::{MAIN, TestApp};

/// The address of the page that most tests are about.
const PAGE: &str = "/dashboard/environments/Main_IVR";

/// A browser.
struct Browser {
    router: Router,
    cookie: Option<String>,
    origin: &'static str,
}

/// What a browser got.
#[derive(Debug)]
struct Page {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Browser {
    fn new(app: &TestApp) -> Self {
        Self {
            router: app.admin_router(),
            cookie: None,
            origin: "http://cop.example:8081",
        }
    }

    /// One in which somebody has signed in with `token`.
    async fn of(app: &TestApp, token: &str) -> Self {
        let mut browser = Self::new(app);
        let page = browser.sign_in(token).await;
        assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.text);
        browser
    }

    /// One in which the first admin has signed in.
    async fn of_admin(app: &TestApp) -> Self {
        let token = app.first_admin_text();
        Self::of(app, &token).await
    }

    async fn sign_in(&mut self, token: &str) -> Page {
        let page = self.post("/dashboard/login", &[("token", token)]).await;
        let cookies = page.headers.get_all(SET_COOKIE).iter();
        let mut cookies = cookies.filter_map(|cookie| cookie.to_str().ok()?.split(';').next());
        self.cookie = cookies.next().map(str::to_owned).or(self.cookie.take());
        page
    }

    async fn get(&self, path: &str) -> Page {
        self.send("GET", path, Body::empty(), &[]).await
    }

    async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Page {
        let form = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields)
            .finish();
        let headers = [
            (CONTENT_TYPE.as_str(), "application/x-www-form-urlencoded"),
            (ORIGIN.as_str(), self.origin),
        ];
        self.send("POST", path, Body::from(form), &headers).await
    }

    async fn send(&self, method: &str, path: &str, body: Body, headers: &[(&str, &str)]) -> Page {
        let response = self.request(method, path, body, headers).await;
        let (head, body) = response.into_parts();
        let body = body.collect().await.expect("a whole body").to_bytes();
        let page = Page {
            status: head.status,
            headers: head.headers,
            text: String::from_utf8(body.into()).expect("UTF-8"),
        };
        page.assert_is_dressed(&format!("{method} {path}"));
        page
    }

    async fn request(
        &self,
        method: &str,
        path: &str,
        body: Body,
        headers: &[(&str, &str)],
    ) -> Response {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, "cop.example:8081");
        if let Some(cookie) = &self.cookie {
            request = request.header(COOKIE, cookie);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(body).expect("a request");
        let Ok(response) = self.router.clone().oneshot(request).await;
        response
    }

    /// Sends a form of the page, with these fields in the place of those that stand in it.
    async fn send_form(&self, page: &str, action: &str, typed: &[(&str, &str)]) -> Page {
        let shown = self.get(page).await.ok();
        let path = format!("{page}/{action}");
        let mut fields = shown.fields(&path);
        for (name, value) in typed {
            fields.retain(|(known, _)| known != name);
            fields.push(((*name).to_owned(), (*value).to_owned()));
        }
        let fields: Vec<_> = fields
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        self.post(&path, &fields).await
    }
}

impl Page {
    #[track_caller]
    fn ok(self) -> Self {
        assert_eq!(self.status, StatusCode::OK, "{}", self.text);
        self
    }

    fn header(&self, name: impl http::header::AsHeaderName) -> &str {
        let value = self.headers.get(name);
        value.and_then(|value| value.to_str().ok()).unwrap_or("")
    }

    fn location(&self) -> &str {
        self.header(LOCATION)
    }

    /// What holds of everything that the dashboard answers.
    #[track_caller]
    fn assert_is_dressed(&self, what: &str) {
        let policy = self.header(CONTENT_SECURITY_POLICY);
        assert!(policy.starts_with("default-src 'none'; "), "{what}");
        assert!(policy.contains("frame-ancestors 'none'"), "{what}");
        assert!(
            !policy.contains("unsafe") && !policy.contains('*'),
            "{what}"
        );
        assert_eq!(self.header(X_CONTENT_TYPE_OPTIONS), "nosniff", "{what}");
        assert_eq!(self.header(X_FRAME_OPTIONS), "DENY", "{what}");
        assert_eq!(self.header(REFERRER_POLICY), "same-origin", "{what}");
        assert_eq!(self.header(CACHE_CONTROL), "no-store, no-cache", "{what}");
        let kind = self.header(CONTENT_TYPE);
        if self.status.is_client_error() || self.status.is_server_error() {
            assert_eq!(kind, "text/html; charset=utf-8", "{what}: people read that");
        }
        if kind.starts_with("text/html") {
            self.assert_needs_nothing_else(what);
        }
    }

    /// A page holds no script and no style, and loads nothing from elsewhere.
    #[track_caller]
    fn assert_needs_nothing_else(&self, what: &str) {
        for forbidden in [" style=", "<style", " onclick=", " onload=", "javascript:"] {
            assert!(!self.text.contains(forbidden), "{what}: {forbidden}");
        }
        for attribute in ["src=\"", "href=\"", "action=\""] {
            for address in self.text.split(attribute).skip(1) {
                let is_ours = address.starts_with("/dashboard") || address.starts_with('#');
                assert!(is_ours, "{what}: {}", &address[..address.len().min(60)]);
            }
        }
    }

    #[track_caller]
    fn assert_says(&self, words: &str) {
        let text = self.words();
        assert!(text.contains(words), "no {words:?} in {text}");
    }

    #[track_caller]
    fn assert_says_nothing_of(&self, words: &str) {
        let text = self.words();
        assert!(!text.contains(words), "{words:?} in {text}");
    }

    /// What is read: the text without its markup.
    fn words(&self) -> String {
        let mut words = String::new();
        let mut is_markup = false;
        for letter in self.text.chars() {
            match letter {
                '<' => is_markup = true,
                '>' => {
                    is_markup = false;
                    words.push(' ');
                }
                _ if is_markup => {}
                _ => words.push(letter),
            }
        }
        let words = unescape(&words);
        words.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// The form that is sent to `path`, if there is one.
    fn form(&self, path: &str) -> Option<&str> {
        let start = self.text.find(&format!("action=\"{path}\""))?;
        let form = &self.text[start..];
        Some(&form[..form.find("</form>")?])
    }

    /// The fields of that form, as a browser would send them.
    #[track_caller]
    fn fields(&self, path: &str) -> Vec<(String, String)> {
        let form = self.form(path);
        let form = form.unwrap_or_else(|| panic!("no form for {path} in {}", self.text));
        let inputs = form.split("<input ").skip(1);
        let inputs = inputs.map(|input| input.split('>').next().expect("an input"));
        let sent = inputs.filter(|input| {
            let is_choice = input.contains("type=\"checkbox\"") || input.contains("type=\"radio\"");
            !is_choice || input.ends_with(" checked")
        });
        let attribute = |input: &str, name: &str| {
            let start = input.find(&format!("{name}=\""))? + name.len() + 2;
            let rest = &input[start..];
            Some(unescape(&rest[..rest.find('"')?]))
        };
        sent.map(|input| {
            let name = attribute(input, "name").expect("a name");
            (name, attribute(input, "value").unwrap_or_default())
        })
        .collect()
    }

    #[track_caller]
    fn field(&self, path: &str, name: &str) -> String {
        let fields = self.fields(path).into_iter();
        let mut found = fields.filter(|(known, _)| known == name);
        found.next().unwrap_or_else(|| panic!("no {name}")).1
    }
}

fn unescape(text: &str) -> String {
    let pairs = [
        ("&#60;", "<"),
        ("&#62;", ">"),
        ("&#34;", "\""),
        ("&#39;", "'"),
        ("&#38;", "&"),
    ];
    pairs
        .iter()
        .fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

/// An app with versions in both slots.
async fn app() -> TestApp {
    let app = TestApp::start_for_known_callers().await;
    app.create_with_candidate(MAIN).await;
    app
}

/// The same, with all that a process does by itself: only then are there receipts.
async fn running() -> (TestApp, Running) {
    let app = app().await;
    let running = Running::all(&app.process);
    (app, running)
}
