//! Whether a flow is fit to get callers, by what `GET /api/v2/flows/{flowId}` says of it. No more than a judgement: the
//! [client](super::client) asks, and what follows is decided elsewhere.

#[cfg(test)]
mod tests;

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;

use super::flow_aggregates::InvalidAnswer;
use crate::domain::environment::FlowVersion;
use crate::domain::ids::{FlowId, PublishedVersion};

/// The type of flows that the Traffic Cop flow can transfer calls to.
const INBOUND_CALL: &str = "INBOUNDCALL";
/// How far the clock of Genesys Cloud may be from ours before "later" means something.
const MOST_APART: Duration = Duration::from_secs(60);
/// Most characters that are repeated of a text.
const MOST_CHARACTERS: usize = 64;

/// A flow, as far as it is looked at. Members that are absent say nothing.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Flow {
    id: String,
    #[serde(rename = "type")]
    kind: Option<String>,
    active: Option<bool>,
    deleted: Option<bool>,
    published_version: Option<Published>,
    locked_user: Option<Somebody>,
    locked_client: Option<Somebody>,
    current_operation: Option<Operation>,
}

/// What is published.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Published {
    id: Option<String>,
    name: Option<String>,
    date_published: Option<String>,
}

/// A person or an OAuth client.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Somebody {
    id: Option<String>,
    name: Option<String>,
}

/// What is being done to the flow, or was.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Operation {
    complete: Option<bool>,
    action_name: Option<String>,
    action_status: Option<String>,
}

/// Reads the flow `id`.
///
/// # Errors
/// The answer has another shape, or is about another flow.
pub fn read(id: &FlowId, body: &[u8]) -> Result<Flow, InvalidAnswer> {
    let flow: Flow = serde_json::from_slice(body).map_err(|_| InvalidAnswer::Unreadable)?;
    if !flow.id.eq_ignore_ascii_case(id.as_str()) {
        return Err(InvalidAnswer::Unreadable);
    }
    Ok(flow)
}

/// Something about a flow that whoever sends callers there should know. Texts of Genesys Cloud are cut short and have no control
/// characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// There is none of its id, or none that the client may see.
    Missing,
    /// It was deleted.
    Deleted,
    /// It is not active.
    Inactive,
    /// Calls cannot be transferred to it.
    OtherType(String),
    /// Nothing is published.
    Unpublished,
    /// Another version is published than the registered one.
    OtherVersion {
        /// What is published.
        published: String,
        /// What was registered.
        registered: PublishedVersion,
    },
    /// Something was published after the version had been registered.
    PublishedSince {
        /// What.
        published: String,
        /// When.
        at: Timestamp,
    },
    /// Somebody edits it, and may publish any moment.
    Locked(String),
    /// An operation on it has not ended.
    Busy(String),
    /// What is published cannot be compared with the registered version.
    NotCompared {
        /// What is published.
        published: String,
    },
    /// Genesys Cloud does not say something that it was expected to say.
    Untold(&'static str),
}

impl Finding {
    /// Its name, for programs.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Deleted => "deleted",
            Self::Inactive => "inactive",
            Self::OtherType(_) => "other_type",
            Self::Unpublished => "unpublished",
            Self::OtherVersion { .. } => "other_version",
            Self::PublishedSince { .. } => "published_since",
            Self::Locked(_) => "locked",
            Self::Busy(_) => "busy",
            Self::NotCompared { .. } => "not_compared",
            Self::Untold(_) => "untold",
        }
    }

    /// Whether it stands against sending callers there. Otherwise it says what is not known.
    #[must_use]
    pub fn is_problem(&self) -> bool {
        !matches!(self, Self::NotCompared { .. } | Self::Untold(_))
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str(
                "there is no such flow, or the client may not see it: compare its id and division",
            ),
            Self::Deleted => f.write_str("it was deleted"),
            Self::Inactive => f.write_str("it is not active"),
            Self::OtherType(kind) => write!(
                f,
                "it is of type {kind}, to which no call can be transferred; {INBOUND_CALL} is needed"
            ),
            Self::Unpublished => f.write_str("no version of it is published"),
            Self::OtherVersion {
                published,
                registered,
            } => write!(
                f,
                "version {published} is published, and {registered} was registered; register what is published, or publish it again"
            ),
            Self::PublishedSince { published, at } => write!(
                f,
                "version {published} was published at {at}, after the registration; register what is published"
            ),
            Self::Locked(by) => write!(
                f,
                "it is locked by {by}, who may publish any moment; have it unlocked"
            ),
            Self::Busy(operation) => write!(f, "an operation on it has not ended: {operation}"),
            Self::NotCompared { published } => write!(
                f,
                "whether version {published}, which is published, is the registered one cannot be said: nobody registered a \
                 published version"
            ),
            Self::Untold(what) => write!(f, "Genesys Cloud does not say {what}"),
        }
    }
}

/// Judges `flow`, which should hold `expected`; `None` if there is none.
#[must_use]
pub fn judge(flow: Option<&Flow>, expected: &FlowVersion) -> Vec<Finding> {
    let Some(flow) = flow else {
        return vec![Finding::Missing];
    };
    if flow.deleted == Some(true) {
        return vec![Finding::Deleted];
    }
    let found = [
        flow.inactivity(),
        flow.otherness(),
        flow.publication(expected),
        flow.lock(),
        flow.business(),
    ];
    found.into_iter().flatten().collect()
}

impl Flow {
    /// What is published, as a version that is registered is to be called.
    ///
    /// # Errors
    /// There is no such thing, or none that Genesys Cloud tells.
    pub fn published(&self) -> Result<PublishedVersion, Finding> {
        if self.deleted == Some(true) {
            return Err(Finding::Deleted);
        }
        let published = self.published_version.as_ref();
        let published = published.ok_or(Finding::Unpublished)?;
        // By its id before its name: what other answers of Genesys Cloud call a version is not documented.
        let texts = [&published.id, &published.name].into_iter().flatten();
        let mut versions = texts.filter_map(|text| text.trim().parse().ok());
        versions
            .next()
            .ok_or(Finding::Untold("which version is published"))
    }

    fn inactivity(&self) -> Option<Finding> {
        match self.active {
            Some(true) => None,
            Some(false) => Some(Finding::Inactive),
            None => Some(Finding::Untold("whether it is active")),
        }
    }

    fn otherness(&self) -> Option<Finding> {
        match &self.kind {
            Some(kind) if kind.eq_ignore_ascii_case(INBOUND_CALL) => None,
            Some(kind) => Some(Finding::OtherType(plain(kind))),
            None => Some(Finding::Untold("of what type it is")),
        }
    }

    /// How a version is written is not documented, so what was registered may be its id as well as its name.
    fn publication(&self, expected: &FlowVersion) -> Option<Finding> {
        let Some(published) = &self.published_version else {
            return Some(Finding::Unpublished);
        };
        let Some(called) = published.called() else {
            return Some(Finding::Untold("which version is published"));
        };
        let Some(registered) = &expected.published else {
            if published.is(expected.label.as_str()) {
                return None;
            }
            return Some(match published.since(expected.registered_at) {
                Some(at) => Finding::PublishedSince {
                    published: called,
                    at,
                },
                None => Finding::NotCompared { published: called },
            });
        };
        let is_registered = published.is(registered.as_str());
        (!is_registered).then(|| Finding::OtherVersion {
            published: called,
            registered: registered.clone(),
        })
    }

    fn lock(&self) -> Option<Finding> {
        let user = self.locked_user.as_ref().map(Somebody::called);
        let client = || {
            Some(format!(
                "the client {}",
                self.locked_client.as_ref()?.called()
            ))
        };
        user.or_else(client).map(Finding::Locked)
    }

    fn business(&self) -> Option<Finding> {
        let operation = self.current_operation.as_ref()?;
        let is_over = operation.complete == Some(true);
        let texts = [&operation.action_name, &operation.action_status];
        let texts: Vec<_> = texts
            .into_iter()
            .flatten()
            .map(|text| plain(text))
            .collect();
        let told = match texts.is_empty() {
            true => "it has no name".to_owned(),
            false => texts.join(", "),
        };
        (!is_over).then_some(Finding::Busy(told))
    }
}

impl Published {
    fn texts(&self) -> impl Iterator<Item = &str> {
        let texts = [&self.name, &self.id].into_iter().flatten();
        texts
            .map(String::as_str)
            .filter(|text| !text.trim().is_empty())
    }

    fn called(&self) -> Option<String> {
        self.texts().next().map(plain)
    }

    fn is(&self, version: &str) -> bool {
        self.texts().any(|text| text.trim() == version)
    }

    /// When it was published, if that was certainly after `time`.
    fn since(&self, time: Timestamp) -> Option<Timestamp> {
        let at: Timestamp = self.date_published.as_ref()?.parse().ok()?;
        (at.duration_since(time).unsigned_abs() > MOST_APART && at > time).then_some(at)
    }
}

impl Somebody {
    fn called(&self) -> String {
        let known = self.name.as_ref().or(self.id.as_ref());
        known.map_or_else(|| "somebody".to_owned(), |text| plain(text))
    }
}

/// A text from elsewhere as it may be shown.
fn plain(text: &str) -> String {
    let shown = text.trim().chars().filter(|c| !c.is_control());
    shown.take(MOST_CHARACTERS).collect()
}
