//! Genesys Cloud, as far as this service has to know it: its wire types stop here.

pub mod flow_end;
