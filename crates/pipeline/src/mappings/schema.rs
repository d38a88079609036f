//! Whether a set stays within the committed schemas.

use std::collections::BTreeSet;

use tributary_mapping::MappingSet;
use tributary_ocsf::columns::Columns;

/// What the set's maps set and the lake's objects have no column for: `class: path`.
pub(super) fn outside_schema(set: &MappingSet) -> Vec<String> {
    let mut outside = Vec::new();
    for class in set.classes() {
        let Some(text) = Columns::committed(set.schema(), class) else {
            outside.push(format!("{class}: no schema"));
            continue;
        };
        let known: BTreeSet<String> =
            text.lines().filter_map(|line| Some(line.split_once(": ")?.0.replace("[]", ""))).collect();
        // A leaf may hold a whole object as text.
        let covered = |path: &String| {
            known.contains(path)
                || path.match_indices('.').any(|(at, _)| path.get(..at).is_some_and(|up| known.contains(up)))
        };
        outside.extend(set.targets(class).iter().filter(|path| !covered(path)).map(|path| format!("{class}: {path}")));
    }
    outside
}
