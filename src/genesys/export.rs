//! The Genesys kit: everything that an organisation needs to have its calls decided here, as files to import.
//!
//! Pure: what an environment is and how it is reached goes in, names and bytes come out, the same ones for the same input. What
//! the platform takes is taken from its own exports; what no official source confirms is marked in the file, directly above.

mod action;
mod address;
mod contract;
mod fill;
mod flow;
mod manifest;
mod skeleton;
mod yaml;

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use crate::domain::ids::{EnvironmentName, FlowName, InterfaceNumber, VersionLabel};
use crate::domain::interface::Interface;
use crate::domain::slot::{BySlot, Slot};
pub use action::Credential;
pub use address::{DecisionsAddress, InvalidAddress};
pub use fill::{InvalidTemplate, fill};

/// The participant attribute in which a call carries the label of the flow version that it has been in.
const VERSION_ATTRIBUTE: &str = "Traffic_Cop_Flow_Version";
/// The participant attribute that tells why the service's answer did not decide.
const TROUBLE_ATTRIBUTE: &str = "Traffic_Cop_Trouble";

/// What the files are made from.
#[derive(Debug, Clone)]
pub struct Kit {
    /// The environment.
    pub environment: EnvironmentName,
    /// Where Genesys Cloud reaches the decisions listener.
    pub address: DecisionsAddress,
    /// The interface whose variables the actions ask for, for ever: contracts of actions are frozen.
    pub interface: InterfaceNumber,
    /// The variables of that interface.
    pub variables: Interface,
    /// The flows of the slots.
    pub flows: BySlot<FlowName>,
    /// The versions that the first flows call themselves.
    pub flow_versions: BySlot<VersionLabel>,
    /// The slot that takes calls when neither the service nor the data table says which.
    pub default_slot: Slot,
    /// How the actions prove who they are.
    pub credential: Credential,
    /// What things are called in the organisation.
    pub names: Names,
    /// Seconds after which the flow no longer waits for an answer.
    pub timeout_seconds: u8,
    /// Language of the flows, such as `en-us`.
    pub language: Language,
}

/// What things are called in the organisation.
#[derive(Debug, Clone)]
pub struct Names {
    /// The flow that the numbers point at.
    pub traffic_cop: FlowName,
    /// The integration that the actions belong to; also their category in Architect.
    pub integration: PlatformName,
    /// The data table with a row for each environment.
    pub table: PlatformName,
    /// The queue that calls go to when no flow takes them.
    pub last_resort: Option<PlatformName>,
}

/// A file of the kit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its name.
    pub name: &'static str,
    /// What it holds, with a line end at its end.
    pub text: String,
}

/// Why there can be no kit of an environment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotExportable {
    /// Two flows would be one.
    #[error(
        "two of the flows are called {0:?}; Architect knows flows by their names, so the Traffic Cop flow could not tell them apart"
    )]
    SameFlow(FlowName),
    /// The first flows would call themselves the same.
    #[error("both slots would hold version {0:?}; labels are unique in an environment")]
    SameVersion(VersionLabel),
    /// The flow's own clock would never ring, or the callers would notice it.
    #[error("a flow can wait 1 to 10 seconds for an answer, not {0}")]
    Timeout(u8),
}

impl Kit {
    /// The files, in the order of their names.
    ///
    /// # Errors
    /// The flows could not be told apart, or waiting so long is no use.
    pub fn files(&self) -> Result<Vec<File>, NotExportable> {
        self.check()?;
        let mut files = vec![
            action::decide(self),
            action::variables(self),
            action::outcomes(self),
            manifest::file(self),
            flow::file(self),
            skeleton::template(self),
            skeleton::of(self, Slot::Blue),
            skeleton::of(self, Slot::Green),
        ];
        files.extend(action::custom_auth(self));
        files.sort_by_key(|file| file.name);
        Ok(files)
    }

    fn check(&self) -> Result<(), NotExportable> {
        let BySlot { blue, green } = &self.flows;
        let flows = [&self.names.traffic_cop, blue, green];
        // Architect takes names that differ in case for one.
        let spelled = flows.map(|name| name.as_str().to_lowercase());
        for (one, other) in [(0, 1), (0, 2), (1, 2)] {
            if spelled[one] == spelled[other] {
                return Err(NotExportable::SameFlow(flows[one].clone()));
            }
        }
        let BySlot { blue, green } = &self.flow_versions;
        if blue == green {
            return Err(NotExportable::SameVersion(blue.clone()));
        }
        if !(1..=10).contains(&self.timeout_seconds) {
            return Err(NotExportable::Timeout(self.timeout_seconds));
        }
        Ok(())
    }

    /// The name of an action. It tells the environment, and the interface if the contract has variables: neither can change in
    /// an action.
    fn action_name(&self, what: action::What) -> String {
        let name = format!("Traffic Cop {} {}", self.environment, what.word());
        if what.has_variables() {
            format!("{name} interface {}", self.interface)
        } else {
            name
        }
    }
}

/// Writes JSON as it stands in a file.
fn json_file(name: &'static str, content: &impl Serialize) -> File {
    // Texts, numbers and maps with texts as keys: nothing that JSON cannot say.
    let mut text = serde_json::to_string_pretty(content).expect("what can be written as JSON");
    text.push('\n');
    File { name, text }
}

/// Name of something in an organisation, as people see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlatformName(String);

/// A text is no such name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a name of 1 to 128 characters on one line, no blank at either end")]
pub struct InvalidPlatformName;

impl FromStr for PlatformName {
    type Err = InvalidPlatformName;

    fn from_str(text: &str) -> Result<Self, InvalidPlatformName> {
        // The names of flows follow the same rule.
        let is_name = FlowName::is_valid(text);
        is_name
            .then(|| Self(text.to_owned()))
            .ok_or(InvalidPlatformName)
    }
}

impl PlatformName {
    /// The name itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PlatformName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A language of flows, as Architect spells it: `en-us`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Language(String);

/// A text is no such language.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a language as Architect spells it, such as en-us")]
pub struct InvalidLanguage;

impl FromStr for Language {
    type Err = InvalidLanguage;

    fn from_str(text: &str) -> Result<Self, InvalidLanguage> {
        let is_part = |part: &str| {
            (2..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
        };
        let is_language = text.starts_with(|first: char| first.is_ascii_alphabetic())
            && text.split('-').all(is_part);
        is_language
            .then(|| Self(text.to_ascii_lowercase()))
            .ok_or(InvalidLanguage)
    }
}
