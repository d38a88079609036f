//! A mapping set: every kind of one or more modules, compiled and checked for one OCSF version.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use sha2::{Digest, Sha256};
use tributary_json::{Doc, NodeId};
use tributary_ocsf::{Schema, Version};

use crate::classify::{Alternative, Classifier};
use crate::compile::{Library, compile};
use crate::diagnostic::{Diagnostic, Fault};
use crate::file::{self, MapFile, keys, list, mapping, word, words};
use crate::function::Function;
use crate::mapper::library;
use crate::plan::{CondPlan, Lookup, Plan};
use crate::scope::{Bindings, Scope, SlotId};
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
    /// Strings to open as JSON before mapping, in the file's order.
    pub(crate) parse: Vec<(Scope, SlotId)>,
}

/// One class of a kind.
#[derive(Debug)]
pub struct Variant {
    /// Name of the class.
    pub class: String,
    pub(crate) when: Option<CondPlan>,
    /// The condition as written.
    pub when_text: Option<String>,
    pub(crate) plan: Plan,
}

/// What `module.yaml` says of a module's input as a whole.
#[derive(Debug, Default)]
struct Module {
    wrappers: Vec<String>,
    not_logs: Vec<Alternative>,
}

/// Compiled kinds with what tells them apart.
#[derive(Debug)]
pub struct MappingSet {
    schema: &'static Schema,
    kinds: Vec<Kind>,
    classifier: Classifier,
    not_logs: Classifier,
    wrappers: Vec<String>,
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
        let mut module = Module::default();
        for (path, text) in sources {
            let Some(stem) = path.strip_suffix(".yaml") else { continue };
            let parsed = match yaml::parse(text) {
                Ok(yaml) => yaml,
                Err(fault) => {
                    faults.push(fault.in_file(path));
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
                None if stem == "module" => read_module(&parsed).map(|read| module = read),
                None => {
                    files.push((path, stem, parsed));
                    Ok(())
                }
                Some(_) => Ok(()),
            };
            if let Err(fault) = result {
                faults.push(fault.in_file(path));
            }
        }
        let functions = library(functions);
        let library = Library { schema, functions: &functions, lookups: &lookups };
        let (mut kinds, mut read): (Vec<Kind>, Vec<(&str, MapFile)>) = (Vec::new(), Vec::new());
        for (path, stem, parsed) in &files {
            match file::read(parsed, &fragments) {
                Ok(map_file) => {
                    if map_file.kind != *stem {
                        let fault = Fault::new(map_file.kind_pos, format!("kind {:?} stands in {path}", map_file.kind))
                            .help("the file is named after its kind");
                        faults.push(fault.in_file(path));
                    }
                    kinds.push(compile_kind(&library, path, &map_file, &mut faults));
                    read.push((path, map_file));
                }
                Err(fault) => faults.push(fault.in_file(path)),
            }
        }
        check_overlap(&read, &mut faults);
        if !faults.is_empty() {
            return Err(faults);
        }
        let claims = read.iter().enumerate();
        let classifier =
            Classifier::new(claims.flat_map(|(kind, (_, file))| file.matches.iter().map(move |alt| (kind, alt))));
        let not_logs = Classifier::new(module.not_logs.iter().map(|alternative| (0, alternative)));
        Ok(Self { schema, kinds, classifier, not_logs, wrappers: module.wrappers, digest: digest(sources) })
    }

    /// The OCSF tables that the set was compiled against.
    pub fn schema(&self) -> &'static Schema {
        self.schema
    }

    /// The kinds, by name.
    pub fn kinds(&self) -> &[Kind] {
        &self.kinds
    }

    /// SHA-256 over the files that mean something to mapping, as hex: stamped on what the set makes.
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

    pub(crate) fn wrappers(&self) -> &[String] {
        &self.wrappers
    }

    pub(crate) fn classify<'s>(&'s self, doc: &Doc<'_>, record: NodeId, bindings: &mut Bindings) -> Option<&'s Kind> {
        self.classifier.classify(doc, record, bindings).and_then(|kind| self.kinds.get(kind))
    }

    pub(crate) fn is_not_a_log(&self, doc: &Doc<'_>, record: NodeId, bindings: &mut Bindings) -> bool {
        self.not_logs.classify(doc, record, bindings).is_some()
    }

    pub(crate) fn describe_record(&self, doc: &Doc<'_>, record: NodeId, bindings: &mut Bindings) -> Option<String> {
        self.classifier.describe(doc, record, bindings)
    }
}

fn compile_kind(library: &Library<'_>, path: &str, file: &MapFile, faults: &mut Vec<Diagnostic>) -> Kind {
    let mut variants = Vec::new();
    let last = file.variants.len().saturating_sub(1);
    for (index, variant) in file.variants.iter().enumerate() {
        if variant.when.is_none() && index < last {
            faults.push(
                Fault::new(variant.pos, "a variant without `when` takes everything: it must be the last").in_file(path),
            );
        }
        match compile(library, variant) {
            Ok((plan, when)) => variants.push(Variant {
                class: variant.class.0.clone(),
                when,
                when_text: variant.when.as_ref().map(|(text, _)| text.clone()),
                plan,
            }),
            Err(found) => faults.extend(found.into_iter().map(|fault| fault.in_file(path))),
        }
    }
    let parse = file
        .parse
        .iter()
        .map(|path| {
            let mut scope = Scope::default();
            let slot = scope.slot(&path.steps);
            scope.finish();
            (scope, slot)
        })
        .collect();
    Kind { name: file.kind.clone(), title: file.title.clone(), file: path.to_owned(), variants, parse }
}

/// Every two alternatives of different kinds must exclude each other.
fn check_overlap(files: &[(&str, MapFile)], faults: &mut Vec<Diagnostic>) {
    for (index, (path, file)) in files.iter().enumerate() {
        for (_, other) in files.iter().take(index) {
            for alternative in &file.matches {
                for other_alternative in &other.matches {
                    if !alternative.excludes(other_alternative) {
                        let fault = Fault::new(
                            alternative.pos,
                            format!("a record could be {} and {}", file.kind, other.kind),
                        )
                        .help("test one path in both with values that exclude each other, such as present and absent");
                        faults.push(fault.in_file(path));
                    }
                }
            }
        }
    }
}

fn read_module(yaml: &Yaml) -> Result<Module, Fault> {
    let entries = keys(yaml, &["wrappers", "not_logs"])?;
    let find = |key: &str| entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value);
    let wrappers = match find("wrappers") {
        Some(value) => words(value)?.into_iter().map(|(word, _)| word).collect(),
        None => Vec::new(),
    };
    let not_logs = match find("not_logs") {
        Some(value) => list(value)?.iter().map(file::read_alternative).collect::<Result<_, _>>()?,
        None => Vec::new(),
    };
    Ok(Module { wrappers, not_logs })
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

fn digest(sources: &Sources) -> String {
    let mut hasher = Sha256::new();
    for (path, text) in sources.iter().filter(|(path, _)| path.ends_with(".yaml")) {
        // Lengths keep two different sets from running into the same bytes.
        hasher.update(format!("{}:{}:", path.len(), text.len()));
        hasher.update(path);
        hasher.update(text);
    }
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
