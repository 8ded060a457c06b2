//! What stands around every page.

use super::session::Visitor;

/// Who is signed in, and how they leave.
#[derive(Debug, Clone)]
pub(super) struct Frame {
    pub(super) who: Option<Who>,
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
    pub(super) fn of(visitor: &Visitor) -> Self {
        Self {
            who: Some(Who {
                actor: visitor.caller.actor().to_string(),
                token: visitor.form_token(),
            }),
        }
    }

    pub(super) fn of_nobody() -> Self {
        Self { who: None }
    }
}
