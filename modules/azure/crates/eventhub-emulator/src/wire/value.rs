//! The length of an encoded value, and the few encodings that are written by hand because they are hot.

use bytes::{BufMut, BytesMut};

use super::Malformed;

/// Descriptors nest only in hostile data.
const MAX_DESCRIPTOR_DEPTH: usize = 8;

/// The length in bytes of the encoded value that `bytes` starts with.
///
/// The first nibble of a constructor tells the width of what follows, so that values can be skipped without
/// knowing their type (AMQP 1.0 part 1, section 1.2).
pub(crate) fn value_len(bytes: &[u8]) -> Result<usize, Malformed> {
    let len = encoded_len(bytes, 0)?;
    if len > bytes.len() { Err(Malformed("a value runs past the end of its frame")) } else { Ok(len) }
}

fn encoded_len(bytes: &[u8], depth: usize) -> Result<usize, Malformed> {
    let constructor = *bytes.first().ok_or(Malformed("a value is missing"))?;
    if constructor == 0x00 {
        if depth == MAX_DESCRIPTOR_DEPTH {
            return Err(Malformed("descriptors nest too deep"));
        }
        let rest = bytes.get(1..).unwrap_or_default();
        let descriptor = encoded_len(rest, depth + 1)?;
        let described = rest.get(descriptor..).ok_or(Malformed("a descriptor runs past the end of its frame"))?;
        return Ok(1 + descriptor + encoded_len(described, depth + 1)?);
    }
    Ok(match constructor >> 4 {
        0x4 => 1,
        0x5 => 2,
        0x6 => 3,
        0x7 => 5,
        0x8 => 9,
        0x9 => 17,
        0xa | 0xc | 0xe => 2 + usize::from(*bytes.get(1).ok_or(Malformed("a size is missing"))?),
        0xb | 0xd | 0xf => {
            let size = bytes.get(1..5).and_then(|size| size.try_into().ok()).ok_or(Malformed("a size is missing"))?;
            5 + u32::from_be_bytes(size) as usize
        }
        _ => return Err(Malformed("unknown constructor")),
    })
}

/// The numeric descriptor (low byte) of a described value, and the length of constructor and descriptor.
pub(crate) fn descriptor(bytes: &[u8]) -> Result<(u64, usize), Malformed> {
    match bytes {
        [0x00, 0x53, code, ..] => Ok((u64::from(*code), 3)),
        [0x00, 0x80, a, b, c, d, e, f, g, h, ..] => Ok((u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]), 10)),
        [0x00, ..] => Err(Malformed("a symbolic descriptor where a numeric one is usual")),
        _ => Err(Malformed("a described value was expected")),
    }
}

/// The content of an encoded binary value.
pub(crate) fn binary(bytes: &[u8]) -> Result<std::ops::Range<usize>, Malformed> {
    let len = value_len(bytes)?;
    match bytes.first() {
        Some(0xa0) => Ok(2..len),
        Some(0xb0) => Ok(5..len),
        _ => Err(Malformed("a data section does not hold binary")),
    }
}

/// Encodings that every delivery needs.
pub(crate) trait PutValue {
    /// The shortest encoding of an unsigned 32-bit integer.
    fn put_amqp_uint(&mut self, value: u32);
    /// A 64-bit integer.
    fn put_amqp_long(&mut self, value: i64);
    /// Milliseconds since 1970.
    fn put_amqp_timestamp(&mut self, milliseconds: i64);
    /// A string of at most 255 bytes in the short form, else the long one.
    fn put_amqp_string(&mut self, value: &str);
    /// A symbol of at most 255 bytes.
    fn put_amqp_symbol(&mut self, value: &str);
}

impl PutValue for BytesMut {
    fn put_amqp_uint(&mut self, value: u32) {
        match u8::try_from(value) {
            Ok(0) => self.put_u8(0x43),
            Ok(small) => self.put_slice(&[0x52, small]),
            Err(_) => {
                self.put_u8(0x70);
                self.put_u32(value);
            }
        }
    }

    fn put_amqp_long(&mut self, value: i64) {
        self.put_u8(0x81);
        self.put_i64(value);
    }

    fn put_amqp_timestamp(&mut self, milliseconds: i64) {
        self.put_u8(0x83);
        self.put_i64(milliseconds);
    }

    fn put_amqp_string(&mut self, value: &str) {
        match u8::try_from(value.len()) {
            Ok(short) => self.put_slice(&[0xa1, short]),
            Err(_) => {
                self.put_u8(0xb1);
                self.put_u32(value.len() as u32);
            }
        }
        self.put_slice(value.as_bytes());
    }

    fn put_amqp_symbol(&mut self, value: &str) {
        debug_assert!(value.len() < 256, "symbols written by hand are short constants");
        self.put_slice(&[0xa3, value.len() as u8]);
        self.put_slice(value.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_every_width() {
        assert_eq!(value_len(&[0x40]).unwrap(), 1);
        assert_eq!(value_len(&[0x53, 9]).unwrap(), 2);
        assert_eq!(value_len(&[0xa1, 2, b'h', b'i', 0xff]).unwrap(), 4);
        assert_eq!(value_len(&[0x00, 0x53, 0x75, 0xb0, 0, 0, 0, 1, 7]).unwrap(), 9);
    }

    #[test]
    fn hostile_lengths_are_refused() {
        for bytes in [&[][..], &[0xa1], &[0xa1, 5, 1], &[0xb0, 0, 0], &[0xb0, 255, 255, 255, 255], &[0x10], &[0; 40]] {
            assert!(value_len(bytes).is_err(), "{bytes:?}");
        }
    }
}
