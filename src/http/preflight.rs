//! The look at a flow before callers are sent there: asking Genesys Cloud within a budget, and what an answer says.

use std::sync::Arc;
use std::time::Duration;

use crate::config::Policy;
use crate::domain::environment::FlowVersion;
use crate::domain::ids::{FlowId, PublishedVersion};
use crate::genesys::client::{AskError, Client};
use crate::genesys::preflight::{Finding, Flow, judge};

/// Who looks, and what follows.
#[derive(Debug)]
pub struct Preflight {
    /// What follows.
    pub policy: Policy,
    /// Who asks; `None` without access to Genesys Cloud.
    pub client: Option<Arc<Client>>,
    /// How long a look may take.
    pub budget: Duration,
}

impl Default for Preflight {
    /// One without access.
    fn default() -> Self {
        Self {
            policy: Policy::Warn,
            client: None,
            budget: Duration::from_secs(3),
        }
    }
}

/// What a look came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The flow is fit, as far as can be said.
    Fit(Vec<Finding>),
    /// It is not.
    Unfit(Vec<Finding>),
    /// Genesys Cloud was asked in vain. Why, after "Genesys Cloud".
    Unknown(String),
    /// It was not asked. Why.
    Skipped(&'static str),
}

impl Outcome {
    /// Its name on the wire and in the metrics.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Fit(_) => "fit",
            Self::Unfit(_) => "unfit",
            Self::Unknown(_) => "unknown",
            Self::Skipped(_) => "skipped",
        }
    }

    /// What was found.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        match self {
            Self::Fit(findings) | Self::Unfit(findings) => findings,
            Self::Unknown(_) | Self::Skipped(_) => &[],
        }
    }

    /// Why nothing was found.
    #[must_use]
    pub fn because(&self) -> Option<String> {
        match self {
            Self::Fit(_) | Self::Unfit(_) => None,
            Self::Unknown(because) => Some(format!("Genesys Cloud {because}")),
            Self::Skipped(because) => Some((*because).to_owned()),
        }
    }
}

/// What is published of a flow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Published {
    /// This version.
    Known(PublishedVersion),
    /// None, as Genesys Cloud says it.
    None(Finding),
    /// Genesys Cloud was asked in vain. Why, after "Genesys Cloud".
    Unknown(String),
    /// It was not asked. Why.
    Skipped(&'static str),
}

impl Published {
    /// The version, if it is known.
    #[must_use]
    pub fn version(self) -> Option<PublishedVersion> {
        match self {
            Self::Known(version) => Some(version),
            Self::None(_) | Self::Unknown(_) | Self::Skipped(_) => None,
        }
    }

    /// Why there is none.
    #[must_use]
    pub fn because(&self) -> Option<String> {
        match self {
            Self::Known(_) => None,
            Self::None(finding) => Some(finding.to_string()),
            Self::Unknown(because) => Some(format!("Genesys Cloud {because}")),
            Self::Skipped(because) => Some((*because).to_owned()),
        }
    }
}

/// Why nothing is known of a flow.
enum NoFlow {
    Unknown(String),
    Skipped(&'static str),
}

impl Preflight {
    /// Looks at `flow`, which should hold `expected`. Takes no longer than the budget.
    pub async fn look(&self, flow: &FlowId, expected: &FlowVersion) -> Outcome {
        match self.ask(flow).await {
            Ok(flow) => {
                let findings = judge(flow.as_ref(), expected);
                if findings.iter().any(Finding::is_problem) {
                    Outcome::Unfit(findings)
                } else {
                    Outcome::Fit(findings)
                }
            }
            Err(NoFlow::Unknown(because)) => Outcome::Unknown(because),
            Err(NoFlow::Skipped(because)) => Outcome::Skipped(because),
        }
    }

    /// Finds out what is published of `flow`. Takes no longer than the budget.
    pub async fn published(&self, flow: &FlowId) -> Published {
        let flow = match self.ask(flow).await {
            Ok(Some(flow)) => flow,
            Ok(None) => {
                let because = "does not show the flow: compare its id and division";
                return Published::Unknown(because.to_owned());
            }
            Err(NoFlow::Unknown(because)) => return Published::Unknown(because),
            Err(NoFlow::Skipped(because)) => return Published::Skipped(because),
        };
        match flow.published() {
            Ok(version) => Published::Known(version),
            Err(finding) if finding.is_problem() => Published::None(finding),
            Err(_) => Published::Unknown("does not say which version is published".to_owned()),
        }
    }

    async fn ask(&self, flow: &FlowId) -> Result<Option<Flow>, NoFlow> {
        let client = self.client.as_ref();
        let client = client.ok_or(NoFlow::Skipped("no access to Genesys Cloud"))?;
        match tokio::time::timeout(self.budget, client.flow(flow)).await {
            Ok(Ok(flow)) => Ok(flow),
            Ok(Err(error)) => {
                tracing::warn!(%flow, %error, "a look at a flow found nothing out");
                Err(NoFlow::Unknown(why(&error)))
            }
            Err(_) => {
                tracing::warn!(%flow, "a look at a flow took too long");
                let budget = self.budget;
                Err(NoFlow::Unknown(format!("did not answer within {budget:?}")))
            }
        }
    }
}

/// Why a question was not answered, without what is in the error.
fn why(error: &AskError) -> String {
    match error {
        AskError::NotNow => {
            "is not asked: the requests of this minute are used up, or it wants to be left alone"
        }
        AskError::NoSecret(_) => "cannot be asked: the client secret cannot be read",
        AskError::NoAnswer(_) => "does not answer",
        AskError::LoginRefused(_) => "refuses the client's id and secret",
        AskError::Unauthenticated => "refuses its own access tokens",
        AskError::Forbidden => {
            "does not let the client see flows: it needs the permission architect:flow:view"
        }
        AskError::Throttled(_) => "is asked too much",
        AskError::Status(status) => return format!("answers with status {}", status.as_u16()),
        AskError::TooLarge | AskError::Invalid(_) | AskError::ClocksApart(_) => {
            "gives an answer that cannot be read"
        }
    }
    .to_owned()
}
