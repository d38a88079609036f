//! `tributary`.
fn main() {}
