//! Faults that a set shows only beside its cases and the committed schemas: what `mappings check` adds to compiling.

use std::collections::{BTreeSet, HashSet};

use bumpalo::Bump;
use tributary_json::NodeId;
use tributary_ocsf::columns::Columns;

use crate::cases::Case;
use crate::describe::{fields, targets};
use crate::diagnostic::{Diagnostic, Fault, Pos, closest};
use crate::eval::{Eval, Frame};
use crate::function::Val;
use crate::mapper::{Mapper, Scratch};
use crate::outcome::Options;
use crate::plan::{ElementPlan, ExprPlan, ItemPlan, ObjectPlan, Plan, Read, ValuePlan};
use crate::scope::{ITEM, SlotId};
use crate::set::{Kind, MappingSet, Sources};
use crate::unwrap;

/// Every such fault: a path that no case of its kind holds, a lookup table that no map reads, an attribute outside the
/// committed schema of its class.
///
/// A kind without cases is not held against its cases: a set that is loaded without them is checked for the rest.
pub fn check(set: &MappingSet, sources: &Sources) -> Vec<Diagnostic> {
    let mut faults = outside_schema(set);
    faults.extend(set.unread.iter().map(|name| {
        let file = format!("lookups/{name}.yaml");
        Fault::new(Pos::new(1, 1), "no map reads this table").in_file(&file, &[])
    }));
    faults.extend(unmatched(set, sources));
    faults
}

/// Attributes that maps set and lake objects have no column for.
pub fn outside_schema(set: &MappingSet) -> Vec<Diagnostic> {
    let mut faults = Vec::new();
    for (kind, variant) in set.kinds().iter().flat_map(|kind| kind.variants.iter().map(move |variant| (kind, variant)))
    {
        let Some(text) = Columns::committed(set.schema(), &variant.class) else {
            let message = format!("class {} has no committed schema in ocsf {}", variant.class, set.schema().version);
            faults.push(
                Fault::new(variant.pos, message)
                    .help("run `tributary mappings schema`")
                    .in_file(&kind.file, &set.fragments),
            );
            continue;
        };
        let known: BTreeSet<String> =
            text.lines().filter_map(|line| Some(line.split_once(": ")?.0.replace("[]", ""))).collect();
        let covered = |path: &str| {
            known.contains(path)
                || path.match_indices('.').any(|(at, _)| path.get(..at).is_some_and(|p| known.contains(p)))
        };
        let mut set_paths = BTreeSet::new();
        targets(set.schema(), &variant.plan, &mut set_paths);
        for path in set_paths.iter().filter(|path| !covered(path)) {
            let mut pos = variant.pos;
            fields(&variant.plan, &mut |field_path, field| {
                if field_path == path {
                    pos = field.pos;
                }
            });
            let version = set.schema().version;
            let fault = Fault::new(
                pos,
                format!("{path} is outside the committed schema of {} in ocsf {version}", variant.class),
            )
            .help("run `tributary mappings schema` and commit what it adds, or leave the attribute out");
            faults.push(fault.in_file(&kind.file, &set.fragments));
        }
    }
    faults
}

/// Paths that match nothing in any case of their kind: misspelt, or not covered.
fn unmatched(set: &MappingSet, sources: &Sources) -> Vec<Diagnostic> {
    let mut seen: Vec<Option<Seen>> = set.kinds().iter().map(|_| None).collect();
    let mapper = Mapper::new(set, Options::default());
    for case in Case::all(sources) {
        let arena = Bump::new();
        let mut scratch = Scratch::default();
        let Ok(root) = scratch.doc.parse(&case.body, &arena, unwrap::limits()) else { continue };
        let mut records = Vec::new();
        unwrap::records(&scratch.doc, root, &set.rules().wrappers, &mut records);
        for record in records {
            let (doc, bindings) = (&scratch.doc, &mut scratch.bindings);
            let found = set.classify(doc, record, bindings).or_else(|| set.general(doc, record, bindings));
            let Some(index) = found.and_then(|found| set.kinds().iter().position(|kind| kind.name == found.name))
            else {
                continue;
            };
            let (Some(kind), Some(seen)) = (set.kinds().get(index), seen.get_mut(index)) else { continue };
            mapper.open_json(kind, record, &arena, &mut scratch);
            let seen =
                seen.get_or_insert_with(|| Seen { variants: kind.variants.iter().map(|_| HashSet::new()).collect() });
            seen.record(set, kind, record, &arena, &mut scratch);
        }
    }
    // A fragment serves several kinds: it is enough that one of them has a case for a path in it. So it is with variants.
    let place = |kind: &Kind, read: &Read| match read.pos.fragment {
        0 => (kind.name.clone(), read.pos, read.text.clone()),
        _ => (String::new(), read.pos, read.text.clone()),
    };
    let (mut found, mut tried) = (HashSet::new(), Vec::new());
    for (kind, seen) in set.kinds().iter().zip(&seen) {
        let variants = kind.variants.iter().zip(seen.iter().flat_map(|seen| &seen.variants));
        for (read, seen) in variants.flat_map(|(variant, seen)| variant.plan.reads.iter().map(move |read| (read, seen)))
        {
            match seen.contains(&(read.scope, read.slot.0)) {
                true => drop(found.insert(place(kind, read))),
                false => tried.push((kind, read)),
            }
        }
    }
    let mut faults = Vec::new();
    for (kind, read) in tried {
        // Inserting it says that it is named once.
        if !found.insert(place(kind, read)) {
            continue;
        }
        let whose = if read.pos.fragment == 0 { &kind.name } else { "its kinds" };
        let fault = Fault::new(read.pos, format!("{} matches nothing in any case of {whose}", read.text));
        let known = kind
            .variants
            .iter()
            .flat_map(|variant| &variant.plan.reads)
            .filter(|other| found.contains(&place(kind, other)));
        let near = closest(&read.text, known.map(|other| other.text.as_str()).filter(|text| *text != read.text));
        let fault = match near {
            Some(near) => fault.help(format!("did you mean {near}? else add a case that has it")),
            None => fault.help("correct the path, or add a case that has it"),
        };
        faults.push(fault.in_file(&kind.file, &set.fragments));
    }
    faults
}

/// Paths, as scope and slot, that held something, by variant.
struct Seen {
    variants: Vec<HashSet<(usize, u32)>>,
}

impl Seen {
    fn record<'b>(
        &mut self,
        set: &'b MappingSet,
        kind: &'b Kind,
        record: NodeId,
        arena: &'b Bump,
        scratch: &mut Scratch<'b>,
    ) {
        for (variant, seen) in kind.variants.iter().zip(&mut self.variants) {
            let plan = &variant.plan;
            scratch.state.clear();
            let mut eval = Eval { schema: set.schema(), plan, doc: &scratch.doc, arena, state: &mut scratch.state };
            let frame = eval.root_frame(record);
            mark(&mut eval, frame, seen);
            object(&mut eval, &plan.root, frame, seen);
            object(&mut eval, &plan.metadata, frame, seen);
        }
    }
}

/// Marks the paths of a frame's scope that hold something.
fn mark<'b>(eval: &mut Eval<'_, 'b>, frame: Frame<'b>, seen: &mut HashSet<(usize, u32)>) {
    let plan: &'b Plan = eval.plan;
    let Some(scope) = plan.scopes.get(frame.scope) else { return };
    for read in plan.reads.iter().filter(|read| read.scope == frame.scope) {
        let SlotId(slot) = read.slot;
        if read.slot == ITEM || eval.state.bindings.get(eval.doc, scope, frame.base, read.slot).is_some() {
            seen.insert((frame.scope, slot));
        }
    }
}

fn object<'b>(eval: &mut Eval<'_, 'b>, plan: &'b ObjectPlan, frame: Frame<'b>, seen: &mut HashSet<(usize, u32)>) {
    for field in &plan.fields {
        match &field.value {
            ValuePlan::Object(inner) => object(eval, inner, frame, seen),
            ValuePlan::List(elements) => elements.iter().for_each(|one| element(eval, one, frame, seen)),
            ValuePlan::Scalar(_) | ValuePlan::Json(_) => {}
        }
    }
}

fn element<'b>(eval: &mut Eval<'_, 'b>, plan: &'b ElementPlan, frame: Frame<'b>, seen: &mut HashSet<(usize, u32)>) {
    match plan {
        ElementPlan::One(_, ItemPlan::Object(inner)) => object(eval, inner, frame, seen),
        ElementPlan::One(..) | ElementPlan::Spread(..) => {}
        ElementPlan::Each { list, scope, cases } => {
            let alternatives = match list {
                ExprPlan::First(parts) => parts.as_slice(),
                one => std::slice::from_ref(one),
            };
            for alternative in alternatives {
                let whole = eval.eval(alternative, frame);
                eval.for_each(whole, |eval, value| {
                    let node = match value {
                        Val::Node(id) => Some(id),
                        _ => None,
                    };
                    let plan: &'b Plan = eval.plan;
                    let Some(paths) = plan.scopes.get(*scope) else { return };
                    let base = eval.state.bindings.push(paths, node);
                    let inner = Frame { scope: *scope, base, item: value };
                    mark(eval, inner, seen);
                    for (_, item) in cases {
                        if let ItemPlan::Object(plan) = item {
                            object(eval, plan, inner, seen);
                        }
                    }
                    eval.state.bindings.pop(base);
                });
            }
        }
    }
}
