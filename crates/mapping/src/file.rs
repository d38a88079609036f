//! A mapping file as written: header, matches, variants, with fragments merged in, not yet checked against OCSF.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::classify::{Alternative, Test};
use crate::diagnostic::{Fault, Pos, closest};
use crate::syntax::{Path, parse_path};
use crate::yaml::{Entry, Node, Yaml};

/// One kind.
#[derive(Debug, Clone)]
pub(crate) struct MapFile {
    pub(crate) kind: String,
    pub(crate) kind_pos: Pos,
    pub(crate) title: String,
    pub(crate) matches: Vec<Alternative>,
    /// Takes what no other kind claims, and names it by the first of these paths.
    pub(crate) fallback: Option<Vec<Path>>,
    /// Whether findings of this kind go to Security Hub.
    pub(crate) security_hub: bool,
    pub(crate) parse: Vec<Path>,
    pub(crate) variants: Vec<VariantFile>,
}

/// One class that a kind's records may become.
#[derive(Debug, Clone)]
pub(crate) struct VariantFile {
    pub(crate) pos: Pos,
    pub(crate) when: Option<(String, Pos)>,
    pub(crate) class: (String, Pos),
    pub(crate) profiles: Vec<(String, Pos)>,
    pub(crate) map: Vec<Entry>,
}

const FILE_KEYS: &[&str] =
    &["kind", "title", "class", "profiles", "match", "fallback", "security_hub", "parse", "include", "map", "variants"];
const VARIANT_KEYS: &[&str] = &["when", "class", "profiles", "map"];

/// Keys that make a mapping an instruction instead of a part of the event.
const OPERATORS: &[&str] = &["from", "cases", "each", "literal"];

/// Reads a file; `fragments` are the module's `shared/<name>.yaml`, each a mapping of attributes.
pub(crate) fn read(yaml: &Yaml, fragments: &BTreeMap<String, Yaml>) -> Result<MapFile, Fault> {
    let entries = keys(yaml, FILE_KEYS)?;
    let find = |key: &str| entries.iter().find(|entry| entry.key == key);
    let Some(kind) = find("kind") else {
        return Err(Fault::new(yaml.pos, "the kind is missing").help("add `kind: name_of_the_file`"));
    };
    let mut base = Vec::new();
    if let Some(include) = find("include") {
        for (name, pos) in words(&include.value)? {
            let Some(fragment) = fragments.get(&name) else {
                let mut fault = Fault::new(pos, format!("there is no fragment shared/{name}.yaml"));
                if let Some(near) = closest(&name, fragments.keys().map(String::as_str)) {
                    fault = fault.help(format!("did you mean {near:?}?"));
                }
                return Err(fault);
            };
            base = merge(&base, mapping(fragment)?);
        }
    }
    if let Some(map) = find("map") {
        base = merge(&base, mapping(&map.value)?);
    }
    let variants = match find("variants") {
        Some(variants) => {
            if let Some(class) = find("class") {
                return Err(Fault::new(class.pos, "a file has either `class` or `variants`"));
            }
            list(&variants.value)?.iter().map(|variant| read_variant(variant, &base)).collect::<Result<_, _>>()?
        }
        None => {
            let Some(class) = find("class") else {
                return Err(
                    Fault::new(yaml.pos, "the class is missing").help("add `class: detection_finding` or `variants`")
                );
            };
            vec![VariantFile {
                pos: class.pos,
                when: None,
                class: (word(&class.value)?, class.value.pos),
                profiles: profiles(find("profiles"))?,
                map: base,
            }]
        }
    };
    let matches = match find("match") {
        Some(matches) => list(&matches.value)?.iter().map(read_alternative).collect::<Result<_, _>>()?,
        None => {
            return Err(Fault::new(yaml.pos, "the match is missing").help("add `match:` with at least one alternative"));
        }
    };
    let parse = find("parse").map(|parse| paths(&parse.value)).transpose()?.unwrap_or_default();
    let fallback = find("fallback").map(|fallback| paths(&fallback.value)).transpose()?;
    let security_hub = match find("security_hub") {
        None => true,
        Some(entry) => match entry.value.scalar() {
            Some("true") => true,
            Some("false") => false,
            _ => return Err(Fault::new(entry.value.pos, "expected true or false")),
        },
    };
    let title = find("title").map(|title| word(&title.value)).transpose()?.unwrap_or_default();
    let (name, kind_pos) = (word(&kind.value)?, kind.value.pos);
    Ok(MapFile { kind: name, kind_pos, title, matches, fallback, security_hub, parse, variants })
}

/// One path or a list of paths.
pub(crate) fn paths(yaml: &Yaml) -> Result<Vec<Path>, Fault> {
    words(yaml)?.iter().map(|(text, pos)| parse_path(text, *pos)).collect()
}

fn read_variant(yaml: &Yaml, base: &[Entry]) -> Result<VariantFile, Fault> {
    let entries = keys(yaml, VARIANT_KEYS)?;
    let find = |key: &str| entries.iter().find(|entry| entry.key == key);
    let Some(class) = find("class") else { return Err(Fault::new(yaml.pos, "the variant's class is missing")) };
    let when = match find("when") {
        Some(when) => Some((word(&when.value)?, when.value.pos)),
        None => None,
    };
    let own = match find("map") {
        Some(map) => mapping(&map.value)?,
        None => &[],
    };
    Ok(VariantFile {
        pos: yaml.pos,
        when,
        class: (word(&class.value)?, class.value.pos),
        profiles: profiles(find("profiles"))?,
        map: merge(base, own),
    })
}

fn profiles(entry: Option<&Entry>) -> Result<Vec<(String, Pos)>, Fault> {
    match entry {
        Some(entry) => words(&entry.value),
        None => Ok(["cloud", "datetime"].map(|name| (name.to_owned(), Pos::default())).to_vec()),
    }
}

pub(crate) fn read_alternative(yaml: &Yaml) -> Result<Alternative, Fault> {
    let entries = mapping(yaml)?;
    if entries.is_empty() {
        return Err(Fault::new(yaml.pos, "an alternative without tests would match every record"));
    }
    let mut tests = Vec::new();
    for entry in entries {
        let path = parse_path(&format!(".{}", entry.key), entry.pos)?;
        let test = match &entry.value.node {
            Node::Scalar { text, plain: true } if text == "present" => Test::Present,
            Node::Scalar { text, plain: true } if text == "absent" => Test::Absent,
            Node::Map(_) => {
                return Err(Fault::new(entry.value.pos, "expected a word, a list of words, present or absent"));
            }
            _ => Test::words(words(&entry.value)?.into_iter().map(|(word, _)| word)),
        };
        tests.push((path.steps, test));
    }
    Ok(Alternative { pos: yaml.pos, tests })
}

/// `over` on top of `base`: mappings are merged key by key, everything else is replaced.
fn merge(base: &[Entry], over: &[Entry]) -> Vec<Entry> {
    let mut merged = base.to_vec();
    for entry in over {
        match merged.iter_mut().find(|known| known.key == entry.key) {
            Some(known) => match (&known.value.node, &entry.value.node) {
                (Node::Map(old), Node::Map(new)) if !is_operator(old) && !is_operator(new) => {
                    known.value.node = Node::Map(Arc::new(merge(old, new)));
                }
                _ => *known = entry.clone(),
            },
            None => merged.push(entry.clone()),
        }
    }
    merged
}

fn is_operator(entries: &[Entry]) -> bool {
    entries.iter().any(|entry| OPERATORS.contains(&entry.key.as_str()))
}

/// The entries of a mapping that has none but `known` keys.
pub(crate) fn keys<'y>(yaml: &'y Yaml, known: &[&str]) -> Result<&'y [Entry], Fault> {
    let entries = mapping(yaml)?;
    for entry in entries {
        if !known.contains(&entry.key.as_str()) {
            let mut fault = Fault::new(entry.pos, format!("unknown key {:?}", entry.key));
            fault = match closest(&entry.key, known.iter().copied()) {
                Some(near) => fault.help(format!("did you mean {near:?}?")),
                None => fault.help(format!("known keys are {}", known.join(", "))),
            };
            return Err(fault);
        }
    }
    Ok(entries)
}

pub(crate) fn mapping(yaml: &Yaml) -> Result<&[Entry], Fault> {
    yaml.entries().ok_or_else(|| Fault::new(yaml.pos, format!("expected a mapping, found {}", yaml.what())))
}

pub(crate) fn list(yaml: &Yaml) -> Result<&[Yaml], Fault> {
    match &yaml.node {
        Node::List(items) => Ok(items),
        _ => Err(Fault::new(yaml.pos, format!("expected a list, found {}", yaml.what()))),
    }
}

pub(crate) fn word(yaml: &Yaml) -> Result<String, Fault> {
    match yaml.scalar() {
        Some(text) if !text.is_empty() => Ok(text.to_owned()),
        _ => Err(Fault::new(yaml.pos, format!("expected a word, found {}", yaml.what()))),
    }
}

/// One word or a list of words.
pub(crate) fn words(yaml: &Yaml) -> Result<Vec<(String, Pos)>, Fault> {
    match &yaml.node {
        Node::List(items) => items.iter().map(|item| Ok((word(item)?, item.pos))).collect(),
        _ => Ok(vec![(word(yaml)?, yaml.pos)]),
    }
}
