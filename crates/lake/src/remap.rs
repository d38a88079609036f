//! Another outcome in the place of one that was staged and published: replaced, not added.
//!
//! What the batch has published is written down before anything changes (`remapping/{batch-id}` in the staging store), the
//! new outcome takes the place of the staged one, its objects are published over the old, and what the new one lacks is
//! removed: the batch's old objects, and those of the redrives of its quarantine, whose records the new outcome holds.
//! The note goes last. An end anywhere is mended by doing the same again, with whatever maps.
//!
//! Objects of new names are put first, then old ones replaced, then the rest removed. Until that is done, a reader of the lake may see
//! rows of the batch twice, and those that changed places between two old objects, for the time of a put, not at all.

use std::collections::BTreeSet;

use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload};
use serde::{Deserialize, Serialize};
use tributary_batch::{BatchId, TimestampMs};

use crate::outcome::{Destination, Outcome, is_key_of};
use crate::publish::{Published, Publisher};
use crate::staging::Staging;
use crate::store::{self, StoreError};

/// Folder of notes.
const REMAPPING: &str = "remapping";
const SCHEMA: &str = "tributary.remap/1";
/// Most bytes of a note: a batch's keys, and those of a thousand redrives.
const MAX_NOTE: u64 = 16 * 1024 * 1024;
/// How long a note is taken for somebody's who is at work, in milliseconds. A batch takes seconds.
const AT_WORK: i64 = 10 * 60 * 1_000;

/// What a batch has published and may have to lose.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Note {
    schema: String,
    batch: BatchId,
    started_at: TimestampMs,
    objects: BTreeSet<Placed>,
}

/// One object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Placed {
    pub(crate) destination: Destination,
    pub(crate) key: String,
}

/// What replacing came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Replaced {
    /// Objects and bytes that were written.
    pub published: Published,
    /// Objects that were removed.
    pub removed: u64,
}

/// Why an outcome was not replaced, or not to the end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RemapError {
    /// Nothing is staged for the batch: there is nothing to replace.
    #[error("nothing is staged for batch {0}: replay it without --remap")]
    NotStaged(BatchId),
    /// Another run is at work on the batch, or ended in the middle not long ago.
    #[error(
        "batch {batch} is being remapped by another run, or one ended in the middle {seconds} s ago: wait until it is done, or \
         take over when you know that it ended; two at once would remove each other's objects"
    )]
    AtWork {
        /// The batch.
        batch: BatchId,
        /// Since when.
        seconds: i64,
    },
    /// A store failed; doing the same again mends it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Replaces outcomes.
#[derive(Debug, Clone)]
pub struct Remap {
    staging: Staging,
    publisher: Publisher,
}

impl Remap {
    /// Over a deployment's staging and its lake and quarantine.
    pub fn new(staging: Staging, publisher: Publisher) -> Self {
        Self { staging, publisher }
    }

    /// Puts an outcome in the place of the one that is staged for its batch. One at a time for a batch, and not while a
    /// message of the batch is under way.
    ///
    /// # Errors
    /// When another run is at work on the batch and `take_over` is not set, nothing is staged, or a store fails.
    pub async fn replace(&self, outcome: &Outcome, now: TimestampMs, take_over: bool) -> Result<Replaced, RemapError> {
        let batch = &outcome.manifest().batch;
        let staged = self.staging.read(batch).await?.ok_or_else(|| RemapError::NotStaged(batch.clone()))?;
        let redrives = self.staging.list(&format!("{batch}-q")).await?;
        let mut old = placed(&staged);
        for redrive in &redrives {
            if let Some(outcome) = self.staging.read(redrive).await? {
                old.extend(placed(&outcome));
            }
        }
        let old = self.note(batch, old, now, take_over).await?;
        self.staging.replace(outcome).await?;
        let replaced = self.publisher.replace(outcome, &old).await?;
        for redrive in &redrives {
            self.staging.remove("remove", &format!("staged/{redrive}")).await?;
        }
        self.staging.remove("remove", &note_key(batch)).await?;
        Ok(replaced)
    }

    /// Writes down what there is before it changes. Returns that, and what an earlier run wrote down that did not get to its
    /// end.
    async fn note(
        &self,
        batch: &BatchId,
        mut objects: BTreeSet<Placed>,
        now: TimestampMs,
        take_over: bool,
    ) -> Result<BTreeSet<Placed>, RemapError> {
        const NOTE: &str = "note the remapping of";
        let (store, key) = (self.staging.store(), note_key(batch));
        let note = |objects: &BTreeSet<Placed>| {
            let note = Note { schema: SCHEMA.into(), batch: batch.clone(), started_at: now, objects: objects.clone() };
            // Plain data: nothing in it that JSON cannot say.
            PutPayload::from(serde_json::to_vec(&note).unwrap_or_default())
        };
        if store::create(store, NOTE, &key, note(&objects)).await? {
            return Ok(objects);
        }
        let Some(bytes) = store::read(store, NOTE, &key, MAX_NOTE).await? else {
            return Err(RemapError::AtWork { batch: batch.clone(), seconds: 0 });
        };
        let damaged = || StoreError::Damaged {
            key: key.clone(),
            store: store.to_string(),
            detail: "it is no note of this batch's remapping".to_owned(),
        };
        let earlier: Note = serde_json::from_slice(&bytes).map_err(|_| damaged())?;
        // Somebody else's note must not remove what is not this batch's.
        if earlier.schema != SCHEMA || !earlier.objects.iter().all(|object| is_batchs(batch, object)) {
            return Err(damaged().into());
        }
        let since = now.saturating_sub(earlier.started_at);
        if !take_over && since < AT_WORK {
            return Err(RemapError::AtWork { batch: batch.clone(), seconds: since / 1_000 });
        }
        objects.extend(earlier.objects);
        let put = store.put(&Path::from(key.as_str()), note(&objects)).await;
        put.map_err(|error| store::failed(store, NOTE, &key, &error))?;
        Ok(objects)
    }
}

impl Staging {
    /// Whether a remapping of the batch was begun and not ended: what is staged for its redrives is not to be trusted.
    ///
    /// # Errors
    /// When the store fails or denies.
    pub async fn is_remapping(&self, batch: &BatchId) -> Result<bool, StoreError> {
        store::exists(self.store(), &note_key(batch)).await
    }
}

fn note_key(batch: &BatchId) -> String {
    format!("{REMAPPING}/{batch}")
}

fn placed(outcome: &Outcome) -> BTreeSet<Placed> {
    let groups = outcome.manifest().groups.iter();
    groups.map(|group| Placed { destination: group.destination, key: group.key.clone() }).collect()
}

/// Whether an object is one that the batch or a redrive of it may have published.
fn is_batchs(batch: &BatchId, object: &Placed) -> bool {
    let name = object.key.rsplit_once('/').map_or(object.key.as_str(), |(_, name)| name);
    let stem = name.split_once('.').map_or(name, |(stem, _)| stem);
    BatchId::parse(stem)
        .is_ok_and(|named| named.origin().0 == *batch && is_key_of(&named, object.destination, &object.key))
}
