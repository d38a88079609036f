//! Times in every form that sources write, as milliseconds since 1970-01-01T00:00:00Z.

/// Earliest and first-too-late time that an OCSF `timestamp_t` may plausibly carry: what the strict rules accept as
/// milliseconds (1973-03-03 to 5138-11-16).
const PLAUSIBLE: std::ops::Range<i64> = 100_000_000_000..100_000_000_000_000;

/// Longest text that is looked at.
const MAX_LEN: usize = 64;

/// Reads a time. Without a zone it is UTC, ambiguous dates are month first, numbers are taken by magnitude as seconds,
/// milliseconds, microseconds or nanoseconds. `None` for anything else and for times outside 1973 to 5138.
///
/// Forms: ISO 8601 and RFC 3339 with `T` or a blank, 0 to 9 and more fraction digits, `Z`, `+hh:mm`, `+hhmm` or no zone,
/// one-digit hours, blanks after colons; `yyyy/MM/dd HH:mm:ss`; `M/d/yyyy h:mm:ss AM`; `MM/dd/yyyy HH:mm:ss`; RFC 1123.
pub fn parse_timestamp(text: &str) -> Option<i64> {
    let text = text.trim();
    if text.is_empty() || text.len() > MAX_LEN || !text.is_ascii() {
        return None;
    }
    let mut reader = Reader { bytes: text.as_bytes(), at: 0 };
    let ms = match reader.peek()? {
        b'A'..=b'Z' | b'a'..=b'z' => rfc1123(&mut reader)?,
        _ => numeric(&mut reader, text)?,
    };
    PLAUSIBLE.contains(&ms).then_some(ms)
}

/// A number of seconds, milliseconds, microseconds or nanoseconds, told apart by magnitude.
pub(crate) fn from_number(number: i64) -> Option<i64> {
    let ms = match number {
        100_000_000..100_000_000_000 => number.checked_mul(1_000)?,
        100_000_000_000..100_000_000_000_000 => number,
        100_000_000_000_000..100_000_000_000_000_000 => number / 1_000,
        100_000_000_000_000_000.. => number / 1_000_000,
        _ => return None,
    };
    PLAUSIBLE.contains(&ms).then_some(ms)
}

struct Reader<'t> {
    bytes: &'t [u8],
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn skip(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn blanks(&mut self) {
        while self.skip(b' ') {}
    }

    /// Up to `most` digits; at least one.
    fn digits(&mut self, most: usize) -> Option<(i64, usize)> {
        let start = self.at;
        let mut value = 0i64;
        while self.at - start < most
            && let Some(digit @ b'0'..=b'9') = self.peek()
        {
            value = value * 10 + i64::from(digit - b'0');
            self.at += 1;
        }
        (self.at > start).then_some((value, self.at - start))
    }

    fn done(&self) -> bool {
        self.at >= self.bytes.len()
    }

    fn word(&mut self) -> &[u8] {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_alphabetic()) {
            self.at += 1;
        }
        self.bytes.get(start..self.at).unwrap_or_default()
    }
}

fn numeric(reader: &mut Reader<'_>, text: &str) -> Option<i64> {
    let (first, width) = reader.digits(4)?;
    match reader.peek() {
        Some(separator @ (b'-' | b'/')) => {
            reader.at += 1;
            let (second, _) = reader.digits(2)?;
            if !reader.skip(separator) {
                return None;
            }
            let (third, third_width) = reader.digits(4)?;
            let (year, month, day) = match (width, third_width) {
                (4, 1 | 2) => (first, second, third),
                // US order; the day comes first only where it cannot be a month.
                (1 | 2, 4) if first > 12 => (third, second, first),
                (1 | 2, 4) => (third, first, second),
                _ => return None,
            };
            let days = days(year, month, day)?;
            if reader.done() {
                return Some(days * 86_400_000);
            }
            if !reader.skip(b'T') && !reader.skip(b't') && !reader.skip(b' ') {
                return None;
            }
            clock(reader).map(|ms| days * 86_400_000 + ms)
        }
        _ => text.parse::<i64>().ok().and_then(from_number),
    }
}

/// `h:mm[:ss[.fraction]][ AM|PM][ zone]`, in milliseconds since midnight UTC.
fn clock(reader: &mut Reader<'_>) -> Option<i64> {
    reader.blanks();
    let (mut hour, _) = reader.digits(2)?;
    if !reader.skip(b':') {
        return None;
    }
    reader.blanks();
    let (minute, _) = reader.digits(2)?;
    let (mut second, mut milli) = (0, 0);
    if reader.skip(b':') {
        reader.blanks();
        (second, _) = reader.digits(2)?;
        if reader.skip(b'.') || reader.skip(b',') {
            let (fraction, width) = reader.digits(3)?;
            milli = fraction * [0, 100, 10, 1].get(width)?;
            while matches!(reader.peek(), Some(b'0'..=b'9')) {
                reader.at += 1;
            }
        }
    }
    reader.blanks();
    let mut offset = 0;
    match reader.peek() {
        None => {}
        Some(b'+' | b'-') => offset = zone(reader)?,
        Some(_) => {
            let word = reader.word().to_ascii_uppercase();
            match word.as_slice() {
                b"Z" | b"UTC" | b"GMT" => {}
                b"AM" | b"PM" => {
                    if !(1..=12).contains(&hour) {
                        return None;
                    }
                    hour = hour % 12 + if word == b"PM" { 12 } else { 0 };
                    reader.blanks();
                    if matches!(reader.peek(), Some(b'+' | b'-')) {
                        offset = zone(reader)?;
                    } else if !matches!(reader.word().to_ascii_uppercase().as_slice(), b"" | b"Z" | b"UTC" | b"GMT") {
                        return None;
                    }
                }
                _ => return None,
            }
        }
    }
    // A leap second is kept as the last millisecond before it.
    if second == 60 {
        (second, milli) = (59, 999);
    }
    let fits = hour < 24 && minute < 60 && second < 60 && reader.done();
    fits.then_some(((hour * 60 + minute) * 60 + second) * 1_000 + milli - offset)
}

fn zone(reader: &mut Reader<'_>) -> Option<i64> {
    let sign = if reader.skip(b'-') { -1 } else { i64::from(reader.skip(b'+')) };
    let (hours, _) = reader.digits(2)?;
    let minutes = if reader.skip(b':') || matches!(reader.peek(), Some(b'0'..=b'9')) { reader.digits(2)?.0 } else { 0 };
    (hours < 24 && minutes < 60).then_some(sign * (hours * 60 + minutes) * 60_000)
}

/// `Fri, 21 Jul 2017 01:00:51 GMT`
fn rfc1123(reader: &mut Reader<'_>) -> Option<i64> {
    reader.word();
    reader.skip(b',');
    reader.blanks();
    let (day, _) = reader.digits(2)?;
    reader.blanks();
    const MONTHS: [&[u8]; 12] =
        [b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec"];
    let name = reader.word().to_ascii_lowercase();
    let month = MONTHS.iter().position(|month| *month == name.as_slice())?;
    reader.blanks();
    let (year, width) = reader.digits(4)?;
    if width != 4 || !reader.skip(b' ') {
        return None;
    }
    let days = days(year, i64::try_from(month).ok()? + 1, day)?;
    clock(reader).map(|ms| days * 86_400_000 + ms)
}

/// Days since 1970-01-01 of a date that exists.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=length).contains(&day) {
        return None;
    }
    // Howard Hinnant's days_from_civil.
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    Some(era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;
    use tributary_ocsf::write_rfc3339;

    use super::*;

    fn iso(text: &str) -> String {
        let mut out = String::new();
        write_rfc3339(parse_timestamp(text).unwrap(), &mut out);
        out
    }

    #[test]
    fn every_form() {
        for (text, expected) in [
            ("2026-01-01T00:00:00.1234567Z", "2026-01-01T00:00:00.123Z"),
            ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00.000Z"),
            ("2026-01-01T00:00:00+00:00", "2026-01-01T00:00:00.000Z"),
            ("2026-01-01T02:00:00.5+02:00", "2026-01-01T00:00:00.500Z"),
            ("2026-01-01T00:00:00-0130", "2026-01-01T01:30:00.000Z"),
            ("2024-12-16 16:32:16.087554000", "2024-12-16T16:32:16.087Z"),
            ("2021-02-04T07: 45: 44.5864815Z", "2021-02-04T07:45:44.586Z"),
            ("2023-07-13T9:59:27.958Z", "2023-07-13T09:59:27.958Z"),
            ("7/13/2023 9:59:27 AM", "2023-07-13T09:59:27.000Z"),
            ("7/13/2023 12:59:27 PM", "2023-07-13T12:59:27.000Z"),
            ("7/13/2023 12:00:00 AM", "2023-07-13T00:00:00.000Z"),
            ("04/05/2022 07:54:00", "2022-04-05T07:54:00.000Z"),
            ("13/05/2022 07:54:00", "2022-05-13T07:54:00.000Z"),
            ("2020/12/08 21:44:36.6040000", "2020-12-08T21:44:36.604Z"),
            ("Fri, 21 Jul 2017 01:00:51 GMT", "2017-07-21T01:00:51.000Z"),
            ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59.999Z"),
            ("1767225600", "2026-01-01T00:00:00.000Z"),
            ("1767225600123", "2026-01-01T00:00:00.123Z"),
            ("2026-01-01", "2026-01-01T00:00:00.000Z"),
        ] {
            assert_eq!(iso(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "now",
            "0001-01-01T00:00:00Z",
            "9999-12-31T23:59:59Z",
            "2026-02-30T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-13-01",
            "2026-01-01T",
            "12",
            "-1",
            "2026-01-01T00:00:00 Mars",
            "7/13/2023 13:59:27 AM",
            "é",
            "2026-01-01T00:00:00+99:00",
            "99999999999999999999",
        ] {
            assert_eq!(parse_timestamp(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn total(text in "[0-9TZ:./ +AMP,a-z-]{0,40}") {
            let _ = parse_timestamp(&text);
        }

        #[test]
        fn reads_what_is_written(ms in PLAUSIBLE) {
            let mut text = String::new();
            write_rfc3339(ms, &mut text);
            prop_assert_eq!(parse_timestamp(&text), Some(ms));
        }
    }
}
