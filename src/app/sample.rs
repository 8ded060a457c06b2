//! The sample environment of a fresh embedded store, so that a newcomer's first call finds something to decide.

use anyhow::Context as _;

use crate::control::{Control, Request};
use crate::domain::Environment;
use crate::domain::command::{Command, Create, Flow, Register};
use crate::domain::ids::{AggregateKey, IdempotencyKey, InterfaceNumber, Sequence};
use crate::domain::slot::{BySlot, Slot};
use crate::replica::{CatchUpError, Replica};

/// Its name.
pub(super) const NAME: &str = "Main_IVR";

/// Creates it, blue active and green registered, if the journal has no entry at all.
pub(super) async fn create_in_empty_store(
    replica: &Replica,
    control: &Control,
) -> anyhow::Result<()> {
    match replica.catch_up().await {
        Ok(position) if position.last == Sequence(0) => {}
        // A journal that is not in order is not an empty one: calls are answered from what is remembered of it.
        Ok(_) | Err(CatchUpError::Journal(_)) => return Ok(()),
        Err(CatchUpError::Store(error)) => {
            return Err(error).context("cannot read the embedded store");
        }
    }
    let flow = |id: &str, name: &str| {
        anyhow::Ok(Flow {
            id: id.parse()?,
            name: name.parse()?,
        })
    };
    let create = Create {
        flows: BySlot {
            blue: flow("11111111-1111-4111-8111-111111111111", "Main IVR Blue")?,
            green: flow("22222222-2222-4222-8222-222222222222", "Main IVR Green")?,
        },
        active: Slot::Blue,
        flow_version: "1.0".parse()?,
        interface: InterfaceNumber::NONE,
        variables: None,
    };
    let register = Register {
        published_version: None,
        slot: None,
        flow_version: "2.0".parse()?,
        interface: InterfaceNumber::NONE,
        force_incompatible: false,
    };
    let key = AggregateKey::Environment(NAME.parse()?);
    for (step, command) in [
        ("create", Command::from(create)),
        ("register", Command::from(register)),
    ] {
        let request = Request {
            actor: "traffic-cop".parse()?,
            reason: "sample of an empty store".parse()?,
            key: Some(format!("sample-{step}").parse::<IdempotencyKey>()?),
            expected: None,
            wait: None,
        };
        control
            .execute::<Environment>(&key, &command, &request)
            .await
            .context("cannot create the sample environment")?;
    }
    Ok(())
}
