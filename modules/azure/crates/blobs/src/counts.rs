//! How many records of each MAC and time there are, and the same as few bytes: a cursor has to keep them all.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

/// How many records of each time there are, by MAC. A record's key is MAC, time and ordinal, so counts are all keys.
pub(crate) type Counts = BTreeMap<String, BTreeMap<i64, u32>>;

/// How many records of a MAC and time there are.
pub(crate) fn count_of(counts: &Counts, mac: &str, time: i64) -> u32 {
    counts.get(mac).and_then(|times| times.get(&time)).copied().unwrap_or(0)
}

/// Adds `more` to `counts`.
pub(crate) fn add(counts: &mut Counts, more: &Counts) {
    for (mac, times) in more {
        for (&time, &count) in times {
            let entry = counts.entry(mac.clone()).or_default().entry(time).or_default();
            *entry = entry.saturating_add(count);
        }
    }
}

/// Makes `counts` the greater of itself and `other`.
pub(crate) fn raise(counts: &mut Counts, other: &Counts) {
    for (mac, times) in other {
        for (&time, &count) in times {
            let entry = counts.entry(mac.clone()).or_default().entry(time).or_default();
            *entry = (*entry).max(count);
        }
    }
}

/// Base64 of all counts: for each MAC, by name, its text and its times; times as differences, a minute in three bytes.
pub(crate) fn pack(counts: &Counts) -> String {
    let mut out = Vec::new();
    for (mac, times) in counts {
        write_mac(&mut out, mac);
        write(&mut out, times.len() as u128);
        let mut last = 0_i64;
        for (&time, &count) in times {
            let difference = time.wrapping_sub(last);
            last = time;
            // Sign and "more than one" in the lowest bits.
            let sign = u128::from(difference < 0);
            let one = u128::from(count == 1);
            write(&mut out, u128::from(difference.unsigned_abs()) << 2 | sign << 1 | one);
            if count != 1 {
                write(&mut out, u128::from(count));
            }
        }
    }
    STANDARD_NO_PAD.encode(out)
}

/// What [`pack`] made; `None` for everything else.
pub(crate) fn unpack(text: &str) -> Option<Counts> {
    let bytes = STANDARD_NO_PAD.decode(text).ok()?;
    let mut rest = bytes.as_slice();
    let mut counts = Counts::new();
    while !rest.is_empty() {
        let mac = read_mac(&mut rest)?;
        let number = read(&mut rest)?;
        let (mut times, mut last) = (BTreeMap::new(), 0_i64);
        for _ in 0..number {
            let word = read(&mut rest)?;
            let difference = u64::try_from(word >> 2).ok()?;
            last = if word & 2 == 0 {
                last.wrapping_add_unsigned(difference)
            } else {
                last.wrapping_sub_unsigned(difference)
            };
            let count = if word & 1 == 1 { 1 } else { u32::try_from(read(&mut rest)?).ok()? };
            times.insert(last, count);
        }
        counts.insert(mac, times);
    }
    Some(counts)
}

/// Base64 of how many less of each `known` record there are in `counts`, which has none that `known` has not: runs of equal
/// differences.
pub(crate) fn pack_within(counts: &Counts, known: &Counts) -> String {
    let mut out = Vec::new();
    let mut run: Option<(u32, u128)> = None;
    for (mac, times) in known {
        for (&time, &count) in times {
            let less = count.saturating_sub(count_of(counts, mac, time));
            match &mut run {
                Some((same, length)) if *same == less => *length += 1,
                _ => {
                    end_run(&mut out, run);
                    run = Some((less, 1));
                }
            }
        }
    }
    end_run(&mut out, run);
    STANDARD_NO_PAD.encode(out)
}

fn end_run(out: &mut Vec<u8>, run: Option<(u32, u128)>) {
    if let Some((less, length)) = run {
        write(out, length);
        write(out, less.into());
    }
}

/// What [`pack_within`] made.
pub(crate) fn unpack_within(text: &str, known: &Counts) -> Option<Counts> {
    let bytes = STANDARD_NO_PAD.decode(text).ok()?;
    let mut rest = bytes.as_slice();
    let mut counts = Counts::new();
    let (mut left, mut less) = (0_u128, 0_u32);
    for (mac, times) in known {
        for (&time, &count) in times {
            if left == 0 {
                left = read(&mut rest)?;
                less = u32::try_from(read(&mut rest)?).ok()?;
            }
            left = left.checked_sub(1)?;
            let count = count.checked_sub(less)?;
            if count > 0 {
                counts.entry(mac.clone()).or_default().insert(time, count);
            }
        }
    }
    (left == 0 && rest.is_empty()).then_some(counts)
}

/// A MAC of twelve upper-case hexadecimal digits is six bytes behind a zero, others are their length and text.
fn write_mac(out: &mut Vec<u8>, mac: &str) {
    let digits = mac.len() == 12 && mac.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'A'..=b'F'));
    match u64::from_str_radix(mac, 16) {
        Ok(number) if digits => {
            out.push(0);
            out.extend(number.to_be_bytes().iter().skip(2));
        }
        _ => {
            write(out, mac.len() as u128 + 1);
            out.extend_from_slice(mac.as_bytes());
        }
    }
}

fn read_mac(rest: &mut &[u8]) -> Option<String> {
    let length = read(rest)?;
    let packed = length == 0;
    let length = if packed { 6 } else { usize::try_from(length - 1).ok()? };
    let (bytes, after) = rest.split_at_checked(length)?;
    *rest = after;
    if packed {
        return Some(bytes.iter().map(|byte| format!("{byte:02X}")).collect());
    }
    String::from_utf8(bytes.to_vec()).ok()
}

/// Seven bits a byte, the lowest first; the highest bit says that more follow.
fn write(out: &mut Vec<u8>, mut number: u128) {
    while number >= 0x80 {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn read(rest: &mut &[u8]) -> Option<u128> {
    let (mut number, mut shift) = (0_u128, 0);
    loop {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        if shift > 119 {
            return None;
        }
        number |= u128::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    /// An hour of so many interfaces, a record a minute each, flushed some milliseconds apart.
    fn hour(interfaces: u64) -> Counts {
        let mut counts = Counts::new();
        for interface in 0..interfaces {
            let mac = format!("000D3A{:06X}", interface * 7_919);
            for minute in 0..60 {
                let jitter = i64::try_from((interface * 131 + minute * 997) % 9_000).unwrap();
                let time = 1_772_452_800_000 + i64::try_from(minute).unwrap() * 60_000 + jitter;
                counts.entry(mac.clone()).or_default().insert(time, 1);
            }
        }
        counts
    }

    #[test]
    fn everything_comes_back() {
        let odd = Counts::from([
            (String::new(), BTreeMap::from([(0, 7_000_000)])),
            ("00-0d-3a".to_owned(), BTreeMap::from([(i64::MIN, 1), (-5, u32::MAX), (0, 2), (i64::MAX, 1)])),
            ("000D3A2B4C5D".to_owned(), BTreeMap::from([(1_772_452_860_000, 1), (1_772_452_920_123, 2)])),
            ("000d3a2b4c5d".to_owned(), BTreeMap::new()),
            ("é".to_owned(), BTreeMap::from([(1, 1)])),
        ]);
        for counts in [Counts::new(), odd.clone(), hour(3)] {
            assert_eq!(unpack(&pack(&counts)), Some(counts.clone()));
            assert_eq!(unpack_within(&pack_within(&Counts::new(), &counts), &counts), Some(Counts::new()));
        }
        let known = hour(3);
        let mut fewer = known.clone();
        fewer.pop_first();
        fewer.values_mut().next().unwrap().pop_last();
        let mut more = known.clone();
        raise(&mut more, &Counts::from([("X".to_owned(), BTreeMap::from([(1, 9)]))]));
        for counts in [&fewer, &known] {
            assert_eq!(unpack_within(&pack_within(counts, &more), &more).as_ref(), Some(counts));
        }
        for broken in ["!", "gA", "DA", &pack(&odd)[1..], "AAAA"] {
            assert_eq!(unpack(broken), None, "{broken}");
        }
        assert_eq!(unpack_within("", &known), None);
        assert_eq!(unpack_within(&pack_within(&known, &known), &fewer), None, "of other records");
    }

    #[test]
    fn twenty_thousand_records_fit_a_cursor_three_times() {
        let counts = hour(334);
        assert_eq!(counts.values().map(BTreeMap::len).sum::<usize>(), 20_040);
        let (all, seen) = (pack(&counts).len(), pack_within(&Counts::new(), &counts).len());
        println!("20,040 records: {all} bytes, those seen again {seen}");
        assert!(all <= 100_000, "{all} bytes");
        assert!(3 * all + seen < tributary_ledger::MAX_STATE);
    }
}
