//! The dashboard: what callers get, in one glance, and the way back, for people. On the admin listener.
//!
//! Pages are rendered here and work without scripts; a script of our own only puts newer parts of a page in the place of older
//! ones as they come (`live.rs`). What a page shows is in memory, so a store that is away keeps nobody from looking. A form
//! does what the admin API does, through the same [`Control`](crate::control::Control).
//!
//! A handler reads the request, has something looked up or done, and renders; nothing is decided here.

mod action;
mod actions;
mod assets;
mod chapter;
mod dress;
mod environment;
mod evidence;
mod form;
mod frame;
mod history;
mod ladder;
mod live;
mod login;
mod outcome;
mod overview;
mod picture;
mod send;
mod session;
mod shares;
mod slots;
mod surroundings;
mod words;

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};

use super::Listener;
use super::problem::{Kind, Problem};
use chapter::Chapters;
pub(super) use dress::dress;
use evidence::Hearings;
use login::Attempts;

/// What the dashboard of a process remembers. Nothing of it is needed: another process, or this one after a restart, knows it anew.
#[derive(Debug, Default)]
pub struct Dashboard {
    chapters: Chapters,
    hearings: Hearings,
    attempts: Attempts,
}

/// Where the dashboard begins.
const HOME: &str = "/dashboard";
/// Where people sign in.
const LOGIN: &str = "/dashboard/login";

/// Every page, and what belongs to them.
pub(super) fn router(listener: Arc<Listener>) -> Router {
    let environment = "/dashboard/environments/{environment}";
    let action = |name: &str| format!("{environment}/{name}");
    let mut router = Router::new()
        .route("/", get(home))
        .route(HOME, get(overview::show))
        .route("/dashboard/events", get(live::follow_all))
        .route(LOGIN, get(login::show).post(login::sign_in))
        .route("/dashboard/logout", post(login::sign_out))
        .route(environment, get(environment::show))
        .route(&action("events"), get(live::follow))
        .route(&action("history"), get(history::show));
    for (path, handler) in send::routes() {
        router = router.route(&action(path), handler);
    }
    for (path, handler) in assets::routes() {
        router = router.route(path, handler);
    }
    router.with_state(listener)
}

async fn home() -> Redirect {
    Redirect::to(HOME)
}

/// The page that `template` makes.
fn page(template: &impl Template) -> Result<Response, Problem> {
    Ok(Html(render(template)?).into_response())
}

fn render(template: &impl Template) -> Result<String, Problem> {
    template.render().map_err(|error| {
        tracing::error!(%error, "a page of the dashboard cannot be rendered");
        let detail = "the page could not be made; the log of this replica says why";
        Problem::new(Kind::Internal, detail)
    })
}
