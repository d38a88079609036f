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
/// What every name in quarantine ends with.
const SUFFIX: &str = ".ndjson.zst";
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
    if !is_module(module) {
        return Err(QuarantineError::Module(module.chars().take(80).collect()));
    }
    let (year, month, day) = EventDay::of(first).parts();
    Ok(format!("{PREFIX}{module}/{year:04}/{month:02}/{day:02}/{batch}{SUFFIX}"))
}

/// The same for the key of an object that lies beside another one: the day and the module are that one's.
///
/// # Errors
/// When memory for the compressor is out.
pub fn quarantine_object_at(
    key: &QuarantineKey,
    entries: &[QuarantineEntry<'_>],
) -> Result<Option<QuarantineObject>, QuarantineError> {
    if entries.is_empty() {
        return Ok(None);
    }
    Ok(Some(QuarantineObject { key: key.to_string(), bytes: compress(entries)?, entries: entries.len() as u64 }))
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
    Ok(Some(QuarantineObject { key, bytes: compress(entries)?, entries: entries.len() as u64 }))
}

/// The content of an object of these entries.
pub(crate) fn compress(entries: &[QuarantineEntry<'_>]) -> Result<Bytes, QuarantineError> {
    let mut out = zstd::stream::write::Encoder::new(Vec::new(), ZSTD_LEVEL)?;
    // A cut object is found out on reading.
    out.include_checksum(true)?;
    for entry in entries {
        serde_json::to_writer(&mut out, entry)?;
        out.write_all(b"\n")?;
    }
    Ok(Bytes::from(out.finish()?))
}

/// The parts of a quarantine object's key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct QuarantineKey {
    /// The module's id.
    pub module: String,
    /// `YYYY/MM/DD`: the day on which the hub accepted the batch's first event.
    pub day: String,
    /// The batch.
    pub batch: BatchId,
}

impl QuarantineKey {
    /// Reads a key; `None` for another object's.
    pub fn parse(key: &str) -> Option<Self> {
        let rest = key.strip_prefix(PREFIX)?;
        let (folder, name) = rest.rsplit_once('/')?;
        let (module, day) = folder.split_once('/')?;
        let batch = BatchId::parse(name.strip_suffix(SUFFIX)?).ok()?;
        let digits = |part: &str, count| part.len() == count && part.bytes().all(|byte| byte.is_ascii_digit());
        let mut parts = day.split('/');
        let dated = [4, 2, 2].iter().all(|count| parts.next().is_some_and(|part| digits(part, *count)));
        let found = Self { module: module.to_owned(), day: day.to_owned(), batch };
        (dated && parts.next().is_none() && is_module(module)).then_some(found)
    }

    /// The key of another batch's object in the same folder.
    #[must_use]
    pub fn of_batch(&self, batch: BatchId) -> Self {
        Self { batch, ..self.clone() }
    }
}

impl std::fmt::Display for QuarantineKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { module, day, batch } = self;
        write!(f, "{PREFIX}{module}/{day}/{batch}{SUFFIX}")
    }
}

fn is_module(module: &str) -> bool {
    let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
    (1..=64).contains(&module.len()) && module.bytes().all(plain)
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
    /// When there are no bytes at all, or memory for the decompressor is out.
    pub fn new(bytes: &'b [u8], limits: QuarantineLimits) -> Result<Self, QuarantineReadError> {
        let fail = |source| QuarantineReadError::Compressed { entries: 0, source };
        if bytes.is_empty() {
            return Err(fail(std::io::ErrorKind::UnexpectedEof.into()));
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: i64 = 1_767_268_800_000; // 2026-01-01T12:00:00Z

    fn entry(raw: &str) -> QuarantineEntry<'_> {
        QuarantineEntry {
            reason: "unknown-kind".into(),
            detail: "no mapping claims it".into(),
            kind: None,
            position: serde_json::json!({"partition": "3", "sequenceNumber": 17, "record": 0}),
            mappings: "digest".into(),
            received_at: received_at(NOON).into(),
            raw: raw.into(),
        }
    }

    fn object(entries: &[QuarantineEntry<'_>]) -> QuarantineObject {
        quarantine_object("example-1", NOON, &BatchId::for_content(b"x"), entries).unwrap().unwrap()
    }

    fn read(bytes: &[u8], limits: QuarantineLimits) -> Result<Vec<QuarantineEntry<'static>>, QuarantineReadError> {
        QuarantineReader::new(bytes, limits)?.collect()
    }

    #[test]
    fn entries_come_back_as_they_were_whatever_is_in_them() {
        let raws = ["{\"a\":1}", "not json\nat all\r\n", "\u{0}\u{1f}\"\\", "東京\u{1F30A}", ""];
        let entries: Vec<_> = raws.iter().map(|raw| entry(raw)).collect();
        let object = object(&entries);
        assert_eq!(object.entries, 5);
        assert_eq!(read(&object.bytes, QuarantineLimits::default()).unwrap(), entries);
    }

    #[test]
    fn key_and_line_have_the_contract_form() {
        let made = object(&[entry("{}")]);
        assert_eq!(made.key, format!("quarantine/example-1/2026/01/01/{}.ndjson.zst", BatchId::for_content(b"x")));
        let mut text = String::new();
        zstd::stream::read::Decoder::new(&made.bytes[..]).unwrap().read_to_string(&mut text).unwrap();
        let expected = concat!(
            r#"{"reason":"unknown-kind","detail":"no mapping claims it","kind":null,"#,
            r#""position":{"partition":"3","record":0,"sequenceNumber":17},"mappings":"digest","#,
            r#""receivedAt":"2026-01-01T12:00:00.000Z","raw":"{}"}"#,
            "\n"
        );
        assert_eq!(text, expected);
        assert_eq!(object(&[entry("{}")]), made, "a retry makes the same object");
        let batch = BatchId::for_content(b"x");
        assert_eq!(quarantine_object("example-1", NOON, &batch, &[]).unwrap(), None);
        for module in ["", "..", "a/b", "A", &"a".repeat(65)] {
            assert!(matches!(quarantine_key(module, NOON, &batch), Err(QuarantineError::Module(_))), "{module:?}");
        }
    }

    #[test]
    fn a_key_is_read_as_it_is_written_and_another_objects_is_none() {
        let batch = BatchId::for_content(b"x");
        let text = quarantine_key("example-1", NOON, &batch).unwrap();
        let key = QuarantineKey::parse(&text).unwrap();
        assert_eq!((key.to_string(), key.day.as_str()), (text.clone(), "2026/01/01"));
        let next = key.of_batch(batch.next_redrive());
        assert_eq!(next.to_string(), text.replace(".ndjson", "-q1.ndjson"));
        let entries = [entry("{}")];
        let beside = quarantine_object_at(&next, &entries).unwrap().unwrap();
        assert_eq!((beside.key, beside.bytes), (next.to_string(), object(&entries).bytes));
        for other in [
            "",
            "quarantine/",
            "quarantine/example-1/x.ndjson.zst",
            "quarantine/example-1/2026/01/x.ndjson.zst",
            "quarantine/example-1/2026/01/01/02/x.ndjson.zst",
            "quarantine/A/2026/01/01/x.ndjson.zst",
            "quarantine/example-1/2026/01/0a/x.ndjson.zst",
            "quarantine/example-1/2026/01/01/X.ndjson.zst",
            "quarantine/example-1/2026/01/01/x.parquet",
            "retired/example-1/2026/01/01/x.ndjson.zst",
        ] {
            assert_eq!(QuarantineKey::parse(other), None, "{other}");
        }
    }

    #[test]
    fn what_is_cut_or_foreign_is_told_from_an_end() {
        let raws: Vec<String> = (0..500).map(|index| format!("{{\"n\":{}}}", index * 7_919 % 1_000)).collect();
        let entries: Vec<_> = raws.iter().map(|raw| entry(raw)).collect();
        let whole = object(&entries).bytes;
        for end in [0, 1, whole.len() / 2, whole.len() - 1] {
            let cut = read(&whole[..end], QuarantineLimits::default());
            assert!(matches!(cut, Err(QuarantineReadError::Compressed { .. })), "{end}: {cut:?}");
        }
        let foreign = zstd::stream::encode_all(&b"{\"reason\":1}\n"[..], 3).unwrap();
        let error = read(&foreign, QuarantineLimits::default()).unwrap_err();
        assert!(matches!(error, QuarantineReadError::Entry { line: 1, .. }), "{error}");
        assert!(matches!(read(b"plain", QuarantineLimits::default()), Err(QuarantineReadError::Compressed { .. })));
    }

    #[test]
    fn a_small_object_cannot_take_all_memory() {
        let bomb = zstd::stream::encode_all(std::io::repeat(b' ').take(64 << 20), 19).unwrap();
        assert!(bomb.len() < 64 * 1024);
        let limits = QuarantineLimits { bytes: 8 << 20, line: 1 << 20 };
        let error = read(&bomb, limits).unwrap_err();
        assert!(matches!(error, QuarantineReadError::TooLarge { what: "a line", .. }), "{error}");
        let entries: Vec<_> = (0..20_000).map(|_| entry("{}")).collect();
        let many = object(&entries);
        let error = read(&many.bytes, QuarantineLimits { bytes: 1 << 20, line: 1 << 20 }).unwrap_err();
        assert!(matches!(error, QuarantineReadError::TooLarge { what: "the object", .. }), "{error}");
    }

    #[test]
    fn an_object_exactly_as_large_as_allowed_is_read() {
        let entries = vec![entry("{}"); 3];
        let size: usize = entries.iter().map(|entry| serde_json::to_vec(entry).unwrap().len() + 1).sum();
        let bytes = object(&entries).bytes;
        let limits = |bytes: usize| QuarantineLimits { bytes: bytes as u64, line: size };
        assert_eq!(read(&bytes, limits(size)).unwrap().len(), 3);
        assert!(matches!(read(&bytes, limits(size - 1)), Err(QuarantineReadError::TooLarge { .. })));
    }
}
