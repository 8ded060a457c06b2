//! Test calls as bytes.
//!
//! Format 1, numbers big-endian: the time of the earliest call in milliseconds since 1970 (8 bytes, signed), then for each call what
//! stands for its override (8), its conversation's hash (16), milliseconds after the earliest (4), the revision it was decided by
//! (8), and flags (1): 1 for the slot green, 2 for a conversation, without which the hash is zero.

use super::packed::{Packed, Unreadable, after, earliest, take, time_after};
use crate::domain::ids::Revision;
use crate::domain::judge::evidence::ConversationHash;
use crate::domain::slot::Slot;
use crate::domain::test_calls::{TestCall, TestMark};

const GREEN: u8 = 1;
const HAS_CONVERSATION: u8 = 2;

impl Packed for TestCall {
    const NAME: &'static str = "test_calls";
    const FORMAT: u32 = 1;

    fn pack(calls: &[Self]) -> Vec<u8> {
        let earliest = earliest(calls.iter().map(|call| call.at));
        let mut bytes = earliest.to_be_bytes().to_vec();
        for call in calls {
            let green = match call.slot {
                Slot::Blue => 0,
                Slot::Green => GREEN,
            };
            let (hash, has_conversation) = match call.conversation {
                Some(ConversationHash(hash)) => (hash, HAS_CONVERSATION),
                None => (0, 0),
            };
            bytes.extend_from_slice(&call.mark.0.to_be_bytes());
            bytes.extend_from_slice(&hash.to_be_bytes());
            bytes.extend_from_slice(&after(earliest, call.at));
            bytes.extend_from_slice(&call.revision.0.to_be_bytes());
            bytes.push(green | has_conversation);
        }
        bytes
    }

    fn unpack(mut bytes: &[u8]) -> Result<Vec<Self>, Unreadable> {
        let earliest = i64::from_be_bytes(take(&mut bytes)?);
        let mut calls = Vec::new();
        while !bytes.is_empty() {
            let mark = TestMark(u64::from_be_bytes(take(&mut bytes)?));
            let hash = ConversationHash(u128::from_be_bytes(take(&mut bytes)?));
            let at = time_after(earliest, take(&mut bytes)?)?;
            let revision = Revision(u64::from_be_bytes(take(&mut bytes)?));
            let [flags] = take(&mut bytes)?;
            if flags & !(GREEN | HAS_CONVERSATION) != 0 {
                return Err(Unreadable);
            }
            calls.push(Self {
                mark,
                conversation: (flags & HAS_CONVERSATION != 0).then_some(hash),
                at,
                revision,
                slot: match flags & GREEN {
                    0 => Slot::Blue,
                    _ => Slot::Green,
                },
            });
        }
        Ok(calls)
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::{Strategy, any, prop_assert_eq, proptest};

    use super::*;
    use crate::domain::environment::strategy::slots;

    fn call(mark: u64, hash: Option<u128>, ms: i64, revision: u64, slot: Slot) -> TestCall {
        TestCall {
            mark: TestMark(mark),
            conversation: hash.map(ConversationHash),
            at: Timestamp::from_millisecond(ms).unwrap(),
            revision: Revision(revision),
            slot,
        }
    }

    fn any_call() -> impl Strategy<Value = TestCall> {
        let time = 1_700_000_000_000..1_700_000_600_000_i64;
        let members = (
            any::<u64>(),
            option::of(any::<u128>()),
            time,
            any::<u64>(),
            slots(),
        );
        members.prop_map(|(mark, hash, ms, revision, slot)| call(mark, hash, ms, revision, slot))
    }

    #[test]
    fn the_bytes_are_pinned_for_ever() {
        let calls = [
            call(
                0xcd << 56,
                Some(0xab << 120),
                1_700_000_000_258,
                3,
                Slot::Green,
            ),
            call(1, None, 1_700_000_000_000, 4, Slot::Blue),
        ];
        let text = "0000018bcfe56800\
                    cd00000000000000 ab000000000000000000000000000000 00000102 0000000000000003 03\
                    0000000000000001 00000000000000000000000000000000 00000000 0000000000000004 00";
        let expected = data_encoding::HEXLOWER
            .decode(text.replace(' ', "").as_bytes())
            .unwrap();
        assert_eq!(TestCall::pack(&calls), expected);
        assert_eq!(TestCall::unpack(&expected).unwrap(), calls);
        let mut newer = expected;
        *newer.last_mut().unwrap() = 4;
        assert_eq!(TestCall::unpack(&newer), Err(Unreadable));
    }

    proptest! {
        #[test]
        fn test_calls_survive_storage(calls in vec(any_call(), 0..40)) {
            prop_assert_eq!(TestCall::unpack(&TestCall::pack(&calls)), Ok(calls));
        }

        #[test]
        fn no_bytes_break_the_reader(bytes in vec(any::<u8>(), 0..200)) {
            let _ = TestCall::unpack(&bytes);
        }
    }
}
