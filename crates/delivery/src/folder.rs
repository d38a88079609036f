//! The sink of one machine.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use crate::memory::{LOCAL, NOT_JSON};
use crate::sink::{Answer, Entry, Failure, Limits, Sink, SinkError, check, is_object};

/// Documents in one file of a folder, one a line (NDJSON). What is sent twice stands there twice: the last of an id counts.
/// Several processes may write to it.
#[derive(Debug)]
pub struct FolderSink {
    path: PathBuf,
    file: Arc<Mutex<File>>,
}

impl FolderSink {
    /// Opens `{folder}/{name}.ndjson`, which is made where it is not there yet.
    ///
    /// # Errors
    /// When the folder or the file cannot be made, or the file cannot be written.
    pub fn open(folder: &Path, name: &str) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let path = folder.join(format!("{name}.ndjson"));
        let mut file = OpenOptions::new().create(true).append(true).read(true).open(&path)?;
        if file.metadata()?.len() > 0 {
            file.seek(SeekFrom::End(-1))?;
            let mut last = [0];
            file.read_exact(&mut last)?;
            // A process that ended while it wrote left half a line, which was never answered for.
            if last != *b"\n" {
                file.write_all(b"\n")?;
            }
        }
        Ok(Self { path, file: Arc::new(Mutex::new(file)) })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn failed(&self, error: &dyn std::fmt::Display) -> SinkError {
        let detail = format!("cannot write {}: {error}; nothing is lost, try again", self.path.display());
        SinkError { failure: Failure::Unavailable, code: String::new(), detail }
    }
}

#[async_trait]
impl Sink for FolderSink {
    fn name(&self) -> &'static str {
        "folder"
    }

    fn limits(&self) -> Limits {
        LOCAL
    }

    async fn put(&self, entries: &[&Entry]) -> Result<Vec<Answer>, SinkError> {
        check(self, entries)?;
        let (mut lines, mut answers) = (String::new(), Vec::with_capacity(entries.len()));
        for entry in entries {
            if !is_object(entry.document()) {
                answers.push(Answer::Refused(NOT_JSON.to_owned()));
                continue;
            }
            // Within a JSON document a line's end is only ever space between two values.
            lines.extend(entry.document().chars().map(|c| if matches!(c, '\n' | '\r') { ' ' } else { c }));
            lines.push('\n');
            answers.push(Answer::Accepted);
        }
        let file = Arc::clone(&self.file);
        let written = tokio::task::spawn_blocking(move || {
            let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
            // In one piece, so that lines of two processes never mix; answered for when it is on the disk.
            file.write_all(lines.as_bytes())?;
            file.sync_data()
        });
        match written.await {
            Ok(Ok(())) => Ok(answers),
            Ok(Err(error)) => Err(self.failed(&error)),
            Err(error) => Err(self.failed(&error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::{Subject, plain};

    struct Folder(FolderSink, #[allow(dead_code, reason = "removed when it is dropped")] tempfile::TempDir);

    fn ids(path: &Path) -> Vec<String> {
        let text = std::fs::read_to_string(path).unwrap();
        let documents = text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        let ids: std::collections::BTreeSet<String> =
            documents.map(|document| document["id"].as_str().unwrap().to_owned()).collect();
        ids.into_iter().collect()
    }

    #[async_trait]
    impl Subject for Folder {
        fn sink(&self) -> &dyn Sink {
            &self.0
        }

        fn entry(&self, id: &str, padding: usize) -> Entry {
            plain(id, padding)
        }

        async fn stored(&self) -> Vec<String> {
            ids(self.0.path())
        }
    }

    #[tokio::test]
    async fn conforms() {
        let make = async || {
            let folder = tempfile::tempdir().unwrap();
            Folder(FolderSink::open(folder.path(), "findings").unwrap(), folder)
        };
        crate::conformance::all(make).await;
    }

    #[tokio::test]
    async fn half_a_line_spoils_no_other() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("x.ndjson"), "{\"id\":\"a\"}\n{\"id\":\"b").unwrap();
        let sink = FolderSink::open(folder.path(), "x").unwrap();
        let entry = Entry::new("c", "{\n\"id\":\r\n\"c\"}");
        assert_eq!(sink.put(&[&entry]).await, Ok(vec![Answer::Accepted]));
        assert_eq!(ids(sink.path()), ["a", "c"]);
        assert_eq!(std::fs::read_to_string(sink.path()).unwrap().lines().count(), 3);
    }
}
