//! The conversations that are not judged yet, and those judged not long ago.
//!
//! This is where evidence that comes in any order, twice, or without its other half is put together. It is rebuilt from the
//! stored evidence when a controller starts; nothing in it is needed to check a verdict.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use jiff::Timestamp;

use super::evidence::{ConversationHash, Exposure, Outcome};
use super::metric::{ByMetric, Metric, MetricSet};

/// Conversations by identity and by time.
#[derive(Debug, Clone, Default)]
pub(super) struct Memory {
    conversations: BTreeMap<ConversationHash, Conversation>,
    order: BTreeSet<(Timestamp, ConversationHash)>,
}

/// What is known of one conversation.
#[derive(Debug, Clone)]
pub(super) struct Conversation {
    /// Its first decision. The first one defines the arm, even if the call was decided again and ended elsewhere.
    pub(super) exposure: Option<Exposure>,
    /// When it first ended badly, per metric.
    pub(super) first_bad: ByMetric<Option<Timestamp>>,
    /// Whether any outcome is known.
    pub(super) is_reported: bool,
    /// How far it got.
    pub(super) stage: Stage,
    /// The metrics whose bad end has been counted, in time or late.
    pub(super) counted: MetricSet,
    /// Where it stands in the order: its assignment, or its first outcome while that is all there is.
    ordered_at: Timestamp,
}

/// How far a conversation got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Its time has not come.
    Waiting,
    /// It has been judged.
    Judged,
    /// It was assigned before what had been judged when its exposure arrived, so it never will be.
    Late,
}

/// What the arrival of an exposure came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arrival {
    /// Noted, or known already.
    Noted,
    /// Too late to be judged.
    Late,
}

impl Memory {
    /// Takes in a decision. `watermark` is how far calls have been judged.
    pub(super) fn expose(&mut self, exposure: &Exposure, watermark: Timestamp) -> Arrival {
        let key = exposure.conversation;
        let conversation = self.conversations.entry(key).or_insert_with(|| {
            self.order.insert((exposure.assigned_at, key));
            Conversation::new(exposure.assigned_at)
        });
        let is_news = conversation
            .exposure
            .is_none_or(|first| exposure.is_before(&first));
        if conversation.stage != Stage::Waiting || !is_news {
            return Arrival::Noted;
        }
        conversation.exposure = Some(*exposure);
        self.order.remove(&(conversation.ordered_at, key));
        self.order.insert((exposure.assigned_at, key));
        conversation.ordered_at = exposure.assigned_at;
        if exposure.assigned_at > watermark {
            return Arrival::Noted;
        }
        conversation.stage = Stage::Late;
        Arrival::Late
    }

    /// Takes in an outcome. `None` if it is of a time already judged and belongs to no known conversation.
    pub(super) fn report(
        &mut self,
        outcome: &Outcome,
        watermark: Timestamp,
    ) -> Option<&mut Conversation> {
        let key = outcome.conversation;
        if !self.conversations.contains_key(&key) {
            if outcome.at <= watermark {
                return None;
            }
            self.order.insert((outcome.at, key));
            self.conversations
                .insert(key, Conversation::new(outcome.at));
        }
        let conversation = self.conversations.get_mut(&key)?;
        conversation.is_reported = true;
        for metric in outcome.bad.iter() {
            let first = &mut conversation.first_bad[metric];
            *first = Some(first.map_or(outcome.at, |at| at.min(outcome.at)));
        }
        Some(conversation)
    }

    /// The conversation called `key`.
    pub(super) fn get_mut(&mut self, key: ConversationHash) -> Option<&mut Conversation> {
        self.conversations.get_mut(&key)
    }

    /// The conversations after `after`, up to and including `until`, in order.
    pub(super) fn between(&self, after: Timestamp, until: Timestamp) -> Vec<ConversationHash> {
        if until <= after {
            return Vec::new();
        }
        let last = ConversationHash(u128::MAX);
        let range = (
            Bound::Excluded((after, last)),
            Bound::Included((until, last)),
        );
        self.order.range(range).map(|(_, key)| *key).collect()
    }

    /// The conversations after `after`, newest first.
    pub(super) fn since(&self, after: Timestamp) -> impl Iterator<Item = &Conversation> {
        let start = Bound::Excluded((after, ConversationHash(u128::MAX)));
        self.order
            .range((start, Bound::Unbounded))
            .rev()
            .filter_map(|(_, key)| self.conversations.get(key))
    }

    /// Forgets what stands before `limit`.
    pub(super) fn forget_before(&mut self, limit: Timestamp) {
        while let Some(oldest) = self.order.first().copied().filter(|(at, _)| *at < limit) {
            self.order.remove(&oldest);
            self.conversations.remove(&oldest.1);
        }
    }
}

impl Conversation {
    fn new(ordered_at: Timestamp) -> Self {
        Self {
            exposure: None,
            first_bad: ByMetric::default(),
            is_reported: false,
            stage: Stage::Waiting,
            counted: MetricSet::NONE,
            ordered_at,
        }
    }

    /// The metrics with a known bad end at most until `limit`.
    pub(super) fn bad_until(&self, limit: Timestamp) -> MetricSet {
        let is_bad = |metric: &Metric| self.first_bad[*metric].is_some_and(|at| at <= limit);
        Metric::ALL.into_iter().filter(is_bad).collect()
    }

    /// The metrics with any known bad end.
    pub(super) fn bad(&self) -> MetricSet {
        self.bad_until(Timestamp::MAX)
    }
}
