//! Records that did not become events, raw and whole, with the reason: `quarantine/{module}/{YYYY}/{MM}/{DD}/{batch-id}.ndjson.zst`.

use std::borrow::Cow;
use std::io::{BufRead, BufReader, Read, Write};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tributary_batch::{BatchId, TimestampMs};
use tributary_ocsf::write_rfc3339;

use crate::layout::EventDay;

/// First segment of every quarantine key, with its slash.
pub(crate) const PREFIX: &str = "quarantine/";
/// Level 3, as in the lake.
const ZSTD_LEVEL: i32 = 3;
/// Largest window that a reader makes room for: 16 MiB. What is written here needs 2.
const WINDOW_LOG_MAX: u32 = 24;

/// One record in quarantine: one line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct QuarantineEntry<'e> {
    /// Why, from the closed list of reasons.
    pub reason: Cow<'e, str>,
    /// More of it, without content of the record.
    pub detail: Cow<'e, str>,
    /// The record's kind, where that was found.
    pub kind: Option<Cow<'e, str>>,
    /// Where the record came from: never interpreted here, handed back as it was given.
    pub position: serde_json::Value,
    /// Digest of the mapping set that refused the record.
    pub mappings: Cow<'e, str>,
    /// When the hub accepted the record's event, as `YYYY-MM-DDTHH:MM:SS.mmmZ` (see [`received_at`]).
    pub received_at: Cow<'e, str>,
    /// The record's text, redacted.
    pub raw: Cow<'e, str>,
}

/// The text of [`QuarantineEntry::received_at`].
pub fn received_at(time: TimestampMs) -> String {
    let mut text = String::with_capacity(24);
    write_rfc3339(time, &mut text);
    text
}

/// The quarantine object of one batch, not yet written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuarantineObject {
    /// Its key in the quarantine's bucket.
    pub key: String,
    /// Its content.
    pub bytes: Bytes,
    /// How many records it holds.
    pub entries: u64,
}

/// Why no quarantine object could be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QuarantineError {
    /// The module's id would not stay within its path segment.
    #[error("{0:?} is no module id: expected 1 to 64 of a-z, 0-9, '-' and '_', such as the value of MODULE_ID")]
    Module(String),
    /// The compressor failed.
    #[error("cannot compress the quarantine object: {0}")]
    Compress(#[from] std::io::Error),
    /// An entry is no JSON.
    #[error("cannot write a quarantine entry as json: {0}")]
    Json(#[from] serde_json::Error),
}

/// The key of a batch's quarantine object. `first` is when the hub accepted the batch's first event: data, not a clock,
/// so that every attempt names the same key.
///
/// # Errors
/// When the module's id is no plain segment of a path.
pub fn quarantine_key(module: &str, first: TimestampMs, batch: &BatchId) -> Result<String, QuarantineError> {
    let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
    if !(1..=64).contains(&module.len()) || !module.bytes().all(plain) {
        return Err(QuarantineError::Module(module.chars().take(80).collect()));
    }
    let (year, month, day) = EventDay::of(first).parts();
    Ok(format!("{PREFIX}{module}/{year:04}/{month:02}/{day:02}/{batch}.ndjson.zst"))
}

/// Makes the quarantine object of a batch; `None` when there is nothing to put in it. The same entries give the same
/// bytes.
///
/// # Errors
/// When the module's id is no plain segment of a path, or memory for the compressor is out.
pub fn quarantine_object(
    module: &str,
    first: TimestampMs,
    batch: &BatchId,
    entries: &[QuarantineEntry<'_>],
) -> Result<Option<QuarantineObject>, QuarantineError> {
    let key = quarantine_key(module, first, batch)?;
    if entries.is_empty() {
        return Ok(None);
    }
    let mut out = zstd::stream::write::Encoder::new(Vec::new(), ZSTD_LEVEL)?;
    // A cut object is found out on reading.
    out.include_checksum(true)?;
    for entry in entries {
        serde_json::to_writer(&mut out, entry)?;
        out.write_all(b"\n")?;
    }
    Ok(Some(QuarantineObject { key, bytes: Bytes::from(out.finish()?), entries: entries.len() as u64 }))
}

/// How much a reader takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuarantineLimits {
    /// Uncompressed bytes of the whole object.
    pub bytes: u64,
    /// Bytes of one line.
    pub line: usize,
}

impl Default for QuarantineLimits {
    /// 512 MiB, and 64 MiB a line. A batch is 8 MiB of events, and JSON writes a byte with at most six.
    fn default() -> Self {
        Self { bytes: 512 * 1024 * 1024, line: 64 * 1024 * 1024 }
    }
}

/// Why a quarantine object cannot be read further.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QuarantineReadError {
    /// The bytes are not zstd, or were cut or changed.
    #[error("after {entries} entries: cannot decompress ({source}); the object was cut or is none of quarantine's")]
    Compressed {
        /// Entries read before.
        entries: u64,
        /// What the decompressor said.
        source: std::io::Error,
    },
    /// Too large.
    #[error(
        "after {entries} entries: {what} has more than {limit} bytes; look at who wrote it before raising the limit"
    )]
    TooLarge {
        /// Entries read before.
        entries: u64,
        /// What is too large.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
    /// A line is no entry.
    #[error("line {line}, column {column}: not a quarantine entry; the object is none of quarantine's")]
    Entry {
        /// Line, from 1.
        line: u64,
        /// Byte of the line, from 1.
        column: usize,
    },
}

/// Reads a quarantine object entry by entry; nothing follows an error.
pub struct QuarantineReader<'b> {
    input: BufReader<std::io::Take<zstd::stream::read::Decoder<'static, &'b [u8]>>>,
    limits: QuarantineLimits,
    line: Vec<u8>,
    entries: u64,
    ended: bool,
}

impl std::fmt::Debug for QuarantineReader<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Not the lines: they are content of records.
        f.debug_struct("QuarantineReader")
            .field("entries", &self.entries)
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

impl<'b> QuarantineReader<'b> {
    /// A reader of an object's bytes.
    ///
    /// # Errors
    /// When memory for the decompressor is out.
    pub fn new(bytes: &'b [u8], limits: QuarantineLimits) -> Result<Self, QuarantineReadError> {
        let fail = |source| QuarantineReadError::Compressed { entries: 0, source };
        let mut decoder = zstd::stream::read::Decoder::with_buffer(bytes).map_err(fail)?;
        decoder.window_log_max(WINDOW_LOG_MAX).map_err(fail)?;
        // One byte more than allowed tells a full object from one that is too large.
        let input = BufReader::new(decoder.take(limits.bytes.saturating_add(1)));
        Ok(Self { input, limits, line: Vec::new(), entries: 0, ended: false })
    }

    fn read(&mut self) -> Result<Option<QuarantineEntry<'static>>, QuarantineReadError> {
        self.line.clear();
        let most = (self.limits.line as u64).saturating_add(1);
        let entries = self.entries;
        let read = (&mut self.input).take(most).read_until(b'\n', &mut self.line);
        read.map_err(|source| QuarantineReadError::Compressed { entries, source })?;
        if self.input.get_ref().limit() == 0 {
            return Err(QuarantineReadError::TooLarge { entries, what: "the object", limit: self.limits.bytes });
        }
        if self.line.is_empty() {
            return Ok(None);
        }
        if self.line.len() > self.limits.line {
            return Err(QuarantineReadError::TooLarge { entries, what: "a line", limit: self.limits.line as u64 });
        }
        let refuse =
            |error: serde_json::Error| QuarantineReadError::Entry { line: entries + 1, column: error.column() };
        let entry = serde_json::from_slice(&self.line).map_err(refuse)?;
        self.entries += 1;
        Ok(Some(entry))
    }
}

impl Iterator for QuarantineReader<'_> {
    type Item = Result<QuarantineEntry<'static>, QuarantineReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let next = self.read().transpose();
        self.ended = !matches!(next, Some(Ok(_)));
        next
    }
}
