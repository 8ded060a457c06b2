//! One webhook's way through the journal: where it is, what it is told next, and what is in its way.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::event::Message;
use super::sender::Failure;
use crate::clock::Clock;
use crate::domain::ids::{Sequence, WebhookName};
use crate::domain::webhook::Webhook;
use crate::followers::backoff::Backoff;
use crate::followers::bookmark::{Bookmark, Saved};
use crate::replica::Replica;
use crate::store::cursors::{Cursor, Obstacle};
use crate::store::record::Entry;
use crate::store::{Store, StoreError};
use crate::telemetry::Backlog;

/// Pages of the journal that are passed over in one look, at the most; the next look goes on.
const MOST_PAGES: usize = 64;
/// How long a webhook may fail before that needs a person.
const ALARM_AFTER: Duration = Duration::from_secs(15 * 60);

/// Where one webhook is. All durations are monotonic times.
#[derive(Debug)]
pub(super) struct Course {
    webhook: Webhook,
    /// The entry to be dealt with next.
    next: Sequence,
    /// Entries that were read and not looked at yet.
    waiting: VecDeque<Arc<Entry>>,
    /// The event to be delivered next, until it is.
    message: Option<Message>,
    /// Whether it is being sent at the moment.
    is_under_way: bool,
    taken_at: Option<Timestamp>,
    obstacle: Option<Obstacle>,
    /// Whether the obstacle is one that a person has to look at.
    needs_a_person: bool,
    backoff: Backoff,
    bookmark: Bookmark,
}

impl Course {
    /// The course of `webhook`, from where `cursor` says, at `now`.
    pub(super) fn open(webhook: Webhook, cursor: Option<Cursor>, now: Duration) -> Self {
        let begin = cursor.clone().unwrap_or(Cursor {
            sequence: webhook.after,
            ..Cursor::default()
        });
        Self {
            webhook,
            next: begin.sequence.next(),
            waiting: VecDeque::new(),
            message: None,
            is_under_way: false,
            taken_at: begin.taken_at,
            obstacle: begin.obstacle,
            needs_a_person: false,
            backoff: Backoff::default(),
            bookmark: Bookmark::found(cursor, now),
        }
    }

    pub(super) fn webhook(&self) -> &Webhook {
        &self.webhook
    }

    /// Whether something may be sent at `now`.
    pub(super) fn is_due(&self, now: Duration) -> bool {
        !self.is_under_way && self.backoff.is_due(now)
    }

    /// Finds the next event for it among the entries that calls are answered by. `None` if there is none yet.
    pub(super) async fn seek(
        &mut self,
        replica: &Replica,
        source: &str,
    ) -> Result<Option<&Message>, StoreError> {
        let end = *replica.served().borrow();
        for _ in 0..MOST_PAGES {
            self.look_through(source);
            if self.message.is_some() || self.next > end {
                break;
            }
            let entries = replica.entries(self.next, end).await?;
            if entries.is_empty() {
                self.message = Some(Message::gap(self.last(), end.next(), source));
            }
            self.waiting.extend(entries);
        }
        if self.message.is_none() && self.next > end {
            // Nothing is left that anything could be in the way of.
            self.clear();
        }
        Ok(self.message.as_ref())
    }

    /// Looks through the entries at hand until one is for this webhook.
    fn look_through(&mut self, source: &str) {
        while self.message.is_none()
            && let Some(entry) = self.waiting.pop_front()
        {
            let sequence = entry.sequence();
            if sequence < self.next {
                // A bridge led over it: nobody has followed it.
                continue;
            }
            if sequence > self.next {
                self.message = Some(Message::gap(self.last(), sequence, source));
                self.waiting.push_front(entry);
                return;
            }
            match &*entry {
                Entry::Bridge(bridge) if bridge.is_intact => self.next = bridge.to,
                Entry::Bridge(_) => self.next = sequence.next(),
                Entry::Record(record) if record.is_intact => {
                    let change = &record.change;
                    if self.webhook.wants(&change.aggregate, &change.action) {
                        self.message = Some(Message::change(record, source));
                    } else {
                        self.next = sequence.next();
                    }
                }
                // Whose it was cannot be said, so everybody is told.
                Entry::Record(_) | Entry::Unreadable(_) => {
                    self.message = Some(Message::unreadable(sequence, source));
                }
            }
        }
    }

    /// The last entry that is dealt with.
    fn last(&self) -> Sequence {
        Sequence(self.next.0.saturating_sub(1))
    }

    /// The event is being sent.
    pub(super) fn sends(&mut self) {
        self.is_under_way = true;
    }

    /// The event cannot be signed.
    pub(super) fn lacks_secret(&mut self, now: Timestamp) {
        let secret = &self.webhook.secret;
        let why = format!("the process that leads has no secret of the name {secret}");
        self.meet(why, now);
        self.needs_a_person = true;
    }

    /// Takes note of what became of the event that was sent. `draw` is from 0 to 1.
    pub(super) fn take(&mut self, outcome: Result<(), Failure>, clock: &dyn Clock, draw: f64) {
        self.is_under_way = false;
        let now = clock.now();
        match outcome {
            Ok(()) => {
                if let Some(message) = self.message.take() {
                    self.next = message.next;
                }
                self.taken_at = Some(now);
                self.bookmark.turn();
                self.clear();
                self.backoff.succeeded();
            }
            Err(failure) => {
                self.meet(failure.to_string(), now);
                let since = self.obstacle.as_ref().map_or(now, |met| met.since);
                let lasted = now.duration_since(since).unsigned_abs();
                self.needs_a_person = failure.is_gone() || lasted >= ALARM_AFTER;
                self.backoff
                    .failed(clock.monotonic(), failure.retry_after(), draw);
            }
        }
    }

    fn meet(&mut self, why: String, now: Timestamp) {
        self.obstacle = Some(Obstacle::after(self.obstacle.as_ref(), why, now));
    }

    fn clear(&mut self) {
        self.obstacle = None;
        self.needs_a_person = false;
    }

    /// Writes where it is, if the store has to know.
    pub(super) async fn save(
        &mut self,
        name: &WebhookName,
        store: &Store,
        clock: &dyn Clock,
    ) -> Result<Saved, StoreError> {
        let cursor = Cursor {
            sequence: self.last(),
            taken_at: self.taken_at,
            obstacle: self.obstacle.clone(),
        };
        let name = cursor_name(name, &self.webhook);
        self.bookmark
            .save((super::KIND, &name), cursor, store, clock)
            .await
    }

    /// What it has not been told, the journal ending with `end`.
    pub(super) fn backlog(&self, end: Sequence, now: Timestamp) -> Backlog {
        let since = self.message.as_ref().and_then(|message| message.at);
        Backlog {
            entries: end.0.saturating_sub(self.last().0),
            age: since
                .map(|since| now.duration_since(since).try_into().unwrap_or_default())
                .unwrap_or_default(),
            obstacle: self.obstacle.as_ref().map(|met| met.why.clone()),
        }
    }

    /// What of it needs a person.
    pub(super) fn alarm(&self) -> Option<&str> {
        let obstacle = self.obstacle.as_ref().filter(|_| self.needs_a_person)?;
        Some(&obstacle.why)
    }
}

/// What the cursor of a webhook is called: one that is added again under its name begins anew.
#[must_use]
pub fn cursor_name(name: &WebhookName, webhook: &Webhook) -> String {
    format!("{name}/{}", webhook.after)
}
