//! The committed Arrow schemas: derived from the tables and the maps, and only ever added to.

use std::collections::BTreeSet;
use std::path::Path;

use tributary_mapping::MappingSet;
use tributary_ocsf::columns::Columns;

use crate::failure::Failure;

/// Profiles whose attributes every class gets; others come with the paths that maps set.
const PROFILES: &[&str] = &["cloud", "datetime"];

/// Writes (or with `check` only compares) `{out}/{version}/{class}.txt` for every class of the set. Returns how many
/// files differ from what they should hold.
pub(crate) fn write(set: &MappingSet, out: &Path, check: bool) -> Result<u32, Failure> {
    let schema = set.schema();
    let mut stale = 0;
    for name in set.classes() {
        let Some((class, _)) = schema.class_named(name) else { continue };
        let path = out.join(schema.version.as_str()).join(format!("{name}.txt"));
        let old = std::fs::read_to_string(&path).unwrap_or_default();
        let mut paths = set.targets(name);
        // Flow logs are mapped in code, not by a file.
        if name == tributary_azure_flowlogs::CLASS {
            paths.extend(tributary_azure_flowlogs::PATHS.map(str::to_owned));
        }
        // What was ever a column stays one: its path counts as wanted.
        paths.extend(old.lines().filter_map(|line| line.split_once(": ")).map(|(path, _)| path.replace("[]", "")));
        let text = Columns::derive(schema, class, PROFILES, &paths).to_text();
        keeps(&old, &text).map_err(|line| {
            Failure::Check(format!(
                "{}: the column {line:?} would change or vanish; schemas are additive",
                path.display()
            ))
        })?;
        if text == old {
            continue;
        }
        stale += 1;
        println!("{} {}: {} leaves", if check { "stale" } else { "wrote" }, path.display(), text.lines().count());
        if !check {
            let fail = |error| Failure::file("write", &path, &error);
            std::fs::create_dir_all(out.join(schema.version.as_str())).map_err(fail)?;
            std::fs::write(&path, text).map_err(fail)?;
        }
    }
    Ok(stale)
}

/// Whether every line of `old` is a line of `new`.
fn keeps<'o>(old: &'o str, new: &str) -> Result<(), &'o str> {
    let new: BTreeSet<&str> = new.lines().collect();
    match old.lines().find(|line| !new.contains(line)) {
        Some(line) => Err(line),
        None => Ok(()),
    }
}
