//! A typed event read by names: what turns it into another form must not depend on a version's indices.
//!
//! A path that the version does not have, and a value of another type, are none. So one converter reads every version.

use sha2::{Digest, Sha256};
use tributary_ocsf::{Object, Schema, ShapeKind, Value};

/// First and last millisecond of the years 1 to 9999, which a timestamp's text can show.
const YEARS: std::ops::RangeInclusive<i64> = -62_135_596_800_000..=253_402_300_799_999;

/// An object of an event, and the tables that name its attributes.
#[derive(Clone, Copy)]
pub(crate) struct View<'v> {
    schema: &'v Schema,
    object: &'v Object<'v>,
}

impl<'v> View<'v> {
    pub(crate) fn new(schema: &'v Schema, object: &'v Object<'v>) -> Self {
        Self { schema, object }
    }

    /// The tables.
    pub(crate) fn schema(self) -> &'v Schema {
        self.schema
    }

    /// `class_uid` of the event's class; none for an object.
    pub(crate) fn class_uid(self) -> Option<i32> {
        self.schema.shape(self.object.shape).filter(|shape| shape.kind == ShapeKind::Class)?.uid
    }

    /// `category_uid` of the event's class; none for an object.
    pub(crate) fn category_uid(self) -> Option<i32> {
        self.schema.shape(self.object.shape)?.category_uid
    }

    /// Caption of the class or object.
    pub(crate) fn caption(self) -> &'static str {
        self.schema.shape(self.object.shape).map_or("", |shape| shape.caption)
    }

    /// SHA-256 of everything that the object holds, attributes by name.
    pub(crate) fn digest(self) -> impl AsRef<[u8]> {
        let mut hasher = Sha256::new();
        self.hash(&mut hasher);
        hasher.finalize()
    }

    /// Each part has its kind and size in front, so that no two events read the same.
    fn hash(self, hasher: &mut Sha256) {
        part(hasher, b'{', self.object.fields.len());
        for (name, value) in self.fields() {
            text(hasher, b'n', name);
            self.hash_value(value, hasher);
        }
    }

    fn hash_value(self, value: &'v Value<'v>, hasher: &mut Sha256) {
        match value {
            Value::Bool(flag) => part(hasher, b'b', usize::from(*flag)),
            Value::Int(number) | Value::Time(number) => {
                part(hasher, b'i', 8);
                hasher.update(number.to_be_bytes());
            }
            Value::Float(number) => {
                part(hasher, b'f', 8);
                hasher.update(number.to_bits().to_be_bytes());
            }
            Value::Str(value) => text(hasher, b's', value),
            Value::Json(value) => text(hasher, b'j', value),
            Value::Object(object) => Self { object, ..self }.hash(hasher),
            Value::Array(values) => {
                part(hasher, b'[', values.len());
                values.iter().for_each(|value| self.hash_value(value, hasher));
            }
            Value::Map(entries) => {
                part(hasher, b'm', entries.len());
                for (path, value) in *entries {
                    text(hasher, b'n', path);
                    text(hasher, b's', value);
                }
            }
        }
    }

    /// The value at a dotted path.
    pub(crate) fn value(self, path: &str) -> Option<&'v Value<'v>> {
        match path.split_once('.') {
            None => self.object.get_named(self.schema, path),
            Some((name, rest)) => self.at(name)?.value(rest),
        }
    }

    /// The object at a dotted path.
    pub(crate) fn at(self, path: &str) -> Option<Self> {
        match self.value(path)? {
            Value::Object(object) => Some(Self { object, ..self }),
            _ => None,
        }
    }

    /// The text at a dotted path.
    pub(crate) fn text(self, path: &str) -> Option<&'v str> {
        match self.value(path)? {
            Value::Str(text) => Some(text),
            _ => None,
        }
    }

    /// The text at the first path that has one which is not blank.
    pub(crate) fn first_text(self, paths: &[&str]) -> Option<&'v str> {
        paths.iter().find_map(|path| self.text(path).filter(|text| !is_blank(text)))
    }

    /// The integer at a dotted path.
    pub(crate) fn int(self, path: &str) -> Option<i64> {
        match self.value(path)? {
            Value::Int(number) => Some(*number),
            _ => None,
        }
    }

    /// The number at a dotted path.
    pub(crate) fn float(self, path: &str) -> Option<f64> {
        match self.value(path)? {
            Value::Float(number) => Some(*number),
            _ => None,
        }
    }

    /// The boolean at a dotted path.
    pub(crate) fn flag(self, path: &str) -> Option<bool> {
        match self.value(path)? {
            Value::Bool(flag) => Some(*flag),
            _ => None,
        }
    }

    /// The time at a dotted path, in milliseconds; none outside the years 1 to 9999.
    pub(crate) fn time(self, path: &str) -> Option<i64> {
        match self.value(path)? {
            Value::Int(ms) | Value::Time(ms) => Some(*ms).filter(|ms| YEARS.contains(ms)),
            _ => None,
        }
    }

    /// The elements of the list at a dotted path; a single value counts as a list of one.
    fn elements(self, path: &str) -> impl Iterator<Item = &'v Value<'v>> + use<'v> {
        let (list, one): (&'v [Value<'v>], _) = match self.value(path) {
            Some(Value::Array(values)) => (values, None),
            other => (&[], other),
        };
        list.iter().chain(one)
    }

    /// The objects of the list at a dotted path.
    pub(crate) fn list(self, path: &str) -> impl Iterator<Item = Self> + use<'v> {
        let schema = self.schema;
        self.elements(path).filter_map(move |value| match value {
            Value::Object(object) => Some(Self { schema, object }),
            _ => None,
        })
    }

    /// The texts of the list at a dotted path.
    pub(crate) fn texts(self, path: &str) -> impl Iterator<Item = &'v str> + use<'v> {
        self.elements(path).filter_map(|value| match value {
            Value::Str(text) => Some(*text),
            _ => None,
        })
    }

    /// The attributes that are there, by name and in ascending order of it.
    pub(crate) fn fields(self) -> impl Iterator<Item = (&'static str, &'v Value<'v>)> + use<'v> {
        let (schema, shape) = (self.schema, self.object.shape);
        self.object.fields.iter().filter_map(move |(index, value)| {
            let attr = schema.shape(shape)?.attr(*index)?;
            Some((attr.name, value))
        })
    }

    /// Whether an attribute is a number that another attribute spells out.
    pub(crate) fn has_caption(self, name: &str) -> bool {
        let attr = self.schema.shape(self.object.shape).and_then(|shape| shape.attr_named(name));
        attr.is_some_and(|(_, attr)| attr.sibling.is_some_and(|sibling| self.object.get(sibling).is_some()))
    }
}

fn part(hasher: &mut Sha256, kind: u8, size: usize) {
    hasher.update([kind]);
    hasher.update(u64::try_from(size).unwrap_or(u64::MAX).to_be_bytes());
}

fn text(hasher: &mut Sha256, kind: u8, text: &str) {
    part(hasher, kind, text.len());
    hasher.update(text);
}

/// Whether a text shows nothing: as far as any field could show it.
pub(crate) fn is_blank(text: &str) -> bool {
    text.chars().take(4_096).all(|char| char.is_whitespace() || char.is_control())
}
