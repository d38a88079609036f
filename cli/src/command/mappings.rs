//! `tributary mappings`: the files, their check and their cases.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::json;
use tributary_mapping::{
    Case, Kind, MappingSet, Trace, Traced, check, describe_kinds, digest, explain, run_case, trace,
};
use tributary_ocsf::Version;

use crate::failure::{CHECK_FAILED, Failure};
use crate::{input, mappings};

/// Flags of `mappings`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Use the mapping files of this folder instead of the shipped ones
    #[arg(long, value_name = "DIR", global = true)]
    dir: Option<PathBuf>,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Check every file against OCSF 1.1.0 and 1.3.0
    Check {
        /// Print nothing but the digest of the files, for MAPPINGS_DIGEST
        #[arg(long)]
        digest: bool,
    },
    /// Run the golden cases
    Test {
        /// Write what comes out into the expected files of --dir; read them before you keep them
        #[arg(long)]
        update: bool,
    },
    /// List the kinds with their classes
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
        /// As the Markdown of docs/MAPPINGS.md
        #[arg(long, conflicts_with = "json")]
        markdown: bool,
    },
    /// Write the Arrow schema of each class and version, additive only
    Schema {
        /// Folder of the committed schemas
        #[arg(long, value_name = "DIR", default_value = "schemas")]
        out: PathBuf,
        /// Change nothing; fail when something would change
        #[arg(long)]
        check: bool,
    },
    /// Show every attribute of a kind with its origin; with --event the value at each step
    Explain {
        /// The kind
        kind: String,
        /// An event's body: show what becomes of its records of this kind, and how
        #[arg(long, value_name = "FILE")]
        event: Option<PathBuf>,
        /// As JSON
        #[arg(long)]
        json: bool,
        /// OCSF version
        #[arg(long, default_value_t = Version::V1_3_0)]
        ocsf_version: Version,
    },
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let sources = mappings::read(args.dir.as_deref())?;
    let compile = |version| mappings::compile(&sources, version);
    match &args.action {
        Action::Check { digest: only_digest } => {
            for version in Version::ALL {
                let set = compile(version)?;
                mappings::refuse(version, &check(&set, &sources))?;
                if !only_digest {
                    println!("ocsf {version}: {} kinds, no faults", set.kinds().len());
                }
            }
            if *only_digest {
                println!("{}", digest(&sources));
            }
            Ok(ExitCode::SUCCESS)
        }
        Action::Test { update } => {
            let sets = Version::ALL.into_iter().map(compile).collect::<Result<Vec<_>, _>>()?;
            if *update && args.dir.is_none() {
                return Err(Failure::Usage("--update writes files: name their folder with --dir".to_owned()));
            }
            test(&sets.iter().collect::<Vec<_>>(), &Case::all(&sources), args.dir.as_ref().filter(|_| *update))
        }
        Action::List { json, markdown } => {
            let set = compile(Version::V1_3_0)?;
            if *markdown {
                print(&describe_kinds(&set))?;
            } else {
                print(&list(&set, *json))?;
            }
            Ok(ExitCode::SUCCESS)
        }
        Action::Schema { out, check } => {
            let mut stale = 0;
            for version in Version::ALL {
                stale += crate::schemas::write(&compile(version)?, out, *check)?;
            }
            Ok(if *check && stale > 0 { ExitCode::from(CHECK_FAILED) } else { ExitCode::SUCCESS })
        }
        Action::Explain { kind, event, json, ocsf_version } => {
            let set = compile(*ocsf_version)?;
            let Some(found) = set.kinds().iter().find(|known| known.name == *kind) else {
                let names: Vec<&str> = set.kinds().iter().map(|kind| kind.name.as_str()).collect();
                return Err(Failure::Usage(format!("there is no kind {kind:?}: use one of {}", names.join(", "))));
            };
            let text = match event {
                Some(file) => explained_event(&set, found, file, *json)?,
                None => explained(found, *json),
            };
            print(&text)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Writes to standard output.
fn print(text: &str) -> Result<(), Failure> {
    Ok(std::io::stdout().lock().write_all(text.as_bytes())?)
}

fn explained(kind: &Kind, as_json: bool) -> String {
    let mut out = String::new();
    if !as_json {
        let _ = writeln!(out, "{}: {} ({})", kind.name, kind.title, kind.file);
    }
    for (title, lines) in explain(kind) {
        if as_json {
            for line in lines {
                let line = json!({"variant": title, "path": line.path, "origin": line.origin});
                let _ = writeln!(out, "{line}");
            }
            continue;
        }
        let width = lines.iter().map(|line| line.path.len()).max().unwrap_or(0);
        let _ = writeln!(out, "\n{title}");
        for line in lines {
            let _ = writeln!(out, "  {:width$}  {}", line.path, line.origin);
        }
    }
    out
}

fn explained_event(set: &MappingSet, kind: &Kind, file: &Path, as_json: bool) -> Result<String, Failure> {
    let input = input::open(file)?;
    let body = String::from_utf8_lossy(&input.bytes);
    let traces = trace(set, kind, &body, input.enqueued_time);
    let traces = traces.map_err(|why| Failure::Usage(format!("{}: {why}", file.display())))?;
    let mut out = String::new();
    if !as_json {
        let _ = writeln!(out, "{}: {} ({})", kind.name, kind.title, kind.file);
    }
    for Trace { index, title, attributes } in traces {
        if as_json {
            for Traced { path, origin, value, steps } in attributes {
                let line = json!({"record": index, "path": path, "value": value, "origin": origin, "steps": steps});
                let _ = writeln!(out, "{line}");
            }
            continue;
        }
        let _ = writeln!(out, "\nrecord {index}: {title}");
        for Traced { path, origin, value, steps } in attributes {
            let _ = writeln!(out, "  {path} = {}", value.as_deref().unwrap_or("absent"));
            if !origin.is_empty() {
                let _ = writeln!(out, "      from {origin}");
            }
            for step in steps {
                let _ = writeln!(out, "      {step}");
            }
        }
    }
    Ok(out)
}

fn list(set: &MappingSet, as_json: bool) -> String {
    let mut out = String::new();
    for kind in set.kinds() {
        let mut classes: Vec<&str> = kind.variants.iter().map(|variant| variant.class.as_str()).collect();
        classes.dedup();
        let _ = if as_json {
            let line = json!({"kind": kind.name, "title": kind.title, "classes": classes, "general": kind.is_general(),
                "securityHub": kind.security_hub});
            writeln!(out, "{line}")
        } else {
            writeln!(out, "{:36} {:36} {}", kind.name, classes.join(", "), kind.title)
        };
    }
    out
}

fn test(sets: &[&MappingSet], cases: &[Case], update: Option<&PathBuf>) -> Result<ExitCode, Failure> {
    let mut failed = 0;
    let mut kinds: Vec<(&str, u32, u32)> = Vec::new();
    for case in cases {
        let report = run_case(sets, case);
        if kinds.last().is_none_or(|(kind, ..)| *kind != case.kind) {
            kinds.push((&case.kind, 0, 0));
        }
        let bad = !report.differences.is_empty();
        if let Some((_, passed, broken)) = kinds.last_mut() {
            *passed += u32::from(!bad);
            *broken += u32::from(bad);
        }
        if let (Some(folder), true) = (update, bad) {
            let path = folder.join(case.expected_path());
            let text = serde_json::to_string_pretty(&report.actual).unwrap_or_default();
            std::fs::write(&path, text + "\n").map_err(|error| Failure::file("write", &path, &error))?;
            println!("wrote {}", path.display());
            continue;
        } else {
            for difference in &report.differences {
                println!("{}: {difference}", case.path);
            }
        }
        failed += u32::from(bad);
    }
    for (kind, passed, broken) in kinds {
        let fate = if broken == 0 { String::new() } else { format!(", {broken} failed") };
        println!("{kind:36} {passed} passed{fate}");
    }
    Ok(if failed == 0 || update.is_some() { ExitCode::SUCCESS } else { ExitCode::from(CHECK_FAILED) })
}
