//! The last operations of an aggregate, kept in its state so that every replica recognises a repeat.

use std::collections::VecDeque;

use sha2::{Digest, Sha256};

use super::ids::{Actor, IdempotencyKey, Revision, Sequence};

/// How many operations an aggregate remembers.
pub const REMEMBERED_OPERATIONS: usize = 64;

/// 128 bits that stand for something larger: the first half of a SHA-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest128(pub [u8; 16]);

impl Digest128 {
    /// The digest of `parts`, each with its length, so that no two lists of parts read the same.
    #[must_use]
    pub fn of(parts: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let mut first_half = [0; 16];
        first_half.copy_from_slice(&hash.finalize()[..16]);
        Self(first_half)
    }
}

impl std::fmt::Display for Digest128 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The identity of one write: who asked, of which aggregate, under which key.
#[must_use]
pub fn operation_id(actor: &Actor, aggregate: &str, key: &IdempotencyKey) -> Digest128 {
    Digest128::of(&[
        actor.as_str().as_bytes(),
        aggregate.as_bytes(),
        key.as_str().as_bytes(),
    ])
}

/// A change that was committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operation {
    /// Its identity.
    pub id: Digest128,
    /// Digest of what was asked for.
    pub request: Digest128,
    /// The revision it made.
    pub revision: Revision,
    /// Where its record is in the journal.
    pub sequence: Sequence,
}

/// The operations an aggregate remembers, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Operations(VecDeque<Operation>);

impl Operations {
    /// The operation with this identity, if it is remembered.
    #[must_use]
    pub fn find(&self, id: Digest128) -> Option<&Operation> {
        self.0.iter().find(|operation| operation.id == id)
    }

    /// Remembers one more, forgetting the oldest beyond [`REMEMBERED_OPERATIONS`].
    pub fn remember(&mut self, operation: Operation) {
        self.0.push_back(operation);
        if self.0.len() > REMEMBERED_OPERATIONS {
            self.0.pop_front();
        }
    }

    /// All of them, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Operation> {
        self.0.iter()
    }
}

impl FromIterator<Operation> for Operations {
    fn from_iter<I: IntoIterator<Item = Operation>>(operations: I) -> Self {
        let mut remembered = Self::default();
        operations
            .into_iter()
            .for_each(|operation| remembered.remember(operation));
        remembered
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_forgotten_after_sixty_four() {
        let operation = |n: u64| Operation {
            id: Digest128::of(&[&n.to_be_bytes()]),
            request: Digest128::of(&[]),
            revision: Revision(n),
            sequence: Sequence(n),
        };
        let operations: Operations = (0..=64).map(operation).collect();
        assert_eq!(operations.iter().count(), REMEMBERED_OPERATIONS);
        assert!(operations.find(operation(0).id).is_none());
        assert_eq!(operations.find(operation(64).id), Some(&operation(64)));
    }

    #[test]
    fn moving_a_letter_between_parts_changes_the_digest() {
        assert_ne!(Digest128::of(&[b"ab", b"c"]), Digest128::of(&[b"a", b"bc"]));
    }
}
