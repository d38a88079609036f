//! Paths of one scope, bound to a record in one pass over each object that they enter.
//!
//! All paths that a scope's expressions read form a trie. The first time a value's field is asked for, all of the
//! value's members are matched against the trie at once; every later path through it is a table look-up. Names match
//! exactly, else ignoring letter case; of several equal names the last counts.

use tributary_json::{Doc, Kind, NodeId};

use crate::syntax::Step;

/// A path of a scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SlotId(pub(crate) u32);

/// The record or the item itself.
pub(crate) const ITEM: SlotId = SlotId(0);

const UNBOUND: u32 = u32::MAX;
const ABSENT: u32 = u32::MAX - 1;

#[derive(Debug, Clone, Default)]
struct TrieNode {
    parent: u32,
    /// Children by name, sorted by length.
    names: Vec<(String, u32)>,
    /// Start of each length's run in `names`, by length modulo 64; `(0, 0)` for none.
    runs: Vec<(u16, u16)>,
    indices: Vec<(i64, u32)>,
}

/// The paths of one scope.
#[derive(Debug, Clone)]
pub(crate) struct Scope {
    nodes: Vec<TrieNode>,
}

impl Default for Scope {
    fn default() -> Self {
        Self { nodes: vec![TrieNode::default()] }
    }
}

impl Scope {
    /// The slot of a path, which is added when it is new.
    pub(crate) fn slot(&mut self, steps: &[Step]) -> SlotId {
        let mut at = 0u32;
        for step in steps {
            at = self.child(at, step);
        }
        SlotId(at)
    }

    fn child(&mut self, parent: u32, step: &Step) -> u32 {
        let next = u32::try_from(self.nodes.len()).unwrap_or(u32::MAX);
        let Some(node) = self.nodes.get_mut(parent as usize) else { return 0 };
        match step {
            Step::Name(name) => {
                if let Some((_, child)) = node.names.iter().find(|(known, _)| known == name) {
                    return *child;
                }
                node.names.push((name.clone(), next));
            }
            Step::Index(index) => {
                if let Some((_, child)) = node.indices.iter().find(|(known, _)| known == index) {
                    return *child;
                }
                node.indices.push((*index, next));
            }
        }
        self.nodes.push(TrieNode { parent, ..TrieNode::default() });
        next
    }

    /// Sorts the names for look-ups; call once after the last [`Scope::slot`].
    pub(crate) fn finish(&mut self) {
        for node in &mut self.nodes {
            node.names.sort_by_key(|(name, _)| (name.len() & 63, name.len()));
            node.runs = vec![(0, 0); 64];
            for (index, (name, _)) in node.names.iter().enumerate() {
                let index = u16::try_from(index).unwrap_or(u16::MAX);
                if let Some(run) = node.runs.get_mut(name.len() & 63) {
                    if run.1 == 0 {
                        run.0 = index;
                    }
                    run.1 = index + 1;
                }
            }
        }
    }

    /// Number of slots.
    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }
}

/// The bindings of nested scopes: one stack for all, so that an item of a list costs no allocation.
#[derive(Debug, Default)]
pub(crate) struct Bindings {
    slots: Vec<u32>,
}

impl Bindings {
    pub(crate) fn clear(&mut self) {
        self.slots.clear();
    }

    /// Opens a frame for `scope` on `item`; returns its base.
    pub(crate) fn push(&mut self, scope: &Scope, item: Option<NodeId>) -> usize {
        let base = self.slots.len();
        self.slots.resize(base + scope.len(), UNBOUND);
        if let Some(slot) = self.slots.get_mut(base) {
            *slot = item.map_or(ABSENT, |id| id.0);
        }
        base
    }

    /// Closes the frame at `base` and all above it.
    pub(crate) fn pop(&mut self, base: usize) {
        self.slots.truncate(base);
    }

    /// The value at a path, if there is one that is not null.
    pub(crate) fn get(&mut self, doc: &Doc<'_>, scope: &Scope, base: usize, slot: SlotId) -> Option<NodeId> {
        let bound = self.slots.get(base + slot.0 as usize).copied().unwrap_or(ABSENT);
        let bound = if bound == UNBOUND { self.bind(doc, scope, base, slot.0) } else { bound };
        (bound != ABSENT).then_some(NodeId(bound))
    }

    fn bind(&mut self, doc: &Doc<'_>, scope: &Scope, base: usize, slot: u32) -> u32 {
        // The chain of unbound ancestors is as long as the path is deep: written in a mapping file, so short.
        let parent = scope.nodes.get(slot as usize).map_or(0, |node| node.parent);
        let bound = self.slots.get(base + parent as usize).copied().unwrap_or(ABSENT);
        let bound = if bound == UNBOUND { self.bind(doc, scope, base, parent) } else { bound };
        self.bind_children(doc, scope, base, parent, bound);
        self.slots.get(base + slot as usize).copied().unwrap_or(ABSENT)
    }

    fn bind_children(&mut self, doc: &Doc<'_>, scope: &Scope, base: usize, parent: u32, value: u32) {
        let Some(node) = scope.nodes.get(parent as usize) else { return };
        for child in node.names.iter().map(|(_, child)| child).chain(node.indices.iter().map(|(_, child)| child)) {
            if let Some(slot) = self.slots.get_mut(base + *child as usize) {
                *slot = ABSENT;
            }
        }
        if value == ABSENT {
            return;
        }
        let value = doc.value(NodeId(value));
        match value.kind() {
            Kind::Object => {
                let mut exact = 0u128;
                for (name, member) in value.members() {
                    let (start, end) = node.runs.get(name.len() & 63).copied().unwrap_or_default();
                    for at in start..end {
                        let Some((wanted, child)) = node.names.get(usize::from(at)) else { break };
                        // Most names of one length differ in their first letter already.
                        if !same_first(wanted, name) {
                            continue;
                        }
                        let same = wanted == name;
                        if !same && !wanted.eq_ignore_ascii_case(name) {
                            continue;
                        }
                        let bit = 1u128.checked_shl(u32::from(at)).unwrap_or(0);
                        if !same && exact & bit != 0 {
                            continue;
                        }
                        exact |= if same { bit } else { 0 };
                        if let Some(slot) = self.slots.get_mut(base + *child as usize) {
                            *slot = if member.is_null() { ABSENT } else { member.id().0 };
                        }
                    }
                }
            }
            Kind::Array => {
                let count = i64::try_from(value.count()).unwrap_or(i64::MAX);
                for (index, child) in &node.indices {
                    let at = if *index < 0 { count + index } else { *index };
                    let found =
                        usize::try_from(at).ok().and_then(|at| value.at(at)).filter(|element| !element.is_null());
                    if let (Some(slot), Some(element)) = (self.slots.get_mut(base + *child as usize), found) {
                        *slot = element.id().0;
                    }
                }
            }
            _ => {}
        }
    }
}

/// Whether two names may be equal by their first byte, letter case aside.
fn same_first(a: &str, b: &str) -> bool {
    a.as_bytes().first().map(|byte| byte & !0x20) == b.as_bytes().first().map(|byte| byte & !0x20)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use bumpalo::Bump;
    use tributary_json::Limits;

    use super::*;
    use crate::diagnostic::Pos;
    use crate::syntax::parse_path;

    fn read(text: &str, path: &str) -> Option<String> {
        let arena = Bump::new();
        let mut doc = Doc::new();
        let root = doc.parse(text, &arena, Limits::default()).unwrap();
        let mut scope = Scope::default();
        let slot = scope.slot(&parse_path(path, Pos::default()).unwrap().steps);
        scope.finish();
        let mut bindings = Bindings::default();
        let base = bindings.push(&scope, Some(root));
        bindings.get(&doc, &scope, base, slot).map(|id| format!("{:?}", doc.value(id)))
    }

    #[test]
    fn names_match_exactly_else_ignoring_case_and_the_last_counts() {
        assert_eq!(read(r#"{"Level":1,"level":2}"#, ".level").unwrap(), "2");
        assert_eq!(read(r#"{"level":2,"Level":1}"#, ".level").unwrap(), "2");
        assert_eq!(read(r#"{"LEVEL":3}"#, ".level").unwrap(), "3");
        assert_eq!(read(r#"{"a":1,"a":2}"#, ".a").unwrap(), "2");
    }

    #[test]
    fn nested_paths_and_indices() {
        let text = r#"{"a":{"b":[10,{"c":null,"d":"x"}]}}"#;
        assert_eq!(read(text, ".a.b[0]").unwrap(), "10");
        assert_eq!(read(text, ".a.b[-1].d").unwrap(), "\"x\"");
        assert_eq!(read(text, ".a.b[1].c"), None);
        assert_eq!(read(text, ".a.b[7]"), None);
        assert_eq!(read(text, ".a.x.y.z"), None);
        assert_eq!(read("[1]", ".a"), None);
    }
}
