//! Texts by number, each kept once.

use std::collections::HashMap;

/// The code of a text that is not there.
pub(crate) const ABSENT: u32 = u32::MAX;

#[derive(Debug, Default)]
pub(crate) struct Texts {
    codes: HashMap<Box<str>, u32>,
    texts: Vec<Box<str>>,
    bytes: usize,
}

impl Texts {
    pub(crate) fn code(&mut self, text: &str) -> u32 {
        if let Some(code) = self.codes.get(text) {
            return *code;
        }
        let code = u32::try_from(self.texts.len()).unwrap_or(ABSENT);
        self.bytes += text.len();
        self.texts.push(text.into());
        self.codes.insert(text.into(), code);
        code
    }

    pub(crate) fn optional(&mut self, text: Option<&str>) -> u32 {
        text.filter(|text| !text.is_empty()).map_or(ABSENT, |text| self.code(text))
    }

    pub(crate) fn get(&self, code: u32) -> Option<&str> {
        self.texts.get(code as usize).map(AsRef::as_ref)
    }

    pub(crate) fn count(&self) -> usize {
        self.texts.len()
    }

    /// Bytes of all of them.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}
