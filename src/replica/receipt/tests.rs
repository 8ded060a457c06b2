use jiff::Timestamp;

use super::*;
use crate::store::heartbeats::Heartbeat;

/// The change that every test here is about.
const CHANGE: Sequence = Sequence(7);
const OWN: &str = "own";

/// What replicas say, look by look, and the ledger that takes it in.
struct Desk {
    peers: Peers,
    ledger: Ledger,
    beat: u64,
}

/// What a replica says in one look.
#[derive(Clone, Copy)]
enum Says {
    /// That it has applied so much.
    At(u64),
    /// What it said before: its heartbeat does not move.
    Nothing,
    /// That it ends, having applied so much.
    Ends(u64),
}

impl Desk {
    /// A ledger of a commit at the second 100.
    fn open() -> Self {
        Self {
            peers: Peers::default(),
            ledger: Ledger::new(CHANGE, Duration::from_secs(100)),
            beat: 0,
        }
    }

    /// Only reads heartbeats.
    fn read(&mut self, ms: u64, all: &[(&str, Says)]) {
        self.beat += 1;
        let heartbeats = all.iter().map(|(replica, says)| {
            let before = self.peers.get(replica).map(|peer| peer.heartbeat.clone());
            let (sequence, has_ended) = match (says, before) {
                (Says::Nothing, Some(before)) => return before,
                (Says::Nothing, None) => (0, false),
                (Says::At(sequence), _) => (*sequence, false),
                (Says::Ends(sequence), _) => (*sequence, true),
            };
            Heartbeat {
                replica: (*replica).to_owned(),
                beat: self.beat,
                sequence: Sequence(sequence),
                newest_format: 1,
                version: "0".to_owned(),
                started_at: Timestamp::UNIX_EPOCH,
                written_at: Timestamp::UNIX_EPOCH,
                has_ended,
                calls: Default::default(),
                tallies: None,
                alarms: Vec::new(),
            }
        });
        let heartbeats = heartbeats.collect();
        self.peers.observe(heartbeats, Duration::from_millis(ms));
    }

    /// Reads heartbeats for the ledger; this replica has the change at once.
    fn look(&mut self, ms: u64, all: &[(&str, Says)]) {
        self.read(ms, all);
        let now = Duration::from_millis(ms);
        self.ledger.take_own(OWN, CHANGE, now);
        self.ledger.take_others(&self.peers, OWN, now);
    }

    fn is_settled(&self) -> bool {
        self.ledger.is_settled()
    }

    fn receipt(self) -> (Status, Vec<(String, Standing)>) {
        let receipt = self.ledger.close();
        let replicas = receipt.replicas.into_iter();
        (
            receipt.status,
            replicas
                .map(|confirmation| (confirmation.replica, confirmation.standing))
                .collect(),
        )
    }
}

fn acknowledged(ms: u64) -> Standing {
    Standing::Acknowledged(Duration::from_millis(ms))
}

fn named<const N: usize>(replicas: [(&str, Standing); N]) -> Vec<(String, Standing)> {
    replicas
        .map(|(replica, standing)| (replica.to_owned(), standing))
        .into()
}

#[test]
fn each_replica_is_named_with_the_time_until_it_was_first_seen_to_have_the_change() {
    let mut desk = Desk::open();
    desk.look(100_010, &[("a", Says::At(6)), ("b", Says::At(7))]);
    assert!(!desk.is_settled());
    desk.look(100_250, &[("a", Says::At(9)), ("b", Says::At(9))]);
    assert!(desk.is_settled());
    let replicas = [
        ("a", acknowledged(250)),
        ("b", acknowledged(10)),
        (OWN, acknowledged(10)),
    ];
    assert_eq!(desk.receipt(), (Status::All, named(replicas)));
}

#[test]
fn without_a_look_that_began_after_the_commit_nothing_is_known() {
    let mut desk = Desk::open();
    desk.read(99_000, &[("a", Says::At(9))]);
    desk.ledger
        .take_own(OWN, CHANGE, Duration::from_millis(100_001));
    assert!(!desk.is_settled());
    assert_eq!(
        desk.receipt(),
        (Status::Unknown, named([(OWN, acknowledged(1))]))
    );
}

#[test]
fn a_replica_that_does_not_follow_is_unconfirmed() {
    let mut desk = Desk::open();
    for ms in [100_010, 102_000] {
        desk.look(ms, &[("cut off", Says::At(6))]);
        assert!(!desk.is_settled());
    }
    let replicas = [("cut off", Standing::Unconfirmed), (OWN, acknowledged(10))];
    assert_eq!(desk.receipt(), (Status::Unconfirmed, named(replicas)));
}

#[test]
fn a_replica_that_dies_meanwhile_is_unconfirmed_and_holds_up_nobody() {
    let mut desk = Desk::open();
    desk.look(100_010, &[("a", Says::At(6))]);
    desk.look(106_009, &[("a", Says::Nothing)]);
    assert!(!desk.is_settled());
    desk.look(106_010, &[("a", Says::Nothing)]);
    assert!(desk.is_settled());
    let replicas = [("a", Standing::Unconfirmed), (OWN, acknowledged(10))];
    assert_eq!(desk.receipt(), (Status::Unconfirmed, named(replicas)));
}

#[test]
fn a_replica_whose_heartbeat_vanishes_is_unconfirmed_and_holds_up_nobody() {
    let mut desk = Desk::open();
    desk.look(100_010, &[("a", Says::At(6))]);
    desk.look(100_050, &[]);
    assert!(desk.is_settled());
    assert_eq!(desk.receipt().0, Status::Unconfirmed);
}

#[test]
fn a_replica_that_was_thought_lost_and_moves_again_is_awaited_again() {
    let mut desk = Desk::open();
    desk.look(100_010, &[("a", Says::At(6))]);
    desk.look(107_000, &[("a", Says::Nothing)]);
    desk.look(107_040, &[("a", Says::At(6))]);
    assert!(!desk.is_settled());
    desk.look(107_080, &[("a", Says::At(7))]);
    assert!(desk.is_settled());
    let replicas = [("a", acknowledged(7_080)), (OWN, acknowledged(10))];
    assert_eq!(desk.receipt(), (Status::All, named(replicas)));
}

#[test]
fn a_replica_that_starts_meanwhile_is_awaited() {
    let mut desk = Desk::open();
    desk.read(90_000, &[]);
    desk.look(100_010, &[("new", Says::At(0))]);
    assert!(!desk.is_settled());
    desk.look(100_050, &[("new", Says::At(7))]);
    assert!(desk.is_settled());
}

#[test]
fn a_replica_that_ends_in_good_order_is_not_awaited_and_not_named() {
    let mut desk = Desk::open();
    desk.look(
        100_010,
        &[("before", Says::Ends(6)), ("meanwhile", Says::At(6))],
    );
    assert!(!desk.is_settled());
    desk.look(
        100_050,
        &[("before", Says::Nothing), ("meanwhile", Says::Ends(6))],
    );
    assert!(desk.is_settled());
    assert_eq!(
        desk.receipt(),
        (Status::All, named([(OWN, acknowledged(10))]))
    );
}

#[test]
fn a_replica_that_had_been_silent_is_named_unless_it_had_the_change() {
    let mut desk = Desk::open();
    desk.read(93_000, &[("far", Says::At(8)), ("behind", Says::At(3))]);
    desk.look(
        100_010,
        &[("far", Says::Nothing), ("behind", Says::Nothing)],
    );
    assert!(desk.is_settled());
    let replicas = [("behind", Standing::Silent), (OWN, acknowledged(10))];
    assert_eq!(desk.receipt(), (Status::All, named(replicas)));
}

#[test]
fn this_replica_is_awaited_until_a_restart_would_serve_the_change() {
    let mut desk = Desk::open();
    desk.read(100_010, &[]);
    let now = Duration::from_millis(100_010);
    desk.ledger.take_own(OWN, Sequence(6), now);
    desk.ledger.take_others(&desk.peers, OWN, now);
    assert!(!desk.is_settled());
    assert_eq!(
        desk.receipt(),
        (Status::Unconfirmed, named([(OWN, Standing::Unconfirmed)]))
    );
}
