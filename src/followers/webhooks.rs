//! Webhooks: everybody who has asked for it is told of every change, in the order of the journal.
//!
//! - *At least once.* An event counts as delivered once it was answered with a success. Then the webhook's cursor moves on, and only
//!   then comes the next event. A crash in between has the event sent again, under the same id.
//! - *In order.* A webhook is told of one change at a time. What it does not take is sent until it does, with pauses that grow to
//!   five minutes, for as long as the webhook is registered: nothing is skipped.
//! - *On its own.* Each webhook has a course and a pause of its own; whoever fails or is slow delays nobody else.

mod course;
mod event;
pub mod secrets;
mod sender;
pub mod signature;

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::task::JoinSet;
use tracing::field::Empty;
use tracing::{Instrument as _, Span};

pub use course::cursor_name;
pub use sender::{ANSWER_TIME, Sender};

use self::course::Course;
use self::secrets::Secrets;
use self::sender::Failure;
use super::Task;
use super::bookmark::Saved;
use crate::clock::Clock;
use crate::dice;
use crate::domain::ids::{Sequence, WebhookName};
use crate::domain::webhook::Webhook;
use crate::replica::Replica;
use crate::store::StoreError;
use crate::store::lease::Held;
use crate::telemetry::{Alarm, Metrics, spans};

/// What their cursors and their lease are called.
pub const KIND: &str = "webhooks";

/// A webhook and the record that added it: under the same name it may be another one later.
type Key = (WebhookName, Sequence);

/// Tells webhooks of changes.
#[derive(Debug)]
pub struct Webhooks {
    replica: Arc<Replica>,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    secrets: Arc<Secrets>,
    sender: Arc<Sender>,
    source: String,
    courses: BTreeMap<Key, Course>,
    /// Events that are being sent, at most one of a webhook.
    under_way: JoinSet<(Key, Result<(), Failure>)>,
    /// What came back of those and was not taken in yet.
    back: Vec<(Key, Result<(), Failure>)>,
}

impl Webhooks {
    /// Those of the deployment that `replica` follows. Events say that they come from `source`.
    #[must_use]
    pub fn new(
        replica: Arc<Replica>,
        clock: Arc<dyn Clock>,
        metrics: Metrics,
        secrets: Arc<Secrets>,
        sender: Sender,
        source: String,
    ) -> Self {
        Self {
            replica,
            clock,
            metrics,
            secrets,
            sender: Arc::new(sender),
            source,
            courses: BTreeMap::new(),
            under_way: JoinSet::new(),
            back: Vec::new(),
        }
    }

    /// The webhooks that are registered, as this process knows.
    fn registered(&self) -> BTreeMap<Key, Webhook> {
        let found = self.replica.look(|follower| {
            let settings = follower.settings().state();
            let webhooks = settings.into_iter().flat_map(|all| all.webhooks.iter());
            webhooks
                .map(|(name, webhook)| ((name.clone(), webhook.after), webhook.clone()))
                .collect()
        });
        found.unwrap_or_default()
    }

    /// Forgets the courses of webhooks that are gone, and finds out where new ones are.
    async fn open(&mut self) -> Result<(), StoreError> {
        let registered = self.registered();
        self.courses.retain(|key, _| registered.contains_key(key));
        if registered.len() == self.courses.len() {
            return Ok(());
        }
        let mut cursors = self.replica.store().cursors(KIND).await?;
        let now = self.clock.monotonic();
        for (key, webhook) in registered {
            let cursor = cursors.remove(&cursor_name(&key.0, &webhook));
            self.courses
                .entry(key)
                .or_insert_with(|| Course::open(webhook, cursor, now));
        }
        Ok(())
    }

    /// Takes in what has come back.
    fn take_back(&mut self) {
        while let Some(joined) = self.under_way.try_join_next() {
            match joined {
                Ok(outcome) => self.back.push(outcome),
                // A bug, and nobody knows whose event it was: all begin again where the store says.
                Err(_) => return self.rest(),
            }
        }
        for (key, outcome) in std::mem::take(&mut self.back) {
            let (name, _) = &key;
            let counted = outcome_of(&outcome);
            self.metrics.followers.delivery(name.as_str(), counted);
            if let Err(failure) = &outcome {
                tracing::debug!(webhook = %name, %failure, "an event was not taken");
            }
            if let Some(course) = self.courses.get_mut(&key) {
                course.take(outcome, &*self.clock, dice::share());
            }
        }
    }

    /// Moves one webhook on: saves where it is, and sends the next event if there is one and it is time.
    async fn advance(&mut self, key: &Key, held: &Held) -> Result<(), StoreError> {
        let Some(course) = self.courses.get_mut(key) else {
            return Ok(());
        };
        let store = self.replica.store();
        if course.save(&key.0, store, &*self.clock).await? == Saved::Overtaken {
            self.courses.remove(key);
            return Ok(());
        }
        if !course.is_due(self.clock.monotonic()) {
            return Ok(());
        }
        let Some(message) = course.seek(&self.replica, &self.source).await?.cloned() else {
            return Ok(());
        };
        let now = self.clock.now();
        let Some(secrets) = self.secrets.find(&course.webhook().secret) else {
            course.lacks_secret(now);
            return course.save(&key.0, store, &*self.clock).await.map(|_| ());
        };
        if !held.is_valid(self.clock.monotonic()) {
            return Ok(());
        }
        course.sends();
        let (sender, key) = (Arc::clone(&self.sender), key.clone());
        let url = course.webhook().url.clone();
        let span = tracing::debug_span!(
            target: spans::TARGET,
            "delivery to a webhook",
            "otel.kind" = "producer",
            webhook = %key.0,
            event = %message.id,
            outcome = Empty,
        );
        let sending = async move {
            let outcome = sender.send(&url, &message, &secrets, now).await;
            Span::current().record("outcome", outcome_of(&outcome));
            (key, outcome)
        };
        self.under_way.spawn(sending.instrument(span));
        Ok(())
    }

    /// Says how far behind everybody is.
    fn tell(&self) {
        let (end, now) = (*self.replica.served().borrow(), self.clock.now());
        let backlogs = self.courses.iter().map(|((name, _), course)| {
            let backlog = course.backlog(end, now);
            (name.to_string(), backlog)
        });
        self.metrics.followers.set_webhooks(backlogs.collect());
        let alarms = self.courses.iter().filter_map(|((name, _), course)| {
            let why = course.alarm()?;
            Some(format!("{name}: {why}"))
        });
        let alarms: Vec<_> = alarms.collect();
        let why = (!alarms.is_empty()).then(|| alarms.join("; "));
        self.metrics.alarms.set(Alarm::Webhooks, why);
    }
}

/// How it is counted.
fn outcome_of(outcome: &Result<(), Failure>) -> &'static str {
    outcome
        .as_ref()
        .map_or_else(Failure::outcome, |()| "delivered")
}

impl Task for Webhooks {
    const NAME: &'static str = KIND;

    fn is_needed(&self) -> bool {
        let has_some = self.replica.look(|follower| {
            let settings = follower.settings().state();
            settings.is_some_and(|settings| !settings.webhooks.is_empty())
        });
        has_some.unwrap_or(false)
    }

    async fn attend(&mut self, held: &Held) -> Result<(), StoreError> {
        self.take_back();
        self.open().await?;
        let mut failed = None;
        let keys: Vec<_> = self.courses.keys().cloned().collect();
        for key in keys {
            if let Err(error) = self.advance(&key, held).await {
                failed = failed.or(Some(error));
            }
        }
        self.tell();
        failed.map_or(Ok(()), Err)
    }

    async fn progress(&mut self) {
        match self.under_way.join_next().await {
            Some(Ok(outcome)) => self.back.push(outcome),
            Some(Err(_)) => self.rest(),
            None => std::future::pending().await,
        }
    }

    fn rest(&mut self) {
        self.under_way = JoinSet::new();
        self.back.clear();
        self.courses.clear();
        self.metrics.followers.set_webhooks(BTreeMap::new());
        self.metrics.alarms.set(Alarm::Webhooks, None);
    }
}
