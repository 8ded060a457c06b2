//! What stands around environments: how fresh the page is, alarms, freeze windows, replicas.

use std::time::Duration;

use jiff::Timestamp;

use super::chapter::Chapter;
use super::session::Visitor;
use super::words::{Moment, span};
use crate::domain::access::Scope;
use crate::domain::freeze::{Freeze, Freezes, Place};
use crate::domain::ids::{FreezeNumber, Sequence};
use crate::http::Listener;
use crate::replica::{Served, Source};
use crate::store::heartbeats::Presence;

/// Age from which what a page shows is called stale: ten polls.
const STALE: Duration = Duration::from_secs(2);

/// How fresh a page is, and what is wrong with what stands behind it.
#[derive(Debug)]
pub(super) struct Freshness {
    /// When the page was made.
    pub(super) made: Moment,
    /// Why it may not be the latest.
    pub(super) stale: Option<String>,
    /// Conditions that need a person, for who may know of them: those of this replica with the reasons.
    pub(super) alarms: Vec<(String, String)>,
    /// Those of others, with the replicas.
    pub(super) alarms_elsewhere: Vec<(String, Vec<String>)>,
}

impl Freshness {
    pub(super) fn of(listener: &Listener, visitor: &Visitor) -> Self {
        let now = listener.clock.now();
        let (alarms, elsewhere) = if visitor.caller.may(Scope::Read, None) {
            let elsewhere = listener.replica.alarms_elsewhere();
            (listener.metrics.alarms.raised(), elsewhere)
        } else {
            Default::default()
        };
        let alarms = alarms.into_iter();
        Self {
            made: Moment::new(now, now),
            stale: stale(listener),
            alarms: alarms
                .map(|(alarm, why)| (alarm.as_str().to_owned(), why))
                .collect(),
            alarms_elsewhere: elsewhere.into_iter().collect(),
        }
    }
}

/// Whether the store is not being read.
pub(super) fn is_stale(listener: &Listener) -> bool {
    listener.replica.age().is_none_or(|age| age > STALE)
}

fn stale(listener: &Listener) -> Option<String> {
    if !is_stale(listener) {
        return None;
    }
    let source = listener.replica.snapshot().as_ref().map(|one| one.source);
    Some(match (listener.replica.age(), source) {
        (Some(age), _) => format!(
            "The store was last read {} ago. Calls are answered from memory; what changed since is not shown, and changes may be \
             refused.",
            span(age)
        ),
        (None, Some(Source::Default)) => {
            "The store has not been read since this process started. Calls are answered from the snapshot that it was shipped with."
                .to_owned()
        }
        (None, _) => {
            "The store has not been read since this process started. Calls are answered from the last good state on disk."
                .to_owned()
        }
    })
}

/// A freeze window.
#[derive(Debug)]
pub(super) struct Window {
    pub(super) number: FreezeNumber,
    pub(super) is_of_deployment: bool,
    pub(super) start: Moment,
    pub(super) end: Moment,
    pub(super) reason: String,
    pub(super) is_in_force: bool,
}

impl Window {
    /// The windows of an environment and of the deployment that are not over, the first to begin first.
    pub(super) fn all(listener: &Listener, served: &Served, now: Timestamp) -> Vec<Self> {
        let of_deployment = listener.replica.look(|follower| {
            let settings = follower.settings().state();
            settings.map(|settings| settings.freezes.clone())
        });
        let of_deployment = of_deployment.flatten().unwrap_or_default();
        let own = (&served.environment.freezes, Place::Environment);
        let places: [(&Freezes, Place); 2] = [own, (&of_deployment, Place::Deployment)];
        let windows = places.into_iter().flat_map(|(freezes, place)| {
            freezes
                .iter()
                .map(move |(number, freeze)| (number, freeze, place))
        });
        let mut windows: Vec<_> = windows.filter(|(_, freeze, _)| freeze.end > now).collect();
        windows.sort_by_key(|(_, freeze, _)| freeze.start);
        let windows = windows.into_iter();
        windows
            .map(|(number, freeze, place)| Self::new(number, freeze, place, now))
            .collect()
    }

    fn new(number: FreezeNumber, freeze: &Freeze, place: Place, now: Timestamp) -> Self {
        Self {
            number,
            is_of_deployment: place == Place::Deployment,
            start: Moment::new(freeze.start, now),
            end: Moment::new(freeze.end, now),
            reason: freeze.reason.to_string(),
            is_in_force: freeze.is_in_force(now),
        }
    }
}

/// A replica.
#[derive(Debug)]
pub(super) struct ReplicaRow {
    pub(super) id: String,
    pub(super) is_this: bool,
    pub(super) is_live: bool,
    /// The environment's revision that it decides by.
    pub(super) revision: String,
    /// Journal entries that it is behind this replica.
    pub(super) lag: u64,
    pub(super) sequence: u64,
    pub(super) seen: String,
    pub(super) version: String,
    pub(super) started: Moment,
    /// The alarms that it raises.
    pub(super) alarms: Vec<String>,
}

impl ReplicaRow {
    /// The replicas that have not ended in good order, for who may look at the whole deployment.
    pub(super) fn all(
        listener: &Listener,
        visitor: &Visitor,
        served: &Served,
        chapter: Option<&Chapter>,
    ) -> Option<Vec<Self>> {
        visitor.caller.may(Scope::Read, None).then_some(())?;
        let replica = &listener.replica;
        let head = replica.look(|follower| follower.position.last)?;
        let (now, monotonic) = (listener.clock.now(), listener.clock.monotonic());
        let peers = replica.peers().into_iter();
        let rows = peers.filter_map(|peer| {
            let presence = peer.presence(monotonic);
            let seen = span(monotonic.saturating_sub(peer.moved_at));
            let heartbeat = peer.heartbeat;
            (presence != Presence::Ended).then(|| Self {
                is_this: heartbeat.replica == replica.id(),
                is_live: presence == Presence::Live,
                revision: revision_at(heartbeat.sequence, served, chapter),
                lag: head.0.saturating_sub(heartbeat.sequence.0),
                sequence: heartbeat.sequence.0,
                seen,
                version: heartbeat.version,
                started: Moment::new(heartbeat.started_at, now),
                alarms: heartbeat.alarms,
                id: heartbeat.replica,
            })
        });
        Some(rows.collect())
    }
}

/// The environment's revision of a replica that has followed the journal to `sequence`, as far as it can be told.
fn revision_at(sequence: Sequence, served: &Served, chapter: Option<&Chapter>) -> String {
    if sequence >= served.sequence {
        return served.revision.to_string();
    }
    match chapter.and_then(|chapter| chapter.revision_at(sequence)) {
        Some(revision) => revision.to_string(),
        None => {
            let oldest = chapter.and_then(Chapter::oldest);
            format!("before {}", oldest.unwrap_or(served.revision))
        }
    }
}
