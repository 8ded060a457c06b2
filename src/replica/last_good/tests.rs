//! The files themselves; what a process makes of them is tested on real processes.

use super::*;
use crate::domain::command::{Create, Flow};
use crate::domain::environment::Environment;
use crate::domain::ids::EnvironmentName;
use crate::domain::operation::{Digest128, Operations};
use crate::domain::slot::BySlot;
use crate::domain::slot::Slot;
use crate::domain::{Aggregate as _, Change, Command, Context};
use crate::store::record::{Draft, Entry};

/// A follower of a journal with one environment, at its first revision, active in `active`.
fn follower(active: Slot) -> Follower {
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
        now: "2026-01-01T00:00:00Z".parse().unwrap(),
        revision: Revision(1),
        draw: [1; 16],
        drain_time: Duration::ZERO,
        others: 0,
    };
    let Ok(Change::To(Some(environment))) = Environment::apply(None, &create, &context) else {
        panic!("created")
    };
    let (format, state) = Document::next(None, &Operations::default(), Some(&environment));
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

fn active(follower: &Follower) -> Slot {
    let name: EnvironmentName = "Main_IVR".parse().unwrap();
    follower.environment(&name).unwrap().state().unwrap().active
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
fn a_flipped_or_missing_byte_anywhere_falls_back_to_the_generation_before() {
    let directory = tempfile::tempdir().unwrap();
    let files = Files::within(directory.path());
    assert!(files.read().is_none());
    files.write(&follower(Slot::Blue).save()).unwrap();
    files.write(&follower(Slot::Green).save()).unwrap();
    assert_eq!(active(&files.read().unwrap()), Slot::Green);

    let current = directory.path().join(CURRENT);
    let bytes = fs::read(&current).unwrap();
    for place in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[place] ^= 1 << (place % 8);
        fs::write(&current, &flipped).unwrap();
        assert_eq!(
            active(&files.read().expect("the generation before")),
            Slot::Blue,
            "byte {place} flipped"
        );
        fs::write(&current, &bytes[..place]).unwrap();
        assert_eq!(
            active(&files.read().expect("the generation before")),
            Slot::Blue,
            "cut at byte {place}"
        );
    }
    fs::write(&current, &bytes).unwrap();
    assert_eq!(active(&files.read().unwrap()), Slot::Green);
}

#[test]
fn a_crash_between_the_two_renames_leaves_the_generation_before() {
    let directory = tempfile::tempdir().unwrap();
    let files = Files::within(directory.path());
    files.write(&follower(Slot::Blue).save()).unwrap();
    fs::rename(
        directory.path().join(CURRENT),
        directory.path().join(PREVIOUS),
    )
    .unwrap();
    fs::write(directory.path().join(UNFINISHED), b"{\"format\":1").unwrap();
    assert_eq!(active(&files.read().unwrap()), Slot::Blue);
}

#[test]
fn a_directory_that_cannot_be_written_to_is_an_error_and_not_a_panic() {
    let files = Files::within(Path::new("/nonexistent"));
    assert!(files.write(&follower(Slot::Blue).save()).is_err());
    assert!(files.read().is_none());
}
