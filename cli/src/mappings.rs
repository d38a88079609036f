//! The mapping set that a command uses: the shipped one, or files from a folder.

use std::path::Path;

use tributary_azure_mappings::{functions, maps, sources};
use tributary_mapping::{Diagnostic, MappingSet, Sources};
use tributary_ocsf::Version;

use crate::failure::Failure;

/// The files of a folder, or the shipped ones.
pub(crate) fn read(folder: Option<&Path>) -> Result<Sources, Failure> {
    let Some(folder) = folder else { return Ok(sources()) };
    let mut files = Vec::new();
    for path in crate::input::read(&[folder.to_owned()])? {
        files.push(path);
    }
    let mut sources = Sources::new();
    for path in files {
        // As a deployment reads them: hidden copies and drafts are none of the files.
        let below = path.strip_prefix(folder).unwrap_or(&path);
        if below.components().any(|part| part.as_os_str().as_encoded_bytes().starts_with(b".")) {
            continue;
        }
        let text = std::fs::read_to_string(&path).map_err(|error| Failure::file("read", &path, &error))?;
        let name = below.to_string_lossy().replace('\\', "/");
        sources.insert(name, text);
    }
    Ok(sources)
}

/// The shipped set.
pub(crate) fn shipped(version: Version) -> Result<MappingSet, Failure> {
    compile(&maps(), version)
}

/// Compiles the files for a version.
pub(crate) fn compile(sources: &Sources, version: Version) -> Result<MappingSet, Failure> {
    MappingSet::compile(sources, functions(), version).map_err(|faults| failure(version, &faults))
}

/// Fails when there are faults.
pub(crate) fn refuse(version: Version, faults: &[Diagnostic]) -> Result<(), Failure> {
    if faults.is_empty() { Ok(()) } else { Err(failure(version, faults)) }
}

fn failure(version: Version, faults: &[Diagnostic]) -> Failure {
    let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
    Failure::Check(format!("the mapping files do not pass their check for ocsf {version}\n{}", lines.join("\n")))
}
