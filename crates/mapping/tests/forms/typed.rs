//! Typed events: of JSON, and at random.

use bumpalo::Bump;
use serde_json::Value as Json;
use tributary_ocsf::{AttrIx, BaseType, Object, Schema, ShapeId, Value};

/// The event that a JSON document is.
pub(crate) fn event<'b>(schema: &Schema, json: &Json, arena: &'b Bump) -> Object<'b> {
    let uid = i32::try_from(json["class_uid"].as_i64().expect("class_uid")).unwrap();
    let (class, _) = schema.class_by_uid(uid).expect("the version has the class");
    object(schema, class, json, arena)
}

fn object<'b>(schema: &Schema, id: ShapeId, json: &Json, arena: &'b Bump) -> Object<'b> {
    let shape = schema.shape(id).unwrap();
    let mut fields: Vec<(AttrIx, Value<'b>)> = Vec::new();
    for (name, member) in json.as_object().unwrap_or_else(|| panic!("{json} is no {}", shape.name)) {
        let (index, attr) = shape.attr_named(name).unwrap_or_else(|| panic!("{} has no {name}", shape.name));
        let one = |json: &Json| match attr.object {
            Some(within) if schema.shape(within).unwrap().attrs.is_empty() => Value::Map(map(json, arena)),
            Some(within) => Value::Object(arena.alloc(object(schema, within, json, arena))),
            None if schema.type_of(attr).base == BaseType::Json => Value::Json(arena.alloc_str(&json.to_string())),
            None => match json {
                Json::Bool(flag) => Value::Bool(*flag),
                Json::String(text) => Value::Str(arena.alloc_str(text)),
                Json::Number(number) if schema.type_of(attr).base == BaseType::Float => {
                    Value::Float(number.as_f64().unwrap())
                }
                Json::Number(number) => Value::Int(number.as_i64().unwrap()),
                other => panic!("{name} is {other}"),
            },
        };
        let value = match member {
            Json::Array(members) if attr.array => {
                Value::Array(arena.alloc_slice_copy(&members.iter().map(one).collect::<Vec<_>>()))
            }
            other => one(other),
        };
        fields.push((index, value));
    }
    fields.sort_by_key(|(index, _)| *index);
    Object { shape: id, fields: arena.alloc_slice_copy(&fields) }
}

fn map<'b>(json: &Json, arena: &'b Bump) -> &'b [(&'b str, &'b str)] {
    let entries = json.as_object().unwrap().iter();
    let entries: Vec<(&str, &str)> =
        entries.map(|(path, text)| (&*arena.alloc_str(path), &*arena.alloc_str(text.as_str().unwrap()))).collect();
    arena.alloc_slice_copy(&entries)
}

/// Numbers of a seed (xorshift).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(end).unwrap()).unwrap()
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }
}

/// An event of a class with any attributes and any content, however absurd.
pub(crate) fn any_event<'b>(schema: &Schema, class: ShapeId, random: &mut Random, arena: &'b Bump) -> Object<'b> {
    let mut left = 2_000;
    any_object(schema, class, 0, &mut left, random, arena)
}

fn any_object<'b>(
    schema: &Schema,
    id: ShapeId,
    depth: usize,
    left: &mut usize,
    random: &mut Random,
    arena: &'b Bump,
) -> Object<'b> {
    let shape = schema.shape(id).unwrap();
    let mut fields: Vec<(AttrIx, Value<'b>)> = Vec::new();
    for (index, attr) in shape.attrs.iter().enumerate() {
        if *left == 0 || random.one_in(3) {
            continue;
        }
        *left -= 1;
        let one = |left: &mut usize, random: &mut Random| match attr.object {
            Some(within) if schema.shape(within).unwrap().attrs.is_empty() => Some(Value::Map(any_map(random, arena))),
            Some(_) if depth > 4 => None,
            Some(within) => {
                Some(Value::Object(arena.alloc(any_object(schema, within, depth + 1, left, random, arena))))
            }
            None => Some(match schema.type_of(attr).base {
                BaseType::Boolean => Value::Bool(random.one_in(2)),
                BaseType::Integer | BaseType::Long => Value::Int(any_number(random)),
                BaseType::Float => Value::Float([0.0, 9.8, -1.5, 1e300][random.below(4)]),
                BaseType::String => Value::Str(any_text(random, arena)),
                BaseType::Json => Value::Json("{\"a\":[1,\"😀\"]}"),
            }),
        };
        let value = if attr.array {
            let count = [1, 2, 40, 600][random.below(if depth < 2 { 4 } else { 2 })];
            // A list of large objects would use up what is left for all others.
            let mut share = *left / 2;
            let values: Vec<Value<'b>> = (0..count).filter_map(|_| one(&mut share, random)).collect();
            (!values.is_empty()).then(|| Value::Array(arena.alloc_slice_copy(&values)))
        } else {
            one(left, random)
        };
        if let Some(value) = value {
            fields.push((AttrIx(u16::try_from(index).unwrap()), value));
        }
    }
    Object { shape: id, fields: arena.alloc_slice_copy(&fields) }
}

fn any_number(random: &mut Random) -> i64 {
    match random.below(4) {
        0 => i64::try_from(random.below(7)).unwrap(),
        1 => 1_767_225_600_000 + i64::try_from(random.below(1_000_000)).unwrap(),
        2 => [i64::MIN, -1, 443, 65_536, i64::MAX][random.below(5)],
        _ => 99,
    }
}

const TEXTS: [&str; 14] = [
    "",
    " \n\t",
    "\u{0}\u{1}",
    "a",
    "CVE-2026-10001",
    "10.0.0.1",
    "203.0.113.9",
    "2001:db8::1",
    "00:0d:83:b1:c0:8e",
    "https://example.com/a?b=c",
    "0123456789abcdef0123456789abcdef",
    "a/b/c",
    "0.97",
    "\"\\\u{2028}",
];
const PIECES: [&str; 6] = ["x", "é", "😀", "\u{1}", "\"", " "];

fn any_text<'b>(random: &mut Random, arena: &'b Bump) -> &'b str {
    if random.one_in(3) {
        return TEXTS[random.below(TEXTS.len())];
    }
    let lengths = [3, 63, 64, 127, 128, 255, 256, 511, 512, 513, 1_023, 1_024, 1_025, 2_048, 2_049, 20_000];
    let length = if random.one_in(50) { 20_000 } else { lengths[random.below(lengths.len() - 1)] };
    let piece = PIECES[random.below(PIECES.len())];
    arena.alloc_str(&piece.repeat(length))
}

fn any_map<'b>(random: &mut Random, arena: &'b Bump) -> &'b [(&'b str, &'b str)] {
    let count = [1, 30, 200][random.below(3)];
    let entries: Vec<(&str, &str)> = (0..count)
        .map(|number| (&*arena.alloc_str(&format!("{number:04}{}", any_text(random, arena))), any_text(random, arena)))
        .collect();
    arena.alloc_slice_copy(&entries)
}
