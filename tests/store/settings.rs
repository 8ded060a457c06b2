//! The settings aggregate: what holds for the deployment as a whole, on every replica and after every start.

use std::time::Duration;

use traffic_cop::clock::Clock as _;
use traffic_cop::control::{Outcome, WriteError};
use traffic_cop::domain::Refusal;
use traffic_cop::domain::command::{AddFreeze, RemoveFreeze};
use traffic_cop::domain::freeze::Place;
use traffic_cop::domain::ids::{AggregateKey, FreezeNumber, Revision};
use traffic_cop::domain::repair::{Repair, Target};
use traffic_cop::domain::settings::{Settings, SettingsCommand};
use traffic_cop::domain::slot::Slot;

use crate::support::engine::cases;
use crate::support::forgery::forge_of;
use crate::support::{Process, World, asked, commands};

cases![
    a_freeze_of_the_deployment_holds_everywhere_and_after_every_start,
    settings_that_cannot_be_read_are_brought_back,
];

const NAME: &str = "Main_IVR";

/// A window of an hour that begins at once.
fn freeze(world: &World) -> SettingsCommand {
    SettingsCommand::AddFreeze(AddFreeze {
        start: None,
        end: world.clock.now() + Duration::from_secs(3600),
        reason: "Christmas".parse().expect("a reason"),
    })
}

/// Fails unless a cutover is refused because of the window of this number.
async fn assert_frozen(process: &Process, number: u64) {
    let answer = process.tries(NAME, commands::cutover()).await;
    let Err(WriteError::Refused(Refusal::Frozen(frozen))) = answer else {
        panic!("not frozen: {answer:?}")
    };
    assert_eq!(
        (frozen.place, frozen.number),
        (Place::Deployment, FreezeNumber(number))
    );
}

async fn a_freeze_of_the_deployment_holds_everywhere_and_after_every_start(world: &mut World) {
    let (one, other) = (world.process().await, world.process().await);
    one.create_with_candidate(NAME).await;
    let set = one.change_settings(freeze(world), asked()).await;
    assert_eq!(set.expect("a commit").revision, Revision(1));

    // One that reads it, one that starts from the rows, and one that starts from its file.
    assert_frozen(&other, 1).await;
    assert_frozen(&world.process().await, 1).await;
    let follower = one.replica.look(Clone::clone).expect("it is loaded");
    let restored = follower.save().restore().expect("what was saved");
    assert_eq!(restored.settings(), follower.settings());
    assert!(restored.frozen(world.clock.now()).is_some());

    let key = asked();
    let remove = SettingsCommand::RemoveFreeze(RemoveFreeze {
        number: FreezeNumber(1),
    });
    let removed = other.change_settings(remove, key).await.expect("a commit");
    assert!(matches!(removed.outcome, Outcome::Committed(_)));
    one.commits(NAME, commands::cutover()).await;
    assert_eq!(one.active(NAME), Slot::Green);
    world.assert_sound().await;
}

async fn settings_that_cannot_be_read_are_brought_back(world: &mut World) {
    let (process, other) = (world.process().await, world.process().await);
    process.create_with_candidate(NAME).await;
    let set = process.change_settings(freeze(world), asked()).await;
    set.expect("a commit");
    forge_of(world, &process, &AggregateKey::Settings, |draft| {
        draft.state = b"{\"oops".to_vec();
    })
    .await;

    assert_frozen(&process, 1).await;
    assert_frozen(&world.process().await, 1).await;
    let refused = process.change_settings(freeze(world), asked()).await;
    let refused = refused.expect_err("a refusal").to_string();
    assert!(
        refused.contains("`traffic-cop settings repair`"),
        "{refused}"
    );
    let repair = Repair::<Settings> {
        to: Target::LastGood,
        discard_newer_format: false,
    };
    let key = AggregateKey::Settings;
    let repaired = other.control.repair(&key, &repair, &asked()).await;
    assert_eq!(repaired.expect("a repair").revision, Revision(3));
    assert_frozen(&process, 1).await;
    let another = process.change_settings(freeze(world), asked()).await;
    assert_eq!(another.expect("a commit").revision, Revision(4));
    world.assert_sound().await;
}
