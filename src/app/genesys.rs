//! Who asks Genesys Cloud, and its analytics.

use std::sync::Arc;

use anyhow::Context as _;

use crate::clock::Clock;
use crate::config::{AnalyticsArgs, FlowEndArgs, GenesysArgs};
use crate::evidence::analytics::Access;
use crate::genesys::client::{Client, Settings};

/// The one client of this process, with the one budget of requests; `None` if the settings name none.
///
/// # Errors
/// They name a client and no place, or there is no TLS to be had.
pub(super) fn client(
    args: &GenesysArgs,
    clock: Arc<dyn Clock>,
) -> anyhow::Result<Option<Arc<Client>>> {
    let (Some(client_id), Some(client_secret)) = (&args.genesys_client_id, args.client_secret())
    else {
        return Ok(None);
    };
    let place = args.place().context(
        "--genesys-client-id needs a place: --genesys-region, or --genesys-login-url and --genesys-api-url",
    )?;
    let settings = Settings {
        place,
        client_id: client_id.clone(),
        client_secret,
        requests_per_minute: args.genesys_requests_per_minute,
    };
    let client = Client::new(settings, clock).context("cannot ask Genesys Cloud")?;
    Ok(Some(Arc::new(client)))
}

/// Somebody to ask the analytics, if there is a client, ends of flows meaning what `flow_ends` says.
pub(super) fn access(
    client: Option<Arc<Client>>,
    args: &AnalyticsArgs,
    flow_ends: &FlowEndArgs,
) -> Option<Access> {
    Some(Access {
        client: client?,
        schedule: args.schedule(),
        ends: flow_ends.flow_ends(),
    })
}
