//! Threads for decisions alone.
//!
//! Everything else, the admin listener, what follows the journal and what writes to it, runs on the threads of the process's
//! first runtime. So the system's scheduler, which is fair between threads, gives a rollback its turn at once however many
//! calls wait; in one queue with them it would wait behind them all. And a dashboard never costs a call.

use std::io;

use tokio::runtime::{Builder, EnterGuard, Handle, Runtime};

/// The threads that make decisions. They end when this is dropped.
#[derive(Debug)]
pub(super) struct DecisionThreads(Option<Runtime>);

impl DecisionThreads {
    /// As many threads as there are processors.
    pub(super) fn start() -> io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .thread_name("decisions")
            // A thread has places for 256 that are ready; the rest wait in a queue for all threads, where with tokio's own
            // interval those would overtake them for as long as more calls come than can be answered.
            .global_queue_interval(1)
            .enable_all()
            .build()?;
        Ok(Self(Some(runtime)))
    }

    fn runtime(&self) -> &Runtime {
        // Taken only by `drop`.
        self.0.as_ref().expect("the threads run until the end")
    }

    pub(super) fn handle(&self) -> &Handle {
        self.runtime().handle()
    }

    /// Makes sockets that are opened while the guard lives belong to these threads.
    pub(super) fn enter(&self) -> EnterGuard<'_> {
        self.runtime().enter()
    }
}

impl Drop for DecisionThreads {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            // Waiting for the threads is not allowed on another runtime's, and they have nothing left to do.
            runtime.shutdown_background();
        }
    }
}
