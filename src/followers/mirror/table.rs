//! The table itself: whether it is there and has the columns. No row is asked for before that is known, and none is written while it
//! is not so: what is wrong is told once, and not as a riddle for each row.

use std::time::Duration;

use jiff::Timestamp;

use super::failure;
use super::row::{ALARM_AFTER, CHECK_EVERY, age};
use crate::clock::Clock;
use crate::followers::backoff::Backoff;
use crate::genesys::client::AskError;
use crate::genesys::data_table::DataTable;
use crate::store::cursors::Obstacle;

/// How often it is looked at for a row that is not there, at the most.
const DOUBTED_EVERY: Duration = Duration::from_secs(60);

/// What is known of the table. All durations are monotonic times.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// When it was last found to be right; `None` if it was not, or nobody has looked.
    right_at: Option<Duration>,
    is_doubted: bool,
    is_under_way: bool,
    obstacle: Option<Obstacle>,
    needs_a_person: bool,
    backoff: Backoff,
}

impl Table {
    /// Whether rows can be written.
    pub(super) fn is_right(&self) -> bool {
        self.right_at.is_some()
    }

    /// Whether it is time to look at it.
    pub(super) fn is_due(&self, now: Duration) -> bool {
        let age = self.right_at.map(|at| now.saturating_sub(at));
        let is_old = match age {
            Some(age) => age >= CHECK_EVERY || self.is_doubted && age >= DOUBTED_EVERY,
            None => true,
        };
        is_old && !self.is_under_way && self.backoff.is_due(now)
    }

    /// A row is not there: the whole table may be gone.
    pub(super) fn doubt(&mut self) {
        self.is_doubted = true;
    }

    /// It is being looked at.
    pub(super) fn asks(&mut self) {
        self.is_under_way = true;
    }

    /// Takes note of what was found. `draw` is from 0 to 1.
    pub(super) fn take(
        &mut self,
        found: Result<Option<DataTable>, AskError>,
        clock: &dyn Clock,
        draw: f64,
    ) {
        self.is_under_way = false;
        let now = clock.monotonic();
        match found {
            Err(AskError::NotNow) => {}
            Ok(Some(table)) if table.wrong.is_empty() => {
                *self = Self {
                    right_at: Some(now),
                    ..Self::default()
                };
            }
            Ok(Some(table)) => {
                let wrong = table.wrong.iter().map(ToString::to_string);
                let why = format!("the table: {}", wrong.collect::<Vec<_>>().join(", "));
                self.is_wrong(why, clock, draw);
            }
            Ok(None) => {
                let why = "there is no such table, or the client may not see it: compare its id and division";
                self.is_wrong(why.to_owned(), clock, draw);
            }
            Err(error @ AskError::Forbidden) => {
                self.is_wrong(
                    failure::why(&error, "architect:datatable:view"),
                    clock,
                    draw,
                );
            }
            // What was right is taken to be so while it cannot be looked at; the rows tell more.
            Err(error) => {
                if !self.is_right() {
                    self.meet(format!("the table: {error}"), clock.now());
                    self.needs_a_person = failure::needs_a_person(&error);
                }
                self.backoff.failed(now, failure::retry_after(&error), draw);
            }
        }
    }

    fn is_wrong(&mut self, why: String, clock: &dyn Clock, draw: f64) {
        self.right_at = None;
        self.meet(why, clock.now());
        self.needs_a_person = true;
        self.backoff.failed(clock.monotonic(), None, draw);
    }

    fn meet(&mut self, why: String, now: Timestamp) {
        self.obstacle = Some(Obstacle::after(self.obstacle.as_ref(), why, now));
    }

    /// What is in the way of every row.
    pub(super) fn obstacle(&self) -> Option<&Obstacle> {
        self.obstacle.as_ref()
    }

    /// What of it needs a person.
    pub(super) fn alarm(&self, now: Timestamp) -> Option<String> {
        let met = self.obstacle.as_ref()?;
        let is_long = age(met.since, now) >= ALARM_AFTER;
        (self.needs_a_person || is_long).then(|| met.why.clone())
    }
}
