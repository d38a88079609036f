//! The generated files are those of this code.

#[test]
fn the_generated_files_are_up_to_date() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let read = |path: &str| std::fs::read_to_string(root.join(path)).ok();
    for (path, text) in tributary_functions::generated::files(read) {
        assert_eq!(read(path).as_deref(), Some(text.as_str()), "{path} is out of date: make generated");
    }
}
