//! The replicas as one reader has seen them, judged by its own monotonic clock alone.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Heartbeat, LIVE_FOR};

/// The replicas that a reader knows of.
#[derive(Debug, Default)]
pub struct Peers(BTreeMap<String, Peer>);

/// A replica as the reader has last seen it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// What it said of itself.
    pub heartbeat: Heartbeat,
    /// When the reader first saw this heartbeat.
    pub moved_at: Duration,
}

/// What a reader can say of a replica's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// Its heartbeat moved lately.
    Live,
    /// Its heartbeat stopped without a word: it was killed, or it is cut off and answers calls by what it knew.
    Silent,
    /// It said that it ended.
    Ended,
}

impl Peer {
    /// What can be said of it at `now` (monotonic).
    #[must_use]
    pub fn presence(&self, now: Duration) -> Presence {
        if self.heartbeat.has_ended {
            Presence::Ended
        } else if now.saturating_sub(self.moved_at) < LIVE_FOR {
            Presence::Live
        } else {
            Presence::Silent
        }
    }
}

impl Peers {
    /// Takes in what the table held at `now` (monotonic).
    pub fn observe(&mut self, heartbeats: Vec<Heartbeat>, now: Duration) {
        let mut before = std::mem::take(&mut self.0);
        for heartbeat in heartbeats {
            let seen = before.remove(&heartbeat.replica);
            let has_moved = seen
                .as_ref()
                .is_none_or(|seen| seen.heartbeat.beat != heartbeat.beat);
            // A first sight counts as a movement: a replica that starts must not be passed over, and a reader that has just
            // started itself cannot tell and counts all that it finds.
            let moved_at = seen
                .filter(|_| !has_moved)
                .map_or(now, |seen| seen.moved_at);
            self.0.insert(
                heartbeat.replica.clone(),
                Peer {
                    heartbeat,
                    moved_at,
                },
            );
        }
    }

    /// Every replica that has a heartbeat in the table, in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = &Peer> {
        self.0.values()
    }

    /// The replica of this id.
    #[must_use]
    pub fn get(&self, replica: &str) -> Option<&Peer> {
        self.0.get(replica)
    }

    /// The heartbeats of the replicas that are alive at `now` (monotonic).
    pub fn live(&self, now: Duration) -> impl Iterator<Item = &Heartbeat> {
        self.iter()
            .filter(move |peer| peer.presence(now) == Presence::Live)
            .map(|peer| &peer.heartbeat)
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::domain::ids::Sequence;

    /// A heartbeat of a replica that has followed the journal to the entry of the same number.
    fn heartbeat(replica: &str, beat: u64) -> Heartbeat {
        Heartbeat {
            replica: replica.to_owned(),
            beat,
            sequence: Sequence(beat),
            newest_format: 1,
            version: "0".to_owned(),
            started_at: Timestamp::UNIX_EPOCH,
            written_at: Timestamp::UNIX_EPOCH,
            has_ended: false,
            calls: Default::default(),
            tallies: None,
            alarms: Vec::new(),
        }
    }

    fn live(peers: &Peers, seconds: u64) -> Vec<&str> {
        peers
            .live(Duration::from_secs(seconds))
            .map(|beat| beat.replica.as_str())
            .collect()
    }

    #[test]
    fn a_young_reader_counts_all_and_an_old_one_only_those_it_saw_move() {
        let mut peers = Peers::default();
        peers.observe(
            vec![heartbeat("alive", 1), heartbeat("dead", 9)],
            Duration::ZERO,
        );
        assert_eq!(live(&peers, 5), ["alive", "dead"]);
        for second in 1..=7 {
            peers.observe(
                vec![heartbeat("alive", 1 + second), heartbeat("dead", 9)],
                Duration::from_secs(second),
            );
        }
        assert_eq!(live(&peers, 7), ["alive"]);
        assert_eq!(live(&peers, 12), ["alive"]);
        assert_eq!(live(&peers, 13), [""; 0]);
    }

    #[test]
    fn a_replica_that_starts_later_is_alive_from_its_first_heartbeat_on() {
        let mut peers = Peers::default();
        peers.observe(vec![], Duration::ZERO);
        peers.observe(vec![heartbeat("new", 1)], Duration::from_secs(10));
        assert_eq!(live(&peers, 10), ["new"]);
        peers.observe(vec![heartbeat("new", 1)], Duration::from_secs(15));
        assert_eq!(live(&peers, 15), ["new"]);
        assert_eq!(live(&peers, 16), [""; 0]);
    }

    #[test]
    fn a_replica_that_ends_is_gone_at_once_and_one_that_falls_silent_is_not() {
        let mut peers = Peers::default();
        let ended = Heartbeat {
            has_ended: true,
            ..heartbeat("ended", 2)
        };
        peers.observe(vec![ended, heartbeat("silent", 1)], Duration::ZERO);
        let presence = |replica: &str, seconds| {
            let peer = peers.get(replica).expect("it has a heartbeat");
            peer.presence(Duration::from_secs(seconds))
        };
        assert_eq!(presence("ended", 0), Presence::Ended);
        assert_eq!(presence("silent", 5), Presence::Live);
        assert_eq!(presence("silent", 6), Presence::Silent);
        assert_eq!(live(&peers, 0), ["silent"]);
    }
}
