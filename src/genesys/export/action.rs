//! Data actions, in the form in which Genesys Cloud exports and imports them (`*.custom.json`).

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;
use serde_json::Value;

use super::contract::{self, Input};
use super::{File, Kit, json_file};

/// How the actions of an integration prove who they are: the type of its credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Credential {
    /// User Defined with a field `token`.
    Bearer,
    /// User Defined with a field `apiKey`.
    ApiKey,
    /// Basic Auth: Genesys Cloud writes the header.
    Basic,
    /// User Defined (OAuth): an access token that a custom auth action fetches.
    Oauth,
}

impl Credential {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Bearer, Self::ApiKey, Self::Basic, Self::Oauth];

    /// The header that an action writes.
    fn header(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Bearer => Some(("Authorization", "Bearer ${credentials.token}")),
            Self::ApiKey => Some(("X-API-Key", "${credentials.apiKey}")),
            Self::Basic => None,
            Self::Oauth => Some(("Authorization", "Bearer ${authResponse.access_token}")),
        }
    }

    /// The fields that the credential has.
    pub(super) fn fields(self) -> &'static [&'static str] {
        match self {
            Self::Bearer => &["token"],
            Self::ApiKey => &["apiKey"],
            Self::Basic => &["userName", "password"],
            Self::Oauth => &["clientId", "clientSecret", "loginUrl"],
        }
    }
}

/// File with the action that asks for decisions.
pub(super) const DECIDE: &str = "decide.custom.json";
/// File with the action that looks variables up.
pub(super) const VARIABLES: &str = "variables.custom.json";
/// File with the action that reports outcomes.
pub(super) const OUTCOMES: &str = "outcomes.custom.json";
/// File with the action that fetches access tokens.
pub(super) const CUSTOM_AUTH: &str = "oauth.custom-auth.json";

/// An action, members in the order of Genesys Cloud's own exports.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Action {
    name: String,
    integration_type: &'static str,
    action_type: &'static str,
    config: Config,
    contract: Contract,
    secure: bool,
}

#[derive(Serialize)]
struct Config {
    request: Request,
    response: Response,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    request_url_template: String,
    request_type: &'static str,
    headers: BTreeMap<&'static str, &'static str>,
    request_template: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Response {
    translation_map: BTreeMap<&'static str, &'static str>,
    translation_map_defaults: BTreeMap<&'static str, &'static str>,
    success_template: &'static str,
}

#[derive(Serialize)]
struct Contract {
    input: InputContract,
    output: OutputContract,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct InputContract {
    input_schema: Value,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OutputContract {
    success_schema: Value,
}

/// What an action is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// To ask which flow takes a call.
    Decide,
    /// To look variables up.
    Variables,
    /// To report how a call ended.
    Report,
}

impl What {
    /// How its name says so.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Decide => "decide",
            Self::Variables => "variables",
            Self::Report => "report",
        }
    }

    /// Whether the answer has the variables of an interface.
    pub(super) fn has_variables(self) -> bool {
        self != Self::Report
    }

    fn resource(self) -> &'static str {
        match self {
            Self::Decide => "decisions",
            Self::Variables => "variables",
            Self::Report => "outcomes",
        }
    }
}

/// Asks which flow takes a call.
pub(super) fn decide(kit: &Kit) -> File {
    let output = contract::decision(&kit.variables);
    kit.action(DECIDE, What::Decide, &contract::CALL, output)
}

/// Looks variables up, for flows that run already.
pub(super) fn variables(kit: &Kit) -> File {
    let output = contract::look_up(&kit.variables);
    kit.action(VARIABLES, What::Variables, &contract::CALL, output)
}

/// Reports how a call ended.
pub(super) fn outcomes(kit: &Kit) -> File {
    let output = contract::stored();
    kit.action(OUTCOMES, What::Report, &contract::OUTCOME, output)
}

impl Kit {
    fn url(&self, what: What) -> String {
        let name = self.environment.as_str();
        let path = ["v1", "environments", name, what.resource()];
        let mut url = self.address.template(&path);
        if what.has_variables() {
            // Writing to a text cannot fail.
            let _ = write!(url, "?interface={}", self.interface);
        }
        url
    }

    fn action(&self, file: &'static str, what: What, inputs: &[Input], output: Value) -> File {
        let name = self.action_name(what);
        let input_schema = contract::input(&name, inputs);
        let mut headers = BTreeMap::from([
            ("Accept", "application/json"),
            // An answer from before the call would defeat the purpose, whoever would keep it on the way.
            ("Cache-Control", "no-cache"),
            ("Content-Type", "application/json"),
        ]);
        headers.extend(self.credential.header());
        let action = Action {
            name,
            integration_type: "custom-rest-actions",
            action_type: "custom",
            config: Config {
                request: Request {
                    request_url_template: self.url(what),
                    request_type: "POST",
                    headers,
                    request_template: body(inputs),
                },
                response: Response {
                    translation_map: BTreeMap::new(),
                    translation_map_defaults: BTreeMap::new(),
                    success_template: "${rawResult}",
                },
            },
            contract: Contract {
                input: InputContract { input_schema },
                output: OutputContract {
                    success_schema: output,
                },
            },
            secure: false,
        };
        json_file(file, &action)
    }
}

/// The body of a request: every input as a text, escaped, and an empty one for an input that is not set (`$!`).
fn body(inputs: &[Input]) -> String {
    let members = inputs
        .iter()
        .map(|Input { name, .. }| format!("\"{name}\": \"$!esc.jsonString(${{input.{name}}})\""));
    format!("{{{}}}", members.collect::<Vec<_>>().join(", "))
}

/// What fetches access tokens. Genesys Cloud makes that action itself, for a credential of this type; only its request and
/// response can be set, so this is no file to import but what to type in, and what Terraform sets.
pub(super) fn custom_auth(kit: &Kit) -> Option<File> {
    let config = Config {
        request: Request {
            request_url_template: "${credentials.loginUrl}".to_owned(),
            request_type: "POST",
            headers: BTreeMap::from([
                (
                    "Authorization",
                    "Basic $encoding.base64(\"${credentials.clientId}:${credentials.clientSecret}\")",
                ),
                ("Content-Type", "application/x-www-form-urlencoded"),
            ]),
            request_template: "grant_type=client_credentials".to_owned(),
        },
        response: Response {
            translation_map: BTreeMap::new(),
            translation_map_defaults: BTreeMap::new(),
            success_template: "${rawResult}",
        },
    };
    (kit.credential == Credential::Oauth).then(|| json_file(CUSTOM_AUTH, &CustomAuth { config }))
}

#[derive(Serialize)]
struct CustomAuth {
    config: Config,
}
