//! `genesys export`.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, anyhow};
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::{declaration, show, write};
use crate::cli::api::Environment;
use crate::cli::connection::AdminArgs;
use crate::cli::failure::Failure;
use crate::cli::interface::definition;
use crate::cli::output::{Output, table};
use crate::domain::ids::{EnvironmentName, FlowName, InterfaceNumber, VersionLabel};
use crate::domain::interface::Interface;
use crate::domain::slot::{BySlot, Slot};
use crate::genesys::export::{Credential, DecisionsAddress, Kit, Language, Names, PlatformName};

/// Where the help lists what must be known without asking.
const OFFLINE: &str = "Without asking the service";
/// Where the help lists names.
const NAMES: &str = "Names in the organisation";

/// Arguments of `genesys export`.
#[derive(Debug, Args)]
pub(in crate::cli) struct Export {
    /// The environment.
    #[arg(value_name = "ENVIRONMENT")]
    environment: EnvironmentName,
    /// Where Genesys Cloud reaches the decisions listener.
    #[arg(long, value_name = "URL")]
    address: DecisionsAddress,
    /// Number of the interface whose variables the actions get, for ever: contracts of actions are frozen. 0 is none.
    #[arg(long, default_value_t = 0, value_name = "NUMBER")]
    interface: u32,
    /// Directory to write to; made if it is not there.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Type of the integration's credential.
    #[arg(long, default_value = "bearer", value_name = "TYPE")]
    credential: CredentialType,
    /// The slot that takes calls when neither the service nor the data table says which.
    #[arg(long, default_value_t = Slot::Blue, value_name = "SLOT")]
    default_slot: Slot,
    /// Seconds that a call waits for an answer, 1 to 10.
    #[arg(long, default_value_t = 3, value_name = "SECONDS")]
    timeout_seconds: u8,
    /// Language of the flows.
    #[arg(long, default_value = "en-us", value_name = "LANGUAGE")]
    language: Language,
    /// Label of the version that the first flow of blue calls itself.
    #[arg(long, default_value = "1.0", value_name = "LABEL")]
    blue_version: VersionLabel,
    /// Label of the version that the first flow of green calls itself.
    #[arg(long, default_value = "1.1", value_name = "LABEL")]
    green_version: VersionLabel,
    #[command(flatten)]
    names: NameArgs,
    #[command(flatten)]
    offline: Offline,
    #[command(flatten)]
    admin: AdminArgs,
}

/// What things are called in the organisation.
#[derive(Debug, Args)]
struct NameArgs {
    /// The flow that the numbers point at; `Traffic Cop` and the environment if left out.
    #[arg(long, value_name = "NAME", help_heading = NAMES)]
    traffic_cop_flow: Option<FlowName>,
    /// The integration; its name is the category of the actions.
    #[arg(long, default_value = "Traffic Cop", value_name = "NAME", help_heading = NAMES)]
    integration: PlatformName,
    /// The data table.
    #[arg(long, default_value = "Deployment_Control", value_name = "NAME", help_heading = NAMES)]
    table: PlatformName,
    /// Queue for calls that no flow takes; they are disconnected if left out.
    #[arg(long, value_name = "NAME", help_heading = NAMES)]
    last_resort_queue: Option<PlatformName>,
}

/// What the service would say.
#[derive(Debug, Args)]
struct Offline {
    /// Take the flows and the interface from here: for an environment that is not there yet, since it is made with the ids of
    /// flows that are not there yet.
    #[arg(long, requires = "blue_flow", requires = "green_flow", help_heading = OFFLINE)]
    offline: bool,
    /// Name of blue's flow.
    #[arg(long, value_name = "NAME", requires = "offline", help_heading = OFFLINE)]
    blue_flow: Option<FlowName>,
    /// Name of green's flow.
    #[arg(long, value_name = "NAME", requires = "offline", help_heading = OFFLINE)]
    green_flow: Option<FlowName>,
    /// File with the variables of the interface, as for `interface define`.
    #[arg(long, value_name = "FILE", requires = "offline", help_heading = OFFLINE)]
    interface_file: Option<PathBuf>,
}

/// The types of credentials, as the command line spells them.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum CredentialType {
    /// User Defined, with the field `token`.
    Bearer,
    /// User Defined, with the field `apiKey`.
    ApiKey,
    /// Basic Auth.
    Basic,
    /// User Defined (OAuth).
    Oauth,
}

impl From<CredentialType> for Credential {
    fn from(kind: CredentialType) -> Self {
        match kind {
            CredentialType::Bearer => Self::Bearer,
            CredentialType::ApiKey => Self::ApiKey,
            CredentialType::Basic => Self::Basic,
            CredentialType::Oauth => Self::Oauth,
        }
    }
}

/// What the kit has of the environment.
struct Known {
    flows: BySlot<FlowName>,
    variables: Interface,
}

impl Export {
    pub(super) async fn run(self, output: Output) -> Result<(), Failure> {
        let known = if self.offline.offline {
            self.given()?
        } else {
            self.asked().await?
        };
        let out = self.out.clone();
        let kit = self.kit(known)?;
        let files = kit
            .files()
            .map_err(|error| Failure::usage(error.to_string()))?;
        fs::create_dir_all(&out).with_context(|| format!("cannot make {}", out.display()))?;
        for file in &files {
            write(&out.join(file.name), &file.text)?;
        }
        let names: Vec<_> = files.iter().map(|file| file.name).collect();
        let directory = out.display().to_string();
        let rows = files
            .iter()
            .map(|file| [file.name.to_owned(), purpose(file.name).to_owned()]);
        let listing = table(["file", "what it is"], rows);
        output.print_own(
            &json!({ "directory": directory, "files": names }),
            &format!("{listing}\n\nin {directory}; docs/genesys.md says what to do with them"),
        )
    }

    fn kit(self, known: Known) -> Result<Kit, Failure> {
        let NameArgs {
            traffic_cop_flow,
            integration,
            table,
            last_resort_queue,
        } = self.names;
        let traffic_cop = match traffic_cop_flow {
            Some(name) => name,
            None => format!("Traffic Cop {}", self.environment)
                .parse()
                // Of the letters and digits of an environment's name, and short.
                .context("the environment's name makes no name of a flow")?,
        };
        Ok(Kit {
            environment: self.environment,
            address: self.address,
            interface: InterfaceNumber(self.interface),
            variables: known.variables,
            flows: known.flows,
            flow_versions: BySlot {
                blue: self.blue_version,
                green: self.green_version,
            },
            default_slot: self.default_slot,
            credential: self.credential.into(),
            names: Names {
                traffic_cop,
                integration,
                table,
                last_resort: last_resort_queue,
            },
            timeout_seconds: self.timeout_seconds,
            language: self.language,
        })
    }

    /// What the command line says.
    fn given(&self) -> Result<Known, Failure> {
        let Offline {
            blue_flow,
            green_flow,
            interface_file,
            ..
        } = &self.offline;
        let variables = match (interface_file, self.interface) {
            (None, 0) => Interface::EMPTY,
            (Some(_), 0) => {
                return Err(Failure::usage(
                    "the file says which variables an interface has; give its number with --interface",
                ));
            }
            (None, number) => {
                return Err(Failure::usage(format!(
                    "give the variables of interface {number} with --interface-file"
                )));
            }
            (Some(file), _) => definition::load(file)?,
        };
        let flows = blue_flow.clone().zip(green_flow.clone());
        // The command line cannot be read without them.
        let (blue, green) = flows.ok_or_else(|| anyhow!("the flows are not given"))?;
        Ok(Known {
            flows: BySlot { blue, green },
            variables,
        })
    }

    /// What the service says.
    async fn asked(&self) -> Result<Known, Failure> {
        let answer: Value = show(&self.admin.client()?, &self.environment).await?;
        let variables = self.interface_of(&answer)?;
        let environment: Environment = serde_json::from_value(answer)
            .context("the answer is not what was expected; is this a traffic-cop's listener?")?;
        let name = |slot| {
            let name: Result<FlowName, _> = environment.slots[slot].flow.name.parse();
            name.context("the server names a flow that this binary does not take")
        };
        Ok(Known {
            flows: BySlot {
                blue: name(Slot::Blue)?,
                green: name(Slot::Green)?,
            },
            variables,
        })
    }

    fn interface_of(&self, answer: &Value) -> Result<Interface, Failure> {
        if self.interface == 0 {
            return Ok(Interface::EMPTY);
        }
        let interfaces = answer["interfaces"].as_array().into_iter().flatten();
        let found = interfaces
            .clone()
            .find(|interface| interface["number"] == self.interface);
        let Some(found) = found else {
            let there: Vec<_> = interfaces
                .map(|interface| interface["number"].to_string())
                .collect();
            return Err(Failure::refused(format!(
                "{} has no interface {}; it has {}",
                self.environment,
                self.interface,
                if there.is_empty() {
                    "none".to_owned()
                } else {
                    there.join(", ")
                }
            )));
        };
        let variables = found["variables"].as_array().into_iter().flatten();
        let declared = variables.map(declaration).collect();
        let interface = serde_json::from_value(declared)
            .context("the server declares variables that this binary does not take")?;
        Ok(interface)
    }
}

/// What a file is for.
fn purpose(file: &str) -> &'static str {
    match file {
        "decide.custom.json" => "data action: which slot takes a call",
        "variables.custom.json" => "data action: what people have set, for flows that run",
        "outcomes.custom.json" => "data action: how a call ended",
        "oauth.custom-auth.json" => "request and response of the custom auth action",
        "traffic-cop.yaml" => "the flow that the numbers point at",
        "ivr.template.yaml" => "what blue and green begin with; goes on in your repository",
        "blue.yaml" => "the same, as blue's first flow",
        "green.yaml" => "the same, as green's first flow",
        _ => "how they belong together, for infra/genesys",
    }
}
