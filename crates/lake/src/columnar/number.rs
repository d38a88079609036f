//! Numbers that columns hold.

use parquet::basic::{Encoding, Type};
use parquet::file::statistics::Statistics;

use super::bits;

mod sealed {
    pub trait Sealed {}
    impl Sealed for i32 {}
    impl Sealed for i64 {}
}

/// A number as a column holds it.
pub trait Number: Copy + Ord + sealed::Sealed {
    #[doc(hidden)]
    const PHYSICAL: Type;
    #[doc(hidden)]
    const ENCODING: Encoding;
    #[doc(hidden)]
    const BITS: usize;
    #[doc(hidden)]
    fn statistics(least: Option<Self>, greatest: Option<Self>, nulls: u64) -> Statistics;
    #[doc(hidden)]
    fn write(numbers: &[Self], out: &mut Vec<u8>);
}

impl Number for i64 {
    const PHYSICAL: Type = Type::INT64;
    const ENCODING: Encoding = Encoding::DELTA_BINARY_PACKED;
    const BITS: usize = 64;

    fn statistics(least: Option<Self>, greatest: Option<Self>, nulls: u64) -> Statistics {
        Statistics::int64(least, greatest, None, Some(nulls), false)
    }

    fn write(numbers: &[Self], out: &mut Vec<u8>) {
        bits::deltas(numbers, out);
    }
}

impl Number for i32 {
    const PHYSICAL: Type = Type::INT32;
    const ENCODING: Encoding = Encoding::PLAIN;
    const BITS: usize = 32;

    fn statistics(least: Option<Self>, greatest: Option<Self>, nulls: u64) -> Statistics {
        Statistics::int32(least, greatest, None, Some(nulls), false)
    }

    fn write(numbers: &[Self], out: &mut Vec<u8>) {
        numbers.iter().for_each(|number| out.extend_from_slice(&number.to_le_bytes()));
    }
}
