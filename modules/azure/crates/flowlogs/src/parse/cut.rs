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
    scanner: Scanner,
    /// Whether the list of records has not begun.
    head: bool,
    /// Bytes of what has begun and has not ended.
    held: Vec<u8>,
}

impl Cutter {
    /// Of a whole blob: `{"records":[…]}`; also a bare list, and records without a list around them.
    pub fn blob() -> Self {
        Self { head: true, ..Self::fragment() }
    }

    /// Of the blocks after the head and before the tail: records with commas before, between or behind them.
    pub fn fragment() -> Self {
        Self { scanner: Scanner::new(MAX_RECORD), head: false, held: Vec::new() }
    }

    /// With another bound for a record's bytes. What is longer is handed out cut off at the bound.
    #[must_use]
    pub fn record_limit(mut self, most: usize) -> Self {
        self.scanner.most = most.max(16) as u64;
        self
    }

    /// Takes the next bytes and hands out each record that ends in them. What is no object and stands in the place of one is
    /// handed out as well, so that it can be quarantined.
    pub fn push(&mut self, piece: &[u8], record: &mut impl FnMut(&[u8])) {
        if !self.head {
            return self.scan(piece, record);
        }
        // The head is short: it is looked at as a whole.
        self.held.extend_from_slice(piece);
        let length = match head(&self.held) {
            Head::Unfinished => return,
            Head::Length(length) => length,
            Head::None => 0,
        };
        self.begin(length, record);
    }

    fn begin(&mut self, head: usize, record: &mut impl FnMut(&[u8])) {
        self.head = false;
        let held = std::mem::take(&mut self.held);
        self.scan(held.get(head..).unwrap_or_default(), record);
    }

    fn scan(&mut self, piece: &[u8], record: &mut impl FnMut(&[u8])) {
        let (held, base) = (&mut self.held, self.scanner.position);
        let within = |from: u64, to: u64| {
            let at = |offset: u64| usize::try_from(offset.saturating_sub(base)).unwrap_or(usize::MAX);
            piece.get(at(from)..at(to).min(piece.len())).unwrap_or_default()
        };
        self.scanner.scan(piece, &mut |found: Found| {
            if held.is_empty() {
                return record(within(found.start, found.end));
            }
            held.extend_from_slice(within(found.start, found.end));
            record(held);
            held.clear();
        });
        if let Some(start) = self.scanner.open() {
            held.extend_from_slice(within(start, self.scanner.position));
        }
    }

    /// Nothing follows: hands out what has begun and has no end.
    pub fn end(&mut self, record: &mut impl FnMut(&[u8])) {
        if self.head {
            self.begin(0, record);
        }
        self.scanner.end(&mut |_| record(&self.held));
        self.held = Vec::new();
        self.scanner.stand = Stand::End;
    }

    /// Bytes that are held.
    pub fn held(&self) -> usize {
        self.held.len()
    }
}

/// Finds where records begin and end in bytes that come in pieces, and keeps none of them: [`Cutter`] for who keeps them already.
/// It begins behind the list's head.
///
/// ```
/// use tributary_azure_flowlogs::Scanner;
///
/// let (mut scanner, mut found) = (Scanner::new(1_000), Vec::new());
/// for piece in [&b"{\"time\":1},{\"ti"[..], b"me\":2}"] {
///     scanner.scan(piece, &mut |record| found.push((record.start, record.end)));
/// }
/// assert_eq!(found, [(0, 10), (11, 21)]);
/// ```
#[derive(Debug, Clone)]
pub struct Scanner {
    stand: Stand,
    /// How many bytes were looked at.
    position: u64,
    /// Where what has begun has begun.
    start: u64,
    most: u64,
}

/// A record that was found. Offsets count from where the scanner began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// Where it begins.
    pub start: u64,
    /// Where it ends, or as much of it as is taken.
    pub end: u64,
    /// Whether that is all of it: not longer than the bound, and not without an end.
    pub whole: bool,
    /// Where the search for the next goes on.
    pub next: u64,
    /// What follows there.
    pub rest: Rest,
}

impl Found {
    /// Whether it is longer than the bound.
    pub fn is_cut_off(&self) -> bool {
        self.end < self.next
    }
}

/// Where a scanner stands when it stands between two records, so that another can go on there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Rest {
    /// The next record follows.
    #[default]
    Records,
    /// What is left of a record that is too long follows: it is `depth` deep in it, within a string or not, behind a backslash
    /// or not.
    Long {
        /// Objects that are open; 0 in what is no object.
        depth: u32,
        /// Whether a string is open.
        string: bool,
        /// Whether the next byte is escaped.
        escaped: bool,
    },
    /// The list has ended.
    End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stand {
    /// Between two records.
    Between,
    /// In an object: how deep, within a string or not, behind a backslash or not.
    Object { depth: u32, string: bool, escaped: bool },
    /// In something else that stands where a record should: within a string of it or not, behind a backslash or not.
    Other { string: bool, escaped: bool },
    /// In something that is too long: what is left of it is passed over. Its beginning was handed out.
    Long { depth: u32, string: bool, escaped: bool },
    /// Behind the list.
    End,
}

/// What a record begins with that Network Watcher writes behind others.
const NEXT: &[u8] = b",{\"time\"";

impl Scanner {
    /// A scanner for records of at most so many bytes.
    pub fn new(most: usize) -> Self {
        Self::from(Rest::Records, most)
    }

    /// A scanner that goes on where another stood.
    pub fn from(rest: Rest, most: usize) -> Self {
        let stand = match rest {
            Rest::Records => Stand::Between,
            Rest::Long { depth, string, escaped } => Stand::Long { depth, string, escaped },
            Rest::End => Stand::End,
        };
        Self { stand, position: 0, start: 0, most: most.max(16) as u64 }
    }

    /// How many bytes were looked at.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Where the record begins that has no end yet.
    pub fn open(&self) -> Option<u64> {
        matches!(self.stand, Stand::Object { .. } | Stand::Other { .. }).then_some(self.start)
    }

    /// Where it stands, for another to go on behind the last record.
    pub fn rest(&self) -> Rest {
        match self.stand {
            Stand::Between | Stand::Object { .. } | Stand::Other { .. } => Rest::Records,
            Stand::Long { depth, string, escaped } => Rest::Long { depth, string, escaped },
            Stand::End => Rest::End,
        }
    }

    /// Looks at the next bytes and tells each record that ends in them, or is too long. What is no object and stands in the place of
    /// one is told as well.
    pub fn scan(&mut self, piece: &[u8], found: &mut impl FnMut(Found)) {
        let base = self.position;
        let mut at = 0;
        while let Some(&byte) = piece.get(at) {
            match self.stand {
                Stand::End => break,
                Stand::Between => {
                    self.start = base + at as u64;
                    match byte {
                        b' ' | b'\t' | b'\r' | b'\n' | b',' => at += 1,
                        b']' => self.stand = Stand::End,
                        b'{' => self.stand = Stand::Object { depth: 0, string: false, escaped: false },
                        _ => self.stand = Stand::Other { string: false, escaped: false },
                    }
                }
                Stand::Object { depth, string, escaped } => {
                    let (end, inside) = object_end(piece, at, depth, string, escaped);
                    at = end;
                    self.stand = match inside {
                        None => Stand::Between,
                        Some((depth, string, escaped)) => Stand::Object { depth, string, escaped },
                    };
                    self.position = base + at as u64;
                    self.tell(found);
                }
                Stand::Long { depth, string, escaped } if depth > 0 => {
                    let (end, inside) = object_end(piece, at, depth, string, escaped);
                    at = end;
                    self.stand = match inside {
                        None => Stand::Between,
                        Some((depth, string, escaped)) => Stand::Long { depth, string, escaped },
                    };
                }
                Stand::Other { string, escaped } | Stand::Long { string, escaped, .. } => {
                    let (end, inside) = other_end(piece, at, string, escaped);
                    at = end;
                    self.position = base + at as u64;
                    match (self.stand, inside) {
                        (Stand::Other { .. }, Some((string, escaped))) => self.stand = Stand::Other { string, escaped },
                        (_, Some((string, escaped))) => self.stand = Stand::Long { depth: 0, string, escaped },
                        (stand, None) => {
                            self.stand = Stand::Between;
                            if matches!(stand, Stand::Long { .. }) {
                                continue;
                            }
                        }
                    }
                    self.tell(found);
                }
            }
        }
        self.position = base + piece.len() as u64;
    }

    /// Tells what has just ended, or has become too long.
    fn tell(&mut self, found: &mut impl FnMut(Found)) {
        let length = self.position.saturating_sub(self.start);
        let long = length > self.most;
        self.stand = match self.stand {
            Stand::Between => Stand::Between,
            Stand::Object { depth, string, escaped } if long => Stand::Long { depth, string, escaped },
            Stand::Other { string, escaped } if long => Stand::Long { depth: 0, string, escaped },
            _ => return,
        };
        let (start, next) = (self.start, self.position);
        let end = start.saturating_add(length.min(self.most));
        found(Found { start, end, whole: !long, next, rest: self.rest() });
    }

    /// A block of the blob ends here, and the next begins with `next`. Writers commit whole records: where a record seems to go
    /// on and the next block begins as only a record does, it has no end, and the next record is none of its own.
    pub fn block(&mut self, next: &[u8], found: &mut impl FnMut(Found)) {
        if next.starts_with(NEXT) {
            self.end(found);
        }
    }

    /// How many bytes of the next block [`block`](Self::block) wants to see.
    pub const fn sight() -> usize {
        NEXT.len()
    }

    /// Nothing follows that belongs to what has begun: tells it as it is.
    pub fn end(&mut self, found: &mut impl FnMut(Found)) {
        if self.open().is_some() {
            let (start, next) = (self.start, self.position);
            found(Found { start, end: next, whole: false, next, rest: Rest::Records });
        }
        if self.stand != Stand::End {
            self.stand = Stand::Between;
        }
    }
}

/// Goes on in what is no object from `at`. Where it stops: before what ends it (`None`), or at the end of the piece.
fn other_end(piece: &[u8], mut at: usize, mut string: bool, mut escaped: bool) -> (usize, Option<(bool, bool)>) {
    while let Some(&byte) = piece.get(at) {
        if !string && matches!(byte, b',' | b'{' | b']') {
            return (at, None);
        }
        let quote = byte == b'"' && !escaped;
        (string, escaped) = (string ^ quote, byte == b'\\' && string && !escaped);
        at += 1;
    }
    (at, Some((string, escaped)))
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

/// What a blob begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Head {
    /// So many bytes stand before the first record.
    Length(usize),
    /// It may become one.
    Unfinished,
    /// There is none.
    None,
}

/// Most bytes that are looked at for a head.
const MAX_HEAD: usize = 4_096;

/// The head of the list of records that a blob begins with: `{"records":[` or `[`, however spaced.
pub fn head(bytes: &[u8]) -> Head {
    match known_head(bytes) {
        Head::Unfinished if bytes.len() >= MAX_HEAD => Head::None,
        found => found,
    }
}

fn known_head(bytes: &[u8]) -> Head {
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
    fn another_scanner_goes_on_where_one_stood() {
        let text =
            b"{\"a\":\"}\\\"{\"},\"\\\\,{junk junk\",{\"b\":{\"c\":[{}]}},junk junk junk junk,{\"d\":1}],{\"e\":1}";
        let whole = |most: usize| {
            let (mut scanner, mut found) = (Scanner::new(most), Vec::new());
            scanner.scan(text, &mut |record| found.push((record.start, record.end, record.whole)));
            (found, scanner.rest())
        };
        assert_eq!(whole(1_000).0.len(), 5);
        for most in [16, 17, 20, 1_000] {
            for at in 0..=text.len() {
                let (mut first, mut found) = (Scanner::new(most), Vec::new());
                first.scan(&text[..at], &mut |record| found.push((record.start, record.end, record.whole)));
                let from = first.open().unwrap_or(first.position());
                let mut second = Scanner::from(first.rest(), most);
                let rest = &text[usize::try_from(from).unwrap()..];
                second.scan(rest, &mut |record| found.push((from + record.start, from + record.end, record.whole)));
                assert_eq!((found, second.rest()), whole(most), "{most} {at}");
            }
        }
    }

    #[test]
    fn a_record_without_end_ends_where_the_next_block_begins_with_a_record() {
        let blocks: [&[u8]; 5] = [
            b"{\"time\":1,\"a\":[{",
            b",{\"time\":2}",
            b",{\"time\":3,\"a\":[{\"rule\":1}",
            b",{\"rule\":2}]}",
            b",{\"time\":4,\"x\":\"",
        ];
        let (mut scanner, mut found) = (Scanner::new(100), Vec::new());
        let all = blocks.concat();
        for block in blocks {
            scanner.block(block, &mut |record| found.push(record));
            scanner.scan(block, &mut |record| found.push(record));
        }
        scanner.end(&mut |record| found.push(record));
        let texts: Vec<String> = found
            .iter()
            .map(|record| String::from_utf8_lossy(&all[record.start as usize..record.end as usize]).into_owned())
            .collect();
        let expected = [
            "{\"time\":1,\"a\":[{",
            "{\"time\":2}",
            "{\"time\":3,\"a\":[{\"rule\":1},{\"rule\":2}]}",
            "{\"time\":4,\"x\":\"",
        ];
        assert_eq!(texts, expected);
        assert_eq!(found.iter().map(|record| record.whole).collect::<Vec<_>>(), [false, true, true, false]);
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
