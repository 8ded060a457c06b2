//! Answers about the mirror.

use serde::Deserialize;

use super::HeldUp;

/// The data table and its rows.
#[derive(Debug, Deserialize)]
pub(in crate::cli) struct Mirror {
    /// `None` if there is none.
    pub(in crate::cli) data_table: Option<String>,
    pub(in crate::cli) rows: Vec<MirroredRow>,
}

/// The row of an environment.
#[derive(Debug, Deserialize)]
pub(in crate::cli) struct MirroredRow {
    pub(in crate::cli) environment: String,
    /// `None` if nobody has looked.
    pub(in crate::cli) row: Option<RowState>,
}

/// How far a row has come.
#[derive(Debug, Deserialize)]
pub(in crate::cli) struct RowState {
    pub(in crate::cli) current: bool,
    pub(in crate::cli) seen_at: Option<String>,
    pub(in crate::cli) held_up: Option<HeldUp>,
}
