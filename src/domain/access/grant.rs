//! What a caller may do, and where.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::ids::EnvironmentName;

/// What a caller may do.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Ask for decisions.
    Decide,
    /// Report outcomes.
    Report,
    /// Look at environments, their history and the replicas.
    Read,
    /// Change environments; includes `read`.
    Operate,
    /// Everything, tokens and the journal included.
    Admin,
}

impl Scope {
    /// Every scope, the weakest first.
    pub const ALL: [Self; 5] = [
        Self::Decide,
        Self::Report,
        Self::Read,
        Self::Operate,
        Self::Admin,
    ];

    /// Whether a caller with this scope may do what asks for `needed`.
    #[must_use]
    pub fn includes(self, needed: Self) -> bool {
        self == needed || self == Self::Admin || (self == Self::Operate && needed == Self::Read)
    }

    /// The scope's name everywhere.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Decide => "decide",
            Self::Report => "report",
            Self::Read => "read",
            Self::Operate => "operate",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text names no scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("invalid scope: expected decide, report, read, operate or admin")]
pub struct InvalidScope;

impl FromStr for Scope {
    type Err = InvalidScope;

    fn from_str(text: &str) -> Result<Self, InvalidScope> {
        Self::ALL
            .into_iter()
            .find(|scope| scope.as_str() == text)
            .ok_or(InvalidScope)
    }
}

/// Where a caller may do it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// In every environment, those to come included.
    Everywhere,
    /// In these.
    Environments(BTreeSet<EnvironmentName>),
}

impl Reach {
    /// The environments that are named; `None` for all.
    #[must_use]
    pub fn environments(&self) -> Option<&BTreeSet<EnvironmentName>> {
        match self {
            Self::Everywhere => None,
            Self::Environments(names) => Some(names),
        }
    }
}

impl From<Option<BTreeSet<EnvironmentName>>> for Reach {
    fn from(names: Option<BTreeSet<EnvironmentName>>) -> Self {
        names.map_or(Self::Everywhere, Self::Environments)
    }
}

/// What a caller may do, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// What.
    pub scopes: BTreeSet<Scope>,
    /// Where.
    pub reach: Reach,
}

impl Grant {
    /// Everything, everywhere.
    #[must_use]
    pub fn everything() -> Self {
        Self {
            scopes: BTreeSet::from([Scope::Admin]),
            reach: Reach::Everywhere,
        }
    }

    /// Only decisions, everywhere.
    #[must_use]
    pub fn decisions() -> Self {
        Self {
            scopes: BTreeSet::from([Scope::Decide]),
            reach: Reach::Everywhere,
        }
    }

    /// Whether it covers `needed` in `environment`; for `None`, whether it covers it in the deployment as a whole.
    #[must_use]
    pub fn allows(&self, needed: Scope, environment: Option<&str>) -> bool {
        let reaches = match (&self.reach, environment) {
            (Reach::Everywhere, _) => true,
            (Reach::Environments(names), Some(name)) => names.contains(name),
            (Reach::Environments(_), None) => false,
        };
        reaches && self.allows_somewhere(needed)
    }

    /// Whether it covers `needed` in any environment.
    #[must_use]
    pub fn allows_somewhere(&self, needed: Scope) -> bool {
        self.scopes.iter().any(|scope| scope.includes(needed))
    }
}
