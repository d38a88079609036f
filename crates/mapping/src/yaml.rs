//! YAML with places: what the mapping compiler reads. Anchors, aliases and tags are refused, duplicate keys too.

use std::sync::Arc;

use yaml_rust2::parser::{Event, MarkedEventReceiver, Parser};
use yaml_rust2::scanner::{Marker, TScalarStyle};

use crate::diagnostic::{Fault, Pos};

/// A value with its place.
#[derive(Debug, Clone)]
pub(crate) struct Yaml {
    pub(crate) pos: Pos,
    pub(crate) node: Node,
}

/// What a value is. Lists and mappings are shared: fragments stand in many files, and entries are picked per version.
#[derive(Debug, Clone)]
pub(crate) enum Node {
    /// A scalar; `plain` when it was written without quotes.
    Scalar {
        text: String,
        plain: bool,
    },
    List(Arc<Vec<Yaml>>),
    Map(Arc<Vec<Entry>>),
}

/// One key of a mapping.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) pos: Pos,
    pub(crate) value: Yaml,
}

/// As a file says it, on one line.
impl std::fmt::Display for Yaml {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.node {
            Node::Scalar { text, .. } => f.write_str(text),
            Node::List(items) => {
                f.write_str("[")?;
                for (index, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if index > 0 { ", " } else { "" })?;
                }
                f.write_str("]")
            }
            Node::Map(entries) => {
                f.write_str("{")?;
                for (index, entry) in entries.iter().enumerate() {
                    write!(f, "{}{}: {}", if index > 0 { ", " } else { "" }, entry.key, entry.value)?;
                }
                f.write_str("}")
            }
        }
    }
}

impl Yaml {
    pub(crate) fn scalar(&self) -> Option<&str> {
        match &self.node {
            Node::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    pub(crate) fn entries(&self) -> Option<&[Entry]> {
        match &self.node {
            Node::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// What it is, for a message.
    pub(crate) fn what(&self) -> &'static str {
        match &self.node {
            Node::Scalar { .. } => "a scalar",
            Node::List(_) => "a list",
            Node::Map(_) => "a mapping",
        }
    }
}

impl Yaml {
    /// Says of every place in it which fragment it is in.
    pub(crate) fn mark(&mut self, fragment: u16) {
        self.pos.fragment = fragment;
        match &mut self.node {
            Node::Scalar { .. } => {}
            Node::List(items) => Arc::make_mut(items).iter_mut().for_each(|item| item.mark(fragment)),
            Node::Map(entries) => Arc::make_mut(entries).iter_mut().for_each(|entry| {
                entry.pos.fragment = fragment;
                entry.value.mark(fragment);
            }),
        }
    }
}

/// Most levels of a mapping file; far beyond any real one.
const MAX_DEPTH: usize = 64;

/// Parses the one document of a file.
pub(crate) fn parse(text: &str) -> Result<Yaml, Fault> {
    let mut builder = Builder::default();
    let mut parser = Parser::new_from_str(text);
    if let Err(error) = parser.load(&mut builder, false) {
        let mark = error.marker();
        return Err(Fault::new(pos(*mark), format!("not yaml: {}", error.info())));
    }
    if let Some(fault) = builder.fault {
        return Err(fault);
    }
    builder.root.ok_or_else(|| Fault::new(Pos::new(1, 1), "the file is empty"))
}

fn pos(mark: Marker) -> Pos {
    Pos::new(mark.line(), mark.col() + 1)
}

enum Open {
    List(Pos, Vec<Yaml>),
    Map(Pos, Vec<Entry>, Option<(String, Pos)>),
}

#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    root: Option<Yaml>,
    fault: Option<Fault>,
}

impl Builder {
    fn fail(&mut self, at: Pos, message: &str) {
        if self.fault.is_none() {
            self.fault = Some(Fault::new(at, message));
        }
    }

    fn add(&mut self, value: Yaml) {
        let at = value.pos;
        match self.open.last_mut() {
            None => self.root = Some(value),
            Some(Open::List(_, items)) => items.push(value),
            Some(Open::Map(_, entries, key)) => match key.take() {
                Some((name, pos)) => entries.push(Entry { key: name, pos, value }),
                None => {
                    let Node::Scalar { text, .. } = value.node else {
                        return self.fail(at, "a key must be a word");
                    };
                    let twice = entries.iter().any(|entry| entry.key == text);
                    *key = Some((text, at));
                    if twice {
                        self.fail(at, "this key stands twice");
                    }
                }
            },
        }
    }

    fn begin(&mut self, open: Open, at: Pos) {
        if self.open.len() >= MAX_DEPTH {
            self.fail(at, "nested too deep");
        }
        self.open.push(open);
    }
}

impl MarkedEventReceiver for Builder {
    fn on_event(&mut self, event: Event, mark: Marker) {
        let at = pos(mark);
        if self.fault.is_some() {
            return;
        }
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                if anchor != 0 || tag.is_some() {
                    self.fail(at, "anchors and tags are not part of the mapping language");
                }
                // The scanner's mark of a quoted scalar is its quote; expressions start behind it.
                let plain = style == TScalarStyle::Plain;
                let pos = if plain { at } else { at.right(1) };
                self.add(Yaml { pos, node: Node::Scalar { text, plain } });
            }
            Event::SequenceStart(..) => self.begin(Open::List(at, Vec::new()), at),
            Event::MappingStart(..) => self.begin(Open::Map(at, Vec::new(), None), at),
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(Open::List(pos, items)) => self.add(Yaml { pos, node: Node::List(Arc::new(items)) }),
                Some(Open::Map(pos, entries, _)) => self.add(Yaml { pos, node: Node::Map(Arc::new(entries)) }),
                None => {}
            },
            Event::Alias(_) => self.fail(at, "aliases are not part of the mapping language"),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn keeps_places() {
        let yaml = parse("a: 1\nb:\n  - x\n  - 'y'\n").unwrap();
        let entries = yaml.entries().unwrap();
        assert_eq!((entries[1].pos.line, entries[1].pos.column), (2, 1));
        let Node::List(items) = &entries[1].value.node else { unreachable!() };
        assert_eq!((items[1].pos.line, items[1].pos.column), (4, 6));
    }

    #[test]
    fn refuses_what_hides_meaning() {
        for text in ["a: 1\na: 2\n", "a: &x 1\nb: *x\n", "a: !int 1\n", "{", "", "? [a]\n: b\n"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
