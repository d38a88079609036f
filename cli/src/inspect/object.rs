//! One Parquet object: what its path and footer say, and its first rows.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::statistics::Statistics;
use serde_json::Value;

use super::value;
use crate::failure::Failure;

/// What Parquet files begin and end with.
const MAGIC: &[u8] = b"PAR1";
/// Most rows that are decoded at once.
const BATCH_ROWS: usize = 1_024;

/// Which columns of an object are read.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Columns<'c> {
    /// All of them.
    All,
    /// These paths, with whatever else their top-level columns hold.
    Paths(&'c [String]),
}

/// An object of a lake.
#[derive(Debug)]
pub(crate) struct LakeFile {
    pub(crate) path: PathBuf,
    /// The class's name, from the first row.
    pub(crate) class: Option<String>,
    /// The class's number, from the first row.
    pub(crate) class_uid: Option<i64>,
    /// OCSF version, from the footer, else from the first row.
    pub(crate) version: Option<String>,
    /// Digest of the mapping set that made it, from the footer.
    pub(crate) mappings: Option<String>,
    /// `accountId=` of the path.
    pub(crate) account: Option<String>,
    /// `eventDay=` of the path.
    pub(crate) day: Option<String>,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    /// Earliest and latest `time`, in milliseconds.
    pub(crate) times: Option<(i64, i64)>,
}

impl LakeFile {
    /// Reads an object's footer and the head of its first row.
    ///
    /// # Errors
    /// When the file cannot be read or is no Parquet.
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        let (builder, bytes) = builder(path)?;
        let metadata = builder.metadata().clone();
        let rows = u64::try_from(metadata.file_metadata().num_rows()).unwrap_or_default();
        let pair = |key: &str| {
            let pairs = metadata.file_metadata().key_value_metadata()?;
            pairs.iter().find(|pair| pair.key == key)?.value.clone()
        };
        let (version, mappings) = (pair("tributary.ocsf_version"), pair("tributary.mappings"));
        let head = ["class_uid", "class_name", "metadata"].map(str::to_owned);
        let first = read(builder, Columns::Paths(&head), 1, path)?.into_iter().next().unwrap_or(Value::Null);
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let times = match times(&metadata) {
            Some(times) => Some(times),
            None => scanned_times(path)?,
        };
        Ok(Self {
            class: first.get("class_name").and_then(text),
            class_uid: first.get("class_uid").and_then(Value::as_i64),
            version: version.or_else(|| first.pointer("/metadata/version").and_then(text)),
            mappings,
            account: segment(path, "accountId="),
            day: segment(path, "eventDay="),
            rows,
            bytes,
            times,
            path: path.to_owned(),
        })
    }

    /// The first `count` rows.
    ///
    /// # Errors
    /// When the file cannot be read, or none of the paths is a column of it.
    pub(crate) fn rows(&self, columns: Columns<'_>, count: usize) -> Result<Vec<Value>, Failure> {
        let (builder, _) = builder(&self.path)?;
        read(builder, columns, count, &self.path)
    }

    /// Names of the top-level columns.
    pub(crate) fn columns(&self) -> Result<Vec<String>, Failure> {
        let (builder, _) = builder(&self.path)?;
        Ok(builder.schema().fields().iter().map(|field| field.name().clone()).collect())
    }
}

/// Passes every row of the object at `path` to `each`, few rows at a time in memory.
///
/// # Errors
/// When the file cannot be read, or has a column that JSON cannot show as it is; what `each` returns.
pub(crate) fn each_row(path: &Path, mut each: impl FnMut(Value) -> Result<(), Failure>) -> Result<(), Failure> {
    let (builder, _) = builder(path)?;
    if let Some((name, ty)) = value::unreadable(builder.schema().fields()) {
        return Err(Failure::Backend(format!(
            "cannot judge {}: its column {name} is of type {ty}, which no ocsf attribute is stored as",
            path.display()
        )));
    }
    let reader = builder.with_batch_size(BATCH_ROWS).build().map_err(|error| broken(path, &error))?;
    for batch in reader {
        let batch = batch.map_err(|error| broken(path, &error))?;
        (0..batch.num_rows()).try_for_each(|row| each(value::row(&batch, row)))?;
    }
    Ok(())
}

/// Whether the file begins and ends as Parquet.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn is_parquet_file(path: &Path) -> Result<bool, Failure> {
    let fail = |error| Failure::file("read", path, &error);
    let mut file = File::open(path).map_err(fail)?;
    let bytes = file.metadata().map_err(fail)?.len();
    is_parquet(&mut file, bytes).map_err(fail)
}

type Builder = ParquetRecordBatchReaderBuilder<File>;

/// Opens a file and reads its footer. The size comes with it.
fn builder(path: &Path) -> Result<(Builder, u64), Failure> {
    let fail = |error| Failure::file("read", path, &error);
    let mut file = File::open(path).map_err(fail)?;
    let bytes = file.metadata().map_err(fail)?.len();
    if !is_parquet(&mut file, bytes).map_err(fail)? {
        return Err(Failure::Usage(format!(
            "{} is no parquet object (it lacks the mark PAR1 at its ends): give a file or folder that `tributary lake` \
             or `tributary run` wrote; `tributary map` reads events",
            path.display()
        )));
    }
    // Other writers embed their own types (dictionaries, views); Parquet's are what the lake's readers see.
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let builder =
        ParquetRecordBatchReaderBuilder::try_new_with_options(file, options).map_err(|error| broken(path, &error))?;
    Ok((builder, bytes))
}

fn is_parquet(file: &mut File, bytes: u64) -> std::io::Result<bool> {
    let (mut head, mut tail) = ([0; 4], [0; 4]);
    if bytes < 12 {
        return Ok(false);
    }
    file.read_exact(&mut head)?;
    file.seek(SeekFrom::End(-4))?;
    file.read_exact(&mut tail)?;
    file.rewind()?;
    Ok(head == MAGIC && tail == MAGIC)
}

fn broken(path: &Path, error: &impl std::fmt::Display) -> Failure {
    Failure::Backend(format!(
        "cannot read {}: {error}; the object was cut or damaged, or has a codec other than zstd",
        path.display()
    ))
}

fn read(builder: Builder, columns: Columns<'_>, count: usize, path: &Path) -> Result<Vec<Value>, Failure> {
    let schema = builder.parquet_schema();
    let mask = match columns {
        Columns::All => ProjectionMask::all(),
        Columns::Paths(paths) => {
            let roots: Vec<&str> = paths.iter().filter_map(|path| path.split('.').next()).collect();
            let fields = schema.root_schema().get_fields().iter().enumerate();
            let wanted: Vec<usize> =
                fields.filter(|(_, field)| roots.contains(&field.name())).map(|(index, _)| index).collect();
            ProjectionMask::roots(schema, wanted)
        }
    };
    let reader = builder.with_projection(mask).with_batch_size(count.clamp(1, BATCH_ROWS)).with_limit(count).build();
    let reader: ParquetRecordBatchReader = reader.map_err(|error: ParquetError| broken(path, &error))?;
    let mut rows = Vec::new();
    for batch in reader {
        let batch = batch.map_err(|error| broken(path, &error))?;
        rows.extend((0..batch.num_rows()).map(|row| value::row(&batch, row)));
    }
    Ok(rows)
}

/// The range of `time` by the statistics of all row groups; `None` when one has none.
fn times(metadata: &ParquetMetaData) -> Option<(i64, i64)> {
    let mut range: Option<(i64, i64)> = None;
    for group in metadata.row_groups() {
        let column = group.columns().iter().find(|column| column.column_path().string() == "time")?;
        let Some(Statistics::Int64(statistics)) = column.statistics() else { return None };
        let (low, high) = (*statistics.min_opt()?, *statistics.max_opt()?);
        range = Some(range.map_or((low, high), |(first, last)| (first.min(low), last.max(high))));
    }
    range
}

/// The same from the rows, for writers that leave statistics out.
fn scanned_times(path: &Path) -> Result<Option<(i64, i64)>, Failure> {
    let (builder, _) = builder(path)?;
    let mask = ProjectionMask::columns(builder.parquet_schema(), ["time"]);
    let reader = builder.with_projection(mask).with_batch_size(BATCH_ROWS).build();
    let mut range: Option<(i64, i64)> = None;
    for batch in reader.map_err(|error| broken(path, &error))? {
        let batch = batch.map_err(|error| broken(path, &error))?;
        for row in 0..batch.num_rows() {
            if let Some(time) = value::row(&batch, row).get("time").and_then(Value::as_i64) {
                range = Some(range.map_or((time, time), |(first, last)| (first.min(time), last.max(time))));
            }
        }
    }
    Ok(range)
}

/// What follows `name` in a segment of the path.
fn segment(path: &Path, name: &str) -> Option<String> {
    path.components().find_map(|part| part.as_os_str().to_str()?.strip_prefix(name).map(str::to_owned))
}
