//! The judge of events: any JSON value against one version of OCSF.
//!
//! Three levels. [`Level::Error`] is what the official server's validator rejects, and what cannot be stored (a
//! number beyond 64 bits, a name twice in one object). [`Level::Strict`] is what that validator lets pass or only warns
//! about, but the schema's own words forbid: a caption that is not its id's, a text that does not match its type's
//! pattern, seconds instead of milliseconds, `x_dt` at another instant than `x`. [`Level::Note`] is what is allowed but
//! looks wrong. An event is valid when it has no error and no strict finding, with [`Rules::strict_warnings`] no note.
//!
//! `docs/VALIDATION.md` lists every code. Judging is total: whatever the input, it ends, in time proportional to the
//! input's size, with at most [`Rules::max_findings`] findings kept and all of them counted.

mod attributes;
mod observables;
mod order;
mod path;
mod plan;
mod relations;
mod report;
mod scalars;
mod tree;

pub use order::TimeOrder;
pub use report::{Finding, Level, Report};

use std::collections::BTreeSet;

use tributary_json::{Kind, Value};

use crate::schema::{Schema, ShapeId, Version};
use plan::Plan;
use tree::View;

/// Deepest nesting that is judged; OCSF events are below 12.
const MAX_DEPTH: usize = 128;

/// What is asked of an event beyond the schema.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// Add what Security Lake asks of custom sources: a class of its list, `unmapped` as a flat map of texts,
    /// `integer_t` within 32 bits.
    pub security_lake: bool,
    /// Notes make an event invalid too.
    pub strict_warnings: bool,
    /// Overlook nulls, and objects that hold nothing but nulls: in rows of a table every absent column is null.
    pub drop_nulls: bool,
    /// Most findings kept an event, the severest first to stay.
    pub max_findings: usize,
}

impl Default for Rules {
    fn default() -> Self {
        Self { security_lake: false, strict_warnings: false, drop_nulls: false, max_findings: 32 }
    }
}

/// Judges events of one version.
#[derive(Debug)]
pub struct Validator<'s> {
    schema: &'s Schema,
    rules: Rules,
    plan: Plan,
}

impl<'s> Validator<'s> {
    /// A validator for a version. Worth keeping: it prepares every class and object.
    pub fn new(schema: &'s Schema, rules: Rules) -> Self {
        Self { schema, rules, plan: Plan::new(schema) }
    }

    /// The version it judges by.
    pub fn version(&self) -> Version {
        self.schema.version
    }

    /// What is wrong with `event`.
    pub fn check(&self, event: Value<'_, '_>) -> Report {
        let mut walk = Walk {
            schema: self.schema,
            rules: self.rules,
            plan: &self.plan,
            view: View { drop_nulls: self.rules.drop_nulls },
            report: Report::new(self.rules.max_findings),
            slots: Vec::with_capacity(256),
            profiles: 0,
            used: 0,
        };
        walk.event(event);
        walk.report.close(self.rules.strict_warnings)
    }
}

/// The version that an event says it has, if it is one of ours.
pub fn stated_version(event: Value<'_, '_>) -> Option<Version> {
    event.get("metadata")?.get("version")?.as_str()?.parse().ok()
}

/// One event being judged.
struct Walk<'w, 'd, 'b> {
    schema: &'w Schema,
    rules: Rules,
    plan: &'w Plan,
    view: View,
    report: Report,
    /// The members of the objects from the event down to the current one, by attribute index.
    slots: Vec<tree::Slot<'d, 'b>>,
    /// Bits of the profiles that the event lists.
    profiles: u32,
    /// Bits of those that an attribute made use of.
    used: u32,
}

impl<'d, 'b> Walk<'_, 'd, 'b> {
    fn event(&mut self, event: Value<'d, 'b>) {
        if event.kind() != Kind::Object {
            let kind = tree::kind_name(event);
            self.report.error("event_not_object", &path::ROOT, || format!("an event is an object, this is {kind}"));
            return;
        }
        let class = self.class(event);
        let metadata = self.view.get(event, "metadata").filter(|metadata| metadata.kind() == Kind::Object);
        self.version(metadata);
        let Some(class) = class else { return };
        let Some(shape) = self.schema.shape(class) else { return };
        let listed = self.list_profiles(metadata, class);
        if let Some(since) = shape.deprecated {
            let message = || format!("class {} is deprecated since {since}", shape.name);
            self.report.note("class_deprecated", &path::ROOT.name("class_uid"), message);
        }
        self.object(event, class, &path::ROOT, 0);
        self.type_uid(event);
        self.observables(event, class);
        for (name, bit) in listed {
            if self.used & bit == 0 {
                let message = || format!("profile {name:?} is listed but no attribute of it is there");
                self.report.note("profile_unused", &path::ROOT.name("metadata").name("profiles"), message);
            }
        }
        if self.rules.security_lake {
            self.security_lake(event, class);
        }
    }

    fn class(&mut self, event: Value<'d, 'b>) -> Option<ShapeId> {
        let path = path::ROOT;
        let path = path.name("class_uid");
        let Some(uid) = self.view.get(event, "class_uid") else {
            self.report.error("attribute_required_missing", &path, || "required, but not there".to_owned());
            return None;
        };
        if !tree::is_integer(uid) {
            let kind = tree::kind_name(uid);
            self.report.error("attribute_wrong_type", &path, || format!("integer_t expected, is {kind}"));
            return None;
        }
        let class = uid.as_i64().and_then(|uid| self.plan.classes.get(&uid).copied());
        if class.is_none() {
            let version = self.schema.version;
            let uid = path::short(uid.number_text().unwrap_or_default());
            self.report.error("class_uid_unknown", &path, || format!("ocsf {version} has no class {uid}"));
        }
        class
    }

    fn version(&mut self, metadata: Option<Value<'d, 'b>>) {
        let stated = metadata.and_then(|metadata| metadata.get("version")).and_then(Value::as_str);
        let wanted = self.schema.version;
        if let Some(stated) = stated.filter(|stated| *stated != wanted.as_str()) {
            let message = || format!("the event says {}, judged as {wanted}", path::quoted(stated));
            self.report.error("version_mismatch", &path::ROOT.name("metadata").name("version"), message);
        }
    }

    /// Learns which profiles the event lists; returns those of its class.
    fn list_profiles(&mut self, metadata: Option<Value<'d, 'b>>, class: ShapeId) -> Vec<(&'b str, u32)> {
        let mut applicable = Vec::new();
        let Some(shape) = self.schema.shape(class) else { return applicable };
        let listed = metadata.and_then(|metadata| metadata.get("profiles"));
        let elements = listed.into_iter().flat_map(Value::elements);
        let metadata = path::ROOT;
        let metadata = metadata.name("metadata");
        let list = metadata.name("profiles");
        let (mut seen, mut names) = (0_u32, BTreeSet::new());
        for (index, element) in elements.enumerate() {
            // A wrong type is the attribute check's to report.
            let Some(name) = element.as_str() else { continue };
            let path = list.index(index);
            let is_new = names.insert(name);
            if !is_new {
                let message = || format!("profile {} is listed twice", path::quoted(name));
                self.report.strict("profile_duplicate", &path, message);
            }
            let Some(bit) = self.plan.profile(name) else {
                let version = self.schema.version;
                let message = || format!("ocsf {version} has no profile {}", path::quoted(name));
                self.report.error("profile_unknown", &path, message);
                continue;
            };
            let applies = shape.profiles.contains(&name);
            if !applies {
                let known =
                    || format!("profile {name:?} does not apply: {} has {}", shape.name, shape.profiles.join(", "));
                self.report.strict("profile_not_applicable", &path, known);
            }
            if is_new && applies {
                applicable.push((name, bit));
            }
            seen |= bit;
        }
        self.profiles = seen;
        applicable
    }

    fn type_uid(&mut self, event: Value<'d, 'b>) {
        let number = |name| self.view.get(event, name).and_then(Value::as_i64);
        let (Some(class), Some(activity), Some(ty)) = (number("class_uid"), number("activity_id"), number("type_uid"))
        else {
            return;
        };
        if i128::from(ty) != i128::from(class) * 100 + i128::from(activity) {
            let message = || format!("{ty} is not class_uid {class} * 100 + activity_id {activity}");
            self.report.error("type_uid_incorrect", &path::ROOT.name("type_uid"), message);
        }
    }

    fn security_lake(&mut self, event: Value<'d, 'b>, class: ShapeId) {
        // Security Lake's list is every class of 1.3.0 but the base event, and 1.1.0 has no other (a test shows it).
        if self.schema.shape(class).and_then(|shape| shape.uid) == Some(0) {
            let message = || "security lake has no custom source of the base event".to_owned();
            self.report.strict("security_lake_class", &path::ROOT.name("class_uid"), message);
        }
        let unmapped = path::ROOT;
        let unmapped = unmapped.name("unmapped");
        for (name, value) in self.view.get(event, "unmapped").into_iter().flat_map(Value::members) {
            if value.kind() != Kind::String && !self.view.vanishes(value) {
                let kind = tree::kind_name(value);
                let message = || format!("a column of texts cannot hold {kind}");
                self.report.strict("unmapped_not_string", &unmapped.name(name), message);
            }
        }
    }
}

#[cfg(test)]
mod tests;
