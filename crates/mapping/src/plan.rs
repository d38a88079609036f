//! A compiled map: what the evaluator runs.

use std::collections::HashMap;
use std::sync::Arc;

use tributary_ocsf::{AttrIx, BaseType, EnumTable, ShapeId, TypeDef};

use crate::diagnostic::Pos;
use crate::function::Body;
use crate::scope::{Scope, SlotId};
use crate::syntax::Compare;
use crate::yaml::Yaml;

/// A kind's map for one class and version.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) class: ShapeId,
    pub(crate) class_uid: i64,
    /// Names of the profiles that the map may use, in the order of their bits.
    pub(crate) profiles: Vec<&'static str>,
    /// Scope 0 is the record's; each `each` has its own.
    pub(crate) scopes: Vec<Scope>,
    /// Every path that an expression reads.
    pub(crate) reads: Vec<Read>,
    pub(crate) root: ObjectPlan,
    pub(crate) metadata: ObjectPlan,
    pub(crate) time: Source,
    /// How the file says the time, for `explain`.
    pub(crate) time_origin: String,
    pub(crate) header: Header,
}

/// A source path in an expression.
#[derive(Debug, Clone)]
pub(crate) struct Read {
    pub(crate) scope: usize,
    pub(crate) slot: SlotId,
    /// Where the expression stands.
    pub(crate) pos: Pos,
    /// The path as written.
    pub(crate) text: String,
}

/// Where the derived attributes of the event itself stand.
#[derive(Debug)]
pub(crate) struct Header {
    pub(crate) activity_id: AttrIx,
    pub(crate) type_uid: AttrIx,
    pub(crate) type_name: Option<AttrIx>,
    pub(crate) type_names: &'static EnumTable,
    pub(crate) time: AttrIx,
    pub(crate) time_target: Target,
    pub(crate) time_dt: Option<AttrIx>,
    pub(crate) metadata: AttrIx,
    pub(crate) meta_version: AttrIx,
    pub(crate) meta_uid: Option<AttrIx>,
    pub(crate) meta_profiles: Option<AttrIx>,
    pub(crate) observables: Option<ObservableAttrs>,
    pub(crate) unmapped: Option<AttrIx>,
    pub(crate) raw_data: Option<AttrIx>,
    /// `class_uid`, `class_name`, `category_uid`, `category_name`.
    pub(crate) fixed: Vec<(AttrIx, Literal)>,
    /// Bit of the datetime profile, when the map uses it.
    pub(crate) datetime: u32,
}

#[derive(Debug)]
pub(crate) struct ObservableAttrs {
    pub(crate) attr: AttrIx,
    pub(crate) shape: ShapeId,
    pub(crate) name: AttrIx,
    pub(crate) type_id: AttrIx,
    pub(crate) type_name: Option<AttrIx>,
    pub(crate) value: Option<AttrIx>,
    pub(crate) types: &'static EnumTable,
}

/// How an object is made.
#[derive(Debug)]
pub(crate) struct ObjectPlan {
    pub(crate) shape: ShapeId,
    pub(crate) path: Arc<str>,
    pub(crate) when: Option<CondPlan>,
    pub(crate) fields: Vec<FieldPlan>,
    /// Attributes without which the object is not valid, in ascending order, with the profiles that make them so (0:
    /// always).
    pub(crate) required: Vec<(AttrIx, u32)>,
    pub(crate) constraints: Vec<ConstraintPlan>,
}

#[derive(Debug)]
pub(crate) struct ConstraintPlan {
    pub(crate) exactly_one: bool,
    /// Paths, each from this object down. What the schema does not have can never be there.
    pub(crate) paths: Vec<Vec<AttrIx>>,
    pub(crate) text: String,
}

/// How one attribute is made.
#[derive(Debug)]
pub(crate) struct FieldPlan {
    pub(crate) attr: AttrIx,
    /// Bits of the profiles that the attribute belongs to; 0 when it is always part of the shape.
    pub(crate) profile: u32,
    pub(crate) value: ValuePlan,
    /// How the file says it, for `explain`.
    pub(crate) origin: Box<Yaml>,
    /// Name of the attribute, for paths.
    pub(crate) name: &'static str,
    /// Where the file sets it.
    pub(crate) pos: Pos,
}

#[derive(Debug)]
pub(crate) enum ValuePlan {
    Scalar(ScalarPlan),
    Object(ObjectPlan),
    List(Vec<ElementPlan>),
    Json(JsonPlan),
}

/// A scalar with its target.
#[derive(Debug)]
pub(crate) struct ScalarPlan {
    pub(crate) source: Source,
    pub(crate) target: Target,
}

/// What a scalar attribute takes.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) ty: &'static TypeDef,
    /// The attribute is a `timestamp_t`; `dt` is its `datetime_t` twin.
    pub(crate) time: bool,
    pub(crate) datetime: bool,
    pub(crate) dt: Option<AttrIx>,
    pub(crate) enumeration: Option<EnumTarget>,
    pub(crate) observable: Option<(i64, Arc<str>)>,
}

impl Target {
    pub(crate) fn base(&self) -> BaseType {
        self.ty.base
    }
}

#[derive(Debug)]
pub(crate) struct EnumTarget {
    pub(crate) table: &'static EnumTable,
    pub(crate) sibling: Option<AttrIx>,
    /// What the file gives for the sibling, used for value 99 only.
    pub(crate) sibling_source: Option<Box<Source>>,
    /// Whether 99 is a value.
    pub(crate) other: bool,
}

/// Elements of a list.
#[derive(Debug)]
pub(crate) enum ElementPlan {
    One(Option<CondPlan>, ItemPlan),
    /// Every element of a source list as it is.
    Spread(ExprPlan, Target),
    Each {
        list: ExprPlan,
        scope: usize,
        cases: Vec<(Option<CondPlan>, ItemPlan)>,
    },
}

#[derive(Debug)]
pub(crate) enum ItemPlan {
    Scalar(ScalarPlan),
    Object(ObjectPlan),
    Json(JsonPlan),
}

/// A JSON value that is built.
#[derive(Debug)]
pub(crate) enum JsonPlan {
    Expr(ExprPlan),
    Literal(String),
    Object(Vec<(String, JsonPlan)>),
    List(Vec<JsonPlan>),
}

/// Where a scalar comes from.
#[derive(Debug)]
pub(crate) enum Source {
    None,
    Literal(Literal),
    Expr(ExprPlan),
    /// The second where the first gives nothing that fits.
    OrElse(Box<Source>, Box<Source>),
    Table {
        from: ExprPlan,
        rows: HashMap<String, Source>,
        otherwise: Option<Box<Source>>,
        missing: Option<Box<Source>>,
    },
    Cases {
        cases: Vec<(CondPlan, Source)>,
        otherwise: Option<Box<Source>>,
    },
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Literal {
    Text(String),
    Int(i64),
    Float(f64),
    Bool(bool),
}

#[derive(Debug)]
pub(crate) enum ExprPlan {
    Root(SlotId),
    Item(SlotId),
    Text(String),
    Int(i64),
    Float(f64),
    First(Vec<ExprPlan>),
    Call { name: &'static str, body: Body, input: Option<Box<ExprPlan>>, args: Vec<Literal> },
    Concat(Vec<ExprPlan>),
    Lookup { input: Box<ExprPlan>, table: Arc<Lookup>, column: usize },
}

/// A lookup table: rows by lower-case key.
#[derive(Debug, Default)]
pub(crate) struct Lookup {
    pub(crate) name: String,
    pub(crate) columns: Vec<String>,
    pub(crate) rows: HashMap<String, Vec<Option<String>>>,
}

#[derive(Debug)]
pub(crate) enum CondPlan {
    Exists(ExprPlan),
    In(ExprPlan, Vec<String>),
    Compare(ExprPlan, Compare, String),
    Not(Box<CondPlan>),
    And(Vec<CondPlan>),
    Or(Vec<CondPlan>),
}
