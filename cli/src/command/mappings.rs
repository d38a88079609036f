//! `tributary mappings`: the files, their check and their cases.

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::json;
use tributary_mapping::{Case, MappingSet, describe_kinds, digest, explain, run_case};
use tributary_ocsf::Version;

use crate::failure::{CHECK_FAILED, Failure};
use crate::mappings;

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
    /// Show every attribute of a kind with its origin
    Explain {
        /// The kind
        kind: String,
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
                print!("{}", describe_kinds(&set));
            } else {
                list(&set, *json);
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
        Action::Explain { kind, ocsf_version } => {
            let set = compile(*ocsf_version)?;
            let Some(found) = set.kinds().iter().find(|known| known.name == *kind) else {
                let names: Vec<&str> = set.kinds().iter().map(|kind| kind.name.as_str()).collect();
                return Err(Failure::Usage(format!("there is no kind {kind:?}: use one of {}", names.join(", "))));
            };
            println!("{}: {} ({})", found.name, found.title, found.file);
            for (title, lines) in explain(found) {
                println!("\n{title}");
                let width = lines.iter().map(|line| line.path.len()).max().unwrap_or(0);
                for line in lines {
                    println!("  {:width$}  {}", line.path, line.origin);
                }
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn list(set: &MappingSet, as_json: bool) {
    for kind in set.kinds() {
        let classes: Vec<&str> = kind.variants.iter().map(|variant| variant.class.as_str()).collect();
        if as_json {
            println!("{}", json!({"kind": kind.name, "title": kind.title, "classes": classes}));
        } else {
            println!("{:36} {:36} {}", kind.name, classes.join(", "), kind.title);
        }
    }
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
