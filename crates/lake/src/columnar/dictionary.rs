//! The different values of a column.

use parquet::basic::Type;
use parquet::data_type::ByteArray;
use parquet::file::statistics::Statistics;

/// Longest text that a footer repeats as a column's least or greatest.
const LONGEST: usize = 64;

/// The different values of a column, in the order of their codes: all texts or all numbers.
#[derive(Debug, Clone, Default)]
pub struct Dictionary {
    page: Vec<u8>,
    count: u32,
    bounds: Bounds,
}

#[derive(Debug, Clone, Default)]
enum Bounds {
    #[default]
    None,
    Text(Vec<u8>, Vec<u8>),
    Int(i32, i32),
    Long(i64, i64),
    /// Values of more than one type.
    Mixed,
}

impl Dictionary {
    /// Adds a text that is not there yet. Returns its code.
    pub fn text(&mut self, text: &str) -> u32 {
        let bytes = text.as_bytes();
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        self.page.extend_from_slice(&length.to_le_bytes());
        self.page.extend_from_slice(bytes);
        match &mut self.bounds {
            Bounds::None => self.bounds = Bounds::Text(bytes.to_vec(), bytes.to_vec()),
            Bounds::Text(least, _) if bytes < least.as_slice() => bytes.clone_into(least),
            Bounds::Text(_, greatest) if bytes > greatest.as_slice() => bytes.clone_into(greatest),
            Bounds::Text(..) => {}
            _ => self.bounds = Bounds::Mixed,
        }
        self.added()
    }

    pub(crate) fn int(&mut self, number: i32) -> u32 {
        self.page.extend_from_slice(&number.to_le_bytes());
        self.bounds = match self.bounds {
            Bounds::None => Bounds::Int(number, number),
            Bounds::Int(least, greatest) => Bounds::Int(least.min(number), greatest.max(number)),
            _ => Bounds::Mixed,
        };
        self.added()
    }

    pub(crate) fn long(&mut self, number: i64) -> u32 {
        self.page.extend_from_slice(&number.to_le_bytes());
        self.bounds = match self.bounds {
            Bounds::None => Bounds::Long(number, number),
            Bounds::Long(least, greatest) => Bounds::Long(least.min(number), greatest.max(number)),
            _ => Bounds::Mixed,
        };
        self.added()
    }

    fn added(&mut self) -> u32 {
        let code = self.count;
        self.count = code.saturating_add(1);
        code
    }

    /// How many values there are.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Bytes of its page. One of a megabyte or more does not belong into a lake object: write the values instead.
    pub fn bytes(&self) -> usize {
        self.page.len()
    }

    pub(crate) fn page(&self) -> &[u8] {
        &self.page
    }

    /// What a footer says of a column of these values; `None` when the column holds values of another type.
    pub(crate) fn statistics(&self, column: Type, nulls: u64) -> Option<Statistics> {
        let nulls = Some(nulls);
        Some(match (&self.bounds, column) {
            (Bounds::Text(least, greatest), Type::BYTE_ARRAY) => {
                let short = |bytes: &Vec<u8>| (bytes.len() <= LONGEST).then(|| ByteArray::from(bytes.clone()));
                Statistics::byte_array(short(least), short(greatest), None, nulls, false)
            }
            (Bounds::Int(least, greatest), Type::INT32) => {
                Statistics::int32(Some(*least), Some(*greatest), None, nulls, false)
            }
            (Bounds::Long(least, greatest), Type::INT64) => {
                Statistics::int64(Some(*least), Some(*greatest), None, nulls, false)
            }
            (Bounds::None, Type::BYTE_ARRAY) => Statistics::byte_array(None, None, None, nulls, false),
            (Bounds::None, Type::INT32) => Statistics::int32(None, None, None, nulls, false),
            (Bounds::None, Type::INT64) => Statistics::int64(None, None, None, nulls, false),
            _ => return None,
        })
    }
}
