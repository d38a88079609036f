//! From a mapping file to a plan: every path, type and value is checked against OCSF here, or the file is refused.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use tributary_ocsf::{Attr, AttrIx, BaseType, Constraint, Requirement, Schema, ShapeId, ShapeKind, Version};

use crate::diagnostic::{Fault, Pos, closest};
use crate::file::{VariantFile, mapping};
use crate::function::Function;
use crate::plan::{
    ConstraintPlan, FieldPlan, Header, Literal, Lookup, ObjectPlan, ObservableAttrs, Plan, Read, Source, ValuePlan,
};
use crate::scope::Scope;
use crate::syntax::parse_cond;
use crate::yaml::{Entry, Yaml};

/// What all files of a set share.
pub(crate) struct Library<'c> {
    pub(crate) schema: &'static Schema,
    pub(crate) functions: &'c HashMap<&'static str, Function>,
    pub(crate) lookups: &'c HashMap<String, Arc<Lookup>>,
    /// Names of the tables that some expression reads.
    pub(crate) read_lookups: &'c RefCell<BTreeSet<String>>,
}

/// Attributes of the event that the engine derives and no file may set.
const DERIVED: &[&str] = &[
    "class_uid",
    "class_name",
    "category_uid",
    "category_name",
    "type_uid",
    "type_name",
    "observables",
    "unmapped",
    "raw_data",
    "time_dt",
];
/// The same of `metadata`.
const DERIVED_METADATA: &[&str] = &["version", "profiles", "uid"];

pub(crate) struct Compiler<'c> {
    pub(crate) library: &'c Library<'c>,
    /// Profiles of the variant; a profile's bit is its index.
    pub(crate) profiles: Vec<&'static str>,
    pub(crate) scopes: Vec<Scope>,
    pub(crate) scope: usize,
    pub(crate) reads: Vec<Read>,
    /// Where the expression stands that is being compiled.
    pub(crate) reading: Pos,
    pub(crate) faults: Vec<Fault>,
}

/// Compiles one variant.
pub(crate) fn compile(
    library: &Library<'_>,
    variant: &VariantFile,
) -> Result<(Plan, Option<crate::plan::CondPlan>), Vec<Fault>> {
    let schema = library.schema;
    let (class_name, class_pos) = &variant.class;
    let Some((class, shape)) = schema.class_named(class_name) else {
        let names = schema.shapes.iter().filter(|shape| shape.kind == ShapeKind::Class).map(|shape| shape.name);
        let fault = Fault::new(*class_pos, format!("there is no class {class_name:?} in ocsf {}", schema.version));
        return Err(vec![match closest(class_name, names) {
            Some(near) => fault.help(format!("did you mean {near:?}?")),
            None => fault,
        }]);
    };
    let mut compiler = Compiler {
        library,
        profiles: Vec::new(),
        scopes: vec![Scope::default()],
        scope: 0,
        reads: Vec::new(),
        reading: variant.pos,
        faults: Vec::new(),
    };
    for (name, pos) in &variant.profiles {
        match shape.profiles.iter().find(|profile| *profile == name) {
            Some(profile) => compiler.profiles.push(profile),
            None => compiler.fault(
                Fault::new(*pos, format!("profile {name:?} does not apply to class {class_name}"))
                    .help(format!("profiles of this class are {}", shape.profiles.join(", "))),
            ),
        }
    }
    let when = match &variant.when {
        Some((text, pos)) => match parse_cond(text, *pos) {
            Ok(cond) => {
                compiler.reading = *pos;
                Some(compiler.cond(cond))
            }
            Err(fault) => {
                compiler.fault(fault);
                None
            }
        },
        None => None,
    };
    let plan = compiler.plan(class, variant);
    if !compiler.faults.is_empty() {
        return Err(compiler.faults);
    }
    plan.map(|plan| (plan, when))
        .ok_or_else(|| vec![Fault::new(variant.pos, "the class lacks an attribute that every event has")])
}

impl Compiler<'_> {
    pub(crate) fn fault(&mut self, fault: Fault) {
        self.faults.push(fault);
    }

    pub(crate) fn version(&self) -> Version {
        self.library.schema.version
    }

    fn plan(&mut self, class: ShapeId, variant: &VariantFile) -> Option<Plan> {
        let schema = self.library.schema;
        let shape = schema.shape(class)?;
        let (mut root_entries, mut metadata_entries, mut time_entry) = (Vec::new(), Vec::new(), None);
        for entry in self.versioned(&variant.map) {
            match entry.key.as_str() {
                "metadata" => match mapping(&entry.value) {
                    Ok(entries) => metadata_entries = self.versioned(entries),
                    Err(fault) => self.fault(fault),
                },
                "time" => time_entry = Some(entry),
                name if DERIVED.contains(&name) => {
                    self.fault(Fault::new(entry.pos, format!("{name} is derived: leave it out")));
                }
                _ => root_entries.push(entry),
            }
        }
        for entry in &metadata_entries {
            if DERIVED_METADATA.contains(&entry.key.as_str()) {
                self.fault(Fault::new(entry.pos, format!("metadata.{} is derived: leave it out", entry.key)));
            }
        }
        let root = self.object(class, &root_entries, "", variant.pos);
        let (metadata_ix, metadata_attr) = shape.attr_named("metadata")?;
        let metadata_shape = metadata_attr.object?;
        let metadata = self.object(metadata_shape, &metadata_entries, "metadata", variant.pos);
        let (time_ix, time_attr) = shape.attr_named("time")?;
        let time_origin =
            time_entry.as_ref().map_or_else(|| "the hub's enqueued time".to_owned(), |entry| entry.value.to_string());
        let time = match time_entry {
            Some(entry) => {
                let target = self.target(shape, time_attr, "time");
                self.source(&entry.value, &target)
            }
            None => Source::None,
        };
        self.check_required(class, &root_entries, variant.pos);
        for scope in &mut self.scopes {
            scope.finish();
        }
        let meta = schema.shape(metadata_shape)?;
        let ix = |name: &str| meta.attr_named(name).map(|(ix, _)| ix);
        let own = |name: &str| shape.attr_named(name).map(|(ix, _)| ix);
        let mut fixed = Vec::new();
        let text = |text: &str| Literal::Text(text.to_owned());
        fixed.extend(own("class_uid").zip(shape.uid).map(|(ix, uid)| (ix, Literal::Int(uid.into()))));
        fixed.extend(own("class_name").map(|ix| (ix, text(shape.caption))));
        fixed.extend(own("category_uid").zip(shape.category_uid).map(|(ix, uid)| (ix, Literal::Int(uid.into()))));
        fixed.extend(own("category_name").zip(shape.category_name).map(|(ix, name)| (ix, text(name))));
        let (type_uid, type_attr) = shape.attr_named("type_uid")?;
        let header = Header {
            activity_id: own("activity_id")?,
            type_uid,
            type_name: own("type_name"),
            type_names: schema.enumeration(type_attr.enumeration?)?,
            time: time_ix,
            time_target: self.target(shape, time_attr, "time"),
            time_dt: own("time_dt"),
            metadata: metadata_ix,
            meta_version: ix("version")?,
            meta_uid: ix("uid"),
            meta_profiles: ix("profiles"),
            observables: self.observable_attrs(class),
            unmapped: own("unmapped"),
            raw_data: own("raw_data"),
            fixed,
            datetime: self.bit("datetime"),
        };
        Some(Plan {
            class,
            class_uid: shape.uid?.into(),
            profiles: std::mem::take(&mut self.profiles),
            scopes: std::mem::take(&mut self.scopes),
            reads: std::mem::take(&mut self.reads),
            root,
            metadata,
            time,
            time_origin,
            header,
        })
    }

    fn observable_attrs(&self, class: ShapeId) -> Option<ObservableAttrs> {
        let schema = self.library.schema;
        let (attr, observables) = schema.shape(class)?.attr_named("observables")?;
        let shape_id = observables.object?;
        let shape = schema.shape(shape_id)?;
        let (type_id, type_attr) = shape.attr_named("type_id")?;
        Some(ObservableAttrs {
            attr,
            shape: shape_id,
            name: shape.attr_named("name")?.0,
            type_id,
            type_name: shape.attr_named("type").map(|(ix, _)| ix),
            value: shape.attr_named("value").map(|(ix, _)| ix),
            types: schema.enumeration(type_attr.enumeration?)?,
        })
    }

    /// The bit of an active profile, else 0.
    pub(crate) fn bit(&self, profile: &str) -> u32 {
        self.profiles.iter().position(|active| *active == profile).map_or(0, |index| 1 << index.min(31))
    }

    /// Bits of the active profiles that bring an attribute: `Some(0)` for one that is always there, `None` for one
    /// that needs a profile which is not active.
    pub(crate) fn profile_bits(&self, attr: &Attr) -> Option<u32> {
        match &attr.profiles {
            None => Some(0),
            Some(names) => {
                let bits = names.iter().fold(0, |bits, name| bits | self.bit(name));
                (bits != 0).then_some(bits)
            }
        }
    }

    /// The entries that count for this version, their keys without the version: `resource (1.1.0)`.
    fn versioned(&mut self, entries: &[Entry]) -> Vec<Entry> {
        let mut kept: Vec<Entry> = Vec::new();
        for entry in entries {
            let Some((name, version)) = entry.key.split_once(" (") else {
                kept.push(entry.clone());
                continue;
            };
            let known = version.strip_suffix(')').and_then(|version| version.parse::<Version>().ok());
            match known {
                Some(version) if version == self.version() => {
                    kept.push(Entry { key: name.to_owned(), ..entry.clone() });
                }
                Some(_) => {}
                None => self.fault(
                    Fault::new(entry.pos, format!("{:?} names no ocsf version", entry.key))
                        .help("write `name (1.3.0)` or `name (1.1.0)`"),
                ),
            }
        }
        kept
    }

    /// Compiles the attributes of an object or of the event.
    pub(crate) fn object(&mut self, shape_id: ShapeId, entries: &[Entry], path: &str, pos: Pos) -> ObjectPlan {
        let schema = self.library.schema;
        let mut plan = ObjectPlan {
            shape: shape_id,
            path: path.into(),
            when: None,
            fields: Vec::new(),
            required: Vec::new(),
            constraints: Vec::new(),
        };
        let Some(shape) = schema.shape(shape_id) else { return plan };
        let entries = self.versioned(entries);
        for entry in &entries {
            if entry.key == "when" {
                plan.when = self.condition(&entry.value);
                continue;
            }
            let full = if path.is_empty() { entry.key.clone() } else { format!("{path}.{}", entry.key) };
            let Some((ix, attr)) = shape.attr_named(&entry.key) else {
                let place =
                    if path.is_empty() { format!("class {}", shape.name) } else { format!("{path} ({})", shape.name) };
                let fault = Fault::new(
                    entry.pos,
                    format!("{place} has no attribute {:?} in ocsf {}", entry.key, schema.version),
                );
                let near = closest(&entry.key, shape.attrs.iter().map(|attr| attr.name));
                self.fault(match near {
                    Some(near) => fault.help(format!("did you mean {near:?}?")),
                    None => fault,
                });
                continue;
            };
            let Some(profile) = self.profile_bits(attr) else {
                let names = attr.profiles.as_deref().unwrap_or_default().join(" or ");
                self.fault(
                    Fault::new(entry.pos, format!("{full} exists only with profile {names}"))
                        .help("add the profile to `profiles:`"),
                );
                continue;
            };
            if let Some(since) = attr.deprecated {
                self.fault(Fault::new(entry.pos, format!("{full} is deprecated since ocsf {since}")));
            }
            let Some(value) = self.field(shape, ix, attr, &entries, entry, &full) else { continue };
            plan.fields.push(FieldPlan {
                attr: value.0,
                profile,
                value: value.1,
                origin: Box::new(entry.value.clone()),
                name: value.2,
                pos: entry.pos,
            });
        }
        plan.fields.sort_by_key(|field| field.attr);
        for (index, attr) in shape.attrs.iter().enumerate() {
            if attr.requirement == Requirement::Required
                && let (Some(bits), Ok(index)) = (self.profile_bits(attr), u16::try_from(index))
            {
                plan.required.push((AttrIx(index), bits));
            }
        }
        for constraint in &shape.constraints {
            let (exactly_one, names) = match constraint {
                Constraint::AtLeastOne(names) => (false, names),
                Constraint::JustOne(names) => (true, names),
            };
            let set = names.iter().any(|name| entries.iter().any(|entry| name.split('.').next() == Some(&entry.key)));
            if !set {
                let place = if path.is_empty() { "the event" } else { path };
                self.fault(Fault::new(
                    pos,
                    format!(
                        "{place} needs {} {}",
                        if exactly_one { "exactly one of" } else { "one of" },
                        names.join(", ")
                    ),
                ));
            }
            plan.constraints.push(ConstraintPlan {
                exactly_one,
                paths: names.iter().filter_map(|name| schema.path(shape_id, name)).collect(),
                text: names.join("/"),
            });
        }
        plan
    }

    /// One attribute; `None` when it is another one's caption and made with that.
    fn field(
        &mut self,
        shape: &'static tributary_ocsf::Shape,
        ix: AttrIx,
        attr: &'static Attr,
        entries: &[Entry],
        entry: &Entry,
        full: &str,
    ) -> Option<(AttrIx, ValuePlan, &'static str)> {
        let owner = shape.attrs.iter().enumerate().find(|(_, other)| {
            // A list of captions stands by itself: a number Other in its list would lose the word.
            other.sibling == Some(ix) && !other.array && other.name != attr.name && self.profile_bits(other).is_some()
        });
        if let Some((owner_ix, owner)) = owner {
            if entries.iter().any(|other| other.key == owner.name) {
                return None;
            }
            // A caption alone gives its number.
            let owner_ix = AttrIx(u16::try_from(owner_ix).ok()?);
            let value = self.value(shape, owner, &entry.value, full);
            return Some((owner_ix, value, owner.name));
        }
        let mut value = self.value(shape, attr, &entry.value, full);
        if let ValuePlan::Scalar(scalar) = &mut value
            && let Some(enumeration) = &mut scalar.target.enumeration
            && let Some(sibling) = attr.sibling.and_then(|sibling| shape.attr(sibling))
        {
            if let Some(given) = entries.iter().find(|other| other.key == sibling.name) {
                let target = self.target(shape, sibling, &format!("{full} (caption)"));
                enumeration.sibling_source = Some(Box::new(self.source(&given.value, &target)));
            } else if matches!(scalar.source, Source::Literal(Literal::Int(99))) {
                self.fault(
                    Fault::new(entry.pos, format!("{full} is Other, but {} does not say what", sibling.name))
                        .help(format!("add `{}:` with the source's own word", sibling.name)),
                );
            }
        }
        Some((ix, value, attr.name))
    }

    fn value(
        &mut self,
        shape: &'static tributary_ocsf::Shape,
        attr: &'static Attr,
        yaml: &Yaml,
        path: &str,
    ) -> ValuePlan {
        if attr.array {
            return ValuePlan::List(self.list(shape, attr, yaml, path));
        }
        match attr.object {
            Some(object) => match mapping(yaml) {
                Ok(entries) => ValuePlan::Object(self.object(object, entries, path, yaml.pos)),
                Err(fault) => {
                    self.fault(fault.help(format!("{path} is an object: write its attributes below it")));
                    ValuePlan::Object(self.object(object, &[], path, yaml.pos))
                }
            },
            None => {
                let target = self.target(shape, attr, path);
                if target.base() == BaseType::Json {
                    return ValuePlan::Json(self.json(yaml));
                }
                let source = self.source(yaml, &target);
                ValuePlan::Scalar(crate::plan::ScalarPlan { source, target })
            }
        }
    }

    pub(crate) fn condition(&mut self, yaml: &Yaml) -> Option<crate::plan::CondPlan> {
        let Some(text) = yaml.scalar() else {
            self.fault(Fault::new(yaml.pos, "expected a condition, such as .Type == ip"));
            return None;
        };
        self.reading = yaml.pos;
        match parse_cond(text, yaml.pos) {
            Ok(cond) => Some(self.cond(cond)),
            Err(fault) => {
                self.fault(fault);
                None
            }
        }
    }

    /// Every attribute that the class requires is set by the file or derived.
    fn check_required(&mut self, class: ShapeId, entries: &[Entry], pos: Pos) {
        let Some(shape) = self.library.schema.shape(class) else { return };
        for attr in &shape.attrs {
            let derived = DERIVED.contains(&attr.name) || matches!(attr.name, "time" | "metadata");
            let required = attr.requirement == Requirement::Required && self.profile_bits(attr) == Some(0);
            let given = |name: &str| entries.iter().any(|entry| entry.key == name);
            let by_caption = attr.sibling.and_then(|ix| shape.attr(ix)).is_some_and(|sibling| given(sibling.name));
            if required && !derived && !given(attr.name) && !by_caption {
                self.fault(Fault::new(pos, format!("class {} requires {}, which is never set", shape.name, attr.name)));
            }
        }
    }
}
