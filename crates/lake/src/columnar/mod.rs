//! Rows that never were events: columns of codes and numbers as the bytes of one lake object.
//!
//! What arrives by the million has few different values in most columns. [`encode`](crate::encode) takes a typed event a row and
//! [`write_parquet`](crate::write_parquet) hashes every value of every column to find that out again. [`ColumnFile`] takes what
//! the caller knows: a constant, codes into a [`Dictionary`], numbers, texts; and writes Parquet's pages from them. The schema in
//! the file, its sorting column, page sizes and metadata are those of the other writer; so is what a reader sees.
//!
//! ```
//! use tributary_lake::{ColumnFile, Dictionary, Leaves, Present, Stamp};
//! use tributary_ocsf::{Schema, Version, columns::Columns};
//!
//! let schema = Schema::get(Version::V1_3_0);
//! let leaves = Leaves::new(&Columns::embedded(schema, "network_activity").unwrap()?)?;
//! let mut file = ColumnFile::new(&leaves, 3)?;
//! file.numbers(leaves.find("time")?, &[1_767_225_600_000_i64, 1_767_225_600_001, 1_767_225_600_001], Present::Always)?;
//! file.constant(leaves.find("cloud.provider")?, "Example")?;
//! let mut protocols = Dictionary::default();
//! let (tcp, udp) = (protocols.text("tcp"), protocols.text("udp"));
//! file.codes(leaves.find("connection_info.protocol_name")?, &protocols, &[tcp, udp, tcp], Present::Always)?;
//! let object = file.finish(Stamp { ocsf_version: "1.3.0", mappings: "fixed" })?;
//! assert_eq!(object.get(..4), Some(&b"PAR1"[..]));
//! # Ok::<(), tributary_lake::LakeError>(())
//! ```

mod bits;
mod chunk;
mod dictionary;
mod number;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use parquet::arrow::ArrowSchemaConverter;
use parquet::basic::{Encoding, Type};
use parquet::file::properties::WriterProperties;
use parquet::file::statistics::Statistics;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::SchemaDescriptor;
use tributary_ocsf::columns::Columns;

use crate::parquet_file::{LakeError, Stamp, properties};
use chunk::{Chunk, Definition, Pages, Slots, Values};
pub use dictionary::Dictionary;
pub use number::Number;

/// The leaf columns of a class, in the file's order.
#[derive(Debug)]
pub struct Leaves {
    schema: SchemaDescriptor,
    /// Dotted paths without the names that Parquet adds for lists.
    paths: BTreeMap<String, usize>,
    time: Option<usize>,
}

/// One leaf column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leaf(usize);

/// In which rows a column has a value.
#[derive(Debug, Clone, Copy)]
pub enum Present<'l> {
    /// In all.
    Always,
    /// By row, how many names of the column's path are there, counted from the left: of `traffic.bytes` 2 where the row has
    /// the value, 1 where it has `traffic` alone, 0 where it has neither.
    Levels(&'l [u8]),
}

impl Leaves {
    /// The leaves of a class's committed columns.
    ///
    /// # Errors
    /// When Parquet has no form for a column's type, which no committed schema brings about.
    pub fn new(columns: &Columns) -> Result<Self, LakeError> {
        // The root's name and everything below are what the writer of events has.
        let schema = ArrowSchemaConverter::new().convert(&columns.arrow_schema())?;
        let name = |index: usize| {
            let parts = schema.column(index).path().parts().to_vec();
            let added = |part: &String| matches!(part.as_str(), "list" | "element" | "key_value");
            parts.into_iter().filter(|part| !added(part)).collect::<Vec<_>>().join(".")
        };
        let paths: BTreeMap<String, usize> = (0..schema.num_columns()).map(|index| (name(index), index)).collect();
        let time = paths.get("time").copied();
        Ok(Self { schema, paths, time })
    }

    /// The leaf at a dotted path; of a map `key` and `value` below its name.
    ///
    /// # Errors
    /// When the class has no such column.
    pub fn find(&self, path: &str) -> Result<Leaf, LakeError> {
        self.paths.get(path).copied().map(Leaf).ok_or_else(|| LakeError::NoColumn(path.to_owned()))
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.schema.num_columns()
    }
}

/// A slot of a column of lists or maps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slot {
    /// A row begins with this element.
    First,
    /// The row goes on with this element.
    Further,
    /// A row without a list; no element.
    None,
}

/// One object, column by column. Columns that nobody sets are null.
pub struct ColumnFile<'l> {
    leaves: &'l Leaves,
    rows: usize,
    pages: Pages,
    chunks: Vec<Option<Chunk>>,
    /// Which objects are there in every row (`None`) or how far they are in each.
    objects: BTreeMap<Vec<String>, Option<Vec<u8>>>,
}

impl<'l> ColumnFile<'l> {
    /// An object of so many rows.
    ///
    /// # Errors
    /// When memory for the compressor is out.
    pub fn new(leaves: &'l Leaves, rows: usize) -> Result<Self, LakeError> {
        let chunks = (0..leaves.count()).map(|_| None).collect();
        Ok(Self { leaves, rows, pages: Pages::new()?, chunks, objects: BTreeMap::new() })
    }

    /// The same text in every row.
    ///
    /// # Errors
    /// When the column holds something else.
    pub fn constant(&mut self, leaf: Leaf, text: &str) -> Result<(), LakeError> {
        let mut dictionary = Dictionary::default();
        dictionary.text(text);
        self.coded(leaf, &dictionary, &[], Present::Always)
    }

    /// The same number in every row.
    ///
    /// # Errors
    /// When the column holds something else.
    pub fn constant_number(&mut self, leaf: Leaf, number: i64) -> Result<(), LakeError> {
        let mut dictionary = Dictionary::default();
        self.number(leaf, &mut dictionary, number)?;
        self.coded(leaf, &dictionary, &[], Present::Always)
    }

    /// Adds a number to a column's dictionary. Returns its code.
    ///
    /// # Errors
    /// When the column holds no numbers of this size.
    pub fn number(&self, leaf: Leaf, dictionary: &mut Dictionary, number: i64) -> Result<u32, LakeError> {
        match self.physical(leaf)? {
            Type::INT64 => Ok(dictionary.long(number)),
            Type::INT32 => Ok(dictionary.int(i32::try_from(number).map_err(|_| self.unfit(leaf))?)),
            _ => Err(self.unfit(leaf)),
        }
    }

    /// By row, the code of its value. Codes of rows without a value do not count. Every value of the dictionary should occur.
    ///
    /// # Errors
    /// When the column holds something else than the dictionary, or the codes are not one a row.
    pub fn codes(
        &mut self,
        leaf: Leaf,
        dictionary: &Dictionary,
        codes: &[u32],
        present: Present<'_>,
    ) -> Result<(), LakeError> {
        if codes.len() != self.rows {
            return Err(self.unfit(leaf));
        }
        self.coded(leaf, dictionary, codes, present)
    }

    fn coded(
        &mut self,
        leaf: Leaf,
        dictionary: &Dictionary,
        codes: &[u32],
        present: Present<'_>,
    ) -> Result<(), LakeError> {
        let slots = self.slots(leaf, present)?;
        let kept = kept(codes, slots, self.most(leaf)?);
        let nulls = self.nulls(leaf, slots)?;
        let statistics = dictionary.statistics(self.physical(leaf)?, nulls).ok_or_else(|| self.unfit(leaf))?;
        self.mark(leaf, present)?;
        self.write_codes(leaf, slots, dictionary, &kept, Some(statistics))
    }

    fn write_codes(
        &mut self,
        leaf: Leaf,
        slots: Slots<'_>,
        dictionary: &Dictionary,
        codes: &[u32],
        statistics: Option<Statistics>,
    ) -> Result<(), LakeError> {
        let width = bits::width(dictionary.count().saturating_sub(1));
        // Looked at as a whole: one pass without a branch.
        if codes.iter().fold(0, |most, code| most.max(*code)) >= dictionary.count().max(1) {
            return Err(self.unfit(leaf));
        }
        let constant = dictionary.count() == 1;
        let values = Values {
            encoding: Encoding::RLE_DICTIONARY,
            dictionary: Some((dictionary.page(), dictionary.count())),
            bits: usize::from(width),
            write: |range: std::ops::Range<usize>, out: &mut Vec<u8>| {
                out.push(width);
                if constant {
                    bits::run(0, range.len(), width, out);
                } else {
                    bits::hybrid(codes.get(range).unwrap_or_default(), width, out);
                }
            },
        };
        self.write(leaf, slots, values, statistics)
    }

    /// By row, its number; those of rows without a value do not count. Large ones are packed as differences: times in order take a
    /// byte or two.
    ///
    /// # Errors
    /// When the column holds something else, or the numbers are not one a row.
    pub fn numbers<N: Number>(&mut self, leaf: Leaf, numbers: &[N], present: Present<'_>) -> Result<(), LakeError> {
        let slots = self.slots(leaf, present)?;
        if numbers.len() != self.rows || self.physical(leaf)? != N::PHYSICAL {
            return Err(self.unfit(leaf));
        }
        let kept = kept(numbers, slots, self.most(leaf)?);
        let nulls = self.nulls(leaf, slots)?;
        let statistics = N::statistics(kept.iter().min().copied(), kept.iter().max().copied(), nulls);
        let values = Values {
            encoding: N::ENCODING,
            dictionary: None,
            bits: N::BITS,
            write: |range: std::ops::Range<usize>, out: &mut Vec<u8>| {
                N::write(kept.get(range).unwrap_or_default(), out);
            },
        };
        self.mark(leaf, present)?;
        self.write(leaf, slots, values, Some(statistics))
    }

    /// By row, a text that `write` appends; `longest` bounds its bytes. For texts that hardly repeat.
    ///
    /// # Errors
    /// When the column holds something else.
    pub fn texts(
        &mut self,
        leaf: Leaf,
        longest: usize,
        present: Present<'_>,
        mut write: impl FnMut(usize, &mut Vec<u8>),
    ) -> Result<(), LakeError> {
        if self.physical(leaf)? != Type::BYTE_ARRAY {
            return Err(self.unfit(leaf));
        }
        let slots = self.slots(leaf, present)?;
        // The rows of the values, where not every row has one.
        let with_value: Option<Vec<usize>> = match present {
            Present::Always => None,
            Present::Levels(levels) => {
                let most = self.most(leaf)?;
                Some((0..levels.len()).filter(|row| levels.get(*row) == Some(&most)).collect())
            }
        };
        let nulls = self.nulls(leaf, slots)?;
        let values = Values {
            encoding: Encoding::PLAIN,
            dictionary: None,
            bits: (longest + 4) * 8,
            write: |range: std::ops::Range<usize>, out: &mut Vec<u8>| {
                for value in range {
                    let row = with_value.as_ref().map_or(value, |rows| rows.get(value).copied().unwrap_or_default());
                    let at = out.len();
                    out.extend_from_slice(&[0; 4]);
                    write(row, out);
                    let length = u32::try_from(out.len() - at - 4).unwrap_or(u32::MAX).to_le_bytes();
                    if let Some(slot) = out.get_mut(at..at + 4) {
                        slot.copy_from_slice(&length);
                    }
                }
            },
        };
        self.mark(leaf, present)?;
        let statistics = Statistics::byte_array(None, None, None, Some(nulls), false);
        self.write(leaf, slots, values, Some(statistics))
    }

    /// The same list in every row, by the codes of its elements, at least one.
    ///
    /// # Errors
    /// When the column is no list.
    pub fn list(&mut self, leaf: Leaf, dictionary: &Dictionary, row: &[u32]) -> Result<(), LakeError> {
        let first = |at: usize| if at == 0 { Slot::First } else { Slot::Further };
        let slots: Vec<Slot> = (0..self.rows).flat_map(|_| (0..row.len()).map(first)).collect();
        let codes: Vec<u32> = row.iter().copied().cycle().take(row.len() * self.rows).collect();
        self.entries(leaf, dictionary, &codes, &slots)
    }

    /// One of the leaves of lists or maps: the codes of all elements, and where each row's begin. Every element has a value.
    /// Of a map, `key` and `value` are given the same slots.
    ///
    /// # Errors
    /// When the column is no list at the top of the class, or a list within one, or the slots are not those of the codes and
    /// rows.
    pub fn entries(
        &mut self,
        leaf: Leaf,
        dictionary: &Dictionary,
        codes: &[u32],
        slots: &[Slot],
    ) -> Result<(), LakeError> {
        let rows = slots.iter().filter(|slot| **slot != Slot::Further).count();
        let none = slots.iter().filter(|slot| **slot == Slot::None).count();
        let is_list = self.descriptor(leaf)?.max_rep_level() == 1;
        let fits = codes.len() + none == slots.len() && rows == self.rows && slots.first() != Some(&Slot::Further);
        if !is_list || !fits {
            return Err(self.unfit(leaf));
        }
        let most = self.most(leaf)?;
        // Of a list within an object, the object is there without the list.
        let names = self.names(leaf)?;
        let above = u8::try_from(names.len().saturating_sub(1)).unwrap_or_default();
        let repetition: Vec<u8> = slots.iter().map(|slot| u8::from(*slot == Slot::Further)).collect();
        let levels: Vec<u8>;
        let definition = if none == 0 {
            Definition::Same(most)
        } else {
            levels = slots.iter().map(|slot| if *slot == Slot::None { above } else { most }).collect();
            Definition::Each(&levels)
        };
        for depth in 1..names.len() {
            self.objects.insert(names.get(..depth).unwrap_or_default().to_vec(), None);
        }
        let slots = Slots { count: slots.len(), repetition: Some(&repetition), definition };
        let statistics = dictionary.statistics(self.physical(leaf)?, none as u64).ok_or_else(|| self.unfit(leaf))?;
        self.write_codes(leaf, slots, dictionary, codes, Some(statistics))
    }

    /// The names on the way to a list, its own included.
    fn names(&self, leaf: Leaf) -> Result<Vec<String>, LakeError> {
        let parts = self.descriptor(leaf)?.path().parts().to_vec();
        Ok(parts.into_iter().take_while(|part| !matches!(part.as_str(), "list" | "key_value")).collect())
    }

    fn write<F: FnMut(std::ops::Range<usize>, &mut Vec<u8>)>(
        &mut self,
        leaf: Leaf,
        slots: Slots<'_>,
        values: Values<'_, F>,
        statistics: Option<Statistics>,
    ) -> Result<(), LakeError> {
        let descriptor = self.descriptor(leaf)?;
        let chunk = self.pages.column(&descriptor, slots, values, self.rows, statistics)?;
        if let Some(slot) = self.chunks.get_mut(leaf.0) {
            *slot = Some(chunk);
        }
        Ok(())
    }

    /// Remembers which objects a column's values stand in.
    fn mark(&mut self, leaf: Leaf, present: Present<'_>) -> Result<(), LakeError> {
        let parts = self.descriptor(leaf)?.path().parts().to_vec();
        for depth in 1..parts.len() {
            let path = parts.get(..depth).unwrap_or_default().to_vec();
            match present {
                Present::Always => drop(self.objects.insert(path, None)),
                Present::Levels(levels) => {
                    let known = self.objects.entry(path).or_insert_with(|| Some(levels.to_vec()));
                    if let Some(known) = known {
                        known.iter_mut().zip(levels).for_each(|(known, level)| *known = (*known).max(*level));
                    }
                }
            }
        }
        Ok(())
    }

    /// The object's bytes.
    ///
    /// # Errors
    /// When the Parquet library refuses them.
    pub fn finish(mut self, stamp: Stamp<'_>) -> Result<Vec<u8>, LakeError> {
        for index in 0..self.chunks.len() {
            if self.chunks.get(index).is_some_and(Option::is_none) {
                self.null(Leaf(index))?;
            }
        }
        let size = self.chunks.iter().flatten().map(|chunk| chunk.bytes.len()).sum::<usize>() + 64 * 1_024;
        let properties: WriterProperties = properties(self.leaves.time, stamp).build();
        let schema = self.leaves.schema.root_schema_ptr();
        let mut writer = SerializedFileWriter::new(Vec::with_capacity(size), schema, Arc::new(properties))?;
        let mut group = writer.next_row_group()?;
        for chunk in self.chunks.iter_mut().filter_map(Option::take) {
            group.append_column(&chunk.bytes, chunk.close)?;
        }
        group.close()?;
        Ok(writer.into_inner()?)
    }

    /// A column without a value, whose objects are there where those of other columns are.
    fn null(&mut self, leaf: Leaf) -> Result<(), LakeError> {
        let descriptor = self.descriptor(leaf)?;
        let parts = descriptor.path().parts();
        let mut definition = Definition::Same(0);
        let mut levels = Vec::new();
        for depth in (1..parts.len()).rev() {
            match self.objects.get(parts.get(..depth).unwrap_or_default()) {
                Some(None) => definition = Definition::Same(u8::try_from(depth).unwrap_or(u8::MAX)),
                Some(Some(known)) => {
                    let most = u8::try_from(depth).unwrap_or(u8::MAX);
                    levels = known.iter().map(|level| (*level).min(most)).collect();
                }
                None => continue,
            }
            break;
        }
        if !levels.is_empty() {
            definition = Definition::Each(&levels);
        }
        let slots = Slots { count: self.rows, repetition: None, definition };
        let encoding = Encoding::PLAIN;
        let values =
            Values { encoding, dictionary: None, bits: 0, write: |_: std::ops::Range<usize>, _: &mut Vec<u8>| {} };
        self.write(leaf, slots, values, None)
    }

    fn descriptor(&self, leaf: Leaf) -> Result<parquet::schema::types::ColumnDescPtr, LakeError> {
        let found = self.leaves.schema.columns().get(leaf.0);
        found.cloned().ok_or_else(|| LakeError::NoColumn(format!("leaf {}", leaf.0)))
    }

    fn physical(&self, leaf: Leaf) -> Result<Type, LakeError> {
        Ok(self.descriptor(leaf)?.physical_type())
    }

    fn most(&self, leaf: Leaf) -> Result<u8, LakeError> {
        Ok(u8::try_from(self.descriptor(leaf)?.max_def_level()).unwrap_or(u8::MAX))
    }

    fn slots<'s>(&self, leaf: Leaf, present: Present<'s>) -> Result<Slots<'s>, LakeError> {
        let descriptor = self.descriptor(leaf)?;
        let definition = match present {
            Present::Always => Definition::Same(self.most(leaf)?),
            Present::Levels(levels) if levels.len() == self.rows => Definition::Each(levels),
            Present::Levels(_) => return Err(self.unfit(leaf)),
        };
        if descriptor.max_rep_level() > 0 {
            return Err(self.unfit(leaf));
        }
        Ok(Slots { count: self.rows, repetition: None, definition })
    }

    fn nulls(&self, leaf: Leaf, slots: Slots<'_>) -> Result<u64, LakeError> {
        let most = self.most(leaf)?;
        Ok(match slots.definition {
            Definition::Same(_) => 0,
            Definition::Each(levels) => levels.iter().filter(|level| **level < most).count() as u64,
        })
    }

    fn unfit(&self, leaf: Leaf) -> LakeError {
        let path = self.leaves.schema.columns().get(leaf.0).map_or_else(String::new, |column| column.path().string());
        LakeError::Unfit(path)
    }
}

/// The values of the rows that have one.
fn kept<'v, T: Copy>(values: &'v [T], slots: Slots<'_>, most: u8) -> std::borrow::Cow<'v, [T]> {
    match slots.definition {
        Definition::Same(_) => values.into(),
        Definition::Each(levels) => {
            let kept = values.iter().zip(levels).filter(|(_, level)| **level == most).map(|(value, _)| *value);
            kept.collect::<Vec<T>>().into()
        }
    }
}
