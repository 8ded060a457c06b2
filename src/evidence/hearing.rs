//! A judge who hears the stored evidence about one rollout.
//!
//! The judge goes on from what was committed. Before anything else it hears again what had been stored by then, to know it
//! again and to find the arms of calls that end late; then, in the order in which it was written, what came since, moving on with it
//! in slices, so that a day of evidence takes no more room than the horizon's; then what is new. A batch is heard once, however
//! often it is read.
//!
//! Batches show up later than they are dated: a write takes its time, a clock is slow, a store was away. So each reading goes
//! back a little further than the last one ended, and every half minute one goes back to the oldest call that is not judged.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::domain::ids::EnvironmentName;
use crate::domain::judge::evidence::{Evidence, EvidenceDigest, Interval};
use crate::domain::judge::metric::ByMetric;
use crate::domain::judge::mixture::EValue;
use crate::domain::judge::{Judge, REMEMBERED, Record};
use crate::domain::rollout::Rollout;
use crate::store::evidence::BatchKey;
use crate::store::format::packed::Packed;
use crate::store::{Store, StoreError};

/// How much is heard at once of what was stored before.
const SLICE: Duration = Duration::from_secs(10 * 60);
/// How far a reading goes back behind the end of the last one.
const OVERLAP: Duration = Duration::from_secs(2 * 60);
/// How often a reading goes back to the oldest call that is not judged.
const WHOLE_EVERY: Duration = Duration::from_secs(30);

/// Time between two samples of the evidence.
const SAMPLE: Duration = Duration::from_secs(60);
const SIGNED_SAMPLE: SignedDuration = SignedDuration::from_secs(60);
/// Samples kept; of more, every second one goes.
const SAMPLES: usize = 480;

/// The evidence of harm at a moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// When all that had matured was judged.
    pub at: Timestamp,
    /// What it came to, of each metric that is watched.
    pub harm: ByMetric<Option<EValue>>,
}

impl Sample {
    /// What a judge knew at a moment.
    #[must_use]
    pub fn of(record: &Record, at: Timestamp) -> Self {
        Self {
            at,
            harm: ByMetric::from_fn(|metric| {
                let record = record.metrics[metric].as_ref();
                record.map(|record| record.harm.bet.e())
            }),
        }
    }
}

/// A judge and how far it has heard.
#[derive(Debug)]
pub struct Hearing {
    environment: EnvironmentName,
    judge: Judge,
    /// What was committed about the rollout when the judge went on from it, or since, by us.
    committed: Committed,
    /// Everything stored before was heard when that was committed.
    heard_until: Timestamp,
    /// Batches dated before this have been read once.
    read_until: Timestamp,
    /// Plan time of the last reading that went back all the way.
    whole_at: Duration,
    exposures: BTreeSet<BatchKey>,
    outcomes: BTreeSet<BatchKey>,
    intervals: BTreeSet<BatchKey>,
    /// Batches that could not be read, as of a newer binary.
    unreadable: usize,
    /// How the evidence went, if somebody wants to see that.
    samples: Option<Vec<Sample>>,
}

/// What tells a judge's committed state from every other: how far it got, and a digest of the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Committed {
    watermark: Timestamp,
    digest: EvidenceDigest,
}

impl Committed {
    fn of(rollout: &Rollout) -> Self {
        Self {
            watermark: rollout.record.watermark,
            digest: rollout.record.digest,
        }
    }
}

impl Hearing {
    /// A hearing about `rollout` of `environment`, in which nothing has been heard yet.
    #[must_use]
    pub fn open(environment: EnvironmentName, rollout: &Rollout) -> Self {
        let record = &rollout.record;
        let first = record.watermark.min(record.fast_watermark);
        Self {
            environment,
            judge: Judge::resume(rollout),
            committed: Committed::of(rollout),
            heard_until: later(record.watermark, rollout.plan.data.maturity()),
            read_until: earlier(first, REMEMBERED),
            whole_at: Duration::ZERO,
            exposures: BTreeSet::new(),
            outcomes: BTreeSet::new(),
            intervals: BTreeSet::new(),
            unreadable: 0,
            samples: None,
        }
    }

    /// The same, with samples of how the evidence goes.
    #[must_use]
    pub fn with_samples(self) -> Self {
        Self {
            samples: Some(Vec::new()),
            ..self
        }
    }

    /// How the evidence went, a sample a minute at the most, the latest last.
    #[must_use]
    pub fn samples(&self) -> &[Sample] {
        self.samples.as_deref().unwrap_or_default()
    }

    /// Whether `rollout`, as it is committed, is what this judge went on from, whatever people have decided about it since. If
    /// not, it is another rollout, or somebody else's judge had a say.
    #[must_use]
    pub fn is_about(&self, rollout: &Rollout) -> bool {
        self.committed == Committed::of(rollout)
    }

    /// Takes over what people have decided about the rollout.
    pub fn follow(&mut self, rollout: &Rollout) {
        self.judge.follow(rollout);
    }

    /// Takes note that what this judge knows was committed as `rollout`.
    pub fn committed(&mut self, rollout: &Rollout) {
        self.committed = Committed::of(rollout);
        self.judge.follow(rollout);
    }

    /// The judge, who has heard what there was.
    #[must_use]
    pub fn judge(&self) -> &Judge {
        &self.judge
    }

    /// Batches that could not be read: their calls are missing.
    #[must_use]
    pub fn unreadable(&self) -> usize {
        self.unreadable
    }

    /// Hears everything that is stored, and judges what has matured at `now`. `plan_time` times how often it reads how much.
    ///
    /// # Errors
    /// The store does not answer or refuses. What was heard until then is kept; the next call goes on from there.
    pub async fn hear(
        &mut self,
        store: &Store,
        now: Timestamp,
        plan_time: Duration,
    ) -> Result<(), StoreError> {
        while self.read_until < earlier(now, OVERLAP) {
            let mut until = later(self.read_until, SLICE).min(earlier(now, OVERLAP));
            let is_before = self.read_until < self.heard_until;
            if is_before {
                until = until.min(self.heard_until);
            }
            let evidence = self.read(store, self.read_until, until).await?;
            if is_before {
                self.judge.recall(&evidence);
                self.judge.advance(until);
            } else {
                self.judge.absorb(&evidence);
                self.advance(self.read_until, until);
            }
            self.read_until = until;
        }
        let is_whole = plan_time.saturating_sub(self.whole_at) >= WHOLE_EVERY;
        let mut from = earlier(self.read_until.min(now), OVERLAP);
        if is_whole {
            from = from.min(self.judge.record().watermark);
        }
        let evidence = self.read(store, from, Timestamp::MAX).await?;
        self.judge.absorb(&evidence);
        self.hear_intervals(store).await?;
        self.advance(self.read_until, now);
        // Not the later of the two: a clock that had jumped ahead and is right again must not hide what comes now.
        self.read_until = now;
        if is_whole {
            self.whole_at = plan_time;
        }
        self.forget(now);
        Ok(())
    }

    /// Judges what has matured from one moment to another. It comes to the same at once and minute by minute: calls are judged in
    /// the order in which they were assigned.
    fn advance(&mut self, from: Timestamp, until: Timestamp) {
        let Some(samples) = &mut self.samples else {
            return self.judge.advance(until);
        };
        let newest = samples.last().map_or(from, |sample| sample.at);
        // What was before the commit that the judge went on from is not heard here.
        let mut at = newest.max(from).max(self.committed.watermark);
        if at >= until {
            return self.judge.advance(until);
        }
        loop {
            at = later(at, SAMPLE).min(until);
            self.judge.advance(at);
            let sample = Sample::of(self.judge.record(), at);
            // The last one moves on with time until its minute is over.
            let is_within = |last: &Sample| at.duration_since(last.at) < SIGNED_SAMPLE;
            let before = samples.len().checked_sub(2).map(|place| samples[place]);
            if before.as_ref().is_some_and(is_within) {
                samples.pop();
            }
            samples.push(sample);
            if samples.len() > SAMPLES {
                let mut place = 0;
                samples.retain(|_| {
                    place += 1;
                    place % 2 == 0
                });
            }
            if at >= until {
                break;
            }
        }
    }

    /// Hears the intervals that follow the last one judged. They are few, and dated by their end, long before they are stored.
    /// What an earlier step left is of a weight that is none any more.
    async fn hear_intervals(&mut self, store: &Store) -> Result<(), StoreError> {
        let Some(after) = self.judge.intervals_judged_until() else {
            return Ok(());
        };
        let from = later(after, Duration::from_millis(1));
        let found = new_batches::<Interval>(
            store,
            &self.environment,
            from,
            Timestamp::MAX,
            &self.intervals,
        )
        .await?;
        self.unreadable += found.unreadable;
        self.intervals.extend(found.keys);
        let entered = self.judge.record().step.entered;
        let intervals = found.calls.into_iter();
        self.judge.absorb(&Evidence {
            intervals: intervals
                .filter(|interval| interval.revision >= entered)
                .collect(),
            ..Evidence::default()
        });
        Ok(())
    }

    /// What is stored in batches of this time and has not been heard. Outcomes are read first, so that the exposure of each is
    /// among those read after them.
    async fn read(
        &mut self,
        store: &Store,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Evidence, StoreError> {
        let outcomes = new_batches(store, &self.environment, from, until, &self.outcomes).await?;
        let exposures = new_batches(store, &self.environment, from, until, &self.exposures).await?;
        self.unreadable += outcomes.unreadable + exposures.unreadable;
        self.outcomes.extend(outcomes.keys);
        self.exposures.extend(exposures.keys);
        Ok(Evidence {
            exposures: exposures.calls,
            outcomes: outcomes.calls,
            intervals: Vec::new(),
        })
    }

    /// Forgets the keys of batches that are not read again.
    fn forget(&mut self, now: Timestamp) {
        let oldest = self.judge.record().watermark.min(now);
        let oldest = BatchKey::before(earlier(oldest, REMEMBERED));
        self.exposures = self.exposures.split_off(&oldest);
        self.outcomes = self.outcomes.split_off(&oldest);
    }
}

/// Batches that had not been read.
struct New<E> {
    keys: Vec<BatchKey>,
    calls: Vec<E>,
    unreadable: usize,
}

async fn new_batches<E: Packed>(
    store: &Store,
    environment: &EnvironmentName,
    from: Timestamp,
    until: Timestamp,
    known: &BTreeSet<BatchKey>,
) -> Result<New<E>, StoreError> {
    let mut new = New {
        keys: Vec::new(),
        calls: Vec::new(),
        unreadable: 0,
    };
    let mut pages = store.evidence::<E>(environment, from, until);
    while let Some(page) = pages.next().await? {
        for (key, calls) in page.batches {
            if known.contains(&key) {
                continue;
            }
            new.keys.push(key);
            match calls {
                Some(calls) => new.calls.extend(calls),
                None => new.unreadable += 1,
            }
        }
    }
    Ok(new)
}

fn earlier(time: Timestamp, by: Duration) -> Timestamp {
    time.checked_sub(by).unwrap_or(Timestamp::MIN)
}

fn later(time: Timestamp, by: Duration) -> Timestamp {
    time.checked_add(by).unwrap_or(Timestamp::MAX)
}
