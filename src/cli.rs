//! The command line: parses, calls the admin API, prints. It decides nothing: what a command means is `domain`'s, and
//! whether it may happen is the server's.
//!
//! Every write goes one way: `change` turns a domain command into a request, `write` sends it until there is an answer,
//! under one idempotency key. Every failure is an exit code and a problem document (`failure`), whoever noticed it.

mod api;
mod audit;
mod call;
mod change;
mod client;
mod completions;
mod configuration;
mod confirm;
mod connection;
mod credential;
mod cutover;
mod decide;
#[cfg(feature = "embedded")]
mod demo;
mod doctor;
mod env;
mod events;
mod exit;
mod explain;
mod failure;
mod flow;
mod freeze;
mod genesys;
mod glance;
mod history;
mod interface;
mod issuer;
mod journal;
mod json;
mod man;
mod moment;
mod output;
mod overrides;
mod overview;
mod paint;
mod preflight;
mod receipt;
mod repair;
mod rollback;
mod rollout;
mod settings;
mod slot;
mod smoke;
mod snapshot;
#[cfg(test)]
mod stand_in;
mod status;
#[cfg(feature = "embedded")]
mod store;
mod table;
mod token;
mod variables;
mod watch;
mod webhook;
mod weight;
mod write;
mod yaml;

use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};

use crate::config::ServeArgs;
use exit::Exit;
use failure::Failure;
use output::Output;

/// Decides which of two Genesys Cloud IVR flows, blue or green, takes each call.
#[derive(Debug, Parser)]
#[command(
    name = "traffic-cop",
    version,
    after_help = exit::help()
)]
struct Cli {
    /// Form of answers on standard output and of errors on standard error.
    #[arg(
        long,
        global = true,
        env = "TRAFFIC_COP_OUTPUT",
        default_value = "table",
        value_name = "FORM"
    )]
    output: Output,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run the service.
    Serve(Box<ServeArgs>),
    /// Show a healthy and a harmful rollout in two minutes: one process, imagined callers, a real judge, and nothing left behind.
    #[cfg(feature = "embedded")]
    Demo(Box<demo::Demo>),
    /// The embedded store.
    #[cfg(feature = "embedded")]
    #[command(subcommand)]
    Store(store::Store),
    /// The tables in DynamoDB.
    #[command(subcommand)]
    Table(table::Table),
    /// Environments: one controlled entry point each.
    #[command(subcommand)]
    Env(env::Env),
    /// The slots of an environment: blue and green.
    #[command(subcommand)]
    Slot(slot::Slot),
    /// Flow versions.
    #[command(subcommand)]
    Flow(flow::Flow),
    /// Interfaces: which variables the flows of an environment read.
    #[command(subcommand)]
    Interface(interface::Interface),
    /// The values of those variables.
    #[command(subcommand)]
    Variables(variables::Variables),
    /// Make the candidate active: it takes every new call.
    Cutover(cutover::Cutover),
    /// Take new calls away from the version that should not have them. Doing it twice is doing it once.
    Rollback(rollback::Rollback),
    /// Rollouts: planned ramps with a judge.
    #[command(subcommand)]
    Rollout(rollout::Rollout),
    /// Ask Genesys Cloud whether the candidate's flow is fit to get callers: exit code 0 if it is, 3 if not, 1 if nobody knows.
    Preflight(preflight::PreflightArgs),
    /// Set the share of new calls that goes to the candidate.
    Weight(weight::SetWeight),
    /// Smoke tests: calls that go to one slot, whatever the weight.
    #[command(subcommand)]
    Override(overrides::Override),
    /// Make a test call: set an override, wait until the call was decided and has ended, and take the override away again. Exit
    /// code 0 if it ended well, 2 if it ended badly or elsewhere, 7 if it has not come or not ended.
    Smoke(Box<smoke::Smoke>),
    /// Freeze windows: times in which nobody moves callers towards a candidate.
    #[command(subcommand)]
    Freeze(freeze::Freeze),
    /// Genesys Cloud: what makes an organisation ask here.
    #[command(subcommand)]
    Genesys(genesys::Genesys),
    /// Webhooks: who is told of every change.
    #[command(subcommand)]
    Webhook(webhook::Webhook),
    /// List what changed in an environment, the latest first.
    History(history::History),
    /// Follow changes as they come, a line each, until it is ended.
    Events(events::Events),
    /// Ask which flow takes a call, as the Traffic Cop flow does.
    Decide(decide::Decide),
    /// Say why a call goes where it goes, rule by rule, now or at an earlier revision or time.
    Explain(explain::Explain),
    /// Access tokens.
    #[command(subcommand)]
    Token(token::Token),
    /// Issuers of tokens elsewhere, such as GitHub Actions: pipelines without a secret.
    #[command(subcommand)]
    Issuer(issuer::Issuer),
    /// The settings of the deployment as a whole.
    #[command(subcommand)]
    Settings(settings::Settings),
    /// Snapshots: everything that decisions are made from, as a file.
    #[command(subcommand)]
    Snapshot(snapshot::Snapshot),
    /// The journal that every change is written to.
    #[command(subcommand)]
    Journal(journal::Journal),
    /// The journal as evidence: a copy that is proved without the service.
    #[command(subcommand)]
    Audit(audit::Audit),
    /// Show every environment and every replica at a glance.
    Status(status::Status),
    /// Show the same live: as a picture on a terminal, elsewhere as a line per change.
    Watch(watch::Watch),
    /// Look at a deployment, a line per check, and say what to do: exit code 0 if nothing has failed.
    Doctor(Box<doctor::Doctor>),
    /// Write the manual, a page per command, into a directory.
    Man(man::Man),
    /// Print a script that completes these commands in a shell.
    Completions(completions::Completions),
    /// Print every setting with its environment variable, values and default, as a page in Markdown.
    Configuration,
}

/// Carries out what the command line of this process asks for.
#[must_use]
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let exit = match carry_out(cli.verb, cli.output) {
        Ok(()) => Exit::Done,
        Err(failure) => {
            cli.output.print_failure(&failure);
            failure.exit
        }
    };
    exit.into()
}

/// Whether these words, of which the first is the name of the program, are a command that this binary understands.
///
/// # Errors
/// What is wrong with them.
pub fn understand(words: &[String]) -> Result<(), clap::Error> {
    Cli::try_parse_from(words).map(|_| ())
}

fn carry_out(verb: Verb, output: Output) -> Result<(), Failure> {
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    runtime.block_on(verb.run(output))
}

impl Verb {
    async fn run(self, output: Output) -> Result<(), Failure> {
        match self {
            Self::Serve(args) => Ok(crate::app::serve(*args).await?),
            #[cfg(feature = "embedded")]
            Self::Demo(demo) => demo.run(output).await,
            #[cfg(feature = "embedded")]
            Self::Store(store) => store.run(output).await,
            Self::Table(table) => table.run(output).await,
            Self::Env(env) => env.run(output).await,
            Self::Slot(slot) => slot.run(output).await,
            Self::Flow(flow) => flow.run(output).await,
            Self::Interface(interface) => interface.run(output).await,
            Self::Variables(variables) => variables.run(output).await,
            Self::Cutover(cutover) => cutover.run(output).await,
            Self::Rollback(rollback) => rollback.run(output).await,
            Self::Rollout(rollout) => rollout.run(output).await,
            Self::Preflight(preflight) => preflight.run(output).await,
            Self::Weight(weight) => weight.run(output).await,
            Self::Override(overrides) => overrides.run(output).await,
            Self::Smoke(smoke) => smoke.run(output).await,
            Self::Freeze(freeze) => freeze.run(output).await,
            Self::Genesys(genesys) => genesys.run(output).await,
            Self::Webhook(webhook) => webhook.run(output).await,
            Self::History(history) => history.run(output).await,
            Self::Events(events) => events.run(output).await,
            Self::Decide(decide) => decide.run(output).await,
            Self::Explain(explain) => explain.run(output).await,
            Self::Token(token) => token.run(output).await,
            Self::Issuer(issuer) => issuer.run(output).await,
            Self::Settings(settings) => settings.run(output).await,
            Self::Snapshot(snapshot) => snapshot.run(output).await,
            Self::Journal(journal) => journal.run(output).await,
            Self::Audit(audit) => audit.run(output).await,
            Self::Status(status) => status.run(output).await,
            Self::Watch(watch) => watch.run(output).await,
            Self::Doctor(doctor) => doctor.run(output).await,
            Self::Man(man) => man.run(),
            Self::Completions(completions) => completions.run(),
            Self::Configuration => configuration::run(),
        }
    }
}

/// Lets the store's warnings through to standard error in commands that work on it themselves.
fn log_warnings() {
    let log = tracing_subscriber::fmt().with_max_level(tracing::Level::WARN);
    log.with_writer(std::io::stderr).init();
}

#[cfg(test)]
mod tests;
