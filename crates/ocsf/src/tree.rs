//! One event as a typed tree.

use tributary_json::write_json_string;

use crate::schema::{AttrIx, Schema, ShapeId};

/// A value of an attribute. Text lives in the caller's arena or input.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'b> {
    /// `boolean_t`
    Bool(bool),
    /// `integer_t`, `long_t` and their subtypes
    Int(i64),
    /// `float_t`; finite
    Float(f64),
    /// `string_t` and its subtypes
    Str(&'b str),
    /// `datetime_t`, as milliseconds since 1970-01-01T00:00:00Z within the years 1 to 9999
    Time(i64),
    /// `json_t`: JSON text
    Json(&'b str),
    /// An object
    Object(&'b Object<'b>),
    /// A list; never empty
    Array(&'b [Value<'b>]),
    /// `unmapped`: path and text, sorted by path, no path twice
    Map(&'b [(&'b str, &'b str)]),
}

/// An object or a class's event: its attributes in ascending order of index, none twice, none without a value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Object<'b> {
    /// Which class or object.
    pub shape: ShapeId,
    /// The attributes that are present.
    pub fields: &'b [(AttrIx, Value<'b>)],
}

impl<'b> Object<'b> {
    /// The value of an attribute.
    pub fn get(&self, attr: AttrIx) -> Option<&Value<'b>> {
        let index = self.fields.binary_search_by_key(&attr, |(index, _)| *index).ok()?;
        self.fields.get(index).map(|(_, value)| value)
    }

    /// The value of the attribute with this name.
    pub fn get_named(&self, schema: &Schema, name: &str) -> Option<&Value<'b>> {
        let (index, _) = schema.shape(self.shape)?.attr_named(name)?;
        self.get(index)
    }
}

/// Appends `object` as JSON, attributes in ascending order of name.
pub fn write_object(schema: &Schema, object: &Object<'_>, out: &mut String) {
    let Some(shape) = schema.shape(object.shape) else {
        out.push_str("{}");
        return;
    };
    out.push('{');
    let mut first = true;
    for (index, value) in object.fields {
        let Some(attr) = shape.attr(*index) else { continue };
        if !first {
            out.push(',');
        }
        first = false;
        write_json_string(attr.name, out);
        out.push(':');
        write_value(schema, value, out);
    }
    out.push('}');
}

/// Appends a value as JSON.
pub fn write_value(schema: &Schema, value: &Value<'_>, out: &mut String) {
    use std::fmt::Write as _;
    match value {
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Int(value) => {
            let _ = write!(out, "{value}");
        }
        // `{:?}` keeps a fraction, which float_t must show.
        Value::Float(value) => {
            let _ = write!(out, "{value:?}");
        }
        Value::Str(text) => write_json_string(text, out),
        Value::Time(ms) => {
            out.push('"');
            write_rfc3339(*ms, out);
            out.push('"');
        }
        Value::Json(text) => out.push_str(text),
        Value::Object(object) => write_object(schema, object, out),
        Value::Array(values) => {
            out.push('[');
            for (index, value) in values.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_value(schema, value, out);
            }
            out.push(']');
        }
        Value::Map(entries) => {
            out.push('{');
            for (index, (path, text)) in entries.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_json_string(path, out);
                out.push(':');
                write_json_string(text, out);
            }
            out.push('}');
        }
    }
}

/// Appends a time as `YYYY-MM-DDTHH:MM:SS.mmmZ`.
pub fn write_rfc3339(ms: i64, out: &mut String) {
    use std::fmt::Write as _;
    let (days, of_day) = (ms.div_euclid(86_400_000), ms.rem_euclid(86_400_000));
    let (year, month, day) = civil_from_days(days);
    let (hour, minute, second, milli) = (of_day / 3_600_000, of_day / 60_000 % 60, of_day / 1_000 % 60, of_day % 1_000);
    let _ = write!(out, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z");
}

/// Year, month and day of a day number counted from 1970-01-01, proleptic Gregorian.
///
/// The method is Howard Hinnant's `civil_from_days` ("chrono-Compatible Low-Level Date Algorithms").
pub fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}
