//! Azure's mapping files, embedded, and the mapping functions that know Azure.
//!
//! The files are `modules/azure/mappings/`; [`sources`] gives them as the product ships them, [`functions`] what they
//! may call beyond the common library.

mod arm;

use include_dir::{Dir, File, include_dir};
use tributary_mapping::function::Function;
use tributary_mapping::{Diagnostic, MappingSet, Sources};
use tributary_ocsf::Version;

/// The mapping files. Apart from their cases, which are thirty times as much: a program that does not ask for those does not hold them.
static MAPS: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/maps.rs"));
static CASES: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/../../mappings");

/// The mapping files and their cases by path below `modules/azure/mappings/`.
pub fn sources() -> Sources {
    let mut sources = Sources::new();
    collect(&CASES, &mut sources);
    sources
}

/// The mapping files alone: what mapping needs.
pub fn maps() -> Sources {
    MAPS.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect()
}

fn collect(folder: &Dir<'_>, sources: &mut Sources) {
    sources.extend(folder.files().filter_map(text));
    for inner in folder.dirs() {
        collect(inner, sources);
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
