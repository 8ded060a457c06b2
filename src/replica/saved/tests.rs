//! Bytes that are what was written, and bytes that are not.

use super::*;
use crate::domain::command::{Create, Flow};
use crate::domain::environment::Environment;
use crate::domain::ids::EnvironmentName;
use crate::domain::operation::{Digest128, Operations};
use crate::domain::slot::{BySlot, Slot};
use crate::domain::{Aggregate as _, Change, Command, Context};
use crate::store::format::NEWEST;
use crate::store::record::{Draft, Entry};

/// A follower of a journal with one environment, at its first revision, active in `active`.
pub(in crate::replica) fn follower(active: Slot) -> Follower {
    let flow = |name: &str| Flow {
        id: name.parse().unwrap(),
        name: name.parse().unwrap(),
    };
    let create = Command::Create(Create {
        flows: BySlot {
            blue: flow("blue"),
            green: flow("green"),
        },
        active,
        flow_version: "1".parse().unwrap(),
        interface: Default::default(),
        variables: None,
    });
    let context = Context {
        frozen: None,
        now: "2026-01-01T00:00:00Z".parse().unwrap(),
        revision: Revision(1),
        sequence: Default::default(),
        draw: [1; 16],
        drain_time: std::time::Duration::ZERO,
        last_calls: Some(Default::default()),
        others: 0,
    };
    let Ok(Change::To(Some(environment))) = Environment::apply(None, &create, &context) else {
        panic!("created")
    };
    let (format, state) = Document::next(None, &Operations::default(), Some(&environment), NEWEST);
    let draft = Draft {
        aggregate: "environment/Main_IVR".parse().unwrap(),
        revision: Revision(1),
        previous: Sequence(0),
        operation: Digest128([0; 16]),
        request: Digest128([0; 16]),
        actor: "test".parse().unwrap(),
        action: "create".to_owned(),
        reason: "test".parse().unwrap(),
        at: context.now,
        format,
        row: Environment::row(Some(&environment)),
        state,
        bridged_from: None,
    };
    let mut follower = Follower::default();
    follower
        .follow(Entry::Record(Box::new(draft.at(&Position::default()))))
        .unwrap();
    follower
}

pub(in crate::replica) fn active(follower: &Follower) -> Slot {
    let name: EnvironmentName = "Main_IVR".parse().unwrap();
    follower.environment(&name).unwrap().state().unwrap().active
}

/// `bytes` with each byte flipped in turn, and cut off before each; and what was done.
pub(in crate::replica) fn damaged(bytes: &[u8]) -> impl Iterator<Item = (String, Vec<u8>)> {
    (0..bytes.len()).flat_map(move |place| {
        let mut flipped = bytes.to_vec();
        flipped[place] ^= 1 << (place % 8);
        [
            (format!("byte {place} flipped"), flipped),
            (format!("cut before byte {place}"), bytes[..place].to_vec()),
        ]
    })
}

#[test]
fn a_file_gives_back_the_follower_that_was_saved() {
    let before = follower(Slot::Green);
    let after = Saved::from_bytes(&before.save().to_bytes())
        .unwrap()
        .restore()
        .unwrap();
    assert_eq!(after.position, before.position);
    assert_eq!(after.environments, before.environments);
    assert_eq!(after.access, before.access);
}

#[test]
fn no_flipped_bit_goes_unnoticed() {
    let bytes = follower(Slot::Green).save().to_bytes();
    for place in 0..bytes.len() {
        for bit in 0..8 {
            let mut flipped = bytes.clone();
            flipped[place] ^= 1 << bit;
            let read = Saved::from_bytes(&flipped);
            assert!(
                matches!(read, Err(SavedError::Checksum)),
                "bit {bit} of byte {place}: {read:?}"
            );
        }
    }
}

#[test]
fn a_form_that_is_not_known_is_refused_whole() {
    let saved = follower(Slot::Blue).save();
    let with = |change: fn(&mut Value)| {
        let mut json = serde_json::to_value(&saved).unwrap();
        change(&mut json);
        let saved = serde_json::from_value::<Saved>(json).unwrap();
        Saved::from_bytes(&saved.to_bytes()).unwrap().restore()
    };
    assert!(with(|_| {}).is_ok());
    let changes: [fn(&mut Value); 4] = [
        |json| json["format"] = 2.into(),
        |json| json["hash"] = "zz".into(),
        |json| json["aggregates"][0]["aggregate"] = "environment/not a name".into(),
        |json| json["aggregates"][0]["good"]["state"]["environment"]["active"] = "red".into(),
    ];
    for change in changes {
        assert!(with(change).is_err());
    }
}

#[test]
fn a_recovery_takes_from_it_what_could_be_read_and_how_far_the_history_goes() {
    let mut follower = follower(Slot::Green);
    let name: EnvironmentName = "Main_IVR".parse().unwrap();
    let known = follower.environments.get_mut(&name).unwrap();
    (known.revision, known.sequence) = (Revision(2), Sequence(7));
    known.fault = Some("record 7 cannot be read".to_owned());
    let memory = follower.save().remember().unwrap();
    let [(key, found)] = &memory.states[..] else {
        panic!("{memory:?}")
    };
    assert_eq!(*key, AggregateKey::Environment(name.clone()));
    assert_eq!(
        (found.revision, found.good_revision, found.sequence),
        (Revision(2), Revision(1), Sequence(7))
    );
    let state = Document::<Environment>::read(found.format, &found.state).unwrap();
    assert_eq!(state.state.as_ref(), follower.environments[&name].state());
    assert_eq!(found.row, Environment::row(state.state.as_ref()));
    assert_eq!(memory.last, Sequence(1));
}
