//! Pages as they become: server-sent events, each of which is the page as it is now.
//!
//! The script takes the parts out of it that are new. A page is made anew when this replica decides by another change, and every
//! few seconds, for calls go on without any.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use tokio::sync::watch;

use super::environment::EnvironmentPage;
use super::overview::Overview;
use super::render;
use super::session::Visitor;
use crate::domain::access::Scope;
use crate::domain::ids::{EnvironmentName, Sequence};
use crate::http::Listener;
use crate::http::admin::events::Counted;
use crate::http::admin::extract::{Path, environment_name};
use crate::http::problem::{Kind, Problem};

/// Time between two pages if nothing changes.
const PAUSE: Duration = Duration::from_secs(3);

/// Follows all environments.
pub(super) async fn follow_all(
    State(listener): State<Arc<Listener>>,
    visitor: Visitor,
) -> Result<Response, Problem> {
    visitor.caller.require_somewhere(Scope::Read)?;
    Following::start(listener, visitor, None)
}

/// Follows one environment.
pub(super) async fn follow(
    State(listener): State<Arc<Listener>>,
    visitor: Visitor,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    visitor.require_read(&name)?;
    let name = environment_name(&name)?;
    Following::start(listener, visitor, Some(name))
}

/// Somebody who looks at a page.
struct Following {
    listener: Arc<Listener>,
    visitor: Visitor,
    /// The environment; none for all of them.
    name: Option<EnvironmentName>,
    /// The last entry that this replica decides by.
    served: watch::Receiver<Sequence>,
    is_over: bool,
    _counted: Counted,
}

impl Following {
    fn start(
        listener: Arc<Listener>,
        visitor: Visitor,
        name: Option<EnvironmentName>,
    ) -> Result<Response, Problem> {
        if listener.draining.is_cancelled() {
            let detail = "this process is on its way out; another replica has this page too";
            return Err(Problem::new(Kind::NotReady, detail));
        }
        let mut served = listener.replica.served();
        // The page that somebody has is as old as the connection at the most: the first event may come at once.
        served.mark_changed();
        let following = Self {
            served,
            visitor,
            name,
            is_over: false,
            _counted: Counted::new(&listener.metrics.event_streams),
            listener,
        };
        let events = stream::unfold(following, |mut following| async move {
            let event = following.next().await?;
            Some((Ok::<_, Infallible>(event), following))
        });
        Ok(Sse::new(events).into_response())
    }

    /// The next event; `None` ends the stream.
    async fn next(&mut self) -> Option<Event> {
        if self.is_over {
            return None;
        }
        tokio::select! {
            () = self.listener.draining.cancelled() => return None,
            changed = self.served.changed() => changed.ok()?,
            () = tokio::time::sleep(PAUSE) => {}
        }
        self.listener.metrics.events.inc();
        let page = match self.visitor.renewed(&self.listener) {
            Some(visitor) => {
                self.visitor = visitor;
                self.page().await
            }
            None => None,
        };
        Some(match page {
            Some(page) => Event::default().event("page").data(page),
            // Signed out, not allowed any more, or the environment is gone: the page in the browser must not look alive.
            None => {
                self.is_over = true;
                Event::default().event("over").data("over")
            }
        })
    }

    async fn page(&self) -> Option<String> {
        let (listener, visitor) = (&*self.listener, &self.visitor);
        let page = match &self.name {
            Some(name) => {
                let page = EnvironmentPage::of(listener, visitor, name, None).await;
                page.and_then(|page| render(&page))
            }
            None => Overview::of(listener, visitor).and_then(|page| render(&page)),
        };
        page.ok()
    }
}
