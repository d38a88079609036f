//! The tree that samples are built as: ordered, and free to hold what a map type would not (one name twice).

/// A JSON value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Json {
    /// No value: a member that is left out.
    Absent,
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

/// An object from `name => value` pairs; an `Option` that is `None` leaves its member out.
macro_rules! object {
    ($($name:expr => $value:expr),* $(,)?) => {
        $crate::json::Json::Object(vec![$((String::from($name), $crate::json::Json::from($value))),*])
    };
}
/// A list of anything that becomes JSON.
macro_rules! list {
    ($($value:expr),* $(,)?) => { $crate::json::Json::List(vec![$($crate::json::Json::from($value)),*]) };
}
pub(crate) use {list, object};

macro_rules! from {
    ($($type:ty => $make:expr),* $(,)?) => {
        $(impl From<$type> for Json {
            fn from(value: $type) -> Self {
                let make: fn($type) -> Json = $make;
                make(value)
            }
        })*
    };
}

from! {
    &str => |text| Json::Text(text.to_owned()),
    &String => |text| Json::Text(text.clone()),
    String => Json::Text,
    bool => Json::Bool,
    i64 => Json::Int,
    i32 => |number| Json::Int(number.into()),
    f64 => Json::Float,
    Vec<Json> => Json::List,
}

impl<T: Into<Json>> From<Option<T>> for Json {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Absent, Into::into)
    }
}

impl Json {
    /// A list of texts.
    pub(crate) fn texts<T: AsRef<str>>(texts: &[T]) -> Self {
        Self::List(texts.iter().map(|text| Self::from(text.as_ref())).collect())
    }

    /// The compact text. Numbers are finite by construction.
    pub(crate) fn text(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) {
        match self {
            Self::Absent | Self::Null => out.push_str("null"),
            Self::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Self::Int(number) => out.push_str(&number.to_string()),
            Self::Float(number) => out.push_str(&format!("{number:?}")),
            Self::Text(text) => write_text(text, out),
            Self::List(values) => {
                let mut open = '[';
                for value in values {
                    out.push(std::mem::replace(&mut open, ','));
                    value.write(out);
                }
                out.push_str(if open == '[' { "[]" } else { "]" });
            }
            Self::Object(members) => {
                let mut open = '{';
                for (name, value) in members.iter().filter(|(_, value)| *value != Self::Absent) {
                    out.push(std::mem::replace(&mut open, ','));
                    write_text(name, out);
                    out.push(':');
                    value.write(out);
                }
                out.push_str(if open == '{' { "{}" } else { "}" });
            }
        }
    }

    /// Calls `change` for every scalar below this value.
    pub(crate) fn each_leaf(&mut self, change: &mut impl FnMut(&mut Json)) {
        match self {
            Self::List(values) => values.iter_mut().for_each(|value| value.each_leaf(change)),
            Self::Object(members) => members.iter_mut().for_each(|(_, value)| value.each_leaf(change)),
            leaf => change(leaf),
        }
    }

    /// The same with every name passed through `rename`.
    pub(crate) fn renamed(self, rename: fn(&str) -> String) -> Self {
        match self {
            Self::List(values) => Self::List(values.into_iter().map(|value| value.renamed(rename)).collect()),
            Self::Object(members) => {
                Self::Object(members.into_iter().map(|(name, value)| (rename(&name), value.renamed(rename))).collect())
            }
            leaf => leaf,
        }
    }

    /// Adds a member to an object; a second one of the same name is kept beside the first.
    pub(crate) fn push(&mut self, name: &str, value: impl Into<Json>) {
        if let Self::Object(members) = self {
            members.push((name.to_owned(), value.into()));
        }
    }

    /// Takes the members named so out of an object.
    pub(crate) fn remove(&mut self, name: &str) {
        if let Self::Object(members) = self {
            members.retain(|(own, _)| own != name);
        }
    }

    /// The first member of this name.
    pub(crate) fn get_mut(&mut self, name: &str) -> Option<&mut Json> {
        match self {
            Self::Object(members) => members.iter_mut().find(|(own, _)| own == name).map(|(_, value)| value),
            _ => None,
        }
    }
}

fn write_text(text: &str, out: &mut String) {
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            control if (control as u32) < 0x20 => out.push_str(&format!("\\u{:04x}", control as u32)),
            other => out.push(other),
        }
    }
    out.push('"');
}

/// `displayName` to `DisplayName`; names that start otherwise stay.
pub(crate) fn pascal(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + letters.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back_by_another_parser() {
        let hostile = "q\" b\\ n\n r\r t\t nul\0 esc\u{1b} é \u{202e} \u{1f980}";
        let value = object! {
            "text" => hostile, "none" => None::<&str>, "some" => Some(1), "null" => Json::Null,
            "list" => list![true, 1.0, 0.5, -7, object! {}, list![]], hostile => "name",
        };
        let read: serde_json::Value = serde_json::from_str(&value.text()).unwrap();
        assert_eq!(
            read,
            serde_json::json!({"text": hostile, "some": 1, "null": null,
                "list": [true, 1.0, 0.5, -7, {}, []], hostile: "name"})
        );
    }

    #[test]
    fn one_name_may_stand_twice() {
        let mut value = object! { "level" => "4" };
        value.push("level", 4);
        assert_eq!(value.text(), r#"{"level":"4","level":4}"#);
        assert_eq!(value.renamed(pascal).text(), r#"{"Level":"4","Level":4}"#);
    }
}
