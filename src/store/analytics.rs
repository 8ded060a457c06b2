//! What the controller that leads makes of the platform's analytics: counts of intervals, and what is wrong if there are none.
//!
//! An interval is written once, whoever has led since: the first counts stand. So every reader judges the same ones, and nobody
//! judges an interval twice with different data.

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;

use super::Store;
use super::error::StoreError;
use super::evidence::{Batch, item_of};
use super::item::{Item, PARTITION_KEY, get_number, get_text, key, number, text};
use super::table::EXPIRES_AT;
use crate::domain::ids::{EnvironmentName, Revision};
use crate::domain::judge::evidence::Interval;
use crate::domain::judge::trouble::Trouble;

/// Sort key of the item that says what is wrong.
const TROUBLE: &str = "trouble";
/// Who writes intervals, for their keys: not the replica, so that two writers have one key.
const WRITER: &str = "analytics";

/// Counts of one interval, a value for each metric that is judged by it.
#[must_use]
pub fn batch(
    environment: EnvironmentName,
    until: Timestamp,
    expires_at: Timestamp,
    counts: Vec<Interval>,
) -> Batch<Interval> {
    Batch {
        environment,
        replica: WRITER.to_owned(),
        made_at: until,
        number: 0,
        expires_at,
        calls: counts,
    }
}

impl Store {
    /// Writes the counts of an interval, made by [`batch`], unless there are some. Returns whether it did.
    ///
    /// # Errors
    /// The store does not answer or refuses. They may have been written.
    pub async fn put_interval(&self, counts: &Batch<Interval>) -> Result<bool, StoreError> {
        let put = self
            .client
            .put_item()
            .table_name(&self.evidence_table)
            .set_item(Some(item_of(counts)))
            .condition_expression("attribute_not_exists(#pk)")
            .expression_attribute_names("#pk", PARTITION_KEY)
            .send()
            .await;
        match put.map_err(|error| StoreError::from_sdk("PutItem", error)) {
            Ok(_) => Ok(true),
            Err(StoreError::ConditionFailed) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Notes what is wrong with analytics in the step of `environment`'s rollout that `entered` entered; `None` is nothing.
    ///
    /// # Errors
    /// The store does not answer or refuses. It may have been noted.
    pub async fn put_trouble(
        &self,
        environment: &EnvironmentName,
        entered: Revision,
        trouble: Option<Trouble>,
        expires_at: Timestamp,
    ) -> Result<(), StoreError> {
        let mut item = key(&partition(environment), TROUBLE);
        let expires_at = AttributeValue::N(expires_at.as_second().to_string());
        item.insert("entered".to_owned(), number(entered.0));
        item.insert(EXPIRES_AT.to_owned(), expires_at);
        if let Some(trouble) = trouble {
            // Names and numbers: nothing here can fail to be JSON.
            let json = serde_json::to_string(&trouble).expect("JSON in memory");
            item.insert(TROUBLE.to_owned(), text(json));
        }
        let put = self
            .client
            .put_item()
            .table_name(&self.evidence_table)
            .set_item(Some(item));
        let put = put.send().await;
        put.map(|_| ())
            .map_err(|error| StoreError::from_sdk("PutItem", error))
    }

    /// What was noted last to be wrong with analytics in that step.
    ///
    /// # Errors
    /// The store does not answer or refuses.
    pub async fn trouble(
        &self,
        environment: &EnvironmentName,
        entered: Revision,
    ) -> Result<Option<Trouble>, StoreError> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.evidence_table)
            .set_key(Some(key(&partition(environment), TROUBLE)))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| StoreError::from_sdk("GetItem", error))?;
        Ok(answer.item.and_then(|item| read(&item, entered)))
    }
}

/// A note that this binary cannot read is trouble of its own.
fn read(item: &Item, entered: Revision) -> Option<Trouble> {
    if get_number(item, "entered").ok()? != entered.0 {
        return None;
    }
    let json = get_text(item, TROUBLE).ok()?;
    Some(serde_json::from_str(json).unwrap_or(Trouble::Unreadable))
}

fn partition(environment: &EnvironmentName) -> String {
    format!("analytics/{environment}")
}
