//! Who was refused a change before the writer was asked, for the log. What the writer refuses, it records itself.

use std::sync::{Arc, OnceLock};

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;

use crate::domain::ids::Actor;
use crate::http::Listener;
use crate::http::problem::Kind;

/// Where the name of an authenticated caller is left for [`record_refusals`].
#[derive(Debug, Clone, Default)]
pub(super) struct Asker(Arc<OnceLock<Actor>>);

impl Asker {
    /// Leaves it.
    pub(super) fn is(&self, actor: &Actor) {
        self.0.get_or_init(|| actor.clone());
    }
}

/// Records refused changes, and whatever else a caller may not do. Nothing of the request gets into the log that is not known
/// here: the route, and the environment if there is one of that name.
pub(crate) async fn record_refusals(
    State(listener): State<Arc<Listener>>,
    mut request: Request,
    next: Next,
) -> Response {
    let asker = Asker::default();
    request.extensions_mut().insert(asker.clone());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let response = next.run(request).await;
    let refused = match response.extensions().get::<Kind>() {
        Some(kind @ Kind::Forbidden) => kind,
        Some(kind @ (Kind::Unauthenticated | Kind::PreconditionRequired)) if !method.is_safe() => {
            kind
        }
        _ => return response,
    };
    let snapshot = listener.replica.snapshot();
    let environment = uri.path().strip_prefix("/v1/environments/");
    let environment = environment.and_then(|rest| rest.split('/').next());
    let environment = environment.and_then(|name| {
        let (name, _) = snapshot.as_ref()?.environments.get_key_value(name)?;
        Some(name.as_str())
    });
    tracing::warn!(
        actor = asker.0.get().map(Actor::as_str),
        %method,
        route = route.as_ref().map(MatchedPath::as_str),
        environment,
        why = refused.name(),
        "refused"
    );
    response
}
