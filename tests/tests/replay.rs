//! Replaying a partition's range and remapping it, over a hub that speaks AMQP, interrupted at every operation: every record once,
//! the processor undisturbed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, UNIX_EPOCH};

use tempfile::TempDir;
use tributary_azure_eventhub::EventHubSource;
use tributary_azure_eventhub_emulator::{Emulator, Event, HubConfig};
use tributary_azure_samples::{Kind, Samples};
use tributary_ledger::{Ledger, MemoryLedger};
use tributary_mapping::MappingSet;
use tributary_pipeline::{
    Bound, Clock, EventSource, Gaps, Poll, PollConfig, Progress, RecordFilter, RedriveRecords, RemapBatches,
    RemapReport, Replay, ReplayError, ReplayPlan, ReplayRange, SourceError, StartPosition, Stop,
};
use tributary_queue::{Counts, MemoryQueue, Queue, RedrivePolicy};
use tributary_telemetry::Metrics;
use tributary_tests::collect::Arrived;
use tributary_tests::fuse::{Fuse, FusedQueue, at_every_operation};
use tributary_tests::stage::{NOON, arrived, copy, quarantine, set, snapshot, store, transform, transform_with};

const HUB: &str = "defender";
const GROUP: &str = "$Default";
const BESIDE: &str = "operators";
const MINUTE: i64 = 60_000;

static FULL: LazyLock<Arc<MappingSet>> = LazyLock::new(|| set(&[]));
static OLD: LazyLock<Arc<MappingSet>> = LazyLock::new(|| set(&["defender_alert"]));

type Records = BTreeMap<String, Vec<Arrived>>;

/// A hub with one partition of alerts, and a processor that has read it all.
struct Stage {
    emulator: Emulator,
    ledger: Arc<MemoryLedger>,
    queue: Arc<MemoryQueue>,
    folder: TempDir,
}

impl Stage {
    /// So many events, a minute apart, in batches of so many; nothing transformed yet.
    async fn polled(events: u64, size: usize) -> Self {
        let emulator = Emulator::builder().hub(HubConfig::new(HUB, 1).consumer_group(BESIDE)).listen("127.0.0.1:0");
        let emulator = emulator.start().await.unwrap();
        let hub = emulator.hub(HUB).unwrap();
        let samples = Samples::new(5).only(&[Kind::DefenderAlert]).malformed_per_mille(300);
        for (number, sample) in (0..).zip(samples.events(events)) {
            let at = UNIX_EPOCH + Duration::from_millis((NOON + number * MINUTE) as u64);
            hub.publish(0, Event::new(sample.body).enqueued_at(at)).unwrap();
        }
        let queue = Arc::new(MemoryQueue::new(RedrivePolicy::default()));
        let stage = Self { emulator, ledger: Arc::default(), queue, folder: TempDir::new().unwrap() };
        stage.poll(stage.ledger.clone(), stage.queue.clone(), size).await;
        stage
    }

    /// The same, and transformed by these maps.
    async fn delivered(events: u64, size: usize, set: &Arc<MappingSet>) -> Self {
        let stage = Self::polled(events, size).await;
        stage.drain(stage.folder.path(), set).await;
        stage
    }

    fn source(&self, group: &str) -> Arc<EventHubSource> {
        let connection = self.emulator.connection_string(HUB);
        let builder = EventHubSource::builder().connection_string(&connection).unwrap();
        Arc::new(builder.consumer_group(group).build_source().unwrap())
    }

    async fn poll(&self, ledger: Arc<dyn Ledger>, queue: Arc<dyn Queue>, size: usize) {
        let mut config = PollConfig::new("azure", "test");
        config.reserve = Duration::ZERO;
        config.batch_events = size;
        let source = self.source(GROUP);
        let poll = Poll {
            source: source.clone(),
            ledger,
            queue,
            staging: tributary_lake::Staging::new(store(self.folder.path(), "staging", &Fuse::new(None))),
            metrics: Metrics::new(),
            clock: Clock::system(),
            stop: Stop::new(),
            config,
        };
        let report = poll.run(Duration::from_secs(60)).await.unwrap();
        assert_eq!((report.failures().count(), report.lag()), (0, 0), "{report:?}");
        source.close().await.unwrap();
    }

    /// Transforms until the queue is empty.
    async fn drain(&self, folder: &Path, set: &Arc<MappingSet>) {
        let queue: Arc<dyn Queue> = self.queue.clone();
        let job = transform_with(folder, set, &Fuse::new(None), queue, None);
        let report = job.drain(Duration::from_secs(60)).await.unwrap();
        assert_eq!(report.failure, None);
    }

    /// What these maps make of the hub's events at first.
    async fn reference(&self, size: usize, set: &Arc<MappingSet>) -> TempDir {
        let folder = TempDir::new().unwrap();
        let queue: Arc<dyn Queue> = Arc::new(MemoryQueue::new(RedrivePolicy::default()));
        self.poll(Arc::new(MemoryLedger::new()), Arc::clone(&queue), size).await;
        let job = transform_with(folder.path(), set, &Fuse::new(None), queue, None);
        job.drain(Duration::from_secs(60)).await.unwrap();
        folder
    }

    fn replay(&self, folder: &Path, fuse: &Arc<Fuse>) -> Replay {
        let job = transform(folder, &FULL, fuse);
        Replay {
            source: self.source(BESIDE),
            consumer_group: GROUP.to_owned(),
            ledger: self.ledger.clone(),
            queue: Arc::new(FusedQueue(self.queue.clone(), Arc::clone(fuse))),
            staging: job.staging,
            publisher: job.publisher,
            module: "azure".to_owned(),
            batch_events: 3,
            gaps: Gaps::WhenCertain,
            staged_for: Replay::STAGED_FOR,
            clock: Clock::new(|| NOON + 24 * 60 * MINUTE),
            stop: Stop::new(),
            progress: Progress::silent(),
        }
    }

    async fn plan(&self, replay: &Replay, range: ReplayRange) -> ReplayPlan {
        replay.plan("0", range).await.unwrap()
    }

    /// Takes one message out of the queue for good, as if it had expired.
    async fn lose_a_message(&self) {
        let message = self.queue.receive(1, Duration::from_secs(60), Duration::ZERO).await.unwrap().remove(0);
        self.queue.delete(&message.receipt).await.unwrap();
    }

    async fn items(&self) -> Vec<(String, tributary_ledger::Item)> {
        self.ledger.list("").await.unwrap()
    }
}

fn once(records: &Records) -> bool {
    records.values().all(|places| places.len() == 1)
}

/// Files of lake and quarantine.
fn published(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = snapshot(folder);
    files.retain(|name, _| name.starts_with("lake/") || name.starts_with("quarantine/"));
    files
}

const ALL: ReplayRange = ReplayRange { from: None, to: None };

#[tokio::test]
async fn staged_batches_are_sent_again_under_their_names_and_nothing_else_changes() {
    let stage = Stage::delivered(8, 3, &FULL).await;
    let folder = stage.folder.path();
    let (items, before) = (stage.items().await, published(folder));
    // A processor that reads all the while, and keeps the partition.
    let processor = stage.source(GROUP);
    let mut reader = processor.open("0", StartPosition::Earliest, i64::MAX).await.unwrap();
    // Somebody deleted what the lake had.
    std::fs::remove_dir_all(folder.join("lake")).unwrap();
    let replay = stage.replay(folder, &Fuse::new(None));
    let plan = stage.plan(&replay, ALL).await;
    assert_eq!((plan.staged(), plan.in_gaps(), plan.position, plan.range), (3, 0, 7, (0, 7)));
    // Other boundaries than a processor would cut now: those of the staged names count.
    let report = Replay { batch_events: 100, ..replay.clone() }.run(&plan).await.unwrap();
    assert_eq!((report.batches, report.events, report.cut, report.ended), (3, 8, 0, true), "{report:?}");
    // By other maps: what is staged is published.
    stage.drain(folder, &OLD).await;
    assert_eq!(published(folder), before);
    assert_eq!(stage.items().await, items, "the ledger was written");
    assert_eq!(reader.next(Duration::from_secs(5)).await.unwrap().len(), 8, "the processor was disturbed");
    // In the processor's own group nobody is let in beside it.
    let refused = Replay { source: processor.clone(), ..replay }.run(&plan).await;
    assert!(matches!(refused, Err(ReplayError::Source(SourceError::Displaced { .. }))), "{refused:?}");
    reader.close().await.unwrap();
}

#[tokio::test]
async fn a_range_by_number_or_time_takes_the_batches_that_it_touches_whole() {
    let stage = Stage::delivered(8, 3, &FULL).await;
    let replay = stage.replay(stage.folder.path(), &Fuse::new(None));
    let bounds = |from, to| ReplayRange { from: Some(from), to: Some(to) };
    for (range, expected) in [
        (bounds(Bound::Sequence(2), Bound::Sequence(3)), vec![(0, 2), (3, 5)]),
        (bounds(Bound::Sequence(6), Bound::Sequence(900)), vec![(6, 7)]),
        (bounds(Bound::Sequence(8), Bound::Sequence(9)), vec![]),
        (bounds(Bound::Time(NOON + 3 * MINUTE), Bound::Time(NOON + 6 * MINUTE)), vec![(3, 5)]),
        (bounds(Bound::Time(NOON + 3 * MINUTE - 1), Bound::Time(NOON + 6 * MINUTE + 1)), vec![(3, 5), (6, 7)]),
        (bounds(Bound::Time(0), Bound::Time(NOON)), vec![]),
        (bounds(Bound::Time(NOON + 7 * MINUTE), Bound::Time(i64::MAX)), vec![(6, 7)]),
        (ReplayRange { from: Some(Bound::Sequence(5)), to: None }, vec![(3, 5), (6, 7)]),
    ] {
        let plan = stage.plan(&replay, range).await;
        let ranges: Vec<(i64, i64)> = plan.pieces.iter().map(|piece| (piece.first, piece.last)).collect();
        assert_eq!(ranges, expected, "{range:?}");
    }
    let unknown = replay.plan("7", ALL).await;
    assert!(matches!(unknown, Err(ReplayError::NoPartition { .. })), "{unknown:?}");
    let other = Replay { consumer_group: "other".into(), ..replay.clone() };
    assert!(matches!(other.plan("0", ALL).await, Err(ReplayError::NotRead { .. })));
    stage.emulator.faults().rebuild_hub(HUB).unwrap();
    assert!(matches!(replay.plan("0", ALL).await, Err(ReplayError::Rebuilt { .. })));
}

#[tokio::test]
async fn what_the_processor_has_not_committed_is_its_own() {
    let stage = Stage::delivered(4, 2, &FULL).await;
    let hub = stage.emulator.hub(HUB).unwrap();
    hub.publish(0, Event::new("{}")).unwrap();
    let replay = stage.replay(stage.folder.path(), &Fuse::new(None));
    let plan = stage.plan(&replay, ReplayRange { from: None, to: Some(Bound::Sequence(4)) }).await;
    assert_eq!((plan.status.last, plan.position, plan.range, plan.in_gaps()), (4, 3, (0, 3), 0));
}

#[tokio::test]
async fn a_gap_waits_until_its_message_cannot_be_on_its_way() {
    let stage = Stage::polled(8, 3).await;
    let folder = stage.folder.path();
    stage.lose_a_message().await;
    let replay = stage.replay(folder, &Fuse::new(None));
    // Two messages are in the queue still.
    let plan = stage.plan(&replay, ALL).await;
    assert_eq!((plan.on_their_way, plan.in_gaps()), (2, 8));
    let report = replay.run(&plan).await.unwrap();
    assert_eq!((report.events, report.left, report.gone), (0, 8, 0), "{report:?}");
    stage.drain(folder, &FULL).await;
    let plan = stage.plan(&replay, ALL).await;
    assert_eq!((plan.on_their_way, plan.in_gaps(), plan.staged()), (0, 3, 2));
    // Too young for an empty queue to say anything; too old for staging to remember.
    for now in [NOON + 2 * MINUTE, NOON + 22 * 24 * 60 * MINUTE] {
        let report = Replay { clock: Clock::new(move || now), ..replay.clone() }.run(&plan).await.unwrap();
        assert_eq!((report.left, report.cut, report.batches), (3, 0, 2), "{report:?}");
    }
    let report = Replay { gaps: Gaps::Always, ..replay.clone() }.run(&plan).await.unwrap();
    assert_eq!((report.left, report.cut, report.batches, report.events), (0, 1, 2, 8), "{report:?}");
    stage.drain(folder, &FULL).await;
    let reference = stage.reference(3, &FULL).await;
    let (records, expected) = (arrived(folder), arrived(reference.path()));
    assert!(once(&records) && records.keys().eq(expected.keys()));
}

#[tokio::test]
async fn an_interrupted_replay_is_made_again_until_every_record_is_there_once() {
    let stage = Stage::polled(8, 4).await;
    for _ in 0..2 {
        stage.lose_a_message().await;
    }
    let reference = stage.reference(4, &FULL).await;
    let expected = arrived(reference.path());
    let ends = at_every_operation(async |at| {
        let (folder, fuse) = (TempDir::new().unwrap(), Fuse::new(at));
        let replay = stage.replay(folder.path(), &fuse);
        let plan = stage.plan(&replay, ALL).await;
        let ended = replay.run(&plan).await.is_ok();
        assert_eq!(ended, !fuse.is_blown(), "{at:?}");
        // What was sent may be delivered before the next attempt, or not.
        let replay = stage.replay(folder.path(), &Fuse::new(None));
        let report =
            Replay { gaps: Gaps::Always, ..replay.clone() }.run(&stage.plan(&replay, ALL).await).await.unwrap();
        assert!(report.ended);
        stage.drain(folder.path(), &FULL).await;
        let last = replay.run(&stage.plan(&replay, ALL).await).await.unwrap();
        assert_eq!((last.cut, last.left, last.batches), (0, 0, 3), "{at:?}: {last:?}");
        stage.drain(folder.path(), &FULL).await;
        let records = arrived(folder.path());
        assert!(once(&records) && records.keys().eq(expected.keys()), "{at:?}");
        fuse
    })
    .await;
    assert!(ends >= 6, "{ends} ends");
}

#[tokio::test]
async fn what_the_hub_dropped_is_published_from_staging() {
    let stage = Stage::delivered(8, 3, &FULL).await;
    let folder = stage.folder.path();
    let before = published(folder);
    std::fs::remove_dir_all(folder.join("lake")).unwrap();
    // The first batch is gone, and a part of the second.
    stage.emulator.faults().expire_before(HUB, 0, 4).unwrap();
    let replay = stage.replay(folder, &Fuse::new(None));
    let plan = stage.plan(&replay, ReplayRange { from: Some(Bound::Sequence(0)), to: None }).await;
    let report = replay.run(&plan).await.unwrap();
    assert_eq!((report.republished, report.batches, report.events), (1, 2, 4), "{report:?}");
    stage.drain(folder, &FULL).await;
    assert_eq!(published(folder), before);
}

#[tokio::test]
async fn what_is_neither_in_the_hub_nor_staged_is_counted() {
    let stage = Stage::polled(8, 3).await;
    stage.lose_a_message().await;
    stage.drain(stage.folder.path(), &FULL).await;
    stage.emulator.faults().expire_before(HUB, 0, 2).unwrap();
    let replay = stage.replay(stage.folder.path(), &Fuse::new(None));
    let plan = stage.plan(&replay, ReplayRange { from: Some(Bound::Sequence(0)), to: None }).await;
    let report = replay.run(&plan).await.unwrap();
    assert_eq!((report.gone, report.cut, report.batches), (2, 1, 2), "{report:?}");
}

#[tokio::test]
async fn what_is_asked_to_stop_stops_between_two_batches() {
    let stage = Stage::delivered(8, 2, &FULL).await;
    let mut replay = stage.replay(stage.folder.path(), &Fuse::new(None));
    let asked = replay.stop.clone();
    replay.progress = Progress::new(move |done, total| {
        assert_eq!(total, 8);
        if done == 4 {
            asked.set();
        }
    });
    let report = replay.run(&stage.plan(&replay, ALL).await).await.unwrap();
    assert_eq!((report.batches, report.ended), (2, false));
    assert_eq!(stage.queue.counts().await.unwrap(), Counts { visible: 2, in_flight: 0, dead: 0 });
}

// ------------------------------------------------------------------------------------------------------------------------
// Remapping.

fn remap(stage: &Stage, folder: &Path, set: &Arc<MappingSet>, fuse: &Arc<Fuse>) -> RemapBatches {
    RemapBatches { replay: stage.replay(folder, fuse), transform: transform(folder, set, fuse), take_over: false }
}

async fn remapped(stage: &Stage, job: &RemapBatches) -> RemapReport {
    job.run(&stage.plan(&job.replay, ALL).await).await.unwrap()
}

async fn redrive(folder: &Path, limit: Option<u64>) -> tributary_pipeline::RecordsReport {
    let none = Fuse::new(None);
    RedriveRecords {
        quarantine: quarantine(folder, &none),
        transform: transform(folder, &FULL, &none),
        filter: RecordFilter::default(),
        limit,
        dry_run: false,
        progress: Progress::silent(),
    }
    .run()
    .await
    .unwrap()
}

#[tokio::test]
async fn remapped_batches_are_what_the_maps_would_have_made_of_them_at_first() {
    let stage = Stage::delivered(8, 3, &OLD).await;
    let (old, full) = (stage.reference(3, &OLD).await, stage.reference(3, &FULL).await);
    let (old, full) = (published(old.path()), published(full.path()));
    assert_ne!(old.keys().collect::<Vec<_>>(), full.keys().collect::<Vec<_>>(), "both maps make the same objects");
    let folder = stage.folder.path();
    assert_eq!(published(folder), old);
    let none = Fuse::new(None);
    // There and back: objects come, are replaced, and go.
    for (set, expected) in [(&*FULL, &full), (&*OLD, &old), (&*FULL, &full)] {
        let report = remapped(&stage, &remap(&stage, folder, set, &none)).await;
        assert_eq!((report.batches, report.failures.len(), report.ended), (3, 0, true), "{report:?}");
        assert_eq!(&published(folder), expected);
        assert_eq!(report.objects, expected.len() as u64);
    }
    // A message that comes once more publishes what is staged now.
    let replay = stage.replay(folder, &none);
    replay.run(&stage.plan(&replay, ALL).await).await.unwrap();
    stage.drain(folder, &OLD).await;
    assert_eq!(published(folder), full);
    assert_eq!(noted(folder), None);
}

/// A redrive's rows are in the new outcome: they must not stay beside it, nor come back.
#[tokio::test]
async fn remapping_takes_the_place_of_redrives_too() {
    let stage = Stage::delivered(8, 4, &OLD).await;
    let full = published(stage.reference(4, &FULL).await.path());
    let folder = stage.folder.path();
    // One batch is redriven twice, the other once in part.
    redrive(folder, Some(5)).await;
    redrive(folder, Some(2)).await;
    assert!(published(folder).keys().any(|name| name.contains("-q2.")));
    remapped(&stage, &remap(&stage, folder, &FULL, &Fuse::new(None))).await;
    assert_eq!(published(folder), full);
    // What is quarantined now is redriven from its first round on.
    let report = redrive(folder, None).await;
    assert_eq!((report.ended, report.failures.len()), (0, 0), "{report:?}");
    let records = arrived(folder);
    assert!(once(&records) && records.len() == arrived(stage.reference(4, &FULL).await.path()).len());
}

#[tokio::test]
async fn an_interrupted_remapping_is_made_again_whatever_the_maps() {
    let stage = Stage::delivered(6, 3, &OLD).await;
    redrive(stage.folder.path(), Some(2)).await;
    let (old, full) = (stage.reference(3, &OLD).await, stage.reference(3, &FULL).await);
    for (then, expected) in [(&*FULL, published(full.path())), (&*OLD, published(old.path()))] {
        let ends = at_every_operation(async |at| {
            let (folder, fuse) = (TempDir::new().unwrap(), Fuse::new(at));
            copy(stage.folder.path(), folder.path());
            let _ = try_to_remap(&remap(&stage, folder.path(), &FULL, &fuse)).await;
            // Every record is somewhere at every instant.
            let records = arrived(folder.path());
            let all = arrived(full.path());
            assert!(all.keys().all(|marker| records.contains_key(marker)), "{at:?}");
            let mut job = remap(&stage, folder.path(), then, &Fuse::new(None));
            if let Some(batch) = noted(folder.path()) {
                // It may be at work still, for all that another run knows.
                let refused = remapped(&stage, &job).await;
                assert!(refused.failures[0].1.contains("another run"), "{at:?}: {refused:?}");
                let of_batch = || -> Vec<_> {
                    published(folder.path()).into_iter().filter(|(name, _)| name.contains(&batch)).collect()
                };
                let before = of_batch();
                redrive(folder.path(), None).await;
                assert_eq!(of_batch(), before, "{at:?}: it was redriven meanwhile");
            }
            job.take_over = true;
            let report = remapped(&stage, &job).await;
            assert_eq!((report.batches, report.failures.len()), (2, 0), "{at:?}: {report:?}");
            assert_eq!(published(folder.path()), expected, "{at:?}");
            assert_eq!(noted(folder.path()), None, "{at:?}");
            fuse
        })
        .await;
        assert!(ends >= 20, "{ends} ends");
    }
}

/// The batch whose remapping was begun and not ended.
fn noted(folder: &Path) -> Option<String> {
    snapshot(folder).keys().find_map(|name| Some(name.strip_prefix("staging/remapping/")?.to_owned()))
}

async fn try_to_remap(job: &RemapBatches) -> Result<RemapReport, ReplayError> {
    job.run(&job.replay.plan("0", ALL).await?).await
}

#[tokio::test]
async fn after_a_while_an_interrupted_remapping_is_taken_over_unasked() {
    let stage = Stage::delivered(3, 3, &OLD).await;
    let folder = stage.folder.path();
    let fuse = Fuse::new(tributary_tests::fuse::At::After(1));
    let _ = try_to_remap(&remap(&stage, folder, &FULL, &fuse)).await;
    assert!(noted(folder).is_some());
    let mut job = remap(&stage, folder, &FULL, &Fuse::new(None));
    assert_eq!(remapped(&stage, &job).await.batches, 0);
    job.replay.clock = Clock::new(|| NOON + (24 * 60 + 11) * MINUTE);
    assert_eq!(remapped(&stage, &job).await.batches, 1);
    assert_eq!(published(folder), published(stage.reference(3, &FULL).await.path()));
}

#[tokio::test]
async fn a_note_that_names_other_objects_removes_nothing() {
    let stage = Stage::delivered(3, 3, &OLD).await;
    let folder = stage.folder.path();
    let batch = stage.plan(&stage.replay(folder, &Fuse::new(None)), ALL).await.pieces.remove(0).staged.unwrap();
    let before = published(folder);
    std::fs::create_dir_all(folder.join("staging/remapping")).unwrap();
    for key in [
        "ext/azure-detection/1.3.0/region=us-east-1/accountId=external/eventDay=20260302/other.parquet".to_owned(),
        format!("ext/azure-detection/1.3.0/region=us-east-1/../{batch}.parquet"),
        format!("elsewhere/{batch}.parquet"),
    ] {
        let note = serde_json::json!({"schema": "tributary.remap/1", "batch": batch, "startedAt": 0,
            "objects": [{"destination": "lake", "key": key}]});
        std::fs::write(folder.join(format!("staging/remapping/{batch}")), note.to_string()).unwrap();
        let report = remapped(&stage, &remap(&stage, folder, &FULL, &Fuse::new(None))).await;
        assert!(report.failures[0].1.contains("no note of this batch"), "{report:?}");
        assert_eq!(published(folder), before);
    }
}

#[tokio::test]
async fn a_batch_that_the_hub_no_longer_has_whole_stays_as_it_is() {
    let stage = Stage::delivered(6, 3, &OLD).await;
    let folder = stage.folder.path();
    stage.emulator.faults().expire_before(HUB, 0, 1).unwrap();
    let before = published(folder);
    let report = remapped(&stage, &remap(&stage, folder, &FULL, &Fuse::new(None))).await;
    assert_eq!((report.batches, report.incomplete.len()), (1, 1), "{report:?}");
    let first = report.incomplete[0].to_string();
    let of_first = |files: BTreeMap<String, Vec<u8>>| -> Vec<_> {
        files.into_iter().filter(|(name, _)| name.contains(&first)).collect()
    };
    assert_eq!(of_first(published(folder)), of_first(before));
}
