//! Bytes of a blob that were fetched, and the records in them.

use tributary_azure_flowlogs::{Found, Head, Rest, Scanner, head, record_name};

use crate::blocks::{Block, common};

/// A record's bytes within those that were looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// Whether it is longer than that.
    pub(crate) cut_off: bool,
    pub(crate) time: i64,
    pub(crate) mac: String,
}

/// What was found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Cut {
    pub(crate) pieces: Vec<Piece>,
    /// How many bytes are done with.
    pub(crate) consumed: usize,
    /// What follows them.
    pub(crate) rest: Rest,
}

/// A blob that does not begin as a list of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoRecords;

/// Bytes of a blob that were fetched and not yet consumed.
#[derive(Debug, Default)]
pub(crate) struct Held {
    /// Where they begin.
    pub(crate) from: u64,
    pub(crate) bytes: Vec<u8>,
    /// The blocks that they were fetched from.
    pub(crate) blocks: Vec<Block>,
}

impl Held {
    /// What there is from `at` on, if the blob still has the blocks that it is from.
    pub(crate) fn keep(&mut self, at: u64, blocks: &[Block]) {
        let end = self.end();
        let useful = (self.from..=end).contains(&at) && common(&self.blocks, blocks) >= end;
        let skip = if useful { usize::try_from(at - self.from).unwrap_or(usize::MAX) } else { self.bytes.len() };
        self.bytes.drain(..skip.min(self.bytes.len()));
        self.from = at;
        self.blocks = blocks.to_vec();
    }

    /// Where they end.
    pub(crate) fn end(&self) -> u64 {
        self.from.saturating_add(self.bytes.len() as u64)
    }

    /// All records of the first `length` bytes, behind which nothing belongs to them.
    pub(crate) fn cut(&self, length: usize, rest: Rest, longest: usize) -> Result<Cut, NoRecords> {
        let bytes = self.bytes.get(..length).unwrap_or(&self.bytes);
        let mut search = Search::new(rest, longest);
        search.go_on(self.from, bytes, &self.blocks, true)?;
        Ok(search.cut(bytes, usize::MAX, true))
    }
}

/// A search for records in bytes that grow.
#[derive(Debug)]
pub(crate) struct Search {
    rest: Rest,
    longest: usize,
    /// The scanner, and where in the bytes it began.
    scanner: Option<(Scanner, usize)>,
    found: Vec<Found>,
}

impl Search {
    /// A search where `rest` follows. Records longer than `longest` are cut off there.
    pub(crate) fn new(rest: Rest, longest: usize) -> Self {
        Self { rest, longest, scanner: None, found: Vec::new() }
    }

    /// Looks at what there is more of now. The bytes stand `from` bytes behind the beginning of the blob, whose data ends with them if
    /// they are the `last`.
    pub(crate) fn go_on(&mut self, from: u64, bytes: &[u8], blocks: &[Block], last: bool) -> Result<(), NoRecords> {
        if self.scanner.is_none() {
            let begin = match head(bytes) {
                _ if from > 0 => 0,
                Head::Length(length) => length,
                Head::Unfinished if !last => return Ok(()),
                _ => return Err(NoRecords),
            };
            self.scanner = Some((Scanner::from(self.rest, self.longest), begin));
        }
        let Some((scanner, begin)) = &mut self.scanner else { return Ok(()) };
        let mut found = |record: Found| self.found.push(record);
        let mut edge = 0_u64;
        for size in blocks.iter().map(|block| block.size).chain([u64::MAX]) {
            let at = *begin + usize::try_from(scanner.position()).unwrap_or(usize::MAX);
            let rest = bytes.get(at..).unwrap_or_default();
            let here = from.saturating_add(at as u64);
            if here == edge && (scanner.open().is_some() || scanner.rest() != Rest::Records) {
                if rest.len() < Scanner::sight() && !last {
                    return Ok(());
                }
                scanner.block(rest, &mut found);
            }
            edge = edge.saturating_add(size);
            let length = usize::try_from(edge.saturating_sub(here)).unwrap_or(usize::MAX);
            scanner.scan(rest.get(..length).unwrap_or(rest), &mut found);
        }
        if last {
            scanner.end(&mut found);
        }
        Ok(())
    }

    /// What was found in `bytes`: records of at most about `most` bytes together, but one at least.
    pub(crate) fn cut(&self, bytes: &[u8], most: usize, last: bool) -> Cut {
        let Some((scanner, begin)) = &self.scanner else { return Cut::default() };
        let place = |offset: u64| *begin + usize::try_from(offset).unwrap_or(usize::MAX);
        let fits = self.found.iter().take_while(|record| place(record.next) <= most).count();
        let taken = self.found.get(..fits.max(1)).unwrap_or(&self.found);
        let pieces = taken.iter().map(|record| {
            let (start, end) = (place(record.start), place(record.end));
            let (time, mac) = record_name(bytes.get(start..end).unwrap_or_default());
            Piece { start, end, cut_off: record.is_cut_off(), time, mac }
        });
        let pieces: Vec<Piece> = pieces.collect();
        match taken.last() {
            Some(record) if !last || taken.len() < self.found.len() => {
                Cut { pieces, consumed: place(record.next), rest: record.rest }
            }
            _ if last => Cut { pieces, consumed: bytes.len(), rest: scanner.rest() },
            _ => Cut { pieces, consumed: place(scanner.open().unwrap_or(scanner.position())), rest: scanner.rest() },
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    fn held(from: u64, bytes: &[u8]) -> Held {
        Held { from, bytes: bytes.to_vec(), blocks: Vec::new() }
    }

    fn texts(from: u64, bytes: &[u8]) -> Vec<String> {
        let cut = held(from, bytes).cut(bytes.len(), Rest::Records, 1_000).unwrap();
        cut.pieces.iter().map(|piece| String::from_utf8_lossy(&bytes[piece.start..piece.end]).into_owned()).collect()
    }

    #[test]
    fn records_of_a_blob_and_their_names() {
        let whole = br#"{ "records" : [{"time":"2026-01-01T00:00:00Z","macAddress":"00aA","x":"}\"]{"} ,
            {"a":{"b":[{}]}},junk,{"c":1}]}"#;
        let cut = held(0, whole).cut(whole.len(), Rest::Records, 1_000).unwrap();
        assert_eq!((cut.pieces.len(), cut.consumed, cut.rest), (4, whole.len(), Rest::End));
        assert_eq!((cut.pieces[0].time, cut.pieces[0].mac.as_str()), (1_767_225_600_000, "00AA"));
        assert_eq!((cut.pieces[2].time, cut.pieces[2].mac.as_str()), (0, ""));
        for split in 0..whole.len() {
            let mut search = Search::new(Rest::Records, 1_000);
            search.go_on(0, &whole[..split], &[], false).unwrap();
            let first = search.cut(&whole[..split], usize::MAX, false);
            let rest = &whole[first.consumed..];
            let second = Held { from: first.consumed as u64, bytes: rest.to_vec(), blocks: Vec::new() };
            let second = second.cut(rest.len(), first.rest, 1_000).unwrap();
            assert_eq!(first.pieces.len() + second.pieces.len(), 4, "{split}");
            // The same search with more bytes.
            search.go_on(0, whole, &[], true).unwrap();
            assert_eq!(search.cut(whole, usize::MAX, true), cut, "{split}");
        }
    }

    #[test]
    fn what_is_cut_off_at_the_end_is_a_record_alone() {
        assert_eq!(texts(5, br#",{"a":1},{"b":"#), [r#"{"a":1}"#, r#"{"b":"#]);
    }

    #[test]
    fn other_documents_are_no_records() {
        for text in ["{}", "\"x\"", "{\"record\":[", "", "<html>"] {
            assert_eq!(held(0, text.as_bytes()).cut(text.len(), Rest::Records, 100), Err(NoRecords), "{text}");
        }
        assert_eq!(texts(0, b"[]"), Vec::<String>::new());
    }
}
