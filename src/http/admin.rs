//! The admin API. A handler reads the request, calls one function and renders what comes back.

pub(super) mod caller;
mod commands;
mod drain;
mod environments;
pub(super) mod events;
mod explain;
pub(super) mod extract;
mod freezes;
mod health;
pub(super) mod history;
mod interfaces;
mod issuers;
mod journal;
mod mirror;
mod moment;
mod operations;
pub(super) mod preflight;
mod publication;
mod receipt;
mod refusals;
mod repair;
mod rollouts;
mod snapshot;
mod test_calls;
mod time;
mod tokens;
mod view;
mod webhooks;

use std::sync::Arc;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Listener;
pub(super) use refusals::record_refusals;

/// Every route of the admin API with its description.
pub(super) fn router() -> OpenApiRouter<Arc<Listener>> {
    OpenApiRouter::new()
        .routes(routes!(environments::list))
        .routes(routes!(
            environments::show,
            commands::create,
            commands::delete
        ))
        .routes(routes!(history::list))
        .routes(routes!(drain::show))
        .routes(routes!(preflight::show))
        .routes(routes!(publication::show))
        .routes(routes!(explain::explain))
        .routes(routes!(commands::register))
        .routes(routes!(commands::claim))
        .routes(routes!(commands::release))
        .routes(routes!(commands::rebind))
        .routes(routes!(commands::cutover))
        .routes(routes!(commands::rollback))
        .routes(routes!(commands::weight))
        .routes(routes!(repair::environment))
        .routes(routes!(commands::add_override))
        .routes(routes!(commands::remove_override))
        .routes(routes!(test_calls::list))
        .routes(routes!(freezes::list, freezes::add))
        .routes(routes!(freezes::remove))
        .routes(routes!(
            freezes::deployment::list_deployment,
            freezes::deployment::add_deployment
        ))
        .routes(routes!(freezes::deployment::remove_deployment))
        .routes(routes!(webhooks::list, webhooks::add))
        .routes(routes!(webhooks::remove))
        .routes(routes!(repair::settings))
        .routes(routes!(rollouts::show, commands::start_rollout))
        .routes(routes!(rollouts::show_evidence))
        .routes(routes!(commands::pause_rollout))
        .routes(routes!(commands::resume_rollout))
        .routes(routes!(commands::promote_rollout))
        .routes(routes!(commands::abort_rollout))
        .routes(routes!(interfaces::define, interfaces::remove))
        .routes(routes!(commands::set_variables))
        .routes(routes!(tokens::list, tokens::create))
        .routes(routes!(tokens::rotate))
        .routes(routes!(tokens::revoke))
        .routes(routes!(repair::access))
        .routes(routes!(issuers::list, issuers::add))
        .routes(routes!(issuers::remove))
        .routes(routes!(operations::replicas))
        .routes(routes!(health::detail))
        .routes(routes!(mirror::show))
        .routes(routes!(events::follow))
        .routes(routes!(snapshot::export))
        .routes(routes!(journal::verify))
        .routes(routes!(journal::export))
}
