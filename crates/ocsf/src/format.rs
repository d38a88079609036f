//! Forms of text that a pattern cannot judge alone: addresses, networks, date-times.

use std::net::{IpAddr, Ipv4Addr};

/// Whether `text` is an address; an IPv6 zone (`fe80::1%eth0`) is overlooked.
pub(crate) fn is_ip(text: &str) -> bool {
    text.split('%').next().unwrap_or_default().parse::<IpAddr>().is_ok()
}

/// Whether `text` is a network: an address, alone or with a prefix length, or for IPv4 with a netmask or host mask.
pub(crate) fn is_subnet(text: &str) -> bool {
    let Some((address, prefix)) = text.split_once('/') else { return text.parse::<IpAddr>().is_ok() };
    match address.parse() {
        Ok(IpAddr::V4(_)) => is_prefix(prefix, 32) || prefix.parse().is_ok_and(is_mask),
        Ok(IpAddr::V6(_)) => is_prefix(prefix, 128),
        Err(_) => false,
    }
}

/// Digits only: `u32::from_str` would take a sign too.
fn is_prefix(text: &str, most: u32) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse().is_ok_and(|bits: u32| bits <= most)
}

fn is_mask(mask: Ipv4Addr) -> bool {
    let bits = u32::from(mask);
    let is_low = |bits: u32| bits & bits.wrapping_add(1) == 0;
    is_low(bits) || is_low(!bits)
}

/// An RFC 3339 date-time as microseconds since 1970-01-01T00:00:00Z; further digits are cut.
///
/// As the schema's pattern does, it takes a time without an offset (UTC).
pub(crate) fn datetime_micros(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let number = |from: usize, to: usize| {
        let digits = text.get(from..to)?;
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse::<i64>().ok()).flatten()
    };
    let is = |at: usize, wanted: &[u8]| bytes.get(at).is_some_and(|byte| wanted.contains(byte));
    if !(is(4, b"-") && is(7, b"-") && is(10, b"Tt ") && is(13, b":") && is(16, b":")) {
        return None;
    }
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let in_range = year > 0
        && (1..=12).contains(&month)
        && (1..=days_in_month(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    if !in_range {
        return None;
    }
    let mut at = 19;
    let mut micros = 0;
    if is(at, b".") {
        let digits = bytes.get(at + 1..)?.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits == 0 {
            return None;
        }
        let kept = digits.min(6);
        micros = number(at + 1, at + 1 + kept)? * 10_i64.pow(u32::try_from(6 - kept).ok()?);
        at += 1 + digits;
    }
    let offset = match bytes.get(at) {
        None => 0,
        Some(b'Z' | b'z') if bytes.len() == at + 1 => 0,
        Some(sign @ (b'+' | b'-')) if bytes.len() == at + 6 && is(at + 3, b":") => {
            let (hours, minutes) = (number(at + 1, at + 3)?, number(at + 4, at + 6)?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            let seconds = hours * 3_600 + minutes * 60;
            if *sign == b'-' { -seconds } else { seconds }
        }
        Some(_) => return None,
    };
    let seconds = days_from_civil(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second - offset;
    Some(seconds * 1_000_000 + micros)
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// The inverse of [`crate::civil_from_days`].
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::write_rfc3339;

    #[test]
    fn networks() {
        for text in [
            "10.0.0.0/8",
            "10.0.0.1",
            "10.0.0.0/255.0.0.0",
            "10.0.0.0/0.255.255.255",
            "2001:db8::/32",
            "::/0",
            "1.2.3.4/08",
        ] {
            assert!(is_subnet(text), "{text}");
        }
        for text in [
            "",
            "10.0.0.0/33",
            "10.0.0.0/+8",
            "10.0.0.0/",
            "10.0.0.0/255.0.255.0",
            "2001:db8::/129",
            "a/8",
            "10.0.0.0/8/8",
        ] {
            assert!(!is_subnet(text), "{text}");
        }
    }

    #[test]
    fn addresses() {
        assert!(is_ip("10.0.0.1") && is_ip("fe80::1%eth0") && is_ip("::ffff:1.2.3.4"));
        assert!(!is_ip("10.0.0.01") && !is_ip("10.0.0.1:80") && !is_ip("") && !is_ip(" 10.0.0.1"));
    }

    #[test]
    fn date_times() {
        assert_eq!(datetime_micros("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(datetime_micros("1970-01-01 00:00:01.5"), Some(1_500_000));
        assert_eq!(datetime_micros("1970-01-01T01:00:00.123456789+01:00"), Some(123_456));
        assert_eq!(datetime_micros("1969-12-31T23:59:59-00:30"), Some(1_799_000_000));
        assert_eq!(datetime_micros("2024-02-29t12:00:00z"), Some(1_709_208_000_000_000));
        for text in [
            "",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:00:60Z",
            "2026-01-01T00:00:00.Z",
            "2026-01-01T00:00:00+0100",
            "2026-01-01T00:00:00ZZ",
            "0000-01-01T00:00:00Z",
            "2026-01-01T00:00:00+24:00",
            "2026-01-01",
            "２026-01-01T00:00:00Z",
            "2026-01-01T00:00:00é",
        ] {
            assert_eq!(datetime_micros(text), None, "{text}");
        }
    }

    #[test]
    fn a_written_time_reads_back() {
        for ms in (-62_135_596_800_000..253_402_300_799_999).step_by(7_654_321_098_765) {
            let mut text = String::new();
            write_rfc3339(ms, &mut text);
            assert_eq!(datetime_micros(&text), Some(ms * 1_000), "{text}");
        }
    }
}
