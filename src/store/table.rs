//! The tables: making them, and checking that they are there.

use std::time::Duration;

use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, PointInTimeRecoverySpecification,
    ScalarAttributeType, TableStatus, TimeToLiveSpecification,
};
use tokio::time::Instant;

use super::Store;
use super::error::StoreError;
use super::item::{PARTITION_KEY, SORT_KEY};

/// Attribute of the evidence table after whose time (seconds since 1970) an item may go.
pub const EXPIRES_AT: &str = "expires_at";
/// How long a new table may take to become usable.
const CREATION_TIME: Duration = Duration::from_secs(60);
/// How often it is asked meanwhile.
const CREATION_POLL: Duration = Duration::from_millis(250);

/// What [`Store::create_tables`] did with a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Creation {
    /// It was made.
    Created(String),
    /// It existed and was left as it is.
    Existed(String),
}

impl Store {
    /// Makes the tables that do not exist: on demand, with point-in-time recovery on the control table and expiry on the
    /// evidence table. Existing tables keep their settings, but for expiry, which is switched on.
    ///
    /// # Errors
    /// The store does not answer, or refuses, or a table is not usable within a minute.
    pub async fn create_tables(&self) -> Result<[Creation; 2], StoreError> {
        let control = self.create_table(&self.control_table).await?;
        let evidence = self.create_table(&self.evidence_table).await?;
        if matches!(control, Creation::Created(_)) {
            self.protect_control_table().await;
        }
        self.expire_evidence().await?;
        Ok([control, evidence])
    }

    async fn create_table(&self, name: &str) -> Result<Creation, StoreError> {
        if self.status(name).await?.is_some() {
            self.until_active(name).await?;
            return Ok(Creation::Existed(name.to_owned()));
        }
        let request = self
            .client
            .create_table()
            .table_name(name)
            .billing_mode(BillingMode::PayPerRequest)
            .attribute_definitions(text_attribute(PARTITION_KEY))
            .attribute_definitions(text_attribute(SORT_KEY))
            .key_schema(key_element(PARTITION_KEY, KeyType::Hash))
            .key_schema(key_element(SORT_KEY, KeyType::Range));
        match request
            .send()
            .await
            .map_err(|error| StoreError::from_sdk("CreateTable", error))
        {
            Ok(_) => {
                self.until_active(name).await?;
                Ok(Creation::Created(name.to_owned()))
            }
            // Somebody else is making it at this moment.
            Err(StoreError::Refused { code, .. }) if code == "ResourceInUseException" => {
                self.until_active(name).await?;
                Ok(Creation::Existed(name.to_owned()))
            }
            Err(error) => Err(error),
        }
    }

    /// The names of the tables that are missing.
    ///
    /// # Errors
    /// The store does not answer or refuses.
    pub async fn missing_tables(&self) -> Result<Vec<String>, StoreError> {
        let mut missing = Vec::new();
        for name in [&self.control_table, &self.evidence_table] {
            if self.status(name).await?.is_none() {
                missing.push(name.clone());
            }
        }
        Ok(missing)
    }

    async fn status(&self, name: &str) -> Result<Option<TableStatus>, StoreError> {
        let answer = self.client.describe_table().table_name(name).send().await;
        match answer.map_err(|error| StoreError::from_sdk("DescribeTable", error)) {
            Ok(answer) => Ok(answer.table.and_then(|table| table.table_status)),
            Err(StoreError::Refused { code, .. }) if code == "ResourceNotFoundException" => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    async fn until_active(&self, name: &str) -> Result<(), StoreError> {
        let deadline = Instant::now() + CREATION_TIME;
        while self.status(name).await? != Some(TableStatus::Active) {
            if Instant::now() >= deadline {
                return Err(StoreError::Unavailable(format!(
                    "table {name} is not active after {CREATION_TIME:?}"
                )));
            }
            tokio::time::sleep(CREATION_POLL).await;
        }
        Ok(())
    }

    /// Point-in-time recovery is a service of AWS that other engines lack, so its refusal is told and does not stop us.
    async fn protect_control_table(&self) {
        let recovery = PointInTimeRecoverySpecification::builder()
            .point_in_time_recovery_enabled(true)
            .build();
        // Cannot fail: the one required member is set.
        let recovery = recovery.expect("a recovery setting");
        let request = self
            .client
            .update_continuous_backups()
            .table_name(&self.control_table);
        if let Err(error) = request
            .point_in_time_recovery_specification(recovery)
            .send()
            .await
        {
            match StoreError::from_sdk("UpdateContinuousBackups", error) {
                StoreError::Refused { code, .. } if code == "UnknownOperationException" => {}
                error => {
                    tracing::warn!(%error, table = self.control_table, "point-in-time recovery is not switched on");
                }
            }
        }
    }

    /// DynamoDB refuses to switch on what is on, so the setting is read first.
    async fn expire_evidence(&self) -> Result<(), StoreError> {
        let described = self
            .client
            .describe_time_to_live()
            .table_name(&self.evidence_table)
            .send()
            .await;
        let described =
            match described.map_err(|error| StoreError::from_sdk("DescribeTimeToLive", error)) {
                Ok(answer) => answer.time_to_live_description,
                Err(error) if is_unknown_operation(&error) => return Ok(()),
                Err(error) => return Err(error),
            };
        if described.is_some_and(|expiry| expiry.attribute_name.as_deref() == Some(EXPIRES_AT)) {
            return Ok(());
        }
        let expiry = TimeToLiveSpecification::builder()
            .enabled(true)
            .attribute_name(EXPIRES_AT)
            .build();
        // Cannot fail: both required members are set.
        let expiry = expiry.expect("an expiry setting");
        let request = self
            .client
            .update_time_to_live()
            .table_name(&self.evidence_table)
            .time_to_live_specification(expiry);
        let outcome = request
            .send()
            .await
            .map_err(|error| StoreError::from_sdk("UpdateTimeToLive", error));
        match outcome {
            Ok(_) => Ok(()),
            Err(error) if is_unknown_operation(&error) => Ok(()),
            // Somebody else is switching it on at this moment.
            Err(StoreError::Refused { message, .. }) if message.contains("already enabled") => {
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}

/// An engine without expiry: readers pass over expired items anyway.
fn is_unknown_operation(error: &StoreError) -> bool {
    matches!(error, StoreError::Refused { code, .. } if code == "UnknownOperationException")
}

fn text_attribute(name: &str) -> AttributeDefinition {
    let definition = AttributeDefinition::builder()
        .attribute_name(name)
        .attribute_type(ScalarAttributeType::S);
    // Cannot fail: both required members are set.
    definition.build().expect("an attribute with name and type")
}

fn key_element(name: &str, kind: KeyType) -> KeySchemaElement {
    // Cannot fail: both required members are set.
    KeySchemaElement::builder()
        .attribute_name(name)
        .key_type(kind)
        .build()
        .expect("a key element with name and kind")
}
