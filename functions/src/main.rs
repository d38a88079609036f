//! The Lambda functions.

fn main() {}
