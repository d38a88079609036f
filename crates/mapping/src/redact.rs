//! Secrets out of records: one table for names of fields and one for what stands before a secret inside a text.

use std::sync::LazyLock;

use bumpalo::Bump;
use memchr::memchr2_iter;
use memchr::memmem::Finder;
use tributary_json::Doc;

/// What a secret becomes.
const REDACTED: &str = "REDACTED";

/// Fields whose whole text is a secret, in lower case without `_`, `-` and blanks.
const SECRET_FIELDS: &[&str] = &[
    "password",
    "adminpassword",
    "administratorloginpassword",
    "pwd",
    "passwd",
    "clientsecret",
    "secrettext",
    "accesstoken",
    "refreshtoken",
    "idtoken",
    "bearertoken",
    "sharedaccesskey",
    "sharedaccesssignature",
    "accountkey",
    "primarykey",
    "secondarykey",
    "connectionstring",
    "primaryconnectionstring",
    "secondaryconnectionstring",
    "sastoken",
    "apikey",
    "privatekey",
    "authorizationheader",
];

/// Words before `=` (or `:`) inside a text whose value is a secret, in lower case, longest first where one ends another.
const SECRET_NAMES: &[&str] = &[
    "sharedaccesssignature",
    "administratorloginpassword",
    "sharedaccesskey",
    "client_secret",
    "clientsecret",
    "access_token",
    "accesstoken",
    "refresh_token",
    "accountkey",
    "password",
    "passwd",
    "apikey",
    "api_key",
    "pwd",
    "sig",
];

/// Redacts every string of the document from tape entry `from` on. Returns how many were changed.
pub(crate) fn redact_doc<'b>(doc: &mut Doc<'b>, from: usize, arena: &'b Bump) -> u64 {
    let mut count = 0;
    doc.rewrite_strings(from, |name, text| {
        if text.is_empty() {
            return None;
        }
        if name.is_some_and(is_secret_field) {
            count += 1;
            return Some(REDACTED);
        }
        let (changed, times) = redact(text)?;
        count += times;
        Some(arena.alloc_str(&changed))
    });
    count
}

/// Redacts a text that is no JSON. `None` when nothing in it is secret.
pub fn redact_text(text: &str) -> Option<String> {
    redact(text).map(|(changed, _)| changed)
}

/// For the last letter of a secret field's name, the first letters that go with it, as bits: both taken modulo 32, which
/// takes the letter case away. Most names are told to be harmless by these two letters.
const FIELD_LETTERS: [u32; 32] = letters(SECRET_FIELDS);
/// The same for the names before a sign, of which only the last letter is known to be there.
const NAME_LETTERS: [u32; 32] = letters(SECRET_NAMES);

// Constants are evaluated by the compiler: an index out of bounds would not build.
#[allow(clippy::indexing_slicing)]
const fn letters(words: &[&str]) -> [u32; 32] {
    let mut table = [0; 32];
    let mut at = 0;
    while at < words.len() {
        let word = words[at].as_bytes();
        table[(word[word.len() - 1] & 31) as usize] |= 1 << (word[0] & 31);
        at += 1;
    }
    table
}

fn ends_in(letters: &[u32; 32], last: u8) -> u32 {
    letters.get(usize::from(last & 31)).copied().unwrap_or(0)
}

fn is_secret_field(name: &str) -> bool {
    // The longest entry bounds the work; most other names fail on their first and last letter.
    if !(3..=40).contains(&name.len()) {
        return false;
    }
    let mut plain = [0u8; 40];
    let mut length = 0;
    if let [first, .., last] = name.as_bytes()
        && ends_in(&FIELD_LETTERS, *last) >> (first & 31) & 1 == 0
        && first.is_ascii_alphabetic()
        && last.is_ascii_alphabetic()
    {
        return false;
    }
    for byte in name.bytes().filter(|byte| !matches!(byte, b'_' | b'-' | b' ')) {
        let Some(slot) = plain.get_mut(length) else { return false };
        *slot = byte.to_ascii_lowercase();
        length += 1;
    }
    let plain = plain.get(..length).unwrap_or_default();
    SECRET_FIELDS.iter().any(|field| field.as_bytes() == plain)
}

/// Shortest token that counts as one: `bearer of news` holds none.
const MIN_TOKEN: usize = 16;
/// `bearer ` without its first letter, in the two spellings that are in use.
static BEARER: LazyLock<[Finder<'static>; 2]> = LazyLock::new(|| [Finder::new("earer "), Finder::new("EARER ")]);

/// The text without its secrets and their number; `None` when it has none.
fn redact(text: &str) -> Option<(String, u64)> {
    let mut cuts: Vec<(usize, usize)> = Vec::new();
    for at in memchr2_iter(b'=', b':', text.as_bytes()) {
        if cuts.last().is_some_and(|(_, end)| at < *end) {
            continue;
        }
        if let Some(cut) = assignment(text, at) {
            cuts.push(cut);
        }
    }
    if text.len() >= "bearer ".len() + MIN_TOKEN {
        for finder in BEARER.iter() {
            cuts.extend(finder.find_iter(text.as_bytes()).filter_map(|at| bearer(text, at)));
        }
    }
    if cuts.is_empty() {
        return None;
    }
    cuts.sort_unstable();
    let mut out = String::with_capacity(text.len());
    let (mut from, mut count) = (0, 0);
    for (start, end) in cuts {
        if start < from {
            continue;
        }
        // Redacting twice changes nothing: the record that quarantine holds can come back through here.
        let secret = text.get(start..end).unwrap_or_default();
        out.push_str(text.get(from..start).unwrap_or_default());
        out.push_str(REDACTED);
        count += u64::from(secret != REDACTED);
        from = end;
    }
    out.push_str(text.get(from..).unwrap_or_default());
    (count > 0).then_some((out, count))
}

/// Where the secret of `name=secret`, `"name":"secret"` or `\"name\":\"secret\"` stands, for a sign at `at`.
fn assignment(text: &str, at: usize) -> Option<(usize, usize)> {
    let bytes = text.as_bytes();
    let colon = bytes.get(at) == Some(&b':');
    let is_quoting = |byte: &u8| matches!(byte, b' ' | b'"' | b'\'' | b'\\');
    let before = bytes.get(..at)?;
    let last = before.iter().rposition(|byte| !is_quoting(byte))?;
    // Times and addresses are full of colons: the letter before them says that no secret follows.
    if ends_in(&NAME_LETTERS, *before.get(last)?) == 0 {
        return None;
    }
    let before = before.get(..=last)?;
    let tail = before.get(before.len().saturating_sub(32)..)?;
    let name = SECRET_NAMES.iter().find(|name| {
        tail.len() >= name.len()
            && tail.get(tail.len() - name.len()..).is_some_and(|end| end.eq_ignore_ascii_case(name.as_bytes()))
    })?;
    // A longer word that merely ends so is another name; `sig` and `pwd` are short enough to need that.
    let preceding = before.get((before.len() - name.len()).checked_sub(1).unwrap_or(usize::MAX));
    if name.len() <= 3 && preceding.is_some_and(u8::is_ascii_alphanumeric) {
        return None;
    }
    // `password: ` in running text is no assignment unless the value is quoted.
    let after = text.get(at + 1..)?;
    let skipped = after.len() - after.trim_start_matches([' ', '"', '\'', '\\']).len();
    if colon && !after.get(..skipped)?.contains(['"', '\'']) {
        return None;
    }
    let start = at + 1 + skipped;
    let value = text.get(start..)?;
    let quoted = skipped > 0 && after.get(..skipped)?.contains(['"', '\'']);
    let end = value
        .find(|c: char| {
            if quoted {
                matches!(c, '"' | '\'' | '\\')
            } else {
                c.is_whitespace() || matches!(c, '&' | ';' | '"' | '\'' | ',' | '<' | '>' | ')' | '}' | '\\')
            }
        })
        .unwrap_or(value.len());
    (end > 0).then_some((start, start + end))
}

/// Where the token after `bearer ` stands, for its second letter at `at`.
fn bearer(text: &str, at: usize) -> Option<(usize, usize)> {
    let first = text.as_bytes().get(at.checked_sub(1)?)?;
    if !first.eq_ignore_ascii_case(&b'b') {
        return None;
    }
    let start = at + "earer ".len();
    let rest = text.get(start..)?;
    let end = rest
        .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '~' | '+' | '/' | '=')))
        .unwrap_or(rest.len());
    (end >= MIN_TOKEN).then_some((start, start + end))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn secrets_in_texts() {
        for (text, expected) in [
            (
                "https://a.blob.core.windows.net/c/b?sv=1&sig=abc%2Fd%3D&se=2",
                "https://a.blob.core.windows.net/c/b?sv=1&sig=REDACTED&se=2",
            ),
            ("?SIG=abc", "?SIG=REDACTED"),
            (
                "Endpoint=sb://x/;SharedAccessKeyName=n;SharedAccessKey=abc=;EntityPath=h",
                "Endpoint=sb://x/;SharedAccessKeyName=n;SharedAccessKey=REDACTED;EntityPath=h",
            ),
            (
                "curl -H 'Authorization: Bearer eyJhbGciOiJSUzI1NiJ9.e30.c2ln'",
                "curl -H 'Authorization: Bearer REDACTED'",
            ),
            ("{\"password\":\"x y\",\"a\":1}", "{\"password\":\"REDACTED\",\"a\":1}"),
            ("{\\\"adminPassword\\\": \\\"p\\\"}", "{\\\"adminPassword\\\": \\\"REDACTED\\\"}"),
            ("net use /user:a password=hunter2 now", "net use /user:a password=REDACTED now"),
            ("Server=s;Pwd=p;", "Server=s;Pwd=REDACTED;"),
        ] {
            assert_eq!(redact_text(text).as_deref(), Some(expected), "{text}");
            assert_eq!(redact_text(expected), None, "twice: {text}");
        }
    }

    #[test]
    fn what_is_no_secret_stays() {
        for text in [
            "design=good",
            "the password: expired",
            "a bearer of news",
            "https://x/?signature_kind=1",
            "time 10:20",
            "sig=",
            "",
        ] {
            assert_eq!(redact_text(text), None, "{text}");
        }
    }

    #[test]
    fn secrets_by_field_name() {
        let arena = Bump::new();
        let mut doc = Doc::new();
        let text = r#"{"clientSecret":"a","Client_Secret":"b","password":{"x":"kept"},"name":"n"}"#;
        let root = doc.parse(text, &arena, tributary_json::Limits::default()).unwrap();
        assert_eq!(redact_doc(&mut doc, 0, &arena), 2);
        let expected = r#"{"clientSecret":"REDACTED","Client_Secret":"REDACTED","password":{"x":"kept"},"name":"n"}"#;
        assert_eq!(format!("{:?}", doc.value(root)), expected);
    }

    proptest! {
        #[test]
        fn total(text in "[sigpwd=:;& \"'\\\\a-zBearer é]{0,60}") {
            if let Some(changed) = redact_text(&text) {
                prop_assert!(changed.contains(REDACTED));
            }
        }
    }
}
