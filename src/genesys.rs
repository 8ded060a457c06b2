//! Genesys Cloud, as far as this service has to know it: its wire types stop here.

pub mod budget;
pub mod client;
pub mod data_table;
pub mod export;
pub mod flow_aggregates;
pub mod flow_end;
pub mod place;
pub mod preflight;
