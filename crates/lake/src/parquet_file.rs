//! One batch as the bytes of one Parquet object, by the rules of Security Lake's custom sources.
//!
//! zstd; one row group; pages under 1 MB uncompressed; rows sorted by time, and said to be; no embedded Arrow schema.
//! Columns that are all null in this object have no codec, no dictionary and no statistics, which makes small objects
//! two to five times faster to write; columns of a few short values have no codec; columns whose values do not repeat have
//! no dictionary, which makes them smaller.
//! The schema in the file is always the same.

use arrow_array::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::{KeyValue, SortingColumn};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::ColumnPath;
use tributary_ocsf::Version;
use tributary_ocsf::columns::InvalidColumns;

use crate::leaf::{Spread, leaves};
use crate::page::PAGE_LIMIT;

/// On columns of events, level 3 finds no more than level 1 and takes twice its time: 998 KB against 957 KB for 2,000
/// alerts in three objects (`tests/benches/chain`).
const ZSTD_LEVEL: i32 = 1;

/// What is written into an object's own metadata.
#[derive(Debug, Clone, Copy)]
pub struct Stamp<'s> {
    /// OCSF version of the events.
    pub ocsf_version: &'s str,
    /// Digest of the mapping set that made them.
    pub mappings: &'s str,
}

/// Why an object could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LakeError {
    /// A row says it is of a class that the tables do not have: a fault of the program.
    #[error("there is no ocsf class with index {0}: the row and the writer are of different ocsf versions")]
    NoClass(u16),
    /// The layout has no place for a class.
    #[error("no source is configured for class {class} ({class_uid}): register one and add its location")]
    NoSource {
        /// The class.
        class: &'static str,
        /// Its number.
        class_uid: i32,
    },
    /// The columns of a class are not fixed.
    #[error("schemas/{version}/{class}.txt is missing: run `tributary mappings schema` and commit the file")]
    NoSchema {
        /// The OCSF version.
        version: Version,
        /// The class.
        class: &'static str,
    },
    /// The committed columns of a class do not fit the tables.
    #[error("the committed schema does not fit the ocsf tables: {0}")]
    InvalidSchema(#[from] InvalidColumns),
    /// The class has no such column.
    #[error("the committed schema has no column {0}: run `tributary mappings schema` and commit the file")]
    NoColumn(String),
    /// What was given for a column is not what it holds: a fault of the program.
    #[error("column {0} was given values of another type or number")]
    Unfit(String),
    /// Arrow refused the columns.
    #[error("cannot build the columns: {0}")]
    Columns(#[from] arrow_schema::ArrowError),
    /// Parquet refused the batch.
    #[error("cannot write the parquet object: {0}")]
    Parquet(#[from] parquet::errors::ParquetError),
}

/// Writes a batch whose rows are sorted by `time`.
///
/// # Errors
/// When the Parquet library refuses the batch; the batch itself is always of the class's schema.
pub fn write_parquet(batch: &RecordBatch, stamp: Stamp<'_>) -> Result<Vec<u8>, LakeError> {
    let schema = batch.schema();
    let columns = schema.fields().iter().zip(batch.columns());
    let leaves: Vec<(ColumnPath, Spread)> = columns.flat_map(|(field, column)| leaves(field.name(), column)).collect();
    let time = leaves.iter().position(|(path, _)| path.parts() == ["time"]);
    let mut properties = properties(time, stamp);
    for (path, spread) in leaves {
        properties = match spread {
            Spread::Null => properties
                .set_column_compression(path.clone(), Compression::UNCOMPRESSED)
                .set_column_dictionary_enabled(path.clone(), false)
                .set_column_statistics_enabled(path, EnabledStatistics::None),
            Spread::Small => properties.set_column_compression(path, Compression::UNCOMPRESSED),
            Spread::Distinct => properties.set_column_dictionary_enabled(path, false),
            Spread::Repeating => properties,
        };
    }
    let options = ArrowWriterOptions::new().with_properties(properties.build()).with_skip_arrow_metadata(true);
    let mut writer = ArrowWriter::try_new_with_options(Vec::new(), batch.schema(), options)?;
    writer.write(batch)?;
    Ok(writer.into_inner()?)
}

/// What all objects have in common. `time` is the leaf that rows are sorted by.
pub(crate) fn properties(time: Option<usize>, stamp: Stamp<'_>) -> WriterPropertiesBuilder {
    let zstd = ZstdLevel::try_new(ZSTD_LEVEL).map_or(Compression::UNCOMPRESSED, Compression::ZSTD);
    let sorting = time
        .and_then(|index| i32::try_from(index).ok())
        .map(|column_idx| vec![SortingColumn { column_idx, descending: false, nulls_first: false }]);
    let pair = |key: &str, value: &str| KeyValue::new(key.to_owned(), value.to_owned());
    WriterProperties::builder()
        .set_created_by(concat!("tributary ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(zstd)
        .set_data_page_size_limit(PAGE_LIMIT)
        .set_dictionary_page_size_limit(PAGE_LIMIT)
        .set_max_row_group_row_count(None)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_offset_index_disabled(true)
        .set_sorting_columns(sorting)
        .set_key_value_metadata(Some(vec![
            pair("tributary.ocsf_version", stamp.ocsf_version),
            pair("tributary.mappings", stamp.mappings),
        ]))
}
