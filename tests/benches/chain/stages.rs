//! The stages, each on the same alerts.

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch};
use bumpalo::Bump;
use tributary_azure_mappings::shipped;
use tributary_json::{Doc, Limits};
use tributary_lake::{Row, Stamp, encode, group, write_parquet};
use tributary_mapping::{Destination, Mapped, Mapper, MappingSet, Options, Origin, Outcome, Scratch, asff, cloudtrail};
use tributary_ocsf::columns::Columns;
use tributary_ocsf::validate::{Rules, Validator};
use tributary_ocsf::{Version, write_object};

/// Records of a batch, as the processor cuts them.
pub(crate) const BATCH: usize = 2_000;

/// Some hours after the alerts' day.
const ENQUEUED: i64 = 1_762_300_800_000;

/// A stage: what it works through, and how many bytes come out.
type Stage<'c> = (&'static str, Box<dyn Fn() -> usize + 'c>);

/// What all stages share.
pub(crate) struct Chain {
    alerts: Vec<String>,
    set: MappingSet,
    columns: Columns,
    batches: Vec<RecordBatch>,
    /// The alerts' events as OCSF JSON.
    events: Vec<String>,
    /// The bytes of the batch's columns, as they lie in memory.
    plain: Vec<u8>,
}

impl Chain {
    pub(crate) fn new(alerts: Vec<String>) -> Self {
        let set = shipped(Version::V1_3_0).unwrap();
        let columns = Columns::embedded(set.schema(), "detection_finding").unwrap().unwrap();
        let mut chain = Self { alerts, set, columns, batches: Vec::new(), events: Vec::new(), plain: Vec::new() };
        chain.batches = chain.arrow();
        chain.events = chain.json();
        let mut plain = Vec::new();
        for column in chain.batches.iter().flat_map(RecordBatch::columns) {
            collect(column, &mut plain);
        }
        chain.plain = plain;
        chain
    }

    pub(crate) fn alerts(&self) -> usize {
        self.alerts.len()
    }

    /// The rows are complete: a stage that skipped work would be fast.
    pub(crate) fn check(&self) {
        let rows: usize = self.batches.iter().map(RecordBatch::num_rows).sum();
        assert_eq!(rows, self.alerts.len(), "every alert must become a row");
        for batch in &self.batches {
            for name in [
                "time",
                "time_dt",
                "type_uid",
                "type_name",
                "class_name",
                "metadata",
                "finding_info",
                "resources",
                "evidences",
                "observables",
                "unmapped",
                "severity",
                "status",
            ] {
                assert_eq!(batch.column_by_name(name).unwrap().null_count(), 0, "{name} must be set in every row");
            }
        }
    }

    pub(crate) fn stages(&self) -> Vec<Stage<'_>> {
        vec![
            ("JSON parse (tape)", Box::new(|| self.parse())),
            ("JSON parse (serde_json::Value, for comparison)", Box::new(|| self.parse_serde())),
            ("JSON -> OCSF events", Box::new(|| self.map())),
            ("JSON -> OCSF events -> ASFF findings", Box::new(|| self.forms(Self::asff))),
            ("JSON -> OCSF events -> CloudTrail Lake events", Box::new(|| self.forms(Self::cloudtrail))),
            (
                "JSON -> OCSF rows in Arrow",
                Box::new(|| self.arrow().iter().map(RecordBatch::get_array_memory_size).sum()),
            ),
            ("JSON -> zstd Parquet objects", Box::new(|| self.arrow().iter().map(parquet).sum())),
            ("  of that: Arrow -> zstd Parquet objects", Box::new(|| self.batches.iter().map(parquet).sum())),
            ("OCSF JSON -> judgement (tributary validate)", Box::new(|| self.validate())),
            ("zstd 3 alone on the columns' bytes", Box::new(|| zstd(&self.plain, 3))),
            ("zstd 1 alone on the columns' bytes", Box::new(|| zstd(&self.plain, 1))),
            ("zstd 3 alone on the JSON", Box::new(|| self.zstd_json())),
        ]
    }

    fn parse(&self) -> usize {
        let mut arena = Bump::new();
        let mut values = 0;
        for alert in &self.alerts {
            arena.reset();
            let mut doc = Doc::new();
            doc.parse(alert, &arena, Limits::default()).unwrap();
            values += doc.len();
        }
        values
    }

    fn parse_serde(&self) -> usize {
        let members = |alert| serde_json::from_str::<serde_json::Value>(alert).unwrap().as_object().unwrap().len();
        self.alerts.iter().map(|alert| members(alert)).sum()
    }

    fn mapped<'b>(&'b self, arena: &'b Bump) -> Vec<Outcome<'b>> {
        let mapper = Mapper::new(&self.set, Options::default());
        let (mut scratch, mut outcomes) = (Scratch::default(), Vec::with_capacity(self.alerts.len()));
        let origin = Origin { uid: "0f1e2d3c4b5a-0003-184467", enqueued_time: Some(ENQUEUED) };
        for alert in &self.alerts {
            mapper.map_body(alert, origin, arena, &mut scratch, &mut outcomes);
        }
        outcomes
    }

    fn json(&self) -> Vec<String> {
        let arena = Bump::new();
        let json = |outcome: &Outcome<'_>| match outcome {
            Outcome::Mapped(mapped) => {
                let mut text = String::new();
                write_object(self.set.schema(), &mapped.event, &mut text);
                text
            }
            other => panic!("{other:?}"),
        };
        self.mapped(&arena).iter().map(json).collect()
    }

    fn map(&self) -> usize {
        let arena = Bump::new();
        let outcomes = self.mapped(&arena);
        assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Mapped(_))));
        arena.allocated_bytes()
    }

    /// Every event in another form; the bytes of all.
    fn forms(&self, form: impl Fn(&Self, &Mapped<'_>, &Destination) -> usize) -> usize {
        let arena = Bump::new();
        let destination = Destination::new("111122223333", "eu-west-1").unwrap();
        let bytes = |outcome: &Outcome<'_>| match outcome {
            Outcome::Mapped(mapped) => form(self, mapped, &destination),
            other => panic!("{other:?}"),
        };
        self.mapped(&arena).iter().map(bytes).sum()
    }

    fn asff(&self, mapped: &Mapped<'_>, destination: &Destination) -> usize {
        asff::finding(self.set.schema(), &mapped.event, destination).unwrap().json().len()
    }

    fn cloudtrail(&self, mapped: &Mapped<'_>, destination: &Destination) -> usize {
        cloudtrail::audit_event(self.set.schema(), &mapped.event, destination).json().len()
    }

    /// One batch an object, as the transformer makes them.
    fn arrow(&self) -> Vec<RecordBatch> {
        let arena = Bump::new();
        let outcomes = self.mapped(&arena);
        let rows: Vec<Row<'_>> = outcomes
            .iter()
            .filter_map(|outcome| match outcome {
                Outcome::Mapped(mapped) => Some(Row {
                    event: &mapped.event,
                    class: mapped.class,
                    time: mapped.time,
                    account: mapped.account,
                    enqueued: ENQUEUED,
                }),
                _ => None,
            })
            .collect();
        let groups = group(&rows);
        groups.iter().map(|group| encode(self.set.schema(), &self.columns, &group.events).unwrap().batch).collect()
    }

    /// The cost of judging what is already OCSF, its parsing included.
    fn validate(&self) -> usize {
        let rules = Rules { security_lake: true, strict_warnings: true, ..Rules::default() };
        let validator = Validator::new(self.set.schema(), rules);
        let mut arena = Bump::new();
        let mut findings = 0;
        for event in &self.events {
            arena.reset();
            let mut doc = Doc::new();
            let id = doc.parse(event, &arena, Limits::default()).unwrap();
            findings += validator.check(doc.value(id)).findings.len();
        }
        assert_eq!(findings, 0, "every mapped event must be valid");
        findings
    }

    fn zstd_json(&self) -> usize {
        zstd(self.alerts.join("\n").as_bytes(), 3)
    }
}

fn parquet(batch: &RecordBatch) -> usize {
    write_parquet(batch, Stamp { ocsf_version: "1.3.0", mappings: "bench" }).unwrap().len()
}

fn zstd(bytes: &[u8], level: i32) -> usize {
    zstd::bulk::compress(bytes, level).unwrap().len()
}

/// The bytes that a column's values take, leaf by leaf.
fn collect(column: &ArrayRef, out: &mut Vec<u8>) {
    if let Some(inner) = column.as_struct_opt() {
        inner.columns().iter().for_each(|child| collect(child, out));
    } else if let Some(list) = column.as_list_opt::<i32>() {
        collect(list.values(), out);
    } else if let Some(map) = column.as_map_opt() {
        collect(map.keys(), out);
        collect(map.values(), out);
    } else if column.null_count() < column.len() {
        column.to_data().buffers().iter().for_each(|buffer| out.extend_from_slice(buffer));
    }
}
