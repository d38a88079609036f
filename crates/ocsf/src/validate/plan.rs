//! What the rules ask of each class and object, prepared once a validator.

use std::collections::HashMap;

use crate::schema::{Requirement, Schema, ShapeId, ShapeKind};

/// Everything that is prepared.
#[derive(Debug)]
pub(crate) struct Plan {
    /// By shape index.
    pub(crate) shapes: Vec<ShapePlan>,
    /// `class_uid` to class.
    pub(crate) classes: HashMap<i64, ShapeId>,
    /// Every profile's name; its bit is its index.
    profiles: Vec<&'static str>,
}

/// One class or object. Indices are those of its attributes.
#[derive(Debug, Default)]
pub(crate) struct ShapePlan {
    /// By attribute: bits of the profiles it needs one of; 0 for none.
    pub(crate) profiles: Vec<u32>,
    pub(crate) required: Vec<usize>,
    /// Attributes with an enumeration.
    pub(crate) enums: Vec<usize>,
    /// `x_dt` with the index of `x`.
    pub(crate) times: Vec<(usize, usize)>,
}

impl Plan {
    pub(crate) fn new(schema: &Schema) -> Self {
        let mut plan = Self { shapes: Vec::new(), classes: HashMap::new(), profiles: schema.profiles.clone() };
        for (index, shape) in schema.shapes.iter().enumerate() {
            if let (ShapeKind::Class, Some(uid), Ok(id)) = (shape.kind, shape.uid, u16::try_from(index)) {
                plan.classes.insert(uid.into(), ShapeId(id));
            }
            let mut prepared = ShapePlan::default();
            for (at, attr) in shape.attrs.iter().enumerate() {
                let needed = attr.profiles.iter().flatten().filter_map(|name| plan.profile(name));
                prepared.profiles.push(needed.fold(0, |all, bit| all | bit));
                if attr.requirement == Requirement::Required {
                    prepared.required.push(at);
                }
                if attr.enumeration.is_some() {
                    prepared.enums.push(at);
                }
                let twin = attr.name.strip_suffix("_dt").and_then(|name| shape.attr_named(name));
                if let Some((twin, _)) = twin {
                    prepared.times.push((at, usize::from(twin.0)));
                }
            }
            plan.shapes.push(prepared);
        }
        plan
    }

    /// The bit of a profile.
    pub(crate) fn profile(&self, name: &str) -> Option<u32> {
        let index = self.profiles.binary_search(&name).ok()?;
        1_u32.checked_shl(u32::try_from(index).ok()?)
    }
}
