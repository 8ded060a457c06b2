//! Values for variables, as a command gives them.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use crate::domain::ids::VariableName;
use crate::domain::interface::VariableValue;

/// A value for each variable, or null for its default.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = BTreeMap<VariableName, Assignment>)]
pub struct Assignments(BTreeMap<VariableName, Option<VariableValue>>);

/// A variable's value, or null for its default.
#[derive(ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "describes what `Assignments` holds")]
enum Assignment {
    /// A value.
    Value(VariableValue),
    /// The default.
    Default,
}

impl Assignments {
    /// Each variable with its value.
    pub fn iter(&self) -> impl Iterator<Item = (&VariableName, Option<&VariableValue>)> {
        self.0.iter().map(|(name, value)| (name, value.as_ref()))
    }
}

impl FromIterator<(VariableName, Option<VariableValue>)> for Assignments {
    fn from_iter<I: IntoIterator<Item = (VariableName, Option<VariableValue>)>>(values: I) -> Self {
        Self(values.into_iter().collect())
    }
}

impl<'de> Deserialize<'de> for Assignments {
    /// Not derived: a map takes the last of two members of one name, and a name that is none would be repeated as the place of
    /// the error.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Assignments;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Assignments, A::Error> {
                let mut values = BTreeMap::new();
                while let Some(name) = map.next_key::<String>()? {
                    let name: VariableName = name.parse().map_err(A::Error::custom)?;
                    if values.insert(name, map.next_value()?).is_some() {
                        return Err(A::Error::custom("a variable stands twice"));
                    }
                }
                Ok(Assignments(values))
            }
        }
        deserializer.deserialize_map(Members)
    }
}
