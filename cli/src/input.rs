//! Event bodies from files and standard input.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::failure::Failure;

/// Largest input file, in bytes: a hub's event is at most 1 MB, an exported blob far larger is cut by its owner.
const MAX_FILE: u64 = 1 << 30;

/// One file's content as one event's body.
#[derive(Debug)]
pub(crate) struct Input {
    /// Name for messages and record ids.
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
    /// Stands in for the time at which a hub accepted the event.
    pub(crate) enqueued_time: Option<i64>,
}

/// Reads `files`, folders with all files below them, or standard input when there are none.
pub(crate) fn read(files: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut paths = Vec::new();
    for path in files {
        collect(path, &mut paths)?;
    }
    Ok(paths)
}

fn collect(path: &Path, paths: &mut Vec<PathBuf>) -> Result<(), Failure> {
    if !path.is_dir() {
        paths.push(path.to_owned());
        return Ok(());
    }
    let entries = std::fs::read_dir(path).map_err(|error| Failure::file("list", path, &error))?;
    let mut inner = Vec::new();
    for entry in entries {
        inner.push(entry.map_err(|error| Failure::file("list", path, &error))?.path());
    }
    inner.sort();
    inner.iter().try_for_each(|path| collect(path, paths))
}

/// Reads one file; its time of change is its enqueued time.
pub(crate) fn open(path: &Path) -> Result<Input, Failure> {
    let fail = |error| Failure::file("read", path, &error);
    let file = std::fs::File::open(path).map_err(fail)?;
    let changed = file.metadata().and_then(|metadata| metadata.modified()).map_err(fail)?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE).read_to_end(&mut bytes).map_err(fail)?;
    Ok(Input { name: path.display().to_string(), bytes, enqueued_time: millis(changed) })
}

/// Reads standard input; it is "accepted" now.
pub(crate) fn standard() -> Result<Input, Failure> {
    let mut bytes = Vec::new();
    std::io::stdin()
        .lock()
        .take(MAX_FILE)
        .read_to_end(&mut bytes)
        .map_err(|error| Failure::Backend(format!("cannot read standard input: {error}")))?;
    Ok(Input { name: "standard input".to_owned(), bytes, enqueued_time: millis(SystemTime::now()) })
}

fn millis(time: SystemTime) -> Option<i64> {
    i64::try_from(time.duration_since(UNIX_EPOCH).ok()?.as_millis()).ok()
}
