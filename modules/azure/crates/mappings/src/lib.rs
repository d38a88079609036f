//! Azure's mapping files, embedded, and the mapping functions that know Azure.
//!
//! The files are `modules/azure/mappings/`; [`sources`] gives them as the product ships them, [`functions`] what they
//! may call beyond the common library.

mod arm;

use include_dir::{Dir, File, include_dir};
use tributary_mapping::function::Function;
use tributary_mapping::{Diagnostic, MappingSet, Sources};
use tributary_ocsf::Version;

static FILES: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/../../mappings");

/// The mapping files and their cases by path below `modules/azure/mappings/`.
pub fn sources() -> Sources {
    let mut sources = Sources::new();
    collect(&FILES, &|_| true, &mut sources);
    sources
}

/// The mapping files alone: what mapping needs. The cases are twenty times as much, and a start should not wait for them.
pub fn maps() -> Sources {
    let mut sources = Sources::new();
    collect(&FILES, &|path| path.ends_with(".yaml"), &mut sources);
    sources
}

fn collect(folder: &Dir<'_>, wanted: &dyn Fn(&str) -> bool, sources: &mut Sources) {
    for file in folder.files().filter(|file| file.path().to_str().is_some_and(wanted)) {
        if let Some((path, text)) = text(file) {
            sources.insert(path, text);
        }
    }
    for inner in folder.dirs() {
        collect(inner, wanted, sources);
    }
}

fn text(file: &File<'_>) -> Option<(String, String)> {
    Some((file.path().to_str()?.to_owned(), file.contents_utf8()?.to_owned()))
}

/// The functions that Azure's files may call beyond the common library.
pub fn functions() -> &'static [Function] {
    arm::FUNCTIONS
}

/// The shipped set for a version.
///
/// # Errors
/// Never for the files as committed: a test compiles them for every version.
pub fn shipped(version: Version) -> Result<MappingSet, Vec<Diagnostic>> {
    MappingSet::compile(&maps(), functions(), version)
}
