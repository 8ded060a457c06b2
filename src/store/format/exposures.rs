//! Exposures as bytes.
//!
//! Format 1, numbers big-endian: the time of the earliest exposure in milliseconds since 1970 (8 bytes, signed), then runs of
//! exposures of one revision. A run is the revision (8), its traffic weight in basis points (2), how many follow (4), and for
//! each the conversation's hash (16), milliseconds after the earliest (4), and flags (1): 1 for the slot green, 2 for
//! randomised. So a call takes 21 bytes, which is nearly all hash.

use super::packed::{Packed, Unreadable, after, earliest, take, time_after};
use crate::domain::ids::Revision;
use crate::domain::judge::evidence::{ConversationHash, Exposure};
use crate::domain::slot::Slot;
use crate::domain::weight::Weight;

const GREEN: u8 = 1;
const RANDOMISED: u8 = 2;

impl Packed for Exposure {
    const NAME: &'static str = "exposures";
    const FORMAT: u32 = 1;

    fn pack(exposures: &[Self]) -> Vec<u8> {
        pack(exposures)
    }

    fn unpack(bytes: &[u8]) -> Result<Vec<Self>, Unreadable> {
        unpack(bytes)
    }
}

fn pack(exposures: &[Exposure]) -> Vec<u8> {
    let earliest = earliest(exposures.iter().map(|exposure| exposure.assigned_at));
    let mut bytes = earliest.to_be_bytes().to_vec();
    for run in exposures.chunk_by(|a, b| (a.revision, a.weight) == (b.revision, b.weight)) {
        // A run from `chunk_by` has a first.
        let Exposure {
            revision, weight, ..
        } = run[0];
        let count = u32::try_from(run.len()).expect("far fewer than 2^32 exposures in memory");
        bytes.extend_from_slice(&revision.0.to_be_bytes());
        bytes.extend_from_slice(&weight.bps().to_be_bytes());
        bytes.extend_from_slice(&count.to_be_bytes());
        for exposure in run {
            let green = if exposure.slot == Slot::Green {
                GREEN
            } else {
                0
            };
            let randomised = if exposure.is_randomised {
                RANDOMISED
            } else {
                0
            };
            bytes.extend_from_slice(&exposure.conversation.0.to_be_bytes());
            bytes.extend_from_slice(&after(earliest, exposure.assigned_at));
            bytes.push(green | randomised);
        }
    }
    bytes
}

fn unpack(mut bytes: &[u8]) -> Result<Vec<Exposure>, Unreadable> {
    let earliest = i64::from_be_bytes(take(&mut bytes)?);
    let mut exposures = Vec::new();
    while !bytes.is_empty() {
        let revision = Revision(u64::from_be_bytes(take(&mut bytes)?));
        let weight = Weight::from_bps(u16::from_be_bytes(take(&mut bytes)?));
        let weight = weight.map_err(|_| Unreadable)?;
        for _ in 0..u32::from_be_bytes(take(&mut bytes)?) {
            let conversation = ConversationHash(u128::from_be_bytes(take(&mut bytes)?));
            let assigned_at = time_after(earliest, take(&mut bytes)?)?;
            let [flags] = take(&mut bytes)?;
            if flags & !(GREEN | RANDOMISED) != 0 {
                return Err(Unreadable);
            }
            exposures.push(Exposure {
                conversation,
                assigned_at,
                revision,
                weight,
                slot: if flags & GREEN == 0 {
                    Slot::Blue
                } else {
                    Slot::Green
                },
                is_randomised: flags & RANDOMISED != 0,
            });
        }
    }
    Ok(exposures)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use proptest::collection::vec;
    use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, proptest};

    use super::*;

    fn exposure() -> impl Strategy<Value = Exposure> {
        let time = 1_700_000_000_000..1_700_000_600_000_i64;
        let members = (any::<u128>(), time, 0..3_u64, any::<bool>(), any::<bool>());
        members.prop_map(|(hash, at, revision, is_green, is_randomised)| Exposure {
            conversation: ConversationHash(hash),
            assigned_at: Timestamp::from_millisecond(at).unwrap(),
            revision: Revision(revision),
            weight: Weight::from_bps(u16::try_from(revision).unwrap() * 500 + 1).unwrap(),
            slot: if is_green { Slot::Green } else { Slot::Blue },
            is_randomised,
        })
    }

    #[test]
    fn the_bytes_are_pinned_for_ever() {
        let exposure = |hash, ms, revision, bps, slot, is_randomised| Exposure {
            conversation: ConversationHash(hash),
            assigned_at: Timestamp::from_millisecond(ms).unwrap(),
            revision: Revision(revision),
            weight: Weight::from_bps(bps).unwrap(),
            slot,
            is_randomised,
        };
        let exposures = [
            exposure(0xab << 120, 1_700_000_000_258, 3, 500, Slot::Green, true),
            exposure(1, 1_700_000_000_000, 3, 500, Slot::Blue, false),
            exposure(u128::MAX, 1_700_000_000_001, 4, 2_500, Slot::Blue, true),
        ];
        let text = "0000018bcfe56800\
                    00000000000000030 1f4 00000002\
                    ab000000000000000000000000000000 00000102 03\
                    00000000000000000000000000000001 00000000 00\
                    0000000000000004 09c4 00000001\
                    ffffffffffffffffffffffffffffffff 00000001 02";
        let expected = data_encoding::HEXLOWER
            .decode(text.replace(' ', "").as_bytes())
            .unwrap();
        assert_eq!(pack(&exposures), expected);
        assert_eq!(unpack(&expected).unwrap(), exposures);
    }

    proptest! {
        #[test]
        fn exposures_survive_storage(exposures in vec(exposure(), 0..60)) {
            prop_assert_eq!(unpack(&pack(&exposures)), Ok(exposures));
        }

        #[test]
        fn what_was_cut_off_is_never_taken_for_whole(
            exposures in vec(exposure(), 1..20),
            cut in any::<proptest::sample::Index>(),
        ) {
            let bytes = pack(&exposures);
            let cut = cut.index(bytes.len());
            // A cut between two runs leaves something whole, but never the same.
            prop_assert!(unpack(&bytes[..cut]) != Ok(exposures));
        }

        #[test]
        fn no_bytes_break_the_reader(bytes in vec(any::<u8>(), 0..200)) {
            let _ = unpack(&bytes);
        }
    }
}
