//! Following the journal: from entries to what every aggregate is now. Pure: whoever has entries feeds them in.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::tracked::{self, Good, Taken, Tracked};
use crate::domain::Environment;
use crate::domain::access::Access;
use crate::domain::freeze::{Frozen, Place};
use crate::domain::ids::{AggregateKey, EnvironmentName, Revision, Sequence};
use crate::domain::settings::Settings;
use crate::store::format::{Document, FormatError, NEWEST, Stored};
use crate::store::record::{Entry, Position, Record};
use crate::store::row::{Row, RowUpdate};

/// The state of all aggregates at one position of the journal.
#[derive(Debug, Clone, Default)]
pub struct Follower {
    /// The last entry followed.
    pub position: Position,
    /// What the row of the last entry's aggregate should say, if the entry is a record.
    pub last_row: Option<RowUpdate>,
    /// Whether the last entry is of a recovery that has not come to its end.
    pub is_recovering: bool,
    /// Whether the last entry is not what its writer wrote, so that its hash is no proof of what follows it.
    pub(super) is_link_lost: bool,
    pub(super) environments: BTreeMap<EnvironmentName, Tracked<Environment>>,
    pub(super) access: Tracked<Access>,
    pub(super) settings: Tracked<Settings>,
    /// Environments that changed since [`Follower::take_touched`].
    pub(super) touched: BTreeSet<EnvironmentName>,
}

/// An aggregate as a follower knows it, whatever its kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known<'a> {
    /// Which one.
    pub key: AggregateKey,
    /// Revision of its last record.
    pub revision: Revision,
    /// Revision of the last state that could be read; `None` if none could.
    pub good_revision: Option<Revision>,
    /// Why the last record's state is not that state.
    pub fault: Option<&'a str>,
    /// Format of that state.
    pub format: Option<u32>,
}

impl<'a> Known<'a> {
    fn of<S: Stored>(key: AggregateKey, tracked: &'a Tracked<S>) -> Self {
        Self {
            key,
            revision: tracked.revision,
            good_revision: tracked.good.as_ref().map(|good| good.revision),
            fault: tracked.fault.as_deref(),
            format: tracked.format(),
        }
    }

    /// That its state has a format which this binary does not know, if so.
    #[must_use]
    pub fn newer_format(&self) -> Option<String> {
        let newer = self.format.filter(|format| *format > NEWEST)?;
        Some(format!("it has format {newer}, known here is {NEWEST}"))
    }
}

/// An entry that cannot be the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the journal goes on at {found} where {expected} was expected")]
pub struct Gap {
    /// Where it should go on.
    pub expected: Sequence,
    /// Where it does.
    pub found: Sequence,
}

/// What following one entry came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Followed {
    /// A record of an aggregate known here.
    Record(Taken),
    /// A record of an aggregate that only newer binaries know.
    Foreign,
    /// A bridge.
    Bridge,
    /// An entry whose envelope cannot be read.
    Unreadable,
}

/// A follower's knowledge of one kind of aggregate.
pub trait Tracks<S> {
    /// What is known of the aggregate; `None` if nothing is, or `key` names another kind.
    fn tracked(&self, key: &AggregateKey) -> Option<&Tracked<S>>;

    /// How many aggregates of the kind exist.
    fn count(&self) -> usize;
}

impl Tracks<Environment> for Follower {
    fn tracked(&self, key: &AggregateKey) -> Option<&Tracked<Environment>> {
        match key {
            AggregateKey::Environment(name) => self.environments.get(name),
            AggregateKey::Access | AggregateKey::Settings | AggregateKey::Other(_) => None,
        }
    }

    fn count(&self) -> usize {
        self.environments
            .values()
            .filter(|tracked| tracked.state().is_some())
            .count()
    }
}

impl Tracks<Access> for Follower {
    fn tracked(&self, key: &AggregateKey) -> Option<&Tracked<Access>> {
        matches!(key, AggregateKey::Access).then_some(&self.access)
    }

    fn count(&self) -> usize {
        1
    }
}

impl Tracks<Settings> for Follower {
    fn tracked(&self, key: &AggregateKey) -> Option<&Tracked<Settings>> {
        matches!(key, AggregateKey::Settings).then_some(&self.settings)
    }

    fn count(&self) -> usize {
        1
    }
}

impl Follower {
    /// Every environment that has a state, or had one.
    pub fn environments(&self) -> impl Iterator<Item = (&EnvironmentName, &Tracked<Environment>)> {
        self.environments.iter()
    }

    /// What is known of one environment.
    #[must_use]
    pub fn environment(&self, name: &EnvironmentName) -> Option<&Tracked<Environment>> {
        self.environments.get(name)
    }

    /// The access aggregate.
    #[must_use]
    pub fn access(&self) -> &Tracked<Access> {
        &self.access
    }

    /// The settings aggregate.
    #[must_use]
    pub fn settings(&self) -> &Tracked<Settings> {
        &self.settings
    }

    /// The freeze window of the deployment that is in force at `now`.
    #[must_use]
    pub fn frozen(&self, now: Timestamp) -> Option<Frozen> {
        let settings = self.settings.state()?;
        Frozen::of(&settings.freezes, Place::Deployment, now)
    }

    /// Every aggregate: the environments in the order of their names, then access, then the settings.
    pub fn aggregates(&self) -> impl Iterator<Item = Known<'_>> {
        let environments = self
            .environments
            .iter()
            .map(|(name, tracked)| Known::of(AggregateKey::Environment(name.clone()), tracked));
        environments.chain([
            Known::of(AggregateKey::Access, &self.access),
            Known::of(AggregateKey::Settings, &self.settings),
        ])
    }

    /// The environments that changed since the last call.
    pub fn take_touched(&mut self) -> BTreeSet<EnvironmentName> {
        std::mem::take(&mut self.touched)
    }

    /// Counts every environment as changed, those of `before` included.
    pub(super) fn touch_all(&mut self, before: &Self) {
        self.touched.extend(
            self.environments
                .keys()
                .chain(before.environments.keys())
                .cloned(),
        );
    }

    /// Follows the entry at `self.position.next`.
    ///
    /// # Errors
    /// The entry stands elsewhere; nothing has changed.
    pub fn follow(&mut self, entry: Entry) -> Result<Followed, Gap> {
        if entry.sequence() != self.position.next {
            return Err(Gap {
                expected: self.position.next,
                found: entry.sequence(),
            });
        }
        Ok(self.step_on(entry))
    }

    /// Makes `entry` the last one followed.
    fn step_on(&mut self, entry: Entry) -> Followed {
        let follows = |previous| self.is_link_lost || previous == self.position.hash;
        let is_trusted = entry.is_intact()
            && match &entry {
                Entry::Record(record) => follows(record.previous_hash),
                Entry::Bridge(bridge) => follows(bridge.previous_hash),
                Entry::Unreadable(_) => false,
            };
        self.position = entry.position();
        self.last_row = None;
        self.is_recovering = is_trusted && entry.is_recovering();
        self.is_link_lost = !is_trusted;
        match entry {
            Entry::Record(record) => self.take(record, is_trusted),
            Entry::Bridge(_) if is_trusted => Followed::Bridge,
            // A bridge that nobody built leads nowhere.
            Entry::Bridge(bridge) => {
                self.position.next = bridge.sequence.next();
                Followed::Unreadable
            }
            Entry::Unreadable(_) => Followed::Unreadable,
        }
    }

    /// Goes on behind a bridge that stands elsewhere in the journal: `landing` is where it leads, `hash` its own.
    pub fn cross(&mut self, landing: Sequence, bridge: Position) {
        self.position = Position {
            last: bridge.last,
            hash: bridge.hash,
            next: landing,
        };
        self.last_row = None;
        self.is_recovering = true;
        self.is_link_lost = false;
    }

    /// Takes in of the last entry what a follower from a file does not know: whose row it is that the next writer finishes,
    /// and whether a recovery is under way.
    pub fn stand_on(&mut self, entry: Entry) {
        if entry.position() != self.position || self.last_row.is_some() {
            return;
        }
        self.is_recovering = entry.is_recovering();
        if let Entry::Record(record) = entry {
            let is_trusted = record.is_intact;
            self.last_row = match &record.change.aggregate {
                AggregateKey::Environment(name) => {
                    let known = self.environments.get(name);
                    known.map(|known| known.row_update(record, is_trusted))
                }
                AggregateKey::Access => Some(self.access.row_update(record, is_trusted)),
                AggregateKey::Settings => Some(self.settings.row_update(record, is_trusted)),
                AggregateKey::Other(_) => Some(foreign_row_update(record, is_trusted)),
            };
        }
    }

    /// The highest sequence that any aggregate is known at: beyond `position` if rows were read that go further.
    #[must_use]
    pub fn highest_known(&self) -> Sequence {
        let environments = self.environments.values().map(|known| known.sequence);
        let others = [self.access.sequence, self.settings.sequence];
        environments.chain(others).max().unwrap_or_default()
    }

    /// Takes the last entry of a journal whose earlier ones are known from rows; `before` is the one before it.
    pub fn start_at(&mut self, before: Option<&Entry>, head: Entry) -> Followed {
        match before.filter(|before| before.position().next == head.sequence()) {
            Some(before) => {
                self.position = before.position();
                self.is_link_lost = !before.is_intact();
            }
            // What it should follow is not there to be compared.
            None => self.is_link_lost = head.sequence() != self.position.next,
        }
        self.step_on(head)
    }

    fn take(&mut self, record: Box<Record>, is_trusted: bool) -> Followed {
        let (followed, last_row) = match &record.change.aggregate {
            // Its name cannot be believed either: nobody knows whose change it was.
            AggregateKey::Environment(name)
                if !is_trusted && !self.environments.contains_key(name) =>
            {
                return Followed::Unreadable;
            }
            AggregateKey::Environment(name) => {
                self.touched.insert(name.clone());
                let tracked = self.environments.entry(name.clone()).or_default();
                let taken = tracked.take(&record, is_trusted);
                (
                    Followed::Record(taken),
                    tracked.row_update(record, is_trusted),
                )
            }
            AggregateKey::Access => {
                let taken = self.access.take(&record, is_trusted);
                let update = self.access.row_update(record, is_trusted);
                (Followed::Record(taken), update)
            }
            AggregateKey::Settings => {
                let taken = self.settings.take(&record, is_trusted);
                let update = self.settings.row_update(record, is_trusted);
                (Followed::Record(taken), update)
            }
            AggregateKey::Other(_) => (Followed::Foreign, foreign_row_update(record, is_trusted)),
        };
        self.last_row = Some(last_row);
        followed
    }

    /// Takes an aggregate's state from its row.
    ///
    /// # Errors
    /// The state cannot be read; nothing has changed.
    pub fn restore(&mut self, row: &Row) -> Result<(), FormatError> {
        match &row.aggregate {
            AggregateKey::Environment(name) => {
                self.environments.insert(name.clone(), from_row(row)?);
                self.touched.insert(name.clone());
            }
            AggregateKey::Access => self.access = from_row(row)?,
            AggregateKey::Settings => self.settings = from_row(row)?,
            AggregateKey::Other(_) => {}
        }
        Ok(())
    }

    /// Takes an aggregate's state from an older record, because what follows it up to `row` cannot be read.
    ///
    /// # Errors
    /// The record cannot be read either; nothing has changed.
    pub fn restore_from(&mut self, row: &Row, record: &Record) -> Result<(), FormatError> {
        let change = &record.change;
        let fault = (record.sequence != row.sequence)
            .then(|| format!("record {} cannot be read", row.sequence));
        match &row.aggregate {
            AggregateKey::Environment(name) => {
                let tracked = known(
                    change.revision,
                    record.sequence,
                    Document::read(change.format, &change.state)?,
                );
                self.environments
                    .insert(name.clone(), behind(tracked, row, fault));
                self.touched.insert(name.clone());
            }
            AggregateKey::Access => {
                let tracked = known(
                    change.revision,
                    record.sequence,
                    Document::read(change.format, &change.state)?,
                );
                self.access = behind(tracked, row, fault);
            }
            AggregateKey::Settings => {
                let tracked = known(
                    change.revision,
                    record.sequence,
                    Document::read(change.format, &change.state)?,
                );
                self.settings = behind(tracked, row, fault);
            }
            AggregateKey::Other(_) => {}
        }
        Ok(())
    }

    /// Notes that an aggregate exists although nothing of it can be read.
    pub fn give_up(&mut self, row: &Row) {
        let fault = Some(format!(
            "neither record {} nor any before it can be read",
            row.sequence
        ));
        match &row.aggregate {
            AggregateKey::Environment(name) => {
                self.environments
                    .insert(name.clone(), behind(Tracked::default(), row, fault));
            }
            AggregateKey::Access => self.access = behind(Tracked::default(), row, fault),
            AggregateKey::Settings => self.settings = behind(Tracked::default(), row, fault),
            AggregateKey::Other(_) => {}
        }
    }
}

/// What a record of an aggregate that only newer binaries know means for its row.
fn foreign_row_update(record: Box<Record>, is_trusted: bool) -> RowUpdate {
    if is_trusted {
        return RowUpdate::Finish(record);
    }
    RowUpdate::Bar {
        revision: record.change.revision,
        fault: tracked::changed(record.sequence),
        record,
    }
}

fn from_row<S: Stored>(row: &Row) -> Result<Tracked<S>, FormatError> {
    let state = row.state.as_deref().ok_or(FormatError::Inconsistent(
        "the row's state is not the one written",
    ))?;
    let tracked = known(
        row.good_revision,
        row.sequence,
        Document::read(row.format, state)?,
    );
    Ok(behind(tracked, row, row.fault.clone()))
}

fn known<S: Stored>(revision: Revision, sequence: Sequence, document: Document<S>) -> Tracked<S> {
    Tracked {
        revision,
        sequence,
        good: Some(Good { revision, document }),
        fault: None,
    }
}

/// An aggregate whose history goes on to `row`, past the state that is known.
fn behind<S>(tracked: Tracked<S>, row: &Row, fault: Option<String>) -> Tracked<S> {
    Tracked {
        revision: row.revision,
        sequence: row.sequence,
        fault,
        ..tracked
    }
}

#[cfg(test)]
mod tests;
