//! What a module says of its input as a whole: wrappers, and records that no map is for.

use tributary_json::{Doc, NodeId, write_json, write_json_string};

use crate::classify::{Alternative, Classifier};
use crate::diagnostic::Fault;
use crate::file::{keys, list, mapping, paths, read_alternative, word, words};
use crate::outcome::Reason;
use crate::scope::{Bindings, Scope, SlotId};
use crate::yaml::{Entry, Yaml};

/// Longest message of a route in bytes: what is longer is no notification, and is mapped like any record.
const MAX_ROUTED: usize = 16 * 1024;

/// `module.yaml`, compiled.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    /// Members of a wrapper object that hold its records.
    pub(crate) wrappers: Vec<String>,
    /// Asked before any kind.
    aside: Classifier,
    rules: Vec<Rule>,
    /// Asked where no kind but a general one claims a record.
    refused: Classifier,
    refusals: Vec<(Reason, String)>,
}

/// One rule of `skip` or `route`.
#[derive(Debug)]
struct Rule {
    name: String,
    /// For a route: members of its message, each the first of some paths that has a value.
    message: Option<Vec<(String, Vec<SlotId>)>>,
    scope: Scope,
}

/// What a rule does with a record.
#[derive(Debug)]
pub(crate) enum Aside<'b> {
    /// Counted and left out.
    Skip { rule: &'b str },
    /// Handed on as this message.
    Route { rule: &'b str, message: &'b str },
}

impl Rules {
    /// Why a record that no kind claims is none for the general map either.
    pub(crate) fn refusal(&self, doc: &Doc<'_>, record: NodeId, bindings: &mut Bindings) -> Option<&(Reason, String)> {
        self.refused.classify(doc, record, bindings).and_then(|rule| self.refusals.get(rule))
    }

    /// The rule that takes a record before any kind is asked.
    pub(crate) fn aside<'b>(
        &'b self,
        doc: &Doc<'b>,
        record: NodeId,
        arena: &'b bumpalo::Bump,
        bindings: &mut Bindings,
    ) -> Option<Aside<'b>> {
        let rule = self.rules.get(self.aside.classify(doc, record, bindings)?)?;
        let Some(members) = &rule.message else { return Some(Aside::Skip { rule: &rule.name }) };
        bindings.clear();
        let base = bindings.push(&rule.scope, Some(record));
        let mut message = String::from("{");
        for (name, paths) in members {
            let found = paths.iter().find_map(|slot| bindings.get(doc, &rule.scope, base, *slot));
            let Some(found) = found else { continue };
            if message.len() > 1 {
                message.push(',');
            }
            write_json_string(name, &mut message);
            message.push(':');
            write_json(doc.value(found), &mut message);
        }
        message.push('}');
        if message.len() > MAX_ROUTED {
            return None;
        }
        Some(Aside::Route { rule: &rule.name, message: arena.alloc_str(&message) })
    }
}

/// Reads `module.yaml`.
pub(crate) fn read(yaml: &Yaml) -> Result<Rules, Fault> {
    let entries = keys(yaml, &["wrappers", "refuse", "skip", "route"])?;
    let find = |key: &str| entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value);
    let items = |key: &str| find(key).map_or(Ok(&[][..]), list);
    let wrappers = find("wrappers").map(words).transpose()?.unwrap_or_default();
    let (mut refusals, mut refused) = (Vec::new(), Vec::new());
    for item in items("refuse")? {
        let (refusal, matches) = read_refusal(item)?;
        refused.extend(matches.into_iter().map(|alternative| (refusals.len(), alternative)));
        refusals.push(refusal);
    }
    let (mut rules, mut claims) = (Vec::new(), Vec::new());
    for (item, is_route) in
        items("skip")?.iter().map(|item| (item, false)).chain(items("route")?.iter().map(|item| (item, true)))
    {
        let (rule, matches) = read_rule(item, is_route)?;
        claims.extend(matches.into_iter().map(|alternative| (rules.len(), alternative)));
        rules.push(rule);
    }
    Ok(Rules {
        wrappers: wrappers.into_iter().map(|(word, _)| word).collect(),
        aside: classifier(&claims),
        rules,
        refused: classifier(&refused),
        refusals,
    })
}

fn classifier(claims: &[(usize, Alternative)]) -> Classifier {
    Classifier::new(claims.iter().map(|(rule, alternative)| (*rule, alternative)))
}

/// The value of a key that a rule must have.
fn need<'y>(yaml: &'y Yaml, entries: &'y [Entry], key: &str) -> Result<&'y Yaml, Fault> {
    let entry = entries.iter().find(|entry| entry.key == key);
    entry.map(|entry| &entry.value).ok_or_else(|| Fault::new(yaml.pos, format!("the rule's `{key}` is missing")))
}

fn read_matches(yaml: &Yaml, entries: &[Entry]) -> Result<Vec<Alternative>, Fault> {
    list(need(yaml, entries, "match")?)?.iter().map(read_alternative).collect()
}

fn read_refusal(yaml: &Yaml) -> Result<((Reason, String), Vec<Alternative>), Fault> {
    let entries = keys(yaml, &["reason", "detail", "match"])?;
    let (name, detail) = (need(yaml, entries, "reason")?, need(yaml, entries, "detail")?);
    let reason = word(name)?;
    let Some(reason) = Reason::ALL.into_iter().find(|known| known.as_str() == reason) else {
        let known: Vec<&str> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        return Err(
            Fault::new(name.pos, format!("{reason:?} is no reason")).help(format!("use one of {}", known.join(", ")))
        );
    };
    Ok(((reason, word(detail)?), read_matches(yaml, entries)?))
}

fn read_rule(yaml: &Yaml, is_route: bool) -> Result<(Rule, Vec<Alternative>), Fault> {
    let known: &[&str] = if is_route { &["rule", "match", "message"] } else { &["rule", "match"] };
    let entries = keys(yaml, known)?;
    let matches = read_matches(yaml, entries)?;
    let mut scope = Scope::default();
    let message = if is_route {
        let mut members = Vec::new();
        for entry in mapping(need(yaml, entries, "message")?)? {
            let slots = paths(&entry.value)?.iter().map(|path| scope.slot(&path.steps)).collect();
            members.push((entry.key.clone(), slots));
        }
        Some(members)
    } else {
        None
    };
    scope.finish();
    Ok((Rule { name: word(need(yaml, entries, "rule")?)?, message, scope }, matches))
}
