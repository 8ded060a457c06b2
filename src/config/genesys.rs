//! Settings of the client that asks Genesys Cloud.

use std::path::PathBuf;

use clap::Args;

use super::Secret;
use crate::domain::ids::DataTableId;
use crate::followers::mirror;
use crate::genesys::client::ClientSecret;
use crate::genesys::place::{BaseUrl, Place};

/// Where the help lists these.
const HEADING: &str = "Genesys Cloud";
/// Either form of the client's secret.
const SECRET: &str = "genesys_secret";

/// How Genesys Cloud is asked: its analytics, whether flows are fit to get callers, and the data table that the Traffic Cop flow falls
/// back to. Nobody asks without a client.
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
    /// Id of an OAuth client for client credentials, with the permissions analytics:flowAggregate:view and architect:flow:view; for the
    /// data table also architect:datatable:view and architect:datatableRow:view and edit.
    #[arg(
        long,
        env = "TRAFFIC_COP_GENESYS_CLIENT_ID",
        value_name = "ID",
        requires = SECRET,
        help_heading = HEADING
    )]
    pub genesys_client_id: Option<String>,
    /// File with the secret of that client; read for every login.
    #[arg(
        long,
        env = "TRAFFIC_COP_GENESYS_CLIENT_SECRET_FILE",
        value_name = "FILE",
        requires = "genesys_client_id",
        group = SECRET,
        help_heading = HEADING
    )]
    pub genesys_client_secret_file: Option<PathBuf>,
    /// The secret itself; better given by the environment than on a command line that others can read.
    #[arg(
        long,
        env = "TRAFFIC_COP_GENESYS_CLIENT_SECRET",
        hide_env_values = true,
        conflicts_with = "genesys_client_secret_file",
        value_name = "TEXT",
        requires = "genesys_client_id",
        group = SECRET,
        help_heading = HEADING
    )]
    pub genesys_client_secret: Option<Secret>,
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
    /// Id of the data table that the Traffic Cop flow falls back to. One process at a time keeps its rows as the environments are, with
    /// at most half of the minute's requests.
    #[arg(
        long,
        env = "TRAFFIC_COP_GENESYS_DATATABLE_ID",
        requires = "genesys_client_id",
        value_name = "ID",
        help_heading = HEADING
    )]
    pub genesys_datatable_id: Option<DataTableId>,
    /// Add the rows that are missing there: needs the permission architect:datatableRow:add. Otherwise a missing row is an alarm.
    #[arg(
        long,
        env = "TRAFFIC_COP_GENESYS_DATATABLE_ADD_ROWS",
        requires = "genesys_datatable_id",
        help_heading = HEADING
    )]
    pub genesys_datatable_add_rows: bool,
}

impl GenesysArgs {
    /// Where the client's secret is; `None` if these settings name none.
    #[must_use]
    pub fn client_secret(&self) -> Option<ClientSecret> {
        let given = self.genesys_client_secret.clone().map(ClientSecret::Given);
        given.or_else(|| Some(ClientSecret::File(self.genesys_client_secret_file.clone()?)))
    }

    /// What is mirrored, and where; `None` if these settings name no table.
    #[must_use]
    pub fn mirror(&self) -> Option<mirror::Settings> {
        Some(mirror::Settings {
            table: self.genesys_datatable_id.clone()?,
            may_add_rows: self.genesys_datatable_add_rows,
        })
    }

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

#[cfg(test)]
mod tests {
    use crate::config::ServeArgs;
    use crate::genesys::client::ClientSecret;

    fn secret(arguments: &[&str]) -> Result<Option<ClientSecret>, String> {
        let serve = ServeArgs::of_arguments(arguments.iter().copied());
        serve
            .map(|serve| serve.genesys.client_secret())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_client_has_its_secret_from_a_file_or_given() {
        let client = ["--genesys-client-id", "11f1"];
        let file = ["--genesys-client-secret-file", "secret"];
        let given = ["--genesys-client-secret", "a secret"];
        assert!(matches!(secret(&[]), Ok(None)));
        let ClientSecret::File(path) = secret(&[client, file].concat()).unwrap().unwrap() else {
            panic!("a file")
        };
        assert_eq!(path.to_str(), Some("secret"));
        let ClientSecret::Given(text) = secret(&[client, given].concat()).unwrap().unwrap() else {
            panic!("the secret itself")
        };
        assert_eq!(text.reveal(), "a secret");
    }

    #[test]
    fn a_client_and_one_secret_belong_together() {
        let client = ["--genesys-client-id", "11f1"];
        let file = ["--genesys-client-secret-file", "secret"];
        let given = ["--genesys-client-secret", "a secret"];
        for (arguments, named) in [
            (client.to_vec(), "--genesys-client-secret-file"),
            (client.to_vec(), "--genesys-client-secret "),
            (file.to_vec(), "--genesys-client-id"),
            (given.to_vec(), "--genesys-client-id"),
            ([client, file, given].concat(), "cannot be used with"),
        ] {
            let error = secret(&arguments).expect_err("a refusal");
            assert!(error.contains(named), "{arguments:?}: {error}");
            assert!(!error.contains("a secret"), "{error}");
        }
    }
}
