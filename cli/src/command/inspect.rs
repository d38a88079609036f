//! `tributary inspect`: lake objects as a table, with their first rows; quarantine by reason.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use comfy_table::Table;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use indicatif::HumanBytes;
use serde_json::{Value, json};
use tributary_ocsf::write_rfc3339;

use crate::failure::Failure;
use crate::input;
use crate::inspect::{Columns, LakeFile, QuarantineFile, Refusals, cell, pick};

/// What is shown of a row when nobody says which columns; the first of these that the rows have.
const USUAL: &[&str] = &[
    "time_dt",
    "severity",
    "activity_name",
    "status",
    "finding_info.title",
    "api.operation",
    "user.name",
    "group.name",
    "entity.name",
    "vulnerabilities.cve.uid",
    "actor.user.name",
    "src_endpoint.ip",
    "connection_info.protocol_name",
    "resources.name",
    "resource.name",
    "cloud.account.uid",
];
/// How many of them.
const USUAL_COUNT: usize = 7;
/// Most lines of an overview by account and day.
const MAX_LINES: usize = 40;

const EXAMPLES: &str = "\
Examples:
  tributary inspect out/lake
  tributary inspect out/lake --columns time_dt,finding_info.title,resources.uid --rows 20
  tributary inspect out/lake/quarantine
  tributary inspect out/lake/ext/azure-detection/1.3.0 --json | jq '.objects[].rows'

Objects of one class, version, account and day are one line of the table, or of one class and version when there are \
many; --json lists each object. Memory stays bounded by the rows shown, however large an object is.";

/// Flags of `inspect`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// Parquet objects, or folders such as the lake's root
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// How many rows of each class to show; 0 for none
    #[arg(long, default_value_t = 5, value_name = "N")]
    rows: usize,
    /// Columns of the rows by dotted path; without it those that say most
    #[arg(long, value_delimiter = ',', value_name = "A,B.C")]
    columns: Vec<String>,
    /// Show each account and day, however many there are
    #[arg(long)]
    all: bool,
    /// Print everything as one JSON document
    #[arg(long)]
    json: bool,
}

/// What was found below the paths.
#[derive(Default)]
struct Found {
    objects: Vec<LakeFile>,
    quarantine: Vec<QuarantineFile>,
    /// Files that are neither.
    others: u64,
    /// Files that should be readable and are not.
    failures: Vec<Failure>,
}

/// Runs the command: 0, or 4 when an object could not be read.
pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let mut found = find(&args.paths)?;
    let mut classes: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    let columns = if args.columns.is_empty() { Columns::All } else { Columns::Paths(&args.columns) };
    known(args, &found)?;
    for object in &found.objects {
        let rows = classes.entry(title(object)).or_default();
        if rows.len() < args.rows {
            match object.rows(columns, args.rows - rows.len()) {
                Ok(more) => rows.extend(more),
                Err(failure) => found.failures.push(failure),
            }
        }
    }
    let text = if args.json { document(args, &found, &classes) } else { tables(args, &found, &classes) };
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    // Everything readable is shown; the first fault decides the exit code, the others are told.
    let mut failures = found.failures.into_iter();
    let first = failures.next();
    for failure in failures {
        let _ = failure.report();
    }
    first.map_or(Ok(ExitCode::SUCCESS), Err)
}

fn find(paths: &[PathBuf]) -> Result<Found, Failure> {
    let mut found = Found::default();
    for path in input::read(paths)? {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let named = paths.contains(&path);
        if name.ends_with(".ndjson.zst") {
            match QuarantineFile::open(&path) {
                Ok(object) => found.quarantine.push(object),
                Err(failure) => found.failures.push(failure),
            }
        } else if named || name.ends_with(".parquet") {
            match LakeFile::open(&path) {
                Ok(object) => found.objects.push(object),
                // What was asked for by name and is nothing of a lake is a mistake to tell at once.
                Err(failure @ Failure::Usage(_)) if named => return Err(failure),
                Err(failure) => found.failures.push(failure),
            }
        } else {
            found.others += 1;
        }
    }
    if found.objects.is_empty() && found.quarantine.is_empty() && found.failures.is_empty() {
        let names: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
        return Err(Failure::Usage(format!(
            "no parquet object and no quarantine below {}: give a lake that `tributary lake` or `tributary run` wrote",
            names.join(", ")
        )));
    }
    Ok(found)
}

/// Whether every column that was asked for begins at a column of some object.
fn known(args: &Args, found: &Found) -> Result<(), Failure> {
    let mut names: Vec<String> = Vec::new();
    if !args.columns.is_empty() {
        for object in &found.objects {
            names.extend(object.columns()?);
        }
        names.sort();
        names.dedup();
    }
    match args.columns.iter().find(|path| !names.iter().any(|name| path.split('.').next() == Some(name))) {
        Some(path) => {
            Err(Failure::Usage(format!("no object has a column {path:?}; top-level columns are {}", names.join(", "))))
        }
        None => Ok(()),
    }
}

fn title(object: &LakeFile) -> String {
    let class = object.class.as_deref().unwrap_or("(no class)");
    let uid = object.class_uid.map_or_else(String::new, |uid| format!("{uid} "));
    format!("{uid}{class} {}", object.version.as_deref().unwrap_or("-"))
}

fn time(ms: i64) -> String {
    let mut text = String::new();
    write_rfc3339(ms, &mut text);
    text
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(header);
    table
}

/// One line of the overview.
#[derive(Default)]
struct Line {
    objects: u64,
    rows: u64,
    bytes: u64,
    times: Option<(i64, i64)>,
}

impl Line {
    fn add(&mut self, object: &LakeFile) {
        self.objects += 1;
        self.rows += object.rows;
        self.bytes += object.bytes;
        self.times = match (self.times, object.times) {
            (Some((first, last)), Some((low, high))) => Some((first.min(low), last.max(high))),
            (one, other) => one.or(other),
        };
    }

    fn cells(&self) -> Vec<String> {
        let (first, last) = self.times.map_or_else(Default::default, |(first, last)| (time(first), time(last)));
        vec![self.objects.to_string(), self.rows.to_string(), HumanBytes(self.bytes).to_string(), first, last]
    }
}

fn tables(args: &Args, found: &Found, classes: &BTreeMap<String, Vec<Value>>) -> String {
    let mut text = String::new();
    if !found.objects.is_empty() {
        text += &overview(args, &found.objects);
    }
    for (class, rows) in classes.iter().filter(|(_, rows)| !rows.is_empty()) {
        let plural = if rows.len() == 1 { "row" } else { "rows" };
        text += &format!("\n{}, first {} {plural}\n{}\n", cell(&json!(class)), rows.len(), row_table(args, rows));
    }
    if !found.quarantine.is_empty() {
        text += &format!("\nquarantine\n{}\n", quarantine_table(&found.quarantine));
    }
    if found.others > 0 {
        text += &format!("\n{} other files are no lake objects and were passed over\n", found.others);
    }
    text
}

/// One line for each class, version, account and day; for each class and version where those are too many to read.
fn overview(args: &Args, objects: &[LakeFile]) -> String {
    let or_dash = |text: &Option<String>| cell(&json!(text.as_deref().unwrap_or("-")));
    let key = |object: &LakeFile| [cell(&json!(title(object))), or_dash(&object.account), or_dash(&object.day)];
    let mut lines: BTreeMap<[String; 3], Line> = BTreeMap::new();
    let mut total = Line::default();
    for object in objects {
        lines.entry(key(object)).or_default().add(object);
        total.add(object);
    }
    let many = lines.len() > MAX_LINES && !args.all;
    let mut table = table(&[
        "class",
        if many { "accounts" } else { "account" },
        if many { "days" } else { "day" },
        "objects",
        "rows",
        "bytes",
        "first",
        "last",
    ]);
    if many {
        let mut folded: BTreeMap<&str, (BTreeSet<&str>, BTreeSet<&str>, Line)> = BTreeMap::new();
        let keys: Vec<[String; 3]> = objects.iter().map(key).collect();
        for (object, [class, account, day]) in objects.iter().zip(&keys) {
            let (accounts, days, line) = folded.entry(class).or_default();
            accounts.insert(account);
            days.insert(day);
            line.add(object);
        }
        for (class, (accounts, days, line)) in folded {
            let counts = [class.to_owned(), accounts.len().to_string(), days.len().to_string()];
            table.add_row([counts.to_vec(), line.cells()].concat());
        }
    } else {
        for (key, line) in &lines {
            table.add_row([key.to_vec(), line.cells()].concat());
        }
    }
    if lines.len() > 1 {
        table.add_row([vec!["total".to_owned(), String::new(), String::new()], total.cells()].concat());
    }
    let more = if many { "--all shows each account and day\n" } else { "" };
    format!("{table}\n{more}")
}

fn row_table(args: &Args, rows: &[Value]) -> Table {
    let columns: Vec<&str> = if args.columns.is_empty() {
        let set = |path: &&str| rows.iter().any(|row| !pick(row, path).is_null());
        USUAL.iter().copied().filter(set).take(USUAL_COUNT).collect()
    } else {
        args.columns.iter().map(String::as_str).collect()
    };
    let mut table = table(&columns);
    for row in rows {
        table.add_row(columns.iter().map(|path| cell(&pick(row, path))).collect::<Vec<_>>());
    }
    table
}

fn quarantine_table(objects: &[QuarantineFile]) -> Table {
    let mut lines: BTreeMap<&(String, String), (u64, Refusals)> = BTreeMap::new();
    for object in objects {
        for (key, refusals) in &object.refusals {
            let (count, line) = lines.entry(key).or_default();
            *count += 1;
            line.add(refusals.records, refusals.received.clone(), &refusals.detail);
        }
    }
    let mut table = table(&["reason", "kind", "records", "objects", "first received", "last received", "such as"]);
    let text = |text: &str| cell(&json!(text));
    for ((reason, kind), (count, line)) in lines {
        let (first, last) = line.received.unwrap_or_default();
        let numbers = [line.records.to_string(), count.to_string()];
        let texts = [text(&first), text(&last), text(&line.detail)];
        table.add_row([vec![text(reason), text(kind)], numbers.to_vec(), texts.to_vec()].concat());
    }
    table
}

fn document(args: &Args, found: &Found, classes: &BTreeMap<String, Vec<Value>>) -> String {
    let objects: Vec<Value> = found
        .objects
        .iter()
        .map(|object| {
            json!({"path": object.path, "class": object.class, "classUid": object.class_uid, "version": object.version,
                "mappings": object.mappings, "account": object.account, "day": object.day, "rows": object.rows,
                "bytes": object.bytes, "first": object.times.map(|(first, _)| time(first)),
                "last": object.times.map(|(_, last)| time(last))})
        })
        .collect();
    let shown = |row: &Value| match args.columns.as_slice() {
        [] => row.clone(),
        columns => columns.iter().map(|path| (path.clone(), pick(row, path))).collect(),
    };
    let rows: Vec<Value> = classes
        .iter()
        .filter(|(_, rows)| !rows.is_empty())
        .map(|(class, rows)| json!({"class": class, "rows": rows.iter().map(shown).collect::<Vec<_>>()}))
        .collect();
    let quarantine: Vec<Value> = found.quarantine.iter().map(QuarantineFile::json).collect();
    format!("{}\n", json!({"objects": objects, "rows": rows, "quarantine": quarantine}))
}
