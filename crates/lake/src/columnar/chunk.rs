//! The pages of one leaf column, and what the footer says of them.

use std::ops::Range;

use bytes::Bytes;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::column::page::{CompressedPage, Page, PageWriteSpec, PageWriter as _};
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::ParquetError;
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::statistics::Statistics;
use parquet::file::writer::{SerializedPageWriter, TrackedWrite};
use parquet::schema::types::ColumnDescPtr;

use super::bits::{hybrid, run, width};
use crate::page::PAGE_LIMIT;

/// Bytes of a page below which it is not compressed: a frame around it costs more than it saves.
const SMALL: usize = 64;
/// Level 3 finds 1 to 2 % more in columns of codes and numbers, at twice the time (docs/PERFORMANCE.md).
const ZSTD_LEVEL: i32 = 1;

/// The slots of a column: a row each, or an element each of a list.
#[derive(Clone, Copy)]
pub(crate) struct Slots<'s> {
    pub(crate) count: usize,
    /// By slot, 0 where a row begins; `None` where every slot is a row.
    pub(crate) repetition: Option<&'s [u8]>,
    pub(crate) definition: Definition<'s>,
}

/// How many of the path's optional levels are there.
#[derive(Clone, Copy)]
pub(crate) enum Definition<'s> {
    /// The same in every slot.
    Same(u8),
    /// By slot.
    Each(&'s [u8]),
}

/// How values become bytes.
pub(crate) struct Values<'v, F> {
    pub(crate) encoding: Encoding,
    /// The page of the values that codes stand for, and their number.
    pub(crate) dictionary: Option<(&'v [u8], u32)>,
    /// Bits that a value takes at most.
    pub(crate) bits: usize,
    /// Appends a range of values, counted without the slots that have none.
    pub(crate) write: F,
}

/// A column's pages.
pub(crate) struct Chunk {
    pub(crate) bytes: Bytes,
    pub(crate) close: ColumnCloseResult,
}

/// Compresses pages; one context for all columns, because a context costs tens of microseconds.
pub(crate) struct Pages {
    zstd: zstd::bulk::Compressor<'static>,
    body: Vec<u8>,
}

/// Bytes and sizes of the pages so far.
struct Written {
    sink: TrackedWrite<Vec<u8>>,
    compressed: usize,
    uncompressed: usize,
    dictionary_at: Option<u64>,
    data_at: Option<u64>,
}

impl Written {
    fn add(&mut self, page: Page, uncompressed: usize) -> Result<(), ParquetError> {
        let is_dictionary = page.is_dictionary_page();
        let spec: PageWriteSpec =
            SerializedPageWriter::new(&mut self.sink).write_page(CompressedPage::new(page, uncompressed))?;
        self.compressed += spec.compressed_size;
        self.uncompressed += spec.uncompressed_size;
        let at = if is_dictionary { &mut self.dictionary_at } else { &mut self.data_at };
        at.get_or_insert(spec.offset);
        Ok(())
    }
}

impl Pages {
    pub(crate) fn new() -> Result<Self, ParquetError> {
        Ok(Self { zstd: zstd::bulk::Compressor::new(ZSTD_LEVEL)?, body: Vec::new() })
    }

    /// Writes a column. `rows` is what its slots come to.
    pub(crate) fn column<F: FnMut(Range<usize>, &mut Vec<u8>)>(
        &mut self,
        descriptor: &ColumnDescPtr,
        slots: Slots<'_>,
        mut values: Values<'_, F>,
        rows: usize,
        statistics: Option<Statistics>,
    ) -> Result<Chunk, ParquetError> {
        let mut written = Written {
            sink: TrackedWrite::new(Vec::new()),
            compressed: 0,
            uncompressed: 0,
            dictionary_at: None,
            data_at: None,
        };
        let mut compress = None;
        let (most_def, most_rep) =
            (descriptor.max_def_level().unsigned_abs() as u8, descriptor.max_rep_level().unsigned_abs() as u8);
        let level_bits = usize::from(width(most_def.into()) + width(most_rep.into()));
        let most = (PAGE_LIMIT * 8 / (values.bits + level_bits).max(1)).clamp(8, 1 << 20) / 8 * 8;
        let (mut slot, mut value) = (0, 0);
        while slot < slots.count {
            let end = page_end(slots, slot, most);
            let present = slots.present(slot..end, most_def);
            let mut body = std::mem::take(&mut self.body);
            body.clear();
            if let (Some(levels), true) = (slots.repetition, most_rep > 0) {
                let levels = levels.get(slot..end).unwrap_or_default();
                with_length(&mut body, |body| hybrid(levels, width(most_rep.into()), body));
            } else if most_rep > 0 {
                with_length(&mut body, |body| run(0, end - slot, width(most_rep.into()), body));
            }
            if most_def > 0 {
                with_length(&mut body, |body| match slots.definition {
                    Definition::Same(level) => run(level.into(), end - slot, width(most_def.into()), body),
                    Definition::Each(levels) => {
                        hybrid(levels.get(slot..end).unwrap_or_default(), width(most_def.into()), body);
                    }
                });
            }
            (values.write)(value..value + present, &mut body);
            let compress = match compress {
                Some(compress) => compress,
                // Decided once, by the first page and its dictionary: what does not get smaller is left as it is.
                None => {
                    let dictionary = values.dictionary.map_or(&[][..], |(bytes, _)| bytes);
                    let worthwhile = self.shrinks(&[dictionary, &body])?;
                    compress = Some(worthwhile);
                    if let Some((bytes, count)) = values.dictionary {
                        let buf = self.stored(bytes, worthwhile)?;
                        let encoding = Encoding::PLAIN;
                        written.add(
                            Page::DictionaryPage { buf, num_values: count, encoding, is_sorted: false },
                            bytes.len(),
                        )?;
                    }
                    worthwhile
                }
            };
            let (buf, uncompressed) = (self.stored(&body, compress)?, body.len());
            self.body = body;
            let page = Page::DataPage {
                buf,
                num_values: u32::try_from(end - slot).unwrap_or(u32::MAX),
                encoding: values.encoding,
                def_level_encoding: Encoding::RLE,
                rep_level_encoding: Encoding::RLE,
                statistics: None,
            };
            written.add(page, uncompressed)?;
            (slot, value) = (end, value + present);
        }
        let compressed = compress == Some(true);
        let mut encodings = vec![values.encoding, Encoding::RLE];
        if values.dictionary.is_some() {
            encodings.push(Encoding::PLAIN);
        }
        let codec =
            if compressed { Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?) } else { Compression::UNCOMPRESSED };
        let offset = |at: u64| i64::try_from(at).unwrap_or(i64::MAX);
        let size = |bytes: usize| i64::try_from(bytes).unwrap_or(i64::MAX);
        let mut metadata = ColumnChunkMetaData::builder(descriptor.clone())
            .set_compression(codec)
            .set_encodings(encodings)
            .set_num_values(size(slots.count))
            .set_total_compressed_size(size(written.compressed))
            .set_total_uncompressed_size(size(written.uncompressed))
            .set_data_page_offset(offset(written.data_at.unwrap_or_default()))
            .set_dictionary_page_offset(written.dictionary_at.map(offset));
        if let Some(statistics) = statistics {
            metadata = metadata.set_statistics(statistics);
        }
        let close = ColumnCloseResult {
            bytes_written: written.compressed as u64,
            rows_written: rows as u64,
            metadata: metadata.build()?,
            bloom_filter: None,
            column_index: None,
            offset_index: None,
        };
        Ok(Chunk { bytes: Bytes::from(written.sink.into_inner()?), close })
    }

    /// Whether pages get smaller by a seventh at least. Packed numbers that are random get smaller by a tenth, which is not
    /// worth a sixth of the time that an object takes.
    fn shrinks(&mut self, pages: &[&[u8]]) -> Result<bool, ParquetError> {
        let before: usize = pages.iter().map(|page| page.len()).sum();
        if before < SMALL {
            return Ok(false);
        }
        let mut after = 0;
        for page in pages.iter().filter(|page| !page.is_empty()) {
            after += self.zstd.compress(page)?.len();
        }
        Ok(after * 7 < before * 6)
    }

    fn stored(&mut self, bytes: &[u8], compress: bool) -> Result<Bytes, ParquetError> {
        Ok(if compress { Bytes::from(self.zstd.compress(bytes)?) } else { Bytes::copy_from_slice(bytes) })
    }
}

impl Slots<'_> {
    /// How many slots of a range have a value.
    fn present(&self, range: Range<usize>, most: u8) -> usize {
        match self.definition {
            Definition::Same(level) => range.len() * usize::from(level == most),
            Definition::Each(levels) => {
                let levels = levels.get(range).unwrap_or_default();
                levels.iter().filter(|level| **level == most).count()
            }
        }
    }
}

/// Where the page that begins at `slot` ends: where a row does.
fn page_end(slots: Slots<'_>, slot: usize, most: usize) -> usize {
    let end = (slot + most).min(slots.count);
    let Some(levels) = slots.repetition else { return end };
    let begins = |at: usize| levels.get(at).is_none_or(|level| *level == 0);
    let back = (slot + 1..=end).rev().find(|at| begins(*at));
    back.unwrap_or_else(|| (end..=slots.count).find(|at| begins(*at)).unwrap_or(slots.count))
}

/// Appends something with its length before it.
fn with_length(body: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let at = body.len();
    body.extend_from_slice(&[0; 4]);
    write(body);
    let length = u32::try_from(body.len() - at - 4).unwrap_or(u32::MAX).to_le_bytes();
    if let Some(slot) = body.get_mut(at..at + 4) {
        slot.copy_from_slice(&length);
    }
}
