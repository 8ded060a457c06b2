//! Settings of the client that asks Genesys Cloud.

use std::path::PathBuf;

use clap::Args;

use crate::genesys::place::{BaseUrl, Place};

/// Where the help lists these.
const HEADING: &str = "Genesys Cloud";

/// How Genesys Cloud is asked: its analytics, and whether flows are fit to get callers. Nobody asks without a client.
#[derive(Debug, Clone, Args)]
pub struct GenesysArgs {
    /// Where the organisation is: an AWS region, such as eu-central-1, or a domain, such as mypurecloud.de.
    #[arg(
        long,
        env = "TRAFFIC_COP_GENESYS_REGION",
        value_name = "REGION",
        requires = "genesys_client_id",
        help_heading = HEADING
    )]
    pub genesys_region: Option<Place>,
    /// Host that access tokens come from, in place of the region's.
    #[arg(
        long,
        env = "TRAFFIC_COP_GENESYS_LOGIN_URL",
        value_name = "URL",
        requires = "genesys_client_id",
        help_heading = HEADING
    )]
    pub genesys_login_url: Option<BaseUrl>,
    /// Host of the Platform API, in place of the region's.
    #[arg(
        long,
        env = "TRAFFIC_COP_GENESYS_API_URL",
        value_name = "URL",
        requires = "genesys_client_id",
        help_heading = HEADING
    )]
    pub genesys_api_url: Option<BaseUrl>,
    /// Id of an OAuth client for client credentials, with the permissions analytics:flowAggregate:view and architect:flow:view.
    #[arg(
        long,
        env = "TRAFFIC_COP_GENESYS_CLIENT_ID",
        value_name = "ID",
        requires = "genesys_client_secret_file",
        help_heading = HEADING
    )]
    pub genesys_client_id: Option<String>,
    /// File with the secret of that client; read for every login.
    #[arg(
        long,
        env = "TRAFFIC_COP_GENESYS_CLIENT_SECRET_FILE",
        value_name = "FILE",
        requires = "genesys_client_id",
        help_heading = HEADING
    )]
    pub genesys_client_secret_file: Option<PathBuf>,
    /// Most requests to Genesys Cloud in a minute, for all environments. It allows 300 with one client.
    #[arg(
        long,
        env = "TRAFFIC_COP_GENESYS_REQUESTS_PER_MINUTE",
        default_value_t = 60,
        value_parser = clap::value_parser!(u32).range(2..=300),
        value_name = "REQUESTS",
        help_heading = HEADING
    )]
    pub genesys_requests_per_minute: u32,
}

impl GenesysArgs {
    /// Where the organisation is; `None` if these settings name none.
    #[must_use]
    pub fn place(&self) -> Option<Place> {
        let region = self.genesys_region.clone();
        let (login, api) = (self.genesys_login_url.clone(), self.genesys_api_url.clone());
        Some(Place {
            login: login.or_else(|| Some(region.clone()?.login))?,
            api: api.or_else(|| Some(region?.api))?,
        })
    }
}
