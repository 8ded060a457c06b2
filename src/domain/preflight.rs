//! Which changes send callers to a flow that they did not go to before, so that somebody should look at it first.

use super::command::Command;
use super::environment::{Environment, FlowVersion};
use super::slot::Slot;

/// Whether `command` may send callers anywhere new. Where it may not, nobody need find out what it would change.
///
/// What takes callers back never does: rollback, abort and pause are held up by nothing.
#[must_use]
pub fn may_send_callers(command: &Command) -> bool {
    matches!(
        command,
        Command::Cutover(_) | Command::SetWeight(_) | Command::StartRollout(_)
    )
}

/// The slot whose flow has to be fit before `command` makes `after` of `before`; `None` if the change sends nobody anywhere new.
#[must_use]
pub fn slot_to_look_at(
    command: &Command,
    before: &Environment,
    after: &Environment,
) -> Option<Slot> {
    let candidate = before.candidate();
    // The callers of a rollout come with its steps.
    let is_start = matches!(command, Command::StartRollout(_));
    let gains = after.share(candidate) > before.share(candidate);
    (may_send_callers(command) && (is_start || gains)).then_some(candidate)
}

/// The version that `slot` is known to hold.
#[must_use]
pub fn version_in(environment: &Environment, slot: Slot) -> Option<&FlowVersion> {
    let state = &environment.slots[slot];
    state.version.as_ref().filter(|_| state.claim.is_none())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

    use super::*;
    use crate::domain::Change;
    use crate::domain::environment::strategy::{changes, reached};

    proptest! {
        /// Whoever gets more callers than before by a command of a person other than a rollback is looked at.
        #[test]
        fn nobody_is_sent_anywhere_new_unseen_and_nobody_is_kept_from_coming_back(
            reached in reached(),
            command in changes(),
        ) {
            let before = &reached.environment;
            let Ok(Change::To(Some(after))) = reached.apply(&command) else {
                return Ok(());
            };
            let looked_at = slot_to_look_at(&command, before, &after);
            prop_assert!(looked_at.is_none() || may_send_callers(&command));
            let candidate = before.candidate();
            match command {
                Command::Rollback(_) | Command::AbortRollout(_) | Command::PauseRollout(_) => prop_assert_eq!(looked_at, None),
                Command::StartRollout(_) => prop_assert_eq!(looked_at, Some(candidate)),
                Command::Cutover(_) | Command::SetWeight(_) => {
                    let gains = after.share(candidate) > before.share(candidate);
                    prop_assert_eq!(looked_at, gains.then_some(candidate));
                }
                _ => prop_assert_eq!(looked_at, None),
            }
            if let Some(slot) = looked_at {
                prop_assert!(version_in(&after, slot).is_some(), "the domain has admitted it");
            }
        }
    }
}
