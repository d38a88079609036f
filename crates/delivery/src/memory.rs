//! The sink of one process.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;

use crate::sink::{Answer, Entry, Limits, Sink, SinkError, check, is_object};

/// Code of a document that is no JSON object.
pub(crate) const NOT_JSON: &str = "NotJson";

/// What local sinks take in a call: what the services do, so that what runs on one machine runs in the cloud too.
pub(crate) const LOCAL: Limits = Limits { entries: 100, bytes: 1_000_000, document: 256_000 };

/// Entries in memory, the last document of each id: gone with the process.
#[derive(Default)]
pub struct MemorySink {
    entries: Mutex<BTreeMap<String, String>>,
}

impl std::fmt::Debug for MemorySink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemorySink").finish_non_exhaustive()
    }
}

impl MemorySink {
    /// An empty sink.
    pub fn new() -> Self {
        Self::default()
    }

    /// The documents, by id.
    pub fn entries(&self) -> BTreeMap<String, String> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl Sink for MemorySink {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn limits(&self) -> Limits {
        LOCAL
    }

    async fn put(&self, entries: &[&Entry]) -> Result<Vec<Answer>, SinkError> {
        check(self, entries)?;
        let mut stored = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let answers = entries.iter().map(|entry| {
            if !is_object(entry.document()) {
                return Answer::Refused(NOT_JSON.to_owned());
            }
            stored.insert(entry.id().to_owned(), entry.document().to_owned());
            Answer::Accepted
        });
        Ok(answers.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::{Subject, plain};

    struct Memory(MemorySink);

    #[async_trait]
    impl Subject for Memory {
        fn sink(&self) -> &dyn Sink {
            &self.0
        }

        fn entry(&self, id: &str, padding: usize) -> Entry {
            plain(id, padding)
        }

        async fn stored(&self) -> Vec<String> {
            self.0.entries().into_keys().collect()
        }
    }

    #[tokio::test]
    async fn conforms() {
        crate::conformance::all(async || Memory(MemorySink::new())).await;
    }
}
