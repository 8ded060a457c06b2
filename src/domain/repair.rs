//! Repair: what an aggregate goes on with when its last state cannot be read.

use super::Aggregate;
use super::ids::Revision;

/// A person's answer to a state that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repair<S> {
    /// The state to go on with.
    pub to: Target<S>,
    /// Whether a state may be given up that only a newer binary can read.
    pub discard_newer_format: bool,
}

/// The state that an aggregate goes on with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target<S> {
    /// The last one that could be read: the one that is served.
    LastGood,
    /// That of an earlier revision.
    Revision(Revision),
    /// This one.
    State(S),
}

/// An aggregate as a repair finds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Condition<'a, S> {
    /// Whether the last record's state is not the one that is served.
    pub is_faulty: bool,
    /// The last state that could be read: `None` if none ever could, `Some(None)` if the aggregate was deleted then.
    pub last_good: Option<Option<&'a S>>,
    /// Format of the last good state, if this binary does not understand all of it.
    pub newer_good: Option<u32>,
    /// Newest format of the states that were written whole after it and that this binary cannot read.
    pub newer_unread: Option<u32>,
}

/// Why nothing is repaired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The last state is the one that is served.
    #[error("the last state can be read here; there is nothing to repair")]
    NothingFaulty,
    /// There is no state to bring back.
    #[error(
        "no state that could be read is known; give a whole `state`, as an exported snapshot or a last-good file has it"
    )]
    NoGoodState,
    /// The revision named has no state that can be brought back.
    #[error(
        "revision {0} has no state that can be brought back: there was none, or its record is lost or cannot be read"
    )]
    NoSuchRevision(Revision),
    /// A state would be lost that a newer binary may read.
    #[error(
        "this would give up a state of format {0}, which this binary does not know: repair with one that does, or say \
         discard_newer_format"
    )]
    NewerFormat(u32),
    /// The state given contradicts the last good one.
    #[error("the state cannot follow the last one that could be read: {0}")]
    BreaksWith(&'static str),
}

impl<S: Aggregate> Repair<S> {
    /// Whether an aggregate in this condition may be repaired so.
    ///
    /// # Errors
    /// The [`Refusal`] says what stands in the way. Whether a revision has a state is for whoever holds the records to say.
    pub fn check(&self, condition: &Condition<'_, S>) -> Result<(), Refusal> {
        if !condition.is_faulty {
            return Err(Refusal::NothingFaulty);
        }
        // The last good state goes on whole, whatever its format.
        let given_up = match self.to {
            Target::LastGood => condition.newer_unread,
            Target::Revision(_) | Target::State(_) => {
                condition.newer_unread.max(condition.newer_good)
            }
        };
        if let Some(format) = given_up.filter(|_| !self.discard_newer_format) {
            return Err(Refusal::NewerFormat(format));
        }
        match (&self.to, condition.last_good) {
            (Target::LastGood, None) => Err(Refusal::NoGoodState),
            (Target::State(state), Some(Some(last))) => match state.breaks_with(last) {
                Some(what) => Err(Refusal::BreaksWith(what)),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::access::Access;

    const DAMAGED: Condition<'static, Access> = Condition {
        is_faulty: true,
        last_good: Some(None),
        newer_good: None,
        newer_unread: None,
    };

    fn targets() -> [Target<Access>; 3] {
        [
            Target::LastGood,
            Target::Revision(Revision(3)),
            Target::State(Access::default()),
        ]
    }

    fn told(
        condition: &Condition<'_, Access>,
        discard_newer_format: bool,
    ) -> [Result<(), Refusal>; 3] {
        targets().map(|to| {
            let repair = Repair {
                to,
                discard_newer_format,
            };
            repair.check(condition)
        })
    }

    #[test]
    fn only_what_is_faulty_is_repaired() {
        let sound = Condition {
            is_faulty: false,
            ..DAMAGED
        };
        for discards in [false, true] {
            assert_eq!(
                told(&sound, discards),
                [Err(Refusal::NothingFaulty); 3],
                "{discards}"
            );
            assert_eq!(told(&DAMAGED, discards), [Ok(()); 3], "{discards}");
        }
    }

    #[test]
    fn what_was_never_readable_needs_a_state_from_elsewhere() {
        let never_readable = Condition {
            last_good: None,
            ..DAMAGED
        };
        assert_eq!(
            told(&never_readable, false),
            [Err(Refusal::NoGoodState), Ok(()), Ok(())]
        );
    }

    #[test]
    fn what_only_newer_binaries_read_is_given_up_on_demand_only() {
        let refused = |format| Err(Refusal::NewerFormat(format));
        let served = Condition {
            newer_good: Some(2),
            ..DAMAGED
        };
        assert_eq!(
            told(&served, false),
            [Ok(()), refused(2), refused(2)],
            "the last good state goes on as it is"
        );
        let unread = Condition {
            newer_unread: Some(3),
            ..served
        };
        assert_eq!(told(&unread, false), [refused(3); 3]);
        for condition in [served, unread] {
            assert_eq!(told(&condition, true), [Ok(()); 3]);
        }
    }
}
