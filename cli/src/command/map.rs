//! `tributary map`: event bodies to OCSF, ASFF or CloudTrail Lake events on standard output.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use bumpalo::Bump;
use serde_json::json;
use tributary_batch::BatchId;
use tributary_mapping::{Destination, Mapped, Mapper, Options, Origin, Outcome, Reason, Scratch, asff, cloudtrail};
use tributary_ocsf::{Schema, Version, write_object};

use crate::failure::{CHECK_FAILED, Failure, SOME_QUARANTINED};
use crate::input;
use crate::set::{InForce, SetArgs};

/// Flags of `map`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Files or folders; standard input when none is given
    files: Vec<PathBuf>,
    /// Form of the events
    #[arg(long, value_enum, default_value_t = Form::Ocsf)]
    to: Form,
    /// AWS account that findings and trail events are addressed to: Security Hub's, which may be a central one; the owner of
    /// CloudTrail Lake's channel. The default stands for none
    #[arg(long, value_name = "DIGITS", default_value = "000000000000", env = "AWS_ACCOUNT_ID")]
    aws_account: String,
    /// AWS region that findings are addressed to; it decides the partition (aws, aws-cn, aws-us-gov)
    #[arg(long, value_name = "REGION", default_value = "us-east-1", env = "AWS_REGION")]
    aws_region: String,
    /// OCSF version of the events
    #[arg(long, default_value_t = Version::V1_3_0, env = "OCSF_VERSION")]
    ocsf_version: Version,
    #[command(flatten)]
    set: SetArgs,
    /// Write refused records, raw and redacted, to this file as NDJSON
    #[arg(long, value_name = "FILE")]
    quarantine: Option<PathBuf>,
    /// Put the whole source record into `raw_data`
    #[arg(long)]
    raw_data: bool,
    /// Print the counts as JSON on standard error
    #[arg(long)]
    json: bool,
}

/// What a mapped record is printed as, one JSON document a line.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Form {
    /// OCSF
    Ocsf,
    /// AWS Security Finding Format, as BatchImportFindings takes it; events of other classes than 2002 to 2004 are left out
    Asff,
    /// CloudTrail Lake, an entry of PutAuditEvents
    Cloudtrail,
}

/// A form with what it needs to know.
enum Target {
    Ocsf,
    Asff(Destination),
    Cloudtrail(Destination),
}

impl Target {
    fn new(args: &Args) -> Result<Self, Failure> {
        let destination =
            || Destination::new(&args.aws_account, &args.aws_region).map_err(|error| Failure::Usage(error.to_string()));
        Ok(match args.to {
            Form::Ocsf => Self::Ocsf,
            Form::Asff => Self::Asff(destination()?),
            Form::Cloudtrail => Self::Cloudtrail(destination()?),
        })
    }

    /// Appends an event in this form; false when it has none, or repeats a finding that another kind reports.
    fn write(&self, schema: &Schema, mapped: &Mapped<'_>, line: &mut String) -> bool {
        let event = &mapped.event;
        match self {
            Self::Asff(_) if !mapped.security_hub => return false,
            Self::Ocsf => write_object(schema, event, line),
            Self::Asff(destination) => match asff::finding(schema, event, destination) {
                Some(finding) => line.push_str(finding.json()),
                None => return false,
            },
            Self::Cloudtrail(destination) => {
                line.push_str(&cloudtrail::audit_event(schema, event, destination).json());
            }
        }
        true
    }
}

#[derive(Default)]
struct Counts {
    mapped: BTreeMap<String, u64>,
    refused: BTreeMap<Reason, u64>,
    general: BTreeMap<String, u64>,
    routed: BTreeMap<String, u64>,
    skipped: BTreeMap<String, u64>,
    left_out: u64,
    redactions: u64,
}

/// Where records go, and in which form.
struct Output<'o, W> {
    target: Target,
    out: W,
    quarantine: Option<&'o mut BufWriter<File>>,
}

/// Runs the command: 0 when every record is mapped, 3 when some are refused, 1 when the shipped set did it in place of
/// another one.
pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let target = Target::new(args)?;
    let InForce { set, refused } = args.set.in_force_now(args.ocsf_version)?;
    let mapper = Mapper::new(&set, Options { raw_data: args.raw_data });
    let mut quarantine = match &args.quarantine {
        Some(path) => Some(BufWriter::new(File::create(path).map_err(|error| Failure::file("create", path, &error))?)),
        None => None,
    };
    let out = BufWriter::new(std::io::stdout().lock());
    let mut output = Output { target, out, quarantine: quarantine.as_mut() };
    let mut counts = Counts::default();
    let paths = input::read(&args.files)?;
    if args.files.is_empty() {
        map(&mapper, &input::standard()?, &mut output, &mut counts)?;
    }
    for path in paths {
        map(&mapper, &input::open(&path)?, &mut output, &mut counts)?;
    }
    output.out.flush()?;
    if let Some(mut file) = quarantine {
        file.flush()?;
    }
    report(&counts, args.json);
    Ok(match counts.refused.is_empty() {
        _ if refused => ExitCode::from(CHECK_FAILED),
        true => ExitCode::SUCCESS,
        false => ExitCode::from(SOME_QUARANTINED),
    })
}

fn map(
    mapper: &Mapper<'_>,
    input: &input::Input,
    output: &mut Output<'_, impl Write>,
    counts: &mut Counts,
) -> Result<(), Failure> {
    let schema = mapper.set().schema();
    // The same content always gives the same ids (protocol rule 10).
    let uid = BatchId::for_content(&input.bytes);
    let origin = Origin { uid: uid.as_str(), enqueued_time: input.enqueued_time };
    let Ok(body) = std::str::from_utf8(&input.bytes) else {
        *counts.refused.entry(Reason::NotJson).or_default() += 1;
        return Ok(());
    };
    let arena = Bump::new();
    let (mut scratch, mut outcomes) = (Scratch::default(), Vec::new());
    mapper.map_body(body, origin, &arena, &mut scratch, &mut outcomes);
    counts.redactions += scratch.redactions;
    let mut line = String::new();
    for outcome in outcomes {
        match outcome {
            Outcome::Mapped(mapped) => {
                *counts.mapped.entry(mapped.kind.to_owned()).or_default() += 1;
                if let Some(category) = mapped.general {
                    *counts.general.entry(category.to_owned()).or_default() += 1;
                }
                line.clear();
                if output.target.write(schema, &mapped, &mut line) {
                    line.push('\n');
                    output.out.write_all(line.as_bytes())?;
                } else {
                    counts.left_out += 1;
                }
            }
            Outcome::Refused(refused) => {
                *counts.refused.entry(refused.reason).or_default() += 1;
                if let Some(file) = output.quarantine.as_deref_mut() {
                    let entry = json!({"reason": refused.reason.as_str(), "detail": refused.detail, "kind": refused.kind,
                        "position": {"source": input.name, "index": refused.index}, "mappings": mapper.set().digest(),
                        "raw": refused.raw});
                    writeln!(file, "{entry}")?;
                }
            }
            Outcome::Routed(routed) => *counts.routed.entry(routed.rule.to_owned()).or_default() += 1,
            Outcome::Skipped(skipped) => *counts.skipped.entry(skipped.rule.to_owned()).or_default() += 1,
        }
    }
    Ok(())
}

fn report(counts: &Counts, as_json: bool) {
    let refused: BTreeMap<String, u64> =
        counts.refused.iter().map(|(reason, count)| (reason.as_str().to_owned(), *count)).collect();
    if as_json {
        eprintln!(
            "{}",
            json!({"mapped": counts.mapped, "general": counts.general, "quarantined": refused,
                "routed": counts.routed, "skipped": counts.skipped, "left_out": counts.left_out,
                "redactions": counts.redactions})
        );
        return;
    }
    let part = |what: &str, by: &BTreeMap<String, u64>| {
        let parts: Vec<String> = by.iter().map(|(name, count)| format!("{name} {count}")).collect();
        let why = if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) };
        format!("{what} {}{why}", by.values().sum::<u64>())
    };
    let mut parts = vec![format!("mapped {}", counts.mapped.values().sum::<u64>()), part("quarantined", &refused)];
    for (what, by) in
        [("by the general map", &counts.general), ("routed", &counts.routed), ("skipped", &counts.skipped)]
    {
        if !by.is_empty() {
            parts.push(part(what, by));
        }
    }
    if counts.left_out > 0 {
        parts.push(format!("left out {} (no finding for Security Hub)", counts.left_out));
    }
    eprintln!("{}", parts.join(", "));
}
