//! Whether a text fits a type, by the schema's own words.

use std::net::IpAddr;

use regex::Regex;

use crate::format::is_subnet;
use crate::schema::TypeDef;

/// Whether `text` is a valid value of a string type: not empty, not too long, matching the type's pattern, and an
/// address or network where the type says so.
pub fn accepts_text(ty: &TypeDef, text: &str) -> bool {
    if text.is_empty() || is_too_long(ty, text) {
        return false;
    }
    match ty.name {
        // What `Ipv4Addr` reads, the pattern matches (see the tests); IPv6 has forms that only one of them takes.
        "ip_t" => match text.parse::<IpAddr>() {
            Ok(IpAddr::V4(_)) => true,
            Ok(IpAddr::V6(_)) => matches(ty, text),
            Err(_) => false,
        },
        "subnet_t" => is_subnet(text) && matches(ty, text),
        _ => matches(ty, text),
    }
}

/// Whether `text` has a match of the type's pattern.
///
/// `$` is the very end here; Python and PCRE overlook one line break before it, which no stored value should have.
pub(crate) fn matches(ty: &TypeDef, text: &str) -> bool {
    let Some(pattern) = ty.regex else { return true };
    // A pattern that does not compile binds nobody; a test shows that all of them compile.
    ty.pattern.get_or_init(|| Regex::new(pattern).ok()).as_ref().is_none_or(|regex| regex.is_match(text))
}

/// Whether `text` is longer than the type allows. Bytes bound characters; counting is needed only near the limit.
pub(crate) fn is_too_long(ty: &TypeDef, text: &str) -> bool {
    ty.max_len.is_some_and(|limit| text.len() > limit && text.chars().count() > limit)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::schema::{Schema, Version};

    fn accepts(name: &str, text: &str) -> bool {
        Version::ALL
            .into_iter()
            .all(|version| accepts_text(Schema::get(version).types.iter().find(|ty| ty.name == name).unwrap(), text))
    }

    #[test]
    fn every_pattern_compiles() {
        for ty in Version::ALL.into_iter().flat_map(|version| &Schema::get(version).types) {
            if let Some(pattern) = ty.regex {
                assert!(Regex::new(pattern).is_ok(), "{}", ty.name);
            }
        }
    }

    #[test]
    fn texts() {
        for (name, text, expected) in [
            ("ip_t", "10.0.0.1", true),
            ("ip_t", "2001:db8::1", true),
            ("ip_t", "::1", true),
            ("ip_t", "10.0.0.1:443", false),
            ("ip_t", "<null>", false),
            ("ip_t", "127.0.0.0/8", false),
            ("mac_t", "11:22:33:44:55:66", true),
            ("mac_t", "112233445566", false),
            ("email_t", "alice@contoso.com", true),
            ("email_t", "alice", false),
            ("hostname_t", "vm-1.contoso.com", true),
            ("string_t", "", false),
        ] {
            assert_eq!(accepts(name, text), expected, "{name} {text}");
        }
        assert!(!accepts("string_t", &"x".repeat(70_000)));
    }
}
