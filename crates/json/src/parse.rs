//! Text to tape.

use bumpalo::Bump;
use jiter::{Jiter, JiterError, Peek};

use crate::doc::{Doc, Node, NodeId};

/// What a document may be at most.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Deepest nesting of arrays and objects.
    pub depth: usize,
    /// Most tape entries (names and values).
    pub nodes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { depth: 64, nodes: 4_000_000 }
    }
}

/// Why a text is no document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} at byte {at}")]
pub struct JsonError {
    /// What is wrong.
    pub kind: JsonErrorKind,
    /// Byte offset in the text.
    pub at: usize,
}

/// What is wrong with a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JsonErrorKind {
    /// Not JSON by RFC 8259.
    #[error("not json")]
    Syntax,
    /// More text after a whole value; it begins where the error is.
    #[error("more text after the value")]
    TrailingText,
    /// The text ends inside a value.
    #[error("unexpected end of the text")]
    UnexpectedEnd,
    /// Nested deeper than [`Limits::depth`].
    #[error("nested too deep")]
    TooDeep,
    /// More values than [`Limits::nodes`], or a number of thousands of digits.
    #[error("too many values or digits")]
    TooLarge,
}

struct Open {
    node: usize,
    object: bool,
    count: u32,
}

impl<'b> Doc<'b> {
    /// Parses the one JSON value that `text` holds and appends it to the tape. On an error the tape is as before.
    ///
    /// Strings without escapes are borrowed from `text`, others are unescaped into `arena`.
    ///
    /// # Errors
    /// When `text` is not exactly one JSON value within `limits`.
    pub fn parse(&mut self, text: &'b str, arena: &'b Bump, limits: Limits) -> Result<NodeId, JsonError> {
        let start = self.nodes.len();
        let mut parser =
            Parser { text, arena, limits, jiter: Jiter::new(text.as_bytes()), doc: self, open: Vec::new() };
        let result = parser.document();
        match result {
            Ok(()) => Ok(NodeId(u32::try_from(start).unwrap_or(u32::MAX))),
            Err(error) => {
                self.nodes.truncate(start);
                Err(error)
            }
        }
    }
}

struct Parser<'p, 'b> {
    text: &'b str,
    arena: &'b Bump,
    limits: Limits,
    jiter: Jiter<'b>,
    doc: &'p mut Doc<'b>,
    open: Vec<Open>,
}

impl<'b> Parser<'_, 'b> {
    fn document(&mut self) -> Result<(), JsonError> {
        let mut peek = self.jiter.peek().map_err(|error| self.wrong(&error))?;
        loop {
            // One value, then whatever follows it in the containers that are still open.
            self.value(peek)?;
            match self.step()? {
                Some(next) => peek = next,
                None => break,
            }
        }
        self.jiter.finish().map_err(|error| self.wrong(&error))
    }

    fn value(&mut self, peek: Peek) -> Result<(), JsonError> {
        match peek {
            Peek::Null => {
                self.jiter.known_null().map_err(|error| self.wrong(&error))?;
                self.push(Node::Null)
            }
            Peek::True | Peek::False => {
                let value = self.jiter.known_bool(peek).map_err(|error| self.wrong(&error))?;
                self.push(Node::Bool(value))
            }
            Peek::String => {
                let text = match self.jiter.known_str() {
                    Ok(text) => keep(self.text, self.arena, text),
                    Err(error) => return Err(wrong(&error)),
                };
                self.push(Node::Str(text))
            }
            Peek::Array => self.begin(false),
            Peek::Object => self.begin(true),
            _ => {
                let from = self.jiter.current_index();
                if let Err(error) = self.jiter.known_number_bytes(peek) {
                    return Err(wrong(&error));
                }
                let text = self.text.get(from..self.jiter.current_index()).unwrap_or_default();
                self.push(Node::Number(text))
            }
        }
    }

    fn begin(&mut self, object: bool) -> Result<(), JsonError> {
        if self.open.len() >= self.limits.depth {
            return Err(JsonError { kind: JsonErrorKind::TooDeep, at: self.jiter.current_index() });
        }
        self.open.push(Open { node: self.doc.nodes.len(), object, count: 0 });
        self.push(if object { Node::Object { end: 0, count: 0 } } else { Node::Array { end: 0, count: 0 } })
    }

    /// Moves to the next value: into the container that was just begun, to its next member, or out of it.
    fn step(&mut self) -> Result<Option<Peek>, JsonError> {
        loop {
            let nodes = self.doc.nodes.len();
            let Some(open) = self.open.last_mut() else { return Ok(None) };
            let fresh = open.count == 0;
            if open.object {
                let name = if fresh { self.jiter.known_object() } else { self.jiter.next_key() };
                match name {
                    Ok(Some(name)) => {
                        open.count += 1;
                        let name = keep(self.text, self.arena, name);
                        self.push(Node::Name(name))?;
                        return self.jiter.peek().map(Some).map_err(|error| self.wrong(&error));
                    }
                    Ok(None) => {}
                    Err(error) => return Err(wrong(&error)),
                }
            } else {
                let element = if fresh { self.jiter.known_array() } else { self.jiter.array_step() };
                match element {
                    Ok(Some(peek)) => {
                        open.count += 1;
                        return Ok(Some(peek));
                    }
                    Ok(None) => {}
                    Err(error) => return Err(wrong(&error)),
                }
            }
            let end = u32::try_from(nodes).unwrap_or(u32::MAX);
            let closed = Node::closed(open.object, end, open.count);
            let at = open.node;
            if let Some(node) = self.doc.nodes.get_mut(at) {
                *node = closed;
            }
            self.open.pop();
        }
    }

    fn push(&mut self, node: Node<'b>) -> Result<(), JsonError> {
        if self.doc.nodes.len() >= self.limits.nodes {
            return Err(JsonError { kind: JsonErrorKind::TooLarge, at: self.jiter.current_index() });
        }
        self.doc.nodes.push(node);
        Ok(())
    }

    fn wrong(&self, error: &JiterError) -> JsonError {
        wrong(error)
    }
}

/// `text` as it will outlive the parser: a part of the input where it is one, else a copy in the arena.
fn keep<'b>(input: &'b str, arena: &'b Bump, text: &str) -> &'b str {
    let offset = (text.as_ptr() as usize).wrapping_sub(input.as_ptr() as usize);
    match offset.checked_add(text.len()).and_then(|end| input.get(offset..end)) {
        Some(part) if !part.is_empty() => part,
        _ if text.is_empty() => "",
        _ => arena.alloc_str(text),
    }
}

fn wrong(error: &JiterError) -> JsonError {
    use jiter::{JiterErrorType, JsonErrorType};
    let kind = match &error.error_type {
        JiterErrorType::JsonError(
            JsonErrorType::EofWhileParsingList
            | JsonErrorType::EofWhileParsingObject
            | JsonErrorType::EofWhileParsingString
            | JsonErrorType::EofWhileParsingValue,
        ) => JsonErrorKind::UnexpectedEnd,
        JiterErrorType::JsonError(JsonErrorType::TrailingCharacters) => JsonErrorKind::TrailingText,
        JiterErrorType::JsonError(JsonErrorType::NumberOutOfRange) => JsonErrorKind::TooLarge,
        _ => JsonErrorKind::Syntax,
    };
    JsonError { kind, at: error.index }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
    use proptest::prelude::*;

    use super::*;
    use crate::write_json;

    fn round_trip(text: &str) -> Result<String, JsonErrorKind> {
        let arena = Bump::new();
        let mut doc = Doc::new();
        let id = doc.parse(text, &arena, Limits::default()).map_err(|error| error.kind)?;
        let mut out = String::new();
        write_json(doc.value(id), &mut out);
        Ok(out)
    }

    #[test]
    fn keeps_number_text_order_and_duplicates() {
        let text = r#"{"b":1e400,"a":123456789012345678901234567890,"b":-0.0,"n":[],"o":{},"t":[true,false,null]}"#;
        assert_eq!(round_trip(text).unwrap(), text);
    }

    #[test]
    fn of_equal_names_the_last_is_written_where_only_one_may_be() {
        let arena = Bump::new();
        let mut doc = Doc::new();
        let text = r#"{"a":1,"b":{"x":1,"x":2},"a":[{"y":1,"y":null}],"A":3}"#;
        let root = doc.parse(text, &arena, Limits::default()).unwrap();
        let mut out = String::new();
        crate::write_json_unique(doc.value(root), &mut out);
        assert_eq!(out, r#"{"b":{"x":2},"a":[{"y":null}],"A":3}"#);
    }

    #[test]
    fn unescapes_into_the_arena() {
        assert_eq!(round_trip(r#"["\u0041\n\"\\","\ud83d\ude00",""]"#).unwrap(), "[\"A\\n\\\"\\\\\",\"😀\",\"\"]");
    }

    #[test]
    fn refuses_what_is_not_one_value() {
        for text in
            ["[1,]", "{\"a\"}", "{\"a\":1,}", "01", "1 2", "nul", "'a'", "\"\\ud800\"", "[1}", "NaN", "\"\u{1}\"", "+1"]
        {
            assert!(round_trip(text).is_err(), "{text}");
        }
        for text in ["", "[", "{\"a\":", "\"a", "[1", "{\"a\":1"] {
            assert_eq!(round_trip(text), Err(JsonErrorKind::UnexpectedEnd), "{text}");
        }
    }

    #[test]
    fn text_after_a_value_is_pointed_at() {
        let arena = Bump::new();
        for (text, at) in [("{} x", 3), ("[1]\n{}", 4), ("{\"a\":1}}", 7)] {
            let error = Doc::new().parse(text, &arena, Limits::default()).unwrap_err();
            assert_eq!(error, JsonError { kind: JsonErrorKind::TrailingText, at }, "{text}");
        }
    }

    #[test]
    fn depth_is_bounded_without_recursion() {
        let deep = "[".repeat(1_000_000);
        assert_eq!(round_trip(&deep), Err(JsonErrorKind::TooDeep));
        assert!(round_trip(&format!("{}{}", "[".repeat(64), "]".repeat(64))).is_ok());
    }

    #[test]
    fn digits_are_bounded() {
        assert!(round_trip(&"1".repeat(4_000)).is_ok());
        assert_eq!(round_trip(&"1".repeat(1_000_000)), Err(JsonErrorKind::TooLarge));
        assert!(round_trip(&format!("0.{}", "1".repeat(1_000_000))).is_ok());
    }

    #[test]
    fn a_failed_parse_leaves_the_tape_alone() {
        let arena = Bump::new();
        let mut doc = Doc::new();
        let first = doc.parse("[1]", &arena, Limits::default()).unwrap();
        let before = doc.len();
        assert!(doc.parse("[1,2,{", &arena, Limits::default()).is_err());
        assert_eq!(doc.len(), before);
        assert_eq!(doc.value(first).count(), 1);
    }

    #[test]
    fn links_replace_text_by_a_value() {
        let arena = Bump::new();
        let mut doc = Doc::new();
        let root = doc.parse(r#"{"p":"{\"x\":1}"}"#, &arena, Limits::default()).unwrap();
        let text = doc.value(root).get("p").unwrap();
        let (id, inner) = (text.id(), text.as_str().unwrap());
        let target = doc.parse(inner, &arena, Limits::default()).unwrap();
        doc.link(id, target);
        assert_eq!(doc.value(root).get("p").unwrap().get("x").unwrap().as_i64(), Some(1));
        assert_eq!(doc.value(root).get("p").unwrap().id(), id);
    }

    proptest! {
        /// The same texts are JSON for serde_json, and mean the same.
        #[test]
        fn agrees_with_serde_json(text in "[\\[\\]{}:,\"\\\\a-c0-2eE.+\\- nulltrue]{0,24}") {
            let theirs: Result<serde_json::Value, _> = serde_json::from_str(&text);
            match (round_trip(&text), theirs) {
                (Ok(ours), Ok(theirs)) => {
                    prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&ours).unwrap(), theirs);
                }
                (Err(_), Err(_)) => {}
                // serde_json refuses numbers that no f64 holds, which are JSON all the same.
                (Ok(_), Err(error)) if error.to_string().contains("number out of range") => {}
                (ours, theirs) => prop_assert!(false, "{:?} {:?} {:?}", text, ours, theirs),
            }
        }
    }
}
