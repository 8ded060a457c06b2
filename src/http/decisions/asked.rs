//! What a decision and a look at variables have in common: who asks, what for, and the snapshot that answers.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use http::header::{CACHE_CONTROL, PRAGMA};
use http::request::Parts;
use http::{HeaderMap, Uri};

use super::input::{self, Input};
use crate::domain::access::Scope;
use crate::domain::ids::{EnvironmentName, InterfaceNumber};
use crate::http::problem::{Kind, Problem};
use crate::http::{Listener, body, trace};
use crate::replica::{Served, Source};

/// A request that may be answered, and what from.
pub(super) struct Asked<'a> {
    /// What the caller says about its call.
    pub(super) input: Input<'a>,
    /// The environment.
    pub(super) served: &'a Arc<Served>,
    /// How fresh it is known to be.
    pub(super) source: Source,
    interface: Option<InterfaceNumber>,
}

impl Asked<'_> {
    /// The interface whose variables are the answer: the one asked for, or else `own`, that of the caller's version. A number
    /// that nobody has defined must not cost a call, and counts as not asked for.
    pub(super) fn interface(&self, own: InterfaceNumber) -> InterfaceNumber {
        self.interface
            .filter(|number| self.served.compiled.has_interface(*number))
            .unwrap_or(own)
    }
}

/// Answers a request for the `resource` of an environment with what `render` makes of it.
pub(super) async fn answer(
    listener: &Listener,
    request: Request,
    resource: &str,
    render: impl FnOnce(&Asked<'_>) -> Vec<u8>,
) -> Result<Vec<u8>, Problem> {
    let (head, body) = request.into_parts();
    let answered = answer_parts(listener, &head, body, resource, render).await;
    answered.map_err(|problem| trace::told(&head.headers, problem))
}

async fn answer_parts(
    listener: &Listener,
    head: &Parts,
    body: Body,
    resource: &str,
    render: impl FnOnce(&Asked<'_>) -> Vec<u8>,
) -> Result<Vec<u8>, Problem> {
    // No environment has a name that breaks the grammar, so it need not be checked again.
    let name = name_in(&head.uri, resource).unwrap_or_default();
    require(listener, &head.headers, Scope::Decide, name)?;
    let interface = asked_interface(&head.uri)?;
    let body = body::read(&head.headers, body, listener.limits.decision_body_bytes).await?;
    let input = input::parse(&body)?;
    // With half the deadline gone there is no time to wait for a proof.
    let source = if asks_for_validation(&head.headers)
        && !listener.load.is_full()
        && listener.replica.validate().await
    {
        Some(Source::Validated)
    } else {
        None
    };
    // Loaded after the proof, and anew: what was waited for must not be answered from before.
    let snapshot = listener.replica.snapshot();
    let snapshot = snapshot.as_ref().ok_or_else(Problem::not_ready)?;
    let served = snapshot
        .environments
        .get(name)
        .ok_or_else(Problem::no_environment)?;
    Ok(render(&Asked {
        input,
        served,
        source: source.unwrap_or(snapshot.source),
        interface,
    }))
}

/// Refuses callers who may not do what asks for `scope` in the environment called `name`.
pub(super) fn require(
    listener: &Listener,
    headers: &HeaderMap,
    scope: Scope,
    name: &str,
) -> Result<(), Problem> {
    let snapshot = listener.replica.snapshot();
    // Without a snapshot a good token cannot be told from a bad one.
    let snapshot = snapshot.as_ref().ok_or_else(Problem::not_ready)?;
    let (authenticator, access) = (&listener.authenticator, Some(&*snapshot.access));
    let principal = match scope {
        Scope::Decide => authenticator.authenticate(headers, access, &*listener.clock),
        // Only to ask may be for anyone.
        _ => authenticator.authenticate_known(headers, access, &*listener.clock),
    }?;
    if principal.may(scope, Some(name)) {
        return Ok(());
    }
    Err(Problem::new(
        Kind::Forbidden,
        format!("this needs the scope {scope} in this environment"),
    ))
}

/// Whether the caller wants no answer from before its request: `Cache-Control: no-cache` or `max-age=0`, or the older
/// `Pragma: no-cache` (RFC 9111, sections 5.2.1 and 5.4). The exported data action does.
fn asks_for_validation(headers: &HeaderMap) -> bool {
    headers.iter().any(|(name, value)| {
        let wanted: &[&str] = match *name {
            CACHE_CONTROL => &["no-cache", "max-age=0"],
            PRAGMA => &["no-cache"],
            _ => return false,
        };
        let mut directives = value.to_str().unwrap_or_default().split(',');
        directives.any(|directive| {
            let mut wanted = wanted.iter();
            wanted.any(|wanted| directive.trim().eq_ignore_ascii_case(wanted))
        })
    })
}

/// The environment's name in a path that ends with `resource`; empty in any other path, and where no environment can have such
/// a name.
pub(super) fn environment_name<'a>(uri: &'a Uri, resource: &str) -> &'a str {
    let name = name_in(uri, resource).unwrap_or_default();
    if EnvironmentName::is_valid(name) {
        name
    } else {
        ""
    }
}

fn name_in<'a>(uri: &'a Uri, resource: &str) -> Option<&'a str> {
    let rest = uri.path().strip_prefix("/v1/environments/")?;
    rest.strip_suffix(resource)
}

/// The number that the query asks for.
fn asked_interface(uri: &Uri) -> Result<Option<InterfaceNumber>, Problem> {
    let Some(query) = uri.query() else {
        return Ok(None);
    };
    let mut values = query
        .split('&')
        .filter_map(|pair| pair.strip_prefix("interface="));
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let number = value.parse().ok().filter(|_| values.next().is_none());
    let number = number.ok_or_else(|| {
        Problem::new(
            Kind::BadRequest,
            "parameter interface: expected one whole number",
        )
    })?;
    Ok(Some(InterfaceNumber(number)))
}
