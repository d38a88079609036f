//! The envelope `tributary.batch/1`: one batch as one queue message.
//!
//! ```json
//! {"schema":"tributary.batch/1","module":"example",
//!  "source":{"namespace":"ns","hub":"hub","consumerGroup":"tributary","partition":"0","incarnation":1767225600000},
//!  "first":7,"last":8,"count":2,"encoding":"identity",
//!  "events":[{"sequenceNumber":7,"offset":"4096","enqueuedTime":1767225600000,"partitionKey":null,"properties":{},"body":{"a":1}}, …]}
//! ```
//!
//! `encoding` says what `events` is: `identity`, the list itself; `zstd+base64`, text of the compressed list; `s3`, the key of
//! a *claim*, an object that holds the compressed list, because it does not fit a message. Times are milliseconds since 1970.
//!
//! A body comes out as it went in, byte for byte: a JSON document stands in the list as it is (number text, duplicate keys and
//! white space kept); any other text is a JSON string; bytes that are not UTF-8 are `{"base64":"…"}`. A document that would be
//! read back as one of those two (a JSON string, an object that begins with `base64`), or that is nested deeper than
//! [`MAX_EMBEDDED_DEPTH`], travels as a string.
//!
//! What is no envelope is *foreign* input ([`Foreign`]): a body that somebody put into the queue by hand or by an older tool.

mod decode;
mod encode;
mod foreign;
#[cfg(test)]
mod tests;

pub use decode::{Claim, Decoded, decode};
pub use encode::{Encoded, encode};
pub use foreign::{Foreign, ForeignEvent};

/// The value of `schema`.
pub const SCHEMA: &str = "tributary.batch/1";
/// Most bytes of a message: what SQS takes.
pub const MAX_MESSAGE_BYTES: usize = 1_048_576;
/// Most bytes of a batch's list of events, uncompressed. A batch is 8 MiB unless one event is larger, and JSON writes a byte
/// with at most six.
pub const MAX_EVENTS_BYTES: usize = 64 * 1024 * 1024;
/// Depth of a document beyond which it travels as a string: readers of other makes give up at 128.
pub const MAX_EMBEDDED_DEPTH: usize = 96;

/// What `encoding` may say.
pub(crate) const IDENTITY: &str = "identity";
pub(crate) const ZSTD_BASE64: &str = "zstd+base64";
pub(crate) const CLAIM: &str = "s3";

/// Why a message or a batch cannot be read or written. No text of it is part of the message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EnvelopeError {
    /// Larger than this program makes one.
    #[error("{what} has more than {limit} bytes: it was not made by tributary, or by another version")]
    TooLarge {
        /// What.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// An envelope of a later version.
    #[error("the message's schema is {0:?}, this version reads {SCHEMA}: update the transformer before the processor")]
    Schema(String),
    /// Says it is an envelope, and is not.
    #[error("the batch envelope is damaged: {0}; send its range again with `tributary replay`")]
    Damaged(String),
    /// The compressor failed.
    #[error("cannot compress the batch: {0}")]
    Compress(String),
}

/// Whether JSON text is an object whose first member is `base64`: the form that bytes travel in.
pub(crate) fn is_base64_object(text: &str) -> bool {
    let white = [' ', '\t', '\n', '\r'];
    text.strip_prefix('{').is_some_and(|rest| rest.trim_start_matches(white).starts_with("\"base64\""))
}
