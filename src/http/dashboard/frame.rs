//! What stands around every page.

use super::session::Visitor;
use crate::http::Listener;

/// Who is signed in, and how they leave.
#[derive(Debug, Clone)]
pub(super) struct Frame {
    pub(super) who: Option<Who>,
    /// How many times as fast as theirs time goes by, where that is a demonstration's.
    pub(super) speed: Option<u32>,
}

/// Somebody who is signed in.
#[derive(Debug, Clone)]
pub(super) struct Who {
    /// The name under which their changes are recorded.
    pub(super) actor: String,
    /// What their forms hold.
    pub(super) token: String,
}

impl Frame {
    pub(super) fn of(listener: &Listener, visitor: &Visitor) -> Self {
        Self {
            who: Some(Who {
                actor: visitor.caller.actor().to_string(),
                token: visitor.form_token(),
            }),
            ..Self::of_nobody(listener)
        }
    }

    pub(super) fn of_nobody(listener: &Listener) -> Self {
        let speed = listener.clock.speed();
        Self {
            who: None,
            speed: (speed != 1).then_some(speed),
        }
    }

    /// Around what is told whoever looks, and wherever.
    pub(super) fn of_problem() -> Self {
        Self {
            who: None,
            speed: None,
        }
    }
}
