//! Repair: the one write that names a state instead of a change. See [`crate::domain::repair`] for what may be named when.

use super::attempt::{Attempt, Task};
use super::{Answer, Control, Request, WRITE_TIME, WriteError};
use crate::domain::ids::{AggregateKey, Revision};
use crate::domain::repair::{Repair, Target};
use crate::replica::follower::{Follower, Tracks};
use crate::replica::tracked::Tracked;
use crate::store::StoreError;
use crate::store::format::{Document, NEWEST, Stored};

/// Records walked back at the most to find a revision; each is one read of the store.
const LONGEST_WALK: usize = 10_000;
/// Records looked at, at the most, that came after the last good state: as many as a cold start passes over to find it.
const LONGEST_LOOK: usize = 256;

impl Control {
    /// Commits the state that `repair` names as the next revision of the aggregate `key`, whose last state cannot be read here.
    /// What is remembered of earlier operations stays.
    ///
    /// # Errors
    /// As [`Control::execute`]; [`crate::domain::repair::Refusal`] says what stands in the way.
    pub async fn repair<A: Stored>(
        &self,
        key: &AggregateKey,
        repair: &Repair<A>,
        request: &Request,
    ) -> Result<Answer<A>, WriteError>
    where
        Follower: Tracks<A>,
    {
        let of_revision = match repair.to {
            // Before it is this write's turn, since it may take long. A record does not change.
            Target::Revision(revision) => self.document_of(key, revision).await?,
            Target::LastGood | Target::State(_) => None,
        };
        let task = Task::Repair {
            repair,
            of_revision,
        };
        self.carry_out(&Attempt::new(key, task, request)).await
    }

    /// What an intact record of this revision holds, if there is one and it can be read.
    async fn document_of<A: Stored>(
        &self,
        key: &AggregateKey,
        revision: Revision,
    ) -> Result<Option<Document<A>>, WriteError>
    where
        Follower: Tracks<A>,
    {
        let last = self.base::<A>(key).await?.tracked.sequence;
        let mut walk = self.replica.store().walk_back(key.clone(), last);
        let walk = async {
            for _ in 0..LONGEST_WALK {
                let Some(record) = walk.next().await? else {
                    break;
                };
                if record.is_intact && record.change.revision == revision {
                    return Ok(Document::read(record.change.format, &record.change.state).ok());
                }
            }
            Ok(None)
        };
        tokio::time::timeout(WRITE_TIME, walk)
            .await
            .unwrap_or_else(|_| {
                let why = format!("revision {revision} was not reached in time");
                Err(StoreError::Unavailable(why).into())
            })
    }

    /// The newest format of the states that were written whole after the last good one and that cannot be read here.
    pub(super) async fn newer_unread<A: Stored>(
        &self,
        key: &AggregateKey,
        tracked: &Tracked<A>,
    ) -> Result<Option<u32>, StoreError> {
        let good = tracked.good.as_ref();
        let good = good.map_or(Revision(0), |good| good.revision);
        let store = self.replica.store();
        let mut walk = store.walk_back(key.clone(), tracked.sequence);
        let mut newest = None;
        for _ in 0..LONGEST_LOOK {
            let record = walk.next().await?;
            let Some(record) = record.filter(|record| record.change.revision > good) else {
                break;
            };
            if record.is_intact && record.change.format > NEWEST {
                newest = newest.max(Some(record.change.format));
            }
        }
        Ok(newest)
    }
}
