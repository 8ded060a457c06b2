//! What the answers mean for the replicas and the store behind them.

use std::time::Duration;

use serde::Deserialize;

use super::{milliseconds, unanswered};
use crate::cli::api::{Alarm, Environments, ReplicaState, Replicas};
use crate::cli::doctor::Check;
use crate::cli::doctor::probe::{Answer, Asked};

/// A read of the store that takes longer is far from it, or slow.
const SLOW_READ: Duration = Duration::from_millis(50);
/// A heartbeat is written every two seconds.
const OLD_HEARTBEAT_MS: u64 = 6_000;

/// The health of a replica, as far as it is looked at.
#[derive(Debug, Deserialize)]
struct Health {
    replica: String,
    ready: bool,
    source: Option<String>,
    store: Store,
    #[serde(default)]
    faults: Vec<Fault>,
    #[serde(default)]
    alarms: Vec<Alarm>,
}

#[derive(Debug, Deserialize)]
struct Store {
    journal_fault: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Fault {
    aggregate: String,
    why: String,
}

/// Whether the replica answers calls from the journal.
pub(in crate::cli::doctor) fn replica(health: &Answer) -> Check {
    let name = "replica";
    let Some(found) = health.as_ref().ok().and_then(Asked::read::<Health>) else {
        return unanswered(name, health);
    };
    let source = found.source.as_deref().unwrap_or("nothing");
    let fix = "see docs/operations.md, Before an outage";
    if let Some(fault) = found.store.journal_fault {
        return Check::failed(
            name,
            format!("the journal is refused: {fault}"),
            "see docs/operations.md, Alarms",
        );
    }
    if let Some(fault) = found.faults.first() {
        let detail = format!(
            "{} is not served as written: {}",
            fault.aggregate, fault.why
        );
        return Check::failed(
            name,
            detail,
            "roll back or repair it; see docs/operations.md",
        );
    }
    match (found.ready, source) {
        (true, "live") => Check::ok(
            name,
            format!("{} answers calls from the journal", found.replica),
        ),
        (true, source) => Check::failed(
            name,
            format!("calls are answered from {source}, without the store"),
            fix,
        ),
        (false, _) => Check::failed(name, "it is not ready for calls", fix),
    }
}

/// A line for each alarm.
pub(in crate::cli::doctor) fn alarms(health: &Answer) -> Vec<Check> {
    let name = "alarms";
    let Some(found) = health.as_ref().ok().and_then(Asked::read::<Health>) else {
        return vec![Check::skipped(
            name,
            "the replica's health cannot be looked at",
        )];
    };
    if found.alarms.is_empty() {
        return vec![Check::ok(name, "none is raised")];
    }
    let alarms = found.alarms.into_iter().map(|alarm| {
        let fix = format!("see {} in docs/operations.md, Alarms", alarm.condition);
        Check::failed(name, format!("{}: {}", alarm.condition, alarm.why), fix)
    });
    alarms.collect()
}

/// Whether the store is read, and how long that takes beside an answer that needs no store.
pub(in crate::cli::doctor) fn store_reads(environments: &Answer, without: Duration) -> Check {
    let name = "reads of the store";
    let Ok(asked) = environments else {
        return unanswered(name, environments);
    };
    let Some(found) = asked.read::<Environments>() else {
        return unanswered(name, environments);
    };
    if found.stale {
        return Check::failed(
            name,
            "the store does not answer the server, which answers from memory",
            "look at DynamoDB, the network and the credentials; the server's log has the error",
        );
    }
    let took = asked.took.saturating_sub(without);
    let detail = format!("a consistent read takes about {}", milliseconds(took));
    if took <= SLOW_READ {
        return Check::ok(name, detail);
    }
    Check::warning(
        name,
        detail,
        "run the server in the Region of the tables; changes and no-cache wait for such reads",
    )
}

/// Whether the server may write, by what it writes anyway.
pub(in crate::cli::doctor) fn store_writes(health: &Answer, replicas: &Answer) -> Check {
    let name = "writes to the store";
    let known = health.as_ref().ok().and_then(Asked::read::<Health>);
    let list = replicas.as_ref().ok().and_then(Asked::read::<Replicas>);
    let (Some(health), Some(list)) = (known, list) else {
        return unanswered(name, replicas);
    };
    let own = list
        .replicas
        .iter()
        .find(|one| one.replica == health.replica);
    match own {
        Some(own) if own.age_ms <= OLD_HEARTBEAT_MS => Check::ok(
            name,
            "heartbeats are written to the evidence table; the control table is written by the next change and was not tried",
        ),
        Some(own) => Check::failed(
            name,
            format!("the last heartbeat is {} s old", own.age_ms / 1_000),
            "the server needs PutItem on the evidence table; see docs/operations.md, Least privilege",
        ),
        None => Check::failed(
            name,
            "the server has written no heartbeat",
            "the server needs PutItem and Query on the evidence table; see docs/operations.md, Least privilege",
        ),
    }
}

/// Whether every replica follows, with one version of the program.
pub(in crate::cli::doctor) fn peers(replicas: &Answer) -> Check {
    let name = "replicas";
    let Some(found) = replicas.as_ref().ok().and_then(Asked::read::<Replicas>) else {
        return unanswered(name, replicas);
    };
    let of = |is: fn(&ReplicaState) -> bool| {
        let found = found.replicas.iter().filter(|one| is(one));
        found.map(|one| one.replica.as_str()).collect::<Vec<_>>()
    };
    let (live, silent) = (of(|one| one.live), of(|one| !one.live));
    let behind = of(|one| one.live && one.lag > 0);
    let mut versions: Vec<_> = found
        .replicas
        .iter()
        .filter(|one| one.live)
        .map(|one| &one.version)
        .collect();
    versions.sort();
    versions.dedup();
    let count = live.len();
    if !silent.is_empty() {
        let detail = format!("{count} live; silent: {}", silent.join(", "));
        return Check::warning(
            name,
            detail,
            "each was killed, or is cut off and answers calls by what it knew",
        );
    }
    if !behind.is_empty() {
        let detail = format!("{count} live; behind: {}", behind.join(", "));
        return Check::warning(name, detail, "look again in a moment; then at their logs");
    }
    if versions.len() > 1 {
        let detail = format!("{count} live, of {} versions", versions.len());
        return Check::warning(name, detail, "finish the upgrade");
    }
    Check::ok(name, format!("{count} live, and none behind"))
}
