//! Doing something: a form is sent, the writer carries it out or refuses, and the page says what came of it.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{MethodRouter, get};
use http::StatusCode;
use http::request::Parts;

use super::action::Action;
use super::actions::Sent;
use super::environment::EnvironmentPage;
use super::form::Form;
use super::outcome::{Attempted, Outcome, refused, sentence};
use super::page;
use super::session::{Visitor, require_same_origin};
use crate::control;
use crate::domain::Environment;
use crate::domain::access::Scope;
use crate::domain::ids::{AggregateKey, EnvironmentName, Reason, Revision};
use crate::http::Listener;
use crate::http::admin::extract::{Path, environment_name};
use crate::http::admin::preflight::{Looking, before_change};
use crate::http::problem::{Kind, Problem};

/// How long a page waits until every live replica has the change.
const WAIT: Duration = Duration::from_secs(2);

/// Where each action is done, below an environment.
pub(super) fn routes() -> [(&'static str, MethodRouter<Arc<Listener>>); 8] {
    Action::ALL.map(|action| {
        let send = move |State(listener): State<Arc<Listener>>,
                         visitor: Visitor,
                         Path(name): Path<String>,
                         request: Request| async move {
            send(&listener, &visitor, &name, action, request).await
        };
        (action.path(), get(back).post(send))
    })
}

/// Whoever asks for the page of an answer again is led to the environment.
async fn back(visitor: Visitor, Path(name): Path<String>) -> Result<Redirect, Problem> {
    visitor.require_read(&name)?;
    let name = environment_name(&name)?;
    Ok(Redirect::to(&format!("/dashboard/environments/{name}")))
}

async fn send(
    listener: &Listener,
    visitor: &Visitor,
    name: &str,
    action: Action,
    request: Request,
) -> Result<Response, Problem> {
    let (head, body) = request.into_parts();
    let form = admitted(visitor, name, &head)
        .inspect_err(|problem| record(visitor, action, problem))
        .map(|()| Form::read(&head.headers, body))?
        .await?;
    visitor
        .require_own_form(form.field("form_token"))
        .inspect_err(|problem| record(visitor, action, problem))?;
    let name = environment_name(name)?;
    let (status, attempted) = match attempt(listener, visitor, &name, action, &form).await {
        Ok(outcome) => (StatusCode::OK, Attempted::Done(outcome)),
        Err(Stopped::Unread(why)) => {
            let sent = Sent {
                action,
                form,
                refused: sentence(&why),
                kind: None,
            };
            (StatusCode::UNPROCESSABLE_ENTITY, Attempted::Refused(sent))
        }
        Err(Stopped::Refused(problem)) => {
            (problem.kind().status(), refused(action, form, &problem))
        }
    };
    let shown = EnvironmentPage::of(listener, visitor, &name, Some(attempted)).await?;
    Ok((status, page(&shown)?).into_response())
}

/// Refuses who may not, and what was not on a page of ours.
fn admitted(visitor: &Visitor, name: &str, head: &Parts) -> Result<(), Problem> {
    require_same_origin(&head.headers)?;
    visitor.caller.require(Scope::Operate, Some(name))
}

fn record(visitor: &Visitor, action: Action, problem: &Problem) {
    tracing::warn!(
        actor = %visitor.caller.actor(),
        action = action.path(),
        why = problem.kind().name(),
        "refused at the dashboard"
    );
}

/// Why nothing was done.
enum Stopped {
    /// A field does not read.
    Unread(String),
    /// The writer refused.
    Refused(Problem),
}

/// Carries the form out.
async fn attempt(
    listener: &Listener,
    visitor: &Visitor,
    name: &EnvironmentName,
    action: Action,
    form: &Form,
) -> Result<Outcome, Stopped> {
    let unread = |field: &str, error: String| Stopped::Unread(format!("{field}: {error}"));
    let reason: Reason = form
        .field("reason")
        .trim()
        .parse()
        .map_err(|error| unread("the reason", format!("{error}")))?;
    let command = action.command(form).map_err(Stopped::Unread)?;
    let key = match form.field("key") {
        "" => None,
        key => Some(
            key.parse()
                .map_err(|error| unread("the form's key", format!("{error}")))?,
        ),
    };
    let request = control::Request {
        actor: visitor.caller.actor().clone(),
        reason,
        key,
        expected: expected(action, form)?,
        wait: Some(WAIT),
    };
    let looking = if form.is_ticked("skip_preflight") {
        Looking::Unwanted
    } else {
        Looking::Wanted
    };
    let preflight = before_change(listener, looking, name, &command, &request)
        .await
        .map_err(Stopped::Refused)?;
    let key = AggregateKey::Environment(name.clone());
    let answer = listener
        .control
        .execute::<Environment>(&key, &command, &request)
        .await;
    match answer {
        Ok(answer) => Ok(Outcome::of(action, &answer, preflight.as_ref())),
        Err(error) => {
            let problem = Problem::from(error);
            let seen_another = "The environment has changed since this page was made. It is shown as it is now; look at it, and send \
                                the form again if you still want to";
            Err(Stopped::Refused(if problem.kind() == Kind::Stale {
                Problem::new(Kind::Stale, seen_another)
            } else {
                problem
            }))
        }
    }
}

/// The revision that the sender has seen, where it has to be named.
fn expected(action: Action, form: &Form) -> Result<Option<Revision>, Stopped> {
    if !action.names_revision() {
        return Ok(None);
    }
    let revision = form.field("revision").parse().map(Revision);
    let revision = revision.map_err(|_| {
        Stopped::Unread(
            "the form does not say which revision it is about; open the page again".to_owned(),
        )
    })?;
    Ok(Some(revision))
}
