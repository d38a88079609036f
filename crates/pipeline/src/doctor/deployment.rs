//! The maps, and the places of what they make.

use std::sync::Arc;

use tributary_lake::Layout;
use tributary_mapping::function::Function;
use tributary_mapping::{MappingSet, Options};
use tributary_ocsf::Version;
use tributary_telemetry::Check;

use crate::{ChangedMappings, Transformer};

const MAPPINGS: &str = "mappings";
const SOURCES: &str = "lake: sources";

/// Whether changed mapping files are the approved ones and pass, or that there are none.
pub async fn examine_mappings(
    changed: Option<&ChangedMappings>,
    built_in: &MappingSet,
    functions: &[Function],
    version: Version,
) -> Check {
    let shown = |set: &MappingSet| {
        let digest: String = set.digest().chars().take(12).collect();
        format!("{} kinds, digest {digest}", set.kinds().len())
    };
    let Some(changed) = changed else { return Check::ok(MAPPINGS, format!("the built-in ones: {}", shown(built_in))) };
    match changed.load(functions, version).await {
        Ok(set) => Check::ok(MAPPINGS, format!("those of {}: {}", changed.uri, shown(&set))),
        Err(refused) => Check::failed_with(
            MAPPINGS,
            format!("refused, the built-in set maps in their place: {refused}"),
            "run `tributary mappings check` on them",
        ),
    }
}

/// Whether each class that the maps make has its place in the lake.
pub fn examine_sources(set: Arc<MappingSet>, layout: Layout) -> Check {
    let classes = set.classes().len();
    let schema = set.schema();
    let missing: Vec<String> = set
        .classes()
        .into_iter()
        .filter_map(|name| Some((name, schema.class_named(name)?.1.uid?)))
        .filter(|(_, id)| layout.location(*id).is_none())
        .map(|(name, id)| format!("{id} ({name})"))
        .collect();
    if !missing.is_empty() {
        return Check::failed(
            SOURCES,
            format!("no location for class {}", missing.join(", ")),
            "set SECURITY_LAKE_SOURCES (--sources) to what the deployment's output Sources says",
        );
    }
    match Transformer::new(set, Options::default(), layout) {
        Ok(_) => Check::ok(SOURCES, format!("{classes} classes, each with its location")),
        Err(error) => Check::failed_with(SOURCES, error, "take a version of this program that knows these classes"),
    }
}
