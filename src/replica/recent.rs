//! The last entries followed, at hand for those who listen to changes as they come.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::watch;

use super::{Replica, locked};
use crate::domain::ids::Sequence;
use crate::store::StoreError;
use crate::store::record::Entry;

/// Entries kept at the most.
const MOST_ENTRIES: usize = 128;
/// Bytes of states kept at the most.
const MOST_BYTES: usize = 2 * 1024 * 1024;
/// Entries given at once. A state has up to 32 KiB, and every listener holds as many until it has passed them on.
const PAGE: usize = 16;

/// A run of entries as they were followed, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Recent {
    followed: VecDeque<Followed>,
    bytes: usize,
}

#[derive(Debug)]
struct Followed {
    /// The entry followed before this one.
    previous: Sequence,
    entry: Arc<Entry>,
}

fn size(entry: &Entry) -> usize {
    match entry {
        Entry::Record(record) => record.change.state.len(),
        Entry::Bridge(_) | Entry::Unreadable(_) => 0,
    }
}

impl Recent {
    /// Keeps `entry`, which was followed after `previous`, and forgets what is too much.
    pub(super) fn push(&mut self, previous: Sequence, entry: Entry) {
        self.bytes += size(&entry);
        let entry = Arc::new(entry);
        self.followed.push_back(Followed { previous, entry });
        while self.followed.len() > MOST_ENTRIES || self.bytes > MOST_BYTES {
            let Some(oldest) = self.followed.pop_front() else {
                return;
            };
            self.bytes -= size(&oldest.entry);
        }
    }

    /// The entries from `first` on, as far as they are here without a gap; none if the first of them is not.
    fn from(&self, first: Sequence) -> Vec<Arc<Entry>> {
        let mut next = first;
        let later = self
            .followed
            .iter()
            .skip_while(|followed| followed.entry.sequence() < first);
        later
            .take_while(|followed| {
                let is_next = followed.previous < next;
                next = followed.entry.sequence().next();
                is_next
            })
            .take(PAGE)
            .map(|followed| Arc::clone(&followed.entry))
            .collect()
    }
}

impl Replica {
    /// The last entry that calls are answered by, as it changes.
    #[must_use]
    pub fn served(&self) -> watch::Receiver<Sequence> {
        self.served.subscribe()
    }

    /// Some of the journal from `first` to `end`, in order; at least one entry if there is one. From memory if it is recent.
    ///
    /// # Errors
    /// The store does not answer or refuses.
    pub async fn entries(
        &self,
        first: Sequence,
        end: Sequence,
    ) -> Result<Vec<Arc<Entry>>, StoreError> {
        let mut recent = locked(&self.recent).from(first);
        // What is followed and not served yet is not for anyone to know.
        recent.retain(|entry| entry.sequence() <= end);
        if !recent.is_empty() {
            return Ok(recent);
        }
        let mut entries = self.store.entries_from(first, PAGE).await?;
        entries.retain(|entry| entry.sequence() <= end);
        Ok(entries.into_iter().map(Arc::new).collect())
    }

    /// Whether `sequence` is a change that the journal holds.
    ///
    /// # Errors
    /// The store does not answer or refuses.
    pub async fn holds(&self, sequence: Sequence) -> Result<bool, StoreError> {
        let entries = self.entries(sequence, sequence).await?;
        let entry = entries.first().filter(|entry| entry.sequence() == sequence);
        Ok(entry.is_some_and(|entry| !matches!(**entry, Entry::Bridge(_))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::item::BadAttribute;
    use crate::store::record::{RecordHash, Unreadable};

    fn entry(sequence: u64) -> Entry {
        Entry::Unreadable(Unreadable {
            sequence: Sequence(sequence),
            hash: RecordHash::default(),
            problem: BadAttribute("x"),
        })
    }

    fn from(recent: &Recent, first: u64) -> Vec<u64> {
        let entries = recent.from(Sequence(first));
        entries.iter().map(|entry| entry.sequence().0).collect()
    }

    #[test]
    fn what_is_at_hand_is_given_without_a_gap_or_not_at_all() {
        let mut recent = Recent::default();
        for (previous, sequence) in [(4, 5), (5, 6), (6, 7), (99, 100), (100, 101)] {
            recent.push(Sequence(previous), entry(sequence));
        }
        assert_eq!(from(&recent, 4), [0; 0], "4 is not here");
        assert_eq!(from(&recent, 5), [5, 6, 7], "8 to 99 may be missing");
        assert_eq!(from(&recent, 7), [7]);
        assert_eq!(from(&recent, 8), [0; 0]);
        assert_eq!(from(&recent, 100), [100, 101]);
        assert_eq!(from(&recent, 102), [0; 0]);
    }

    #[test]
    fn what_a_bridge_led_to_follows_on_what_was_lost() {
        let mut recent = Recent::default();
        recent.push(Sequence(5), entry(1_000));
        assert_eq!(from(&recent, 9), [1_000], "whoever was ahead of the bridge");
        assert_eq!(from(&recent, 5), [0; 0], "the bridge itself is not here");
    }

    #[test]
    fn the_oldest_are_forgotten_and_a_page_has_an_end() {
        let mut recent = Recent::default();
        let last = 3 * MOST_ENTRIES as u64;
        for sequence in 1..=last {
            recent.push(Sequence(sequence - 1), entry(sequence));
        }
        assert_eq!(recent.followed.len(), MOST_ENTRIES);
        assert_eq!(from(&recent, 1), [0; 0]);
        assert_eq!(from(&recent, last - MOST_ENTRIES as u64 + 1).len(), PAGE);
    }
}
