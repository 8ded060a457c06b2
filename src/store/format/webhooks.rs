//! Webhooks in format 1.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::domain::ids::{
    ActionName, EnvironmentName, SecretName, Sequence, WebhookName, WebhookUrl,
};
use crate::domain::webhook::{Webhook, Webhooks};

/// The webhooks by their names.
pub(super) type WireWebhooks = BTreeMap<WebhookName, WireWebhook>;

#[derive(Serialize, Deserialize)]
pub(super) struct WireWebhook {
    url: WebhookUrl,
    secret: SecretName,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    environments: Option<BTreeSet<EnvironmentName>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    actions: Option<BTreeSet<ActionName>>,
    after: Sequence,
}

pub(super) fn to_wire(webhooks: &Webhooks) -> WireWebhooks {
    let wire = webhooks.iter().map(|(name, webhook)| {
        let wire = WireWebhook {
            url: webhook.url.clone(),
            secret: webhook.secret.clone(),
            environments: webhook.environments.clone(),
            actions: webhook.actions.clone(),
            after: webhook.after,
        };
        (name.clone(), wire)
    });
    wire.collect()
}

pub(super) fn from_wire(wire: WireWebhooks) -> Webhooks {
    let webhooks = wire.into_iter().map(|(name, wire)| {
        let webhook = Webhook {
            url: wire.url,
            secret: wire.secret,
            environments: wire.environments,
            actions: wire.actions,
            after: wire.after,
        };
        (name, webhook)
    });
    webhooks.collect()
}
