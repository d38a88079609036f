//! What staging and publishing must do on every object store, written against the trait alone.
//!
//! A store's test calls [`all`] with a function that makes an empty store. A broken promise panics with its name.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::missing_panics_doc)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt, future};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt,
    PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result,
};
use tributary_batch::BatchId;

use crate::{
    LakeObject, LakeObjects, Outcome, OutcomeBuilder, Published, Publisher, Quarantine, QuarantineEntry,
    QuarantineLimits, QuarantineReader, Remap, RemapError, Staged, Staging, StoreError, claim_key, quarantine_object,
    received_at,
};

const NOON: i64 = 1_767_268_800_000; // 2026-01-01T12:00:00Z
const HUB: &str = "1f0c93ab24de-p0003";

/// Every promise, each on a store of its own.
pub async fn all<S: ObjectStore>(make: impl Fn() -> Arc<S>) {
    let make = || -> Arc<dyn ObjectStore> { make() };
    a_create_only_put_never_replaces(make()).await;
    the_first_of_many_staged_outcomes_wins(make()).await;
    a_staged_outcome_is_read_back_whole(make()).await;
    what_is_no_outcome_of_the_batch_is_refused(make()).await;
    publishing_writes_every_group_once(make()).await;
    publishing_goes_on_after_a_crash_between_any_two_puts(&make).await;
    every_attempt_publishes_the_first_staged_outcome(make()).await;
    staged_names_are_the_history_of_cuts(make()).await;
    a_claim_is_put_again_and_read_within_its_bounds(make()).await;
    a_retired_object_keeps_its_place(make()).await;
    another_outcome_takes_the_place_of_a_published_one(make()).await;
}

fn batch(first: i64) -> BatchId {
    BatchId::parse(&format!("{HUB}-{first:020}-{:020}", first + 9)).unwrap()
}

/// An outcome with `objects` lake objects of content that `attempt` tells apart, and quarantine.
fn outcome(batch: &BatchId, attempt: &str, objects: u64) -> Outcome {
    let object = |index: u64| LakeObject {
        key: format!("ext/example/1.3.0/region=eu-west-1/accountId=external/eventDay=202601{index:02}/{batch}.parquet"),
        bytes: Bytes::from(format!("{attempt} {index} \n\0")),
        rows: index + 1,
        class_uid: 2004,
    };
    let made = LakeObjects { objects: (0..objects).map(object).collect(), overflowed: 1, ..LakeObjects::default() };
    let entry = QuarantineEntry {
        reason: "not-json".into(),
        detail: attempt.into(),
        kind: None,
        position: serde_json::json!({"sequenceNumber": 7}),
        mappings: attempt.into(),
        received_at: received_at(NOON).into(),
        raw: "{".into(),
    };
    let quarantine = quarantine_object("example", NOON, batch, &[entry]).unwrap();
    OutcomeBuilder::new(batch.clone(), attempt, 10).lake(&made).quarantine(quarantine.as_ref()).build()
}

async fn content(store: &dyn ObjectStore, key: &str) -> Bytes {
    store.get(&Path::parse(key).unwrap()).await.unwrap().bytes().await.unwrap()
}

async fn keys(store: &dyn ObjectStore) -> Vec<String> {
    let mut keys: Vec<String> = store.list(None).map_ok(|object| object.location.into()).try_collect().await.unwrap();
    keys.sort_unstable();
    keys
}

async fn a_retired_object_keeps_its_place(store: Arc<dyn ObjectStore>) {
    let (staging, publisher) = (Staging::new(store.clone()), Publisher::new(store.clone(), store.clone()));
    let quarantine = Quarantine::new(store.clone()).unwrap();
    let outcomes = [outcome(&batch(0), "one", 1), outcome(&batch(10), "one", 0)];
    for outcome in &outcomes {
        assert_eq!(publisher.published(outcome).await.unwrap(), None);
        staging.stage(outcome).await.unwrap();
        publisher.publish(outcome).await.unwrap();
        assert_eq!(publisher.published(outcome).await.unwrap().as_ref(), Some(&outcome.manifest().groups[0].key));
    }
    let batches = async |module| -> Vec<BatchId> {
        quarantine.list(module).await.unwrap().into_iter().map(|key| key.batch).collect()
    };
    assert_eq!(batches(None).await, [batch(0), batch(10)]);
    assert_eq!(batches(Some("example")).await, [batch(0), batch(10)]);
    assert_eq!(batches(Some("examp")).await, []);
    let key = quarantine.list(None).await.unwrap().remove(0);
    let before = quarantine.read(&key).await.unwrap().unwrap();
    quarantine.retire(&key).await.unwrap();
    assert_eq!(quarantine.read(&key).await.unwrap(), None);
    assert_eq!(batches(None).await, [batch(10)]);
    // Nothing puts it back: neither the batch that is delivered again, nor retiring it again.
    publisher.publish(&outcomes[0]).await.unwrap();
    quarantine.retire(&key).await.unwrap();
    assert_eq!(batches(None).await, [batch(10)]);
    let kept = key.to_string().replace("quarantine/", "retired/");
    assert_eq!(content(&*store, &kept).await, before, "what was retired is kept whole");
    let mut entries = QuarantineReader::new(&content(&*store, &key.to_string()).await, QuarantineLimits::default())
        .unwrap()
        .collect::<Vec<_>>();
    assert!(entries.pop().is_none(), "its place is an object without entries");
}

async fn another_outcome_takes_the_place_of_a_published_one(store: Arc<dyn ObjectStore>) {
    let (staging, publisher) = (Staging::new(store.clone()), Publisher::new(store.clone(), store.clone()));
    let remap = Remap::new(staging.clone(), publisher.clone());
    let (old, redriven) = (outcome(&batch(0), "old", 3), outcome(&batch(0).redriven(1), "old", 1));
    let other = outcome(&batch(10), "other", 1);
    for outcome in [&old, &redriven, &other] {
        staging.stage(outcome).await.unwrap();
        publisher.publish(outcome).await.unwrap();
    }
    let new = outcome(&batch(0), "new", 2);
    let replaced = remap.replace(&new, NOON, false).await.unwrap();
    assert_eq!((replaced.published.objects, replaced.published.existing), (3, 0));
    let groups = new.manifest().groups.iter().chain(&other.manifest().groups);
    let mut expected: Vec<String> = groups.map(|group| group.key.clone()).collect();
    expected.extend([batch(0), batch(10)].map(|batch| format!("staged/{batch}")));
    expected.sort_unstable();
    assert_eq!(keys(&*store).await, expected, "the new objects, and nothing of the old ones");
    for group in &new.manifest().groups {
        assert_eq!(content(&*store, &group.key).await, new.group_bytes(group));
    }
    assert_eq!(staging.read(&batch(0)).await.unwrap(), Some(new));
    assert!(!staging.is_remapping(&batch(0)).await.unwrap());
    let missing = remap.replace(&outcome(&batch(20), "new", 1), NOON, false).await;
    assert!(matches!(missing, Err(RemapError::NotStaged(_))), "{missing:?}");
}

async fn a_create_only_put_never_replaces(store: Arc<dyn ObjectStore>) {
    let key = Path::from("staged/x");
    let put = |text: String| {
        let (store, key) = (Arc::clone(&store), key.clone());
        async move { store.put_opts(&key, text.into(), PutMode::Create.into()).await }
    };
    // Large enough that a writer is seen at work, were it visible.
    let texts: Vec<String> = (0..8).map(|index| index.to_string().repeat(300_000)).collect();
    let results = future::join_all(texts.iter().cloned().map(put)).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1, "exactly one of eight writers wins");
    let winner = results.iter().position(Result::is_ok).unwrap();
    assert!(results.iter().all(|result| matches!(result, Ok(_) | Err(Error::AlreadyExists { .. }))), "{results:?}");
    assert_eq!(content(&*store, "staged/x").await, texts[winner]);
    assert_eq!(keys(&*store).await, ["staged/x"]);
}

async fn the_first_of_many_staged_outcomes_wins(store: Arc<dyn ObjectStore>) {
    let (staging, id) = (Staging::new(Arc::clone(&store)), batch(0));
    let attempts: Vec<Outcome> = (0..6).map(|index| outcome(&id, &format!("attempt {index}"), index + 1)).collect();
    let results = future::join_all(attempts.iter().map(|attempt| staging.stage(attempt))).await;
    let winners: Vec<usize> = (0..6).filter(|index| matches!(results[*index], Ok(Staged::New))).collect();
    assert_eq!(winners.len(), 1);
    for (index, result) in results.into_iter().enumerate().filter(|(index, _)| *index != winners[0]) {
        match result.unwrap() {
            Staged::Earlier(earlier) => assert_eq!(*earlier, attempts[winners[0]], "attempt {index}"),
            Staged::New => panic!("attempt {index} won too"),
        }
    }
    assert_eq!(staging.read(&id).await.unwrap().as_ref(), Some(&attempts[winners[0]]));
}

async fn a_staged_outcome_is_read_back_whole(store: Arc<dyn ObjectStore>) {
    let staging = Staging::new(store);
    assert_eq!(staging.read(&batch(0)).await.unwrap(), None);
    for (first, objects) in [(0, 0), (10, 1), (20, 28)] {
        let staged = outcome(&batch(first), "first", objects);
        assert_eq!(staging.stage(&staged).await.unwrap(), Staged::New);
        assert_eq!(staging.read(&batch(first)).await.unwrap(), Some(staged));
    }
    let nothing = OutcomeBuilder::new(batch(30), "m", 0).build();
    staging.stage(&nothing).await.unwrap();
    assert_eq!(staging.read(&batch(30)).await.unwrap(), Some(nothing));
}

async fn what_is_no_outcome_of_the_batch_is_refused(store: Arc<dyn ObjectStore>) {
    let staging = Staging::new(Arc::clone(&store));
    let id = batch(0);
    let key = Path::from(format!("staged/{id}"));
    let mut cut = Vec::new();
    outcome(&id, "first", 3).encode().iter().for_each(|part| cut.extend_from_slice(part));
    cut.pop();
    let other = outcome(&batch(10), "first", 3).encode();
    for foreign in [PutPayload::from("no manifest"), PutPayload::from(cut), other, PutPayload::new()] {
        store.put(&key, foreign).await.unwrap();
        let read = staging.read(&id).await;
        assert!(matches!(read, Err(StoreError::Damaged { .. })), "{read:?}");
        let staged = staging.stage(&outcome(&id, "second", 1)).await;
        assert!(matches!(staged, Err(StoreError::Damaged { .. })), "it is never overwritten: {staged:?}");
    }
}

async fn publishing_writes_every_group_once(store: Arc<dyn ObjectStore>) {
    let publisher = Publisher::new(Arc::clone(&store), Arc::clone(&store));
    let staged = outcome(&batch(0), "first", 28);
    let bytes = staged.manifest().groups.iter().map(|group| group.length).sum();
    assert_eq!(publisher.publish(&staged).await.unwrap(), Published { objects: 29, existing: 0, bytes });
    assert_eq!(publisher.publish(&staged).await.unwrap(), Published { objects: 0, existing: 29, bytes: 0 });
    assert_eq!(keys(&*store).await.len(), 29);
    for group in &staged.manifest().groups {
        assert_eq!(content(&*store, &group.key).await, staged.group_bytes(group), "{}", group.key);
    }
}

async fn publishing_goes_on_after_a_crash_between_any_two_puts(make: &impl Fn() -> Arc<dyn ObjectStore>) {
    let staged = outcome(&batch(0), "first", 4);
    for survives in 0..5 {
        let store = make();
        let dying: Arc<dyn ObjectStore> =
            Arc::new(Dying { inner: Arc::clone(&store), puts: AtomicUsize::new(survives) });
        let broken = Publisher::new(Arc::clone(&dying), dying).publish(&staged).await;
        assert!(broken.unwrap_err().is_transient());
        let written = keys(&*store).await.len();
        assert!(written <= survives);
        let again = Publisher::new(Arc::clone(&store), Arc::clone(&store)).publish(&staged).await.unwrap();
        assert_eq!((again.objects, again.existing), (5 - written as u64, written as u64));
        for group in &staged.manifest().groups {
            assert_eq!(content(&*store, &group.key).await, staged.group_bytes(group));
        }
    }
}

/// The way of two workers that got one batch, with mapping sets that disagree on everything.
async fn every_attempt_publishes_the_first_staged_outcome(store: Arc<dyn ObjectStore>) {
    let staging = Staging::new(Arc::clone(&store));
    let publisher = Publisher::new(Arc::clone(&store), Arc::clone(&store));
    let attempt = |outcome: Outcome| {
        let (staging, publisher) = (staging.clone(), publisher.clone());
        async move {
            let outcome = match staging.stage(&outcome).await.unwrap() {
                Staged::New => outcome,
                Staged::Earlier(earlier) => *earlier,
            };
            publisher.publish(&outcome).await.unwrap();
        }
    };
    let id = batch(0);
    future::join(attempt(outcome(&id, "old mappings", 2)), attempt(outcome(&id, "new mappings", 5))).await;
    attempt(outcome(&id, "later still", 9)).await;
    let winner = staging.read(&id).await.unwrap().unwrap();
    let mut expected: Vec<String> = winner.manifest().groups.iter().map(|group| group.key.clone()).collect();
    expected.push(format!("staged/{id}"));
    expected.sort_unstable();
    assert_eq!(keys(&*store).await, expected);
    for group in &winner.manifest().groups {
        assert_eq!(content(&*store, &group.key).await, winner.group_bytes(group));
    }
}

async fn staged_names_are_the_history_of_cuts(store: Arc<dyn ObjectStore>) {
    let staging = Staging::new(Arc::clone(&store));
    assert_eq!(staging.list("").await.unwrap(), []);
    let other = BatchId::parse("1f0c93ab24de-p0004-0-9").unwrap();
    for id in [batch(20), other.clone(), batch(0), batch(10)] {
        staging.stage(&outcome(&id, "first", 1)).await.unwrap();
    }
    store.put(&Path::from("staged/README.md"), "hello".into()).await.unwrap();
    let prefix = format!("{HUB}-");
    assert_eq!(staging.list(&prefix).await.unwrap(), [batch(0), batch(10), batch(20)]);
    assert_eq!(staging.list("").await.unwrap(), [batch(0), batch(10), batch(20), other.clone()]);
    assert_eq!(staging.list(other.as_str()).await.unwrap(), [other]);
    assert_eq!(staging.list("nothing").await.unwrap(), []);
}

async fn a_claim_is_put_again_and_read_within_its_bounds(store: Arc<dyn ObjectStore>) {
    let staging = Staging::new(Arc::clone(&store));
    let content = Bytes::from_static(b"a large batch");
    let key = claim_key(&batch(0), &content);
    assert_eq!(staging.get_claim(&key).await.unwrap(), None);
    staging.put_claim(&key, content.clone()).await.unwrap();
    staging.put_claim(&key, content.clone()).await.unwrap();
    assert_eq!(staging.get_claim(&key).await.unwrap(), Some(content));
    let wrong = staging.put_claim(&key, Bytes::from_static(b"another")).await;
    assert!(matches!(wrong, Err(StoreError::InvalidKey { .. })), "{wrong:?}");
    store.put(&Path::parse(&key).unwrap(), "forged".into()).await.unwrap();
    let forged = staging.get_claim(&key).await;
    assert!(matches!(forged, Err(StoreError::Damaged { .. })), "{forged:?}");
    for key in ["staged/x", "claims/x", "claims/../staged/x", "", &key.replace("claims/", "")] {
        let refused = staging.get_claim(key).await;
        assert!(matches!(refused, Err(StoreError::InvalidKey { .. })), "{key:?}: {refused:?}");
    }
}

/// A store whose process dies after so many puts.
#[derive(Debug)]
struct Dying {
    inner: Arc<dyn ObjectStore>,
    puts: AtomicUsize,
}

impl std::fmt::Display for Dying {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Dying({})", self.inner)
    }
}

#[async_trait]
impl ObjectStore for Dying {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let left = self.puts.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        match left {
            Ok(_) => self.inner.put_opts(location, payload, options).await,
            Err(_) => Err(Error::Generic { store: "dying", source: "the process is gone".into() }),
        }
    }

    async fn put_multipart_opts(&self, path: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(path, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.inner.rename_opts(from, to, options).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::{Durability, LocalStore};

    /// Workers run on many threads.
    #[test]
    fn every_operation_can_move_between_threads() {
        fn sent<T: Send>(_: T) {}
        let store: Arc<dyn ObjectStore> = Arc::new(object_store::memory::InMemory::new());
        let (staging, outcome) = (Staging::new(Arc::clone(&store)), outcome(&batch(0), "first", 1));
        sent(Publisher::new(Arc::clone(&store), store).publish(&outcome));
        sent(staging.stage(&outcome));
        sent(staging.read(&batch(0)));
        sent(staging.list(""));
        sent(staging.put_claim("", Bytes::new()));
        sent(staging.get_claim(""));
    }

    #[tokio::test]
    async fn memory_conforms() {
        all(|| Arc::new(object_store::memory::InMemory::new())).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_folder_conforms() {
        for durability in [Durability::Flushed, Durability::Cached] {
            let folders = Mutex::new(Vec::new());
            all(|| {
                let folder = tempfile::tempdir().unwrap();
                let store = LocalStore::open(folder.path(), durability).unwrap();
                folders.lock().unwrap().push(folder);
                Arc::new(store)
            })
            .await;
        }
    }
}
