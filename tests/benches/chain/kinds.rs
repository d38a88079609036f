//! Every kind alone: its own golden cases, repeated to a batch, ids and times of every repetition its own.

use std::time::Duration;

use bumpalo::Bump;
use tributary_azure_mappings::sources;
use tributary_batch::BatchId;
use tributary_lake::{LakeWriter, Layout, Row, encode, group};
use tributary_mapping::{Case, Mapper, MappingSet, Options, Origin, Outcome, Scratch};
use tributary_ocsf::columns::Columns;
use tributary_ocsf::{Object, ShapeId, Value};

use crate::clock;
use crate::stages::BATCH;
use crate::vary::Vary;

/// Cases that show what a map does with what nobody sends.
const UNREAL: [&str; 2] = ["hostile.json", "odd.json"];
/// The hub's word on when an event came, for records without a time.
const ORIGIN: Origin<'static> = Origin { uid: "0f1e2d3c4b5a-0003-184467", enqueued_time: Some(1_767_225_600_000) };

/// Best CPU times of a batch.
#[derive(Clone, Copy)]
pub(crate) struct Times {
    pub(crate) map: Duration,
    pub(crate) arrow: Duration,
    pub(crate) parquet: Duration,
    /// As if all records of a class were of one account and day.
    pub(crate) one_object: Duration,
}

/// What was measured of a kind.
pub(crate) struct Measured {
    pub(crate) kind: String,
    pub(crate) records: usize,
    pub(crate) bytes: usize,
    /// Values of all events, without the lists and objects around them.
    pub(crate) values: usize,
    pub(crate) objects: usize,
    pub(crate) times: Times,
}

/// One kind's batch.
struct Batch<'s> {
    kind: &'s str,
    bodies: Vec<String>,
    records: usize,
    bytes: usize,
}

/// Measures each kind whose name contains `wanted`.
pub(crate) fn measure(set: &MappingSet, wanted: &str, rounds: usize) -> Vec<Measured> {
    let sources = sources();
    let cases = Case::all(&sources);
    let maps = sources.iter().filter(|(path, _)| path.ends_with(".yaml")).map(|(_, text)| text.as_str());
    let vary = Vary::keeping(maps);
    let kinds = set.kinds().iter().map(|kind| kind.name.as_str()).filter(|kind| kind.contains(wanted));
    kinds.map(|kind| Bench::new(set, batch(set, kind, &cases, &vary)).measure(rounds)).collect()
}

/// The kind's cases, of which every record is mapped by it, one after the other until the batch is full.
fn batch<'s>(set: &MappingSet, kind: &'s str, cases: &[Case], vary: &Vary) -> Batch<'s> {
    let mut vary = vary.clone();
    let real = |case: &&Case| case.kind == kind && !UNREAL.iter().any(|name| case.path.ends_with(name));
    let usable: Vec<(String, usize)> = cases
        .iter()
        .filter(real)
        .filter_map(|case| {
            let body = compact(&case.body);
            let arena = Bump::new();
            let (mut scratch, mut outcomes) = (Scratch::default(), Vec::new());
            Mapper::new(set, Options::default()).map_body(&body, ORIGIN, &arena, &mut scratch, &mut outcomes);
            let own = |outcome: &Outcome<'_>| matches!(outcome, Outcome::Mapped(mapped) if mapped.kind == kind);
            let records = outcomes.len();
            let accounts = outcomes.iter().filter_map(|outcome| match outcome {
                Outcome::Mapped(mapped) => mapped.account,
                _ => None,
            });
            // The accounts of a batch are few.
            accounts.for_each(|account| vary.keep(account));
            (records > 0 && outcomes.iter().all(own)).then(|| (body.clone(), records))
        })
        .collect();
    assert!(!usable.is_empty(), "{kind} has no case of which every record is its own");
    let mut batch = Batch { kind, bodies: Vec::new(), records: 0, bytes: 0 };
    for (number, (body, records)) in (0..).zip(usable.iter().cycle()) {
        if batch.records >= BATCH {
            break;
        }
        batch.records += records;
        batch.bytes += body.len();
        batch.bodies.push(vary.body(body, number));
    }
    batch
}

/// A body as a hub delivers it: cases are indented for whoever reads them.
fn compact(body: &str) -> String {
    if serde_json::from_str::<serde::de::IgnoredAny>(body).is_err() {
        return body.to_owned();
    }
    let (mut quoted, mut escaped) = (false, false);
    let keep = |letter: &char| {
        let keeps = quoted || !letter.is_ascii_whitespace();
        quoted ^= *letter == '"' && !escaped;
        escaped = *letter == '\\' && !escaped;
        keeps
    };
    body.chars().filter(keep).collect()
}

struct Bench<'s> {
    set: &'s MappingSet,
    batch: Batch<'s>,
    writer: LakeWriter,
    /// Columns of each class that the kind's records become.
    columns: Vec<(ShapeId, Columns)>,
    id: BatchId,
}

impl<'s> Bench<'s> {
    fn new(set: &'s MappingSet, batch: Batch<'s>) -> Self {
        let schema = set.schema();
        let layout = Layout::from_prefix("eu-west-1", "azure-", schema.version).unwrap();
        let columns = set.classes().into_iter().filter_map(|class| {
            let (id, _) = schema.class_named(class)?;
            Some((id, Columns::embedded(schema, class)?.unwrap()))
        });
        let id = BatchId::for_content(batch.kind.as_bytes());
        Self { set, writer: LakeWriter::new(schema, layout, set.digest()), columns: columns.collect(), batch, id }
    }

    fn measure(&self, rounds: usize) -> Measured {
        let most = Duration::MAX;
        let mut best = Times { map: most, arrow: most, parquet: most, one_object: most };
        let mut objects = 0;
        for _ in 0..rounds {
            best.map = best.map.min(clock::cost(|| self.map(|rows| assert_eq!(rows.len(), self.batch.records))).0);
            best.arrow = best.arrow.min(clock::cost(|| self.map(|rows| self.arrow(rows))).0);
            let (time, made) = clock::cost(|| self.map(|rows| self.objects(rows)));
            (best.parquet, objects) = (best.parquet.min(time), made);
            best.one_object = best.one_object.min(clock::cost(|| self.map(|rows| self.objects(&together(rows)))).0);
        }
        let Batch { kind, records, bytes, .. } = &self.batch;
        let values = self.map(|rows| rows.iter().map(|row| object_values(row.event)).sum());
        Measured { kind: (*kind).to_owned(), records: *records, bytes: *bytes, values, objects, times: best }
    }

    /// Maps the batch and hands its rows on.
    fn map<T>(&self, then: impl FnOnce(&[Row<'_>]) -> T) -> T {
        let arena = Bump::new();
        let mapper = Mapper::new(self.set, Options::default());
        let (mut scratch, mut outcomes) = (Scratch::default(), Vec::with_capacity(self.batch.records));
        for body in &self.batch.bodies {
            mapper.map_body(body, ORIGIN, &arena, &mut scratch, &mut outcomes);
        }
        let rows: Vec<Row<'_>> = outcomes
            .iter()
            .filter_map(|outcome| match outcome {
                Outcome::Mapped(mapped) => Some(Row {
                    event: &mapped.event,
                    class: mapped.class,
                    time: mapped.time,
                    account: mapped.account,
                    // Cases are of many years: each counts as fresh.
                    enqueued: mapped.time,
                }),
                _ => None,
            })
            .collect();
        then(&rows)
    }

    fn arrow(&self, rows: &[Row<'_>]) {
        for group in group(rows) {
            let (_, columns) = self.columns.iter().find(|(class, _)| *class == group.key.class).unwrap();
            std::hint::black_box(encode(self.set.schema(), columns, &group.events).unwrap());
        }
    }

    fn objects(&self, rows: &[Row<'_>]) -> usize {
        self.writer.objects(&self.id, rows).unwrap().objects.len()
    }
}

fn object_values(object: &Object<'_>) -> usize {
    object.fields.iter().map(|(_, value)| values(value)).sum()
}

fn values(value: &Value<'_>) -> usize {
    match value {
        Value::Object(object) => object_values(object),
        Value::Array(elements) => elements.iter().map(values).sum(),
        Value::Map(entries) => entries.len(),
        _ => 1,
    }
}

/// The rows as if they were of one account and day.
fn together<'r>(rows: &[Row<'r>]) -> Vec<Row<'r>> {
    let Some(first) = rows.first() else { return Vec::new() };
    rows.iter().map(|row| Row { time: first.time, account: None, enqueued: first.time, ..*row }).collect()
}
