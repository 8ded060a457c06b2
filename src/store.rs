//! Everything that knows DynamoDB.
//!
//! Two tables. The control table holds the [journal], one [record] per committed change, and one [row] per
//! aggregate that people and other tools read; it is permanent. The evidence table holds what is regional and expires:
//! [heartbeats], [lease]s, the [evidence], the [cursors] of followers, and what is
//! made of the platform's [analytics]. One implementation on the AWS SDK serves DynamoDB and the [embedded] engine alike.
//!
//! Not here: what a change means (`domain`), and what this process believes at the moment (`replica`).

pub mod analytics;
pub mod audit;
pub mod connection;
pub mod cursors;
#[cfg(feature = "embedded")]
pub mod embedded;
pub mod error;
pub mod evidence;
pub mod format;
pub mod heartbeats;
pub mod item;
pub mod journal;
pub mod lease;
pub mod record;
pub mod recover;
pub mod row;
pub mod table;
mod vacancy;
pub mod verify;
pub mod walk;

pub use connection::{SPANS, Store};
pub use error::StoreError;
