//! The cold start: from the rows and the head of the journal to everything, without reading years of records.

use super::follower::{Followed, Follower};
use crate::domain::ids::Sequence;
use crate::store::record::Position;
use crate::store::row::Row;
use crate::store::{Store, StoreError};

/// Records that a restarted replica reads one by one before it takes the rows instead.
const FARTHEST_FOLLOWED: u64 = 10_000;
/// How many records are walked back to find a state that can be read.
const LONGEST_WALK: usize = 256;

/// Reads the head and the entry before it, then the rows. Records committed in between are in the rows already; following from the head passes over
/// them. Rows are complete up to the record before the head, so the head itself is applied on top. Also says
/// what that came to.
pub(super) async fn cold_start(store: &Store) -> Result<(Follower, Option<Followed>), StoreError> {
    let mut last = store.last_entries(2).await?.into_iter();
    let (head, before) = (last.next(), last.next());
    let mut follower = Follower::default();
    for row in store.rows().await? {
        if let Err(error) = follower.restore(&row) {
            tracing::error!(aggregate = %row.aggregate, sequence = %row.sequence, %error, "looking for an older state");
            restore_older(store, &mut follower, &row).await?;
        }
    }
    let head = head.map(|head| follower.start_at(before.as_ref(), head));
    Ok((follower, head))
}

/// Whether the journal has gone on so far since `position` that the rows are the shorter way to its end. An end that is no
/// longer there is not long ago: following finds that out.
pub(super) async fn is_long_ago(store: &Store, position: Position) -> Result<bool, StoreError> {
    let end = store
        .head()
        .await?
        .map_or(Sequence(0), |head| head.sequence());
    if end.0.saturating_sub(position.last.0) <= FARTHEST_FOLLOWED {
        return Ok(false);
    }
    let last = store.entry(position.last).await?;
    Ok(last.is_some_and(|entry| entry.hash() == position.hash))
}

/// Follows the links between an aggregate's records back from its row to the last one that can be read.
async fn restore_older(
    store: &Store,
    follower: &mut Follower,
    row: &Row,
) -> Result<(), StoreError> {
    let mut walk = store.walk_back(row.aggregate.clone(), row.sequence);
    for _ in 0..LONGEST_WALK {
        let Some(record) = walk.next().await?.filter(|record| record.is_intact) else {
            break;
        };
        if follower.restore_from(row, &record).is_ok() {
            return Ok(());
        }
    }
    follower.give_up(row);
    Ok(())
}
