//! The schemas are embedded as a folder, which cargo does not watch by itself.
fn main() {
    println!("cargo::rerun-if-changed=../../schemas");
    println!("cargo::rerun-if-changed=tables");
}
