//! The tape and the cursor over it.

/// Index of a value in a [`Doc`]. Stable until the document is cleared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u32);

/// One entry of the tape. A member is its name ([`Node::Name`]) followed by its value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Node<'b> {
    Null,
    Bool(bool),
    /// The number's source text.
    Number(&'b str),
    Str(&'b str),
    Name(&'b str),
    /// `end` is the index after the last descendant, `count` the number of members.
    Object {
        end: u32,
        count: u32,
    },
    /// `end` is the index after the last descendant, `count` the number of elements.
    Array {
        end: u32,
        count: u32,
    },
    /// A string that was replaced by the value at this index: JSON that was parsed out of text.
    Link(u32),
}

impl Node<'_> {
    pub(crate) fn closed(object: bool, end: u32, count: u32) -> Self {
        if object { Self::Object { end, count } } else { Self::Array { end, count } }
    }
}

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `null`
    Null,
    /// `true` or `false`
    Bool,
    /// A number
    Number,
    /// A string
    String,
    /// An array
    Array,
    /// An object
    Object,
}

/// A parsed document. Reuse one for many documents: [`Doc::clear`] keeps its memory.
#[derive(Debug, Default)]
pub struct Doc<'b> {
    pub(crate) nodes: Vec<Node<'b>>,
}

impl<'b> Doc<'b> {
    /// An empty document.
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets every value, keeps the memory. Earlier [`NodeId`]s become meaningless.
    pub fn clear(&mut self) {
        self.nodes.clear();
    }

    /// Number of tape entries: names and values.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether nothing was parsed yet.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The value at `id`; `null` when there is none.
    pub fn value(&self, id: NodeId) -> Value<'_, 'b> {
        let mut at = id.0;
        // A link points forward to a value that is no link.
        if let Some(Node::Link(target)) = self.nodes.get(at as usize) {
            at = *target;
        }
        Value { doc: self, at, origin: id.0 }
    }

    /// Replaces the string at `id` by the value at `target`, which must have been parsed into this document later.
    /// The replaced node keeps its id. Anything else is ignored.
    pub fn link(&mut self, id: NodeId, target: NodeId) {
        if target.0 > id.0
            && (target.0 as usize) < self.nodes.len()
            && let Some(node @ Node::Str(_)) = self.nodes.get_mut(id.0 as usize)
        {
            *node = Node::Link(target.0);
        }
    }

    /// Visits every string value from tape entry `from` on with the name of its member, if it is one; what `rewrite`
    /// returns replaces its text.
    pub fn rewrite_strings(
        &mut self,
        from: usize,
        mut rewrite: impl FnMut(Option<&'b str>, &'b str) -> Option<&'b str>,
    ) {
        let mut name = None;
        for node in self.nodes.iter_mut().skip(from) {
            match node {
                Node::Name(text) => {
                    name = Some(*text);
                    continue;
                }
                Node::Str(text) => {
                    if let Some(new) = rewrite(name, text) {
                        *text = new;
                    }
                }
                _ => {}
            }
            name = None;
        }
    }
}

/// A value in a document.
#[derive(Clone, Copy)]
pub struct Value<'d, 'b> {
    pub(crate) doc: &'d Doc<'b>,
    pub(crate) at: u32,
    /// The index that was asked for: differs from `at` for linked values.
    pub(crate) origin: u32,
}

impl std::fmt::Debug for Value<'_, '_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut text = String::new();
        crate::write_json(*self, &mut text);
        f.write_str(&text)
    }
}

impl<'d, 'b> Value<'d, 'b> {
    fn node(self) -> Node<'b> {
        self.doc.nodes.get(self.at as usize).copied().unwrap_or(Node::Null)
    }

    /// The id under which this value is known in its parent.
    pub fn id(self) -> NodeId {
        NodeId(self.origin)
    }

    /// What it is.
    pub fn kind(self) -> Kind {
        match self.node() {
            Node::Null | Node::Link(_) => Kind::Null,
            Node::Bool(_) => Kind::Bool,
            Node::Number(_) => Kind::Number,
            Node::Str(_) | Node::Name(_) => Kind::String,
            Node::Object { .. } => Kind::Object,
            Node::Array { .. } => Kind::Array,
        }
    }

    /// Text of a string.
    pub fn as_str(self) -> Option<&'b str> {
        match self.node() {
            Node::Str(text) => Some(text),
            _ => None,
        }
    }

    /// Source text of a number, such as `1e400`.
    pub fn number_text(self) -> Option<&'b str> {
        match self.node() {
            Node::Number(text) => Some(text),
            _ => None,
        }
    }

    /// A boolean.
    pub fn as_bool(self) -> Option<bool> {
        match self.node() {
            Node::Bool(value) => Some(value),
            _ => None,
        }
    }

    /// A number written as an integer that fits 64 bits.
    pub fn as_i64(self) -> Option<i64> {
        self.number_text().and_then(|text| text.parse().ok())
    }

    /// A number as a finite float.
    pub fn as_f64(self) -> Option<f64> {
        self.number_text().and_then(|text| text.parse().ok()).filter(|value: &f64| value.is_finite())
    }

    /// Whether it is `null` (or nothing).
    pub fn is_null(self) -> bool {
        self.kind() == Kind::Null
    }

    /// Number of members or elements; 0 for a scalar.
    pub fn count(self) -> usize {
        match self.node() {
            Node::Object { count, .. } | Node::Array { count, .. } => count as usize,
            _ => 0,
        }
    }

    /// Members of an object in order, duplicates too; nothing for anything else.
    pub fn members(self) -> Members<'d, 'b> {
        let (at, end) = match self.node() {
            Node::Object { end, .. } => (self.at + 1, end),
            _ => (0, 0),
        };
        Members { doc: self.doc, at, end }
    }

    /// Elements of an array in order; nothing for anything else.
    pub fn elements(self) -> Elements<'d, 'b> {
        let (at, end) = match self.node() {
            Node::Array { end, .. } => (self.at + 1, end),
            _ => (0, 0),
        };
        Elements { doc: self.doc, at, end }
    }

    /// The member with exactly this name, the last of several.
    pub fn get(self, name: &str) -> Option<Value<'d, 'b>> {
        self.members().filter(|(key, _)| *key == name).last().map(|(_, value)| value)
    }

    /// The member with this name, else the last whose name differs only in ASCII letter case.
    pub fn get_ignore_case(self, name: &str) -> Option<Value<'d, 'b>> {
        let mut close = None;
        let mut exact = None;
        for (key, value) in self.members() {
            if key == name {
                exact = Some(value);
            } else if key.eq_ignore_ascii_case(name) {
                close = Some(value);
            }
        }
        exact.or(close)
    }

    /// The element at `index`.
    pub fn at(self, index: usize) -> Option<Value<'d, 'b>> {
        self.elements().nth(index)
    }
}

fn after(doc: &Doc<'_>, at: u32) -> u32 {
    match doc.nodes.get(at as usize) {
        Some(Node::Object { end, .. } | Node::Array { end, .. }) => *end,
        _ => at + 1,
    }
}

/// Iterator over an object's members.
#[derive(Clone)]
pub struct Members<'d, 'b> {
    doc: &'d Doc<'b>,
    at: u32,
    end: u32,
}

impl<'d, 'b> Iterator for Members<'d, 'b> {
    type Item = (&'b str, Value<'d, 'b>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.end {
            return None;
        }
        let name = match self.doc.nodes.get(self.at as usize) {
            Some(Node::Name(name)) => *name,
            _ => return None,
        };
        let value = self.doc.value(NodeId(self.at + 1));
        self.at = after(self.doc, self.at + 1);
        Some((name, value))
    }
}

/// Iterator over an array's elements.
#[derive(Clone)]
pub struct Elements<'d, 'b> {
    doc: &'d Doc<'b>,
    at: u32,
    end: u32,
}

impl<'d, 'b> Iterator for Elements<'d, 'b> {
    type Item = Value<'d, 'b>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.end {
            return None;
        }
        let value = self.doc.value(NodeId(self.at));
        self.at = after(self.doc, self.at);
        Some(value)
    }
}
