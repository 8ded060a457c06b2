//! Evidence for the judge of a rollout, in batches: exposures, which are decisions, outcomes, which are how calls ended, and
//! intervals, which are counts of them.
//!
//! A batch holds what one replica decided, or was told, about one environment within a moment. It is written once, under a key
//! that begins with its time, and expires. Reading by time needs no index and costs what it returns, so a partition may
//! hold all of an environment's batches of a kind. Nothing in it leads back to a caller: conversations are keyed hashes, numbers
//! are not there at all.

use std::marker::PhantomData;

use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, WriteRequest};
use jiff::Timestamp;

use super::Store;
use super::error::StoreError;
use super::format::packed::Packed;
use super::item::{
    Item, PARTITION_KEY, SORT_KEY, bytes, get_bytes, get_number, get_text, key, number, text,
};
use super::table::EXPIRES_AT;
use crate::domain::ids::EnvironmentName;
use crate::domain::judge::evidence::{Exposure, Outcome};

/// Most batches that [`Store::put_evidence`] takes at once: DynamoDB's limit for one request.
pub const MOST_BATCHES: usize = 25;
/// Most calls in one batch: about 170 KB. An item may have 400 KB, and one request 16 MB.
pub const MOST_CALLS: usize = 8_192;

/// Evidence of one kind about one environment that one replica writes at once. It keeps its key however often it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch<E> {
    /// The environment.
    pub environment: EnvironmentName,
    /// The replica that writes it.
    pub replica: String,
    /// When it was made, by the replica's clock; not before anything in it.
    pub made_at: Timestamp,
    /// Counts the replica's batches of this kind, so that no two have one key even if its clock goes back.
    pub number: u64,
    /// After this it may go.
    pub expires_at: Timestamp,
    /// The evidence, at most [`MOST_CALLS`].
    pub calls: Vec<E>,
}

/// What tells a stored batch from every other of its kind and environment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct BatchKey(String);

impl BatchKey {
    /// What stands before the keys of all batches made at or after `time`, and after those of earlier ones.
    #[must_use]
    pub fn before(time: Timestamp) -> Self {
        Self(time_text(time))
    }
}

impl Store {
    /// Writes `batches`, at most [`MOST_BATCHES`], in one request. Writing a batch again changes nothing. Returns the places of
    /// those that the store had no room for at the moment: they are not written.
    ///
    /// # Errors
    /// The store does not answer or refuses. Any of the batches may have been written.
    pub async fn put_evidence<E: Packed>(
        &self,
        batches: &[Batch<E>],
    ) -> Result<Vec<usize>, StoreError> {
        let requests = batches.iter().map(put_request).collect();
        let answer = self
            .client
            .batch_write_item()
            .request_items(&self.evidence_table, requests)
            .send()
            .await
            .map_err(|error| StoreError::from_sdk("BatchWriteItem", error))?;
        let left = answer.unprocessed_items.unwrap_or_default();
        let left: Vec<_> = left
            .values()
            .flatten()
            .filter_map(|request| get_text(request.put_request()?.item(), SORT_KEY).ok())
            .collect();
        let is_left = |batch: &Batch<E>| left.contains(&sort_key(batch).as_str());
        Ok((0..batches.len())
            .filter(|place| is_left(&batches[*place]))
            .collect())
    }

    /// The exposures of `environment`, by [`Self::evidence`].
    #[must_use]
    pub fn exposures(
        &self,
        environment: &EnvironmentName,
        from: Timestamp,
        until: Timestamp,
    ) -> Pages<'_, Exposure> {
        self.evidence(environment, from, until)
    }

    /// The outcomes of `environment`, by [`Self::evidence`].
    #[must_use]
    pub fn outcomes(
        &self,
        environment: &EnvironmentName,
        from: Timestamp,
        until: Timestamp,
    ) -> Pages<'_, Outcome> {
        self.evidence(environment, from, until)
    }

    /// The evidence about `environment` in batches made at or after `from` and before `until`, page by page.
    ///
    /// No batch is made before what is in it, so reading from some time on gives all evidence since. A batch may show up long
    /// after it was made, since it waits for a store that is away. So whoever wants news reads again from the earliest time that
    /// still matters, not from where it was; each batch has a key to know it by.
    #[must_use]
    pub fn evidence<E: Packed>(
        &self,
        environment: &EnvironmentName,
        from: Timestamp,
        until: Timestamp,
    ) -> Pages<'_, E> {
        Pages {
            store: self,
            partition: partition::<E>(environment),
            from: time_text(from),
            until: time_text(until),
            next: Next::First,
            kind: PhantomData,
        }
    }
}

/// Pages of stored evidence, read one at a time.
#[derive(Debug)]
pub struct Pages<'a, E> {
    store: &'a Store,
    partition: String,
    from: String,
    until: String,
    next: Next,
    kind: PhantomData<E>,
}

/// Where the next page begins.
#[derive(Debug)]
enum Next {
    First,
    After(Item),
    End,
}

/// What one page of the table holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<E> {
    /// The batches in the order of their times; `None` for one that cannot be read, as of a newer binary: its calls are missing.
    pub batches: Vec<(BatchKey, Option<Vec<E>>)>,
}

impl<E> Page<E> {
    /// Everything in it, batch by batch.
    pub fn into_calls(self) -> impl Iterator<Item = E> {
        self.batches
            .into_iter()
            .filter_map(|(_, calls)| calls)
            .flatten()
    }

    /// How many batches could not be read.
    #[must_use]
    pub fn unreadable(&self) -> usize {
        self.batches
            .iter()
            .filter(|(_, calls)| calls.is_none())
            .count()
    }
}

impl<E: Packed> Pages<'_, E> {
    /// The next page; `None` after the last.
    ///
    /// # Errors
    /// The store does not answer or refuses. Asking again goes on where it failed.
    pub async fn next(&mut self) -> Result<Option<Page<E>>, StoreError> {
        let start = match &self.next {
            Next::First => None,
            Next::After(key) => Some(key.clone()),
            Next::End => return Ok(None),
        };
        let answer = self
            .store
            .client
            .query()
            .table_name(&self.store.evidence_table)
            .consistent_read(true)
            // No sort key equals a bare time, so the end is not included.
            .key_condition_expression("#pk = :pk AND #sk BETWEEN :from AND :until")
            .expression_attribute_names("#pk", PARTITION_KEY)
            .expression_attribute_names("#sk", SORT_KEY)
            .expression_attribute_values(":pk", text(&self.partition))
            .expression_attribute_values(":from", text(&self.from))
            .expression_attribute_values(":until", text(&self.until))
            .set_exclusive_start_key(start)
            .send()
            .await
            .map_err(|error| StoreError::from_sdk("Query", error))?;
        let keyed = answer.items().iter().filter_map(|item| {
            // Items of one partition have a sort key.
            let key = get_text(item, SORT_KEY).ok()?;
            Some((BatchKey(key.to_owned()), read(item)))
        });
        let page = Page {
            batches: keyed.collect(),
        };
        self.next = answer.last_evaluated_key.map_or(Next::End, Next::After);
        Ok(Some(page))
    }
}

fn put_request<E: Packed>(batch: &Batch<E>) -> WriteRequest {
    // Cannot fail: the one required member is set.
    let put = PutRequest::builder().set_item(Some(item_of(batch))).build();
    WriteRequest::builder()
        .put_request(put.expect("a put with an item"))
        .build()
}

/// The item of a batch.
pub(super) fn item_of<E: Packed>(batch: &Batch<E>) -> Item {
    let mut item = key(&partition::<E>(&batch.environment), &sort_key(batch));
    let expires_at = AttributeValue::N(batch.expires_at.as_second().to_string());
    item.extend([
        ("format".to_owned(), number(E::FORMAT.into())),
        // For people who look into the table.
        ("calls".to_owned(), number(batch.calls.len() as u64)),
        (E::NAME.to_owned(), bytes(&E::pack(&batch.calls))),
        (EXPIRES_AT.to_owned(), expires_at),
    ]);
    item
}

fn read<E: Packed>(item: &Item) -> Option<Vec<E>> {
    let format = get_number(item, "format").ok()?;
    if format != u64::from(E::FORMAT) {
        return None;
    }
    E::unpack(get_bytes(item, E::NAME).ok()?).ok()
}

fn partition<E: Packed>(environment: &EnvironmentName) -> String {
    format!("{}/{environment}", E::NAME)
}

fn sort_key<E>(batch: &Batch<E>) -> String {
    let Batch {
        made_at,
        replica,
        number,
        ..
    } = batch;
    format!("{}/{replica}/{number:010}", time_text(*made_at))
}

/// A time of fixed length, so that texts sort as times do.
fn time_text(time: Timestamp) -> String {
    format!("{time:.3}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_sort_as_texts() {
        let texts: Vec<_> = [0, 1, 10, 999, 1_000, 1_700_000_000_000, 1_700_000_000_001]
            .map(|ms| time_text(Timestamp::from_millisecond(ms).unwrap()))
            .into();
        assert!(texts.is_sorted());
        assert_eq!(texts[5], "2023-11-14T22:13:20.000Z");
    }
}
