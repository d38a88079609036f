//! The little XML that the service answers with: flat elements in lists, no attributes that matter.

use std::borrow::Cow;

/// The texts between `<name>` and `</name>`, one after another. Nothing is decoded.
pub(crate) fn elements<'x>(xml: &'x str, name: &str) -> impl Iterator<Item = &'x str> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let mut rest = xml;
    std::iter::from_fn(move || {
        let (_, after) = rest.split_once(&open)?;
        let (inner, after) = after.split_once(&close)?;
        rest = after;
        Some(inner)
    })
}

/// The first such text, decoded.
pub(crate) fn text<'x>(xml: &'x str, name: &str) -> Option<Cow<'x, str>> {
    elements(xml, name).next().map(decoded)
}

/// Entities and characters by number become what they stand for.
fn decoded(text: &str) -> Cow<'_, str> {
    if !text.contains('&') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        out.push_str(before);
        let found = after.split_once(';').and_then(|(entity, after)| Some((character(entity)?, after)));
        match found {
            Some((character, after)) => {
                out.push(character);
                rest = after;
            }
            None => {
                out.push('&');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

fn character(entity: &str) -> Option<char> {
    match entity {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let number = entity.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_decoded_and_lists_are_flat() {
        let xml = "<Blobs><Blob><Name>a&amp;b&#x41;&#66;&lt;&nope;&</Name></Blob><Blob><Name>c</Name></Blob></Blobs>";
        let names: Vec<_> = elements(xml, "Blob").filter_map(|blob| text(blob, "Name")).collect();
        assert_eq!(names, ["a&bAB<&nope;&", "c"]);
        assert_eq!(text("<a>", "a"), None);
    }
}
