//! Writes the generated files anew: `make generated`.

use std::path::Path;

fn main() -> std::io::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for (path, text) in tributary_functions::generated::files(|path| std::fs::read_to_string(root.join(path)).ok()) {
        println!("{path}");
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap_or(&root))?;
        std::fs::write(path, text)?;
    }
    Ok(())
}
