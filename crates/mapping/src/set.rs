//! A mapping set: every kind of one or more modules, compiled and checked for one OCSF version.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use sha2::{Digest, Sha256};
use tributary_json::{Doc, NodeId};
use tributary_ocsf::{Schema, Version};

use crate::classify::Classifier;
use crate::compile::{Library, compile};
use crate::diagnostic::{Diagnostic, Fault, Pos};
use crate::file::{self, MapFile, keys, mapping, word};
use crate::function::Function;
use crate::mapper::library;
use crate::plan::{CondPlan, Lookup, Plan};
use crate::rules::{self, Rules};
use crate::scope::{Bindings, Scope, SlotId};
use crate::syntax::Path;
use crate::yaml::{self, Node, Yaml};

/// The texts of a set's files by their path below the mappings folder: `<kind>.yaml`, `shared/<name>.yaml`,
/// `lookups/<table>.yaml`, `module.yaml`, and the cases.
pub type Sources = BTreeMap<String, String>;

/// A kind, compiled.
#[derive(Debug)]
pub struct Kind {
    /// Its name.
    pub name: String,
    /// Its title, for the documentation.
    pub title: String,
    /// Its file.
    pub file: String,
    /// The classes that its records become.
    pub variants: Vec<Variant>,
    /// Whether its findings go to Security Hub: not those that repeat another kind's.
    pub security_hub: bool,
    /// Strings to open as JSON before mapping, in the file's order.
    pub(crate) parse: Vec<(Scope, SlotId)>,
    /// For a general kind: paths of which the first with a value names the record's category.
    pub(crate) category: Option<Vec<(Scope, SlotId)>>,
}

impl Kind {
    /// Whether it takes what no other kind claims.
    pub fn is_general(&self) -> bool {
        self.category.is_some()
    }
}

/// One class of a kind.
#[derive(Debug)]
pub struct Variant {
    /// Name of the class.
    pub class: String,
    pub(crate) when: Option<CondPlan>,
    pub(crate) pos: Pos,
    /// The condition as written.
    pub when_text: Option<String>,
    pub(crate) plan: Plan,
}

/// Compiled kinds with what tells them apart.
#[derive(Debug)]
pub struct MappingSet {
    schema: &'static Schema,
    kinds: Vec<Kind>,
    classifier: Classifier,
    /// Asked where no other kind claims a record.
    fallback: Classifier,
    rules: Rules,
    /// Lookup tables that no map reads.
    pub(crate) unread: Vec<String>,
    /// Names of the fragments, which places in them number from 1.
    pub(crate) fragments: Vec<String>,
    digest: String,
}

impl MappingSet {
    /// Compiles the files for a version. `functions` are the module's own.
    ///
    /// # Errors
    /// Every fault of every file: a set with a fault does not exist.
    pub fn compile(sources: &Sources, functions: &[Function], version: Version) -> Result<Self, Vec<Diagnostic>> {
        let schema = Schema::get(version);
        let mut faults = Vec::new();
        let (mut fragments, mut lookups, mut files) = (BTreeMap::new(), HashMap::new(), Vec::new());
        let mut rules = Rules::default();
        for (path, text) in sources {
            let Some(stem) = path.strip_suffix(".yaml") else { continue };
            let parsed = match yaml::parse(text) {
                Ok(yaml) => yaml,
                Err(fault) => {
                    faults.push(fault.in_file(path, &[]));
                    continue;
                }
            };
            let result = match stem.split_once('/') {
                Some(("shared", name)) => {
                    fragments.insert(name.to_owned(), parsed);
                    Ok(())
                }
                Some(("lookups", _)) => read_lookup(&parsed).map(|lookup| {
                    lookups.insert(lookup.name.clone(), Arc::new(lookup));
                }),
                None if stem == "module" => rules::read(&parsed).map(|read| rules = read),
                None => {
                    files.push((path, stem, parsed));
                    Ok(())
                }
                Some(_) => Ok(()),
            };
            if let Err(fault) = result {
                faults.push(fault.in_file(path, &[]));
            }
        }
        let names: Vec<String> = fragments.keys().cloned().collect();
        for (number, fragment) in (1..).zip(fragments.values_mut()) {
            fragment.mark(number);
        }
        let functions = library(functions);
        let read_lookups = RefCell::default();
        let library = Library { schema, functions: &functions, lookups: &lookups, read_lookups: &read_lookups };
        let (mut kinds, mut read): (Vec<Kind>, Vec<(&str, MapFile)>) = (Vec::new(), Vec::new());
        for (path, stem, parsed) in &files {
            match file::read(parsed, &fragments) {
                Ok(map_file) => {
                    if map_file.kind != *stem {
                        let fault = Fault::new(map_file.kind_pos, format!("kind {:?} stands in {path}", map_file.kind))
                            .help("the file is named after its kind");
                        faults.push(fault.in_file(path, &names));
                    }
                    kinds.push(compile_kind(&library, path, &map_file, &names, &mut faults));
                    read.push((path, map_file));
                }
                Err(fault) => faults.push(fault.in_file(path, &names)),
            }
        }
        check_overlap(&read, &mut faults);
        if !faults.is_empty() {
            return Err(faults);
        }
        let claims = |fallback: bool| {
            let files = read.iter().enumerate().filter(move |(_, (_, file))| file.fallback.is_some() == fallback);
            Classifier::new(files.flat_map(|(kind, (_, file))| file.matches.iter().map(move |alt| (kind, alt))))
        };
        let (classifier, fallback) = (claims(false), claims(true));
        let read_lookups = read_lookups.into_inner();
        let mut unread: Vec<String> = lookups.into_keys().filter(|name| !read_lookups.contains(name)).collect();
        unread.sort();
        Ok(Self { schema, kinds, classifier, fallback, rules, unread, fragments: names, digest: digest(sources) })
    }

    /// The OCSF tables that the set was compiled against.
    pub fn schema(&self) -> &'static Schema {
        self.schema
    }

    /// The kinds, by name.
    pub fn kinds(&self) -> &[Kind] {
        &self.kinds
    }

    /// The [`digest`] of the files that the set was compiled from: stamped on what the set makes.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Every attribute path that some kind may set on a class: dotted, without indices.
    pub fn targets(&self, class: &str) -> BTreeSet<String> {
        let mut paths = BTreeSet::new();
        for variant in self.kinds.iter().flat_map(|kind| &kind.variants).filter(|variant| variant.class == class) {
            crate::describe::targets(self.schema, &variant.plan, &mut paths);
        }
        paths
    }

    /// Names of the classes that some kind's records may become.
    pub fn classes(&self) -> BTreeSet<&str> {
        self.kinds.iter().flat_map(|kind| &kind.variants).map(|variant| variant.class.as_str()).collect()
    }

    pub(crate) fn rules(&self) -> &Rules {
        &self.rules
    }

    pub(crate) fn classify<'s>(&'s self, doc: &Doc<'_>, record: NodeId, bindings: &mut Bindings) -> Option<&'s Kind> {
        self.classifier.classify(doc, record, bindings).and_then(|kind| self.kinds.get(kind))
    }

    /// The general kind of a record that no other kind claims.
    pub(crate) fn general<'s>(&'s self, doc: &Doc<'_>, record: NodeId, bindings: &mut Bindings) -> Option<&'s Kind> {
        self.fallback.classify(doc, record, bindings).and_then(|kind| self.kinds.get(kind))
    }

    pub(crate) fn describe_record(&self, doc: &Doc<'_>, record: NodeId, bindings: &mut Bindings) -> Option<String> {
        self.classifier.describe(doc, record, bindings)
    }
}

fn compile_kind(
    library: &Library<'_>,
    path: &str,
    file: &MapFile,
    names: &[String],
    faults: &mut Vec<Diagnostic>,
) -> Kind {
    let mut variants = Vec::new();
    let last = file.variants.len().saturating_sub(1);
    for (index, variant) in file.variants.iter().enumerate() {
        if variant.when.is_none() && index < last {
            faults.push(
                Fault::new(variant.pos, "a variant without `when` takes everything: it must be the last")
                    .in_file(path, names),
            );
        }
        match compile(library, variant) {
            Ok((plan, when)) => variants.push(Variant {
                class: variant.class.0.clone(),
                when,
                pos: variant.pos,
                when_text: variant.when.as_ref().map(|(text, _)| text.clone()),
                plan,
            }),
            Err(found) => faults.extend(found.into_iter().map(|fault| fault.in_file(path, names))),
        }
    }
    Kind {
        name: file.kind.clone(),
        title: file.title.clone(),
        file: path.to_owned(),
        variants,
        security_hub: file.security_hub,
        parse: file.parse.iter().map(bound).collect(),
        category: file.fallback.as_ref().map(|paths| paths.iter().map(bound).collect()),
    }
}

/// A path with a scope of its own.
fn bound(path: &Path) -> (Scope, SlotId) {
    let mut scope = Scope::default();
    let slot = scope.slot(&path.steps);
    scope.finish();
    (scope, slot)
}

/// Every two alternatives of different kinds must exclude each other; general kinds are asked after all others.
fn check_overlap(files: &[(&str, MapFile)], faults: &mut Vec<Diagnostic>) {
    for (index, (path, file)) in files.iter().enumerate() {
        let rivals = files.iter().take(index).filter(|(_, other)| other.fallback.is_some() == file.fallback.is_some());
        for (_, other) in rivals {
            for alternative in &file.matches {
                for other_alternative in &other.matches {
                    if !alternative.excludes(other_alternative) {
                        let fault = Fault::new(
                            alternative.pos,
                            format!("a record could be {} and {}", file.kind, other.kind),
                        )
                        .help("test one path in both with values that exclude each other, such as present and absent");
                        faults.push(fault.in_file(path, &[]));
                    }
                }
            }
        }
    }
}

fn read_lookup(yaml: &Yaml) -> Result<Lookup, Fault> {
    let entries = keys(yaml, &["table", "source", "rows"])?;
    let find = |key: &str| entries.iter().find(|entry| entry.key == key);
    let missing = |key: &str| Fault::new(yaml.pos, format!("the table's `{key}` is missing"));
    let name = word(&find("table").ok_or_else(|| missing("table"))?.value)?;
    word(&find("source").ok_or_else(|| missing("source").help("say where the values come from"))?.value)?;
    let rows = mapping(&find("rows").ok_or_else(|| missing("rows"))?.value)?;
    let mut lookup = Lookup { name, ..Lookup::default() };
    for row in rows {
        for cell in mapping(&row.value)? {
            if !lookup.columns.contains(&cell.key) {
                lookup.columns.push(cell.key.clone());
            }
        }
    }
    for row in rows {
        let cells = mapping(&row.value)?;
        let values = lookup
            .columns
            .iter()
            .map(|column| match cells.iter().find(|cell| cell.key == *column).map(|cell| &cell.value) {
                None => Ok(None),
                Some(Yaml { node: Node::Scalar { text, .. }, .. }) => Ok(Some(text.clone())),
                Some(other) => Err(Fault::new(other.pos, "a cell is a word")),
            })
            .collect::<Result<Vec<_>, _>>()?;
        if lookup.rows.insert(row.key.to_lowercase(), values).is_some() {
            return Err(Fault::new(row.pos, "this key stands twice, letter case ignored"));
        }
    }
    Ok(lookup)
}

/// SHA-256 over the files that mean something to mapping (`*.yaml`), as hex: what [`MappingSet::digest`] says of the set that
/// they make.
pub fn digest(sources: &Sources) -> String {
    let mut hasher = Sha256::new();
    for (path, text) in sources.iter().filter(|(path, _)| path.ends_with(".yaml")) {
        // Lengths keep two different sets from running into the same bytes.
        hasher.update(format!("{}:{}:", path.len(), text.len()));
        hasher.update(path);
        hasher.update(text);
    }
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
