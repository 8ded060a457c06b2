//! The description of the API, made from the handlers, and a viewer for it that loads nothing from elsewhere.

use std::sync::Arc;

use axum::Router;
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::server::{ServerBuilder, ServerVariableBuilder};
use utoipa::{Modify, OpenApi};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use utoipa_swagger_ui::SwaggerUi;

use super::problem::{Kind, Problem};
use super::{Listener, decisions, oauth};

/// What the routes themselves cannot say.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "traffic-cop",
        description = "Decides which of two Genesys Cloud IVR flows, blue or green, takes each call. Operations that name a server of their own are served by the decisions listener, all others by the admin listener.",
    ),
    // Named by a header and sent as the data of events, which do not collect what they name.
    components(schemas(crate::domain::ids::IdempotencyKey, super::admin::events::ChangeEvent)),
    modifiers(&Tokens),
    tags(
        (name = "decisions", description = "Asked by Genesys Cloud for every call"),
        (name = "environments", description = "What callers get, and changing it"),
        (name = "rollouts", description = "Planned ramps with a judge"),
        (name = "freezes", description = "Times in which nobody moves callers towards a candidate"),
        (name = "webhooks", description = "Who is told of changes"),
        (name = "interfaces", description = "Which variables flows read"),
        (name = "access", description = "Tokens, and issuers of others"),
        (name = "operations", description = "Replicas and the journal"),
    )
)]
struct Description;

struct Tokens;

impl Modify for Tokens {
    fn modify(&self, description: &mut utoipa::openapi::OpenApi) {
        let components = description.components.get_or_insert_default();
        let bearer = Http::new(HttpAuthScheme::Bearer);
        components.add_security_scheme(TOKEN, SecurityScheme::Http(bearer));
        let mut basic = Http::new(HttpAuthScheme::Basic);
        basic.description = Some("The name or id of a token, and its text.".to_owned());
        components.add_security_scheme(BASIC, SecurityScheme::Http(basic));
        let key = ApiKeyValue::with_description("X-API-Key", "The text of a token.");
        components.add_security_scheme(API_KEY, SecurityScheme::ApiKey(ApiKey::Header(key)));
    }
}

/// The security schemes: ways to present a token.
const TOKEN: &str = "token";
const BASIC: &str = "basic";
const API_KEY: &str = "api_key";

/// Every operation of a path.
fn operations(path: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem {
        get,
        put,
        post,
        delete,
        patch,
        ..
    } = path;
    [get, put, post, delete, patch].into_iter().flatten()
}

/// Says of every operation that the decisions listener serves it.
fn serve_elsewhere(description: &mut utoipa::openapi::OpenApi) {
    let address = ServerVariableBuilder::new().default_value("127.0.0.1:8080");
    let server = ServerBuilder::new()
        .url("http://{address}")
        .description(Some("The decisions listener"))
        .parameter("address", address)
        .build();
    for path in description.paths.paths.values_mut() {
        for operation in operations(path) {
            operation.servers = Some(vec![server.clone()]);
        }
    }
}

/// Says of every operation that takes a token that it takes it in any form.
fn allow_every_form(description: &mut utoipa::openapi::OpenApi) {
    let needs = |scheme: &str| SecurityRequirement::new(scheme, [""; 0]);
    for path in description.paths.paths.values_mut() {
        for operation in operations(path) {
            let security = operation.security.get_or_insert_default();
            if security.contains(&needs(TOKEN)) {
                security.extend([needs(BASIC), needs(API_KEY)]);
            }
        }
    }
}

/// The routes of the admin API, and the description of both listeners.
pub(super) fn split(
    routes: OpenApiRouter<Arc<Listener>>,
    listener: Arc<Listener>,
) -> (Router, utoipa::openapi::OpenApi) {
    // Described here, served by the other listener.
    let (_, mut decisions) = OpenApiRouter::<Arc<Listener>>::new()
        .routes(routes!(decisions::decide_call))
        .routes(routes!(oauth::token))
        .routes(routes!(decisions::variables::look_up))
        .routes(routes!(decisions::outcomes::report))
        .split_for_parts();
    let (router, mut description) = OpenApiRouter::with_openapi(Description::openapi())
        .merge(routes)
        .split_for_parts();
    serve_elsewhere(&mut decisions);
    description.merge(decisions);
    allow_every_form(&mut description);
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
