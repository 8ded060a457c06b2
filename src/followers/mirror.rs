//! The mirror: the data table that the Traffic Cop flow falls back to says what the journal says.
//!
//! - *By state, not by event.* What a row should say is what the environment is now, and what it says is read, not remembered. So
//!   changes in quick succession are written as one, and none is lost to a crash, an error or a day of absence: as long as a row is
//!   wrong there is something to do. How far each row has come is a cursor, for people and for whoever leads next; nothing depends on it.
//! - *Never back for long.* Before anything is written the journal is read to its end. A row has one request under way. A write that
//!   arrives late, of whoever led before or of our own, is found and put right: every row is read when this process begins to lead, once
//!   writes under way have settled, and every ten minutes. What people have edited is put right and counted.
//! - *Creates nothing.* A table that is missing, or lacks a column, is an obstacle; a row that is missing too, unless rows may be added.
//!   The row of an environment that was deleted stays as it is.

mod failure;
mod row;
mod table;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::task::JoinSet;

pub use row::cursor_name;

use self::row::{Came, MirroredRow, Step, Wanted};
use self::table::Table;
use super::Task;
use super::bookmark::Saved;
use crate::clock::Clock;
use crate::dice;
use crate::domain::ids::{DataTableId, EnvironmentName};
use crate::genesys::budget::Budget;
use crate::genesys::client::{AskError, Client};
use crate::genesys::data_table::{DataTable, Entry};
use crate::replica::{CatchUpError, Replica};
use crate::store::StoreError;
use crate::store::lease::Held;
use crate::telemetry::{Alarm, Metrics};

/// What its cursors and its lease are called.
pub const KIND: &str = "mirror";

/// Requests under way at once, at the most.
const MOST_AT_ONCE: usize = 4;
/// Rows that an alarm names, at the most.
const MOST_NAMED: usize = 5;

/// Where rows are kept, and what may be done there.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The table.
    pub table: DataTableId,
    /// Whether rows that are missing are added.
    pub may_add_rows: bool,
}

/// Keeps the rows of a data table as the journal has them.
#[derive(Debug)]
pub struct Mirror {
    replica: Arc<Replica>,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    client: Arc<Client>,
    settings: Settings,
    /// Our share of the client's requests: half, so that looks at flows before a change find room.
    share: Budget,
    table: Table,
    rows: BTreeMap<EnvironmentName, (Opening, MirroredRow)>,
    openings: Opening,
    under_way: JoinSet<Back>,
    /// What came back of those and was not taken in yet.
    back: Vec<Back>,
}

/// Tells a row from one that was opened before under the same name.
type Opening = u64;

/// What came back.
#[derive(Debug)]
enum Back {
    Table(Result<Option<DataTable>, AskError>),
    Row(EnvironmentName, Opening, Came),
}

impl Mirror {
    /// The mirror of what `replica` follows, through `client`.
    #[must_use]
    pub fn new(
        replica: Arc<Replica>,
        clock: Arc<dyn Clock>,
        metrics: Metrics,
        client: Arc<Client>,
        settings: Settings,
    ) -> Self {
        let share = Budget::of((client.requests_per_minute() / 2).max(1));
        Self {
            replica,
            clock,
            metrics,
            client,
            settings,
            share,
            table: Table::default(),
            rows: BTreeMap::new(),
            openings: 0,
            under_way: JoinSet::new(),
            back: Vec::new(),
        }
    }

    /// What the rows should say, as this process knows.
    fn wanted(&self) -> BTreeMap<EnvironmentName, Wanted> {
        let found = self.replica.look(|follower| {
            let wanted = follower.environments().filter_map(|(name, tracked)| {
                let revision = tracked.good.as_ref()?.revision;
                let entry = Entry::of(name, tracked.state()?, revision);
                let sequence = tracked.sequence;
                Some((name.clone(), Wanted { sequence, entry }))
            });
            wanted.collect()
        });
        found.unwrap_or_default()
    }

    /// Says to every row what it should be, forgets those of environments that are gone, and finds out how new ones stand.
    async fn open(&mut self) -> Result<(), StoreError> {
        let mut wanted = self.wanted();
        self.rows.retain(|name, _| wanted.contains_key(name));
        let now = self.clock.now();
        for (name, (_, row)) in &mut self.rows {
            if let Some(wanted) = wanted.remove(name) {
                row.want(wanted, now);
            }
        }
        if wanted.is_empty() {
            return Ok(());
        }
        let mut cursors = self.replica.store().cursors(KIND).await?;
        for (name, wanted) in wanted {
            let cursor = cursors.remove(&cursor_name(&self.settings.table, &name));
            let row = MirroredRow::open(wanted, cursor, &*self.clock);
            self.openings += 1;
            self.rows.insert(name, (self.openings, row));
        }
        Ok(())
    }

    /// Takes in what has come back.
    fn take_back(&mut self) {
        while let Some(joined) = self.under_way.try_join_next() {
            match joined {
                Ok(back) => self.back.push(back),
                // A bug, and nobody knows whose request it was: all begin again with a look.
                Err(_) => return self.rest(),
            }
        }
        for back in std::mem::take(&mut self.back) {
            let draw = dice::share();
            match back {
                Back::Table(found) => {
                    self.count("table", found.as_ref().err());
                    self.table.take(found, &*self.clock, draw);
                }
                Back::Row(name, opening, came) => {
                    self.note(&name, &came);
                    let row = self.rows.get_mut(&name);
                    if let Some((_, row)) = row.filter(|(own, _)| *own == opening) {
                        row.take(came, self.settings.may_add_rows, &*self.clock, draw);
                    }
                }
            }
        }
    }

    /// Counts what came, and doubts the table of a row that is not there.
    fn note(&mut self, name: &EnvironmentName, came: &Came) {
        let (request, error) = match came {
            Came::Read(read) => ("read", read.as_ref().err()),
            Came::Written(written) => ("write", written.as_ref().err()),
        };
        self.count(request, error);
        if let Some(error) = error {
            tracing::debug!(environment = %name, request, %error, "a row of the data table");
        }
        let is_gone = error.is_some_and(failure::is_not_found);
        if is_gone || matches!(came, Came::Read(Ok(None))) {
            self.table.doubt();
        }
    }

    fn count(&self, request: &'static str, error: Option<&AskError>) {
        let outcome = error.map_or("answered", failure::outcome);
        self.metrics.followers.mirror_request(request, outcome);
    }

    /// What is to be done about rows, the most urgent first.
    fn plan(&self) -> Vec<(EnvironmentName, Step)> {
        if !self.table.is_right() {
            return Vec::new();
        }
        let now = self.clock.monotonic();
        let due = self.rows.iter().filter_map(|(name, (_, row))| {
            let (urgency, step) = row.next(now, self.settings.may_add_rows)?;
            let since = row.behind_since().unwrap_or(Timestamp::MAX);
            Some(((urgency, since), name, step))
        });
        let mut due: Vec<_> = due.collect();
        due.sort_by_key(|(order, name, _)| (*order, *name));
        let steps = due.into_iter();
        steps.map(|(_, name, step)| (name.clone(), step)).collect()
    }

    /// Whether another request may be sent; it is counted as ours then.
    fn takes_turn(&mut self, held: &Held) -> bool {
        let now = self.clock.monotonic();
        held.is_valid(now)
            && self.under_way.len() < MOST_AT_ONCE
            && self.client.may_ask()
            && self.share.take(now)
    }

    /// Begins as much as may be done now.
    async fn advance(&mut self, held: &Held) -> Result<(), StoreError> {
        if self.table.is_due(self.clock.monotonic()) && self.takes_turn(held) {
            self.table.asks();
            let (client, table) = (Arc::clone(&self.client), self.settings.table.clone());
            self.under_way
                .spawn(async move { Back::Table(client.data_table(&table).await) });
        }
        let mut plan = self.plan();
        if plan.iter().any(|(_, step)| *step != Step::Read) {
            // A row is never taken back to what this process happens to know: it knows all that there is.
            let end = self.replica.catch_up().await;
            end.map_err(unavailable)?;
            self.open().await?;
            plan = self.plan();
        }
        for (name, step) in plan {
            if !self.takes_turn(held) {
                break;
            }
            self.begin(name, step);
        }
        Ok(())
    }

    fn begin(&mut self, name: EnvironmentName, step: Step) {
        let Some((opening, row)) = self.rows.get_mut(&name) else {
            return;
        };
        if row.takes(&step) {
            tracing::warn!(environment = %name, "a row of the data table that others have changed is put right");
            self.metrics.followers.mirror_correction(name.as_str());
        }
        let opening = *opening;
        let (client, table) = (Arc::clone(&self.client), self.settings.table.clone());
        self.under_way.spawn(async move {
            let came = match step {
                Step::Read => Came::Read(client.row(&table, &name).await),
                Step::Put(row) => Came::Written(client.put_row(&table, &name, &row).await),
                Step::Add(row) => Came::Written(client.add_row(&table, &name, &row).await),
            };
            Back::Row(name, opening, came)
        });
    }

    /// Writes how the rows stand, as far as the store has to know.
    async fn save(&mut self) -> Result<(), StoreError> {
        let (store, of_all) = (self.replica.store(), self.table.obstacle());
        let mut overtaken = Vec::new();
        let mut failed = None;
        for (name, (_, row)) in &mut self.rows {
            let cursor = cursor_name(&self.settings.table, name);
            match row.save(&cursor, of_all, store, &*self.clock).await {
                Ok(Saved::Yes) => {}
                Ok(Saved::Overtaken) => overtaken.push(name.clone()),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        for name in overtaken {
            self.rows.remove(&name);
        }
        failed.map_or(Ok(()), Err)
    }

    /// Says how far behind every row is.
    fn tell(&self) {
        let (of_all, now) = (self.table.obstacle(), self.clock.now());
        let lags = self.rows.iter();
        let lags = lags.map(|(name, (_, row))| (name.to_string(), row.lag(of_all, now)));
        self.metrics.followers.set_rows(lags.collect());
        self.metrics.alarms.set(Alarm::DataTable, self.alarm(now));
    }

    fn alarm(&self, now: Timestamp) -> Option<String> {
        if let Some(why) = self.table.alarm(now) {
            return Some(why);
        }
        let alarms = self.rows.iter().filter_map(|(name, (_, row))| {
            let why = row.alarm(now)?;
            Some(format!("{name}: {why}"))
        });
        let mut alarms: Vec<_> = alarms.collect();
        if alarms.len() > MOST_NAMED {
            let more = format!("and {} more", alarms.len() - MOST_NAMED);
            alarms.truncate(MOST_NAMED);
            alarms.push(more);
        }
        (!alarms.is_empty()).then(|| alarms.join("; "))
    }
}

impl Task for Mirror {
    const NAME: &'static str = KIND;

    fn is_needed(&self) -> bool {
        let has_some = self.replica.look(|follower| {
            let mut environments = follower.environments();
            environments.any(|(_, tracked)| tracked.state().is_some())
        });
        has_some.unwrap_or(false)
    }

    async fn attend(&mut self, held: &Held) -> Result<(), StoreError> {
        self.take_back();
        self.open().await?;
        let advanced = self.advance(held).await;
        let saved = self.save().await;
        self.tell();
        advanced.and(saved)
    }

    async fn progress(&mut self) {
        match self.under_way.join_next().await {
            Some(Ok(back)) => self.back.push(back),
            Some(Err(_)) => self.rest(),
            None => std::future::pending().await,
        }
    }

    fn rest(&mut self) {
        self.under_way = JoinSet::new();
        self.back.clear();
        self.rows.clear();
        self.table = Table::default();
        self.metrics.followers.set_rows(BTreeMap::new());
        self.metrics.alarms.set(Alarm::DataTable, None);
    }
}

fn unavailable(error: CatchUpError) -> StoreError {
    match error {
        CatchUpError::Store(error) => error,
        CatchUpError::Journal(fault) => StoreError::Unavailable(fault.to_string()),
    }
}
