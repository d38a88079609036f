//! Where records begin and end in bytes that come in pieces.

/// Longest record in bytes. A minute of a very busy interface has tens of megabytes.
pub const MAX_RECORD: usize = 64 << 20;

/// Cuts a blob, or a fragment of one, into its records, whatever pieces it comes in. Memory is bounded by the longest record.
///
/// ```
/// use tributary_azure_flowlogs::Cutter;
///
/// let mut records = Vec::new();
/// let mut cutter = Cutter::fragment();
/// for piece in [&b",{\"time\":1},{\"ti"[..], b"me\":2}"] {
///     cutter.push(piece, &mut |record: &[u8]| records.push(record.to_vec()));
/// }
/// cutter.end(&mut |record: &[u8]| records.push(record.to_vec()));
/// assert_eq!(records, [b"{\"time\":1}", b"{\"time\":2}"]);
/// ```
#[derive(Debug)]
pub struct Cutter {
    at: Stand,
    /// Bytes of what has begun and has not ended.
    held: Vec<u8>,
    most: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stand {
    /// Before the list of records.
    Head,
    /// Between two records.
    Between,
    /// In an object: how deep, within a string or not, behind a backslash or not.
    Object { depth: u32, string: bool, escaped: bool },
    /// In something else that stands where a record should: within a string of it or not, behind a backslash or not.
    Other { string: bool, escaped: bool },
    /// In an object that is too long: what is left of it is dropped. Its beginning was handed out.
    Long { depth: u32, string: bool, escaped: bool },
    /// Behind the list.
    End,
}

impl Cutter {
    /// Of a whole blob: `{"records":[…]}`; also a bare list, and records without a list around them.
    pub fn blob() -> Self {
        Self { at: Stand::Head, held: Vec::new(), most: MAX_RECORD }
    }

    /// Of the blocks after the head and before the tail: records with commas before, between or behind them.
    pub fn fragment() -> Self {
        Self { at: Stand::Between, ..Self::blob() }
    }

    /// With another bound for a record's bytes. What is longer is handed out cut off at the bound.
    #[must_use]
    pub fn record_limit(mut self, most: usize) -> Self {
        self.most = most.max(16);
        self
    }

    /// Takes the next bytes and hands out each record that ends in them. What is no object and stands in the place of one is
    /// handed out as well, so that it can be quarantined.
    pub fn push(&mut self, piece: &[u8], record: &mut impl FnMut(&[u8])) {
        let mut at = 0;
        // Where in this piece what is held goes on.
        let mut start = 0;
        if self.at == Stand::Head {
            // The head is short: it is looked at as a whole.
            self.held.extend_from_slice(piece);
            match head(&self.held) {
                Head::Unfinished if self.held.len() < 4_096 => return,
                Head::Length(length) => {
                    let held = std::mem::take(&mut self.held);
                    self.at = Stand::Between;
                    return self.push(held.get(length..).unwrap_or_default(), record);
                }
                Head::None | Head::Unfinished => {
                    let held = std::mem::take(&mut self.held);
                    self.at = Stand::Between;
                    return self.push(&held, record);
                }
            }
        }
        while let Some(&byte) = piece.get(at) {
            match self.at {
                Stand::Head | Stand::End => return,
                Stand::Between => {
                    start = at;
                    match byte {
                        b' ' | b'\t' | b'\r' | b'\n' | b',' => at += 1,
                        b']' => self.at = Stand::End,
                        b'{' => self.at = Stand::Object { depth: 0, string: false, escaped: false },
                        _ => self.at = Stand::Other { string: false, escaped: false },
                    }
                }
                Stand::Object { depth, string, escaped } => {
                    let (end, stand) = object_end(piece, at, depth, string, escaped);
                    at = end;
                    match stand {
                        None => {
                            self.hand(piece, start..at, record);
                            self.at = Stand::Between;
                            start = at;
                        }
                        Some((depth, string, escaped)) => {
                            self.at = Stand::Object { depth, string, escaped };
                            if self.held.len() + (at - start) > self.most {
                                self.hand(piece, start..at, record);
                                self.at = Stand::Long { depth, string, escaped };
                            }
                        }
                    }
                }
                Stand::Long { depth, string, escaped } => {
                    let (end, stand) = object_end(piece, at, depth, string, escaped);
                    at = end;
                    self.at = match stand {
                        None => Stand::Between,
                        Some((depth, string, escaped)) => Stand::Long { depth, string, escaped },
                    };
                    start = at;
                }
                Stand::Other { string, escaped } => match byte {
                    b',' | b'{' | b']' if !string => {
                        self.hand(piece, start..at, record);
                        self.at = Stand::Between;
                    }
                    _ => {
                        let quote = byte == b'"' && !escaped;
                        self.at = Stand::Other { string: string ^ quote, escaped: byte == b'\\' && string && !escaped };
                        at += 1;
                    }
                },
            }
        }
        let rest = piece.get(start..).unwrap_or_default();
        match self.at {
            Stand::Object { .. } => self.held.extend_from_slice(rest),
            // Nobody needs more of it than that.
            Stand::Other { .. } => {
                let room = self.most.saturating_sub(self.held.len());
                self.held.extend_from_slice(rest.get(..rest.len().min(room)).unwrap_or_default());
            }
            _ => {}
        }
    }

    /// Nothing follows: hands out what has begun and has no end.
    pub fn end(&mut self, record: &mut impl FnMut(&[u8])) {
        if self.at == Stand::Head && !self.held.is_empty() {
            let held = std::mem::take(&mut self.held);
            self.at = Stand::Between;
            self.push(&held, record);
        }
        if !self.held.is_empty() {
            record(&self.held);
        }
        self.held = Vec::new();
        self.at = Stand::End;
    }

    /// Bytes that are held.
    pub fn held(&self) -> usize {
        self.held.len()
    }

    fn hand(&mut self, piece: &[u8], range: std::ops::Range<usize>, record: &mut impl FnMut(&[u8])) {
        let last = piece.get(range).unwrap_or_default();
        if self.held.is_empty() {
            record(last.get(..last.len().min(self.most)).unwrap_or_default());
        } else {
            let room = self.most.saturating_sub(self.held.len());
            self.held.extend_from_slice(last.get(..last.len().min(room)).unwrap_or_default());
            record(&self.held);
            self.held.clear();
        }
    }
}

/// Goes on in an object from `at`. Where it stops: behind the object (`None`), or at the end of the piece.
fn object_end(
    piece: &[u8],
    mut at: usize,
    mut depth: u32,
    mut string: bool,
    mut escaped: bool,
) -> (usize, Option<(u32, bool, bool)>) {
    if escaped && at < piece.len() {
        (at, escaped) = (at + 1, false);
    }
    loop {
        let rest = piece.get(at..).unwrap_or_default();
        let found = if string { memchr::memchr2(b'"', b'\\', rest) } else { memchr::memchr3(b'"', b'{', b'}', rest) };
        let Some(found) = found else { return (piece.len(), Some((depth, string, escaped))) };
        at += found + 1;
        match piece.get(at - 1) {
            Some(b'"') => string = !string,
            Some(b'\\') if at == piece.len() => escaped = true,
            Some(b'\\') => at += 1,
            Some(b'{') => depth = depth.saturating_add(1),
            _ => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return (at, None);
                }
            }
        }
    }
}

enum Head {
    /// So many bytes stand before the first record.
    Length(usize),
    /// It may become one.
    Unfinished,
    /// There is none.
    None,
}

/// `{"records":[` or `[`, however spaced.
fn head(bytes: &[u8]) -> Head {
    let mut at = 0;
    let blanks = |at: &mut usize| {
        while bytes.get(*at).is_some_and(u8::is_ascii_whitespace) {
            *at += 1;
        }
    };
    let mark = b"\xEF\xBB\xBF";
    if bytes.starts_with(mark) {
        at = 3;
    } else if mark.starts_with(bytes) {
        return Head::Unfinished;
    }
    blanks(&mut at);
    if bytes.get(at) == Some(&b'[') {
        return Head::Length(at + 1);
    }
    for token in [&b"{"[..], b"\"records\"", b":", b"["] {
        blanks(&mut at);
        let rest = bytes.get(at..).unwrap_or_default();
        let seen = rest.get(..rest.len().min(token.len())).unwrap_or_default();
        if !token.starts_with(seen) {
            return Head::None;
        }
        if seen.len() < token.len() {
            return Head::Unfinished;
        }
        at += token.len();
    }
    Head::Length(at)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    fn cut(mut cutter: Cutter, pieces: &[&[u8]]) -> Vec<String> {
        let mut records = Vec::new();
        let mut take = |record: &[u8]| records.push(String::from_utf8_lossy(record).into_owned());
        pieces.iter().for_each(|piece| cutter.push(piece, &mut take));
        cutter.end(&mut take);
        assert_eq!(cutter.held(), 0);
        records
    }

    const BLOB: &[u8] = b"\xEF\xBB\xBF{ \"records\" : [{\"a\":\"}]\\\"{\"} ,\n junk,{\"b\":[{}]},\"x\\\\,y\",12 ] , \"later\": {\"c\":1}}";

    #[test]
    fn a_blob_cut_anywhere_gives_the_same_records() {
        let whole = cut(Cutter::blob(), &[BLOB]);
        assert_eq!(whole, ["{\"a\":\"}]\\\"{\"}", "junk", "{\"b\":[{}]}", "\"x\\\\,y\"", "12 "]);
        for first in 0..=BLOB.len() {
            for second in first..=BLOB.len() {
                let pieces = [&BLOB[..first], &BLOB[first..second], &BLOB[second..]];
                assert_eq!(cut(Cutter::blob(), &pieces), whole, "{first} {second}");
            }
        }
        let bytes: Vec<&[u8]> = BLOB.chunks(1).collect();
        assert_eq!(cut(Cutter::blob(), &bytes), whole);
    }

    #[test]
    fn fragments_bare_lists_and_single_records() {
        assert_eq!(cut(Cutter::fragment(), &[b",{\"a\":1},{\"b\":2}"]), ["{\"a\":1}", "{\"b\":2}"]);
        assert_eq!(cut(Cutter::fragment(), &[b"{\"a\":1}]}"]), ["{\"a\":1}"]);
        assert_eq!(cut(Cutter::blob(), &[b"[{\"a\":1}]"]), ["{\"a\":1}"]);
        assert_eq!(cut(Cutter::blob(), &[b"{\"a\":1}\n{\"b\":2}\n"]), ["{\"a\":1}", "{\"b\":2}"]);
        assert_eq!(cut(Cutter::blob(), &[b"{\"record"]), ["{\"record"]);
        assert_eq!(cut(Cutter::blob(), &[]), Vec::<String>::new());
        assert_eq!(cut(Cutter::fragment(), &[b",{\"a\":"]), ["{\"a\":"]);
    }

    #[test]
    fn a_record_without_end_takes_no_more_memory_than_the_bound() {
        let long = format!("[{{\"a\":\"{}\"}},{{\"b\":1}}]", "x".repeat(1_000));
        for size in [1, 7, 64, 5_000] {
            let mut cutter = Cutter::blob().record_limit(100);
            let (mut records, mut most) = (Vec::new(), 0);
            for piece in long.as_bytes().chunks(size) {
                cutter.push(piece, &mut |record: &[u8]| records.push(record.to_vec()));
                most = most.max(cutter.held());
            }
            cutter.end(&mut |record: &[u8]| records.push(record.to_vec()));
            assert!(most <= 100, "{most}");
            assert_eq!(records.len(), 2, "{size}");
            assert!(records[0].len() <= 100 && long.as_bytes()[1..].starts_with(&records[0]));
            assert_eq!(records[1], b"{\"b\":1}");
        }
    }
}
