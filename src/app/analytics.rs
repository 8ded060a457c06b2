//! Who asks Genesys Cloud's analytics.

use std::sync::Arc;

use anyhow::Context as _;

use crate::clock::Clock;
use crate::config::{AnalyticsArgs, FlowEndArgs};
use crate::evidence::analytics::Access;
use crate::genesys::client::{Client, Settings};

/// Somebody to ask, ends of flows meaning what `flow_ends` says; `None` if the settings name no client.
///
/// # Errors
/// They name a client and no place, or there is no TLS to be had.
pub(super) fn access(
    args: &AnalyticsArgs,
    flow_ends: &FlowEndArgs,
    clock: Arc<dyn Clock>,
) -> anyhow::Result<Option<Access>> {
    let (Some(client_id), Some(file)) = (&args.genesys_client_id, &args.genesys_client_secret_file)
    else {
        return Ok(None);
    };
    let place = args.place().context(
        "--genesys-client-id needs a place: --genesys-region, or --genesys-login-url and --genesys-api-url",
    )?;
    let settings = Settings {
        place,
        client_id: client_id.clone(),
        client_secret_file: file.clone(),
        requests_per_minute: args.genesys_requests_per_minute,
    };
    let client = Client::new(settings, clock).context("cannot ask Genesys Cloud")?;
    Ok(Some(Access {
        client: Arc::new(client),
        schedule: args.schedule(),
        ends: flow_ends.flow_ends(),
    }))
}
