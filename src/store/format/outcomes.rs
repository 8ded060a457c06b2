//! Outcomes as bytes.
//!
//! Format 1, numbers big-endian: the time of the earliest outcome in milliseconds since 1970 (8 bytes, signed), then for each
//! outcome the conversation's hash (16), milliseconds after the earliest (4), and the metrics in which it ended badly (1): 1 for
//! abandon, 2 for error, 4 for transfer, 8 for containment.

use super::packed::{Packed, Unreadable, after, earliest, take, time_after};
use crate::domain::judge::evidence::{ConversationHash, Outcome};
use crate::domain::judge::metric::MetricSet;

impl Packed for Outcome {
    const NAME: &'static str = "outcomes";
    const FORMAT: u32 = 1;

    fn pack(outcomes: &[Self]) -> Vec<u8> {
        let earliest = earliest(outcomes.iter().map(|outcome| outcome.at));
        let mut bytes = earliest.to_be_bytes().to_vec();
        for outcome in outcomes {
            bytes.extend_from_slice(&outcome.conversation.0.to_be_bytes());
            bytes.extend_from_slice(&after(earliest, outcome.at));
            bytes.push(outcome.bad.bits());
        }
        bytes
    }

    fn unpack(mut bytes: &[u8]) -> Result<Vec<Self>, Unreadable> {
        let earliest = i64::from_be_bytes(take(&mut bytes)?);
        let mut outcomes = Vec::new();
        while !bytes.is_empty() {
            let conversation = ConversationHash(u128::from_be_bytes(take(&mut bytes)?));
            let at = time_after(earliest, take(&mut bytes)?)?;
            let [bits] = take(&mut bytes)?;
            outcomes.push(Self {
                conversation,
                at,
                bad: MetricSet::from_bits(bits).ok_or(Unreadable)?,
            });
        }
        Ok(outcomes)
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use proptest::collection::vec;
    use proptest::prelude::{Strategy, any, prop_assert_eq, proptest};

    use super::*;
    use crate::domain::judge::metric::Metric;

    fn outcome(hash: u128, ms: i64, bad: &[Metric]) -> Outcome {
        Outcome {
            conversation: ConversationHash(hash),
            at: Timestamp::from_millisecond(ms).unwrap(),
            bad: bad.iter().copied().collect(),
        }
    }

    fn any_outcome() -> impl Strategy<Value = Outcome> {
        let time = 1_700_000_000_000..1_700_000_600_000_i64;
        (any::<u128>(), time, 0..16_u8).prop_map(|(hash, ms, bits)| Outcome {
            bad: MetricSet::from_bits(bits).unwrap(),
            ..outcome(hash, ms, &[])
        })
    }

    #[test]
    fn the_bytes_are_pinned_for_ever() {
        let outcomes = [
            outcome(0xab << 120, 1_700_000_000_258, &[Metric::Abandon]),
            outcome(1, 1_700_000_000_000, &[]),
            outcome(u128::MAX, 1_700_000_000_001, &Metric::ALL),
            outcome(2, 1_700_000_000_000, &[Metric::Error]),
            outcome(3, 1_700_000_000_000, &[Metric::Transfer]),
        ];
        let text = "0000018bcfe56800\
                    ab000000000000000000000000000000 00000102 01\
                    00000000000000000000000000000001 00000000 00\
                    ffffffffffffffffffffffffffffffff 00000001 0f\
                    00000000000000000000000000000002 00000000 02\
                    00000000000000000000000000000003 00000000 04";
        let expected = data_encoding::HEXLOWER
            .decode(text.replace(' ', "").as_bytes())
            .unwrap();
        assert_eq!(Outcome::pack(&outcomes), expected);
        assert_eq!(Outcome::unpack(&expected).unwrap(), outcomes);
    }

    #[test]
    fn a_metric_that_only_newer_binaries_know_is_not_passed_over() {
        let mut bytes = Outcome::pack(&[outcome(1, 0, &[])]);
        *bytes.last_mut().unwrap() = 16;
        assert_eq!(Outcome::unpack(&bytes), Err(Unreadable));
    }

    proptest! {
        #[test]
        fn outcomes_survive_storage(outcomes in vec(any_outcome(), 0..60)) {
            prop_assert_eq!(Outcome::unpack(&Outcome::pack(&outcomes)), Ok(outcomes));
        }

        #[test]
        fn no_bytes_break_the_reader(bytes in vec(any::<u8>(), 0..200)) {
            let _ = Outcome::unpack(&bytes);
        }
    }
}
