//! Levels and dictionary codes as Parquet's hybrid of runs and packed bits, and numbers as packed differences.

/// Bits that a number up to `most` takes.
pub(crate) fn width(most: u32) -> u8 {
    // At most 32.
    (u32::BITS - most.leading_zeros()) as u8
}

fn varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn zigzag(number: i64, out: &mut Vec<u8>) {
    varint(((number << 1) ^ (number >> 63)) as u64, out);
}

/// `count` times the same value, as one run.
pub(crate) fn run(value: u32, count: usize, width: u8, out: &mut Vec<u8>) {
    varint((count as u64) << 1, out);
    let bytes = value.to_le_bytes();
    out.extend_from_slice(bytes.get(..usize::from(width.div_ceil(8))).unwrap_or(&bytes));
}

/// Values below `1 << width` each: one run if all are the same, else packed bits. What is left of the last group of eight is
/// zero; readers know the count.
pub(crate) fn hybrid<T: Copy + Into<u32>>(values: &[T], width: u8, out: &mut Vec<u8>) {
    let Some(first) = values.first().map(|first| (*first).into()) else { return };
    if values.iter().all(|value| (*value).into() == first) {
        return run(first, values.len(), width, out);
    }
    varint((values.len().div_ceil(8) as u64) << 1 | 1, out);
    let groups = values.chunks_exact(8);
    let rest = groups.remainder();
    out.reserve(values.len().div_ceil(8) * usize::from(width));
    for group in groups {
        pack(group, width, out);
    }
    if !rest.is_empty() {
        let mut group = [0_u32; 8];
        group.iter_mut().zip(rest).for_each(|(slot, value)| *slot = (*value).into());
        pack(&group, width, out);
    }
}

/// Eight values as `width` bytes.
fn pack<T: Copy + Into<u32>>(group: &[T], width: u8, out: &mut Vec<u8>) {
    if width <= 8 {
        let mut bits = 0_u64;
        for value in group.iter().rev() {
            bits = bits << width | u64::from((*value).into());
        }
        let bytes = bits.to_le_bytes();
        out.extend_from_slice(bytes.get(..usize::from(width)).unwrap_or(&bytes));
        return;
    }
    for half in group.chunks(4) {
        let mut bits = 0_u128;
        for value in half.iter().rev() {
            bits = bits << width | u128::from((*value).into());
        }
        // Four values of more than eight bits each are whole bytes only together with the other four where the width is odd.
        if width.is_multiple_of(2) {
            let bytes = bits.to_le_bytes();
            out.extend_from_slice(bytes.get(..usize::from(width / 2)).unwrap_or(&bytes));
        } else {
            return pack_odd(group, width, out);
        }
    }
}

fn pack_odd<T: Copy + Into<u32>>(group: &[T], width: u8, out: &mut Vec<u8>) {
    let (mut bits, mut held) = (0_u64, 0_u32);
    for value in group {
        bits |= u64::from((*value).into()) << held;
        held += u32::from(width);
        while held >= 8 {
            out.push(bits as u8);
            bits >>= 8;
            held -= 8;
        }
    }
}

/// Values of a block and of each of its four parts.
const BLOCK: usize = 128;
const PART: usize = BLOCK / 4;

/// Numbers by `DELTA_BINARY_PACKED`: differences from one to the next, less the block's least, in as few bits as a part of
/// 32 needs.
pub(crate) fn deltas(values: &[i64], out: &mut Vec<u8>) {
    varint(BLOCK as u64, out);
    varint(4, out);
    varint(values.len() as u64, out);
    let Some((first, rest)) = values.split_first() else { return zigzag(0, out) };
    zigzag(*first, out);
    let mut before = *first;
    for block in rest.chunks(BLOCK) {
        let mut differences = [0_i64; BLOCK];
        let mut least = i64::MAX;
        for (slot, value) in differences.iter_mut().zip(block) {
            *slot = value.wrapping_sub(before);
            least = least.min(*slot);
            before = *value;
        }
        zigzag(least, out);
        let mut packed = [0_u64; BLOCK];
        let used = packed.iter_mut().zip(&differences).take(block.len());
        used.for_each(|(slot, difference)| *slot = difference.wrapping_sub(least) as u64);
        let widths = [0, 1, 2, 3].map(|part| {
            let all = packed.iter().skip(part * PART).take(PART).fold(0, |all, value| all | value);
            (u64::BITS - all.leading_zeros()) as u8
        });
        out.extend_from_slice(&widths);
        for (part, width) in packed.chunks(PART).zip(widths).take(block.len().div_ceil(PART)) {
            pack_wide(part, width, out);
        }
    }
}

/// 32 values of up to 64 bits as `width * 4` bytes.
fn pack_wide(values: &[u64], width: u8, out: &mut Vec<u8>) {
    let (mut bits, mut held) = (0_u128, 0_u32);
    for value in values {
        bits |= u128::from(*value) << held;
        held += u32::from(width);
        if held >= 64 {
            out.extend_from_slice(&(bits as u64).to_le_bytes());
            bits >>= 64;
            held -= 64;
        }
    }
    // 32 values fill whole words where the width is even, else half a word more.
    let left = (bits as u64).to_le_bytes();
    out.extend_from_slice(left.get(..(held / 8) as usize).unwrap_or(&left));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read_varint(bytes: &mut &[u8]) -> u64 {
        let (mut number, mut shift) = (0, 0);
        loop {
            let byte = bytes[0];
            *bytes = &bytes[1..];
            number |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 {
                return number;
            }
        }
    }

    fn read_zigzag(bytes: &mut &[u8]) -> i64 {
        let number = read_varint(bytes);
        (number >> 1) as i64 ^ -((number & 1) as i64)
    }

    fn bit(bytes: &[u8], at: usize) -> u64 {
        u64::from(bytes[at / 8] >> (at % 8) & 1)
    }

    fn value(bytes: &[u8], index: usize, width: u8) -> u64 {
        let width = usize::from(width);
        (0..width).fold(0, |all, offset| all | bit(bytes, index * width + offset) << offset)
    }

    proptest! {
        #[test]
        fn codes_read_back(most in 0_u32.., values in prop::collection::vec(any::<u32>(), 1..200)) {
            let width = width(most);
            let values: Vec<u32> = values.into_iter().map(|value| if most == u32::MAX { value } else { value % (most + 1) }).collect();
            let mut out = Vec::new();
            hybrid(&values, width, &mut out);
            let mut bytes = &out[..];
            let head = read_varint(&mut bytes);
            if head & 1 == 0 {
                prop_assert_eq!(head >> 1, values.len() as u64);
                prop_assert_eq!(bytes.len(), usize::from(width.div_ceil(8)));
                prop_assert!(values.iter().all(|value| u64::from(*value) == value_of_run(bytes)));
            } else {
                prop_assert_eq!(bytes.len(), (head >> 1) as usize * usize::from(width));
                for (index, expected) in values.iter().enumerate() {
                    prop_assert_eq!(value(bytes, index, width), u64::from(*expected));
                }
            }
        }

        #[test]
        fn differences_read_back(values in prop_oneof![
            prop::collection::vec(any::<i64>(), 0..400),
            prop::collection::vec(0_i64..100_000, 0..400),
            prop::collection::vec(Just(7_i64), 0..400),
        ]) {
            let mut out = Vec::new();
            deltas(&values, &mut out);
            let mut bytes = &out[..];
            prop_assert_eq!(read_varint(&mut bytes), 128);
            prop_assert_eq!(read_varint(&mut bytes), 4);
            let count = read_varint(&mut bytes) as usize;
            prop_assert_eq!(count, values.len());
            let mut found = vec![read_zigzag(&mut bytes)];
            while found.len() < count {
                let least = read_zigzag(&mut bytes);
                let widths: [u8; 4] = bytes[..4].try_into().unwrap();
                bytes = &bytes[4..];
                for width in widths {
                    if found.len() >= count {
                        break;
                    }
                    for index in 0..PART.min(count - found.len()) {
                        let difference = least.wrapping_add(value(bytes, index, width) as i64);
                        found.push(found[found.len() - 1].wrapping_add(difference));
                    }
                    bytes = &bytes[usize::from(width) * 4..];
                }
            }
            prop_assert!(bytes.is_empty());
            found.truncate(count);
            prop_assert_eq!(found, values);
        }
    }

    fn value_of_run(bytes: &[u8]) -> u64 {
        bytes.iter().rev().fold(0, |all, byte| all << 8 | u64::from(*byte))
    }
}
