//! The staging bucket: outcomes before they are published, and batches too large for a message.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use sha2::{Digest, Sha256};
use tributary_batch::BatchId;

use crate::outcome::{MAX_OUTCOME_BYTES, Outcome};
use crate::store::{self, StoreError};

/// Folder of staged outcomes.
const STAGED: &str = "staged";
/// Folder of claims.
const CLAIMS: &str = "claims";
/// Most bytes of a claim: a batch's envelope, at most 8 MiB of events written as JSON and compressed.
pub const MAX_CLAIM_BYTES: u64 = 64 * 1024 * 1024;

/// What staging an outcome came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Staged {
    /// The outcome is staged: publish it.
    New,
    /// Another attempt has staged its outcome before: publish that one instead.
    Earlier(Box<Outcome>),
}

/// Outcomes by batch, and claims, in one store.
#[derive(Debug, Clone)]
pub struct Staging {
    store: Arc<dyn ObjectStore>,
}

impl Staging {
    /// Staging in a store, at its root.
    pub fn new(store: Arc<dyn ObjectStore>) -> Self {
        Self { store }
    }

    /// Stages an outcome under its batch's name, unless there is one: **the first staged outcome wins**.
    ///
    /// # Errors
    /// When the store fails or denies, or what is staged there is no outcome of this batch.
    pub async fn stage(&self, outcome: &Outcome) -> Result<Staged, StoreError> {
        const STAGE: &str = "stage";
        let batch = &outcome.manifest().batch;
        let (key, payload) = (staged_key(batch), outcome.encode());
        let size = payload.content_length() as u64;
        if size > MAX_OUTCOME_BYTES {
            return Err(StoreError::TooLarge { key, store: self.store.to_string(), size, limit: MAX_OUTCOME_BYTES });
        }
        if store::create(&*self.store, STAGE, &key, payload).await? {
            return Ok(Staged::New);
        }
        match self.read(batch).await? {
            Some(earlier) => Ok(Staged::Earlier(Box::new(earlier))),
            // Removed in between, or not finished yet by whoever writes it.
            None => Err(StoreError::Transient {
                action: STAGE,
                key,
                store: self.store.to_string(),
                detail: "another attempt is staging it right now".to_owned(),
            }),
        }
    }

    /// The staged outcome of a batch, checked whole; `None` when nothing is staged for it.
    ///
    /// # Errors
    /// When the store fails or denies, or what is staged there is no outcome of this batch.
    pub async fn read(&self, batch: &BatchId) -> Result<Option<Outcome>, StoreError> {
        let key = staged_key(batch);
        let Some(bytes) = store::read(&*self.store, "read", &key, MAX_OUTCOME_BYTES).await? else { return Ok(None) };
        match Outcome::decode(batch, &bytes) {
            Ok(outcome) => Ok(Some(outcome)),
            Err(error) => Err(StoreError::Damaged { key, store: self.store.to_string(), detail: error.to_string() }),
        }
    }

    /// The store.
    pub(crate) fn store(&self) -> &dyn ObjectStore {
        &*self.store
    }

    /// Stages an outcome in the place of its batch's.
    pub(crate) async fn replace(&self, outcome: &Outcome) -> Result<(), StoreError> {
        let key = staged_key(&outcome.manifest().batch);
        let put = self.store.put(&Path::from(key.as_str()), outcome.encode()).await;
        put.map(drop).map_err(|error| store::failed(&*self.store, "stage", &key, &error))
    }

    /// Removes an object; one that is not there is removed already.
    pub(crate) async fn remove(&self, action: &'static str, key: &str) -> Result<(), StoreError> {
        store::remove(&*self.store, action, key).await.map(drop)
    }

    /// Names of batches with a staged outcome that begin with `prefix` (such as `{hub-digest}-p0003-`; empty for all), in
    /// ascending order: per partition, the history of its cuts. Other objects in the folder are passed over.
    ///
    /// # Errors
    /// When the store fails or denies.
    pub async fn list(&self, prefix: &str) -> Result<Vec<BatchId>, StoreError> {
        let folder = Path::from(STAGED);
        let objects = match BatchId::parse(prefix) {
            // A whole name may be asked for, and an offset leaves out what equals it: so without the last character.
            Ok(start) if prefix.len() > 1 => {
                let offset = folder.clone().join(start.as_str().split_at(prefix.len() - 1).0);
                self.store.list_with_offset(Some(&folder), &offset)
            }
            _ => self.store.list(Some(&folder)),
        };
        let name = |object: object_store::ObjectMeta| async move {
            Ok(object
                .location
                .filename()
                .filter(|name| name.starts_with(prefix))
                .and_then(|name| BatchId::parse(name).ok()))
        };
        let names = objects.try_filter_map(name).try_collect::<Vec<_>>().await;
        let mut names = names.map_err(|error| store::failed(&*self.store, "list", STAGED, &error))?;
        names.sort_unstable();
        Ok(names)
    }

    /// Puts a claim: what does not fit a message. A claim is put again on every send, which renews its age; workers
    /// never delete one.
    ///
    /// # Errors
    /// When the key is not [`claim_key`] of these bytes, or the store fails or denies.
    pub async fn put_claim(&self, key: &str, bytes: Bytes) -> Result<(), StoreError> {
        const PUT: &str = "put claim";
        let path = claim_path(PUT, key)?;
        if !has_digest(key, &bytes) {
            return Err(StoreError::InvalidKey {
                action: PUT,
                key: key.to_owned(),
                detail: "the content has another digest",
            });
        }
        let put = self.store.put(&path, PutPayload::from_bytes(bytes)).await;
        put.map(drop).map_err(|error| store::failed(&*self.store, PUT, key, &error))
    }

    /// The content of a claim, of at most [`MAX_CLAIM_BYTES`]; `None` when there is none (any more).
    ///
    /// # Errors
    /// When the key is no claim's, so that a forged message cannot read elsewhere; when the content does not have the
    /// digest in its key; when the store fails or denies.
    pub async fn get_claim(&self, key: &str) -> Result<Option<Bytes>, StoreError> {
        const GET: &str = "get claim";
        claim_path(GET, key)?;
        let Some(bytes) = store::read(&*self.store, GET, key, MAX_CLAIM_BYTES).await? else { return Ok(None) };
        if !has_digest(key, &bytes) {
            let detail = "its content does not have the digest in its name".to_owned();
            return Err(StoreError::Damaged { key: key.to_owned(), store: self.store.to_string(), detail });
        }
        Ok(Some(bytes))
    }
}

fn staged_key(batch: &BatchId) -> String {
    format!("{STAGED}/{batch}")
}

/// The key of a batch's claim: `claims/{batch-id}-{sha256 of the content}`.
pub fn claim_key(batch: &BatchId, content: &[u8]) -> String {
    format!("{CLAIMS}/{batch}-{}", crate::hex(&Sha256::digest(content)))
}

/// Refuses what is not of [`claim_key`]'s form.
fn claim_path(action: &'static str, key: &str) -> Result<Path, StoreError> {
    let name = key.strip_prefix(CLAIMS).and_then(|rest| rest.strip_prefix('/'));
    let parts = name.and_then(|name| name.rsplit_once('-'));
    let is_claim = parts.is_some_and(|(batch, digest)| {
        let hex = digest.len() == 64 && digest.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        hex && BatchId::parse(batch).is_ok()
    });
    if !is_claim {
        let key = key.chars().take(200).collect();
        return Err(StoreError::InvalidKey { action, key, detail: "expected claims/{batch-id}-{sha256}" });
    }
    store::path(action, key)
}

fn has_digest(key: &str, content: &[u8]) -> bool {
    key.rsplit_once('-').is_some_and(|(_, digest)| digest == crate::hex(&Sha256::digest(content)))
}
