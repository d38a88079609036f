//! What every use of an object store here shares: errors that say what, where and what to do, capped reads, the
//! create-only put.

use bytes::Bytes;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutPayload};
use tributary_telemetry::line::one_line;

/// Longest text of a store's own error that is passed on: stores answer with whole documents.
const MAX_DETAIL: usize = 400;
/// Longest key of an object, in bytes, that S3 takes.
const MAX_KEY: usize = 1_024;

/// Why a store did not do what it was asked, by what the caller should do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Worth another attempt later: nothing was lost, and every operation here may be repeated.
    #[error("cannot {action} {key} in {store}: {detail}; nothing is lost, try again")]
    Transient {
        /// What was attempted, such as `stage`.
        action: &'static str,
        /// The object.
        key: String,
        /// The store.
        store: String,
        /// What the store said.
        detail: String,
    },
    /// A person must grant a permission.
    #[error("cannot {action} {key} in {store}: access denied ({detail}); grant it to the role or user that runs this")]
    Denied {
        /// What was attempted.
        action: &'static str,
        /// The object.
        key: String,
        /// The store.
        store: String,
        /// What the store said.
        detail: String,
    },
    /// The object is not what this program wrote: it was cut, changed, or put there by somebody else.
    #[error("{key} in {store} is damaged: {detail}; move it away and send its batch again")]
    Damaged {
        /// The object.
        key: String,
        /// The store.
        store: String,
        /// What is wrong with it.
        detail: String,
    },
    /// The object is larger than anything this program writes there.
    #[error(
        "{key} in {store} has {size} bytes, more than the {limit} allowed; look at who wrote it before raising the limit"
    )]
    TooLarge {
        /// The object.
        key: String,
        /// The store.
        store: String,
        /// Its size.
        size: u64,
        /// The limit.
        limit: u64,
    },
    /// The place holds more than what is looked for there could be.
    #[error("{store} holds more {what}: name the folder or prefix that holds nothing else")]
    TooMany {
        /// The store.
        store: String,
        /// Of what there is more than is allowed, and how much is.
        what: String,
    },
    /// The object is no text that can be read.
    #[error("cannot use {key} in {store}: {detail}; put it there again, as utf-8 text")]
    NotText {
        /// The object.
        key: String,
        /// The store.
        store: String,
        /// What is wrong with it.
        detail: String,
    },
    /// The key is none that this program makes: nothing was read or written.
    #[error("{key:?} is no key to {action}: {detail}")]
    InvalidKey {
        /// What was attempted.
        action: &'static str,
        /// The key, cut at 200 characters.
        key: String,
        /// What a key looks like.
        detail: &'static str,
    },
}

impl StoreError {
    /// Whether the same call may succeed later without anybody doing anything.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Transient { .. })
    }

    /// Whether a permission is missing (metric `AccessDenied`).
    pub fn is_denied(&self) -> bool {
        matches!(self, Self::Denied { .. })
    }
}

/// Wraps a store's own error.
pub(crate) fn failed(
    store: &dyn ObjectStore,
    action: &'static str,
    key: &str,
    error: &object_store::Error,
) -> StoreError {
    let (key, place) = (key.to_owned(), store.to_string());
    let detail = one_line(&error.to_string(), MAX_DETAIL);
    match error {
        object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. } => {
            StoreError::Denied { action, key, store: place, detail }
        }
        _ => StoreError::Transient { action, key, store: place, detail },
    }
}

/// A key as a path, if it is one as it stands: relative, without empty, `.` or `..` segments, nothing to be encoded.
pub(crate) fn path(action: &'static str, key: &str) -> Result<Path, StoreError> {
    let refuse = |detail| StoreError::InvalidKey { action, key: key.chars().take(200).collect(), detail };
    if key.len() > MAX_KEY {
        return Err(refuse("it has more than 1024 bytes"));
    }
    match Path::parse(key) {
        // `parse` forgives slashes at the ends.
        Ok(path) if path.as_ref() == key && !key.is_empty() => Ok(path),
        _ => {
            Err(refuse("expected segments of plain characters with single slashes between them, none of them . or .."))
        }
    }
}

/// Puts an object that must not exist yet. `false`: there is one already, and nothing was written.
pub(crate) async fn create(
    store: &dyn ObjectStore,
    action: &'static str,
    key: &str,
    payload: PutPayload,
) -> Result<bool, StoreError> {
    match store.put_opts(&path(action, key)?, payload, PutMode::Create.into()).await {
        Ok(_) => Ok(true),
        Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => Ok(false),
        Err(error) => Err(failed(store, action, key, &error)),
    }
}

/// Whether there is an object of this key.
pub(crate) async fn exists(store: &dyn ObjectStore, key: &str) -> Result<bool, StoreError> {
    const LOOK: &str = "look at";
    match store.head(&path(LOOK, key)?).await {
        Ok(_) => Ok(true),
        Err(object_store::Error::NotFound { .. }) => Ok(false),
        Err(error) => Err(failed(store, LOOK, key, &error)),
    }
}

/// Removes an object. Whether there was one: where the store says so.
pub(crate) async fn remove(store: &dyn ObjectStore, action: &'static str, key: &str) -> Result<bool, StoreError> {
    match store.delete(&path(action, key)?).await {
        Ok(()) => Ok(true),
        Err(object_store::Error::NotFound { .. }) => Ok(false),
        Err(error) => Err(failed(store, action, key, &error)),
    }
}

/// Reads an object of at most `limit` bytes, whose size is looked at before its content. `None`: there is none.
pub(crate) async fn read(
    store: &dyn ObjectStore,
    action: &'static str,
    key: &str,
    limit: u64,
) -> Result<Option<Bytes>, StoreError> {
    let result = match store.get(&path(action, key)?).await {
        Ok(result) => result,
        Err(object_store::Error::NotFound { .. }) => return Ok(None),
        Err(error) => return Err(failed(store, action, key, &error)),
    };
    let size = result.meta.size;
    if size > limit {
        return Err(StoreError::TooLarge { key: key.to_owned(), store: store.to_string(), size, limit });
    }
    result.bytes().await.map(Some).map_err(|error| failed(store, action, key, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_taken_as_it_stands_or_refused() {
        for key in ["a", "ext/detection/1.3.0/region=eu-west-1/accountId=external/eventDay=20260101/b.parquet"] {
            assert_eq!(path("read", key).unwrap().as_ref(), key);
        }
        for key in ["", "/a", "a/", "a//b", "../a", "a/../b", "a/./b", "a\nb", &"a".repeat(2_000)] {
            assert!(matches!(path("read", key), Err(StoreError::InvalidKey { .. })), "{key:?}");
        }
    }

    #[test]
    fn a_denial_is_told_from_a_hiccup() {
        let store = object_store::memory::InMemory::new();
        let (path, source) = ("k".to_owned(), || "no".into());
        let denied = object_store::Error::PermissionDenied { path: path.clone(), source: source() };
        assert!(failed(&store, "stage", "k", &denied).is_denied());
        let broken = object_store::Error::Generic { store: "s3", source: "a\n  b".repeat(500).into() };
        let error = failed(&store, "stage", "k", &broken);
        assert!(error.is_transient());
        assert!(error.to_string().starts_with("cannot stage k in InMemory: Generic s3 error: a b"), "{error}");
        assert!(error.to_string().chars().count() < 500);
    }
}
