//! Which core serves and which one asks.

use anyhow::{Context as _, bail};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

/// Two different cores, so that load and server do not take time from each other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cores {
    /// The core of the server, all of its threads.
    pub(crate) server: usize,
    /// The core of the load generator.
    pub(crate) generator: usize,
}

impl Cores {
    /// The last two cores this process may use; the first often takes a machine's interrupts.
    ///
    /// # Errors
    /// If there are fewer than two.
    pub(crate) fn pick() -> anyhow::Result<Self> {
        let allowed =
            sched_getaffinity(Pid::from_raw(0)).context("cannot read the allowed cores")?;
        let mut last = (0..CpuSet::count())
            .rev()
            .filter(|core| allowed.is_set(*core).unwrap_or(false));
        match (last.next(), last.next()) {
            (Some(server), Some(generator)) => Ok(Self { server, generator }),
            _ => bail!("the comparison needs two cores, one for the server and one for the load"),
        }
    }
}

/// Confines the calling thread to `core`, and with it the threads and processes it starts from now on.
pub(crate) fn pin_this_thread(core: usize) -> anyhow::Result<()> {
    let mut set = CpuSet::new();
    set.set(core)
        .with_context(|| format!("no such core: {core}"))?;
    sched_setaffinity(Pid::from_raw(0), &set).with_context(|| format!("cannot pin to core {core}"))
}
