//! Evidence about a rollout, on its way to the store.
//!
//! While both versions of an environment share new calls, each decision about a conversation is an **exposure**. The call does
//! not wait for it to be stored: it leaves it in a queue ([`Exposures`]), and a task writes what has come together, once a
//! second ([`Writer`]). A store that is away costs evidence, never a call: the queue is bounded, and what finds it full is
//! dropped and counted. What is dropped depends on the time alone, not on the version that took the call, so it makes the judge
//! slower and not wrong.
//!
//! How a call ended is an **outcome**. Whoever reports one waits until it is stored ([`Reports`]): reports that come while others
//! are being written share the next write ([`ReportWriter`]). A report that cannot be stored is refused, to be made again.
//!
//! Where a metric comes as counts of intervals instead, the controller that leads asks the platform's [`analytics`] for them.
//!
//! A call that an override gave to a slot is noted too ([`TestCallLog`]), whatever the weight: not for the judge, but for whoever
//! waits for the test call.
//!
//! What is stored is read by a judge in a [`Hearing`].

pub mod analytics;
mod batches;
mod hearing;
mod queue;
mod reports;
mod test_calls;
mod writer;

pub use hearing::{Hearing, Sample};
pub use queue::{CAPACITY, Exposures, Queue, queue};
pub use reports::{MOST_OUTCOMES, NotStored, ReportWriter, Reports, WAITING_REPORTS, reports};
pub use test_calls::{TestCallLog, TestCallWriter, test_calls};
pub use writer::Writer;
