//! What no expression read: every source value that is not in the event, as path and text.

use bumpalo::Bump;
use tributary_json::{Doc, Kind, NodeId, Value, write_json};

/// More text than a lake object can carry from one record, by far: the rest is not even collected.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooMuch;

/// Beyond this many bytes of path a subtree is written as JSON, so that hostile names cannot multiply.
const MAX_PATH: usize = 200;

/// Source values that made it into the event.
#[derive(Debug, Default)]
pub(crate) struct Used {
    bits: Vec<u64>,
    /// The words of `bits` that are not zero: clearing costs what was marked, not what the document is long.
    words: Vec<usize>,
}

impl Used {
    /// Marks `touched`, forgets everything else.
    pub(crate) fn reset(&mut self, nodes: usize, touched: &[NodeId]) {
        for word in self.words.drain(..) {
            if let Some(word) = self.bits.get_mut(word) {
                *word = 0;
            }
        }
        self.bits.resize(self.bits.len().max(nodes / 64 + 1), 0);
        for id in touched {
            let at = id.0 as usize / 64;
            if let Some(word) = self.bits.get_mut(at) {
                if *word == 0 {
                    self.words.push(at);
                }
                *word |= 1 << (id.0 % 64);
            }
        }
    }

    fn has(&self, id: NodeId) -> bool {
        self.bits.get(id.0 as usize / 64).is_some_and(|word| word >> (id.0 % 64) & 1 == 1)
    }
}

/// Collects the unread values of `record`, sorted by path, no path twice (of equal ones the last counts). `path` is room to
/// work in.
///
/// # Errors
/// When paths and texts together are longer than `limit` bytes.
pub(crate) fn collect<'b>(
    doc: &Doc<'b>,
    record: NodeId,
    used: &Used,
    arena: &'b Bump,
    limit: usize,
    path: &mut String,
    out: &mut Vec<(&'b str, &'b str)>,
) -> Result<(), TooMuch> {
    path.clear();
    let mut walk = Walk { used, arena, path, left: limit, out };
    walk.value(doc.value(record), None)?;
    let out = walk.out;
    out.sort_by_key(|(path, _)| *path);
    // Stable sorting keeps the source's order among equals: the last one wins.
    let mut kept = 0;
    for index in 0..out.len() {
        let next_is_same = match (out.get(index), out.get(index + 1)) {
            (Some((path, _)), Some((next, _))) => path == next,
            _ => false,
        };
        if !next_is_same {
            out.swap(kept, index);
            kept += 1;
        }
    }
    out.truncate(kept);
    Ok(())
}

struct Walk<'w, 'b> {
    used: &'w Used,
    arena: &'b Bump,
    path: &'w mut String,
    /// Bytes that may still come.
    left: usize,
    out: &'w mut Vec<(&'b str, &'b str)>,
}

impl<'b> Walk<'_, 'b> {
    /// `name` is the whole path where that is one name as the source writes it.
    // Recursion is as deep as the parser's limit and the JSON texts that a map opens.
    fn value(&mut self, value: Value<'_, 'b>, name: Option<&'b str>) -> Result<(), TooMuch> {
        if self.used.has(value.id()) {
            return Ok(());
        }
        let text = match value.kind() {
            Kind::Null => return Ok(()),
            Kind::String => value.as_str().unwrap_or_default(),
            Kind::Number => value.number_text().unwrap_or_default(),
            Kind::Bool => match value.as_bool() {
                Some(true) => "true",
                _ => "false",
            },
            Kind::Array | Kind::Object if value.count() == 0 => return Ok(()),
            _ if self.path.len() > MAX_PATH => {
                let mut json = String::new();
                write_json(value, &mut json);
                self.arena.alloc_str(&json)
            }
            Kind::Object => return self.members(value),
            Kind::Array => return self.elements(value),
        };
        self.left = self.left.checked_sub(self.path.len() + text.len()).ok_or(TooMuch)?;
        let path = name.unwrap_or_else(|| self.arena.alloc_str(self.path));
        self.out.push((path, text));
        Ok(())
    }

    fn members(&mut self, value: Value<'_, 'b>) -> Result<(), TooMuch> {
        let length = self.path.len();
        for (name, member) in value.members() {
            if length > 0 {
                self.path.push('.');
            }
            escape(name, self.path);
            // Only escaping makes a name longer.
            let whole = self.path.len() == name.len();
            self.value(member, whole.then_some(name))?;
            self.path.truncate(length);
        }
        Ok(())
    }

    fn elements(&mut self, value: Value<'_, 'b>) -> Result<(), TooMuch> {
        let length = self.path.len();
        for (index, element) in value.elements().enumerate() {
            push_index(index, self.path);
            self.value(element, None)?;
            self.path.truncate(length);
        }
        Ok(())
    }
}

/// Appends `[index]`. Nearly every index has one digit, and formatting costs more than the rest of a leaf.
fn push_index(index: usize, path: &mut String) {
    use std::fmt::Write as _;
    match u8::try_from(index) {
        Ok(digit @ 0..=9) => {
            path.push('[');
            path.push(char::from(b'0' + digit));
            path.push(']');
        }
        _ => drop(write!(path, "[{index}]")),
    }
}

/// Appends a name; a dot, a bracket or a backslash in it gets a backslash, so that paths stay unambiguous.
fn escape(name: &str, path: &mut String) {
    if !name.bytes().any(|byte| matches!(byte, b'.' | b'[' | b'\\')) {
        return path.push_str(name);
    }
    for c in name.chars() {
        if matches!(c, '.' | '[' | '\\') {
            path.push('\\');
        }
        path.push(c);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use tributary_json::Limits;

    use super::*;

    fn paths(text: &str) -> Vec<(String, String)> {
        let arena = Bump::new();
        let mut doc = Doc::new();
        let root = doc.parse(text, &arena, Limits::default()).unwrap();
        let mut used = Used::default();
        used.reset(doc.len(), &[]);
        let mut out = Vec::new();
        collect(&doc, root, &used, &arena, usize::MAX, &mut String::new(), &mut out).unwrap();
        out.into_iter().map(|(path, text)| (path.to_owned(), text.to_owned())).collect()
    }

    #[test]
    fn every_leaf_has_a_path_of_its_own() {
        let text = r#"{"b":{"x":1},"a.b":"d","a":[true,{"c":""}],"n":null,"e":[],"b":{"x":2}}"#;
        let expected = [("a[0]", "true"), ("a[1].c", ""), ("a\\.b", "d"), ("b.x", "2")];
        let expected: Vec<_> = expected.iter().map(|(path, text)| (path.to_string(), text.to_string())).collect();
        assert_eq!(paths(text), expected);
    }

    #[test]
    fn what_nobody_can_carry_is_not_collected() {
        let arena = Bump::new();
        let mut doc = Doc::new();
        let text = format!("{{\"{}\":[{}1]}}", "n".repeat(190), "1,".repeat(100_000));
        let root = doc.parse(&text, &arena, Limits::default()).unwrap();
        let mut used = Used::default();
        used.reset(doc.len(), &[]);
        let before = arena.allocated_bytes();
        assert_eq!(collect(&doc, root, &used, &arena, 10_000, &mut String::new(), &mut Vec::new()), Err(TooMuch));
        assert!(arena.allocated_bytes() - before < 40_000);
    }

    #[test]
    fn marks_do_not_outlive_a_reset() {
        let mut used = Used::default();
        used.reset(1_000, &[NodeId(3), NodeId(70), NodeId(999)]);
        assert!(used.has(NodeId(3)) && used.has(NodeId(999)) && !used.has(NodeId(4)));
        used.reset(100, &[NodeId(4)]);
        assert!(used.has(NodeId(4)) && !used.has(NodeId(3)) && !used.has(NodeId(70)) && !used.has(NodeId(999)));
    }

    #[test]
    fn long_names_do_not_multiply() {
        let name = "n".repeat(10_000);
        let leaves: Vec<String> = (0..1_000).map(|index| format!("\"{index}\":{index}")).collect();
        let text = format!("{{\"{name}\":{{{}}}}}", leaves.join(","));
        let size: usize = paths(&text).iter().map(|(path, text)| path.len() + text.len()).sum();
        assert!(size < 2 * text.len(), "{size}");
    }
}
