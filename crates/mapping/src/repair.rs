//! Texts that are almost JSON, repaired where only one document can have been meant.
//!
//! Three defects of the wild are certain: control characters (in a string they are escaped, between tokens dropped), braces
//! doubled by a template (`{{"a":1}}`), and text after a whole document. A text with any other defect stays as it is.

use tributary_json::{JsonError, JsonErrorKind};

/// Braces nested deeper than any document that is read.
const MAX_DEPTH: usize = 128;
/// Longest text after a document that is kept beside its records; a longer one is a text of its own.
const MAX_TAIL: usize = 256;

/// A text after cleaning.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Cleaned {
    pub(crate) text: String,
    /// What was mended, for whoever reads the event.
    pub(crate) how: &'static str,
}

/// Mends control characters and doubled braces; `None` when there are none, or the braces do not come in pairs.
pub(crate) fn clean(text: &str) -> Option<Cleaned> {
    let mut out = String::with_capacity(text.len() + 16);
    let (mut controls, mut braces) = (false, false);
    // Whether each open brace was doubled.
    let mut open: Vec<bool> = Vec::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => {
                out.push('"');
                controls |= string(&mut chars, &mut out);
            }
            '{' => {
                let doubled = skip_twin(text, at, '{', &mut chars);
                braces |= doubled;
                if open.len() >= MAX_DEPTH {
                    return None;
                }
                open.push(doubled);
                out.push('{');
            }
            '}' => {
                if open.pop() == Some(true) && !skip_twin(text, at, '}', &mut chars) {
                    return None;
                }
                out.push('}');
            }
            '\t' | '\n' | '\r' => out.push(c),
            c if c.is_control() || c == '\u{feff}' => controls = true,
            c => out.push(c),
        }
    }
    let how = match (controls, braces) {
        (true, true) => "control characters and doubled braces",
        (true, false) => "control characters",
        (false, true) => "doubled braces",
        (false, false) => return None,
    };
    Some(Cleaned { text: out, how })
}

/// Copies a string's rest with its closing quote. Whether a control character had to be escaped.
fn string(chars: &mut std::str::CharIndices<'_>, out: &mut String) -> bool {
    use std::fmt::Write as _;
    let mut changed = false;
    while let Some((_, c)) = chars.next() {
        match c {
            '"' => {
                out.push('"');
                break;
            }
            '\\' => {
                out.push('\\');
                if let Some((_, escaped)) = chars.next() {
                    out.push(escaped);
                }
            }
            // What JSON forbids in a string: C0 alone.
            c if c < ' ' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
                changed = true;
            }
            c => out.push(c),
        }
    }
    changed
}

/// Skips a second brace after the one at `at`, blanks between them too.
fn skip_twin(text: &str, at: usize, brace: char, chars: &mut std::str::CharIndices<'_>) -> bool {
    let rest = text.get(at + 1..).unwrap_or_default();
    let twin = rest.trim_start_matches([' ', '\t', '\n', '\r']).starts_with(brace);
    if twin {
        chars.by_ref().find(|(_, c)| *c == brace);
    }
    twin
}

/// What follows a whole document.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Tail<'b> {
    /// A few bytes that are no document.
    Debris(&'b str),
    /// A text of its own.
    Text(&'b str),
}

/// Parts a text that goes on after a whole document.
pub(crate) fn part<'b>(text: &'b str, error: &JsonError) -> Option<(&'b str, Tail<'b>)> {
    if error.kind != JsonErrorKind::TrailingText || !text.trim_start().starts_with(['{', '[']) {
        return None;
    }
    let (document, rest) = text.split_at_checked(error.at)?;
    let debris = rest.len() <= MAX_TAIL && !rest.contains(['{', '[']);
    Some((document, if debris { Tail::Debris(rest) } else { Tail::Text(rest) }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use bumpalo::Bump;
    use tributary_json::{Doc, Limits};

    use super::*;

    fn cleaned(text: &str) -> Option<(String, &'static str)> {
        clean(text).map(|cleaned| (cleaned.text, cleaned.how))
    }

    #[test]
    fn control_characters_keep_their_meaning_in_strings_and_go_between_tokens() {
        let how = "control characters";
        assert_eq!(cleaned("{\"a\":\"x\ny\u{0}\"}"), Some(("{\"a\":\"x\\u000ay\\u0000\"}".into(), how)));
        assert_eq!(cleaned("\u{feff}\u{1e}{\"a\":1}\u{0}"), Some(("{\"a\":1}".into(), how)));
        assert_eq!(cleaned("{\"a\":\"\\\"{{ \u{7f}\"}"), None);
    }

    #[test]
    fn doubled_braces_become_single_ones_in_pairs() {
        let how = "doubled braces";
        assert_eq!(cleaned(r#"{{"a":{{"b":"{{x}}"}}}}"#), Some((r#"{"a":{"b":"{{x}}"}}"#.into(), how)));
        assert_eq!(cleaned("{ {\"a\":{\"b\":1}} }"), Some(("{\"a\":{\"b\":1}}".into(), how)));
        // Not in pairs: nobody knows what was meant.
        assert_eq!(cleaned(r#"{{"a":1}"#), None);
        assert_eq!(cleaned(r#"{{"a":{"b":1}}"#), None);
        assert_eq!(cleaned(r#"{"a":{"b":1}}"#), None);
    }

    #[test]
    fn both_at_once() {
        let expected = "control characters and doubled braces";
        assert_eq!(cleaned("{{\"a\":\"\t\"}}"), Some(("{\"a\":\"\\u0009\"}".into(), expected)));
    }

    #[test]
    fn depth_is_bounded() {
        assert_eq!(clean(&"{{".repeat(100_000)), None);
    }

    #[test]
    fn a_tail_is_debris_or_a_text_of_its_own() {
        let parted = |text: &'static str| {
            let arena = Bump::new();
            let error = Doc::new().parse(text, &arena, Limits::default()).unwrap_err();
            part(text, &error)
        };
        assert_eq!(parted("{\"a\":1}}\u{0}"), Some(("{\"a\":1}", Tail::Debris("}\u{0}"))));
        assert_eq!(parted("[1]\n{\"b\":2}"), Some(("[1]\n", Tail::Text("{\"b\":2}"))));
        assert_eq!(parted("12 34"), None);
        assert_eq!(parted("{\"a\":x"), None);
    }
}
