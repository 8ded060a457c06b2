//! The lease: which process does what only one should do at a time.
//!
//! One item in the evidence table. Its holder moves it on at least every few seconds; whoever has not seen it move for
//! [`LEASE_TIME`], by its own monotonic clock, takes it over. No two clocks are compared, so none has to be right.
//!
//! It saves work and is no lock: a holder that stands still between a look at its clock and a write may write after somebody
//! else took over. What only one may change is therefore changed on a condition of its own.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::{SignedDuration, Timestamp};

use super::Store;
use super::error::StoreError;
use super::item::{BadAttribute, Item, PARTITION_KEY, get_number, get_text, key, number, text};
use super::table::EXPIRES_AT;
use crate::clock::Clock;

/// How long a lease that does not move is still its holder's.
pub const LEASE_TIME: Duration = Duration::from_secs(10);
/// How much earlier the holder stops believing in it: clocks of two machines run at slightly different speeds.
const MARGIN: Duration = Duration::from_secs(1);
/// How old a lease gets before its holder moves it on.
const RENEW_AFTER: Duration = Duration::from_secs(3);
/// How long the item stays in the table when nobody moves it any more.
const KEPT_FOR: SignedDuration = SignedDuration::from_hours(24);
/// Partition of leases in the evidence table.
const LEASE: &str = "lease";
/// Holder of a lease that was given back.
const NOBODY: &str = "";

/// A lease as one process sees it.
#[derive(Debug)]
pub struct Lease {
    /// What it is for: its sort key.
    name: &'static str,
    /// Who we are; no two that want the lease have one name.
    holder: String,
    /// What the item said last, and when that was first seen.
    seen: Option<(Mark, Duration)>,
    /// Until when it is ours, for certain.
    held_until: Option<Duration>,
}

/// Proof that the lease is held. It is passed to whatever needs that.
#[derive(Debug, Clone, Copy)]
pub struct Held {
    until: Duration,
}

/// What the item says: it moves with every renewal.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mark {
    holder: String,
    beat: u64,
}

impl Held {
    /// Whether it still is at `now` (monotonic).
    #[must_use]
    pub fn is_valid(&self, now: Duration) -> bool {
        now < self.until
    }
}

impl Lease {
    /// The lease for `name`, not yet looked at, wanted by `holder`.
    #[must_use]
    pub fn new(name: &'static str, holder: String) -> Self {
        Self {
            name,
            holder,
            seen: None,
            held_until: None,
        }
    }

    /// Takes the lease if it is free, and moves it on if it is ours. `None` if it is somebody else's.
    ///
    /// # Errors
    /// The store does not answer or refuses. The lease may be ours all the same; the next call finds out.
    pub async fn hold(
        &mut self,
        store: &Store,
        clock: &dyn Clock,
    ) -> Result<Option<Held>, StoreError> {
        if let Some(held) = self.held().filter(|held| self.is_young(*held, clock)) {
            return Ok(Some(held));
        }
        let found = store.lease(self.name).await?;
        let now = clock.monotonic();
        if !self.may_take(found.as_ref(), now) {
            self.held_until = None;
            return Ok(None);
        }
        let beat = found.as_ref().map_or(1, |found| found.beat + 1);
        let mark = Mark {
            holder: self.holder.clone(),
            beat,
        };
        // Counted from before the write, which takes effect later.
        let until = now + LEASE_TIME - MARGIN;
        let is_ours = store
            .put_lease(self.name, &mark, found.as_ref(), clock.now())
            .await?;
        self.held_until = is_ours.then_some(until);
        if is_ours {
            self.seen = Some((mark, now));
        }
        Ok(self.held())
    }

    /// Gives it back, so that nobody has to wait for it. If that fails, it ends by itself.
    pub async fn release(&mut self, store: &Store, clock: &dyn Clock) {
        let Some((mark, _)) = self
            .seen
            .take()
            .filter(|_| self.held_until.take().is_some())
        else {
            return;
        };
        let free = Mark {
            holder: NOBODY.to_owned(),
            beat: mark.beat + 1,
        };
        if let Err(error) = store
            .put_lease(self.name, &free, Some(&mark), clock.now())
            .await
        {
            tracing::debug!(%error, lease = self.name, "not given back");
        }
    }

    fn held(&self) -> Option<Held> {
        self.held_until.map(|until| Held { until })
    }

    fn is_young(&self, held: Held, clock: &dyn Clock) -> bool {
        clock.monotonic() + LEASE_TIME < held.until + MARGIN + RENEW_AFTER
    }

    /// Whether what was found at `now` may be taken: nothing, our own, one given back, or one that has stood still for long
    /// enough. Its holder has believed in it for less time than that since we first saw it.
    fn may_take(&mut self, found: Option<&Mark>, now: Duration) -> bool {
        let Some(found) = found else {
            return true;
        };
        if found.holder == self.holder || found.holder == NOBODY {
            return true;
        }
        match &self.seen {
            Some((seen, since)) if seen == found => now.saturating_sub(*since) >= LEASE_TIME,
            _ => {
                self.seen = Some((found.clone(), now));
                false
            }
        }
    }
}

impl Store {
    async fn lease(&self, name: &str) -> Result<Option<Mark>, StoreError> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.evidence_table)
            .set_key(Some(key(LEASE, name)))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| StoreError::from_sdk("GetItem", error))?;
        let mark = answer.item.as_ref().map(Mark::of).transpose();
        // One that a newer binary writes otherwise is nobody's to take.
        mark.map_err(|error| StoreError::Unavailable(format!("the lease {name}: {error}")))
    }

    /// Puts the lease in place of `before`; `false` if somebody was faster.
    async fn put_lease(
        &self,
        name: &str,
        mark: &Mark,
        before: Option<&Mark>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut item = key(LEASE, name);
        item.extend([
            ("holder".to_owned(), text(&mark.holder)),
            ("beat".to_owned(), number(mark.beat)),
        ]);
        let expires_at = now.saturating_add(KEPT_FOR).unwrap_or(Timestamp::MAX);
        let expires_at = AttributeValue::N(expires_at.as_second().to_string());
        item.insert(EXPIRES_AT.to_owned(), expires_at);
        let put = self
            // A second attempt would meet what the first has written.
            .once
            .put_item()
            .table_name(&self.evidence_table)
            .set_item(Some(item));
        let put = match before {
            None => put
                .condition_expression("attribute_not_exists(#pk)")
                .expression_attribute_names("#pk", PARTITION_KEY),
            Some(before) => put
                .condition_expression("#holder = :holder AND #beat = :beat")
                .expression_attribute_names("#holder", "holder")
                .expression_attribute_names("#beat", "beat")
                .expression_attribute_values(":holder", text(&before.holder))
                .expression_attribute_values(":beat", number(before.beat)),
        };
        match put
            .send()
            .await
            .map_err(|error| StoreError::from_sdk("PutItem", error))
        {
            Ok(_) => Ok(true),
            Err(StoreError::ConditionFailed) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl Mark {
    fn of(item: &Item) -> Result<Self, BadAttribute> {
        Ok(Self {
            holder: get_text(item, "holder")?.to_owned(),
            beat: get_number(item, "beat")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(holder: &str, beat: u64) -> Mark {
        Mark {
            holder: holder.to_owned(),
            beat,
        }
    }

    #[test]
    fn a_lease_is_taken_over_once_it_has_stood_still_for_its_time() {
        let mut lease = Lease::new("x", "b".to_owned());
        let mut may_take = |found: &Mark, seconds| {
            let now = Duration::from_secs(seconds);
            lease.may_take(Some(found), now)
        };
        assert!(!may_take(&mark("a", 1), 100), "never seen before");
        assert!(!may_take(&mark("a", 1), 109));
        assert!(!may_take(&mark("a", 2), 110), "it moves");
        assert!(!may_take(&mark("a", 2), 119));
        assert!(!may_take(&mark("c", 3), 120), "somebody else took it");
        assert!(may_take(&mark("c", 3), 130));
    }

    #[test]
    fn what_is_free_or_ours_is_taken_at_once() {
        let mut lease = Lease::new("x", "b".to_owned());
        assert!(lease.may_take(None, Duration::ZERO));
        assert!(lease.may_take(Some(&mark("b", 7)), Duration::ZERO));
        assert!(lease.may_take(Some(&mark(NOBODY, 8)), Duration::ZERO));
    }
}
