//! The `traffic-cop` command.

fn main() {}
