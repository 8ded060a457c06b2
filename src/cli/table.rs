//! `table create`.

use clap::Subcommand;
use serde_json::json;

use super::failure::Failure;
use super::output::{Output, table};
use crate::config::StoreArgs;
use crate::store::Store;
use crate::store::table::Creation;
use crate::telemetry::StoreRequests;

#[derive(Debug, Subcommand)]
pub(super) enum Table {
    /// Make the tables that do not exist; existing ones stay as they are.
    Create(StoreArgs),
}

impl Table {
    pub(super) async fn run(self, output: Output) -> Result<(), Failure> {
        let Self::Create(args) = self;
        if args.is_embedded() {
            return Err(Failure::usage(
                "the embedded store makes its tables itself when `traffic-cop serve` starts; name a store with --region, \
                 --control-table or --endpoint-url",
            ));
        }
        super::log_warnings();
        let store = Store::connect(&args.endpoint(None), StoreRequests::default()).await;
        let tables = store
            .create_tables()
            .await
            .map_err(anyhow::Error::from)?
            .map(|creation| match creation {
                Creation::Created(name) => [name, "created".to_owned()],
                Creation::Existed(name) => [name, "existed".to_owned()],
            });
        let result: Vec<_> = tables
            .iter()
            .map(|[name, outcome]| json!({ "table": name, "outcome": outcome }))
            .collect();
        output.print_own(
            &json!({ "tables": result }),
            &table(["table", "outcome"], tables),
        )
    }
}
