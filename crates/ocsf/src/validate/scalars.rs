//! Values of scalar attributes against their type.

use tributary_json::{Kind, Value};

use crate::accept::{is_too_long, matches};
use crate::format::{datetime_micros, is_ip, is_subnet};
use crate::schema::{Attr, BaseType, TypeDef};
use crate::validate::Walk;
use crate::validate::path::{Path, quoted, short};
use crate::validate::tree::{is_integer, kind_name};

/// Milliseconds below which a time is taken for seconds (3 March 1973), and from which for a smaller unit (5138).
const PLAUSIBLE_MS: std::ops::Range<i64> = 100_000_000_000..100_000_000_000_000;

impl<'d, 'b> Walk<'_, 'd, 'b> {
    pub(super) fn scalar(&mut self, value: Value<'d, 'b>, attr: &Attr, path: &Path<'_>) {
        let ty = self.schema.type_of(attr);
        match ty.base {
            // Any value, but a name only once.
            BaseType::Json => self.no_duplicate(value, path),
            BaseType::Boolean => {
                if value.kind() != Kind::Bool {
                    self.wrong_type(value, ty, path);
                }
            }
            BaseType::Integer | BaseType::Long => self.integer(value, ty, path),
            BaseType::Float => {
                if value.kind() != Kind::Number {
                    self.wrong_type(value, ty, path);
                } else if is_integer(value) {
                    let message =
                        || "write float_t with a fraction: the official validator takes no integer".to_owned();
                    self.report.strict("float_as_integer", path, message);
                }
            }
            BaseType::String => match value.as_str() {
                Some(text) => self.text(text, ty, path),
                None => self.wrong_type(value, ty, path),
            },
        }
    }

    fn wrong_type(&mut self, value: Value<'d, 'b>, ty: &TypeDef, path: &Path<'_>) {
        let message = || format!("{} expected, is {}", ty.name, kind_name(value));
        self.report.error("attribute_wrong_type", path, message);
    }

    fn integer(&mut self, value: Value<'d, 'b>, ty: &TypeDef, path: &Path<'_>) {
        if !is_integer(value) {
            return self.wrong_type(value, ty, path);
        }
        let Some(number) = value.as_i64() else {
            let text = value.number_text().unwrap_or_default();
            return self.report.error("integer_overflow", path, || format!("{} does not fit 64 bits", short(text)));
        };
        if self.rules.security_lake && ty.base == BaseType::Integer && i32::try_from(number).is_err() {
            let message = || format!("{number} does not fit the column of 32 bits");
            self.report.strict("int32_overflow", path, message);
        }
        if let Some((low, high)) = ty.range.filter(|(low, high)| !(*low..=*high).contains(&number)) {
            let message = || format!("{number} is outside {low}..{high}");
            self.report.error("attribute_value_exceeds_range", path, message);
        }
        if ty.name == "timestamp_t" && number != 0 && !PLAUSIBLE_MS.contains(&number) {
            let message = || format!("{number} is no plausible time in milliseconds since 1970");
            self.report.strict("timestamp_not_ms", path, message);
        }
    }

    fn text(&mut self, text: &str, ty: &TypeDef, path: &Path<'_>) {
        if is_too_long(ty, text) {
            let message = || format!("longer than the {} characters of {}", ty.max_len.unwrap_or_default(), ty.name);
            self.report.error("attribute_value_exceeds_max_len", path, message);
        }
        if text.is_empty() {
            self.report.strict("empty_string", path, || "empty: leave the attribute out".to_owned());
        }
        if !matches(ty, text) {
            let message = || format!("{} does not match the pattern of {}", quoted(text), ty.name);
            self.report.strict("attribute_value_regex_not_matched", path, message);
        }
        let (code, fits, what) = match ty.name {
            "ip_t" => ("ip_invalid", is_ip(text), "address"),
            "datetime_t" => ("datetime_invalid", datetime_micros(text).is_some(), "date-time of RFC 3339"),
            "subnet_t" => ("subnet_invalid", is_subnet(text), "network"),
            _ => return,
        };
        if !fits && !text.is_empty() {
            self.report.strict(code, path, || format!("{} is no {what}", quoted(text)));
        }
    }
}
