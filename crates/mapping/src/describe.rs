//! Maps as tables: which attributes they set, and from what.

use std::collections::BTreeSet;

use tributary_ocsf::{AttrIx, Schema, ShapeId};

use crate::plan::{ElementPlan, FieldPlan, ItemPlan, ObjectPlan, Plan, ScalarPlan, ValuePlan};
use crate::set::{Kind, MappingSet, Variant};

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

/// Every attribute that a plan's file sets, with its dotted path: without indices, in no order.
pub(crate) fn fields<'p>(plan: &'p Plan, visit: &mut dyn FnMut(&str, &'p FieldPlan)) {
    object_fields(&plan.root, "", visit);
    object_fields(&plan.metadata, "metadata", visit);
}

fn object_fields<'p>(plan: &'p ObjectPlan, path: &str, visit: &mut dyn FnMut(&str, &'p FieldPlan)) {
    for field in &plan.fields {
        let full = join(path, field.name);
        visit(&full, field);
        let mut item = |item: &'p ItemPlan| {
            if let ItemPlan::Object(plan) = item {
                object_fields(plan, &full, visit);
            }
        };
        match &field.value {
            ValuePlan::List(elements) => elements.iter().for_each(|element| match element {
                ElementPlan::One(_, one) => item(one),
                ElementPlan::Each { cases, .. } => cases.iter().for_each(|(_, one)| item(one)),
                ElementPlan::Spread(..) => {}
            }),
            ValuePlan::Object(inner) => object_fields(inner, &full, visit),
            ValuePlan::Scalar(_) | ValuePlan::Json(_) => {}
        }
    }
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

/// What the engine sets by itself.
pub(crate) const DERIVED: &[&str] = &[
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
];

/// Every attribute of a plan with its origin, those inside lists too, in the order of their paths.
fn origins(plan: &Plan) -> Vec<Line> {
    let mut lines = vec![Line { path: "time".to_owned(), origin: plan.time_origin.clone() }];
    fields(plan, &mut |path, field| {
        if !matches!(field.value, ValuePlan::Object(_)) {
            lines.push(Line { path: path.to_owned(), origin: field.origin.to_string() });
        }
    });
    lines.extend(DERIVED.iter().map(|path| Line { path: (*path).to_owned(), origin: "derived".to_owned() }));
    lines.sort_by(|a, b| a.path.cmp(&b.path));
    lines
}

/// The attributes of a kind with their origins, variant by variant, without an event.
pub fn explain(kind: &Kind) -> Vec<(String, Vec<Line>)> {
    let title = |variant: &Variant| match &variant.when_text {
        Some(when) => format!("{} when {when}", variant.class),
        None => variant.class.clone(),
    };
    kind.variants.iter().map(|variant| (title(variant), origins(&variant.plan))).collect()
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
