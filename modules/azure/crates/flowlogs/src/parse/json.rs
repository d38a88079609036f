//! A walk over one JSON document's bytes: members and elements are handed out as they come, nothing is kept.

use std::borrow::Cow;

/// Deepest nesting that is walked.
const MAX_DEPTH: u32 = 64;

/// The document is no JSON, or ends too early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Broken {
    /// Something else was expected at this byte.
    At(usize),
    /// Nested deeper than [`MAX_DEPTH`].
    Deep,
}

/// A place in a document.
#[derive(Debug, Clone)]
pub(crate) struct Walk<'j> {
    bytes: &'j [u8],
    pub(crate) at: usize,
}

/// A string's content as it stands between its quotes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Raw<'j> {
    pub(crate) bytes: &'j [u8],
    escaped: bool,
}

impl<'j> Raw<'j> {
    /// The text; `None` where the bytes are no text.
    pub(crate) fn text(&self) -> Option<Cow<'j, str>> {
        if !self.escaped {
            return std::str::from_utf8(self.bytes).ok().map(Cow::Borrowed);
        }
        let quoted = [b"\"", self.bytes, b"\""].concat();
        serde_json::from_slice::<String>(&quoted).ok().map(Cow::Owned)
    }
}

impl<'j> Walk<'j> {
    pub(crate) fn new(bytes: &'j [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// What follows.
    pub(crate) fn rest(&self) -> &'j [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// The next byte that is no blank.
    pub(crate) fn peek(&mut self) -> Option<u8> {
        loop {
            match self.bytes.get(self.at)? {
                b' ' | b'\t' | b'\r' | b'\n' => self.at += 1,
                byte => return Some(*byte),
            }
        }
    }

    fn broken<T>(&self) -> Result<T, Broken> {
        Err(Broken::At(self.at))
    }

    fn take(&mut self, byte: u8) -> Result<(), Broken> {
        if self.peek() != Some(byte) {
            return self.broken();
        }
        self.at += 1;
        Ok(())
    }

    /// Whether nothing but blanks follows.
    pub(crate) fn ended(&mut self) -> bool {
        self.peek().is_none()
    }

    pub(crate) fn string(&mut self) -> Result<Raw<'j>, Broken> {
        self.take(b'"')?;
        let start = self.at;
        let mut escaped = false;
        loop {
            let Some(found) = memchr::memchr2(b'"', b'\\', self.rest()) else {
                self.at = self.bytes.len();
                return self.broken();
            };
            self.at += found;
            if self.bytes.get(self.at) == Some(&b'"') {
                let bytes = self.bytes.get(start..self.at).unwrap_or_default();
                self.at += 1;
                return Ok(Raw { bytes, escaped });
            }
            escaped = true;
            self.at += 2;
        }
    }

    /// Hands out each member: its name, and the walk before its value, which must be taken or skipped.
    pub(crate) fn members(
        &mut self,
        mut member: impl FnMut(Raw<'j>, &mut Self) -> Result<(), Broken>,
    ) -> Result<(), Broken> {
        self.take(b'{')?;
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        loop {
            let name = self.string()?;
            self.take(b':')?;
            member(name, self)?;
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return self.broken(),
            }
            self.peek();
        }
    }

    /// Hands out the walk before each element, which must be taken or skipped.
    pub(crate) fn elements(&mut self, mut element: impl FnMut(&mut Self) -> Result<(), Broken>) -> Result<(), Broken> {
        self.take(b'[')?;
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.peek();
            element(self)?;
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return self.broken(),
            }
        }
    }

    /// Skips one value and returns its bytes. Only nesting and strings are looked at.
    pub(crate) fn skip(&mut self) -> Result<&'j [u8], Broken> {
        let first = self.peek();
        let start = self.at;
        match first {
            Some(b'"') => drop(self.string()?),
            Some(b'{' | b'[') => self.nested()?,
            Some(b't' | b'f' | b'n' | b'-' | b'0'..=b'9') => {
                let ends = |byte: &u8| matches!(byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\r' | b'\n');
                self.at += self.rest().iter().position(ends).unwrap_or(self.rest().len());
            }
            _ => return self.broken(),
        }
        Ok(self.bytes.get(start..self.at).unwrap_or_default())
    }

    fn nested(&mut self) -> Result<(), Broken> {
        // One bit a level: whether it is an object.
        let (mut kinds, mut depth) = (0_u64, 0_u32);
        loop {
            match self.bytes.get(self.at) {
                Some(b'"') => {
                    self.string()?;
                    continue;
                }
                Some(open @ (b'{' | b'[')) => {
                    if depth == MAX_DEPTH {
                        return Err(Broken::Deep);
                    }
                    kinds = kinds << 1 | u64::from(*open == b'{');
                    depth += 1;
                }
                Some(close @ (b'}' | b']')) => {
                    if (kinds & 1 == 1) != (*close == b'}') {
                        return self.broken();
                    }
                    kinds >>= 1;
                    depth -= 1;
                    if depth == 0 {
                        self.at += 1;
                        return Ok(());
                    }
                }
                Some(_) => {}
                None => return self.broken(),
            }
            self.at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn names(text: &str) -> Result<Vec<String>, Broken> {
        let mut found = Vec::new();
        let mut walk = Walk::new(text.as_bytes());
        walk.members(|name, walk| {
            let value = walk.skip()?;
            found.push(format!("{}={}", name.text().unwrap_or_default(), String::from_utf8_lossy(value)));
            Ok(())
        })?;
        Ok(found)
    }

    #[test]
    fn members_and_their_values() {
        let text = r#" { "a" : [1, {"x": "]}\"" }] , "b\u0041":null,"c":"é" } "#;
        assert_eq!(names(text).unwrap(), [r#"a=[1, {"x": "]}\"" }]"#, "bA=null", "c=\"é\""]);
        assert_eq!(names("{}").unwrap(), Vec::<String>::new());
    }

    #[test]
    fn what_is_no_json_is_found_out() {
        for text in [
            "",
            "[",
            "{",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1",
            "{\"a\":1 \"b\":2}",
            "{\"a\":[}",
            "{\"a\":\"",
            "{,}",
            "{\"a\":1,}",
        ] {
            assert!(names(text).is_err(), "{text}");
        }
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(65), "]".repeat(65));
        assert_eq!(names(&deep), Err(Broken::Deep));
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(64), "]".repeat(64));
        assert!(names(&deep).is_ok());
    }
}
