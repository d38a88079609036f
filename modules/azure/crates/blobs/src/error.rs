//! Why a blob cannot be read.

/// Why a blob cannot be read, in one line that says what to do. No content and no secret is in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BlobError {
    /// There is no such blob (or container).
    #[error("the blob is gone")]
    Gone,
    /// It has another ETag, or is shorter, than when its list was read: read the list anew.
    #[error("the blob changed meanwhile")]
    Changed,
    /// Who asks is not let in (metric `AccessDenied`).
    #[error("{0}")]
    Denied(String),
    /// It will not be had by trying again.
    #[error("{0}")]
    Refused(String),
    /// A later attempt may succeed.
    #[error("{0}")]
    Transient(String),
}
