//! A folder as an object store, for one machine.
//!
//! `object_store`'s own `LocalFileSystem` writes `{name}#{n}` beside the target and links or renames it into place. A
//! crash in between leaves that file in the lake, where `pyarrow` and others read it as one more object: rows twice.
//! [`LocalStore`] writes into `.partial/` at the root instead, which every reader passes over (names that start with a
//! dot or an underscore are hidden), and links from there: what has its final name is whole.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::path::Path as FilePath;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt,
    PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, RenameTargetMode, Result,
};

/// Where files lie until they are whole.
const PARTIAL: &str = ".partial";
/// Age at which a file in [`PARTIAL`] is somebody's crash, not somebody's work.
const LEFTOVER: Duration = Duration::from_secs(24 * 3_600);

/// What a successful write survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// A power cut: files and folders are flushed to the disk before a write returns. For `tributary run`, which
    /// deletes the message that would bring the data back.
    Flushed,
    /// A crash of the process: for what can be made again from its input.
    Cached,
}

/// A folder as an object store: create-only puts are atomic, and half a file is never seen.
#[derive(Debug, Clone)]
pub struct LocalStore {
    inner: Arc<LocalFileSystem>,
}

impl LocalStore {
    /// Opens a folder, which is created if it is not there, and removes leftovers of crashes more than a day old.
    ///
    /// # Errors
    /// When the folder cannot be created or resolved.
    pub fn open(root: &FilePath, durability: Durability) -> std::io::Result<Self> {
        std::fs::create_dir_all(root)?;
        sweep(&root.join(PARTIAL));
        let inner = LocalFileSystem::new_with_prefix(root).map_err(std::io::Error::other)?;
        let inner = Arc::new(inner.with_fsync(durability == Durability::Flushed));
        Ok(Self { inner })
    }
}

/// A name that no other write uses, in this process or another one (of another container, with the same process id) on
/// the same folder: every [`RandomState`] has keys of its own.
fn partial() -> Path {
    let random = || RandomState::new().hash_one(std::process::id());
    Path::from_iter([PARTIAL, &format!("{:016x}{:016x}", random(), random())])
}

/// Removes old leftovers. Whatever fails here is tried again at the next start.
fn sweep(folder: &FilePath) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let age = entry.metadata().and_then(|metadata| metadata.modified()).ok().and_then(|time| time.elapsed().ok());
        if age.is_some_and(|age| age > LEFTOVER) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

fn is_partial(path: &Path) -> bool {
    path.parts().next().is_some_and(|part| part.as_ref() == PARTIAL)
}

fn unsupported(operation: &'static str) -> Error {
    Error::NotImplemented { operation: operation.to_owned(), implementer: "LocalStore".to_owned() }
}

impl fmt::Display for LocalStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

#[async_trait]
impl ObjectStore for LocalStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let target_mode = match options.mode {
            PutMode::Create => RenameTargetMode::Create,
            PutMode::Overwrite => RenameTargetMode::Overwrite,
            PutMode::Update(_) => return Err(unsupported("put with PutMode::Update")),
        };
        let partial = partial();
        let put = self.inner.put_opts(&partial, payload, PutOptions { mode: PutMode::Overwrite, ..options }).await?;
        // Linking a file into place fails when the name is taken, renaming replaces what is there: both are atomic.
        let rename = RenameOptions::new().with_target_mode(target_mode);
        if let Err(error) = self.inner.rename_opts(&partial, location, rename).await {
            let _ = self.inner.delete(&partial).await;
            return Err(error);
        }
        Ok(put)
    }

    async fn put_multipart_opts(&self, _: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        Err(unsupported("multipart upload"))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        hide(self.inner.list(prefix))
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        hide(self.inner.list_with_offset(prefix, offset))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let mut result = self.inner.list_with_delimiter(prefix).await?;
        result.common_prefixes.retain(|path| !is_partial(path));
        result.objects.retain(|object| !is_partial(&object.location));
        Ok(result)
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.inner.rename_opts(from, to, options).await
    }
}

fn hide(objects: BoxStream<'static, Result<ObjectMeta>>) -> BoxStream<'static, Result<ObjectMeta>> {
    let seen = |object: &Result<ObjectMeta>| !object.as_ref().is_ok_and(|object| is_partial(&object.location));
    objects.filter(move |object| std::future::ready(seen(object))).boxed()
}

#[cfg(test)]
mod tests {
    use futures_util::TryStreamExt;

    use super::*;

    #[tokio::test]
    async fn leftovers_of_a_crash_are_never_seen_and_go_after_a_day() {
        let folder = tempfile::tempdir().unwrap();
        let store = LocalStore::open(folder.path(), Durability::Flushed).unwrap();
        store.put(&Path::from("ext/a/x.parquet"), "whole".into()).await.unwrap();
        let partial = folder.path().join(PARTIAL);
        assert_eq!(std::fs::read_dir(&partial).unwrap().count(), 0, "a finished write leaves nothing");
        std::fs::write(partial.join("young"), "hal").unwrap();
        std::fs::write(partial.join("old"), "hal").unwrap();
        let long_ago = std::time::SystemTime::now() - 2 * LEFTOVER;
        std::fs::File::options().write(true).open(partial.join("old")).unwrap().set_modified(long_ago).unwrap();
        let names: Vec<String> =
            store.list(None).map_ok(|object| object.location.to_string()).try_collect().await.unwrap();
        assert_eq!(names, ["ext/a/x.parquet"]);
        let roots = store.list_with_delimiter(None).await.unwrap();
        assert_eq!(roots.common_prefixes, [Path::from("ext")]);
        LocalStore::open(folder.path(), Durability::Cached).unwrap();
        assert!(partial.join("young").exists() && !partial.join("old").exists());
    }

    #[tokio::test]
    async fn a_put_that_finds_the_name_taken_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let store = LocalStore::open(folder.path(), Durability::Cached).unwrap();
        let key = Path::from("a/b");
        store.put_opts(&key, "one".into(), PutMode::Create.into()).await.unwrap();
        let again = store.put_opts(&key, "two".into(), PutMode::Create.into()).await;
        assert!(matches!(again, Err(Error::AlreadyExists { .. })), "{again:?}");
        assert_eq!(store.get(&key).await.unwrap().bytes().await.unwrap(), "one");
        store.put(&key, "three".into()).await.unwrap();
        assert_eq!(store.get(&key).await.unwrap().bytes().await.unwrap(), "three");
        assert_eq!(std::fs::read_dir(folder.path().join(PARTIAL)).unwrap().count(), 0);
        assert_eq!(std::fs::read_dir(folder.path().join("a")).unwrap().count(), 1);
    }
}
