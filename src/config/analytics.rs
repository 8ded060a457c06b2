//! Settings of Genesys Cloud's analytics as a source of evidence.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::evidence::analytics::Schedule;
use crate::genesys::place::{BaseUrl, Place};

/// Where the help lists these.
const HEADING: &str = "Analytics";

/// How Genesys Cloud's analytics is asked, for rollouts whose plan names it as a source. Without a client they hold.
#[derive(Debug, Clone, Args)]
pub struct AnalyticsArgs {
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
    /// Seconds that calls are counted over.
    #[arg(
        long,
        env = "TRAFFIC_COP_ANALYTICS_INTERVAL_SECONDS",
        default_value_t = 300,
        value_parser = clap::value_parser!(u32).range(1..=3600),
        value_name = "SECONDS",
        help_heading = HEADING
    )]
    pub analytics_interval_seconds: u32,
    /// Seconds after the end of an interval until it is looked at. How late Genesys Cloud may be is nowhere documented.
    #[arg(
        long,
        env = "TRAFFIC_COP_ANALYTICS_LAG_SECONDS",
        default_value_t = 300,
        value_parser = clap::value_parser!(u32).range(0..=86_400),
        value_name = "SECONDS",
        help_heading = HEADING
    )]
    pub analytics_lag_seconds: u32,
    /// Seconds until it is looked at again. It counts if it has not changed by then.
    #[arg(
        long,
        env = "TRAFFIC_COP_ANALYTICS_PAUSE_SECONDS",
        default_value_t = 60,
        value_parser = clap::value_parser!(u32).range(1..=3600),
        value_name = "SECONDS",
        help_heading = HEADING
    )]
    pub analytics_pause_seconds: u32,
}

impl AnalyticsArgs {
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

    /// When intervals are asked for.
    #[must_use]
    pub fn schedule(&self) -> Schedule {
        let seconds = |seconds: u32| Duration::from_secs(seconds.into());
        Schedule {
            interval: seconds(self.analytics_interval_seconds),
            lag: seconds(self.analytics_lag_seconds),
            pause: seconds(self.analytics_pause_seconds),
        }
    }
}
