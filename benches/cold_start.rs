//! How long a replica needs from nothing to its first decision, behind a journal of a million records.
//!
//! `cargo bench --bench cold_start [-- RECORDS [ENVIRONMENTS]]` fills an embedded store on disk (several minutes), stops it,
//! and times a fresh process's way: opening the store, connecting, loading, until there is a snapshot.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use aws_credential_types::Credentials;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{BehaviorVersion, Region};
use aws_sdk_dynamodb::types::{PutRequest, WriteRequest};
use jiff::Timestamp;
use traffic_cop::clock::SystemClock;
use traffic_cop::domain::command::{Command, Create, Flow};
use traffic_cop::domain::ids::{AggregateKey, InterfaceNumber, Revision, Sequence};
use traffic_cop::domain::operation::{Digest128, Operations};
use traffic_cop::domain::slot::{BySlot, Slot};
use traffic_cop::domain::{Aggregate as _, Change, Context, Environment};
use traffic_cop::replica::Replica;
use traffic_cop::store::Store;
use traffic_cop::store::connection::Endpoint;
use traffic_cop::store::embedded::Embedded;
use traffic_cop::store::format::{Document, NEWEST, Stored as _};
use traffic_cop::store::record::{Draft, Entry, Position, Record};
use traffic_cop::store::row::RowUpdate;
use traffic_cop::telemetry::Metrics;

/// The most that DynamoDB takes in one batch.
const BATCH: usize = 25;
/// The bar.
const LIMIT: Duration = Duration::from_secs(2);
const CONTROL_TABLE: &str = "Deployment_Control";

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut numbers = std::env::args()
        .skip(1)
        .filter_map(|argument| argument.parse::<usize>().ok());
    let records = numbers.next().unwrap_or(1_000_000);
    let environments = numbers.next().unwrap_or(100);
    let directory = tempfile::tempdir()?;
    let any_port = SocketAddr::from(([127, 0, 0, 1], 0));

    let embedded = Embedded::start(directory.path(), any_port)?;
    fill(&embedded.url(), records, environments).await?;
    drop(embedded);

    #[expect(
        clippy::disallowed_methods,
        reason = "a benchmark measures the real clock"
    )]
    let started = Instant::now();
    let embedded = Embedded::start(directory.path(), any_port)?;
    let metrics = Metrics::default();
    let store = connect(&embedded.url()).await;
    let replica = Replica::new(store, Arc::new(SystemClock::start()), metrics);
    replica.catch_up().await?;
    let took = started.elapsed();
    let snapshot = replica.snapshot();
    let snapshot = snapshot.as_ref().context("nothing was loaded")?;
    ensure!(
        snapshot.sequence == Sequence(records as u64),
        "loaded up to {}",
        snapshot.sequence
    );
    ensure!(
        snapshot.environments.len() == environments,
        "{} environments are served",
        snapshot.environments.len()
    );
    report(&format!(
        "cold start behind {records} records of {environments} environments: {took:?}, allowed {LIMIT:?}"
    ));
    ensure!(took <= LIMIT, "slower than allowed");
    Ok(())
}

async fn connect(url: &str) -> Store {
    let endpoint = Endpoint {
        url: Some(url.to_owned()),
        region: None,
        control_table: CONTROL_TABLE.to_owned(),
        evidence_table: "Deployment_Evidence".to_owned(),
    };
    Store::connect(&endpoint, Metrics::default().store_requests).await
}

/// Writes a journal as it would stand after years: whole, linked and hashed records of all environments in turn, and rows
/// that are finished.
async fn fill(url: &str, records: usize, environments: usize) -> anyhow::Result<()> {
    let store = connect(url).await;
    store.create_tables().await?;
    let config = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .endpoint_url(url)
        .region(Region::from_static("local"))
        .credentials_provider(Credentials::new("local", "local", None, None, "bench"))
        .http_client(aws_smithy_http_client::Builder::new().build_http());
    let client = Client::new(&config.load().await);
    let mut position = Position::default();
    let mut last: Vec<Option<Record>> = vec![None; environments];
    let mut batch = Vec::with_capacity(BATCH);
    for number in 0..records {
        let place = number % environments;
        let record = next_record(place, last[place].as_ref())?.at(&position);
        batch.push(record.to_item());
        position = Entry::Record(Box::new(record.clone())).position();
        last[place] = Some(record);
        if batch.len() == BATCH || number + 1 == records {
            put(&client, std::mem::take(&mut batch)).await?;
        }
        if (number + 1).is_multiple_of(100_000) {
            report(&format!("{} records written", number + 1));
        }
    }
    for record in last.into_iter().flatten() {
        store
            .update_row(&RowUpdate::Finish(Box::new(record)))
            .await?;
    }
    Ok(())
}

async fn put(client: &Client, items: Vec<traffic_cop::store::item::Item>) -> anyhow::Result<()> {
    let mut requests = Vec::with_capacity(items.len());
    for item in items {
        let request = PutRequest::builder().set_item(Some(item)).build()?;
        requests.push(WriteRequest::builder().put_request(request).build());
    }
    let answer = client
        .batch_write_item()
        .request_items(CONTROL_TABLE, requests)
        .send()
        .await?;
    ensure!(
        answer
            .unprocessed_items()
            .is_none_or(|left| left.is_empty()),
        "the engine left items out"
    );
    Ok(())
}

/// The next change of an environment: its creation, or a revision of the same state.
fn next_record(place: usize, previous: Option<&Record>) -> anyhow::Result<Draft> {
    if let Some(previous) = previous {
        let revision = previous.change.revision.next();
        return Ok(Draft {
            revision,
            previous: previous.sequence,
            ..previous.change.clone()
        });
    }
    let flow = |slot: &str| {
        anyhow::Ok(Flow {
            id: format!("{slot}-{place}").parse()?,
            name: slot.parse()?,
        })
    };
    let create = Command::Create(Create {
        flows: BySlot {
            blue: flow("blue")?,
            green: flow("green")?,
        },
        active: Slot::Blue,
        flow_version: "1.0".parse()?,
        interface: InterfaceNumber::NONE,
        variables: None,
    });
    let at: Timestamp = "2026-01-01T00:00:00Z".parse()?;
    let context = Context {
        frozen: None,
        now: at,
        revision: Revision(1),
        sequence: Default::default(),
        draw: [7; 16],
        drain_time: Duration::ZERO,
        last_calls: Some(Default::default()),
        others: 0,
    };
    let Ok(Change::To(Some(environment))) = Environment::apply(None, &create, &context) else {
        bail!("an environment cannot be created");
    };
    let (format, state) = Document::next(None, &Operations::default(), Some(&environment), NEWEST);
    Ok(Draft {
        aggregate: AggregateKey::Environment(format!("Environment_{place}").parse()?),
        revision: Revision(1),
        previous: Sequence(0),
        operation: Digest128::of(&[&place.to_be_bytes()]),
        request: Digest128::of(&[]),
        actor: "bench".parse()?,
        action: "create".to_owned(),
        reason: "fill the journal".parse()?,
        at,
        format,
        row: Environment::row(Some(&environment)),
        state,
        bridged_from: None,
    })
}

#[expect(clippy::print_stdout, reason = "the report of a benchmark")]
fn report(line: &str) {
    println!("{line}");
}
