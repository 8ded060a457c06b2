//! Where the listeners are and what lets us in.

use std::fmt;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::Context as _;
use clap::Args;
use reqwest::{Certificate, ClientBuilder, Identity, Url};

use super::client::Client;
use super::credential::Credential;
use super::failure::Failure;
use crate::config::{Secret, admin_token_file};
use crate::root_url::RootUrl;

/// Where the help lists these. Per argument: a heading for what follows would swallow the next struct's arguments.
pub(super) const HEADING: &str = "Connection";

/// How to reach the admin API.
#[derive(Debug, Args)]
pub(super) struct AdminArgs {
    /// URL of the admin listener.
    #[arg(
        long,
        env = "TRAFFIC_COP_SERVER",
        default_value = "http://127.0.0.1:8081",
        value_name = "URL",
        help_heading = HEADING
    )]
    server: BaseUrl,
    #[command(flatten)]
    token: TokenArgs,
    #[command(flatten)]
    trust: TrustArgs,
}

impl AdminArgs {
    /// A client of the admin API.
    pub(super) fn client(&self) -> Result<Client, Failure> {
        self.client_of(&self.server)
    }

    /// A client of another listener, with the same token and trust.
    pub(super) fn client_of(&self, listener: &BaseUrl) -> Result<Client, Failure> {
        Client::new(listener, &self.token, &self.trust)
    }
}

/// Whom TLS is spoken with.
#[derive(Debug, Default, Args)]
pub(super) struct TrustArgs {
    /// PEM file with CA certificates, one of which has to have issued the server's; those of this host if left out.
    #[arg(long, env = "TRAFFIC_COP_CA_CERTIFICATE", value_name = "FILE", help_heading = HEADING)]
    ca_certificate: Option<PathBuf>,
    /// PEM file with a certificate and its private key, for a server that asks for one (mTLS).
    #[arg(long, env = "TRAFFIC_COP_CLIENT_CERTIFICATE", value_name = "FILE", help_heading = HEADING)]
    client_certificate: Option<PathBuf>,
}

impl TrustArgs {
    /// Sets up TLS with `server`.
    pub(super) fn apply(
        &self,
        mut builder: ClientBuilder,
        server: &BaseUrl,
    ) -> anyhow::Result<ClientBuilder> {
        if !server.is_encrypted() {
            // Without TLS the host's trust store is not needed, and a container may lack one.
            return Ok(builder.tls_certs_only([]));
        }
        if let Some(file) = &self.ca_certificate {
            let certificates = Certificate::from_pem_bundle(&read("CA", file)?)
                .ok()
                .filter(|certificates| !certificates.is_empty());
            let certificates = certificates
                .with_context(|| format!("{} holds no certificate in PEM", file.display()))?;
            builder = builder.tls_certs_only(certificates);
        }
        if let Some(file) = &self.client_certificate {
            let identity = Identity::from_pem(&read("client certificate", file)?)
                .ok()
                .with_context(|| {
                    format!(
                        "{} holds no certificate with its key in PEM",
                        file.display()
                    )
                })?;
            builder = builder.identity(identity);
        }
        Ok(builder)
    }
}

fn read(what: &str, file: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(file).with_context(|| format!("cannot read the {what} file {}", file.display()))
}

/// Where the token comes from: the first of these that is given.
#[derive(Debug, Args)]
pub(super) struct TokenArgs {
    /// Access token; better given by the environment than on a command line that others can read.
    #[arg(
        long,
        env = "TRAFFIC_COP_TOKEN",
        hide_env_values = true,
        value_name = "TOKEN",
        help_heading = HEADING
    )]
    token: Option<Secret>,
    /// File with the access token. It is read again once the token is refused: somebody may have put another one there.
    #[arg(long, env = "TRAFFIC_COP_TOKEN_FILE", value_name = "FILE", help_heading = HEADING)]
    token_file: Option<PathBuf>,
    /// Command for `sh` that prints an access token. It is run again once the token is refused: those of pipelines end in minutes.
    #[arg(
        long,
        env = "TRAFFIC_COP_TOKEN_COMMAND",
        value_name = "COMMAND",
        help_heading = HEADING
    )]
    token_command: Option<String>,
    /// Data directory of a server on this host, whose first admin token is used if no other is given.
    #[arg(
        long,
        env = "TRAFFIC_COP_DATA_DIR",
        default_value = "data",
        value_name = "DIR",
        help_heading = HEADING
    )]
    data_dir: PathBuf,
}

impl TokenArgs {
    /// This token and no other.
    #[cfg(feature = "embedded")]
    pub(super) fn of(token: Secret) -> Self {
        Self {
            token: Some(token),
            token_file: None,
            token_command: None,
            data_dir: PathBuf::new(),
        }
    }

    /// What proves to `server` who asks. The token in the data directory belongs to the server on this host: no other server gets
    /// to see it.
    pub(super) fn credential(&self, server: &BaseUrl) -> Result<Credential, Failure> {
        let is_given = |token: &&Secret| !token.reveal().trim().is_empty();
        if let Some(token) = self.token.as_ref().filter(is_given) {
            return Credential::fixed(token);
        }
        if let Some(file) = &self.token_file {
            return Credential::file(file.clone());
        }
        let is_given = |command: &&String| !command.trim().is_empty();
        if let Some(command) = self.token_command.as_ref().filter(is_given) {
            return Ok(Credential::command(command.clone()));
        }
        if !server.is_loopback() {
            return Ok(Credential::none());
        }
        // A file that is missing, or somebody else's, is no token: some requests need none.
        match fs::read_to_string(admin_token_file(&self.data_dir)) {
            Ok(text) => Credential::fixed(&Secret::from(text)),
            Err(_) => Ok(Credential::none()),
        }
    }
}

/// URL of a listener: `http` or `https`, with a host, perhaps with a path that a proxy in front of it asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BaseUrl(RootUrl);

/// A text is not the URL of a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected an http or https URL, such as http://127.0.0.1:8081")]
pub(super) struct InvalidBaseUrl;

impl FromStr for BaseUrl {
    type Err = InvalidBaseUrl;

    fn from_str(text: &str) -> Result<Self, InvalidBaseUrl> {
        let url: Url = text.parse().map_err(|_| InvalidBaseUrl)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(InvalidBaseUrl);
        }
        RootUrl::of(url).map(Self).ok_or(InvalidBaseUrl)
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl BaseUrl {
    /// The URL of a resource. Segments are escaped, so none of them can lead elsewhere.
    pub(super) fn join(&self, segments: &[&str]) -> Url {
        self.0.join(segments)
    }

    /// Whether the server is on this host.
    pub(super) fn is_loopback(&self) -> bool {
        let host = self.0.as_url().host_str().unwrap_or_default();
        let address = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost"
            || address
                .parse::<IpAddr>()
                .is_ok_and(|address| address.is_loopback())
    }

    /// Whether TLS is spoken.
    pub(super) fn is_encrypted(&self) -> bool {
        self.0.as_url().scheme() == "https"
    }
}

#[cfg(test)]
mod tests {
    use http::header::HeaderValue;

    use super::*;

    fn tokens(directory: &std::path::Path) -> TokenArgs {
        TokenArgs {
            token: None,
            token_file: None,
            token_command: None,
            data_dir: directory.to_owned(),
        }
    }

    #[test]
    fn a_base_url_needs_a_scheme_and_keeps_its_path() {
        for bad in [
            "",
            "127.0.0.1:8081",
            "localhost:8081",
            "ftp://x",
            "mailto:a@b.c",
        ] {
            assert_eq!(bad.parse::<BaseUrl>(), Err(InvalidBaseUrl), "{bad}");
        }
        for (base, joined) in [
            ("http://localhost:8081", "http://localhost:8081/v1/tokens"),
            ("https://x.example/cop/", "https://x.example/cop/v1/tokens"),
            ("https://x.example/cop//", "https://x.example/cop/v1/tokens"),
        ] {
            let base: BaseUrl = base.parse().unwrap();
            assert_eq!(base.join(&["v1", "tokens"]).as_str(), joined);
        }
    }

    /// What a request to `server` proves its sender with.
    async fn authorization(args: &TokenArgs, server: &str) -> Option<HeaderValue> {
        let credential = args.credential(&server.parse().unwrap()).unwrap();
        credential.authorization().await.unwrap()
    }

    #[tokio::test]
    async fn the_token_of_the_data_directory_is_for_this_host_only() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(admin_token_file(directory.path()), "tc_secret\n").unwrap();
        let args = tokens(directory.path());
        for here in ["http://127.0.0.1:8081", "http://localhost", "https://[::1]"] {
            let sent = authorization(&args, here).await;
            assert_eq!(sent.unwrap(), "Bearer tc_secret", "{here}");
        }
        for elsewhere in ["http://10.0.0.1", "https://localhost.example"] {
            assert_eq!(authorization(&args, elsewhere).await, None, "{elsewhere}");
        }
    }

    #[tokio::test]
    async fn a_token_that_is_given_comes_first_and_an_empty_one_is_none() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("token");
        fs::write(&file, "tc_file").unwrap();
        let mut args = tokens(directory.path());
        args.token = Some(Secret::from("tc_given".to_owned()));
        args.token_file = Some(file);
        args.token_command = Some("echo tc_printed".to_owned());
        let sent = async |args: &TokenArgs| authorization(args, "https://x.example").await;
        assert_eq!(sent(&args).await.unwrap(), "Bearer tc_given");
        args.token = Some(Secret::from(String::new()));
        assert_eq!(sent(&args).await.unwrap(), "Bearer tc_file");
        args.token_file = None;
        assert_eq!(sent(&args).await.unwrap(), "Bearer tc_printed");
        args.token_command = Some(String::new());
        assert_eq!(sent(&args).await, None);
    }
}
