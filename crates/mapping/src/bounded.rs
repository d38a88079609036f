//! Texts that fit the documented limit of the field that they stand in: the limit is part of the type.
//!
//! "Characters" of AWS's pages are counted as UTF-16 code units, the largest of the readings that its services are known
//! to use: what fits so, fits by code points too.

use std::borrow::Cow;

use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};

use crate::view::is_blank;

/// The end of a text that was cut.
pub(crate) const MARK: char = '…';

/// A text that shows something, of at most `MAX` characters. One that is longer is cut, with [`MARK`] as its last character.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Text<'a, const MAX: usize>(Cow<'a, str>);

impl<'a, const MAX: usize> Text<'a, MAX> {
    /// None for a blank text.
    pub(crate) fn new(text: impl Into<Cow<'a, str>>) -> Option<Self> {
        let text = text.into();
        if is_blank(&text) {
            return None;
        }
        match prefix(&text, MAX) {
            None => Some(Self(text)),
            Some(_) => {
                let mut cut = prefix(&text, MAX - 1).unwrap_or(&text).to_owned();
                cut.push(MARK);
                Some(Self(cut.into()))
            }
        }
    }

    /// A text of the program's own, which shows something and fits.
    pub(crate) fn known(text: &'static str) -> Self {
        debug_assert!(!is_blank(text) && text.len() <= MAX);
        Self(Cow::Borrowed(text))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn into_cow(self) -> Cow<'a, str> {
        self.0
    }
}

/// An identifier of at most `MAX` characters. It is never cut: one of `MAX` characters or more becomes its beginning, `#` and
/// the SHA-256 of the whole, exactly `MAX` characters long, so that no two identifiers become one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Id<'a, const MAX: usize>(Cow<'a, str>);

/// Hexadecimal digits of a SHA-256.
const DIGEST: usize = 64;

impl<'a, const MAX: usize> Id<'a, MAX> {
    /// None for a blank text.
    pub(crate) fn new(text: impl Into<Cow<'a, str>>) -> Option<Self> {
        const { assert!(MAX > DIGEST + 1, "no room for a digest") };
        let text = text.into();
        if is_blank(&text) {
            return None;
        }
        if prefix(&text, MAX - 1).is_none() {
            return Some(Self(text));
        }
        let room = MAX - DIGEST;
        let mut id = prefix(&text, room - 1).unwrap_or(&text).to_owned();
        let used: usize = id.chars().map(char::len_utf16).sum();
        // One more `#` where a character of two units did not fit: the length tells a digested id from a whole one.
        id.extend(std::iter::repeat_n('#', room - used));
        id.push_str(&hex(&Sha256::digest(text.as_bytes())));
        Some(Self(id.into()))
    }

    /// A digest as an identifier of its own.
    pub(crate) fn digest(digest: impl AsRef<[u8]>) -> Self {
        Self(hex(digest.as_ref()).into())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn into_cow(self) -> Cow<'a, str> {
        self.0
    }
}

/// A web address of at most 2,048 characters. It is whole or not there: half an address leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Url<'a>(&'a str);

impl<'a> Url<'a> {
    pub(crate) const MAX: usize = 2_048;

    pub(crate) fn new(text: &'a str) -> Option<Self> {
        let web = ["https://", "http://"].iter().any(|scheme| text.len() > scheme.len() && text.starts_with(scheme));
        let clean = || !text.chars().any(|char| char.is_whitespace() || char.is_control());
        (web && prefix(text, Self::MAX).is_none() && clean()).then_some(Self(text))
    }

    pub(crate) fn as_str(&self) -> &'a str {
        self.0
    }
}

impl<const MAX: usize> Serialize for Text<'_, MAX> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<const MAX: usize> Serialize for Id<'_, MAX> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// The first `max` characters of a text that has more, at a character's boundary; none for one that has not.
fn prefix(text: &str, max: usize) -> Option<&str> {
    // No text has more UTF-16 units than bytes.
    if text.len() <= max {
        return None;
    }
    let mut units = 0;
    for (at, char) in text.char_indices() {
        units += char.len_utf16();
        if units > max {
            return text.get(..at);
        }
    }
    None
}

/// Bytes in lower case hexadecimal.
fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn units(text: &str) -> usize {
        text.encode_utf16().count()
    }

    #[test]
    fn a_text_is_cut_at_a_character_and_marked() {
        let text = |text: &'static str| Text::<4>::new(text).map(|text| text.as_str().to_owned());
        assert_eq!(text("abcd").as_deref(), Some("abcd"));
        assert_eq!(text("abcde").as_deref(), Some("abc…"));
        assert_eq!(text("ééééé").as_deref(), Some("ééé…"));
        assert_eq!(text("éééé").as_deref(), Some("éééé"));
        // Two units each: the third does not fit beside the mark.
        assert_eq!(text("😀😀").as_deref(), Some("😀😀"));
        assert_eq!(text("😀😀😀").as_deref(), Some("😀…"));
        for blank in ["", " ", "\n\t", "\u{a0}\u{0}"] {
            assert_eq!(text(blank), None);
        }
    }

    #[test]
    fn ids_are_never_one() {
        let id = |text: &str| Id::<128>::new(text.to_owned()).unwrap().into_cow().into_owned();
        let whole = "a".repeat(127);
        assert_eq!(id(&whole), whole);
        let (b, c) = ("b".repeat(128), format!("{}c", "b".repeat(128)));
        assert_ne!(id(&b), id(&c));
        for long in [b, c, "😀".repeat(64), "é".repeat(10_000), "x".repeat(10_000_000)] {
            let short = id(&long);
            assert_eq!(units(&short), 128, "{short}");
            assert_eq!(id(&long), short);
            assert!(short.starts_with(long.chars().next().unwrap()));
            // An id that somebody wrote to look like a digested one becomes another.
            assert_ne!(id(&short), short);
        }
    }

    #[test]
    fn an_address_is_whole_or_none() {
        assert!(Url::new("https://example.com/?a=b#c").is_some());
        for text in ["", "https://", "example.com", "javascript:alert(1)", "https://a b", "https://a\u{0}"] {
            assert!(Url::new(text).is_none(), "{text}");
        }
        assert!(Url::new(&format!("https://{}", "a".repeat(2_040))).is_some());
        assert!(Url::new(&format!("https://{}", "a".repeat(2_041))).is_none());
    }
}
