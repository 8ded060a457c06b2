//! `variables set` and `variables show`.

use std::collections::BTreeMap;

use clap::{Args, Subcommand};

use super::api::Environment;
use super::change::Change;
use super::connection::AdminArgs;
use super::failure::Failure;
use super::output::{Output, cell, table};
use crate::domain::command;
use crate::domain::ids::{EnvironmentName, VariableName};
use crate::domain::interface::VariableValue;

#[derive(Debug, Subcommand)]
pub(super) enum Variables {
    /// Give variables values. Those that are not named keep theirs.
    Set(Set),
    /// Show every variable of an environment with its value.
    Show(Show),
}

/// Arguments of `variables set`.
#[derive(Debug, Args)]
pub(super) struct Set {
    #[command(flatten)]
    change: Change,
    /// Variables and their values. What a value means, a text, a number or a truth value, is up to the variable's type; where
    /// interfaces declare it with several types, NAME:=JSON says which is meant, as in Limit:=5.
    #[arg(value_name = "NAME=VALUE", value_parser = parse_assignment, required_unless_present = "reset")]
    values: Vec<(VariableName, VariableValue)>,
    /// A variable that has its default from now on. Can be given more than once.
    #[arg(long, value_name = "NAME")]
    reset: Vec<VariableName>,
}

/// Arguments of `variables show`.
#[derive(Debug, Args)]
pub(super) struct Show {
    /// The environment.
    #[arg(value_name = "ENVIRONMENT")]
    environment: EnvironmentName,
    #[command(flatten)]
    admin: AdminArgs,
}

/// Reads a value written as `NAME=VALUE`, which stays a text since the server knows the type, or as `NAME:=JSON`.
fn parse_assignment(text: &str) -> Result<(VariableName, VariableValue), String> {
    let (name, value) = text
        .split_once('=')
        .ok_or("expected NAME=VALUE, such as Callback_Offered=true")?;
    let (name, value) = match name.strip_suffix(':') {
        Some(name) => {
            let value = serde_json::from_str(value)
                .map_err(|_| "expected a JSON text, number or truth value behind `:=`")?;
            (name, value)
        }
        None => (name, VariableValue::Text(value.to_owned())),
    };
    let name = name.parse().map_err(|error| format!("{error}"))?;
    Ok((name, value))
}

impl Variables {
    pub(super) async fn run(self, output: Output) -> Result<(), Failure> {
        match self {
            Self::Set(set) => set.run(output).await,
            Self::Show(show) => show.run(output).await,
        }
    }
}

impl Set {
    async fn run(self, output: Output) -> Result<(), Failure> {
        let set = command::SetVariables {
            values: assignments(self.values, self.reset)?,
        };
        self.change.execute(set.into(), output).await
    }
}

fn assignments(
    values: Vec<(VariableName, VariableValue)>,
    reset: Vec<VariableName>,
) -> Result<command::Assignments, Failure> {
    let values = values.into_iter().map(|(name, value)| (name, Some(value)));
    let resets = reset.into_iter().map(|name| (name, None));
    let mut assigned = BTreeMap::new();
    for (name, value) in values.chain(resets) {
        if assigned.insert(name.clone(), value).is_some() {
            return Err(Failure::usage(format!(
                "variable {name} stands twice; give it one value"
            )));
        }
    }
    Ok(assigned.into_iter().collect())
}

impl Show {
    async fn run(self, output: Output) -> Result<(), Failure> {
        let client = self.admin.client()?;
        let url = client.url(&["v1", "environments", self.environment.as_str()]);
        let answer = client.get(url).await?;
        output.print(&answer, |environment: Environment| describe(&environment))
    }
}

/// Every variable once for each type and value that it has somewhere.
fn describe(environment: &Environment) -> String {
    let mut variables: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for interface in &environment.interfaces {
        for variable in &interface.variables {
            let (name, kind) = (variable.name.clone(), variable.kind.clone());
            let numbers = variables.entry((name, kind, cell(&variable.value)));
            numbers.or_default().push(interface.number.to_string());
        }
    }
    let rows = variables
        .into_iter()
        .map(|((name, kind, value), numbers)| [name, kind, value, numbers.join(", ")]);
    table(["variable", "type", "value", "interfaces"], rows)
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use serde_json::json;

    use super::*;

    #[test]
    fn an_assignment_is_a_name_and_a_text() {
        let (name, value) = parse_assignment("Prompt=a=b").unwrap();
        assert_eq!(
            (name.as_str(), value),
            ("Prompt", VariableValue::Text("a=b".to_owned()))
        );
        assert_eq!(
            parse_assignment("Prompt=").unwrap().1,
            VariableValue::Text(String::new())
        );
        for (text, expected) in [
            ("Closed:=true", VariableValue::Boolean(true)),
            ("Closed:=\"true\"", VariableValue::Text("true".to_owned())),
            ("Limit:=-5", VariableValue::Number((-5).into())),
        ] {
            assert_eq!(parse_assignment(text).unwrap().1, expected, "{text}");
        }
        let untyped = ["Closed:=", "Closed:=yes", "Closed:=null", "Closed:={}"];
        for bad in ["Prompt", "=x", "1st=x", "Slot=x", "tc_x=1"]
            .iter()
            .chain(&untyped)
        {
            assert!(parse_assignment(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_variable_gets_one_value() {
        let name = || "A".parse::<VariableName>().unwrap();
        let one = || vec![(name(), VariableValue::Boolean(true))];
        let both = assignments(one(), vec![name()]).unwrap_err();
        assert!(both.problem.message().contains("variable A stands twice"));
        assert!(assignments([one(), one()].concat(), vec![]).is_err());
        let set = assignments(one(), vec!["B".parse().unwrap()]).unwrap();
        assert_eq!(
            serde_json::to_value(&set).unwrap(),
            json!({"A": true, "B": null})
        );
    }

    #[test]
    fn a_variable_stands_once_for_each_type_and_value() {
        let variable = |name: &str, kind: &str, value: serde_json::Value| json!({ "name": name, "type": kind, "default": value, "value": value });
        let environment = json!({
            "environment": "Main_IVR", "revision": 3, "active": "blue",
            "slots": {
                "blue": { "flow": { "id": "b", "name": "B" }, "status": "empty", "share": 100 },
                "green": { "flow": { "id": "g", "name": "G" }, "status": "empty", "share": 0 },
            },
            "interfaces": [
                { "number": 1, "variables": [variable("Prompt", "string", json!("Hello"))] },
                { "number": 2, "variables": [
                    variable("Closed", "boolean", json!(false)),
                    variable("Prompt", "string", json!("Hello")),
                ] },
                { "number": 3, "variables": [variable("Prompt", "integer", json!(4))] },
            ],
        });
        assert_snapshot!(describe(&serde_json::from_value(environment).unwrap()), @"
         variable   type      value   interfaces
        ─────────────────────────────────────────
         Closed     boolean   false   2
         Prompt     integer   4       3
         Prompt     string    Hello   1, 2
        ");
    }
}
