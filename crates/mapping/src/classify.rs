//! Which kind a record is: alternatives of simple tests, so that overlaps can be proven absent.

use std::collections::HashMap;

use tributary_json::{Doc, Kind, NodeId};

use crate::diagnostic::Pos;
use crate::scope::{Bindings, Scope, SlotId};
use crate::syntax::Step;

/// One alternative of a `match`: all of its tests must hold.
#[derive(Debug, Clone)]
pub(crate) struct Alternative {
    pub(crate) pos: Pos,
    pub(crate) tests: Vec<(Vec<Step>, Test)>,
}

/// What a path must be.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Test {
    Present,
    Absent,
    /// One of these words, or with one of these beginnings, or with one of these parts, in lower case.
    Words {
        exact: Vec<String>,
        prefixes: Vec<String>,
        parts: Vec<String>,
    },
}

impl Test {
    /// Words; one with a trailing `*` is a prefix, one between two is a part.
    pub(crate) fn words(words: impl Iterator<Item = String>) -> Self {
        let (mut exact, mut prefixes, mut parts) = (Vec::new(), Vec::new(), Vec::new());
        for word in words {
            let word = word.to_lowercase();
            match word.strip_suffix('*') {
                Some(rest) => match rest.strip_prefix('*') {
                    Some(part) => parts.push(part.to_owned()),
                    None => prefixes.push(rest.to_owned()),
                },
                None => exact.push(word),
            }
        }
        Self::Words { exact, prefixes, parts }
    }

    fn holds(&self, text: &Found<'_>) -> bool {
        match (self, text) {
            (Self::Present, found) => !matches!(found, Found::Nothing),
            (Self::Absent, found) => matches!(found, Found::Nothing),
            (Self::Words { exact, prefixes, parts }, Found::Text(text)) => {
                exact.iter().any(|word| word.eq_ignore_ascii_case(text))
                    || prefixes
                        .iter()
                        .any(|prefix| text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix)))
                    || parts.iter().any(|part| contains(text, part))
            }
            (Self::Words { .. }, _) => false,
        }
    }

    /// Whether no value can pass both.
    fn excludes(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Absent, Self::Present | Self::Words { .. }) | (Self::Present | Self::Words { .. }, Self::Absent) => {
                true
            }
            (Self::Words { exact: a, prefixes: pa, parts: ca }, Self::Words { exact: b, prefixes: pb, parts: cb }) => {
                let takes = |word: &String, exact: &[String], prefixes: &[String], parts: &[String]| {
                    exact.contains(word)
                        || prefixes.iter().any(|prefix| word.starts_with(prefix))
                        || parts.iter().any(|part| word.contains(part))
                };
                // A text may begin with one thing and contain any other.
                let open = |parts: &[String], prefixes: &[String], other: &[String]| {
                    !(parts.is_empty() || (prefixes.is_empty() && other.is_empty()))
                };
                let overlap = a.iter().any(|word| takes(word, b, pb, cb))
                    || b.iter().any(|word| takes(word, a, pa, ca))
                    || pa.iter().any(|x| pb.iter().any(|y| x.starts_with(y) || y.starts_with(x)))
                    || open(ca, pb, cb)
                    || open(cb, pa, ca);
                !overlap
            }
            _ => false,
        }
    }
}

/// Whether `part`, in lower case, stands in `text` in any case. Only ASCII letters have a case here.
fn contains(text: &str, part: &str) -> bool {
    let (text, part) = (text.as_bytes(), part.as_bytes());
    part.is_empty() || text.windows(part.len()).any(|window| window.eq_ignore_ascii_case(part))
}

impl Alternative {
    /// Whether no record can pass both: some path is tested by both, and no value passes both tests.
    pub(crate) fn excludes(&self, other: &Self) -> bool {
        self.tests.iter().any(|(path, test)| {
            other.tests.iter().any(|(other_path, other_test)| {
                (same_path(path, other_path) && test.excludes(other_test))
                    || shuts_out(path, test, other_path, other_test)
                    || shuts_out(other_path, other_test, path, test)
            })
        })
    }
}

/// Whether a test on `path` leaves nothing below it for a test on `deeper`: a word has no members, nor has what is absent.
fn shuts_out(path: &[Step], test: &Test, deeper: &[Step], below: &Test) -> bool {
    let beginning = deeper.get(..path.len()).filter(|_| deeper.len() > path.len());
    !matches!(test, Test::Present)
        && !matches!(below, Test::Absent)
        && beginning.is_some_and(|start| same_path(path, start))
}

fn same_path(a: &[Step], b: &[Step]) -> bool {
    a.len() == b.len()
        && a.iter().zip(b).all(|(a, b)| match (a, b) {
            (Step::Name(a), Step::Name(b)) => a.eq_ignore_ascii_case(b),
            (a, b) => a == b,
        })
}

enum Found<'b> {
    Nothing,
    Text(&'b str),
    Other,
}

/// All alternatives of a set, indexed by their first word test.
#[derive(Debug, Default)]
pub(crate) struct Classifier {
    scope: Scope,
    alternatives: Vec<(usize, Vec<(SlotId, Test)>)>,
    /// Alternatives by a path and a word that it must be.
    by_word: Vec<(SlotId, HashMap<String, Vec<usize>>)>,
    /// Alternatives without such a test.
    rest: Vec<usize>,
    /// Paths whose words tell kinds apart, for messages.
    named: Vec<(String, SlotId)>,
}

impl Classifier {
    /// `alternatives` are (kind, alternative) pairs.
    pub(crate) fn new<'a>(alternatives: impl Iterator<Item = (usize, &'a Alternative)>) -> Self {
        let mut classifier = Self::default();
        for (kind, alternative) in alternatives {
            let index = classifier.alternatives.len();
            let tests: Vec<(SlotId, Test)> =
                alternative.tests.iter().map(|(path, test)| (classifier.scope.slot(path), test.clone())).collect();
            for (path, test) in &alternative.tests {
                if let (Test::Words { .. }, [Step::Name(name)]) = (test, path.as_slice()) {
                    let slot = classifier.scope.slot(path);
                    if !classifier.named.iter().any(|(_, known)| *known == slot) {
                        classifier.named.push((name.clone(), slot));
                    }
                }
            }
            let indexed = tests.iter().find_map(|(slot, test)| match test {
                Test::Words { exact, prefixes, parts } if prefixes.is_empty() && parts.is_empty() => {
                    Some((*slot, exact))
                }
                _ => None,
            });
            match indexed {
                Some((slot, words)) => {
                    let position = classifier.by_word.iter().position(|(known, _)| *known == slot);
                    let position = position.unwrap_or_else(|| {
                        classifier.by_word.push((slot, HashMap::new()));
                        classifier.by_word.len() - 1
                    });
                    if let Some((_, map)) = classifier.by_word.get_mut(position) {
                        for word in words {
                            map.entry(word.clone()).or_default().push(index);
                        }
                    }
                }
                None => classifier.rest.push(index),
            }
            classifier.alternatives.push((kind, tests));
        }
        classifier.scope.finish();
        classifier
    }

    /// The kind of a record.
    pub(crate) fn classify(&self, doc: &Doc<'_>, record: NodeId, bindings: &mut Bindings) -> Option<usize> {
        bindings.clear();
        let base = bindings.push(&self.scope, Some(record));
        for (slot, words) in &self.by_word {
            let Found::Text(text) = self.find(doc, bindings, base, *slot) else { continue };
            let lower;
            let key = if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
                lower = text.to_ascii_lowercase();
                &lower
            } else {
                text
            };
            for index in words.get(key).into_iter().flatten() {
                if let Some(kind) = self.test(doc, bindings, base, *index) {
                    return Some(kind);
                }
            }
        }
        self.rest.iter().find_map(|index| self.test(doc, bindings, base, *index))
    }

    /// What the record says of its own kind, such as `category "StorageRead"`, cut short.
    pub(crate) fn describe(&self, doc: &Doc<'_>, record: NodeId, bindings: &mut Bindings) -> Option<String> {
        bindings.clear();
        let base = bindings.push(&self.scope, Some(record));
        self.named.iter().find_map(|(name, slot)| match self.find(doc, bindings, base, *slot) {
            Found::Text(text) => Some(format!("{name} {:?}", text.chars().take(80).collect::<String>())),
            _ => None,
        })
    }

    fn test(&self, doc: &Doc<'_>, bindings: &mut Bindings, base: usize, index: usize) -> Option<usize> {
        let (kind, tests) = self.alternatives.get(index)?;
        let all = tests.iter().all(|(slot, test)| test.holds(&self.find(doc, bindings, base, *slot)));
        all.then_some(*kind)
    }

    fn find<'b>(&self, doc: &Doc<'b>, bindings: &mut Bindings, base: usize, slot: SlotId) -> Found<'b> {
        match bindings.get(doc, &self.scope, base, slot) {
            None => Found::Nothing,
            Some(id) => {
                let value = doc.value(id);
                match value.kind() {
                    Kind::String => value.as_str().map_or(Found::Other, |text| Found::Text(text.trim())),
                    Kind::Number => value.number_text().map_or(Found::Other, Found::Text),
                    _ => Found::Other,
                }
            }
        }
    }
}
