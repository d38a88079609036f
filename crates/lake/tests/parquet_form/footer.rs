//! The raw footer of a Parquet file, by a reader of the Thrift compact protocol of its own: what the bytes say, not what
//! the library that wrote them makes of them.

use std::collections::BTreeMap;

/// Raw parts of `FileMetaData`.
pub(crate) struct Footer {
    /// Field 2, `list<SchemaElement>`, byte for byte.
    pub(crate) schema: Vec<u8>,
    /// Field 5, `key_value_metadata`.
    pub(crate) metadata: BTreeMap<String, String>,
    /// Length of the footer in bytes.
    pub(crate) length: usize,
}

pub(crate) fn read(file: &[u8]) -> Footer {
    let end = file.len() - 8;
    assert_eq!(&file[..4], b"PAR1");
    assert_eq!(&file[end + 4..], b"PAR1");
    let length = u32::from_le_bytes(file[end..end + 4].try_into().unwrap()) as usize;
    let mut thrift = Thrift { bytes: &file[end - length..end], at: 0 };
    let (mut schema, mut metadata) = (Vec::new(), BTreeMap::new());
    let mut field = 0;
    while let Some(ty) = thrift.field(&mut field) {
        let start = thrift.at;
        match field {
            2 => {
                thrift.skip(ty);
                schema = thrift.bytes[start..thrift.at].to_vec();
            }
            5 => {
                for _ in 0..thrift.list().0 {
                    let (mut inner, mut pair) = (0, [const { String::new() }; 2]);
                    while let Some(ty) = thrift.field(&mut inner) {
                        assert_eq!(ty, 8);
                        pair[inner as usize - 1] = thrift.text();
                    }
                    let [key, value] = pair;
                    metadata.insert(key, value);
                }
            }
            _ => thrift.skip(ty),
        }
    }
    assert!(!schema.is_empty());
    Footer { schema, metadata, length }
}

struct Thrift<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl Thrift<'_> {
    fn byte(&mut self) -> u8 {
        self.at += 1;
        self.bytes[self.at - 1]
    }

    fn varint(&mut self) -> u64 {
        let (mut value, mut shift) = (0, 0);
        loop {
            let byte = self.byte();
            value |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                return value;
            }
        }
    }

    fn text(&mut self) -> String {
        let length = self.varint() as usize;
        self.at += length;
        String::from_utf8(self.bytes[self.at - length..self.at].to_vec()).unwrap()
    }

    /// Count and type of a list's elements.
    fn list(&mut self) -> (u64, u8) {
        let head = self.byte();
        let count = if head >> 4 == 15 { self.varint() } else { u64::from(head >> 4) };
        (count, head & 15)
    }

    /// The next field's type; `None` at the end of the struct.
    fn field(&mut self, id: &mut i64) -> Option<u8> {
        let head = self.byte();
        if head == 0 {
            return None;
        }
        *id = if head >> 4 == 0 {
            let zigzag = self.varint();
            (zigzag >> 1) as i64 ^ -((zigzag & 1) as i64)
        } else {
            *id + i64::from(head >> 4)
        };
        Some(head & 15)
    }

    fn skip(&mut self, ty: u8) {
        match ty {
            1 | 2 => {}
            3 => self.at += 1,
            4..=6 => drop(self.varint()),
            7 => self.at += 8,
            8 => {
                let length = self.varint() as usize;
                self.at += length;
            }
            9 | 10 => {
                let (count, inner) = self.list();
                // In a list a boolean takes a byte.
                (0..count).for_each(|_| if inner <= 2 { self.at += 1 } else { self.skip(inner) });
            }
            12 => {
                let mut id = 0;
                while let Some(ty) = self.field(&mut id) {
                    self.skip(ty);
                }
            }
            other => panic!("thrift type {other} is in no parquet footer"),
        }
    }
}
