//! Typed events of every class with a committed schema, built from its columns: no mapping is involved.

use bumpalo::Bump;
use tributary_lake::Row;
use tributary_ocsf::columns::{Column, ColumnType, Columns};
use tributary_ocsf::{Object, Schema, ShapeId, ShapeKind, Value, Version};

/// 2026-01-01T12:00:00Z
pub(crate) const NOON: i64 = 1_767_268_800_000;
pub(crate) const DAY: i64 = 86_400_000;

/// A class with a committed schema.
pub(crate) struct Class {
    pub(crate) schema: &'static Schema,
    pub(crate) id: ShapeId,
    pub(crate) name: &'static str,
    pub(crate) columns: Columns,
}

/// Every class of every version that a schema is committed for.
pub(crate) fn classes() -> Vec<Class> {
    let mut classes = Vec::new();
    for schema in Version::ALL.map(Schema::get) {
        for shape in schema.shapes.iter().filter(|shape| shape.kind == ShapeKind::Class) {
            let Some(columns) = Columns::embedded(schema, shape.name) else { continue };
            let columns = columns.unwrap();
            classes.push(Class { schema, id: columns.class, name: shape.name, columns });
        }
    }
    assert!(classes.len() >= 18, "only {} classes have a committed schema", classes.len());
    classes
}

/// Numbers from a seed: xorshift.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(crate) fn below(&mut self, most: u64) -> u64 {
        self.next() % most
    }
}

/// How much of an event's columns is filled.
#[derive(Clone, Copy)]
pub(crate) enum Fill {
    /// Only `time`, `unmapped` and `metadata.uid`.
    Least,
    /// Each attribute by chance.
    Some,
    /// Everything.
    All,
}

/// One event of a class, with `metadata.uid` = `uid` and the given time.
pub(crate) fn event<'a>(
    class: &Class,
    uid: &str,
    time: i64,
    fill: Fill,
    dice: &mut Dice,
    arena: &'a Bump,
) -> &'a Object<'a> {
    let mut maker = Maker { schema: class.schema, fill, dice, arena, uid: arena.alloc_str(uid), time };
    maker.object(class.id, &class.columns.columns, 1)
}

/// A row for the lake.
pub(crate) fn row<'a>(event: &'a Object<'a>, time: i64, account: Option<&'a str>) -> Row<'a> {
    Row { event, class: event.shape, time, account, enqueued: NOON }
}

struct Maker<'m, 'a> {
    schema: &'static Schema,
    fill: Fill,
    dice: &'m mut Dice,
    arena: &'a Bump,
    uid: &'a str,
    time: i64,
}

const TEXTS: [&str; 8] =
    ["", "plain", "\"quoted\", \\ and\nlines", "{\"a\":1}", "Zürich 東京 \u{1F30A}", "null", "10.0.0.1", "a\u{1}b"];

impl<'a> Maker<'_, 'a> {
    fn object(&mut self, shape: ShapeId, columns: &[Column], depth: usize) -> &'a Object<'a> {
        let mut fields = Vec::new();
        for column in columns {
            let needed = match depth {
                1 => matches!(column.name, "time" | "metadata"),
                2 => column.name == "uid",
                _ => false,
            };
            let chosen = match self.fill {
                Fill::Least => needed || (depth == 1 && column.name == "unmapped"),
                Fill::Some => needed || self.dice.below(3) == 0,
                Fill::All => true,
            };
            if chosen {
                fields.push((column.attr, self.value(shape, column, &column.ty, depth)));
            }
        }
        fields.sort_by_key(|(attr, _)| *attr);
        self.arena.alloc(Object { shape, fields: self.arena.alloc_slice_copy(&fields) })
    }

    fn value(&mut self, shape: ShapeId, column: &Column, ty: &ColumnType, depth: usize) -> Value<'a> {
        match ty {
            ColumnType::Bool => Value::Bool(self.dice.below(2) == 0),
            ColumnType::Int32 => Value::Int(i64::from(self.dice.next() as i32)),
            ColumnType::Int64 if depth == 1 && column.name == "time" => Value::Int(self.time),
            ColumnType::Int64 => Value::Int(self.dice.next() as i64),
            ColumnType::Double => Value::Float((self.dice.below(1_000_000) as f64) / 64.0),
            ColumnType::Timestamp if depth == 1 && column.name == "time_dt" => Value::Time(self.time),
            // The years 1 to 9999.
            ColumnType::Timestamp => Value::Time(self.dice.below(315_500_000_000_000) as i64 - 62_135_596_800_000),
            ColumnType::Text if column.name == "uid" && depth == 2 => Value::Str(self.uid),
            ColumnType::Text => {
                let text = TEXTS[self.dice.below(TEXTS.len() as u64) as usize];
                let number = self.dice.below(50);
                Value::Str(self.arena.alloc_str(&format!("{text}{number}")))
            }
            ColumnType::Json => self.json(shape, column),
            ColumnType::Map => {
                let entries: Vec<(&str, &str)> = (0..self.dice.below(4) + 1)
                    .map(|index| (&*self.arena.alloc_str(&format!("properties.p{index}")), TEXTS[index as usize + 1]))
                    .collect();
                Value::Map(self.arena.alloc_slice_copy(&entries))
            }
            ColumnType::Struct(columns) => {
                let inner = self.attr_object(shape, column);
                Value::Object(self.object(inner, columns, depth + 1))
            }
            ColumnType::List(inner) => {
                let count = if matches!(self.fill, Fill::Some) { self.dice.below(3) + 1 } else { 2 };
                // Depth 3 and on: `uid` is nobody's record id in there.
                let values: Vec<Value<'a>> =
                    (0..count).map(|_| self.value(shape, column, inner, depth.max(3))).collect();
                Value::Array(self.arena.alloc_slice_copy(&values))
            }
        }
    }

    /// JSON text, or an object where the schema has one below the depth cut.
    fn json(&mut self, shape: ShapeId, column: &Column) -> Value<'a> {
        let attr = self.schema.shape(shape).unwrap().attr(column.attr).unwrap();
        let object = attr.object.and_then(|id| self.schema.shape(id).map(|shape| (id, shape)));
        let Some((id, inner)) = object.filter(|(_, inner)| !inner.attrs.is_empty()) else {
            return Value::Json("{\"k\":[1,\"x\",null,true]}");
        };
        let uid = inner.attr_named("uid").or_else(|| inner.attr_named("name")).unwrap().0;
        let fields = self.arena.alloc_slice_copy(&[(uid, Value::Str("deep \"down\""))]);
        Value::Object(self.arena.alloc(Object { shape: id, fields }))
    }

    fn attr_object(&self, shape: ShapeId, column: &Column) -> ShapeId {
        self.schema.shape(shape).unwrap().attr(column.attr).unwrap().object.unwrap()
    }
}
