//! What no attribute is for: `unmapped` of every row.

use std::collections::HashMap;

use tributary_lake::{Dictionary, MISFILED_PATH, Misfiled, Slot};

use super::rows::Rows;

/// Path of a tuple's word for encryption.
const ENCRYPTION: &str = "encryption";

/// The columns of keys and values.
#[derive(Default)]
pub(crate) struct Unmapped {
    pub(crate) keys: Dictionary,
    pub(crate) values: Dictionary,
    pub(crate) key_codes: Vec<u32>,
    pub(crate) value_codes: Vec<u32>,
    pub(crate) slots: Vec<Slot>,
}

/// Codes of a dictionary's texts.
#[derive(Default)]
struct Known(HashMap<String, u32>);

impl Known {
    fn code(&mut self, dictionary: &mut Dictionary, text: &str) -> u32 {
        if let Some(code) = self.0.get(text) {
            return *code;
        }
        let code = dictionary.text(text);
        self.0.insert(text.to_owned(), code);
        code
    }
}

/// `misfiled` is by row of `order`, empty where none is.
pub(crate) fn unmapped(rows: &Rows, order: &[u32], misfiled: &[Option<Misfiled>]) -> Unmapped {
    let mut made = Unmapped::default();
    let (mut keys, mut values) = (Known::default(), Known::default());
    // Rows of one record and one word have the same entries; there are few of these.
    let mut shapes: HashMap<(u32, u8, Option<Misfiled>), usize> = HashMap::new();
    let mut entries: Vec<Vec<(u32, u32)>> = Vec::new();
    let mut last = None;
    for (at, row) in order.iter().enumerate() {
        let row = *row as usize;
        let (Some(context), Some(word)) = (rows.context.get(row), rows.encryption.get(row)) else { continue };
        let Some(context) = rows.contexts.get(*context as usize) else { continue };
        let key = (context.record, *word, misfiled.get(at).copied().flatten());
        let shape = match last {
            Some((known, shape)) if known == key => shape,
            _ => *shapes.entry(key).or_insert_with(|| {
                let texts = texts(rows, key);
                let codes = texts
                    .iter()
                    .map(|(path, text)| (keys.code(&mut made.keys, path), values.code(&mut made.values, text)));
                entries.push(codes.collect());
                entries.len() - 1
            }),
        };
        last = Some((key, shape));
        let Some(found) = entries.get(shape) else { continue };
        if found.is_empty() {
            made.slots.push(Slot::None);
        }
        for (at, (key, value)) in found.iter().enumerate() {
            made.slots.push(if at == 0 { Slot::First } else { Slot::Further });
            made.key_codes.push(*key);
            made.value_codes.push(*value);
        }
    }
    made
}

/// The entries of a row, by path.
fn texts(rows: &Rows, (record, word, misfiled): (u32, u8, Option<Misfiled>)) -> Vec<(&str, &str)> {
    let extras = rows.records.get(record as usize).map(|info| info.extras.as_slice()).unwrap_or_default();
    let mut texts: Vec<(&str, &str)> = extras
        .iter()
        .filter_map(|(path, text)| Some((rows.texts.get(*path)?, rows.texts.get(*text)?)))
        // What a row says of itself counts, whatever the record calls its members.
        .filter(|(path, _)| *path != ENCRYPTION && *path != MISFILED_PATH)
        .collect();
    if let Some(word) = rows.encryptions.get(usize::from(word)).filter(|word| !word.is_empty()) {
        texts.push((ENCRYPTION, word));
    }
    if let Some(why) = misfiled {
        texts.push((MISFILED_PATH, why.as_str()));
    }
    texts.sort_unstable();
    texts
}
