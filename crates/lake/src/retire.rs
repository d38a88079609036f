//! The quarantine's store as whoever redrives it sees it: list, read, retire.
//!
//! An object whose records went on is *retired*: its content moves to `retired/{module}/{YYYY}/{MM}/{DD}/{batch-id}.ndjson.zst`, and an object
//! without entries stays in its place. The place stays taken, so that a batch that is delivered once more, which publishes
//! its staged outcome create-only, does not put records into quarantine again that are in the lake by now.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};

use crate::quarantine::{PREFIX, QuarantineError, QuarantineKey, compress};
use crate::store::{self, StoreError};

/// Largest object that is read, compressed: a batch is 8 MiB of events at most.
const MAX_OBJECT: u64 = 256 * 1024 * 1024;
/// Where retired objects lie.
const RETIRED: &str = "retired/";

/// Objects in quarantine.
#[derive(Debug, Clone)]
pub struct Quarantine {
    store: Arc<dyn ObjectStore>,
    /// What a retired object leaves in its place.
    empty: Bytes,
}

impl Quarantine {
    /// The quarantine of a store, at its root.
    ///
    /// # Errors
    /// When memory for the compressor is out.
    pub fn new(store: Arc<dyn ObjectStore>) -> Result<Self, QuarantineError> {
        Ok(Self { store, empty: compress(&[])? })
    }

    /// Keys of all objects with entries, in order; of one module, or of all. Other objects are passed over.
    ///
    /// # Errors
    /// When the store fails or denies.
    pub async fn list(&self, module: Option<&str>) -> Result<Vec<QuarantineKey>, StoreError> {
        let folder = format!("{PREFIX}{}", module.unwrap_or_default());
        let retired = self.empty.len() as u64;
        let found = self.store.list(Some(&Path::from(folder.as_str()))).try_filter_map(|object| async move {
            Ok(QuarantineKey::parse(object.location.as_ref()).filter(|_| object.size > retired))
        });
        let found = found.try_collect::<Vec<_>>().await;
        let mut keys = found.map_err(|error| store::failed(&*self.store, "list", &folder, &error))?;
        keys.retain(|key| module.is_none_or(|module| module == key.module));
        keys.sort_unstable();
        Ok(keys)
    }

    /// The content of an object; `None` when there is none, or it is retired.
    ///
    /// # Errors
    /// When the store fails or denies, or the object is larger than a batch's can be.
    pub async fn read(&self, key: &QuarantineKey) -> Result<Option<Bytes>, StoreError> {
        let found = store::read(&*self.store, "read", &key.to_string(), MAX_OBJECT).await?;
        Ok(found.filter(|bytes| *bytes != self.empty))
    }

    /// Retires an object: call it when all its records have gone on. May be interrupted anywhere and called again.
    ///
    /// # Errors
    /// When the store fails or denies.
    pub async fn retire(&self, key: &QuarantineKey) -> Result<(), StoreError> {
        const RETIRE: &str = "retire";
        let Some(bytes) = self.read(key).await? else { return Ok(()) };
        let key = key.to_string();
        let kept = format!("{RETIRED}{}", key.strip_prefix(PREFIX).unwrap_or(&key));
        for (key, bytes) in [(kept, bytes), (key, self.empty.clone())] {
            let put = self.store.put(&store::path(RETIRE, &key)?, PutPayload::from_bytes(bytes)).await;
            put.map_err(|error| store::failed(&*self.store, RETIRE, &key, &error))?;
        }
        Ok(())
    }
}
