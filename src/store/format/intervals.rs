//! Interval counts as bytes.
//!
//! Format 1, numbers big-endian, for each: the metric (1 byte, as in outcomes), start and end in milliseconds since 1970 (8 each,
//! signed), the revision in force (8) and its weight in basis points (2), then calls and bad calls of the active version and of the
//! candidate (8 each).

use jiff::Timestamp;

use super::packed::{Packed, Unreadable, take};
use crate::domain::ids::Revision;
use crate::domain::judge::arm::{ByArm, Tally};
use crate::domain::judge::evidence::Interval;
use crate::domain::judge::metric::MetricSet;
use crate::domain::weight::Weight;

impl Packed for Interval {
    const NAME: &'static str = "intervals";
    const FORMAT: u32 = 1;

    fn pack(intervals: &[Self]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for interval in intervals {
            bytes.push(MetricSet::from(interval.metric).bits());
            for time in [interval.from, interval.until] {
                bytes.extend_from_slice(&time.as_millisecond().to_be_bytes());
            }
            bytes.extend_from_slice(&interval.revision.0.to_be_bytes());
            bytes.extend_from_slice(&interval.weight.bps().to_be_bytes());
            for (_, tally) in interval.seen.iter() {
                bytes.extend_from_slice(&tally.calls.to_be_bytes());
                bytes.extend_from_slice(&tally.bad.to_be_bytes());
            }
        }
        bytes
    }

    fn unpack(mut bytes: &[u8]) -> Result<Vec<Self>, Unreadable> {
        let mut intervals = Vec::new();
        while !bytes.is_empty() {
            let [bits] = take(&mut bytes)?;
            let mut metrics = MetricSet::from_bits(bits).ok_or(Unreadable)?.iter();
            let (Some(metric), None) = (metrics.next(), metrics.next()) else {
                return Err(Unreadable);
            };
            intervals.push(Self {
                metric,
                from: time(&mut bytes)?,
                until: time(&mut bytes)?,
                revision: Revision(u64::from_be_bytes(take(&mut bytes)?)),
                weight: Weight::from_bps(u16::from_be_bytes(take(&mut bytes)?))
                    .map_err(|_| Unreadable)?,
                seen: ByArm {
                    active: tally(&mut bytes)?,
                    candidate: tally(&mut bytes)?,
                },
            });
        }
        Ok(intervals)
    }
}

fn time(bytes: &mut &[u8]) -> Result<Timestamp, Unreadable> {
    Timestamp::from_millisecond(i64::from_be_bytes(take(bytes)?)).map_err(|_| Unreadable)
}

fn tally(bytes: &mut &[u8]) -> Result<Tally, Unreadable> {
    Ok(Tally {
        calls: u64::from_be_bytes(take(bytes)?),
        bad: u64::from_be_bytes(take(bytes)?),
    })
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::{any, proptest};

    use super::*;
    use crate::domain::judge::metric::Metric;

    #[test]
    fn the_bytes_are_pinned_for_ever() {
        let interval = Interval {
            metric: Metric::Error,
            from: Timestamp::from_millisecond(1_700_000_000_000).unwrap(),
            until: Timestamp::from_millisecond(1_700_000_300_000).unwrap(),
            revision: Revision(7),
            weight: Weight::from_bps(500).unwrap(),
            seen: ByArm {
                active: Tally { calls: 950, bad: 4 },
                candidate: Tally { calls: 50, bad: 3 },
            },
        };
        let text = "02 0000018bcfe56800 0000018bcfe9fbe0 0000000000000007 01f4 \
                    00000000000003b6 0000000000000004 0000000000000032 0000000000000003";
        let expected = data_encoding::HEXLOWER
            .decode(text.replace(' ', "").as_bytes())
            .unwrap();
        assert_eq!(Interval::pack(&[interval]), expected);
        assert_eq!(Interval::unpack(&expected).unwrap(), [interval]);
    }

    #[test]
    fn an_interval_is_of_one_metric_that_is_known() {
        for bits in [0, 3, 16] {
            assert_eq!(Interval::unpack(&[bits; 64]), Err(Unreadable));
        }
    }

    proptest! {
        #[test]
        fn no_bytes_break_the_reader(bytes in vec(any::<u8>(), 0..200)) {
            let _ = Interval::unpack(&bytes);
        }
    }
}
