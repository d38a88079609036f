//! Whether a text can be embedded in an envelope as the JSON document that it is.

use super::MAX_EMBEDDED_DEPTH;

/// Whether `text` is exactly one JSON object, array, number, boolean or `null`, without white space around it, not
/// deeper than [`MAX_EMBEDDED_DEPTH`], and not to be mistaken for `{"base64":…}`.
///
/// Strict by RFC 8259, so that whatever passes is read back by any JSON reader. Escapes of lone surrogates pass: readers
/// that skip a value do not decode them.
pub(super) fn is_embeddable(text: &str) -> bool {
    let bytes = text.as_bytes();
    // A string is no candidate: as a body it would be read as the text inside.
    let begins = matches!(bytes.first(), Some(b'{' | b'[' | b't' | b'f' | b'n' | b'-' | b'0'..=b'9'));
    begins && Scanner { bytes, at: 0 }.document() == Some(true)
}

struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// Open containers, one bit each: set for an object.
#[derive(Default)]
struct Open {
    objects: u128,
    depth: usize,
}

const _: () = assert!(MAX_EMBEDDED_DEPTH <= 128, "one bit of a u128 for each level");

impl Open {
    fn push(&mut self, object: bool) -> Option<()> {
        if self.depth >= MAX_EMBEDDED_DEPTH {
            return None;
        }
        self.objects = self.objects << 1 | u128::from(object);
        self.depth += 1;
        Some(())
    }

    fn in_object(&self) -> bool {
        self.objects & 1 == 1
    }

    fn pop(&mut self) {
        self.objects >>= 1;
        self.depth -= 1;
    }
}

impl Scanner<'_> {
    /// `None` when the text is no JSON or too deep; else whether it ended with the value and its first name is harmless.
    fn document(&mut self) -> Option<bool> {
        let mut open = Open::default();
        let mut harmless = true;
        loop {
            let begun = match self.peek()? {
                begin @ (b'{' | b'[') => {
                    self.at += 1;
                    self.space();
                    let object = begin == b'{';
                    let outermost = open.depth == 0;
                    open.push(object)?;
                    if self.peek()? == if object { b'}' } else { b']' } {
                        self.at += 1;
                        open.pop();
                        false
                    } else {
                        if object {
                            let name = self.name()?;
                            // Written with an escape it may be the name after all.
                            harmless &= !(outermost && (name == b"base64" || name.contains(&b'\\')));
                        }
                        true
                    }
                }
                b'"' => self.string().map(|()| false)?,
                b't' => self.literal(b"true")?,
                b'f' => self.literal(b"false")?,
                b'n' => self.literal(b"null")?,
                _ => self.number()?,
            };
            if !begun && !self.after_value(&mut open)? {
                return Some(harmless && self.at == self.bytes.len());
            }
        }
    }

    /// Moves from the end of a value to the next one. `false` at the end of the document.
    fn after_value(&mut self, open: &mut Open) -> Option<bool> {
        while open.depth > 0 {
            self.space();
            let byte = self.peek()?;
            self.at += 1;
            match byte {
                b',' => {
                    self.space();
                    if open.in_object() {
                        self.name()?;
                    }
                    return Some(true);
                }
                b'}' if open.in_object() => open.pop(),
                b']' if !open.in_object() => open.pop(),
                _ => return None,
            }
        }
        Some(false)
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// A member's name with the colon and the space after it; returns what stands between the quotes.
    fn name(&mut self) -> Option<&[u8]> {
        let from = self.at + 1;
        self.string()?;
        let to = self.at - 1;
        self.space();
        if self.peek()? != b':' {
            return None;
        }
        self.at += 1;
        self.space();
        self.bytes.get(from..to)
    }

    fn string(&mut self) -> Option<()> {
        if self.peek()? != b'"' {
            return None;
        }
        self.at += 1;
        loop {
            self.plain();
            match self.peek()? {
                b'"' => {
                    self.at += 1;
                    return Some(());
                }
                b'\\' => {
                    let escape = *self.bytes.get(self.at + 1)?;
                    self.at += 2;
                    match escape {
                        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => {}
                        b'u' => {
                            let digits = self.bytes.get(self.at..self.at + 4)?;
                            if !digits.iter().all(u8::is_ascii_hexdigit) {
                                return None;
                            }
                            self.at += 4;
                        }
                        _ => return None,
                    }
                }
                0..=0x1f => return None,
                _ => self.at += 1,
            }
        }
    }

    /// Skips whole words of eight bytes that hold no quote, no backslash and no control character: the strings are most
    /// of an event.
    fn plain(&mut self) {
        const ONES: u64 = 0x0101_0101_0101_0101;
        const HIGH: u64 = 0x8080_8080_8080_8080;
        let has_zero = |word: u64| word.wrapping_sub(ONES) & !word & HIGH;
        while let Some(chunk) = self.bytes.get(self.at..).and_then(|rest| rest.first_chunk::<8>()) {
            let word = u64::from_le_bytes(*chunk);
            let quote = has_zero(word ^ (ONES * u64::from(b'"')));
            let backslash = has_zero(word ^ (ONES * u64::from(b'\\')));
            let control = word.wrapping_sub(ONES * 0x20) & !word & HIGH;
            let stop = quote | backslash | control;
            if stop != 0 {
                // The lowest set bit is exact: borrows only disturb bytes above the first hit.
                self.at += stop.trailing_zeros() as usize / 8;
                return;
            }
            self.at += 8;
        }
    }

    fn literal(&mut self, word: &[u8]) -> Option<bool> {
        let to = self.at + word.len();
        if self.bytes.get(self.at..to)? != word {
            return None;
        }
        self.at = to;
        Some(false)
    }

    fn number(&mut self) -> Option<bool> {
        if self.peek()? == b'-' {
            self.at += 1;
        }
        if self.peek()? == b'0' {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Some(false)
    }

    fn digits(&mut self) -> Option<()> {
        let from = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        (self.at > from).then_some(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn documents_are_embedded() {
        for text in [
            "{}",
            "[]",
            "null",
            "true",
            "false",
            "0",
            "-0",
            "-1.5e+10",
            "1e400",
            "123456789012345678901234567890",
            r#"{"a":1,"a":2}"#,
            "{\n \"a\" : [ 1 ,\t2 ] }",
            r#"{"a":"\ud800"}"#,
            r#"["base64"]"#,
            "[\"\u{7f}\u{ffff}\"]",
            r#"{"a":{"base64":"AA=="}}"#,
            r#"{"base64x":1}"#,
            r#"{"a":"0123456\"89\\"}"#,
        ] {
            assert!(is_embeddable(text), "{text}");
            assert!(serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn other_texts_are_not() {
        for text in [
            "",
            " {}",
            "{} ",
            "{}\n",
            "\"a\"",
            "{",
            "[1,]",
            "[,1]",
            "{\"a\"}",
            "{\"a\":}",
            "{,}",
            "{\"a\":1,}",
            "01",
            "1.",
            ".5",
            "1e",
            "+1",
            "tru",
            "nul",
            "NaN",
            "{}{}",
            "{} {}",
            "[1}",
            "{\"a\":1]",
            "[\"\t\"]",
            "[\"\0\"]",
            "[\"\\x\"]",
            "[\"\\u12\"]",
            "[\"a",
            "-",
            "\u{feff}{}",
            "{'a':1}",
            "[1]]",
            "[\"aaaaaaa\u{1}aaaaaaaaaaaaaa\"]",
            r#"{"base64":"AA=="}"#,
            "{ \"base64\" : 1, \"b\": 2}",
            r#"{"b\u0061se64":"AA=="}"#,
        ] {
            assert!(!is_embeddable(text), "{text:?}");
        }
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(is_embeddable(&nested(MAX_EMBEDDED_DEPTH)));
        assert!(!is_embeddable(&nested(MAX_EMBEDDED_DEPTH + 1)));
        assert!(!is_embeddable(&format!("{{\"a\":{}}}", nested(MAX_EMBEDDED_DEPTH))));
        assert!(!is_embeddable(&nested(10_000)));
    }

    proptest! {
        /// Held to a reader that was written by others.
        #[test]
        fn agrees_with_a_json_reader(text in "[{\\[\"a1:,.eE+\\-}\\] \\\\u0]{1,24}") {
            let read = serde_json::from_str::<&serde_json::value::RawValue>(&text);
            let document = read.is_ok_and(|raw| raw.get() == text && !text.starts_with('"'));
            prop_assert_eq!(is_embeddable(&text), document);
        }
    }
}
