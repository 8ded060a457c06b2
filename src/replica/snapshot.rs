//! What decisions are made from: immutable, compiled for the hot path, swapped whole.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;
use jiff::Timestamp;

use super::follower::Follower;
use super::tracked::Tracked;
use crate::access::AccessTable;
use crate::domain::Environment;
use crate::domain::access::Access;
use crate::domain::decision::{Compiled, Decision};
use crate::domain::ids::{EnvironmentName, Revision, Sequence};
use crate::domain::slot::{BySlot, Slot};
use crate::store::format::Document;
use crate::store::heartbeats::Tally;
use crate::telemetry::{DecisionCounters, Metrics};

/// How fresh the state behind an answer is known to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// From a snapshot that was proved, after the request arrived, to hold every change acknowledged before.
    Validated,
    /// From the snapshot that the replica keeps up to date by polling.
    Live,
    /// From the last-good file; the store has not been read since the process started.
    LastGood,
    /// From the snapshot shipped with the deployment; there was neither a last-good file nor a store.
    Default,
}

impl Source {
    /// Every source, the freshest first.
    pub const ALL: [Self; 4] = [Self::Validated, Self::Live, Self::LastGood, Self::Default];

    /// Its name on the wire and in the metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Validated => "validated",
            Self::Live => "live",
            Self::LastGood => "last-good",
            Self::Default => "default",
        }
    }
}

/// All environments and tokens at one position of the journal.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The last journal entry in it.
    pub sequence: Sequence,
    /// The environments that exist. Operators name them, so their hash need not withstand collisions that are sought.
    pub environments: HashMap<EnvironmentName, Arc<Served>, RandomState>,
    /// The tokens.
    pub access: Arc<AccessTable>,
    /// Where it is from: the journal, or a file.
    pub source: Source,
}

/// One environment as it is served.
#[derive(Debug)]
pub struct Served {
    /// Prepared for decisions.
    pub compiled: Compiled,
    /// The state itself.
    pub environment: Environment,
    /// Its revision.
    pub revision: Revision,
    /// Sequence of the last record, which `fault` is about if there is one.
    pub sequence: Sequence,
    /// Why the last record's state is not the one served.
    pub fault: Option<String>,
    counters: [DecisionCounters; Source::ALL.len()],
    /// Since when this process is known to share calls out as it does now, and what it had decided before. One that finds the share
    /// set when it starts knows it from then on.
    shared_since: (Timestamp, Decided),
}

/// Decisions that this process has made for an environment.
#[derive(Debug, Clone, Copy)]
struct Decided {
    /// All of them, by slot.
    calls: BySlot<u64>,
    /// Those of them that were drawn by the weight.
    drawn: BySlot<u64>,
}

impl Decided {
    fn since(self, before: Self) -> Self {
        let less = |now: BySlot<u64>, before: BySlot<u64>| {
            BySlot::from_fn(|slot| now[slot].saturating_sub(before[slot]))
        };
        Self {
            calls: less(self.calls, before.calls),
            drawn: less(self.drawn, before.drawn),
        }
    }
}

impl Snapshot {
    /// The snapshot of what `follower` knows, reusing what has not changed since `previous`.
    pub(super) fn of(
        follower: &mut Follower,
        previous: Option<&Self>,
        source: Source,
        now: Timestamp,
        metrics: &Metrics,
    ) -> Self {
        let mut environments = previous
            .map(|snapshot| snapshot.environments.clone())
            .unwrap_or_default();
        for name in follower.take_touched() {
            let before = environments.get(&name).map(|before| &**before);
            match follower
                .environment(&name)
                .and_then(|tracked| Served::new(&name, tracked, before, now, metrics))
            {
                Some(served) => environments.insert(name, Arc::new(served)),
                None => environments.remove(&name),
            };
        }
        Self {
            sequence: follower.position.last,
            environments,
            access: access_table(follower, previous),
            source,
        }
    }
}

/// The tokens that `follower` knows: the table there is if they are the same, with the credentials it has verified.
fn access_table(follower: &Follower, previous: Option<&Snapshot>) -> Arc<AccessTable> {
    let nobody = Access::default();
    let access = follower.access().state().unwrap_or(&nobody);
    match previous.filter(|snapshot| snapshot.access.is_of(access)) {
        Some(snapshot) => Arc::clone(&snapshot.access),
        None => Arc::new(AccessTable::new(access)),
    }
}

impl Served {
    fn new(
        name: &EnvironmentName,
        tracked: &Tracked<Environment>,
        before: Option<&Self>,
        now: Timestamp,
        metrics: &Metrics,
    ) -> Option<Self> {
        let good = tracked.good.as_ref()?;
        let Document {
            state: Some(environment),
            ..
        } = &good.document
        else {
            return None;
        };
        let counters = Source::ALL.map(|source| metrics.decisions(name.as_str(), source.as_str()));
        let is_shared_alike = |before: &&Self| {
            let before = &before.environment;
            (before.active, before.weight) == (environment.active, environment.weight)
        };
        let shared_since = match before.filter(is_shared_alike) {
            Some(before) => before.shared_since,
            None => (now, decided(&counters)),
        };
        Some(Self {
            compiled: Compiled::new(name.clone(), good.revision, environment),
            environment: environment.clone(),
            revision: good.revision,
            sequence: tracked.sequence,
            fault: tracked.fault.clone(),
            counters,
            shared_since,
        })
    }

    /// The decisions that this process has made since it shares calls out as it does now. Calls that were being decided at that
    /// moment may be among them.
    #[must_use]
    pub fn tally(&self) -> Tally {
        let (at, before) = self.shared_since;
        let Decided { calls, drawn } = decided(&self.counters).since(before);
        let mut tally = Tally::new(self.environment.active, self.environment.weight, at);
        (tally.calls, tally.drawn) = (calls, drawn);
        tally
    }

    /// Decisions made for this environment since the process started, by slot.
    pub(super) fn decided(&self) -> BySlot<u64> {
        decided(&self.counters).calls
    }

    /// Counts a decision made from it.
    pub fn count(&self, decision: &Decision, source: Source) {
        self.counters[source as usize].count(decision.slot, decision.reason);
    }
}

fn decided(counters: &[DecisionCounters]) -> Decided {
    let sum = |count: fn(&DecisionCounters, Slot) -> u64| {
        BySlot::from_fn(|slot| counters.iter().map(|counters| count(counters, slot)).sum())
    };
    Decided {
        calls: sum(DecisionCounters::total),
        drawn: sum(DecisionCounters::drawn),
    }
}
