//! The files themselves; what a process makes of them is tested on real processes.

use super::*;
use crate::domain::slot::Slot;
use crate::replica::saved::tests::{active, damaged, follower};

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
    for (what, damaged) in damaged(&bytes) {
        fs::write(&current, damaged).unwrap();
        let before = files.read().expect("the generation before");
        assert_eq!(active(&before), Slot::Blue, "{what}");
    }
    fs::write(&current, &bytes).unwrap();
    assert_eq!(active(&files.read().unwrap()), Slot::Green);
}

#[test]
fn of_two_damaged_generations_nothing_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let files = Files::within(directory.path());
    for active in [Slot::Blue, Slot::Green] {
        files.write(&follower(active).save()).unwrap();
    }
    let [current, previous] = [CURRENT, PREVIOUS].map(|name| directory.path().join(name));
    let [bytes, older] = [&current, &previous].map(|path| fs::read(path).unwrap());
    for ((what, current_damaged), (_, previous_damaged)) in damaged(&bytes).zip(damaged(&older)) {
        fs::write(&current, current_damaged).unwrap();
        fs::write(&previous, previous_damaged).unwrap();
        assert!(files.read().is_none(), "{what}");
    }
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
