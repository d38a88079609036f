//! Redriving quarantine and dead letters, interrupted at every operation: no record lost, none doubled, each with the
//! identity that it would have had.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use tempfile::TempDir;
use tributary_batch::Batch;
use tributary_delivery::{MemorySink, Patience};
use tributary_lake::{QuarantineEntry, QuarantineLimits, QuarantineReader, quarantine_object, received_at};
use tributary_mapping::{Destination, MappingSet};
use tributary_pipeline::{
    Clock, Findings, LetterFilter, LettersReport, Progress, RecordFilter, RecordsReport, RedriveLetters,
    RedriveRecords, Stop, Trail, Transform,
};
use tributary_queue::{Counts, MemoryQueue, Queue, RedrivePolicy};
use tributary_tests::collect::{Arrived, collect_findings, files};
use tributary_tests::fuse::{At, Fuse, FusedQueue, at_every_operation};
use tributary_tests::stage::{
    NOON, arrived, batches, copy, message, quarantine, set, small_batches, snapshot, source, transform, transform_with,
};

static FULL: LazyLock<Arc<MappingSet>> = LazyLock::new(|| set(&[]));
/// Maps that know fewer kinds, as an older version's.
static OLD: LazyLock<Arc<MappingSet>> =
    LazyLock::new(|| set(&["defender_alert", "entra_signin_managed_identity", "activity_administrative"]));

type Records = BTreeMap<String, Vec<Arrived>>;

/// Batches of samples, delivered by the old maps.
struct Before {
    folder: TempDir,
    /// What the full maps make of the same batches.
    reference: Records,
}

impl Before {
    /// Three batches of every kind.
    async fn new(seed: u64) -> Self {
        Self::of(&batches(seed, 45, 15)).await
    }

    /// Two small batches, for tests that do a thing a hundred times.
    async fn small(seed: u64) -> Self {
        Self::of(&small_batches(seed, 8, 4)).await
    }

    async fn of(batches: &[Batch]) -> Self {
        let (folder, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        deliver(folder.path(), &OLD, batches).await;
        deliver(other.path(), &FULL, batches).await;
        let reference = arrived(other.path());
        assert!(reference.values().all(|places| places.len() == 1));
        Self { folder, reference }
    }

    fn copy(&self) -> TempDir {
        let folder = TempDir::new().unwrap();
        copy(self.folder.path(), folder.path());
        folder
    }

    /// Every record once, and what is in the lake is what the full maps would have made of it at first.
    fn assert_whole(&self, folder: &Path, what: &str) {
        let records = arrived(folder);
        assert_eq!(records.keys().collect::<Vec<_>>(), self.reference.keys().collect::<Vec<_>>(), "{what}");
        for (marker, places) in &records {
            assert_eq!(places.len(), 1, "{what}: {marker} in {places:?}");
            let expected = &self.reference[marker][0];
            if !in_quarantine(&expected.file) {
                assert_eq!(places[0].content, expected.content, "{what}: {marker}");
            }
            assert_eq!(in_quarantine(&places[0].file), in_quarantine(&expected.file), "{what}: {marker}");
        }
    }
}

fn in_quarantine(file: &str) -> bool {
    file.ends_with(".zst")
}

async fn deliver(folder: &Path, set: &Arc<MappingSet>, batches: &[Batch]) {
    let transform = transform(folder, set, &Fuse::new(None));
    for batch in batches {
        transform.deliver(&message(batch), "m").await.unwrap();
    }
}

fn job(folder: &Path, set: &Arc<MappingSet>, fuse: &Arc<Fuse>) -> RedriveRecords {
    RedriveRecords {
        quarantine: quarantine(folder, fuse),
        transform: transform(folder, set, fuse),
        filter: RecordFilter::default(),
        limit: None,
        dry_run: false,
        progress: Progress::silent(),
    }
}

async fn redrive(folder: &Path, filter: RecordFilter) -> RecordsReport {
    let report = RedriveRecords { filter, ..job(folder, &FULL, &Fuse::new(None)) }.run().await.unwrap();
    assert_eq!(report.failures, []);
    report
}

/// Reasons of what is in quarantine.
fn reasons(records: &Records) -> BTreeMap<String, usize> {
    let mut reasons = BTreeMap::new();
    for place in records.values().flatten().filter(|place| in_quarantine(&place.file)) {
        let entry: serde_json::Value = serde_json::from_str(&place.content).unwrap();
        *reasons.entry(entry["reason"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    reasons
}

#[tokio::test]
async fn redriven_records_become_what_they_would_have_been() {
    let before = Before::new(7).await;
    let folder = before.copy();
    let was = reasons(&arrived(folder.path()));
    let report = redrive(folder.path(), RecordFilter::default()).await;
    before.assert_whole(folder.path(), "redriven");
    let is = reasons(&arrived(folder.path()));
    assert!(is["unknown-kind"] < was["unknown-kind"], "{was:?}, then {is:?}");
    assert_eq!(report.matched(), was.values().sum::<usize>() as u64);
    assert_eq!(report.quarantined, is.values().sum::<usize>() as u64);
    assert_eq!(report.mapped + report.quarantined + report.routed + report.skipped, report.matched());
    assert_eq!((report.objects, report.retired, report.ended), (3, 3, 0));
    assert_eq!(report.kinds.values().sum::<u64>(), report.mapped);
    // What was retired is kept whole; the redrive's own objects lie beside.
    let files = snapshot(folder.path());
    let below = |folder: &str| files.keys().filter(|name| name.starts_with(folder)).count();
    assert!(below("retired/") == 3 && below("quarantine/") > 3, "{:?}", files.keys());
    assert!(files.keys().any(|name| name.starts_with("quarantine/") && name.ends_with("-q1.ndjson.zst")));

    // Once more: what is left is tried again under the next name, and nothing changes but that.
    let again = redrive(folder.path(), RecordFilter::default()).await;
    before.assert_whole(folder.path(), "redriven twice");
    assert_eq!((again.mapped, again.quarantined), (0, report.quarantined));
    assert!(snapshot(folder.path()).keys().any(|name| name.ends_with("-q2.ndjson.zst")));
}

#[tokio::test]
async fn interrupted_at_any_operation_the_next_run_mends_it() {
    let before = Before::small(11).await;
    let ends = at_every_operation(async |at| {
        let (folder, fuse) = (before.copy(), Fuse::new(at));
        // The stores fail one object at a time: the run ends, with failures in its report.
        let _ = job(folder.path(), &FULL, &fuse).run().await;
        redrive(folder.path(), RecordFilter::default()).await;
        before.assert_whole(folder.path(), &format!("{at:?}"));
        fuse
    })
    .await;
    println!("{ends} ends");
    assert!(ends >= 20, "{ends} ends");
}

/// A transform job with findings and trail events, a fuse at the findings' queue too.
fn with_delivery(
    transform: Transform,
    findings: &Arc<MemoryQueue>,
    trail: &Arc<MemorySink>,
    fuse: &Arc<Fuse>,
) -> Transform {
    let destination = Destination::new("111122223333", "eu-west-1").unwrap();
    let queue = Arc::new(FusedQueue(findings.clone(), Arc::clone(fuse)));
    Transform {
        findings: Some(Findings { queue, destination: destination.clone() }),
        trail: Some(Trail { sink: trail.clone(), destination, patience: Patience::default() }),
        ..transform
    }
}

#[tokio::test]
async fn interrupted_at_any_operation_findings_and_trail_events_are_what_they_would_have_been() {
    let (batches, none) = (small_batches(17, 8, 4), Fuse::new(None));
    let queue = || Arc::new(MemoryQueue::new(RedrivePolicy::default()));
    let (expected, events, other) = (queue(), Arc::new(MemorySink::new()), TempDir::new().unwrap());
    let first = with_delivery(transform(other.path(), &FULL, &none), &expected, &events, &none);
    for batch in &batches {
        first.deliver(&message(batch), "m").await.unwrap();
    }
    let expected: BTreeSet<String> = collect_findings(&*expected).await.into_keys().collect();
    assert!(!expected.is_empty() && events.entries().len() >= expected.len());

    // The old maps put every alert into quarantine: nothing was handed on.
    let before = Before::of(&batches).await;
    let ends = at_every_operation(async |at| {
        let (folder, fuse) = (before.copy(), Fuse::new(at));
        let (findings, trail) = (queue(), Arc::new(MemorySink::new()));
        for fuse in [&fuse, &none] {
            let job = job(folder.path(), &FULL, fuse);
            let transform = with_delivery(job.transform.clone(), &findings, &trail, fuse);
            let _ = RedriveRecords { transform, ..job }.run().await;
        }
        before.assert_whole(folder.path(), &format!("{at:?}"));
        let found: BTreeSet<String> = collect_findings(&*findings).await.into_keys().collect();
        assert_eq!(found, expected, "{at:?}");
        assert_eq!(trail.entries(), events.entries(), "{at:?}");
        fuse
    })
    .await;
    assert!(ends >= 20, "{ends} ends");
}

/// The first staged outcome wins; what it left in quarantine is tried by the maps of the run that ends it.
#[tokio::test]
async fn other_maps_after_an_interruption_lose_and_double_nothing() {
    let before = Before::of(&small_batches(13, 4, 4)).await;
    let maps = [OLD.clone(), FULL.clone()];
    for (first, then) in [(&maps[0], &maps[1]), (&maps[1], &maps[0])] {
        at_every_operation(async |at| {
            let (folder, fuse) = (before.copy(), Fuse::new(at));
            let _ = job(folder.path(), first, &fuse).run().await;
            let report = job(folder.path(), then, &Fuse::new(None)).run().await.unwrap();
            assert_eq!(report.failures, []);
            let records = arrived(folder.path());
            assert_eq!(records.keys().collect::<Vec<_>>(), before.reference.keys().collect::<Vec<_>>(), "{at:?}");
            assert!(records.values().all(|places| places.len() == 1), "{at:?}");
            if Arc::ptr_eq(then, &maps[1]) {
                before.assert_whole(folder.path(), &format!("{at:?}"));
            }
            fuse
        })
        .await;
    }
}

#[tokio::test]
async fn a_batch_that_is_delivered_once_more_puts_nothing_back() {
    let before = Before::new(7).await;
    let folder = before.copy();
    redrive(folder.path(), RecordFilter::default()).await;
    let files = snapshot(folder.path());
    for maps in [&OLD, &FULL] {
        deliver(folder.path(), maps, &batches(7, 45, 15)).await;
    }
    assert_eq!(snapshot(folder.path()), files);
}

#[tokio::test]
async fn what_the_filter_leaves_out_stays_and_can_be_redriven_later() {
    let before = Before::new(17).await;
    let only = |reason: &str| RecordFilter { reasons: [reason.to_owned()].into(), ..RecordFilter::default() };
    let folder = before.copy();
    let was = reasons(&arrived(folder.path()));
    let report = redrive(folder.path(), only("not-json")).await;
    assert_eq!(report.matched(), was["not-json"] as u64);
    assert_eq!(report.mapped, 0);
    assert_eq!(reasons(&arrived(folder.path())), was, "those of another reason are as they were");
    let report = redrive(folder.path(), only("unknown-kind")).await;
    assert!(report.mapped > 0);
    before.assert_whole(folder.path(), "redriven by reason");

    let folder = before.copy();
    let untouched = snapshot(folder.path());
    let later = RecordFilter { since: Some(NOON + 1_000), ..RecordFilter::default() };
    let other = RecordFilter { module: Some("other".into()), ..RecordFilter::default() };
    let kind = RecordFilter { kinds: ["no_such_kind".to_owned()].into(), ..RecordFilter::default() };
    let batch = RecordFilter { batch: Some("0123".into()), ..RecordFilter::default() };
    for filter in [later, other, kind, batch] {
        assert_eq!(redrive(folder.path(), filter).await.matched(), 0);
        assert_eq!(snapshot(folder.path()), untouched, "an object of which nothing is meant is not touched");
    }
    // By time: the first batch, and a part of the second.
    let early = RecordFilter { until: Some(NOON + 22), ..RecordFilter::default() };
    let report = redrive(folder.path(), early.clone()).await;
    assert_eq!((report.objects, report.retired), (3, 2));
    let late = RecordFilter { since: early.until, ..RecordFilter::default() };
    redrive(folder.path(), late).await;
    before.assert_whole(folder.path(), "redriven by time");
}

#[tokio::test]
async fn a_limit_counts_records_and_a_dry_run_changes_nothing() {
    let before = Before::small(19).await;
    let folder = before.copy();
    let untouched = snapshot(folder.path());
    let none = Fuse::new(None);
    let looked = RedriveRecords { dry_run: true, ..job(folder.path(), &FULL, &none) }.run().await.unwrap();
    assert_eq!(snapshot(folder.path()), untouched);
    let all = RedriveRecords { limit: Some(u64::MAX), ..job(before.copy().path(), &FULL, &none) }.run().await.unwrap();
    assert_eq!((looked.matched(), looked.mapped, looked.kinds), (all.matched(), all.mapped, all.kinds));
    assert_eq!((looked.retired, all.retired), (0, 2));
    let report = RedriveRecords { limit: Some(2), ..job(folder.path(), &FULL, &none) }.run().await.unwrap();
    assert_eq!((report.matched(), report.retired), (2, 1), "{report:?}");
    let records = arrived(folder.path());
    assert!(records.len() == before.reference.len() && records.values().all(|places| places.len() == 1));
    redrive(folder.path(), RecordFilter::default()).await;
    before.assert_whole(folder.path(), "the rest");
}

#[tokio::test]
async fn an_object_that_is_damaged_holds_up_no_other() {
    let before = Before::new(7).await;
    let folder = before.copy();
    let files = snapshot(folder.path());
    let victim = files.keys().find(|name| name.starts_with("quarantine/")).unwrap();
    std::fs::write(folder.path().join(victim), b"no zstd, whatever its name says").unwrap();
    let report = job(folder.path(), &FULL, &Fuse::new(None)).run().await.unwrap();
    assert_eq!((report.failures.len(), report.retired), (1, 2), "{report:?}");
    assert_eq!(&report.failures[0].0, victim);
    assert!(report.failures[0].1.contains("decompress"), "{report:?}");
    assert!(folder.path().join(victim).exists());
}

/// Staging keeps outcomes for a while; a redrive that was interrupted longer ago must not take what it published for all.
#[tokio::test]
async fn what_was_published_without_being_staged_any_more_is_not_taken_for_done() {
    let before = Before::small(7).await;
    let folder = before.copy();
    // Up to the retiring: all groups of the first object are published.
    let mut number = 0;
    loop {
        let folder = before.copy();
        let fuse = Fuse::new(At::Before(number));
        let _ = job(folder.path(), &FULL, &fuse).run().await;
        if snapshot(folder.path()).keys().any(|name| name.starts_with("retired/")) {
            break;
        }
        number += 1;
    }
    let fuse = Fuse::new(At::Before(number - 1));
    let _ = job(folder.path(), &FULL, &fuse).run().await;
    for name in
        snapshot(folder.path()).keys().filter(|name| name.starts_with("staging/staged/") && name.contains("-q1"))
    {
        std::fs::remove_file(folder.path().join(name)).unwrap();
    }
    let report = job(folder.path(), &FULL, &Fuse::new(None)).run().await.unwrap();
    assert_eq!(report.failures.len(), 1, "{report:?}");
    assert!(report.failures[0].1.contains("staged"), "{report:?}");
    // As the message says: its records are all in the object still.
    let named = report.failures[0].0.rsplit_once('/').unwrap().1.replace(".ndjson.zst", "-q1.");
    for name in snapshot(folder.path()).keys().filter(|name| name.contains(&named)) {
        std::fs::remove_file(folder.path().join(name)).unwrap();
    }
    redrive(folder.path(), RecordFilter::default()).await;
    before.assert_whole(folder.path(), "after the message was followed");
}

#[tokio::test]
async fn notifications_that_nobody_took_are_handed_on_when_somebody_does() {
    let folder = TempDir::new().unwrap();
    deliver(folder.path(), &FULL, &batches(111, 60, 60)).await;
    let was = reasons(&arrived(folder.path()));
    let flow_logs: Arc<dyn Queue> = Arc::new(MemoryQueue::new(RedrivePolicy::default()));
    let none = Fuse::new(None);
    let queue: Arc<dyn Queue> = Arc::new(MemoryQueue::new(RedrivePolicy::default()));
    let transform = transform_with(folder.path(), &FULL, &none, queue, Some(Arc::clone(&flow_logs)));
    let report = RedriveRecords { transform, ..job(folder.path(), &FULL, &none) }.run().await.unwrap();
    assert!(report.routed > 0, "{report:?}: another seed");
    let is = reasons(&arrived(folder.path()));
    assert_eq!(was["unknown-kind"] as u64, report.routed + is.get("unknown-kind").copied().unwrap_or(0) as u64);
    let notified = tributary_tests::collect::collect_notifications(&*flow_logs).await;
    assert_eq!(notified.len() as u64, report.routed);
}

#[tokio::test]
async fn foreign_records_keep_their_name_and_time() {
    let folder = TempDir::new().unwrap();
    let alert = include_str!("../../modules/azure/mappings/defender_alert.cases/arm.json");
    let wrapped = format!(
        r#"{{"event_data":{{"records":[{alert},{{"odd":1}},{alert}]}},"event_metadata":{{"enqueued_time":"2026-03-02T11:00:00Z"}}}}"#
    );
    transform(folder.path(), &OLD, &Fuse::new(None)).deliver(&wrapped, "message").await.unwrap();
    let other = TempDir::new().unwrap();
    transform(other.path(), &FULL, &Fuse::new(None)).deliver(&wrapped, "message").await.unwrap();
    redrive(folder.path(), RecordFilter::default()).await;
    assert_eq!(rows(folder.path()).len(), 2);
    assert_eq!(rows(folder.path()), rows(other.path()));
    let left = left(folder.path());
    assert_eq!((left.len(), &left[0].position["record"]), (1, &1.into()), "{left:?}");
}

/// Rows of the lake as text, sorted.
fn rows(folder: &Path) -> Vec<String> {
    use parquet::file::reader::{FileReader as _, SerializedFileReader};
    let mut rows = Vec::new();
    for path in files(&folder.join("lake"), "parquet") {
        let reader = SerializedFileReader::new(bytes::Bytes::from(std::fs::read(path).unwrap())).unwrap();
        rows.extend(reader.get_row_iter(None).unwrap().map(|row| row.unwrap().to_string()));
    }
    rows.sort();
    rows
}

/// Everything that is in quarantine.
fn left(folder: &Path) -> Vec<QuarantineEntry<'static>> {
    let mut left = Vec::new();
    for path in files(&folder.join("quarantine"), "zst") {
        let bytes = std::fs::read(path).unwrap();
        left.extend(QuarantineReader::new(&bytes, QuarantineLimits::default()).unwrap().map(Result::unwrap));
    }
    left
}

/// A text that was one record to the version that quarantined it may be several to this one.
#[tokio::test]
async fn records_of_a_text_that_is_parted_now_take_no_other_records_identity() {
    let alert = include_str!("../../modules/azure/mappings/defender_alert.cases/arm.json").replace('\n', " ");
    let text = format!("{alert}\n{{\"odd\":1}}");
    let batch = batches(1, 10, 10).remove(0);
    let entry = |sequence: i64, record: u64, reason: &'static str| QuarantineEntry {
        reason: reason.into(),
        detail: "by another version".into(),
        kind: None,
        position: serde_json::json!({"partition": "3", "sequenceNumber": sequence, "record": record}),
        mappings: "other".into(),
        received_at: received_at(NOON).into(),
        raw: text.clone().into(),
    };
    let entries = [entry(0, 0, "not-json"), entry(4, 0, "not-a-log"), entry(5, 2, "not-json")];
    let folder = TempDir::new().unwrap();
    let object = quarantine_object("azure", NOON, &batch.id(), &entries).unwrap().unwrap();
    let path = folder.path().join(object.key);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, object.bytes).unwrap();
    let digest = source().hub_digest();
    // The whole body's records have its indices, a part's are told from those that follow it.
    let uids = ["3-0-0", "3-4-0-0", "3-5-2-0"].map(|uid| format!("{}-{uid}", digest.as_str()));
    let places = [(0, 1, None), (4, 0, Some(1)), (5, 2, Some(1))];
    for round in 1..=2 {
        redrive(folder.path(), RecordFilter::default()).await;
        let rows = rows(folder.path());
        assert_eq!(rows.len(), 3, "round {round}");
        for uid in &uids {
            assert!(rows.iter().any(|row| row.contains(&format!("uid: \"{uid}\""))), "round {round}: {uid}");
        }
        let mut left: Vec<(i64, u64, Option<u64>)> = left(folder.path())
            .iter()
            .map(|entry| &entry.position)
            .map(|at| (at["sequenceNumber"].as_i64().unwrap(), at["record"].as_u64().unwrap(), at["part"].as_u64()))
            .collect();
        left.sort_unstable();
        assert_eq!(left, places, "round {round}");
    }
}

// ------------------------------------------------------------------------------------------------------------------------
// Dead letters.

/// A queue with a dead letter for each batch, and two that are no batch's.
async fn with_letters() -> (Arc<MemoryQueue>, BTreeSet<String>) {
    let queue = Arc::new(MemoryQueue::new(RedrivePolicy { max_receives: 1 }));
    let mut bodies: BTreeSet<String> = batches(3, 60, 5).iter().map(message).collect();
    bodies.extend([r#"{"schema":"tributary.blobs/1","notifications":[]}"#.to_owned(), "{}".to_owned()]);
    for body in &bodies {
        queue.send(body).await.unwrap();
        let message = queue.receive(1, Duration::from_secs(60), Duration::ZERO).await.unwrap().remove(0);
        queue.release(&message.receipt).await.unwrap();
    }
    assert!(queue.receive(1, Duration::ZERO, Duration::ZERO).await.unwrap().is_empty());
    assert_eq!(queue.counts().await.unwrap().dead, bodies.len() as u64);
    (queue, bodies)
}

fn letters(queue: Arc<dyn Queue>) -> RedriveLetters {
    RedriveLetters {
        queue,
        filter: LetterFilter::default(),
        limit: None,
        dry_run: false,
        clock: Clock::system(),
        stop: Stop::new(),
        progress: Progress::silent(),
    }
}

/// Every message of a queue, the dead ones too.
async fn all(queue: &dyn Queue) -> Vec<String> {
    let mut bodies = Vec::new();
    for queue in [Some(queue), queue.dead_letter_queue().as_deref()].into_iter().flatten() {
        loop {
            let messages = queue.receive(10, Duration::from_secs(60), Duration::ZERO).await.unwrap();
            if messages.is_empty() {
                break;
            }
            bodies.extend(messages.into_iter().map(|message| message.body));
        }
    }
    bodies
}

#[tokio::test]
async fn dead_letters_go_back_to_their_queue() {
    let (queue, bodies) = with_letters().await;
    let report = letters(queue.clone()).run().await.unwrap();
    let count = bodies.len() as u64;
    let bytes = bodies.iter().map(|body| body.len() as u64).sum();
    assert_eq!(report, LettersReport { looked: count, matched: count, redriven: count, bytes, failure: None });
    assert_eq!(queue.counts().await.unwrap(), Counts { visible: count, in_flight: 0, dead: 0 });
    assert_eq!(all(&*queue).await.into_iter().collect::<BTreeSet<_>>(), bodies);
}

#[tokio::test]
async fn interrupted_at_any_operation_no_letter_is_lost() {
    let ends = at_every_operation(async |at| {
        let (queue, bodies) = with_letters().await;
        let fuse = Fuse::new(at);
        let report = letters(Arc::new(FusedQueue(queue.clone(), Arc::clone(&fuse)))).run().await;
        assert_eq!(report.map_or(true, |report| report.failure.is_some()), fuse.is_blown());
        let found = all(&*queue).await;
        let kept: BTreeSet<String> = found.iter().cloned().collect();
        // What was taken and neither sent nor shown again is hidden for a while, not gone.
        let hidden = queue.dead_letter_queue().unwrap().counts().await.unwrap().in_flight;
        assert!(kept.len() as u64 + hidden >= bodies.len() as u64, "{at:?}");
        assert!(found.len() <= bodies.len() + 1, "{at:?}: more than the one that was sent and not deleted came twice");
        fuse
    })
    .await;
    assert!(ends > 30, "{ends} ends");
}

#[tokio::test]
async fn letters_that_are_not_meant_stay_and_are_shown_again() {
    let (queue, bodies) = with_letters().await;
    let prefix = tributary_batch::BatchId::prefix(&source());
    let count = bodies.len() as u64;
    for (filter, expected) in [
        (LetterFilter { batch: Some(format!("{prefix}0000000000000000000")), ..LetterFilter::default() }, 2),
        (LetterFilter { batch: Some(prefix.clone()), ..LetterFilter::default() }, 12),
        (LetterFilter { batch: Some("content-".into()), ..LetterFilter::default() }, 1),
        (LetterFilter { since: Some(i64::MAX), ..LetterFilter::default() }, 0),
        (LetterFilter { until: Some(i64::MAX), ..LetterFilter::default() }, count),
    ] {
        let job = RedriveLetters { filter: filter.clone(), dry_run: true, ..letters(queue.clone()) };
        let report = job.run().await.unwrap();
        assert_eq!((report.looked, report.matched, report.redriven), (count, expected, 0), "{filter:?}");
        let dead = queue.dead_letter_queue().unwrap().counts().await.unwrap();
        assert_eq!((dead.visible, dead.in_flight), (count, 0), "{filter:?}");
    }
    let job = RedriveLetters {
        filter: LetterFilter { batch: Some(prefix), ..LetterFilter::default() },
        ..letters(queue.clone())
    };
    let report = RedriveLetters { limit: Some(5), ..job.clone() }.run().await.unwrap();
    assert_eq!((report.matched, report.redriven), (5, 5));
    assert_eq!(job.run().await.unwrap().redriven, 7);
    assert_eq!(queue.counts().await.unwrap(), Counts { visible: 12, in_flight: 0, dead: count - 12 });
}

#[tokio::test]
async fn what_is_asked_to_stop_stops_between_two_letters() {
    let (queue, bodies) = with_letters().await;
    let stop = Stop::new();
    let asked = stop.clone();
    let progress = Progress::new(move |done, _| {
        if done == 3 {
            asked.set();
        }
    });
    let report = RedriveLetters { stop, progress, ..letters(queue.clone()) }.run().await.unwrap();
    assert_eq!(report.redriven, 3);
    assert_eq!(queue.counts().await.unwrap(), Counts { visible: 3, in_flight: 0, dead: bodies.len() as u64 - 3 });
}
