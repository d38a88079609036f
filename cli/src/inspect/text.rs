//! Values for a terminal: picked by path, short, and unable to drive the terminal.

use serde_json::Value;

/// Most letters of a cell.
const WIDTH: usize = 48;

/// The value at a dotted path; a list on the way gives the values of all its elements.
pub(crate) fn pick(value: &Value, path: &str) -> Value {
    let mut current = vec![value];
    let mut many = false;
    for name in path.split('.') {
        current = current
            .into_iter()
            .flat_map(|value| match value {
                Value::Array(elements) => {
                    many = true;
                    elements.iter().collect()
                }
                other => vec![other],
            })
            .filter_map(|value| value.get(name))
            .collect();
    }
    match (many, current.as_slice()) {
        (_, []) => Value::Null,
        (false, [one]) => (*one).clone(),
        _ => current.into_iter().cloned().collect(),
    }
}

/// A value in one short line. Events are hostile: control and direction characters are shown, never sent.
pub(crate) fn cell(value: &Value) -> String {
    let text = match value {
        Value::Null => return String::new(),
        Value::String(text) => text.clone(),
        Value::Array(values) if values.iter().all(|value| value.is_string() || value.is_number()) => {
            values.iter().map(cell).collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    };
    let mut out = String::new();
    for (count, letter) in text.chars().enumerate() {
        if count >= WIDTH {
            out.push('…');
            break;
        }
        let steers =
            matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
        if letter.is_control() || steers {
            out.extend(letter.escape_default());
        } else {
            out.push(letter);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_go_through_objects_and_lists() {
        let event = json!({"a": {"b": 1}, "list": [{"x": "p"}, {"y": 2}, {"x": "q"}]});
        assert_eq!(pick(&event, "a.b"), json!(1));
        assert_eq!(pick(&event, "list.x"), json!(["p", "q"]));
        assert_eq!(pick(&event, "list"), json!([{"x": "p"}, {"y": 2}, {"x": "q"}]));
        assert_eq!(pick(&event, "a.c"), Value::Null);
        assert_eq!(pick(&event, ""), Value::Null);
    }

    #[test]
    fn a_cell_is_short_and_harmless() {
        assert_eq!(cell(&json!("\u{1b}[2J\u{202e}x\n")), "\\u{1b}[2J\\u{202e}x\\n");
        assert_eq!(cell(&json!("é".repeat(100))).chars().count(), WIDTH + 1);
        assert_eq!(cell(&json!(["a", 1])), "a, 1");
        assert_eq!(cell(&json!({"a": true})), "{\"a\":true}");
        assert_eq!(cell(&Value::Null), "");
    }
}
