//! Maps as tables: which attributes they set, and from what.

use std::collections::BTreeSet;

use tributary_ocsf::{AttrIx, Schema, ShapeId};

use crate::plan::{ElementPlan, ItemPlan, ObjectPlan, Plan, ScalarPlan, ValuePlan};
use crate::set::{Kind, MappingSet};

/// One line of a map: an attribute and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Dotted path of the attribute.
    pub path: String,
    /// What the file says, or `derived`.
    pub origin: String,
}

/// Adds every attribute path that a plan may set, captions, twins and derived ones included.
pub(crate) fn targets(schema: &Schema, plan: &Plan, paths: &mut BTreeSet<String>) {
    let header = &plan.header;
    let class = plan.class;
    let mut add = |attr: Option<AttrIx>| {
        if let Some(name) = attr.and_then(|attr| name(schema, class, attr)) {
            paths.insert(name.to_owned());
        }
    };
    for attr in [header.activity_id, header.type_uid, header.time] {
        add(Some(attr));
    }
    for attr in [header.type_name, header.time_dt, header.unmapped, header.raw_data] {
        add(attr);
    }
    header.fixed.iter().for_each(|(attr, _)| add(Some(*attr)));
    for path in ["metadata.version", "metadata.uid", "metadata.profiles", "observables.name", "observables.type_id"] {
        paths.insert(path.to_owned());
    }
    for path in ["observables.type", "observables.value"] {
        paths.insert(path.to_owned());
    }
    object(schema, &plan.root, "", paths);
    object(schema, &plan.metadata, "metadata", paths);
}

fn name(schema: &Schema, shape: ShapeId, attr: AttrIx) -> Option<&'static str> {
    schema.shape(shape)?.attr(attr).map(|attr| attr.name)
}

fn object(schema: &Schema, plan: &ObjectPlan, path: &str, paths: &mut BTreeSet<String>) {
    for field in &plan.fields {
        let full = join(path, field.name);
        match &field.value {
            ValuePlan::Scalar(scalar_plan) => scalar(schema, plan.shape, path, &full, scalar_plan, paths),
            ValuePlan::Json(_) => {
                paths.insert(full);
            }
            ValuePlan::Object(inner) => object(schema, inner, &full, paths),
            ValuePlan::List(elements) => {
                for element in elements {
                    match element {
                        ElementPlan::Spread(..) => {
                            paths.insert(full.clone());
                        }
                        ElementPlan::One(_, item) => list_item(schema, item, &full, paths),
                        ElementPlan::Each { cases, .. } => {
                            cases.iter().for_each(|(_, item)| list_item(schema, item, &full, paths));
                        }
                    }
                }
            }
        }
    }
}

fn list_item(schema: &Schema, item: &ItemPlan, path: &str, paths: &mut BTreeSet<String>) {
    match item {
        ItemPlan::Object(plan) => object(schema, plan, path, paths),
        ItemPlan::Scalar(_) | ItemPlan::Json(_) => {
            paths.insert(path.to_owned());
        }
    }
}

fn scalar(schema: &Schema, shape: ShapeId, base: &str, full: &str, plan: &ScalarPlan, paths: &mut BTreeSet<String>) {
    paths.insert(full.to_owned());
    let sibling = plan.target.enumeration.as_ref().and_then(|enumeration| enumeration.sibling);
    for attr in [sibling, plan.target.dt].into_iter().flatten() {
        if let Some(name) = name(schema, shape, attr) {
            paths.insert(join(base, name));
        }
    }
}

fn join(base: &str, name: &str) -> String {
    if base.is_empty() { name.to_owned() } else { format!("{base}.{name}") }
}

/// Every attribute of a kind with its origin, variant by variant.
pub fn explain(kind: &Kind) -> Vec<(String, Vec<Line>)> {
    kind.variants
        .iter()
        .map(|variant| {
            let title = match &variant.when_text {
                Some(when) => format!("{} when {when}", variant.class),
                None => variant.class.clone(),
            };
            let mut lines = Vec::new();
            for plan in [&variant.plan.root, &variant.plan.metadata] {
                origins(plan, &mut lines);
            }
            for path in [
                "class_uid",
                "class_name",
                "category_uid",
                "category_name",
                "type_uid",
                "type_name",
                "time_dt",
                "metadata.version",
                "metadata.uid",
                "metadata.profiles",
                "observables",
                "unmapped",
            ] {
                lines.push(Line { path: path.to_owned(), origin: "derived".to_owned() });
            }
            lines.sort_by(|a, b| a.path.cmp(&b.path));
            (title, lines)
        })
        .collect()
}

fn origins(plan: &ObjectPlan, lines: &mut Vec<Line>) {
    for field in &plan.fields {
        let path = join(&plan.path, field.name);
        match &field.value {
            ValuePlan::Object(inner) => origins(inner, lines),
            _ => lines.push(Line { path, origin: field.origin.clone() }),
        }
    }
}

/// The table of all kinds, as Markdown: what `docs/MAPPINGS.md` holds.
pub fn describe_kinds(set: &MappingSet) -> String {
    use std::fmt::Write as _;
    let mut out = String::from(
        "# Mappings\n\nGenerated by `tributary mappings list --markdown`. One row a kind and class; \
         `tributary mappings explain KIND` shows every attribute's origin.\n\n\
         | kind | source | class | when | attributes |\n|---|---|---|---|---|\n",
    );
    for kind in set.kinds() {
        for variant in &kind.variants {
            let mut paths = BTreeSet::new();
            targets(set.schema(), &variant.plan, &mut paths);
            let uid = variant.plan.class_uid;
            let when =
                variant.when_text.as_deref().map_or(String::new(), |when| format!("`{}`", when.replace('|', "\\|")));
            let _ = writeln!(
                out,
                "| `{}` | {} | {} {uid} | {when} | {} |",
                kind.name,
                kind.title,
                variant.class,
                paths.len()
            );
        }
    }
    out
}
