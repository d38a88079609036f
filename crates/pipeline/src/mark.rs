//! What tells one attempt of a worker from another.

/// A mark that no other attempt of any worker carries.
pub fn attempt() -> String {
    use std::hash::{BuildHasher as _, Hasher as _};
    // Keys of a new state are random for each process and count up within it.
    let mut hasher = std::collections::hash_map::RandomState::new().build_hasher();
    hasher.write_u32(std::process::id());
    format!("{:016x}", hasher.finish())
}
