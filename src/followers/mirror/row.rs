//! One environment's row: what it should say, what it was last seen to say, and what is done next.
//!
//! Only a row that was read lately is written, so that what others keep in it is kept, and only what is seen counts: whatever
//! may have changed the row, a write of our own whose answer is lost among it, has it read again.

use std::time::Duration;

use jiff::Timestamp;

use super::failure;
use crate::clock::Clock;
use crate::domain::ids::{DataTableId, EnvironmentName, Sequence};
use crate::followers::backoff::Backoff;
use crate::followers::bookmark::{Bookmark, Saved};
use crate::genesys::client::AskError;
use crate::genesys::data_table::{Entry, Row};
use crate::store::cursors::{Cursor, Obstacle};
use crate::store::{Store, StoreError};
use crate::telemetry::RowLag;

/// How often a row that is as it should be is read again: somebody may have edited it.
pub(super) const CHECK_EVERY: Duration = Duration::from_secs(10 * 60);
/// How long a write may be on its way whose end nobody knows: one of whoever led before, or one of ours whose answer is lost. A row
/// is read once more after that. Longer than a lease lasts and a request may take, both at once.
pub(super) const SETTLES_IN: Duration = Duration::from_secs(30);
/// How old a reading gets that is still written by. Longer than any wait for the share of the minute's requests.
const FRESH: Duration = Duration::from_secs(90);
/// How long a row may be behind or out of reach before that needs a person.
pub(super) const ALARM_AFTER: Duration = Duration::from_secs(15 * 60);

/// What a row should say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    /// The last record of the environment.
    pub(super) sequence: Sequence,
    /// What it made of it.
    pub(super) entry: Entry,
}

/// What is to be asked of Genesys Cloud.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Step {
    /// What the row says.
    Read,
    /// To put this in its place.
    Put(Row),
    /// To add it.
    Add(Row),
}

/// How soon a step is taken when not all can be: the lowest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Urgency {
    /// A row is wrong.
    Write,
    /// A row is wrong, or may be, as far as the journal goes.
    Behind,
    /// Nobody has looked yet.
    Unknown,
    /// It is time to look again.
    Check,
}

/// What came of a step.
#[derive(Debug)]
pub(super) enum Came {
    /// Of reading; `None` if there is no row.
    Read(Result<Option<Row>, AskError>),
    /// Of putting or adding.
    Written(Result<Row, AskError>),
}

/// What the row was last seen to be.
#[derive(Debug)]
struct Seen {
    /// `None` if there was none.
    row: Option<Row>,
    at: Duration,
    time: Timestamp,
}

/// The row of an environment. All durations are monotonic times.
#[derive(Debug)]
pub(super) struct MirroredRow {
    wanted: Wanted,
    /// What it was last seen to be, unless something happened since that may have changed it.
    seen: Option<Seen>,
    /// What is being written at the moment.
    sent: Option<Wanted>,
    is_under_way: bool,
    /// The last record that it was seen to show, and when.
    shown: Sequence,
    shown_at: Option<Timestamp>,
    behind_since: Option<Timestamp>,
    /// Whether it is known that others have changed it, since it was last seen to be right.
    is_changed_by_others: bool,
    obstacle: Option<Obstacle>,
    needs_a_person: bool,
    /// Until when a write may arrive that nobody waits for.
    unsettled_until: Duration,
    check_at: Duration,
    backoff: Backoff,
    bookmark: Bookmark,
}

impl MirroredRow {
    /// The row that should be as `wanted`, of which `cursor` is known.
    pub(super) fn open(wanted: Wanted, cursor: Option<Cursor>, clock: &dyn Clock) -> Self {
        let now = clock.monotonic();
        let begin = cursor.clone().unwrap_or_default();
        // Whoever led before has met it.
        let since = begin.obstacle.as_ref().map(|met| met.since);
        let is_behind = begin.sequence < wanted.sequence;
        Self {
            wanted,
            seen: None,
            sent: None,
            is_under_way: false,
            shown: begin.sequence,
            shown_at: begin.taken_at,
            behind_since: is_behind.then(|| since.unwrap_or_else(|| clock.now())),
            is_changed_by_others: false,
            obstacle: begin.obstacle,
            needs_a_person: false,
            unsettled_until: now + SETTLES_IN,
            check_at: now,
            backoff: Backoff::default(),
            bookmark: Bookmark::found(cursor, now),
        }
    }

    /// Says what it should say from now on.
    pub(super) fn want(&mut self, wanted: Wanted, now: Timestamp) {
        self.wanted = wanted;
        self.compare(now);
    }

    /// Compares what it was seen to say with what it should say.
    fn compare(&mut self, now: Timestamp) {
        let is_shown = self.shown >= self.wanted.sequence;
        match &self.seen {
            Some(seen) if seen.says(&self.wanted.entry) => {
                self.shown_at = Some(seen.time);
                self.behind_since = None;
                self.is_changed_by_others = false;
                self.obstacle = None;
                self.needs_a_person = false;
                self.backoff.succeeded();
                if !is_shown {
                    self.shown = self.wanted.sequence;
                    self.bookmark.turn();
                }
            }
            // Nobody has looked since it was right.
            None if is_shown && self.behind_since.is_none() => {}
            Some(_) | None => {
                self.behind_since.get_or_insert(now);
            }
        }
    }

    /// What is to be done about it at `now`, if anything is.
    pub(super) fn next(&self, now: Duration, may_add: bool) -> Option<(Urgency, Step)> {
        if self.is_under_way || !self.backoff.is_due(now) {
            return None;
        }
        let entry = &self.wanted.entry;
        match &self.seen {
            Some(seen) if seen.says(entry) => {
                (now >= self.check_at).then_some((Urgency::Check, Step::Read))
            }
            Some(Seen {
                row: Some(row), at, ..
            }) if now < *at + FRESH => Some((Urgency::Write, Step::Put(entry.within(Some(row))))),
            Some(Seen { row: None, at, .. }) if now < *at + FRESH && may_add => {
                Some((Urgency::Write, Step::Add(entry.within(None))))
            }
            Some(_) => Some((Urgency::Behind, Step::Read)),
            None if self.behind_since.is_some() => Some((Urgency::Behind, Step::Read)),
            None => Some((Urgency::Unknown, Step::Read)),
        }
    }

    /// Since when it is behind, if it is.
    pub(super) fn behind_since(&self) -> Option<Timestamp> {
        self.behind_since
    }

    /// `step` is being taken. Returns whether it is the first to put right what others have changed.
    pub(super) fn takes(&mut self, step: &Step) -> bool {
        self.is_under_way = true;
        if *step == Step::Read {
            return false;
        }
        self.sent = Some(self.wanted.clone());
        let was_right = self.shown >= self.wanted.sequence;
        let is_news = was_right && !self.is_changed_by_others;
        self.is_changed_by_others |= was_right;
        is_news
    }

    /// Takes note of what came of a step. `draw` is from 0 to 1.
    pub(super) fn take(&mut self, came: Came, may_add: bool, clock: &dyn Clock, draw: f64) {
        self.is_under_way = false;
        let sent = self.sent.take();
        match came {
            // Nothing was asked.
            Came::Read(Err(AskError::NotNow)) | Came::Written(Err(AskError::NotNow)) => return,
            Came::Read(Ok(row)) => {
                let is_missing = row.is_none();
                self.sees(row, clock);
                if is_missing && !may_add {
                    let why = format!("there is no row {}", self.wanted.entry.environment);
                    self.meet(why, clock.now());
                    self.needs_a_person = true;
                    self.backoff.failed(clock.monotonic(), None, draw);
                }
            }
            Came::Written(Ok(row)) => {
                let is_as_sent = sent.is_some_and(|sent| {
                    let is_in = sent.entry.is_in(&row);
                    if is_in {
                        self.shown = self.shown.max(sent.sequence);
                        self.bookmark.turn();
                    }
                    is_in
                });
                if is_as_sent {
                    self.sees(Some(row), clock);
                } else {
                    self.seen = None;
                    self.meet(failure::OTHER_ROW.to_owned(), clock.now());
                    self.needs_a_person = true;
                    self.backoff.failed(clock.monotonic(), None, draw);
                }
            }
            Came::Read(Err(error)) => self.fails(&error, "view", clock, draw),
            Came::Written(Err(error)) => {
                if failure::may_have_happened(&error) {
                    self.unsettled_until = clock.monotonic() + SETTLES_IN;
                }
                let is_new = matches!(self.seen, Some(Seen { row: None, .. }));
                let permission = if is_new { "add" } else { "edit" };
                self.fails(&error, permission, clock, draw);
            }
        }
        self.compare(clock.now());
    }

    /// It was seen to be `row`.
    fn sees(&mut self, row: Option<Row>, clock: &dyn Clock) {
        let now = clock.monotonic();
        self.check_at = if now < self.unsettled_until {
            self.unsettled_until
        } else {
            now + CHECK_EVERY
        };
        self.seen = Some(Seen {
            row,
            at: now,
            time: clock.now(),
        });
    }

    fn fails(&mut self, error: &AskError, permission: &str, clock: &dyn Clock, draw: f64) {
        self.seen = None;
        let permission = format!("architect:datatableRow:{permission}");
        self.meet(failure::why(error, &permission), clock.now());
        self.needs_a_person = failure::needs_a_person(error);
        let asked = failure::retry_after(error);
        self.backoff.failed(clock.monotonic(), asked, draw);
    }

    fn meet(&mut self, why: String, now: Timestamp) {
        self.obstacle = Some(Obstacle::after(self.obstacle.as_ref(), why, now));
    }

    /// Writes how it stands, if the store has to know. `of_all` is in the way of every row.
    pub(super) async fn save(
        &mut self,
        name: &str,
        of_all: Option<&Obstacle>,
        store: &Store,
        clock: &dyn Clock,
    ) -> Result<Saved, StoreError> {
        let obstacle = of_all.or(self.obstacle.as_ref()).cloned();
        if self.shown_at.is_none() && obstacle.is_none() {
            // Nothing is known that anybody could want to know.
            return Ok(Saved::Yes);
        }
        let cursor = Cursor {
            sequence: self.shown,
            taken_at: self.shown_at,
            obstacle,
        };
        self.bookmark
            .save((super::KIND, name), cursor, store, clock)
            .await
    }

    /// How far behind it is. `of_all` is in the way of every row.
    pub(super) fn lag(&self, of_all: Option<&Obstacle>, now: Timestamp) -> RowLag {
        let behind = self.behind_since.map(|since| age(since, now));
        let obstacle = of_all.or(self.obstacle.as_ref());
        RowLag {
            behind: behind.unwrap_or_default(),
            obstacle: obstacle.map(|met| met.why.clone()),
        }
    }

    /// What of it needs a person.
    pub(super) fn alarm(&self, now: Timestamp) -> Option<String> {
        let met = self.obstacle.as_ref();
        let since = [self.behind_since, met.map(|met| met.since)];
        let has_lasted = |since: Timestamp| age(since, now) >= ALARM_AFTER;
        let is_long = since.into_iter().flatten().any(has_lasted);
        let why = met.map_or("it waits for its turn to ask", |met| met.why.as_str());
        (self.needs_a_person || is_long).then(|| why.to_owned())
    }
}

impl Seen {
    fn says(&self, entry: &Entry) -> bool {
        self.row.as_ref().is_some_and(|row| entry.is_in(row))
    }
}

/// What the cursor of an environment's row in `table` is called.
#[must_use]
pub fn cursor_name(table: &DataTableId, environment: &EnvironmentName) -> String {
    format!("{table}/{environment}")
}

pub(super) fn age(since: Timestamp, now: Timestamp) -> Duration {
    now.duration_since(since).try_into().unwrap_or_default()
}
