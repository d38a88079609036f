//! `tributary validate`: judges OCSF events by the schema.

use std::collections::BTreeMap;
use std::io::{BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use tributary_ocsf::validate::{Level, Report, Rules, TimeOrder, Validator, stated_version};
use tributary_ocsf::{Schema, Version};

use crate::events::{self, Event};
use crate::failure::{CHECK_FAILED, Failure};
use crate::{input, inspect};

const EXAMPLES: &str = "\
Examples:
  tributary map alerts.json | tributary validate --security-lake
  tributary validate out/lake --security-lake --strict-warnings
  tributary validate events.ndjson --json | jq 'select(.valid | not)'

Levels:
  E  invalid by the official OCSF validator's rules, or impossible to store
  S  against the schema's own words: a caption that is not its id's, a text off its type's pattern, seconds for ms
  W  allowed, but looks wrong: deprecated, empty list, unused profile; fails an event only with --strict-warnings
An event is valid when it has no E and no S. docs/VALIDATION.md explains every code.

Files are NDJSON, one JSON array, one JSON object, or Parquet objects (rows without their nulls, in order of time). Of a \
folder, *.parquet, *.ndjson, *.jsonl and *.json are judged. Lines of an array and of Parquet are the place in it, from 1.

Exit codes: 0 all valid; 1 some invalid; 2 wrong usage, or no event found; 4 a file cannot be read";

/// Names that a folder's files are judged by.
const ENDINGS: [&str; 4] = [".parquet", ".ndjson", ".jsonl", ".json"];

/// Flags of `validate`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Files or folders; standard input when none is given
    files: Vec<PathBuf>,
    /// Judge every event by this version [default: the event's metadata.version, 1.3.0 if it is none of ours]
    #[arg(long, value_name = "VERSION")]
    ocsf_version: Option<Version>,
    /// Add Security Lake's rules for custom sources: class list, unmapped of texts only, 32-bit integers
    #[arg(long)]
    security_lake: bool,
    /// W findings make an event invalid too
    #[arg(long)]
    strict_warnings: bool,
    /// Events must be in order of time within each file; always asked of Parquet objects
    #[arg(long)]
    sorted: bool,
    /// Overlook nulls and objects that hold only nulls; always done with Parquet objects
    #[arg(long)]
    drop_nulls: bool,
    /// Print at most this many findings; all are counted
    #[arg(long, value_name = "N", default_value_t = 500)]
    limit: u64,
    /// One JSON object for each event, and the summary as JSON on standard error
    #[arg(long)]
    json: bool,
}

/// Runs the command: 0 when every event is valid, 1 when some are not, 4 when a file could not be read.
pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let mut judge = Judge::new(args);
    let mut failures = Vec::new();
    if args.files.is_empty() {
        judge.text(std::io::stdin().lock(), "standard input")?;
    }
    let (paths, passed_over) = select(&args.files)?;
    judge.bar.set_length(paths.iter().filter_map(|path| path.metadata().ok()).map(|metadata| metadata.len()).sum());
    for path in &paths {
        match judge.file(path) {
            Err(failure @ Failure::Backend(_)) => failures.push(failure),
            other => other?,
        }
        judge.bar.inc(path.metadata().map(|metadata| metadata.len()).unwrap_or_default());
    }
    judge.bar.finish_and_clear();
    judge.summary(passed_over)?;
    let mut failures = failures.into_iter();
    if let Some(first) = failures.next() {
        for failure in failures {
            let _ = failure.report();
        }
        return Err(first);
    }
    if judge.counts.events == 0 {
        return Err(Failure::Usage("no event found: nothing was judged".to_owned()));
    }
    Ok(if judge.counts.invalid == 0 { ExitCode::SUCCESS } else { ExitCode::from(CHECK_FAILED) })
}

/// The files to judge: those that were named, and of folders those with a name of events. Counts the others.
fn select(files: &[PathBuf]) -> Result<(Vec<PathBuf>, u64), Failure> {
    let mut paths = input::read(files)?;
    let before = paths.len();
    paths.retain(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        files.contains(path) || ENDINGS.iter().any(|ending| name.ends_with(ending))
    });
    let passed_over = before - paths.len();
    Ok((paths, passed_over as u64))
}

#[derive(Default)]
struct Counts {
    files: u64,
    events: u64,
    invalid: u64,
    errors: u64,
    strict: u64,
    notes: u64,
    /// Findings that were kept, by level (severest first) and code.
    codes: BTreeMap<(std::cmp::Reverse<Level>, &'static str), u64>,
    printed: u64,
    unprinted: u64,
}

struct Judge<'a> {
    args: &'a Args,
    /// As the flags say, oldest version first.
    validators: Vec<Validator<'static>>,
    /// For rows of Parquet.
    row_validators: Vec<Validator<'static>>,
    out: BufWriter<std::io::StdoutLock<'static>>,
    bar: ProgressBar,
    counts: Counts,
}

impl<'a> Judge<'a> {
    fn new(args: &'a Args) -> Self {
        let validators = |drop_nulls| {
            let rules = rules(args, drop_nulls);
            Version::ALL.into_iter().map(|version| Validator::new(Schema::get(version), rules)).collect()
        };
        // A bar on a terminal, nothing in a pipe.
        let bar = if args.files.is_empty() { ProgressBar::hidden() } else { ProgressBar::new(0) };
        let style = ProgressStyle::with_template("{bar:30} {bytes}/{total_bytes}  {elapsed}");
        Self {
            args,
            validators: validators(args.drop_nulls),
            row_validators: validators(true),
            out: BufWriter::new(std::io::stdout().lock()),
            bar: style.map_or_else(|_| ProgressBar::hidden(), |style| bar.with_style(style)),
            counts: Counts::default(),
        }
    }

    fn file(&mut self, path: &Path) -> Result<(), Failure> {
        let name = path.display().to_string();
        if !inspect::is_parquet_file(path)? {
            let file = std::fs::File::open(path).map_err(|error| Failure::file("read", path, &error))?;
            return self.text(BufReader::with_capacity(1 << 16, file), &name);
        }
        self.counts.files += 1;
        let mut order = Some(TimeOrder::default());
        events::each_in_parquet(path, self.args.ocsf_version, |line, event| {
            self.event(&name, line, event, true, &mut order)
        })
    }

    fn text(&mut self, text: impl std::io::BufRead, name: &str) -> Result<(), Failure> {
        self.counts.files += 1;
        let mut order = self.args.sorted.then(TimeOrder::default);
        events::each_in_text(text, name, |line, event| self.event(name, line, event, false, &mut order))
    }

    fn event(
        &mut self,
        file: &str,
        line: u64,
        event: Event<'_, '_>,
        is_row: bool,
        order: &mut Option<TimeOrder>,
    ) -> Result<(), Failure> {
        let report = match event {
            Ok(event) => {
                let wanted = self.args.ocsf_version.or_else(|| stated_version(event)).unwrap_or(Version::V1_3_0);
                let validators = if is_row { &self.row_validators } else { &self.validators };
                let Some(validator) = validators.iter().find(|validator| validator.version() == wanted) else {
                    return Ok(());
                };
                let mut report = validator.check(event);
                if let Some(finding) = order.as_mut().and_then(|order| order.check(event)) {
                    report.push(finding, &rules(self.args, is_row));
                }
                report
            }
            Err(why) => Report::not_json(&why),
        };
        self.count(&report);
        self.print(file, line, &report)
    }

    fn count(&mut self, report: &Report) {
        let counts = &mut self.counts;
        counts.events += 1;
        counts.invalid += u64::from(!report.valid);
        counts.errors += report.errors;
        counts.strict += report.strict;
        counts.notes += report.notes;
        for finding in &report.findings {
            *counts.codes.entry((std::cmp::Reverse(finding.level), finding.code)).or_default() += 1;
        }
    }

    fn print(&mut self, file: &str, line: u64, report: &Report) -> Result<(), Failure> {
        let mut text = String::new();
        if self.args.json {
            let findings: Vec<_> = report
                .findings
                .iter()
                .map(|finding| {
                    json!({"level": finding.level.letter().to_string(), "code": finding.code, "path": finding.path,
                        "message": finding.message})
                })
                .collect();
            text = json!({"file": file, "line": line, "valid": report.valid, "findings": findings,
                "omitted": report.omitted()})
            .to_string()
                + "\n";
        } else {
            for finding in &report.findings {
                if self.counts.printed == self.args.limit {
                    self.counts.unprinted += 1;
                    continue;
                }
                self.counts.printed += 1;
                let path = if finding.path.is_empty() { "." } else { &finding.path };
                let (level, code) = (finding.level.letter(), finding.code);
                text += &format!("{file}:{line}: {level} {code} {path}: {}\n", finding.message);
            }
            self.counts.unprinted += report.omitted();
        }
        if text.is_empty() {
            return Ok(());
        }
        if self.bar.is_hidden() {
            self.out.write_all(text.as_bytes())?;
        } else {
            let out = &mut self.out;
            self.bar.suspend(|| out.write_all(text.as_bytes()).and_then(|()| out.flush()))?;
        }
        Ok(())
    }

    fn summary(&mut self, passed_over: u64) -> Result<(), Failure> {
        self.out.flush()?;
        let Counts { files, events, invalid, errors, strict, notes, codes, unprinted, .. } = &self.counts;
        let valid = events - invalid;
        if self.args.json {
            let codes: BTreeMap<&str, u64> = codes.iter().map(|((_, code), count)| (*code, *count)).collect();
            let document = json!({"files": files, "passedOver": passed_over, "events": events, "valid": valid,
                "invalid": invalid, "errors": errors, "strict": strict, "notes": notes, "codes": codes});
            eprintln!("{document}");
            return Ok(());
        }
        let out = &mut self.out;
        if *unprinted > 0 {
            writeln!(out, "... {unprinted} more findings are not printed")?;
        }
        let found = format!("findings E {errors}, S {strict}, W {notes}");
        let one_or_more = |count: u64, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
        let (files, events) = (one_or_more(*files, "file"), one_or_more(*events, "event"));
        writeln!(out, "judged {events} in {files}: {valid} valid, {invalid} invalid; {found}")?;
        for ((level, code), count) in codes {
            writeln!(out, "  {} {code:42} {count}", level.0.letter())?;
        }
        if passed_over > 0 {
            writeln!(out, "{} with other names passed over", one_or_more(passed_over, "file"))?;
        }
        Ok(out.flush()?)
    }
}

fn rules(args: &Args, is_row: bool) -> Rules {
    Rules {
        security_lake: args.security_lake,
        strict_warnings: args.strict_warnings,
        drop_nulls: args.drop_nulls || is_row,
        ..Rules::default()
    }
}
