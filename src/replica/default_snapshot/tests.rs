//! Files that are used whole or not at all.

use super::*;
use crate::domain::slot::Slot;
use crate::replica::saved::tests::{active, damaged, follower};

#[test]
fn a_flipped_or_missing_byte_anywhere_makes_a_default_snapshot_useless_and_not_wrong() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("default.snapshot");
    assert!(matches!(read(&file), Err(SavedError::Io(_))));
    let bytes = follower(Slot::Green).save().to_bytes();
    for (what, damaged) in damaged(&bytes) {
        fs::write(&file, damaged).unwrap();
        let read = read(&file);
        assert!(
            matches!(read, Err(SavedError::Checksum)),
            "{what}: {read:?}"
        );
    }
    fs::write(&file, &bytes).unwrap();
    assert_eq!(active(&read(&file).unwrap()), Slot::Green);
}
