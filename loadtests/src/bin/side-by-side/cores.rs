//! Which core serves and which one asks.

use std::process::{Child, Command};

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

/// Programs that keep cores from sleeping until it is dropped.
#[derive(Debug)]
pub(crate) struct Awake(Vec<Child>);

impl Awake {
    /// Starts one on each of `cores`. They have the scheduler's idle class (`SCHED_IDLE`): whatever else is ready runs first.
    ///
    /// # Errors
    /// `chrt` or `taskset` (util-linux) is missing.
    pub(crate) fn keep(cores: Cores) -> anyhow::Result<Self> {
        let mut keepers = Self(Vec::new());
        for core in [cores.server, cores.generator] {
            let mut command = Command::new("chrt");
            command.args(["--idle", "0", "taskset", "--cpu-list", &core.to_string()]);
            command.args(["sh", "-c", "while :; do :; done"]);
            let keeper = command
                .spawn()
                .context("cannot keep a core awake (chrt, of util-linux)")?;
            keepers.0.push(keeper);
        }
        Ok(keepers)
    }
}

impl Drop for Awake {
    fn drop(&mut self) {
        for keeper in &mut self.0 {
            // One that has ended by itself keeps nothing awake, and needs no end.
            let _ = keeper.kill();
            let _ = keeper.wait();
        }
    }
}
