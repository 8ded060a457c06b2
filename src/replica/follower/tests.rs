//! Journals in memory, sound and damaged.

use std::sync::LazyLock;

use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, Strategy, any, proptest};
use proptest::sample::{Index, select};
use proptest::{prop_assert_eq, prop_oneof};

use super::*;
use crate::domain::access::{AccessCommand, Grant, TokenHash};
use crate::domain::command::{Create, Cutover, Flow, Register, Rollback, SetWeight};
use crate::domain::operation::{Digest128, Operation, Operations};
use crate::domain::slot::{BySlot, Slot};
use crate::domain::weight::Weight;
use crate::domain::{Action as _, Change, Command, Context};
use crate::store::item::{Item, bytes, hash_except, number, text};
use crate::store::record::{Bridge, Draft, RecordHash, Recovered};

/// A journal as its writers wrote it.
#[derive(Debug, Default)]
struct Journal {
    entries: Vec<Entry>,
    follower: Follower,
}

impl Journal {
    fn commit<S: Stored>(&mut self, key: &str, command: &S::Command)
    where
        Follower: Tracks<S>,
    {
        let draft = self.draft::<S>(key, command);
        self.push(draft);
    }

    fn draft<S: Stored>(&self, key: &str, command: &S::Command) -> Draft
    where
        Follower: Tracks<S>,
    {
        let aggregate: AggregateKey = key.parse().unwrap();
        let tracked: Tracked<S> = self
            .follower
            .tracked(&aggregate)
            .cloned()
            .unwrap_or_default();
        let context = Context {
            frozen: None,
            now: "2026-01-05T08:00:00Z".parse().unwrap(),
            revision: Revision(1),
            sequence: Default::default(),
            draw: [7; 16],
            drain_time: std::time::Duration::ZERO,
            last_calls: Some(Default::default()),
            others: 0,
        };
        let Ok(Change::To(state)) = S::apply(tracked.state(), command, &context) else {
            panic!("{} of {key} is refused", command.action())
        };
        let document = tracked.good.as_ref().map(|good| &good.document);
        let mut operations =
            document.map_or_else(Operations::default, |document| document.operations.clone());
        let next = self.follower.position.next;
        let operation = Operation {
            id: Digest128::of(&[&next.0.to_be_bytes()]),
            request: Digest128::of(&[command.fingerprint().as_bytes()]),
            revision: tracked.revision.next(),
            sequence: next,
        };
        operations.remember(operation);
        let (format, bytes) = Document::next(document, &operations, state.as_ref(), NEWEST);
        Draft {
            aggregate,
            revision: tracked.revision.next(),
            previous: tracked.sequence,
            operation: operation.id,
            request: operation.request,
            actor: "tester".parse().unwrap(),
            action: command.action().to_owned(),
            reason: "a test".parse().unwrap(),
            at: context.now,
            format,
            row: S::row(state.as_ref()),
            state: bytes,
            bridged_from: None,
        }
    }

    fn push(&mut self, draft: Draft) {
        let record = draft.at(&self.follower.position);
        self.push_entry(Entry::Record(Box::new(record)));
    }

    fn push_entry(&mut self, entry: Entry) {
        self.entries.push(entry.clone());
        self.follower.follow(entry).unwrap();
    }

    /// Four environments and access, forty records, each aggregate changed to the end.
    fn example() -> Self {
        let mut journal = Self::default();
        let names = ["A", "B", "C", "D"].map(|name| format!("environment/{name}"));
        for name in &names {
            journal.commit::<Environment>(name, &create());
            journal.commit::<Environment>(name, &register("v2"));
        }
        for n in 0..3 {
            let create = AccessCommand::CreateToken {
                name: format!("token {n}").parse().unwrap(),
                hash: TokenHash([n; 32]),
                grant: Grant::decisions(),
                expires_at: None,
            };
            journal.commit::<Access>("access", &create);
            for (name, command) in names
                .iter()
                .zip([cutover(), weight(500), cutover(), weight(1)])
            {
                journal.commit::<Environment>(name, &command);
            }
            let back = AccessCommand::RevokeToken(TokenHash([n; 32]).id());
            for (name, command) in names
                .iter()
                .zip([rollback(), weight(0), rollback(), rollback()])
            {
                journal.commit::<Environment>(name, &command);
                journal.commit::<Environment>(name, &register(&format!("v{}", n + 3)));
            }
            journal.commit::<Access>("access", &back);
        }
        journal
    }

    fn record(&self, sequence: usize) -> &Record {
        match &self.entries[sequence - 1] {
            Entry::Record(record) => record,
            other => panic!("no record: {other:?}"),
        }
    }
}

fn create() -> Command {
    let flow = |id: &str| Flow {
        id: id.parse().unwrap(),
        name: id.parse().unwrap(),
    };
    Create {
        flows: BySlot {
            blue: flow("flow-blue"),
            green: flow("flow-green"),
        },
        active: Slot::Blue,
        flow_version: "v1".parse().unwrap(),
        interface: Default::default(),
        variables: None,
    }
    .into()
}

fn register(label: &str) -> Command {
    Register {
        published_version: None,
        slot: None,
        flow_version: label.parse().unwrap(),
        interface: Default::default(),
        force_incompatible: false,
    }
    .into()
}

fn cutover() -> Command {
    Cutover::default().into()
}

fn rollback() -> Command {
    Rollback { keep_calls: false }.into()
}

fn weight(bps: u16) -> Command {
    SetWeight {
        weight: Weight::from_bps(bps).unwrap(),
        force_incompatible: false,
    }
    .into()
}

fn environment(name: &str) -> EnvironmentName {
    name.parse().unwrap()
}

/// The revision that calls are answered from.
fn served(follower: &Follower, name: &EnvironmentName) -> Revision {
    let good = follower
        .environment(name)
        .and_then(|tracked| tracked.good.as_ref());
    good.map_or(Revision(0), |good| good.revision)
}

#[test]
fn a_sound_journal_is_followed_to_its_end() {
    let journal = Journal::example();
    let mut follower = Follower::default();
    for entry in journal.entries.clone() {
        assert_eq!(
            follower.follow(entry),
            Ok(Followed::Record(Taken::Advanced))
        );
    }
    assert_eq!(follower.environments().count(), 4);
    assert!(
        follower
            .environments()
            .all(|(_, tracked)| tracked.fault.is_none())
    );
    assert_eq!(follower.take_touched().len(), 4);
    assert_eq!(follower.take_touched().len(), 0);
}

#[test]
fn an_entry_that_is_not_the_next_changes_nothing() {
    let journal = Journal::example();
    let mut follower = Follower::default();
    follower.follow(journal.entries[0].clone()).unwrap();
    for wrong in [0, 2, 9] {
        let before = follower.position;
        let gap = follower.follow(journal.entries[wrong].clone()).unwrap_err();
        assert_eq!(
            (gap.expected, gap.found),
            (Sequence(2), Sequence(wrong as u64 + 1))
        );
        assert_eq!(follower.position, before);
    }
    follower.follow(journal.entries[1].clone()).unwrap();
}

#[test]
fn a_record_known_from_a_row_is_not_taken_twice() {
    let journal = Journal::example();
    let mut follower = journal.follower.clone();
    let before = follower.environments.clone();
    follower.position = Position::default();
    for entry in journal.entries {
        assert_eq!(follower.follow(entry), Ok(Followed::Record(Taken::Known)));
    }
    assert_eq!(follower.environments, before);
}

#[test]
fn the_row_to_finish_is_that_of_the_last_record() {
    let journal = Journal::example();
    let mut follower = Follower::default();
    for entry in journal.entries {
        let Entry::Record(record) = &entry else {
            unreachable!()
        };
        let expected = RowUpdate::Finish(record.clone());
        follower.follow(entry).unwrap();
        assert_eq!(follower.last_row, Some(expected));
    }
}

#[test]
fn an_older_revision_is_never_taken_and_its_place_is_kept() {
    let mut journal = Journal::example();
    let name = environment("A");
    let before = journal.follower.environment(&name).unwrap().clone();
    let mut draft = journal.draft::<Environment>("environment/A", &cutover());
    draft.revision = before.revision;
    journal.push(draft);
    let after = journal.follower.environment(&name).unwrap().clone();
    assert_eq!(after.good, before.good);
    assert_eq!(after.revision, before.revision);
    assert!(after.fault.is_some());
    assert_eq!(
        after.sequence, journal.follower.position.last,
        "the next names it as its previous"
    );
    journal.commit::<Environment>("environment/A", &cutover());
    assert_eq!(served(&journal.follower, &name), before.revision.next());
}

#[test]
fn a_revision_that_cannot_be_is_not_taken_and_bars_the_row() {
    let example = Journal::example();
    let name = environment("A");
    let before = example.follower.environment(&name).unwrap().clone();
    let distance = example.follower.position.next.0 - before.sequence.0;
    let known = before.revision.0;
    for (revision, is_taken) in [
        (0, false),
        (known, false),
        (known + 1, true),
        (known + distance, true),
        (known + distance + 1, false),
        (u64::MAX, false),
    ] {
        let mut journal = Journal {
            follower: example.follower.clone(),
            ..Journal::default()
        };
        let mut draft = journal.draft::<Environment>("environment/A", &cutover());
        draft.revision = Revision(revision);
        journal.push(draft);
        let after = journal.follower.environment(&name).unwrap().clone();
        assert_eq!(after.fault.is_none(), is_taken, "{revision}");
        assert_eq!(after.good != before.good, is_taken, "{revision}");
        let told = match &journal.follower.last_row {
            Some(RowUpdate::Bar { fault, .. }) => Some(fault),
            _ => None,
        };
        assert_eq!(told, after.fault.as_ref(), "{revision}");
        journal.commit::<Environment>("environment/A", &cutover());
        let healed = journal.follower.environment(&name).unwrap();
        assert_eq!(healed.revision, after.revision.next(), "{revision}");
        assert_eq!(healed.fault, None, "{revision}");
    }
}

#[test]
fn a_state_that_cannot_be_read_is_put_into_the_row_if_somebody_may_read_it_or_nothing_else_is_there()
 {
    for (key, format, is_shown) in [
        ("environment/A", NEWEST, false),
        ("environment/A", NEWEST + 1, true),
        ("environment/New", NEWEST, true),
    ] {
        let mut journal = Journal::example();
        let command = if is_shown && format == NEWEST {
            create()
        } else {
            cutover()
        };
        let mut draft = journal.draft::<Environment>(key, &command);
        (draft.format, draft.state) = (format, b"{".to_vec());
        journal.push(draft);
        let shown = matches!(journal.follower.last_row, Some(RowUpdate::Finish(_)));
        assert_eq!(shown, is_shown, "{key} in format {format}");
    }
}

#[test]
fn a_head_that_does_not_follow_the_entry_before_it_is_not_believed_at_a_start() {
    let journal = Journal::example();
    let from_rows = || Follower {
        position: Position::default(),
        ..journal.follower.clone()
    };
    let draft = journal.draft::<Environment>("environment/A", &cutover());
    let elsewhere = Position {
        hash: RecordHash([9; 32]),
        ..journal.follower.position
    };
    let forged = Entry::Record(Box::new(draft.at(&elsewhere)));
    let mut running = journal.follower.clone();
    running.follow(forged.clone()).unwrap();
    let mut started = from_rows();
    assert_eq!(
        started.start_at(journal.entries.last(), forged.clone()),
        Followed::Record(Taken::Tampered)
    );
    assert_eq!(started.position, running.position);
    assert_eq!(started.environments, running.environments);
    assert_eq!(
        from_rows().start_at(None, forged),
        Followed::Record(Taken::Advanced),
        "without that entry nobody can say"
    );
}

#[test]
fn a_changed_record_of_an_environment_that_nobody_knows_makes_none_up() {
    let mut journal = Journal::example();
    let mut draft = journal.draft::<Environment>("environment/New", &create());
    draft.reason = "changed".parse().unwrap();
    let mut record = draft.at(&journal.follower.position);
    record.is_intact = false;
    let followed = journal.follower.follow(Entry::Record(Box::new(record)));
    assert_eq!(followed, Ok(Followed::Unreadable));
    assert_eq!(journal.follower.environment(&environment("New")), None);
    assert_eq!(journal.follower.last_row, None);
}

#[test]
fn a_bridge_is_followed_to_where_it_leads_and_nowhere_else() {
    let mut journal = Journal::example();
    let bridge = Bridge::at(&journal.follower.position, Sequence(5_000));
    journal.push_entry(Entry::Bridge(bridge.clone()));
    assert!(journal.follower.is_recovering);
    let gap = {
        let mut follower = journal.follower.clone();
        let position = Position {
            next: bridge.sequence.next(),
            ..follower.position
        };
        let draft = journal.draft::<Environment>("environment/A", &cutover());
        follower
            .follow(Entry::Record(Box::new(draft.at(&position))))
            .unwrap_err()
    };
    assert_eq!(gap.expected, Sequence(5_000));
    for left in [2, 1, 0] {
        let mut draft = journal.draft::<Environment>("environment/A", &cutover());
        draft.bridged_from = Some(Recovered {
            bridge: bridge.sequence,
            left,
        });
        journal.push(draft);
        assert_eq!(journal.follower.is_recovering, left > 0, "{left} left");
    }
    assert_eq!(journal.follower.position.last, Sequence(5_002));
}

#[test]
fn whoever_remembers_what_was_lost_crosses_by_the_same_bridge() {
    let mut ahead = Journal::example();
    let mut short = Journal::default();
    for entry in &ahead.entries[..20] {
        short.push_entry(entry.clone());
    }
    ahead.commit::<Environment>("environment/A", &cutover());
    let lost = ahead
        .follower
        .environment(&environment("A"))
        .unwrap()
        .revision;
    let bridge = Bridge::at(&short.follower.position, Sequence(5_000));
    let position = Entry::Bridge(bridge.clone()).position();
    short.push_entry(Entry::Bridge(bridge));
    let mut recovered = ahead.draft::<Environment>("environment/A", &cutover());
    recovered.bridged_from = Some(Recovered {
        bridge: Sequence(21),
        left: 0,
    });
    short.push(recovered);
    ahead.follower.cross(Sequence(5_000), position);
    assert!(ahead.follower.is_recovering);
    let landing = short.entries.last().unwrap().clone();
    assert_eq!(
        ahead.follower.follow(landing),
        Ok(Followed::Record(Taken::Advanced))
    );
    assert_eq!(ahead.follower.position, short.follower.position);
    assert_eq!(served(&ahead.follower, &environment("A")), lost.next());
}

#[test]
fn a_follower_from_a_file_learns_from_the_last_entry_what_is_left_to_do() {
    let mut journal = Journal::example();
    let from_file = |follower: &Follower| Follower {
        last_row: None,
        is_recovering: false,
        ..follower.clone()
    };
    let last = journal.entries.last().unwrap().clone();
    let mut again = from_file(&journal.follower);
    again.stand_on(journal.entries[3].clone());
    assert_eq!(again.last_row, None, "not of another entry");
    again.stand_on(last);
    assert_eq!(again.last_row, journal.follower.last_row);
    assert!(!again.is_recovering);
    let bridge = Bridge::at(&journal.follower.position, Sequence(5_000));
    journal.push_entry(Entry::Bridge(bridge.clone()));
    let mut again = from_file(&journal.follower);
    again.stand_on(Entry::Bridge(bridge));
    assert!(again.is_recovering);
}

/// What is done to an item by somebody who does not make its hash fit, or by a failing disk.
#[derive(Debug, Clone)]
enum Damage {
    Remove(Index),
    Replace(Index, Attribute),
    Flip(Index, Index, u8),
    Add(&'static str, Attribute),
    /// It claims to be of another aggregate.
    Rename(&'static str),
}

#[derive(Debug, Clone)]
enum Attribute {
    Text(String),
    Number(u64),
    Bytes(Vec<u8>),
}

fn attributes() -> impl Strategy<Value = Attribute> {
    prop_oneof![
        ".{0,20}".prop_map(Attribute::Text),
        "[0-9]{1,20}".prop_map(Attribute::Text),
        any::<u64>().prop_map(Attribute::Number),
        vec(any::<u8>(), 0..20).prop_map(Attribute::Bytes),
    ]
}

fn damages() -> impl Strategy<Value = Damage> {
    let names = ["bridge_to", "bridged_from", "recovery_left", "more"];
    let aggregates = [
        "environment/A",
        "environment/New",
        "access",
        "settings",
        "foreign/",
        "environment/not a name",
    ];
    let index = any::<Index>;
    prop_oneof![
        2 => index().prop_map(Damage::Remove),
        3 => (index(), attributes()).prop_map(|(place, value)| Damage::Replace(place, value)),
        6 => (index(), index(), 1..=255_u8)
            .prop_map(|(place, within, mask)| Damage::Flip(place, within, mask)),
        2 => (select(names.to_vec()), attributes()).prop_map(|(name, value)| Damage::Add(name, value)),
        1 => select(aggregates.to_vec()).prop_map(Damage::Rename),
    ]
}

impl Attribute {
    fn put(self, item: &mut Item, name: &str) {
        let value = match self {
            Self::Text(value) => text(value),
            Self::Number(value) => number(value),
            Self::Bytes(value) => bytes(&value),
        };
        item.insert(name.to_owned(), value);
    }
}

impl Damage {
    fn apply(self, item: &mut Item) {
        let mut names: Vec<_> = item.keys().cloned().collect();
        names.retain(|name| !matches!(name.as_str(), "pk" | "sk"));
        names.sort_unstable();
        match self {
            Self::Remove(place) => drop(item.remove(place.get(&names))),
            Self::Replace(place, value) => value.put(item, place.get::<String>(&names)),
            Self::Add(name, value) => value.put(item, name),
            Self::Rename(aggregate) => Attribute::Text(aggregate.to_owned()).put(item, "aggregate"),
            Self::Flip(place, within, mask) => {
                let name = place.get(&names);
                let flip = |bytes: &[u8]| {
                    let mut bytes = bytes.to_vec();
                    if !bytes.is_empty() {
                        let place = within.index(bytes.len());
                        bytes[place] ^= mask;
                    }
                    bytes
                };
                let value = &item[name];
                if let Ok(value) = value.as_s() {
                    let flipped = flip(value.as_bytes());
                    let flipped = String::from_utf8_lossy(&flipped).into_owned();
                    Attribute::Text(flipped).put(item, name);
                } else if let Ok(value) = value.as_n() {
                    let number = value.parse::<u64>().unwrap_or_default();
                    Attribute::Number(number ^ u64::from(mask)).put(item, name);
                } else if let Ok(value) = value.as_b() {
                    let flipped = flip(value.as_ref());
                    Attribute::Bytes(flipped).put(item, name);
                }
            }
        }
    }
}

/// Follows `entries` and fails if an environment goes back on the way.
fn follow_all<'a>(follower: &mut Follower, entries: impl IntoIterator<Item = &'a Entry>) {
    for entry in entries {
        let before: Vec<_> = follower
            .environments()
            .map(|(name, _)| (name.clone(), served(follower, name)))
            .collect();
        follower.follow(entry.clone()).expect("no gap");
        for (name, revision) in before {
            assert!(served(follower, &name) >= revision, "{name} went back");
        }
    }
}

/// The example, and what its follower knew before each entry.
static EXAMPLE: LazyLock<(Journal, Vec<Follower>)> = LazyLock::new(|| {
    let journal = Journal::example();
    let mut follower = Follower::default();
    let mut before = Vec::new();
    for entry in &journal.entries {
        before.push(follower.clone());
        follower.follow(entry.clone()).unwrap();
    }
    (journal, before)
});

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// The record's own aggregate keeps its last good state until its next record; one that the record was renamed to is
    /// held up at most as long; everybody else does not notice.
    #[test]
    fn a_damaged_record_harms_nothing_but_its_own(
        place in any::<Index>(),
        damages in vec(damages(), 1..4),
    ) {
        let (journal, before) = &*EXAMPLE;
        let place = place.index(journal.entries.len());
        let (before, rest) = (&before[place], &journal.entries[place + 1..]);
        let original = journal.record(place + 1);
        let mut item = original.to_item();
        damages.into_iter().for_each(|damage| damage.apply(&mut item));
        let damaged = Entry::from_item(&item).expect("its place is left");
        let is_same = damaged == Entry::Record(Box::new(original.clone()));
        let mut follower = before.clone();
        follow_all(&mut follower, [&damaged]);
        if !is_same {
            for (name, tracked) in before.environments() {
                let found = follower.environment(name).unwrap();
                prop_assert_eq!(&found.good, &tracked.good, "{}", name);
            }
            prop_assert_eq!(&follower.access().good, &before.access().good);
        }
        // At the end every aggregate has had another change, unless the damage came after the last.
        follow_all(&mut follower, rest);
        let claimed = match &damaged {
            Entry::Record(record) => Some(&record.change.aggregate),
            _ => None,
        };
        let has_next = |key: &AggregateKey| rest.iter().any(|entry| {
            matches!(entry, Entry::Record(record) if record.change.aggregate == *key)
        });
        for (name, expected) in journal.follower.environments() {
            let key = AggregateKey::Environment(name.clone());
            let tracked = follower.environment(name).unwrap();
            let is_its_own = key == original.change.aggregate || Some(&key) == claimed;
            if !is_its_own || has_next(&key) {
                prop_assert_eq!(tracked, expected, "{}", name);
            } else if !is_same {
                let last_good = &before.environment(name).unwrap().good;
                prop_assert_eq!(&tracked.good, last_good, "{}", name);
            }
        }
        prop_assert_eq!(follower.position.next, journal.follower.position.next);
    }

    /// Somebody who makes the hash fit is noticed at the next record, whose link does not: that one is not believed either.
    #[test]
    fn a_forged_record_harms_at_most_one_more(
        place in any::<Index>(),
        damages in vec(damages(), 1..4),
    ) {
        let (journal, before) = &*EXAMPLE;
        let place = place.index(journal.entries.len());
        let rest = &journal.entries[place + 1..];
        let original = journal.record(place + 1);
        let mut item = original.to_item();
        damages.into_iter().for_each(|damage| damage.apply(&mut item));
        // A bridge with a hash that fits is a bridge.
        item.remove("bridge_to");
        let hash = RecordHash(hash_except(&item, "hash"));
        item.insert("hash".to_owned(), text(hash));
        let forged = Entry::from_item(&item).expect("its place is left");
        let mut harmed = vec![&original.change.aggregate];
        if let Entry::Record(record) = &forged {
            harmed.push(&record.change.aggregate);
        }
        if let Some(Entry::Record(next)) = rest.first() {
            harmed.push(&next.change.aggregate);
        }
        let mut follower = before[place].clone();
        follow_all(&mut follower, [&forged]);
        follow_all(&mut follower, rest);
        for (name, expected) in journal.follower.environments() {
            if !harmed.contains(&&AggregateKey::Environment(name.clone())) {
                prop_assert_eq!(follower.environment(name), Some(expected), "{}", name);
            }
        }
    }
}
