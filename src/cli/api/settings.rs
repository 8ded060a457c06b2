//! Answers about freeze windows, webhooks and the settings that hold them.

use serde::Deserialize;

/// A time in which nobody moves callers.
#[derive(Debug, Deserialize)]
pub(in crate::cli) struct Freeze {
    pub(in crate::cli) number: u64,
    pub(in crate::cli) start: String,
    pub(in crate::cli) end: String,
    pub(in crate::cli) reason: String,
    pub(in crate::cli) status: String,
}

/// The freeze windows of one place, and those that hold there too.
#[derive(Debug, Deserialize)]
pub(in crate::cli) struct Freezes {
    pub(in crate::cli) freezes: Vec<Freeze>,
    #[serde(default)]
    pub(in crate::cli) deployment: Vec<Freeze>,
}

/// What became of a change of the settings.
#[derive(Debug, Deserialize)]
pub(in crate::cli) struct SettingsWritten {
    pub(in crate::cli) outcome: String,
    pub(in crate::cli) because: Option<String>,
    pub(in crate::cli) revision: u64,
    #[serde(default)]
    pub(in crate::cli) freezes: Vec<Freeze>,
}

/// Every webhook.
#[derive(Debug, Deserialize)]
pub(in crate::cli) struct Webhooks {
    pub(in crate::cli) webhooks: Vec<Webhook>,
}

/// A webhook.
#[derive(Debug, Deserialize)]
pub(in crate::cli) struct Webhook {
    pub(in crate::cli) name: String,
    pub(in crate::cli) url: String,
    pub(in crate::cli) secret: String,
    /// `None` is every environment.
    pub(in crate::cli) environments: Option<Vec<String>>,
    /// `None` is every action.
    pub(in crate::cli) actions: Option<Vec<String>>,
    pub(in crate::cli) delivery: Option<Delivery>,
}

/// How far a webhook has been told.
#[derive(Debug, Deserialize)]
pub(in crate::cli) struct Delivery {
    pub(in crate::cli) behind: u64,
    pub(in crate::cli) held_up: Option<HeldUp>,
}

/// What holds a follower of the journal up.
#[derive(Debug, Deserialize)]
pub(in crate::cli) struct HeldUp {
    pub(in crate::cli) since: String,
    pub(in crate::cli) why: String,
}

/// What became of a change of the webhooks.
#[derive(Debug, Deserialize)]
pub(in crate::cli) struct WebhookWritten {
    pub(in crate::cli) outcome: String,
    pub(in crate::cli) because: Option<String>,
    pub(in crate::cli) name: String,
}
