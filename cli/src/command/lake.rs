//! `tributary lake`: event bodies to Parquet in the Security Lake layout.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use bumpalo::Bump;
use serde_json::json;
use tributary_batch::BatchId;
use tributary_lake::{Row, Stamp, encode, group, location, object_key, source_name, write_parquet};
use tributary_mapping::{Mapper, Options, Origin, Outcome, Scratch};
use tributary_ocsf::columns::Columns;
use tributary_ocsf::{ShapeId, Version};

use crate::failure::{Failure, SOME_QUARANTINED};
use crate::{input, mappings};

/// Flags of `lake`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Files or folders; standard input when none is given
    files: Vec<PathBuf>,
    /// Folder for the lake
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// OCSF version of the events
    #[arg(long, default_value_t = Version::V1_3_0, env = "OCSF_VERSION")]
    ocsf_version: Version,
    /// Region in the objects' paths
    #[arg(long, default_value = "us-east-1", env = "AWS_REGION")]
    region: String,
    /// Use the mapping files of this folder instead of the shipped ones
    #[arg(long, value_name = "DIR")]
    mappings: Option<PathBuf>,
    /// Put the whole source record into `raw_data`
    #[arg(long)]
    raw_data: bool,
    /// Print the summary as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Default)]
struct Summary {
    mapped: u64,
    quarantined: BTreeMap<&'static str, u64>,
    objects: u64,
    bytes: u64,
    overflowed: u64,
}

/// Runs the command: 0 when every record is in the lake, 3 when some are in quarantine.
pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    if !is_region(&args.region) {
        return Err(Failure::Usage(format!("{:?} is no region: expected a name such as eu-west-1", args.region)));
    }
    let set = mappings::compile(&mappings::read(args.mappings.as_deref())?, args.ocsf_version)?;
    let mapper = Mapper::new(&set, Options { raw_data: args.raw_data });
    let mut summary = Summary::default();
    if args.files.is_empty() {
        file(args, &mapper, &input::standard()?, &mut summary)?;
    }
    for path in input::read(&args.files)? {
        file(args, &mapper, &input::open(&path)?, &mut summary)?;
    }
    if args.json {
        println!(
            "{}",
            json!({"mapped": summary.mapped, "quarantined": summary.quarantined, "objects": summary.objects,
                "bytes": summary.bytes, "overflowed": summary.overflowed})
        );
    } else {
        let quarantined: u64 = summary.quarantined.values().sum();
        println!(
            "mapped {}, quarantined {quarantined}, objects {} ({} bytes) in {}",
            summary.mapped,
            summary.objects,
            summary.bytes,
            args.out.display()
        );
        for (reason, count) in &summary.quarantined {
            println!("  {reason} {count}");
        }
    }
    Ok(if summary.quarantined.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(SOME_QUARANTINED) })
}

fn is_region(region: &str) -> bool {
    !region.is_empty() && region.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// One input file is one batch, named by its content: running twice writes nothing twice.
fn file(args: &Args, mapper: &Mapper<'_>, input: &input::Input, summary: &mut Summary) -> Result<(), Failure> {
    let batch = BatchId::for_content(&input.bytes);
    let enqueued = input.enqueued_time.unwrap_or_default();
    let origin = Origin { uid: batch.as_str(), enqueued_time: input.enqueued_time };
    let arena = Bump::new();
    let (mut scratch, mut outcomes) = (Scratch::default(), Vec::new());
    let text = String::from_utf8_lossy(&input.bytes);
    mapper.map_body(&text, origin, &arena, &mut scratch, &mut outcomes);
    let mut rows = Vec::new();
    let mut refused = Vec::new();
    for outcome in &outcomes {
        match outcome {
            Outcome::Mapped(mapped) => {
                summary.mapped += 1;
                rows.push(Row {
                    event: &mapped.event,
                    class: mapped.class,
                    time: mapped.time,
                    account: mapped.account,
                    enqueued,
                });
            }
            Outcome::Refused(refusal) => {
                *summary.quarantined.entry(refusal.reason.as_str()).or_default() += 1;
                refused.push(json!({"reason": refusal.reason.as_str(), "detail": refusal.detail, "kind": refusal.kind,
                    "position": {"source": input.name, "index": refusal.index}, "mappings": mapper.set().digest(),
                    "raw": refusal.raw}));
            }
        }
    }
    let schema = mapper.set().schema();
    let stamp = Stamp { ocsf_version: schema.version.as_str(), mappings: mapper.set().digest() };
    let mut columns: HashMap<ShapeId, Columns> = HashMap::new();
    for group in group(&rows) {
        let class = group.key.class;
        let Some(shape) = schema.shape(class) else { continue };
        let Some(source) = source_name("azure-", shape.uid.unwrap_or_default().into()) else {
            return Err(Failure::Usage(format!("no source is named for class {}", shape.name)));
        };
        if let std::collections::hash_map::Entry::Vacant(slot) = columns.entry(class) {
            let found = Columns::embedded(schema, shape.name).ok_or_else(|| {
                Failure::Usage(format!(
                    "schemas/{}/{}.txt is missing: run `tributary mappings schema`",
                    schema.version, shape.name
                ))
            })?;
            slot.insert(found.map_err(|error| Failure::Check(error.to_string()))?);
        }
        let Some(columns) = columns.get(&class) else { continue };
        let failed = |error: &dyn std::fmt::Display| Failure::Backend(format!("cannot encode {}: {error}", shape.name));
        let encoded = encode(schema, columns, &group.events).map_err(|error| failed(&error))?;
        let bytes = write_parquet(&encoded.batch, stamp).map_err(|error| failed(&error))?;
        let place = location(&source, stamp.ocsf_version);
        let key = object_key(&place, &args.region, &group.key.account, group.key.day, &batch);
        summary.objects += 1;
        summary.bytes += bytes.len() as u64;
        summary.overflowed += encoded.overflowed;
        write(&args.out.join(key), &bytes)?;
    }
    if !refused.is_empty() {
        let lines: String = refused.iter().map(|entry| format!("{entry}\n")).collect();
        write(&args.out.join(format!("quarantine/azure/{batch}.ndjson")), lines.as_bytes())?;
    }
    Ok(())
}

/// Writes beside the target and renames, so that a reader never sees half an object.
fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let fail = |error| Failure::file("write", path, &error);
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(fail)?;
    }
    let partial = path.with_extension("partial");
    std::fs::write(&partial, bytes).map_err(fail)?;
    std::fs::rename(&partial, path).map_err(fail)
}
