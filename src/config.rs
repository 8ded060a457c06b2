//! Settings: flags with environment variables, parsed once, and nothing else.

mod analytics;
mod flow_ends;
mod genesys;
mod limits;
mod overload;
mod preflight;
mod tls;
mod traces;
mod webhooks;

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Command, FromArgMatches as _, ValueEnum};

pub use analytics::AnalyticsArgs;
pub use flow_ends::FlowEndArgs;
pub use genesys::GenesysArgs;
pub use limits::LimitArgs;
pub use overload::OverloadArgs;
pub use preflight::{Policy, PreflightArgs};
pub use tls::{AdminTlsArgs, DecisionsTlsArgs};
pub use traces::TraceArgs;
pub use webhooks::WebhookArgs;

use crate::store::connection::Endpoint;

/// Where the tables are. Without any of these the embedded store in the data directory is used.
#[derive(Debug, Clone, Args)]
pub struct StoreArgs {
    /// Directory of the embedded store, the first admin token and files that outlive a restart.
    #[arg(
        long,
        env = "TRAFFIC_COP_DATA_DIR",
        default_value = "data",
        value_name = "DIR",
        help_heading = "Store"
    )]
    pub data_dir: PathBuf,
    /// Name of the control table. Naming it selects DynamoDB instead of the embedded store.
    #[arg(
        long,
        env = "TRAFFIC_COP_CONTROL_TABLE",
        value_name = "NAME",
        help_heading = "Store"
    )]
    pub control_table: Option<String>,
    /// Name of the evidence table.
    #[arg(
        long,
        env = "TRAFFIC_COP_EVIDENCE_TABLE",
        default_value = "Deployment_Evidence",
        value_name = "NAME",
        help_heading = "Store"
    )]
    pub evidence_table: String,
    /// AWS region of the tables. Naming it selects DynamoDB instead of the embedded store.
    #[arg(
        long,
        env = "TRAFFIC_COP_REGION",
        value_name = "REGION",
        help_heading = "Store"
    )]
    pub region: Option<String>,
    /// URL of a DynamoDB-compatible endpoint, such as that of `traffic-cop store serve`.
    #[arg(
        long,
        env = "TRAFFIC_COP_ENDPOINT_URL",
        value_name = "URL",
        help_heading = "Store"
    )]
    pub endpoint_url: Option<String>,
}

impl StoreArgs {
    /// Whether the embedded store is meant.
    #[must_use]
    pub fn is_embedded(&self) -> bool {
        self.control_table.is_none() && self.region.is_none() && self.endpoint_url.is_none()
    }

    /// The endpoint these settings name; `embedded` is the URL of the embedded store where that is meant.
    #[must_use]
    pub fn endpoint(&self, embedded: Option<String>) -> Endpoint {
        Endpoint {
            url: embedded.or_else(|| self.endpoint_url.clone()),
            region: self.region.clone(),
            control_table: self
                .control_table
                .clone()
                .unwrap_or_else(|| "Deployment_Control".to_owned()),
            evidence_table: self.evidence_table.clone(),
        }
    }

    /// File with the key of access tokens that `serve` makes beside an embedded store.
    #[must_use]
    pub fn signing_key_file(&self) -> PathBuf {
        self.data_dir.join("oauth-signing-key.pem")
    }

    /// File with the first admin token that `serve` makes beside an embedded store, and that the CLI reads.
    #[must_use]
    pub fn admin_token_file(&self) -> PathBuf {
        admin_token_file(&self.data_dir)
    }
}

/// File with the first admin token in the data directory `data_dir`.
#[must_use]
pub fn admin_token_file(data_dir: &Path) -> PathBuf {
    data_dir.join("admin-token")
}

/// Settings of `traffic-cop serve`.
#[derive(Debug, Clone, Args)]
pub struct ServeArgs {
    #[command(flatten)]
    #[expect(
        missing_docs,
        reason = "a doc comment here would replace the help of the whole command"
    )]
    pub store: StoreArgs,
    /// Address of the decisions listener, for Genesys Cloud: decisions, variables, outcomes, OAuth access tokens and health.
    #[arg(
        long,
        env = "TRAFFIC_COP_DECISIONS",
        default_value = "127.0.0.1:8080",
        value_name = "ADDRESS",
        help_heading = "Listeners"
    )]
    pub decisions: SocketAddr,
    /// Address of the admin listener: dashboard, admin API, documentation, metrics. Never expose it to the internet.
    #[arg(
        long,
        env = "TRAFFIC_COP_ADMIN",
        default_value = "127.0.0.1:8081",
        value_name = "ADDRESS",
        help_heading = "Listeners"
    )]
    pub admin: SocketAddr,
    /// Answer decisions and nothing else: no admin listener, and of the tables only the evidence is written. For processes that
    /// the internet reaches; what they may do to the control table is then to read it.
    #[arg(
        long,
        env = "TRAFFIC_COP_DECISIONS_ONLY",
        conflicts_with_all = ["admin", "admin_token", "admin_token_file"],
        help_heading = "Listeners"
    )]
    pub decisions_only: bool,
    /// Address of a listener for health and metrics, in a process without an admin listener.
    #[arg(
        long,
        env = "TRAFFIC_COP_METRICS",
        requires = "decisions_only",
        value_name = "ADDRESS",
        help_heading = "Listeners"
    )]
    pub metrics: Option<SocketAddr>,
    /// File with the first admin token. The embedded store makes one in its data directory.
    #[arg(
        long,
        env = "TRAFFIC_COP_ADMIN_TOKEN_FILE",
        value_name = "FILE",
        help_heading = "Credentials"
    )]
    pub admin_token_file: Option<PathBuf>,
    /// The first admin token itself; better given by the environment than on a command line that others can read.
    #[arg(
        long,
        env = "TRAFFIC_COP_ADMIN_TOKEN",
        hide_env_values = true,
        conflicts_with = "admin_token_file",
        value_name = "TOKEN",
        help_heading = "Credentials"
    )]
    pub admin_token: Option<Secret>,
    /// File with the Ed25519 keys of OAuth access tokens in PEM, or directory of such files (`*.pem`, by name); several with
    /// commas. The last private key signs, all of them prove; changes are noticed. The embedded store makes one in its data
    /// directory.
    #[arg(
        long,
        env = "TRAFFIC_COP_OAUTH_SIGNING_KEY",
        value_delimiter = ',',
        value_name = "PATH",
        help_heading = "Credentials"
    )]
    pub oauth_signing_key: Vec<PathBuf>,
    /// The keys themselves, as a secret in the environment rather than on a command line that others can read.
    #[arg(
        long,
        env = "TRAFFIC_COP_OAUTH_SIGNING_KEY_PEM",
        hide_env_values = true,
        conflicts_with = "oauth_signing_key",
        value_name = "PEM",
        help_heading = "Credentials"
    )]
    pub oauth_signing_key_pem: Option<Secret>,
    /// Minutes without new calls after which a slot counts as drained and may be claimed. At most a day: so long are calls told of.
    #[arg(
        long,
        env = "TRAFFIC_COP_DRAIN_MINUTES",
        default_value_t = 30,
        value_parser = clap::value_parser!(u32).range(0..=24 * 60),
        value_name = "MINUTES",
        help_heading = "Changes"
    )]
    pub drain_minutes: u32,
    /// Whether this process carries out rollouts, tells webhooks of changes and keeps the data table in Genesys Cloud; any number may,
    /// and one does. Where calls of several regions are counted apart, leave it on in one of them.
    #[arg(
        long,
        env = "TRAFFIC_COP_CONTROLLER",
        default_value = "on",
        value_name = "SWITCH",
        help_heading = "Changes"
    )]
    pub controller: Switch,
    /// Milliseconds that a decision asked for with `Cache-Control: no-cache` may wait for the proof that it is the latest;
    /// past that it is answered from memory and says so.
    #[arg(
        long,
        env = "TRAFFIC_COP_VALIDATION_BUDGET_MS",
        default_value_t = 25,
        value_name = "MS",
        help_heading = "Decisions"
    )]
    pub validation_budget_ms: u16,
    /// Milliseconds between a signal to stop and the moment from which no connection is accepted any more. Meanwhile the process
    /// says that it is not ready, so that a balancer sends calls elsewhere. A second signal cuts it short.
    #[arg(
        long,
        env = "TRAFFIC_COP_SHUTDOWN_DELAY_MS",
        default_value_t = 1_000,
        value_name = "MS",
        help_heading = "Listeners"
    )]
    pub shutdown_delay_ms: u32,
    #[command(flatten)]
    #[expect(
        missing_docs,
        reason = "a doc comment here would replace the help of the whole command"
    )]
    pub decisions_tls: DecisionsTlsArgs,
    #[command(flatten)]
    #[expect(
        missing_docs,
        reason = "a doc comment here would replace the help of the whole command"
    )]
    pub admin_tls: AdminTlsArgs,
    #[command(flatten)]
    #[expect(
        missing_docs,
        reason = "a doc comment here would replace the help of the whole command"
    )]
    pub limits: LimitArgs,
    #[command(flatten)]
    #[expect(
        missing_docs,
        reason = "a doc comment here would replace the help of the whole command"
    )]
    pub overload: OverloadArgs,
    #[command(flatten)]
    #[expect(
        missing_docs,
        reason = "a doc comment here would replace the help of the whole command"
    )]
    pub flow_ends: FlowEndArgs,
    #[command(flatten)]
    #[expect(
        missing_docs,
        reason = "a doc comment here would replace the help of the whole command"
    )]
    pub genesys: GenesysArgs,
    #[command(flatten)]
    #[expect(
        missing_docs,
        reason = "a doc comment here would replace the help of the whole command"
    )]
    pub analytics: AnalyticsArgs,
    #[command(flatten)]
    #[expect(
        missing_docs,
        reason = "a doc comment here would replace the help of the whole command"
    )]
    pub preflight: PreflightArgs,
    #[command(flatten)]
    #[expect(
        missing_docs,
        reason = "a doc comment here would replace the help of the whole command"
    )]
    pub webhooks: WebhookArgs,
    #[command(flatten)]
    #[expect(
        missing_docs,
        reason = "a doc comment here would replace the help of the whole command"
    )]
    pub traces: TraceArgs,
    /// Snapshot to answer calls from if the process starts with neither a last-good file nor a store; `traffic-cop snapshot
    /// export` makes it.
    #[arg(
        long,
        env = "TRAFFIC_COP_DEFAULT_SNAPSHOT",
        value_name = "FILE",
        help_heading = "Store"
    )]
    pub default_snapshot: Option<PathBuf>,
    /// Form of the log on standard error.
    #[arg(
        long,
        env = "TRAFFIC_COP_LOG_FORMAT",
        default_value = "text",
        value_name = "FORM",
        help_heading = "Log"
    )]
    pub log_format: LogFormat,
    /// What is logged, as in `info` or `traffic_cop=debug`.
    #[arg(
        long,
        env = "TRAFFIC_COP_LOG",
        default_value = "info,dynoxide=error",
        value_name = "FILTER",
        help_heading = "Log"
    )]
    pub log: String,
}

/// Whether something is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    /// It is.
    On,
    /// It is not.
    Off,
}

impl ServeArgs {
    /// The settings that `arguments` give, whatever the environment says.
    ///
    /// # Errors
    /// They are none of a service.
    pub fn of_arguments<'a>(
        arguments: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, clap::Error> {
        let command = Self::augment_args(Command::new("serve").no_binary_name(true));
        let command = command.mut_args(|argument| argument.env(None::<&'static str>));
        Self::from_arg_matches(&command.try_get_matches_from(arguments)?)
    }

    /// How long a decision may wait for the proof that it is the latest.
    #[must_use]
    pub fn validation_budget(&self) -> Duration {
        Duration::from_millis(self.validation_budget_ms.into())
    }

    /// Refuses settings that contradict each other.
    ///
    /// # Errors
    /// Which do, and how to mend them.
    pub fn check(&self) -> anyhow::Result<()> {
        anyhow::ensure!(
            !(self.decisions_only && self.store.is_embedded()),
            "--decisions-only is for a store that others write to: name it with --region, --control-table or --endpoint-url"
        );
        let is_blind = self.genesys.genesys_client_id.is_none() && !self.decisions_only;
        anyhow::ensure!(
            !(is_blind && self.preflight.genesys_preflight == Policy::Refuse),
            "--genesys-preflight refuse needs access to Genesys Cloud: --genesys-client-id, or nobody could cut over"
        );
        anyhow::ensure!(
            self.validation_budget() <= self.overload.decision_deadline() / 2,
            "--validation-budget-ms must be at most half of --decision-deadline-ms: the wait for a proof is a part of the decision"
        );
        Ok(())
    }

    /// The second listener: what it is called, and its address. `None` if there is none.
    #[must_use]
    pub fn second_listener(&self) -> Option<(&'static str, SocketAddr)> {
        if self.decisions_only {
            self.metrics.map(|address| ("metrics", address))
        } else {
            Some(("admin", self.admin))
        }
    }

    /// Time between a signal to stop and the moment from which no connection is accepted any more.
    #[must_use]
    pub fn shutdown_delay(&self) -> Duration {
        Duration::from_millis(self.shutdown_delay_ms.into())
    }

    /// Time without new calls after which a slot counts as drained.
    #[must_use]
    pub fn drain_time(&self) -> Duration {
        Duration::from_secs(60 * u64::from(self.drain_minutes))
    }
}

/// Settings of `traffic-cop store serve`.
#[derive(Debug, Clone, Args)]
pub struct StoreServeArgs {
    /// Directory of the embedded store.
    #[arg(
        long,
        env = "TRAFFIC_COP_DATA_DIR",
        default_value = "data",
        value_name = "DIR"
    )]
    pub data_dir: PathBuf,
    /// Address to serve it on. The engine takes any credentials, so only loopback addresses are accepted.
    #[arg(
        long,
        env = "TRAFFIC_COP_STORE_ADDRESS",
        default_value = "127.0.0.1:8000",
        value_name = "ADDRESS"
    )]
    pub address: SocketAddr,
}

/// Whether what is written to `stream` may have colours: it is a terminal, and `NO_COLOR` is not set (<https://no-color.org>). That is
/// no setting of this program, and so no argument.
#[must_use]
pub fn may_colour(stream: &impl IsTerminal) -> bool {
    let is_unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    stream.is_terminal() && !is_unwanted
}

/// Form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object per line.
    Json,
}

/// A text that `Debug` does not show.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The text itself.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}
