//! The description of the API, made from the handlers, and a viewer for it that loads nothing from elsewhere.

use std::sync::Arc;

use axum::Router;
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use utoipa_swagger_ui::SwaggerUi;

use super::problem::{Kind, Problem};
use super::{Listener, decisions};

/// What the routes themselves cannot say.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "traffic-cop",
        description = "Decides which of two Genesys Cloud IVR flows, blue or green, takes each call. `/v1/environments/{environment}/decisions` is served by the decisions listener, everything else by the admin listener.",
    ),
    // Named by a header, which does not collect what it names.
    components(schemas(crate::domain::ids::IdempotencyKey)),
    modifiers(&Tokens),
    tags(
        (name = "decisions", description = "Asked by Genesys Cloud for every call"),
        (name = "environments", description = "What callers get, and changing it"),
        (name = "access", description = "Tokens"),
        (name = "operations", description = "Replicas and the journal"),
    )
)]
struct Description;

struct Tokens;

impl Modify for Tokens {
    fn modify(&self, description: &mut utoipa::openapi::OpenApi) {
        let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        description
            .components
            .get_or_insert_default()
            .add_security_scheme("token", scheme);
    }
}

/// The routes of the admin API, and the description of both listeners.
pub(super) fn split(
    routes: OpenApiRouter<Arc<Listener>>,
    listener: Arc<Listener>,
) -> (Router, utoipa::openapi::OpenApi) {
    // Described here, served by the other listener.
    let (_, decisions) = OpenApiRouter::<Arc<Listener>>::new()
        .routes(routes!(decisions::decide_call))
        .split_for_parts();
    let (router, mut description) = OpenApiRouter::with_openapi(Description::openapi())
        .merge(routes)
        .split_for_parts();
    description.merge(decisions);
    (router.with_state(listener), description)
}

/// The viewer at `/docs/`, the description at `/openapi.json`.
pub(super) fn viewer(description: utoipa::openapi::OpenApi) -> Router {
    let viewer: Router = SwaggerUi::new("/docs")
        .url("/openapi.json", description)
        .into();
    viewer.layer(map_response(describe_absence))
}

/// The viewer says nothing but the status about files that it does not have.
async fn describe_absence(response: Response) -> Response {
    if response.status() == StatusCode::NOT_FOUND {
        Problem::new(Kind::NotFound, "the viewer has no such file").into_response()
    } else {
        response
    }
}
