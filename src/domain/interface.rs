//! Interfaces: the versioned contract of participant-data variables between an environment and its flows.
//!
//! A flow version names the interface it was written for. The environment carries values; whoever asks by an interface gets
//! every variable of it, and nothing else. A flow cannot do without a variable that it was written to read, so only additions
//! are compatible.

mod description;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::ids::VariableName;

/// The most variables that one interface may have.
pub const MAX_VARIABLES: usize = 64;
/// The longest text that a variable may hold, in bytes of UTF-8.
pub const MAX_TEXT_BYTES: usize = 1024;
/// The largest integer on either side of zero: the range in which every reader of JSON agrees on the value (RFC 8259,
/// section 6).
const MAX_INTEGER: u64 = (1 << 53) - 1;

/// What a variable holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a text, a number, true or false")]
pub enum VariableValue {
    /// True or false.
    Boolean(bool),
    /// A number, as it was written.
    Number(serde_json::Number),
    /// A text.
    Text(String),
}

impl VariableValue {
    /// Whether a variable of this type can hold it.
    #[must_use]
    pub fn is_of(&self, kind: VariableType) -> bool {
        match (self, kind) {
            (Self::Text(_), VariableType::String)
            | (Self::Boolean(_), VariableType::Boolean)
            | (Self::Number(_), VariableType::Number) => true,
            (Self::Number(number), VariableType::Integer) => number
                .as_i64()
                .is_some_and(|integer| integer.unsigned_abs() <= MAX_INTEGER),
            _ => false,
        }
    }

    /// The value that a variable of one of these types gets from this: itself if it is of one of them, or else the whole number
    /// that it is, or what its text spells, since a command line has nothing but texts.
    #[must_use]
    pub fn settle(&self, kinds: &BTreeSet<VariableType>) -> Option<Self> {
        if kinds.iter().any(|kind| self.is_of(*kind)) {
            return Some(self.clone());
        }
        let Self::Text(text) = self else {
            return self
                .whole()
                .filter(|_| kinds.contains(&VariableType::Integer));
        };
        let spelled = if let Ok(boolean) = text.parse() {
            Self::Boolean(boolean)
        } else {
            Self::Number(serde_json::from_str(text).ok()?)
        };
        let fits = kinds.iter().any(|kind| spelled.is_of(*kind));
        fits.then_some(spelled)
    }

    /// The whole number that this is, if it is written as one with a fraction of zero: `5` for `5.0`.
    fn whole(&self) -> Option<Self> {
        let Self::Number(number) = self else {
            return None;
        };
        let float = number.as_f64().filter(|_| number.is_f64())?;
        let is_whole = float.fract() == 0.0 && float.abs() <= MAX_INTEGER as f64;
        // Exact: it has no fraction and lies in the range of both.
        is_whole.then(|| Self::Number((float as i64).into()))
    }

    /// Whether it is a text longer than [`MAX_TEXT_BYTES`].
    #[must_use]
    pub fn is_too_long(&self) -> bool {
        matches!(self, Self::Text(text) if text.len() > MAX_TEXT_BYTES)
    }
}

/// What kind of values a variable holds.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum VariableType {
    /// Texts.
    String,
    /// Whole numbers up to 2^53 - 1 on either side of zero.
    Integer,
    /// Numbers.
    Number,
    /// True and false.
    Boolean,
}

impl fmt::Display for VariableType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::String => "string",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
        })
    }
}

/// A variable of an interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Declaration")]
pub struct Variable {
    name: VariableName,
    #[serde(rename = "type")]
    kind: VariableType,
    /// What it holds where the environment has no value for it.
    default: VariableValue,
}

/// A variable as it is written down, before its members are held against each other.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Declaration {
    name: VariableName,
    #[serde(rename = "type")]
    kind: VariableType,
    default: VariableValue,
}

/// A default is not of the type that its variable has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the default is not of the type {0}")]
pub struct MistypedDefault(VariableType);

impl Variable {
    /// A variable of this name and type.
    ///
    /// # Errors
    /// The default is of another type.
    pub fn new(
        name: VariableName,
        kind: VariableType,
        default: VariableValue,
    ) -> Result<Self, MistypedDefault> {
        let whole = default.whole().filter(|_| kind == VariableType::Integer);
        let default = whole.unwrap_or(default);
        if default.is_of(kind) {
            Ok(Self {
                name,
                kind,
                default,
            })
        } else {
            Err(MistypedDefault(kind))
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &VariableName {
        &self.name
    }

    /// Its type.
    #[must_use]
    pub fn kind(&self) -> VariableType {
        self.kind
    }

    /// What it holds where the environment has no value for it.
    #[must_use]
    pub fn default_value(&self) -> &VariableValue {
        &self.default
    }
}

impl TryFrom<Declaration> for Variable {
    type Error = MistypedDefault;

    fn try_from(declaration: Declaration) -> Result<Self, MistypedDefault> {
        Self::new(declaration.name, declaration.kind, declaration.default)
    }
}

/// A contract: variables, each name once, in the order of their names.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "Vec<Variable>")]
#[schema(max_items = 64)]
pub struct Interface(Vec<Variable>);

/// One name for two variables.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("variable {0} stands twice; names that differ in nothing but case count as one")]
pub struct VariableTwice(VariableName);

impl TryFrom<Vec<Variable>> for Interface {
    type Error = VariableTwice;

    fn try_from(mut variables: Vec<Variable>) -> Result<Self, VariableTwice> {
        let mut names = BTreeSet::new();
        for Variable { name, .. } in &variables {
            if !names.insert(name.as_str().to_ascii_lowercase()) {
                return Err(VariableTwice(name.clone()));
            }
        }
        variables.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(Self(variables))
    }
}

impl Interface {
    /// The interface without variables.
    pub const EMPTY: Self = Self(Vec::new());

    /// Its variables in the order of their names.
    #[must_use]
    pub fn variables(&self) -> &[Variable] {
        &self.0
    }

    /// The variable of this name.
    #[must_use]
    pub fn variable(&self, name: &VariableName) -> Option<&Variable> {
        let place = self.0.binary_search_by(|variable| variable.name.cmp(name));
        place.ok().map(|place| &self.0[place])
    }

    /// Whether it has no variables.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether every variable of `other` is one of this, its type and default included.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        let mut variables = other.0.iter();
        variables.all(|variable| self.variable(&variable.name) == Some(variable))
    }

    /// What a flow written for `earlier` would miss in this one; nothing if this only adds.
    #[must_use]
    pub fn breaks(&self, earlier: &Self) -> Vec<Break> {
        let lost = earlier.0.iter().filter_map(|variable| {
            let is = self.variable(&variable.name).map(|variable| variable.kind);
            (is != Some(variable.kind)).then(|| Break {
                variable: variable.name.clone(),
                was: variable.kind,
                is,
            })
        });
        lost.collect()
    }

    /// Each variable with its value among `values`, or its default where there is none of its type.
    pub fn project<'a>(
        &'a self,
        values: &'a BTreeMap<VariableName, VariableValue>,
    ) -> impl Iterator<Item = (&'a VariableName, &'a VariableValue)> {
        self.0.iter().map(|variable| {
            let value = values
                .get(&variable.name)
                .filter(|value| value.is_of(variable.kind));
            (&variable.name, value.unwrap_or(&variable.default))
        })
    }
}

/// A variable that a flow written for an earlier interface would miss.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Break {
    /// Its name.
    pub variable: VariableName,
    /// Its type in the earlier interface.
    pub was: VariableType,
    /// Its type now; `None` if it is gone, under a new name perhaps.
    pub is: Option<VariableType>,
}

impl fmt::Display for Break {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { variable, was, is } = self;
        match is {
            Some(is) => write!(f, "{variable} was {was} and is {is}"),
            None => write!(f, "{variable} is gone"),
        }
    }
}
