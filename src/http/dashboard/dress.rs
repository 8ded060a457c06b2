//! What all pages have in common on their way out: headers that let a browser do nothing but show them, and problems as pages.

use askama::Template;
use axum::body::Body;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Response};
use http::header::{
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderName, HeaderValue};
use serde::Deserialize;

use super::frame::Frame;
use crate::http::problem::Kind;

/// Nothing is loaded from elsewhere, nothing that stands in a page is run or styled, and nobody frames it.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; \
     base-uri 'none'; frame-ancestors 'none'",
);
/// With none at all browsers would say of no form where it was.
const REFERRER: HeaderValue = HeaderValue::from_static("same-origin");
const CROSS_ORIGIN_OPENER_POLICY: HeaderName =
    HeaderName::from_static("cross-origin-opener-policy");
const CROSS_ORIGIN_RESOURCE_POLICY: HeaderName =
    HeaderName::from_static("cross-origin-resource-policy");
/// Most bytes of a problem document.
const PROBLEM_BYTES: usize = 64 * 1024;

/// A problem, to be read by people.
#[derive(Template)]
#[template(path = "problem.html")]
struct ProblemPage {
    frame: Frame,
    status: u16,
    title: String,
    detail: String,
    is_unknown: bool,
}

/// The members of a problem document that people read.
#[derive(Deserialize)]
struct Members {
    title: String,
    detail: String,
}

/// Dresses what is answered about the dashboard, whoever answers.
pub(crate) async fn dress(request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let is_ours = path == "/" || path == super::HOME || path.starts_with("/dashboard/");
    if !is_ours {
        return next.run(request).await;
    }
    let mut response = next.run(request).await;
    if response.extensions().get::<Kind>().is_some() {
        response = explain(response).await;
    }
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, POLICY);
    headers.insert(REFERRER_POLICY, REFERRER);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    let same = HeaderValue::from_static("same-origin");
    headers.insert(CROSS_ORIGIN_OPENER_POLICY, same.clone());
    headers.insert(CROSS_ORIGIN_RESOURCE_POLICY, same);
    response
}

/// The problem document in `response` as a page, with all that goes with it.
async fn explain(response: Response) -> Response {
    let (mut head, body) = response.into_parts();
    let document = axum::body::to_bytes(body, PROBLEM_BYTES).await;
    let document = document.unwrap_or_default();
    let Ok(Members { title, detail }) = serde_json::from_slice(&document) else {
        return Response::from_parts(head, Body::from(document));
    };
    let page = ProblemPage {
        frame: Frame::of_problem(),
        status: head.status.as_u16(),
        title,
        detail,
        is_unknown: head.status == http::StatusCode::UNAUTHORIZED,
    };
    let Ok(page) = page.render() else {
        return Response::from_parts(head, Body::from(document));
    };
    let page = Html(page).into_response();
    let kind = page.headers()[CONTENT_TYPE].clone();
    head.headers.insert(CONTENT_TYPE, kind);
    head.headers.remove(http::header::CONTENT_LENGTH);
    Response::from_parts(head, page.into_body())
}
