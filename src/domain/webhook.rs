//! Webhooks: who is told of changes, and of which.
//!
//! Where a secret is, and how far a webhook has come, is none of this: the one is in no table, the other no change.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Refusal;
use super::access::AccessCommand;
use super::command::Command;
use super::ids::{
    ActionName, AggregateKey, EnvironmentName, SecretName, Sequence, WebhookName, WebhookUrl,
};
use super::refusal::MAX_ENVIRONMENTS;
use super::settings::SettingsCommand;

/// How many webhooks a deployment has at most.
pub const MAX_WEBHOOKS: usize = 16;
/// The action that every kind of thing has beside its own.
pub const REPAIR: &str = "repair";

/// Who is told, and of what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Where events are sent.
    pub url: WebhookUrl,
    /// The secret that they are signed with.
    pub secret: SecretName,
    /// The environments whose changes it is told of; `None` is all changes, those of no environment too.
    pub environments: Option<BTreeSet<EnvironmentName>>,
    /// The kinds of change that it is told of; `None` is all.
    pub actions: Option<BTreeSet<ActionName>>,
    /// The record that added it. It is told of what comes after.
    pub after: Sequence,
}

impl Webhook {
    /// Whether it is to be told that `action` was done to `aggregate`.
    #[must_use]
    pub fn wants(&self, aggregate: &AggregateKey, action: &str) -> bool {
        let of_environment = |names: &BTreeSet<EnvironmentName>| match aggregate {
            AggregateKey::Environment(name) => names.contains(name),
            AggregateKey::Access | AggregateKey::Settings | AggregateKey::Other(_) => false,
        };
        self.environments.as_ref().is_none_or(of_environment)
            && self
                .actions
                .as_ref()
                .is_none_or(|actions| actions.contains(action))
    }
}

/// Tell somebody of changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddWebhook {
    /// Its name.
    pub name: WebhookName,
    /// Where events are sent.
    pub url: WebhookUrl,
    /// The secret that they are signed with; the one that has the webhook's name if left out.
    #[serde(default)]
    pub secret: Option<SecretName>,
    /// The environments whose changes it is told of; all changes if left out, those of tokens and settings too.
    #[serde(default)]
    #[schema(min_items = 1, max_items = 256)]
    pub environments: Option<BTreeSet<EnvironmentName>>,
    /// The kinds of change that it is told of, such as `rollback`; all if left out.
    #[serde(default)]
    #[schema(min_items = 1)]
    pub actions: Option<BTreeSet<ActionName>>,
}

impl AddWebhook {
    fn check(&self) -> Result<(), Refusal> {
        let environments = self.environments.as_ref().map(BTreeSet::len);
        if environments.is_some_and(|count| !(1..=MAX_ENVIRONMENTS).contains(&count)) {
            return Err(Refusal::WebhookEnvironments);
        }
        let Some(actions) = &self.actions else {
            return Ok(());
        };
        if actions.is_empty() {
            return Err(Refusal::WebhookActions);
        }
        let is_known =
            |action: &&ActionName| actions_of_all().any(|known| known == action.as_str());
        match actions.iter().find(|action| !is_known(action)) {
            Some(unknown) => Err(Refusal::ActionUnknown(unknown.clone())),
            None => Ok(()),
        }
    }
}

/// The webhooks of a deployment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Webhooks(BTreeMap<WebhookName, Webhook>);

impl Webhooks {
    /// The webhooks in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&WebhookName, &Webhook)> {
        self.0.iter()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds one, by the record at `sequence`.
    ///
    /// # Errors
    /// There is one of this name, there are as many as there may be, or it would be told of nothing.
    pub fn add(&mut self, add: &AddWebhook, sequence: Sequence) -> Result<(), Refusal> {
        add.check()?;
        if self.0.contains_key(&add.name) {
            return Err(Refusal::WebhookExists);
        }
        if self.0.len() >= MAX_WEBHOOKS {
            return Err(Refusal::TooManyWebhooks);
        }
        let webhook = Webhook {
            url: add.url.clone(),
            secret: add.secret.clone().unwrap_or_else(|| namesake(&add.name)),
            environments: add.environments.clone(),
            actions: add.actions.clone(),
            after: sequence,
        };
        self.0.insert(add.name.clone(), webhook);
        Ok(())
    }

    /// Removes one. Returns whether it was there.
    pub fn remove(&mut self, name: &WebhookName) -> bool {
        self.0.remove(name).is_some()
    }

    /// What is wrong with them, if anything is: for a state read from outside. Commands keep it.
    #[must_use]
    pub fn inconsistency(&self) -> Option<&'static str> {
        (self.0.len() > MAX_WEBHOOKS).then_some("too many webhooks")
    }
}

impl FromIterator<(WebhookName, Webhook)> for Webhooks {
    fn from_iter<I: IntoIterator<Item = (WebhookName, Webhook)>>(webhooks: I) -> Self {
        Self(webhooks.into_iter().collect())
    }
}

fn namesake(name: &WebhookName) -> SecretName {
    let name = name.as_str().parse();
    name.expect("both names have one grammar")
}

/// Every kind of event: what was changed, and how.
pub fn kinds() -> impl Iterator<Item = (&'static str, &'static str)> {
    let of = |what, actions: &'static [&'static str]| {
        let own = actions.iter().map(move |action| (what, *action));
        own.chain([(what, REPAIR)])
    };
    let environment = of("environment", &Command::ACTIONS);
    let access = of("access", &AccessCommand::ACTIONS);
    environment
        .chain(access)
        .chain(of("settings", &SettingsCommand::ACTIONS))
}

fn actions_of_all() -> impl Iterator<Item = &'static str> {
    kinds().map(|(_, action)| action)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(name: &str) -> AddWebhook {
        AddWebhook {
            name: name.parse().unwrap(),
            url: "https://example.com/x".parse().unwrap(),
            secret: None,
            environments: None,
            actions: None,
        }
    }

    fn of(add: &AddWebhook) -> Webhook {
        let mut webhooks = Webhooks::default();
        webhooks.add(add, Sequence(7)).unwrap();
        let (_, webhook) = webhooks.iter().next().unwrap();
        webhook.clone()
    }

    fn names<T: std::str::FromStr<Err: std::fmt::Debug> + Ord>(
        names: &[&str],
    ) -> Option<BTreeSet<T>> {
        Some(names.iter().map(|name| name.parse().unwrap()).collect())
    }

    #[test]
    fn a_webhook_begins_behind_its_record_and_is_signed_by_its_namesake() {
        let webhook = of(&add("chat"));
        assert_eq!(webhook.after, Sequence(7));
        assert_eq!(webhook.secret.as_str(), "chat");
        let named = AddWebhook {
            secret: Some("ours".parse().unwrap()),
            ..add("chat")
        };
        assert_eq!(of(&named).secret.as_str(), "ours");
    }

    #[test]
    fn it_is_told_of_what_it_names_and_of_all_if_it_names_nothing() {
        let main = AggregateKey::Environment("Main".parse().unwrap());
        let other = AggregateKey::Environment("Other".parse().unwrap());
        let aggregates = [&main, &other, &AggregateKey::Access];
        let wanted = |environments, actions| {
            let webhook = of(&AddWebhook {
                environments,
                actions,
                ..add("x")
            });
            let of_both = |action| aggregates.map(|aggregate| webhook.wants(aggregate, action));
            [of_both("rollback"), of_both("cutover")]
        };
        assert_eq!(wanted(None, None), [[true; 3]; 2]);
        assert_eq!(
            wanted(names(&["Main"]), None),
            [[true, false, false]; 2],
            "what is of no environment is of none that it names"
        );
        assert_eq!(wanted(None, names(&["rollback"])), [[true; 3], [false; 3]]);
        assert_eq!(
            wanted(names(&["Other"]), names(&["cutover", "delete"])),
            [[false; 3], [false, true, false]]
        );
    }

    #[test]
    fn what_would_be_told_of_nothing_or_is_one_too_many_is_refused() {
        let mut webhooks = Webhooks::default();
        let mut refused = |add: &AddWebhook| webhooks.add(add, Sequence(1)).unwrap_err();
        for (environments, actions, refusal) in [
            (names(&[]), None, Refusal::WebhookEnvironments),
            (None, names(&[]), Refusal::WebhookActions),
            (
                None,
                names(&["cutover", "rolback"]),
                Refusal::ActionUnknown("rolback".parse().unwrap()),
            ),
        ] {
            let add = AddWebhook {
                environments,
                actions,
                ..add("x")
            };
            assert_eq!(refused(&add), refusal);
        }
        for number in 0..MAX_WEBHOOKS {
            webhooks
                .add(&add(&number.to_string()), Sequence(1))
                .unwrap();
        }
        let mut refused = |name| webhooks.add(&add(name), Sequence(1)).unwrap_err();
        assert_eq!(refused("0"), Refusal::WebhookExists);
        assert_eq!(refused("one-more"), Refusal::TooManyWebhooks);
        assert_eq!(webhooks.inconsistency(), None);
        assert!(webhooks.remove(&"0".parse().unwrap()));
        assert!(!webhooks.remove(&"0".parse().unwrap()));
    }

    #[test]
    fn kinds_are_told_apart() {
        let all: BTreeSet<_> = kinds().collect();
        assert_eq!(all.len(), kinds().count());
        assert!(all.contains(&("environment", "rollback")));
        assert!(all.contains(&("settings", "add_freeze")));
        assert!(all.contains(&("access", REPAIR)));
        for (_, action) in all {
            assert!(ActionName::is_valid(action), "{action}");
        }
    }
}
