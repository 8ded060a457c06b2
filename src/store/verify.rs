//! Proof of the journal: that nothing in it was changed, dropped, swapped or inserted, and that the rows say the same.

use std::collections::HashMap;

use super::Store;
use super::error::StoreError;
use super::record::{Entry, Position, Record, RecordHash};
use crate::domain::ids::{AggregateKey, Revision, Sequence};

/// Entries read at a time.
const PAGE: usize = 1_000;
/// Findings kept; a journal torn to pieces needs no longer list.
const MAX_FINDINGS: usize = 1_000;

/// Something that should not be so.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct Finding {
    /// The entry it is about.
    pub sequence: Sequence,
    /// What is wrong, in words.
    pub problem: String,
}

/// What a verification found.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct Verification {
    /// Entries read.
    pub entries: u64,
    /// Sequence of the last entry.
    pub head: Sequence,
    /// Hash of the last entry: keep it elsewhere, and a later truncation shows.
    pub head_hash: String,
    /// What is wrong; empty if nothing is.
    pub findings: Vec<Finding>,
}

/// Reads a journal in order and collects what is wrong with it.
#[derive(Debug, Default)]
pub struct Verifier {
    position: Position,
    aggregates: HashMap<AggregateKey, (Sequence, Revision, RecordHash)>,
    /// Hash of an entry that was told earlier, until it is read.
    expected: Option<RecordHash>,
    verification: Verification,
}

impl Verifier {
    /// Expects an entry with this hash, told earlier as that of the last one. Since it covers everything before it, a
    /// journal that was cut short or made anew up to there does not have it.
    pub fn expect(&mut self, head: Option<RecordHash>) {
        // Of an empty journal.
        self.expected = head.filter(|head| *head != RecordHash::default());
    }

    /// Passes over something that is no entry at all.
    pub(super) fn pass_over(&mut self, problem: String) {
        self.find(self.position.next, problem);
    }

    /// Takes the next entry.
    pub fn read(&mut self, entry: &Entry) {
        let sequence = entry.sequence();
        if sequence != self.position.next {
            self.find(
                sequence,
                format!("expected entry {} here", self.position.next),
            );
        }
        let (previous_hash, is_intact) = match entry {
            Entry::Record(record) => (record.previous_hash, record.is_intact),
            Entry::Bridge(bridge) => (bridge.previous_hash, bridge.is_intact),
            Entry::Unreadable(unreadable) => {
                self.find(
                    sequence,
                    format!("the envelope cannot be read: {}", unreadable.problem),
                );
                (self.position.hash, true)
            }
        };
        if !is_intact {
            self.find(
                sequence,
                "the content is not what the hash was made of".to_owned(),
            );
        }
        if previous_hash != self.position.hash {
            self.find(
                sequence,
                format!(
                    "it does not follow the entry {} that is here",
                    self.position.last
                ),
            );
        }
        if let Entry::Record(record) = entry {
            self.read_record(record);
        }
        self.position = entry.position();
        self.expected = self.expected.filter(|head| *head != entry.hash());
        self.verification.entries += 1;
    }

    fn read_record(&mut self, record: &Record) {
        let change = &record.change;
        let made = (record.sequence, change.revision, record.hash);
        let (last, revision, _) = self
            .aggregates
            .insert(change.aggregate.clone(), made)
            .unwrap_or_default();
        // A recovery takes up states whose records are lost, so it may leave revisions out.
        let is_recovered = change.action == super::recover::ACTION;
        if change.previous != last {
            self.find(
                record.sequence,
                format!(
                    "it names record {} as the last of {}, which is {last}",
                    change.previous, change.aggregate
                ),
            );
        }
        if change.revision != revision.next() && !(is_recovered && change.revision > revision) {
            self.find(
                record.sequence,
                format!(
                    "{} goes from revision {revision} to {}",
                    change.aggregate, change.revision
                ),
            );
        }
    }

    fn find(&mut self, sequence: Sequence, problem: String) {
        if self.verification.findings.len() < MAX_FINDINGS {
            self.verification
                .findings
                .push(Finding { sequence, problem });
        }
    }

    /// The result.
    #[must_use]
    pub fn finish(mut self) -> Verification {
        if self.expected.is_some() {
            self.find(
                self.position.last,
                "no entry has the hash that was told earlier: the end was cut off, or what leads to it was changed"
                    .to_owned(),
            );
        }
        self.verification.head = self.position.last;
        self.verification.head_hash = self.position.hash.to_string();
        self.verification
    }
}

impl Store {
    /// Reads the whole journal and every row and says what is wrong with them; with `head`, also whether an entry has that
    /// hash. About a second per 50,000 records on the embedded engine; it holds nothing up meanwhile.
    ///
    /// # Errors
    /// The store does not answer or refuses.
    pub async fn verify(&self, head: Option<RecordHash>) -> Result<Verification, StoreError> {
        let mut verifier = Verifier::default();
        verifier.expect(head);
        let mut first = Sequence(0);
        loop {
            let entries = self.entries_from(first, PAGE).await?;
            let Some(last) = entries.last() else { break };
            first = last.sequence().next();
            entries.iter().for_each(|entry| verifier.read(entry));
        }
        self.verify_rows(&mut verifier).await?;
        Ok(verifier.finish())
    }

    /// A row may be ahead of what was read, never behind the last record but one, and always holds its record's state.
    async fn verify_rows(&self, verifier: &mut Verifier) -> Result<(), StoreError> {
        let mut unseen = verifier.aggregates.clone();
        for row in self.rows().await? {
            let last = unseen
                .remove(&row.aggregate)
                .map_or(Sequence(0), |(sequence, ..)| sequence);
            if row.sequence < last && last < verifier.position.last {
                verifier.find(
                    last,
                    format!(
                        "the row of {} is still at record {}",
                        row.aggregate, row.sequence
                    ),
                );
            }
            let is_same = match self.entry(row.sequence).await? {
                Some(Entry::Record(record)) => !row.is_damaged && row.is_of(&record),
                Some(Entry::Bridge(_) | Entry::Unreadable(_)) | None => false,
            };
            if !is_same {
                verifier.find(
                    row.sequence,
                    format!(
                        "the row of {} does not say what its record says",
                        row.aggregate
                    ),
                );
            }
        }
        let missing = unseen.into_iter().filter(|(key, (sequence, ..))| {
            !matches!(key, AggregateKey::Other(_)) && *sequence < verifier.position.last
        });
        for (key, (sequence, ..)) in missing.collect::<Vec<_>>() {
            verifier.find(sequence, format!("{key} has no row"));
        }
        Ok(())
    }
}
