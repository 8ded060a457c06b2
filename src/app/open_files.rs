//! Room for connections: each is an open file, and the system's usual limit is meant for interactive programs.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Files besides connections: tables, logs, the store's own connections.
const OTHERS: u64 = 128;

/// Asks the system for as many open files as `connections` take, and returns how many connections there is room for.
pub(super) fn make_room(connections: u64) -> u64 {
    let wanted = connections + OTHERS;
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else {
        return connections;
    };
    let allowed = if soft >= wanted {
        wanted
    } else {
        let raised = wanted.min(hard);
        match setrlimit(Resource::RLIMIT_NOFILE, raised, hard) {
            Ok(()) => raised,
            Err(error) => {
                tracing::warn!(%error, "cannot raise the limit of open files");
                soft
            }
        }
    };
    allowed.saturating_sub(OTHERS)
}
