//! The engine on small sets of its own: module rules, the general map, repairs, and the faults that its check finds.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod faults;
mod repairs;
mod rules;

use bumpalo::Bump;
use serde_json::Value as Json;
use tributary_mapping::{Mapper, MappingSet, Options, Origin, Outcome, Scratch, Sources};
use tributary_ocsf::{Version, write_object};

/// Files by name.
fn sources(files: &[(&str, &str)]) -> Sources {
    files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

fn compile(files: &[(&str, &str)]) -> MappingSet {
    MappingSet::compile(&sources(files), &[], Version::V1_3_0).unwrap_or_else(|faults| {
        panic!("{}", faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
    })
}

/// What became of a record, as text that a test can compare.
fn fates(set: &MappingSet, body: &str) -> Vec<String> {
    let arena = Bump::new();
    let (mut scratch, mut outcomes) = (Scratch::default(), Vec::new());
    let origin = Origin { uid: "u", enqueued_time: Some(1_767_225_600_000) };
    Mapper::new(set, Options::default()).map_body(body, origin, &arena, &mut scratch, &mut outcomes);
    let fate = |outcome: &Outcome<'_>| match outcome {
        Outcome::Mapped(mapped) => {
            let mut text = String::new();
            write_object(set.schema(), &mapped.event, &mut text);
            let event: Json = serde_json::from_str(&text).unwrap();
            format!("{} {} {}", mapped.kind, mapped.general.unwrap_or("-"), event["unmapped"])
        }
        Outcome::Refused(refused) => format!("{}: {}: {}", refused.reason.as_str(), refused.detail, refused.raw),
        Outcome::Routed(routed) => format!("{} {}: {}", routed.rule, routed.index, routed.message),
        Outcome::Skipped(skipped) => format!("{} {}", skipped.rule, skipped.index),
    };
    outcomes.iter().map(fate).collect()
}

const ALERT: (&str, &str) = (
    "alert.yaml",
    "\
kind: alert
class: detection_finding
match: [{ kind: alert }]
map:
  activity_id: Create
  time: .at
  severity_id: Low
  status_id: New
  metadata: { product: { name: Example, vendor_name: Example }, event_code: .kind }
  finding_info: { uid: .id, title: .id // \"none\" }
  cloud: { provider: Example }
",
);
