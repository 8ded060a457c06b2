//! The environments of a demonstration, set up through the API as an operator would.

use crate::cli::change;
use crate::cli::client::Client;
use crate::cli::failure::Failure;
use crate::cli::write::{Write, fresh_key};
use crate::domain::Command;
use crate::domain::command::{Create, Flow, Register};
use crate::domain::ids::{EnvironmentName, InterfaceNumber, Reason};
use crate::domain::rollout::command::StartRollout;
use crate::domain::rollout::percent::Percent;
use crate::domain::rollout::plan::Plan;
use crate::domain::simulate::Callers;
use crate::domain::slot::{BySlot, Slot};

/// An environment, and how its callers like its two versions.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) name: &'static str,
    /// Percent of callers who hang up in the version that they have had so far.
    pub(super) usual: u16,
    /// Percent of them who hang up in the version on trial.
    pub(super) on_trial: u16,
    pub(super) is_harmful: bool,
}

/// A healthy release and a harmful one. The healthy one is a little better than what was: of such releases next to none is held up
/// by mistake.
pub(super) const CAST: [Part; 2] = [
    Part {
        // The sample that an empty store begins with.
        name: "Main_IVR",
        usual: 12,
        on_trial: 9,
        is_harmful: false,
    },
    Part {
        name: "Payments_IVR",
        usual: 20,
        on_trial: 40,
        is_harmful: true,
    },
];

impl Part {
    /// Label of the version that callers have had so far.
    pub(super) const USUAL: &'static str = "1.0";
    /// Label of the version on trial.
    pub(super) const ON_TRIAL: &'static str = "2.0";

    pub(super) fn environment(&self) -> anyhow::Result<EnvironmentName> {
        Ok(self.name.parse()?)
    }

    /// How callers fare in the version that they have had so far, and in the one on trial.
    pub(super) fn callers(&self) -> [Callers; 2] {
        [self.usual, self.on_trial].map(|percent| Callers::with_bad(Percent::whole(percent)))
    }
}

/// Creates what an empty store does not begin with.
pub(super) async fn set(admin: &Client) -> Result<(), Failure> {
    let [_, harmful] = &CAST;
    let name = harmful.environment()?;
    for command in [create()?, register()?] {
        send(admin, &name, command).await?;
    }
    Ok(())
}

/// Starts the rollout of `part` by `plan`, as the environment is now.
pub(super) async fn start_rollout(admin: &Client, part: &Part, plan: Plan) -> Result<(), Failure> {
    let start = StartRollout {
        plan,
        force_incompatible: false,
    };
    send(admin, &part.environment()?, start.into()).await
}

async fn send(admin: &Client, name: &EnvironmentName, command: Command) -> Result<(), Failure> {
    let creates = matches!(command, Command::Create(_));
    let seen = match creates {
        true => None,
        false => Some(change::current_revision(admin, name).await?),
    };
    let write = Write {
        if_match: seen,
        ..change::write(admin, name, &command, &reason()?, fresh_key())
    };
    admin.write(&write).await.map(|_| ())
}

fn reason() -> anyhow::Result<Reason> {
    Ok("a demonstration".parse()?)
}

fn create() -> anyhow::Result<Command> {
    let flow = |id: &str, name: &str| {
        anyhow::Ok(Flow {
            id: id.parse()?,
            name: name.parse()?,
        })
    };
    let create = Create {
        flows: BySlot {
            blue: flow("33333333-3333-4333-8333-333333333333", "Payments IVR Blue")?,
            green: flow("44444444-4444-4444-8444-444444444444", "Payments IVR Green")?,
        },
        active: Slot::Blue,
        flow_version: Part::USUAL.parse()?,
        interface: InterfaceNumber::NONE,
        variables: None,
    };
    Ok(create.into())
}

fn register() -> anyhow::Result<Command> {
    let register = Register {
        published_version: None,
        slot: None,
        flow_version: Part::ON_TRIAL.parse()?,
        interface: InterfaceNumber::NONE,
        force_incompatible: false,
    };
    Ok(register.into())
}
