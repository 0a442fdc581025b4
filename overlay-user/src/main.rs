//! The `overlay` command.
fn main() {}
