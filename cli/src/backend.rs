//! Back ends by URL: `sqlite:FILE`, `file:FOLDER`, `s3://BUCKET/PREFIX`, `memory:`.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use object_store::ObjectStore;
use object_store::memory::InMemory;
use tributary_lake::{Bucket, BucketError, Durability, LocalStore};
use tributary_ledger::{Ledger, MemoryLedger, SqliteLedger};
use tributary_queue::{MemoryQueue, Queue, RedrivePolicy, SqliteQueue};

use crate::failure::Failure;

/// Where something is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Backend {
    /// Gone with the process.
    Memory,
    /// A SQLite file.
    Sqlite(PathBuf),
    /// A folder.
    Folder(PathBuf),
    /// A bucket, or a prefix in it.
    Bucket(Bucket),
}

impl FromStr for Backend {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (scheme, rest) = text.split_once(':').unwrap_or((text, ""));
        let path = || {
            // `file:///data/lake` and `file:data/lake` are both in use.
            let path = rest.strip_prefix("//").unwrap_or(rest);
            if path.is_empty() {
                Err(format!("{text:?} names no path: write {scheme}:PATH"))
            } else {
                Ok(PathBuf::from(path))
            }
        };
        match scheme {
            "memory" => Ok(Self::Memory),
            "sqlite" => Ok(Self::Sqlite(path()?)),
            "file" => Ok(Self::Folder(path()?)),
            "s3" => text.parse().map(Self::Bucket).map_err(|error: BucketError| error.to_string()),
            "dynamodb" | "sqs" => {
                Err(format!("{scheme}: is not in this build: use sqlite:FILE, file:FOLDER, s3://BUCKET or memory:"))
            }
            _ => Err(format!("{text:?} is no back end: use sqlite:FILE, file:FOLDER, s3://BUCKET or memory:")),
        }
    }
}

impl std::fmt::Display for Backend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Memory => f.write_str("memory:"),
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Folder(path) => write!(f, "file:{}", path.display()),
            Self::Bucket(bucket) => bucket.fmt(f),
        }
    }
}

impl Backend {
    /// Opens a ledger.
    pub(crate) fn ledger(&self) -> Result<Arc<dyn Ledger>, Failure> {
        match self {
            Self::Memory => Ok(Arc::new(MemoryLedger::new())),
            Self::Sqlite(path) => Ok(Arc::new(SqliteLedger::open(parent(path)?).map_err(backend)?)),
            Self::Folder(_) | Self::Bucket(_) => Err(self.unfit("a ledger", "sqlite:FILE or memory:")),
        }
    }

    /// Opens a queue of this name.
    pub(crate) fn queue(&self, name: &str) -> Result<Arc<dyn Queue>, Failure> {
        let policy = RedrivePolicy::default();
        match self {
            Self::Memory => Ok(Arc::new(MemoryQueue::new(policy))),
            Self::Sqlite(path) => Ok(Arc::new(SqliteQueue::open(parent(path)?, name, policy).map_err(backend)?)),
            Self::Folder(_) | Self::Bucket(_) => Err(self.unfit("a queue", "sqlite:FILE or memory:")),
        }
    }

    /// Opens a store of objects.
    pub(crate) fn store(&self) -> Result<Arc<dyn ObjectStore>, Failure> {
        match self {
            Self::Memory => Ok(Arc::new(InMemory::new())),
            Self::Folder(path) => {
                // The message that would bring an object back is deleted once it is written.
                let store = LocalStore::open(path, Durability::Flushed);
                Ok(Arc::new(store.map_err(|error| Failure::file("open", path, &error))?))
            }
            Self::Bucket(bucket) => bucket.open().map_err(|error| Failure::Usage(error.to_string())),
            Self::Sqlite(_) => Err(self.unfit("objects", "file:FOLDER, s3://BUCKET or memory:")),
        }
    }

    fn unfit(&self, what: &str, instead: &str) -> Failure {
        Failure::Usage(format!("{self} cannot hold {what}: use {instead}"))
    }
}

/// The path, after its folder was made.
fn parent(path: &Path) -> Result<&Path, Failure> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(|error| Failure::file("create", folder, &error))?;
    }
    Ok(path)
}

fn backend(error: impl std::fmt::Display) -> Failure {
    Failure::Backend(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        assert_eq!("memory:".parse(), Ok(Backend::Memory));
        assert_eq!("sqlite:a/b.db".parse(), Ok(Backend::Sqlite("a/b.db".into())));
        assert_eq!("file:///data/lake".parse(), Ok(Backend::Folder("/data/lake".into())));
        assert_eq!("s3://lake/a/".parse::<Backend>().map(|backend| backend.to_string()), Ok("s3://lake/a".to_owned()));
        assert_eq!("file:lake".parse::<Backend>().map(|backend| backend.to_string()), Ok("file:lake".to_owned()));
        for text in ["", "lake", "sqlite:", "file://", "s3:bucket", "dynamodb:table", "http://x"] {
            let error = text.parse::<Backend>().unwrap_err();
            assert!(["sqlite:FILE", "PATH", "s3://BUCKET"].iter().any(|right| error.contains(right)), "{error}");
        }
    }
}
