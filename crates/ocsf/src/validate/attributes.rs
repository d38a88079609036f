//! Objects: their members against the attributes of their shape.

use tributary_json::{Kind, Value};

use crate::schema::{Attr, Shape, ShapeId, ShapeKind};
use crate::validate::path::{self, Path};
use crate::validate::tree::{Slot, duplicate, kind_name};
use crate::validate::{MAX_DEPTH, Walk};

impl<'d, 'b> Walk<'_, 'd, 'b> {
    /// Judges an object or the event itself. `depth` is the number of objects around it.
    pub(super) fn object(&mut self, object: Value<'d, 'b>, id: ShapeId, path: &Path<'_>, depth: usize) {
        let Some(shape) = self.schema.shape(id) else { return };
        if shape.attrs.is_empty() {
            // The open object: anything goes, but a name only once.
            return self.no_duplicate(object, path);
        }
        if depth >= MAX_DEPTH {
            return self.report.error("too_deep", path, || format!("more than {MAX_DEPTH} objects in one another"));
        }
        let base = self.slots.len();
        self.slots.resize(base + shape.attrs.len(), Slot::Absent);
        self.members(object, shape, id, base, path, depth);
        self.required(shape, id, base, path);
        self.enumerations(shape, id, base, path);
        self.constraints(shape, base, path);
        self.twins(shape, id, base, path);
        self.slots.truncate(base);
    }

    /// The member at an attribute's index of the object whose slots begin at `base`.
    pub(super) fn slot(&self, base: usize, attr: usize) -> Slot<'d, 'b> {
        self.slots.get(base + attr).copied().unwrap_or(Slot::Absent)
    }

    /// Bits of the profiles that an attribute needs one of.
    pub(super) fn needed(&self, id: ShapeId, attr: usize) -> u32 {
        self.plan.shapes.get(usize::from(id.0)).and_then(|shape| shape.profiles.get(attr)).copied().unwrap_or(0)
    }

    /// Whether the event's profiles make an attribute part of its shape.
    pub(super) fn is_active(&self, id: ShapeId, attr: usize) -> bool {
        let needed = self.needed(id, attr);
        needed == 0 || needed & self.profiles != 0
    }

    fn members(
        &mut self,
        object: Value<'d, 'b>,
        shape: &Shape,
        id: ShapeId,
        base: usize,
        path: &Path<'_>,
        depth: usize,
    ) {
        let mut hollow_unknown = false;
        for (name, value) in object.members() {
            let path = path.name(name);
            let vanishes = self.view.vanishes(value);
            if vanishes {
                self.no_duplicate(value, &path);
            }
            let Some((index, attr)) = shape.attr_named(name) else {
                if vanishes {
                    hollow_unknown = true;
                } else {
                    self.unknown(shape, name, &path);
                }
                continue;
            };
            let index = usize::from(index.0);
            if let Some(slot) = self.slots.get_mut(base + index) {
                if !matches!(slot, Slot::Absent) {
                    self.report.error("duplicate_name", &path, || "twice in one object".to_owned());
                }
                *slot = if vanishes { Slot::Dropped } else { Slot::Present(value) };
            }
            if !vanishes {
                self.attribute(value, attr, shape, id, index, &path, depth);
            }
        }
        // An unknown name is an error in itself, unless its value does not count.
        if hollow_unknown {
            self.no_duplicate(object, path);
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn attribute(
        &mut self,
        value: Value<'d, 'b>,
        attr: &Attr,
        shape: &Shape,
        id: ShapeId,
        index: usize,
        path: &Path<'_>,
        depth: usize,
    ) {
        if !self.is_active(id, index) {
            let names = || attr.profiles.iter().flatten().copied().collect::<Vec<_>>().join(" or ");
            let message = || format!("only with profile {}, which metadata.profiles does not list", names());
            return self.report.error("attribute_needs_profile", path, message);
        }
        if value.is_null() {
            let message = || "null: leave the attribute out".to_owned();
            return match attr.enumeration {
                Some(_) => self.report.error("attribute_null", path, message),
                None => self.report.strict("attribute_null", path, message),
            };
        }
        self.used |= self.needed(id, index) & self.profiles;
        if let Some(since) = attr.deprecated {
            let message = || format!("{}.{} is deprecated since {since}", shape.name, attr.name);
            self.report.note("attribute_deprecated", path, message);
        }
        if !attr.array {
            return self.one(value, attr, path, depth);
        }
        if value.kind() != Kind::Array {
            let (ty, kind) = (self.type_name(attr), kind_name(value));
            return self.report.error("attribute_wrong_type", path, || format!("array of {ty} expected, is {kind}"));
        }
        let mut empty = true;
        for (at, element) in self.view.elements(value).enumerate() {
            empty = false;
            self.one(element, attr, &path.index(at), depth);
        }
        if empty {
            self.report.note("empty_array", path, || "empty: leave the attribute out".to_owned());
        }
    }

    /// One value of an attribute: itself, or an element of its list.
    fn one(&mut self, value: Value<'d, 'b>, attr: &Attr, path: &Path<'_>, depth: usize) {
        let Some(id) = attr.object else { return self.scalar(value, attr, path) };
        if value.kind() != Kind::Object {
            let (ty, kind) = (self.type_name(attr), kind_name(value));
            return self.report.error("attribute_wrong_type", path, || format!("object {ty} expected, is {kind}"));
        }
        let Some(shape) = self.schema.shape(id) else { return };
        if let Some(since) = shape.deprecated {
            let message = || format!("object {} is deprecated since {since}", shape.name);
            self.report.note("object_deprecated", path, message);
        }
        let empty = value.members().all(|(_, member)| self.view.vanishes(member));
        if empty && !shape.attrs.is_empty() {
            self.report.strict("empty_object", path, || "empty: leave the attribute out".to_owned());
        }
        self.object(value, id, path, depth + 1);
    }

    fn unknown(&mut self, shape: &Shape, name: &str, path: &Path<'_>) {
        let kind = if shape.kind == ShapeKind::Class { "class" } else { "object" };
        let version = self.schema.version;
        let message = || format!("{kind} {} of ocsf {version} has no attribute {}", shape.name, path::quoted(name));
        self.report.error("attribute_unknown", path, message);
    }

    fn required(&mut self, shape: &Shape, id: ShapeId, base: usize, path: &Path<'_>) {
        let Some(plan) = self.plan.shapes.get(usize::from(id.0)) else { return };
        for index in &plan.required {
            if self.slot(base, *index).some().is_none()
                && self.is_active(id, *index)
                && let Some(attr) = shape.attrs.get(*index)
            {
                let message = || "required, but not there".to_owned();
                self.report.error("attribute_required_missing", &path.name(attr.name), message);
            }
        }
    }

    /// Reports a name that is twice in one object at or below `value`.
    pub(super) fn no_duplicate(&mut self, value: Value<'d, 'b>, path: &Path<'_>) {
        if let Some(name) = duplicate(value) {
            let message = || format!("{} is twice in one object", path::quoted(name));
            self.report.error("duplicate_name", path, message);
        }
    }

    fn type_name(&self, attr: &Attr) -> &'static str {
        match attr.object.and_then(|id| self.schema.shape(id)) {
            Some(shape) => shape.name,
            None => self.schema.type_of(attr).name,
        }
    }
}
