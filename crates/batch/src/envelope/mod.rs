//! The envelope `tributary.batch/1`: one batch as one queue message.
//!
//! ```json
//! {"schema":"tributary.batch/1","module":"example",
//!  "source":{"namespace":"ns","hub":"hub","consumerGroup":"tributary","partition":"0","incarnation":1767225600000},
//!  "first":7,"last":8,"count":2,"encoding":"identity",
//!  "events":[{"sequenceNumber":7,"offset":"4096","enqueuedTime":1767225600000,"partitionKey":null,"properties":{},"body":{"a":1}}, …]}
//! ```
//!
//! `encoding` says what `events` is. Times are milliseconds since 1970.
//!
//! | `encoding` | `events` | chosen when |
//! |---|---|---|
//! | `identity` | the list itself | it is small |
//! | `zstd+base64` | one zstd frame of the list, in standard base64 | the message fits [`MAX_MESSAGE_BYTES`] |
//! | `s3` | the key of a *claim*, `claims/{batch-id}-{sha256}` | otherwise |
//!
//! A claim is an object that holds one zstd frame of the list and nothing else; the digest is that of the object's bytes. Its
//! key is made from the batch and the content, so that every attempt to send a batch puts an equal object.
//!
//! A body comes out as it went in, byte for byte: a JSON document stands in the list as it is (number text, duplicate keys,
//! white space and lone-surrogate escapes kept); any other text is a JSON string; bytes that are not UTF-8 are
//! `{"base64":"…"}`. A document that could be read back as one of those two (a JSON string, an object that begins with
//! `base64`), or that is nested deeper than [`MAX_EMBEDDED_DEPTH`], travels as a string. `properties` keeps order and
//! repeated names. Members that a reader does not know are skipped.
//!
//! What is no envelope is *foreign* input ([`Foreign`]): a body that somebody put into the queue by hand or by an older tool.

mod decode;
mod document;
mod encode;
mod foreign;
#[cfg(test)]
mod tests;

pub use decode::{Claim, Decoded, decode};
pub use encode::{Encoded, encode, event_json};
pub use foreign::{Foreign, ForeignEvent};

use crate::SequenceNumber;

/// The value of `schema`.
pub const SCHEMA: &str = "tributary.batch/1";
/// Most bytes of a message: what SQS takes.
pub const MAX_MESSAGE_BYTES: usize = 1_048_576;
/// Most bytes of a batch's list of events, uncompressed. A batch is 8 MiB unless one event is larger, and JSON writes a byte
/// with at most six.
pub const MAX_EVENTS_BYTES: usize = 64 * 1024 * 1024;
/// The same for a batch of a single event: 20 MiB, the largest that a hub is known to take, with six bytes each.
pub const MAX_SINGLE_EVENT_BYTES: usize = 128 * 1024 * 1024;
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
    /// The batch's events are no part of its range in ascending order: as an envelope it would be damaged.
    #[error("the batch cannot be sent: {0}")]
    Invalid(String),
    /// The compressor failed.
    #[error("cannot compress the batch: {0}")]
    Compress(String),
}

/// Most bytes of the list of a batch that says it has `count` events.
fn events_cap(count: usize) -> usize {
    if count > 1 { MAX_EVENTS_BYTES } else { MAX_SINGLE_EVENT_BYTES }
}

/// A range of the planned size, and events within it that ascend: what both sides check.
struct Order {
    /// The least that may come next.
    next: i128,
    last: i64,
}

impl Order {
    /// `None` when the range cannot hold `count` events.
    fn new(first: SequenceNumber, last: SequenceNumber, count: usize) -> Option<Self> {
        let width = i128::from(last.0) - i128::from(first.0) + 1;
        let fits = width >= 1 && u128::try_from(width).is_ok_and(|width| count as u128 <= width);
        fits.then_some(Self { next: i128::from(first.0), last: last.0 })
    }

    /// Whether `number` may follow.
    fn take(&mut self, number: SequenceNumber) -> bool {
        let follows = i128::from(number.0) >= self.next && number.0 <= self.last;
        self.next = i128::from(number.0) + 1;
        follows
    }
}
