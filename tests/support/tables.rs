//! The tables without the service's own code in between: what somebody with access to them can do.

use aws_credential_types::Credentials;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{BehaviorVersion, Region};
use aws_sdk_dynamodb::types::AttributeValue;
use aws_smithy_http_client::{Builder, tls};
use data_encoding::HEXLOWER;
use traffic_cop::domain::ids::Sequence;
use traffic_cop::store::connection::Endpoint;
use traffic_cop::store::item::{Item, PARTITION_KEY, SORT_KEY, hash_except, key, text};
use traffic_cop::store::record::{Entry, JOURNAL, Record, sort_key};

/// Partition of the environments' rows, as other tools know it.
pub(crate) const ROWS: &str = "Environment_State";

/// The two tables of a world.
#[derive(Debug, Clone)]
pub(crate) struct Tables {
    client: Client,
    control: String,
    evidence: String,
}

impl Tables {
    pub(crate) async fn connect(endpoint: &Endpoint) -> Self {
        let url = endpoint.url.clone().expect("a URL");
        let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12()).endpoint_url(&url);
        if url.starts_with("http://") {
            loader = loader
                .http_client(Builder::new().build_http())
                .credentials_provider(Credentials::new("local", "local", None, None, "test"))
                .region(Region::from_static("local"));
        } else {
            let ring = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring);
            loader = loader.http_client(Builder::new().tls_provider(ring).build_https());
        }
        Self {
            client: Client::new(&loader.load().await),
            control: endpoint.control_table.clone(),
            evidence: endpoint.evidence_table.clone(),
        }
    }

    /// Deletes both tables.
    pub(crate) async fn delete(&self) {
        for table in [&self.control, &self.evidence] {
            // A test may have deleted them itself.
            let _ = self.client.delete_table().table_name(table).send().await;
        }
    }

    /// The items of one partition of the control table, in order.
    pub(crate) async fn partition(&self, partition: &str) -> Vec<Item> {
        self.partition_of(&self.control, partition).await
    }

    async fn partition_of(&self, table: &str, partition: &str) -> Vec<Item> {
        self.client
            .query()
            .table_name(table)
            .consistent_read(true)
            .key_condition_expression("#pk = :pk")
            .expression_attribute_names("#pk", PARTITION_KEY)
            .expression_attribute_values(":pk", text(partition))
            .into_paginator()
            .items()
            .send()
            .try_collect()
            .await
            .expect("the partition")
    }

    pub(crate) async fn item(&self, partition: &str, sort: &str) -> Option<Item> {
        self.client
            .get_item()
            .table_name(&self.control)
            .consistent_read(true)
            .set_key(Some(key(partition, sort)))
            .send()
            .await
            .expect("an answer")
            .item
    }

    pub(crate) async fn put(&self, item: Item) {
        self.client
            .put_item()
            .table_name(&self.control)
            .set_item(Some(item))
            .send()
            .await
            .expect("a put");
    }

    pub(crate) async fn remove(&self, partition: &str, sort: &str) {
        self.client
            .delete_item()
            .table_name(&self.control)
            .set_key(Some(key(partition, sort)))
            .send()
            .await
            .expect("a removal");
    }

    /// The stored form of entry `sequence`, which must exist.
    pub(crate) async fn entry(&self, sequence: u64) -> Item {
        self.item(JOURNAL, &sort_key(Sequence(sequence)))
            .await
            .expect("an entry")
    }

    /// The record at `sequence`, which must be one.
    pub(crate) async fn record(&self, sequence: u64) -> Record {
        match Entry::from_item(&self.entry(sequence).await) {
            Some(Entry::Record(record)) => *record,
            other => panic!("no record at {sequence}: {other:?}"),
        }
    }

    /// Changes what is stored at `sequence`, without making its hash fit.
    pub(crate) async fn tamper(&self, sequence: u64, change: impl FnOnce(&mut Item)) {
        let mut item = self.entry(sequence).await;
        change(&mut item);
        self.put(item).await;
    }

    /// Removes entry `sequence`.
    pub(crate) async fn drop_entry(&self, sequence: u64) {
        self.remove(JOURNAL, &sort_key(Sequence(sequence))).await;
    }

    /// Removes every entry after `last`.
    pub(crate) async fn rewind(&self, last: u64) {
        for item in self.partition(JOURNAL).await {
            let entry = Entry::from_item(&item).expect("an entry");
            if entry.sequence() > Sequence(last) {
                self.drop_entry(entry.sequence().0).await;
            }
        }
    }

    /// The row of an environment, which must exist.
    pub(crate) async fn row(&self, name: &str) -> Item {
        self.item(ROWS, name).await.expect("a row")
    }

    /// The items of one partition of the evidence table, in order.
    pub(crate) async fn evidence(&self, partition: &str) -> Vec<Item> {
        self.partition_of(&self.evidence, partition).await
    }

    /// Puts an item into the evidence table.
    pub(crate) async fn put_evidence(&self, item: Item) {
        self.client
            .put_item()
            .table_name(&self.evidence)
            .set_item(Some(item))
            .send()
            .await
            .expect("a put");
    }

    /// Removes every heartbeat, as time does with those of replicas that are gone.
    pub(crate) async fn forget_heartbeats(&self) {
        let answer = self
            .client
            .scan()
            .table_name(&self.evidence)
            .send()
            .await
            .expect("the evidence");
        for mut item in answer.items.unwrap_or_default() {
            let key = [PARTITION_KEY, SORT_KEY]
                .map(|name| (name.to_owned(), item.remove(name).expect("a key")));
            self.client
                .delete_item()
                .table_name(&self.evidence)
                .set_key(Some(key.into()))
                .send()
                .await
                .expect("a removal");
        }
    }
}

/// Gives an item that was changed the hash of its content.
pub(crate) fn seal(item: &mut Item) {
    let hash = HEXLOWER.encode(&hash_except(item, "hash"));
    item.insert("hash".to_owned(), text(hash));
}

/// Changes one attribute.
pub(crate) fn set(name: &str, value: AttributeValue) -> impl FnOnce(&mut Item) {
    let name = name.to_owned();
    move |item| {
        item.insert(name, value);
    }
}
