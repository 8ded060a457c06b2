//! The settings aggregate: what holds for the deployment as a whole.

use super::command::{AddFreeze, RemoveFreeze};
use super::freeze::{Freeze, Freezes};
use super::ids::{FreezeNumber, WebhookName};
use super::webhook::{AddWebhook, Webhooks};
use super::{Action, Aggregate, Change, Context, Refusal, Unchanged};

/// What holds for every environment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settings {
    /// Times in which nobody moves callers towards a candidate, whichever environment it is in.
    pub freezes: Freezes,
    /// Who is told of changes.
    pub webhooks: Webhooks,
}

/// A change of the settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SettingsCommand {
    /// Let nobody move callers towards a candidate for a while.
    AddFreeze(AddFreeze),
    /// Remove a freeze window, whether it has begun or not.
    RemoveFreeze(RemoveFreeze),
    /// Tell somebody of changes.
    AddWebhook(AddWebhook),
    /// Tell them no longer.
    RemoveWebhook(WebhookName),
}

impl SettingsCommand {
    /// The name of every action that there is.
    pub const ACTIONS: [&'static str; 4] = [
        "add_freeze",
        "remove_freeze",
        "add_webhook",
        "remove_webhook",
    ];
}

impl Action for SettingsCommand {
    fn action(&self) -> &'static str {
        match self {
            Self::AddFreeze(_) => "add_freeze",
            Self::RemoveFreeze(_) => "remove_freeze",
            Self::AddWebhook(_) => "add_webhook",
            Self::RemoveWebhook(_) => "remove_webhook",
        }
    }

    fn is_rescue(&self) -> bool {
        false
    }

    fn fingerprint(&self) -> String {
        format!("{self:?}")
    }
}

impl Aggregate for Settings {
    type Command = SettingsCommand;

    fn apply(
        state: Option<&Self>,
        command: &SettingsCommand,
        context: &Context,
    ) -> Result<Change<Self>, Refusal> {
        let mut after = state.cloned().unwrap_or_default();
        after.freezes.drop_ended(context.now);
        match command {
            SettingsCommand::AddFreeze(add) => {
                let freeze = Freeze::of(add, context.now);
                let number = FreezeNumber(context.revision.0);
                after.freezes.add(number, freeze, context.now)?;
            }
            SettingsCommand::RemoveFreeze(remove) => {
                if !after.freezes.remove(remove.number) {
                    return Ok(Change::Nothing(Unchanged::NoSuchFreeze));
                }
            }
            SettingsCommand::AddWebhook(add) => after.webhooks.add(add, context.sequence)?,
            SettingsCommand::RemoveWebhook(name) => {
                if !after.webhooks.remove(name) {
                    return Ok(Change::Nothing(Unchanged::NoSuchWebhook));
                }
            }
        }
        Ok(Change::To(Some(after)))
    }
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp};

    use super::*;
    use crate::domain::freeze::MAX_FREEZES;
    use crate::domain::ids::{Revision, Sequence};

    fn context(revision: u64, minutes: i64) -> Context {
        Context {
            now: Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minutes),
            revision: Revision(revision),
            sequence: Sequence(10 * revision),
            draw: [0; 16],
            drain_time: std::time::Duration::ZERO,
            others: 0,
            last_calls: None,
            frozen: None,
        }
    }

    fn add(minutes: i64) -> SettingsCommand {
        SettingsCommand::AddFreeze(AddFreeze {
            start: None,
            end: Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minutes),
            reason: "a test".parse().unwrap(),
        })
    }

    #[track_caller]
    fn after(state: Option<&Settings>, command: &SettingsCommand, context: &Context) -> Settings {
        match Settings::apply(state, command, context) {
            Ok(Change::To(Some(after))) => after,
            other => panic!("no change: {other:?}"),
        }
    }

    fn numbers(settings: &Settings) -> Vec<u64> {
        let freezes = settings.freezes.iter();
        freezes.map(|(number, _)| number.0).collect()
    }

    #[test]
    fn windows_come_by_their_revisions_and_go_by_their_numbers_or_with_the_change_after_their_end()
    {
        let one = after(None, &add(10), &context(1, 0));
        let two = after(Some(&one), &add(20), &context(2, 5));
        assert_eq!(numbers(&two), [1, 2]);
        let three = after(Some(&two), &add(30), &context(3, 10));
        assert_eq!(numbers(&three), [2, 3]);
        let remove = SettingsCommand::RemoveFreeze(RemoveFreeze {
            number: FreezeNumber(2),
        });
        let left = after(Some(&three), &remove, &context(4, 10));
        assert_eq!(numbers(&left), [3]);
        assert_eq!(
            Settings::apply(Some(&left), &remove, &context(5, 10)),
            Ok(Change::Nothing(Unchanged::NoSuchFreeze))
        );
    }

    #[test]
    fn what_is_no_window_and_one_too_many_are_refused() {
        let mut settings = Settings::default();
        let refused = Settings::apply(Some(&settings), &add(5), &context(1, 5));
        assert_eq!(refused, Err(Refusal::FreezeSpan));
        for revision in 1..=MAX_FREEZES as u64 {
            settings = after(Some(&settings), &add(9), &context(revision, 0));
        }
        let refused = Settings::apply(Some(&settings), &add(9), &context(99, 0));
        assert_eq!(refused, Err(Refusal::TooManyFreezes));
    }

    fn webhook(name: &str) -> SettingsCommand {
        SettingsCommand::AddWebhook(AddWebhook {
            name: name.parse().unwrap(),
            url: "https://example.com/x".parse().unwrap(),
            secret: None,
            environments: None,
            actions: None,
        })
    }

    #[test]
    fn webhooks_begin_behind_the_record_that_adds_them_and_go_by_their_names() {
        let one = after(None, &webhook("a"), &context(1, 0));
        let two = after(Some(&one), &webhook("b"), &context(2, 0));
        let begins = |settings: &Settings| {
            let webhooks = settings.webhooks.iter();
            let begins = webhooks.map(|(name, webhook)| (name.to_string(), webhook.after.0));
            begins.collect::<Vec<_>>()
        };
        assert_eq!(begins(&two), [("a".into(), 10), ("b".into(), 20)]);
        let remove = SettingsCommand::RemoveWebhook("a".parse().unwrap());
        let left = after(Some(&two), &remove, &context(3, 0));
        assert_eq!(begins(&left), [("b".into(), 20)]);
        assert_eq!(
            Settings::apply(Some(&left), &remove, &context(4, 0)),
            Ok(Change::Nothing(Unchanged::NoSuchWebhook))
        );
        let again = after(Some(&left), &webhook("a"), &context(5, 0));
        assert_eq!(begins(&again), [("a".into(), 50), ("b".into(), 20)]);
    }

    #[test]
    fn every_command_has_its_action_in_the_list() {
        let remove = RemoveFreeze {
            number: FreezeNumber(1),
        };
        let all = [
            add(1),
            SettingsCommand::RemoveFreeze(remove),
            webhook("a"),
            SettingsCommand::RemoveWebhook("a".parse().unwrap()),
        ];
        assert_eq!(
            all.map(|command| command.action()),
            SettingsCommand::ACTIONS
        );
    }
}
