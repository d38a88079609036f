//! Text files of a store, read whole and within bounds: for what people put there, not this program.

use std::collections::BTreeMap;

use futures_util::{StreamExt as _, TryStreamExt as _};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore};

use crate::store::{StoreError, failed, read};

/// What to read, and how much of it at most.
#[derive(Debug, Clone, Copy)]
pub struct TextLimits {
    /// Ending of the names of the files to read; others are passed over.
    pub ending: &'static str,
    /// Most files.
    pub files: usize,
    /// Most bytes of one.
    pub bytes: u64,
    /// Most bytes of all.
    pub total: u64,
}

/// Most objects that are looked at for each file that may be read: a prefix that holds something else entirely, such as a
/// lake, is not listed to its end.
const LISTED_PER_FILE: usize = 10;
/// Files read at once.
const PARALLEL: usize = 8;

/// Reads the texts by their path below the store's root. Hidden ones (a part of the path begins with a dot) are left out:
/// mounted volumes keep copies of every file in hidden folders.
///
/// # Errors
/// When the store fails, holds more than the limits allow, or a file is not UTF-8.
pub async fn read_texts(store: &dyn ObjectStore, limits: TextLimits) -> Result<BTreeMap<String, String>, StoreError> {
    let found = list(store, limits).await?;
    let reads = found.into_iter().map(|object| one(store, object.location, limits.bytes));
    let mut reads = futures_util::stream::iter(reads).buffer_unordered(PARALLEL);
    let (mut texts, mut total) = (BTreeMap::new(), 0);
    // A file may have grown since it was listed.
    while let Some((path, text)) = reads.try_next().await? {
        total += text.len() as u64;
        if total > limits.total {
            return Err(too_many(store, &format!("bytes in {} files than {}", limits.ending, limits.total)));
        }
        texts.insert(path, text);
    }
    Ok(texts)
}

async fn list(store: &dyn ObjectStore, limits: TextLimits) -> Result<Vec<ObjectMeta>, StoreError> {
    let (mut found, mut listed) = (Vec::new(), 0);
    let mut objects = store.list(None);
    while let Some(object) = objects.next().await {
        let object = object.map_err(|error| failed(store, "list", "what lies", &error))?;
        listed += 1;
        if listed > limits.files * LISTED_PER_FILE {
            return Err(too_many(store, &format!("objects than {}", limits.files * LISTED_PER_FILE)));
        }
        if !object.location.as_ref().ends_with(limits.ending) || is_hidden(&object.location) {
            continue;
        }
        if found.len() == limits.files {
            return Err(too_many(store, &format!("{} files than {}", limits.ending, limits.files)));
        }
        found.push(object);
    }
    Ok(found)
}

fn is_hidden(path: &Path) -> bool {
    path.parts().any(|part| part.as_ref().starts_with('.'))
}

async fn one(store: &dyn ObjectStore, path: Path, limit: u64) -> Result<(String, String), StoreError> {
    let key = path.to_string();
    let refuse = |detail| StoreError::NotText { key: key.clone(), store: store.to_string(), detail };
    let bytes = read(store, "read", &key, limit).await?;
    let bytes = bytes.ok_or_else(|| refuse("it went away while it was read".to_owned()))?;
    match String::from_utf8(bytes.into()) {
        Ok(text) => Ok((key, text)),
        Err(error) => Err(refuse(format!("it is not utf-8 at byte {}", error.utf8_error().valid_up_to()))),
    }
}

fn too_many(store: &dyn ObjectStore, what: &str) -> StoreError {
    StoreError::TooMany { store: store.to_string(), what: what.to_owned() }
}

#[cfg(test)]
mod tests {
    use object_store::ObjectStoreExt as _;
    use object_store::memory::InMemory;

    use super::*;

    const LIMITS: TextLimits = TextLimits { ending: ".yaml", files: 3, bytes: 10, total: 20 };

    async fn store(files: &[(&str, &[u8])]) -> InMemory {
        let store = InMemory::new();
        for (path, bytes) in files {
            store.put(&Path::from(*path), bytes.to_vec().into()).await.unwrap();
        }
        store
    }

    async fn refused(files: &[(&str, &[u8])]) -> String {
        read_texts(&store(files).await, LIMITS).await.unwrap_err().to_string()
    }

    #[tokio::test]
    async fn what_has_the_ending_is_read_by_its_path() {
        let files: &[(&str, &[u8])] = &[
            ("a.yaml", b"one"),
            ("shared/b.yaml", "zw\u{f6}i".as_bytes()),
            ("a.cases/big.json", &[b'x'; 100]),
            (".hidden/a.yaml", b"copy"),
            ("shared/.b.yaml", b"draft"),
        ];
        let texts = read_texts(&store(files).await, LIMITS).await.unwrap();
        let texts: Vec<(&str, &str)> = texts.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        assert_eq!(texts, [("a.yaml", "one"), ("shared/b.yaml", "zw\u{f6}i")]);
        assert!(read_texts(&store(&[]).await, LIMITS).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn more_than_the_limits_is_refused() {
        let large = refused(&[("a.yaml", &[b'x'; 11])]).await;
        assert!(large.contains("a.yaml") && large.contains("11 bytes, more than the 10"), "{large}");
        let files: Vec<(String, Vec<u8>)> = (0..4).map(|n| (format!("{n}.yaml"), vec![b'x'])).collect();
        let files: Vec<(&str, &[u8])> = files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice())).collect();
        assert!(refused(&files).await.contains("more .yaml files than 3"));
        let total = refused(&[("a.yaml", &[b'x'; 9]), ("b.yaml", &[b'x'; 9]), ("c.yaml", &[b'x'; 9])]).await;
        assert!(total.contains("more bytes in .yaml files than 20"), "{total}");
        let names: Vec<String> = (0..31).map(|n| format!("{n}.parquet")).collect();
        let others: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b"x"[..])).collect();
        assert!(refused(&others).await.contains("more objects than 30"));
    }

    #[tokio::test]
    async fn what_is_no_text_is_refused_by_name() {
        let error = refused(&[("a.yaml", b"ab\xff")]).await;
        assert!(error.contains("a.yaml") && error.contains("not utf-8 at byte 2"), "{error}");
    }
}
