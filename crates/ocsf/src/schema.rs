//! One version of OCSF as tables.

use std::sync::OnceLock;

use regex::Regex;

/// The OCSF versions that Security Lake accepts from custom sources and that Tributary writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// 1.1.0: what Security Lake's native sources use.
    V1_1_0,
    /// 1.3.0: the newest that custom sources accept; the default.
    V1_3_0,
}

impl Version {
    /// Every version, oldest first.
    pub const ALL: [Self; 2] = [Self::V1_1_0, Self::V1_3_0];

    /// `1.1.0` or `1.3.0`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V1_1_0 => "1.1.0",
            Self::V1_3_0 => "1.3.0",
        }
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for Version {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|version| version.as_str() == text)
            .ok_or_else(|| format!("unknown ocsf version {text:?}: use 1.1.0 or 1.3.0"))
    }
}

/// Index of a class or object in [`Schema::shapes`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShapeId(pub u16);

/// Index of an attribute in [`Shape::attrs`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttrIx(pub u16);

/// Index of a scalar type in [`Schema::types`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TypeId(pub u16);

/// Index of an enumeration in [`Schema::enums`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EnumId(pub u16);

/// What a scalar type is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BaseType {
    /// `boolean_t`
    Boolean,
    /// `integer_t`: 32 bits in a lake column.
    Integer,
    /// `long_t`: 64 bits.
    Long,
    /// `float_t`
    Float,
    /// `string_t`
    String,
    /// `json_t`: any JSON value; text in a lake column.
    Json,
}

/// A scalar type of the dictionary, with the rules of its super type where it has none of its own.
#[derive(Debug, Clone)]
pub struct TypeDef {
    /// Name, such as `ip_t`.
    pub name: &'static str,
    /// What it is made of.
    pub base: BaseType,
    /// Longest text, in characters.
    pub max_len: Option<usize>,
    /// Smallest and largest number.
    pub range: Option<(i64, i64)>,
    /// Pattern that a text must contain a match of.
    pub regex: Option<&'static str>,
    /// `observable` type id of every attribute with this type.
    pub observable: Option<i32>,
    /// The pattern, compiled at first use.
    pub(crate) pattern: OnceLock<Option<Regex>>,
}

/// Whether an attribute must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Requirement {
    /// Must be present.
    Required,
    /// Should be present.
    Recommended,
    /// May be present.
    Optional,
}

/// One allowed value.
#[derive(Debug, Clone)]
pub struct EnumValue {
    /// The value as JSON writes it without quotes: `99`, or text for the few textual enumerations.
    pub key: &'static str,
    /// The number, when the attribute is numeric.
    pub id: Option<i64>,
    /// The caption, which the sibling attribute carries.
    pub caption: &'static str,
    /// Whether the value is deprecated.
    pub deprecated: bool,
}

/// The allowed values of an attribute, numeric ones by number.
#[derive(Debug, Clone)]
pub struct EnumTable {
    /// The values.
    pub values: Vec<EnumValue>,
}

impl EnumTable {
    /// The value with this number.
    pub fn by_id(&self, id: i64) -> Option<&EnumValue> {
        // The generator orders numeric values by number; a textual table has no numbers at all.
        let index = self.values.binary_search_by_key(&Some(id), |value| value.id).ok()?;
        self.values.get(index)
    }

    /// The value that JSON writes as this text.
    pub fn by_key(&self, key: &str) -> Option<&EnumValue> {
        self.values.iter().find(|value| value.key == key)
    }

    /// The value with this caption, letter case ignored.
    pub fn by_caption(&self, caption: &str) -> Option<&EnumValue> {
        self.values.iter().find(|value| value.caption.eq_ignore_ascii_case(caption))
    }
}

/// One attribute of a shape.
#[derive(Debug, Clone)]
pub struct Attr {
    /// Name.
    pub name: &'static str,
    /// Scalar type; for objects meaningless (see `object`).
    pub ty: TypeId,
    /// Shape of an object attribute.
    pub object: Option<ShapeId>,
    /// Whether it is a list.
    pub array: bool,
    /// Whether it must be there.
    pub requirement: Requirement,
    /// `None`: always part of the shape. Else only with one of these profiles.
    pub profiles: Option<Vec<&'static str>>,
    /// Allowed values.
    pub enumeration: Option<EnumId>,
    /// The attribute that carries the caption of this one's value.
    pub sibling: Option<AttrIx>,
    /// `observable` type id of this attribute itself.
    pub observable: Option<i32>,
    /// Version since which it is deprecated.
    pub deprecated: Option<&'static str>,
}

/// Class or object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ShapeKind {
    /// An event class.
    Class,
    /// An object.
    Object,
}

/// A rule over several attributes.
#[derive(Debug, Clone)]
pub enum Constraint {
    /// At least one of these (dotted) paths must be present.
    AtLeastOne(Vec<&'static str>),
    /// Exactly one of these (dotted) paths must be present.
    JustOne(Vec<&'static str>),
}

/// A class or an object. Attributes are sorted by name.
#[derive(Debug, Clone)]
pub struct Shape {
    /// Name, such as `detection_finding`.
    pub name: &'static str,
    /// Caption, such as `Detection Finding`.
    pub caption: &'static str,
    /// Class or object.
    pub kind: ShapeKind,
    /// `class_uid`; `None` for objects.
    pub uid: Option<i32>,
    /// `category_uid`; classes only.
    pub category_uid: Option<i32>,
    /// `category_name`; classes only.
    pub category_name: Option<&'static str>,
    /// Profiles that apply to a class.
    pub profiles: Vec<&'static str>,
    /// `observable` type id of the object.
    pub observable: Option<i32>,
    /// Version since which it is deprecated.
    pub deprecated: Option<&'static str>,
    /// Rules over several attributes.
    pub constraints: Vec<Constraint>,
    /// Attributes, sorted by name. Empty for the open object (`unmapped`, `xattributes`).
    pub attrs: Vec<Attr>,
}

impl Shape {
    /// The attribute with this name.
    pub fn attr_named(&self, name: &str) -> Option<(AttrIx, &Attr)> {
        let index = self.attrs.binary_search_by(|attr| attr.name.cmp(name)).ok()?;
        Some((AttrIx(u16::try_from(index).ok()?), self.attrs.get(index)?))
    }

    /// The attribute at `index`.
    pub fn attr(&self, index: AttrIx) -> Option<&Attr> {
        self.attrs.get(usize::from(index.0))
    }
}

/// One version of OCSF.
#[derive(Debug)]
pub struct Schema {
    /// Which.
    pub version: Version,
    /// Classes and objects.
    pub shapes: Vec<Shape>,
    /// Scalar types.
    pub types: Vec<TypeDef>,
    /// Enumerations.
    pub enums: Vec<EnumTable>,
    /// Every profile's name.
    pub profiles: Vec<&'static str>,
}

impl Schema {
    /// The shape at `id`.
    pub fn shape(&self, id: ShapeId) -> Option<&Shape> {
        self.shapes.get(usize::from(id.0))
    }

    /// The class with this name.
    pub fn class_named(&self, name: &str) -> Option<(ShapeId, &Shape)> {
        self.find(|shape| shape.kind == ShapeKind::Class && shape.name == name)
    }

    /// The class with this `class_uid`.
    pub fn class_by_uid(&self, uid: i32) -> Option<(ShapeId, &Shape)> {
        self.find(|shape| shape.uid == Some(uid))
    }

    /// The object with this name.
    pub fn object_named(&self, name: &str) -> Option<(ShapeId, &Shape)> {
        self.find(|shape| shape.kind == ShapeKind::Object && shape.name == name)
    }

    /// The attributes along a dotted path from a shape down.
    pub fn path(&self, shape: ShapeId, path: &str) -> Option<Vec<AttrIx>> {
        let mut at = Some(shape);
        path.split('.')
            .map(|name| {
                let (index, attr) = self.shape(at?)?.attr_named(name)?;
                at = attr.object;
                Some(index)
            })
            .collect()
    }

    /// The scalar type at `id`.
    pub fn type_def(&self, id: TypeId) -> Option<&TypeDef> {
        self.types.get(usize::from(id.0))
    }

    /// The scalar type of an attribute; of an object attribute, meaningless.
    pub fn type_of(&self, attr: &Attr) -> &TypeDef {
        static UNKNOWN: TypeDef = TypeDef {
            name: "string_t",
            base: BaseType::String,
            max_len: None,
            range: None,
            regex: None,
            observable: None,
            pattern: OnceLock::new(),
        };
        self.type_def(attr.ty).unwrap_or(&UNKNOWN)
    }

    /// The enumeration at `id`.
    pub fn enumeration(&self, id: EnumId) -> Option<&EnumTable> {
        self.enums.get(usize::from(id.0))
    }

    fn find(&self, test: impl Fn(&Shape) -> bool) -> Option<(ShapeId, &Shape)> {
        let index = self.shapes.iter().position(test)?;
        Some((ShapeId(u16::try_from(index).ok()?), self.shapes.get(index)?))
    }
}
