//! Evidence about a rollout, on its way to the store.
//!
//! While both versions of an environment share new calls, each decision about a conversation is an **exposure**. The call does
//! not wait for it to be stored: it leaves it in a queue ([`Exposures`]), and a task writes what has come together, once a
//! second ([`Writer`]). A store that is away costs evidence, never a call: the queue is bounded, and what finds it full is
//! dropped and counted. What is dropped depends on the time alone, not on the version that took the call, so it makes the judge
//! slower and not wrong.

mod queue;
mod writer;

pub use queue::{CAPACITY, Exposures, Queue, queue};
pub use writer::Writer;
