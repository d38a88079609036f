//! The trait and what goes through it.

use std::fmt;

use async_trait::async_trait;
use tributary_aws::AwsError;

/// A document on its way to a sink. Debug output leaves the document out.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    id: String,
    document: String,
}

impl Entry {
    /// A JSON document under an id that is the same whenever the document is sent.
    pub fn new(id: impl Into<String>, document: impl Into<String>) -> Self {
        Self { id: id.into(), document: document.into() }
    }

    /// The id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The document.
    pub fn document(&self) -> &str {
        &self.document
    }

    /// The document, by value.
    pub fn into_document(self) -> String {
        self.document
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry").field("id", &self.id).field("bytes", &self.document.len()).finish()
    }
}

/// What one call takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most entries.
    pub entries: usize,
    /// Most bytes of all entries, by [`Sink::weight`].
    pub bytes: usize,
    /// Most bytes of one document.
    pub document: usize,
}

/// What a sink says of an entry. Codes are the service's own words, such as `InvalidInput`, and say nothing of the document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It is there, durably.
    Accepted,
    /// Not now: it may be accepted later.
    Again(String),
    /// Never, as it is.
    Refused(String),
}

impl Answer {
    /// Whether the entry is there.
    pub fn is_accepted(&self) -> bool {
        *self == Self::Accepted
    }
}

/// Why a whole call failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failure {
    /// The network, a timeout, a limit on the rate, a server's fault: later it may succeed. Whether entries are there nobody knows.
    Unavailable,
    /// One of the entries at least, and the service does not say which.
    Entries,
    /// A permission is missing (metric `AccessDenied`).
    Denied,
    /// What the deployment says is wrong, or the service takes nothing from it: a person must act.
    Misconfigured,
}

/// A call that failed, in one line that says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct SinkError {
    /// What it means.
    pub failure: Failure,
    /// The service's code; empty when it said nothing.
    pub code: String,
    /// What, where, and what to do.
    pub detail: String,
}

impl SinkError {
    /// An AWS call's error as it is, or with `advice` in place of the general one.
    pub(crate) fn aws(failure: Failure, error: &AwsError, advice: Option<&str>) -> Self {
        let AwsError { operation, code, .. } = error;
        let detail = match (failure, advice) {
            // A message about an entry may quote it.
            (Failure::Entries, _) => format!("{operation}: {code} for one of the entries"),
            (_, Some(advice)) => format!("{operation}: {code} {}; {advice}", error.detail),
            (_, None) => error.to_string(),
        };
        Self { failure, code: code.clone(), detail }
    }

    /// A call that the caller must not make: [`send`](crate::send) never does.
    pub(crate) fn over(name: &str, limits: Limits) -> Self {
        let Limits { entries, bytes, .. } = limits;
        let detail = format!("{name}: a call of more than {entries} entries or {bytes} bytes: cut it");
        Self { failure: Failure::Misconfigured, code: String::new(), detail }
    }
}

/// A destination that takes many small documents in one call and answers for each one. Entries are there once however often
/// they are sent, by their id. Every method takes `&self`: clones of an `Arc` may be used by many workers at once, and keep
/// the destination's rate together.
#[async_trait]
pub trait Sink: Send + Sync {
    /// Its name, for logs.
    fn name(&self) -> &'static str;

    /// What one call takes.
    fn limits(&self) -> Limits;

    /// Bytes that an entry takes in a call.
    fn weight(&self, entry: &Entry) -> usize {
        entry.document().len()
    }

    /// One call, within [`limits`](Self::limits) and no id twice: an answer for each entry, in their order.
    ///
    /// # Errors
    /// When the call failed as a whole; then nothing is known of its entries.
    async fn put(&self, entries: &[&Entry]) -> Result<Vec<Answer>, SinkError>;
}

/// Whether a call is within the limits.
pub(crate) fn check<S: Sink + ?Sized>(sink: &S, entries: &[&Entry]) -> Result<(), SinkError> {
    let limits = sink.limits();
    let bytes: usize = entries.iter().map(|entry| sink.weight(entry)).sum();
    let over = entries.len() > limits.entries || bytes > limits.bytes;
    if over { Err(SinkError::over(sink.name(), limits)) } else { Ok(()) }
}

/// Whether a document is one JSON object.
pub(crate) fn is_object(document: &str) -> bool {
    let parsed = serde_json::from_str::<&serde_json::value::RawValue>(document);
    parsed.is_ok_and(|raw| raw.get().starts_with('{'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_in_no_debug_output() {
        let text = format!("{:?}", Entry::new("id-1", "{\"secret\":1}"));
        assert!(text.contains("id-1") && text.contains("12") && !text.contains("secret"), "{text}");
    }

    #[test]
    fn what_is_said_of_an_entry_is_not_passed_on() {
        let error =
            AwsError::answered("securityhub:BatchImportFindings", 400, "InvalidInputException", "Title: hunter2");
        let error = SinkError::aws(Failure::Entries, &error, Some("do this"));
        assert_eq!(error.to_string(), "securityhub:BatchImportFindings: InvalidInputException for one of the entries");
    }
}
