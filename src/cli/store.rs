//! `store serve`.

use anyhow::Context as _;
use clap::Subcommand;
use serde_json::json;

use super::failure::Failure;
use super::output::Output;
use crate::config::StoreServeArgs;
use crate::signals::Stop;
use crate::store::embedded::Embedded;

#[derive(Debug, Subcommand)]
pub(super) enum Store {
    /// Serve the embedded store to other processes on this host, for local clusters and tests.
    Serve(StoreServeArgs),
}

impl Store {
    pub(super) async fn run(self, output: Output) -> Result<(), Failure> {
        let Self::Serve(args) = self;
        if !args.address.ip().is_loopback() {
            return Err(Failure::usage(format!(
                "the embedded store takes any credentials, so it is served on this host only, not on {}; use DynamoDB for \
                 processes on several hosts",
                args.address
            )));
        }
        serve(&args, output).await
    }
}

async fn serve(args: &StoreServeArgs, output: Output) -> Result<(), Failure> {
    // Before the address is told: whoever reads it may send a signal at once.
    let mut stop = Stop::listen().context("cannot listen for signals")?;
    super::log_warnings();
    let store = Embedded::start(&args.data_dir, args.address)?;
    let url = store.url();
    let description = format!(
        "the embedded store in {} is served on {url}\n\
         make its tables once with `traffic-cop table create --endpoint-url {url}`, then start `traffic-cop serve --endpoint-url {url}`",
        args.data_dir.display()
    );
    output.print_own(&json!({ "url": url }), &description)?;
    stop.wait().await;
    Ok(())
}
