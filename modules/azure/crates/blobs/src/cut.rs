//! Where records begin and end in the bytes of a blob.

use std::borrow::Cow;

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use serde::Deserialize;

/// A record's bytes within the piece that was cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// `time` in milliseconds since 1970-01-01T00:00:00Z; 0 where there is none.
    pub(crate) time: i64,
    /// `macAddress`, upper case; empty where there is none.
    pub(crate) mac: String,
}

/// What was found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Cut {
    pub(crate) pieces: Vec<Piece>,
    /// How many bytes are done with: what follows is part of a record whose end is not here.
    pub(crate) consumed: usize,
}

/// A blob that does not begin as a list of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoRecords;

/// Cuts `bytes`, which begin where the blob does (`head`) or behind a record, and end where its data does (`last`) or
/// anywhere. At most about `most` bytes of records are cut, but one record at least. Something that is no record is cut as
/// one, so that it is quarantined alone.
pub(crate) fn cut(bytes: &[u8], head: bool, last: bool, most: usize) -> Result<Cut, NoRecords> {
    let mut cut = Cut::default();
    let mut at = 0;
    if head {
        match head_length(bytes) {
            Some(length) => at = length,
            None if !last && bytes.len() < 256 => return Ok(cut),
            None => return Err(NoRecords),
        }
        cut.consumed = at;
    }
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' | b',' => {
                at += 1;
                cut.consumed = at;
                continue;
            }
            // The end of the list, in a blob that was put whole: nothing behind it is a record. It stays until all of that is
            // there, or what follows would be read as if it stood in the list.
            b']' => {
                if last {
                    cut.consumed = bytes.len();
                }
                break;
            }
            _ => {}
        }
        if at >= most && !cut.pieces.is_empty() {
            break;
        }
        let rest = bytes.get(at..).unwrap_or_default();
        let length = if byte == b'{' {
            object_length(rest)
        } else {
            rest.iter().position(|byte| matches!(byte, b',' | b'{' | b']'))
        };
        let length = match length {
            Some(length) => length,
            None if last => rest.len(),
            None => break,
        };
        let end = at + length;
        let (time, mac) = key(bytes.get(at..end).unwrap_or_default());
        cut.pieces.push(Piece { start: at, end, time, mac });
        at = end;
        cut.consumed = at;
    }
    Ok(cut)
}

/// The length of `{"records":[`, however it is spaced.
fn head_length(bytes: &[u8]) -> Option<usize> {
    let mut at = if bytes.starts_with(b"\xEF\xBB\xBF") { 3 } else { 0 };
    for token in [b"{".as_slice(), b"\"records\"", b":", b"["] {
        while bytes.get(at).is_some_and(u8::is_ascii_whitespace) {
            at += 1;
        }
        bytes.get(at..)?.starts_with(token).then_some(())?;
        at += token.len();
    }
    Some(at)
}

/// The length of the object that `bytes` begin with, if its end is there.
fn object_length(bytes: &[u8]) -> Option<usize> {
    let mut depth = 0_u32;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'{' => depth += 1,
            b'}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            b'"' => at += string_length(bytes.get(at + 1..)?)?,
            _ => {}
        }
        at += 1;
    }
    None
}

/// How many bytes up to and with the quote that ends a string.
fn string_length(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += memchr::memchr2(b'"', b'\\', bytes.get(at..)?)?;
        match bytes.get(at) {
            Some(b'"') => return Some(at + 1),
            // The backslash and what it escapes.
            _ => at += 2,
        }
    }
}

#[derive(Deserialize)]
struct Named<'r> {
    #[serde(borrow, default)]
    time: Option<Cow<'r, str>>,
    #[serde(borrow, default, rename = "macAddress")]
    mac: Option<Cow<'r, str>>,
}

/// What names a record, but for its ordinal. What cannot be read has no name of its own: its ordinal tells it apart.
fn key(record: &[u8]) -> (i64, String) {
    let Ok(named) = serde_json::from_slice::<Named<'_>>(record) else { return (0, String::new()) };
    let time = named
        .time
        .and_then(|time| DateTime::from_str(&time, Format::DateTimeWithOffset).ok()?.to_millis().ok())
        .unwrap_or(0);
    let mac = named.mac.filter(|mac| {
        mac.len() <= 32 && mac.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b':')
    });
    (time, mac.map(|mac| mac.to_ascii_uppercase()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    fn texts(bytes: &[u8], head: bool, last: bool) -> (Vec<String>, usize) {
        let cut = cut(bytes, head, last, usize::MAX).unwrap();
        let text = |piece: &Piece| String::from_utf8_lossy(&bytes[piece.start..piece.end]).into_owned();
        (cut.pieces.iter().map(text).collect(), cut.consumed)
    }

    #[test]
    fn records_of_a_blob_wherever_it_is_cut() {
        let whole = br#"{ "records" : [{"time":"2026-01-01T00:00:00Z","macAddress":"00aA","x":"}\"]{"} ,
            {"a":{"b":[{}]}},junk,{"c":1}]}"#;
        let (records, consumed) = texts(whole, true, true);
        assert_eq!(records.len(), 4, "{records:?}");
        assert_eq!(consumed, whole.len());
        for split in 0..whole.len() {
            let (mut first, consumed) = texts(&whole[..split], true, false);
            let (second, _) = texts(&whole[consumed..], consumed == 0, true);
            first.extend(second);
            assert_eq!(first.concat(), records.concat(), "{split}");
        }
        let named = cut(whole, true, true, usize::MAX).unwrap().pieces;
        assert_eq!((named[0].time, named[0].mac.as_str()), (1_767_225_600_000, "00AA"));
        assert_eq!((named[2].time, named[2].mac.as_str()), (0, ""));
    }

    #[test]
    fn what_is_cut_off_at_the_end_is_a_record_alone() {
        assert_eq!(texts(br#",{"a":1},{"b":"#, false, true).0, [r#"{"a":1}"#, r#"{"b":"#]);
        assert_eq!(texts(br#",{"a":1},{"b":"#, false, false), (vec![r#"{"a":1}"#.to_owned()], 9));
    }

    #[test]
    fn other_documents_are_no_records() {
        for text in ["{}", "[]", "\"x\"", "{\"record\":[", ""] {
            assert_eq!(cut(text.as_bytes(), true, true, 1), Err(NoRecords), "{text}");
        }
    }
}
