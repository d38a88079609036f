//! The same records, however they come.

use proptest::prelude::*;
use tributary_azure_flowlogs::{Cutter, Found, Scanner, generate, record_name};
use tributary_ocsf::Version;

use crate::golden::quarantine;
use crate::{blob, cases, convert, logs, rows};

#[test]
fn a_blob_cut_at_every_byte_gives_the_same_rows() {
    let logs = logs(Version::V1_3_0);
    for (name, bytes) in cases() {
        let (whole, counts) = blob(&logs, &bytes);
        let (expected, refused) = (rows::all(&whole), quarantine(&whole));
        // Every place, but rows only where the records differ from the whole's: reading objects back is what takes time.
        let mut records = Vec::new();
        Cutter::blob().push(&bytes, &mut |record: &[u8]| records.push(record.to_vec()));
        for at in 0..=bytes.len() {
            let mut found = Vec::new();
            let mut take = |record: &[u8]| found.push(record.to_vec());
            let mut cutter = Cutter::blob();
            cutter.push(&bytes[..at], &mut take);
            cutter.push(&bytes[at..], &mut take);
            cutter.end(&mut take);
            assert_eq!(found, records, "{name} cut at {at}");
        }
        for size in [1, 7, 64, 1_000] {
            let pieces: Vec<&[u8]> = bytes.chunks(size).collect();
            let (made, again) = convert(&logs, Cutter::blob(), "PT1H.json", &pieces, |_| true);
            assert_eq!(
                (rows::all(&made), quarantine(&made), again),
                (expected.clone(), refused.clone(), counts.clone())
            );
        }
    }
}

/// A reader that comes each minute, with what was added since, has the rows and ids of one that reads the whole blob.
#[test]
fn fragments_by_the_minute_are_the_whole_and_records_that_were_read_are_left_out() {
    let logs = logs(Version::V1_3_0);
    let blocks: Vec<String> = generate::blocks(11, 3_000).collect();
    let (data, tail) = blocks.split_last().unwrap();
    assert_eq!(data, "]}");
    let (head, data) = tail.split_first().unwrap();
    let whole = [head.as_bytes(), data.concat().as_bytes(), b"]}"].concat();
    let name = generate::name();
    let (made, counts) = convert(&logs, Cutter::blob(), &name, &[&whole], |_| true);
    assert_eq!((counts.tuples, counts.records), (3_000, 60));
    let sorted = |mut rows: Vec<serde_json::Value>| {
        rows.sort_by_key(|row| row["metadata"]["uid"].as_str().unwrap().to_owned());
        rows
    };
    let expected = sorted(rows::all(&made));

    let mut found = Vec::new();
    for minutes in data.chunks(7) {
        let fragment = minutes.concat();
        let (made, _) = convert(&logs, Cutter::fragment(), &name, &[fragment.as_bytes()], |_| true);
        found.extend(rows::all(&made));
    }
    assert_eq!(sorted(found), expected);

    // The same by leaving out what was read.
    let (mut seen, mut found) = (0, Vec::new());
    for until in [1, 20, 60] {
        let so_far = [head.as_bytes(), data[..until].concat().as_bytes(), b"]}"].concat();
        let mut at = 0;
        let (made, counts) = convert(&logs, Cutter::blob(), &name, &[&so_far], |key| {
            assert_eq!((key.mac, key.ordinal), ("000D3A2B4C5D", 0));
            at += 1;
            at > seen
        });
        assert_eq!(counts.records, until as u64 - seen);
        seen = until as u64;
        found.extend(rows::all(&made));
    }
    assert_eq!(sorted(found), expected);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever is cut out of a blob or put into it: nothing panics, no two rows have one id, counts are what is there.
    #[test]
    fn no_bytes_make_it_panic(seed in 0_u64..4, at in any::<prop::sample::Index>(), length in 0_usize..40, put in prop::collection::vec(any::<u8>(), 0..12)) {
        let mut bytes = match seed {
            0..3 => cases().swap_remove(seed as usize).1,
            _ => generate::blob(5, 200),
        };
        let at = at.index(bytes.len());
        bytes.splice(at..(at + length).min(bytes.len()), put);
        let (made, counts) = blob(&logs(Version::V1_3_0), &bytes);
        let rows = rows::all(&made);
        prop_assert_eq!(rows.len() as u64, counts.tuples);
        let mut uids: Vec<&str> = rows.iter().map(|row| row["metadata"]["uid"].as_str().unwrap()).collect();
        uids.sort_unstable();
        uids.dedup();
        prop_assert_eq!(uids.len(), rows.len());
        let sum: u64 = counts.quarantined.values().sum();
        prop_assert_eq!(quarantine(&made).len() as u64, sum);
    }
}

const MOST: usize = 64;

/// The body of the fuzz target `scanner`.
fn one_way_or_two(at: usize, bytes: &[u8]) {
    let (mut scanner, mut whole) = (Scanner::new(MOST), Vec::new());
    scanner.scan(bytes, &mut |found| whole.push(found));
    let rest = scanner.rest();
    scanner.end(&mut |found| whole.push(found));

    let (mut scanner, mut found) = (Scanner::new(MOST), Vec::new());
    scanner.scan(&bytes[..at], &mut |record| found.push(record));
    let from = scanner.open().unwrap_or(scanner.position());
    let mut second = Scanner::from(scanner.rest(), MOST);
    let mut shifted = |record: Found| {
        let Found { start, end, whole, next, rest } = record;
        found.push(Found { start: from + start, end: from + end, whole, next: from + next, rest });
    };
    second.scan(&bytes[usize::try_from(from).unwrap()..], &mut shifted);
    assert_eq!(second.rest(), rest);
    second.end(&mut shifted);
    let extents =
        |found: &[Found]| -> Vec<_> { found.iter().map(|found| (found.start, found.end, found.whole)).collect() };
    assert_eq!(extents(&found), extents(&whole));

    let text = |found: &Found| &bytes[usize::try_from(found.start).unwrap()..usize::try_from(found.end).unwrap()];
    let (mut cutter, mut cut) = (Cutter::fragment().record_limit(MOST), Vec::new());
    let mut take = |record: &[u8]| cut.push(record.to_vec());
    cutter.push(&bytes[..at], &mut take);
    assert!(cutter.held() <= MOST);
    let mut take = |record: &[u8]| cut.push(record.to_vec());
    cutter.push(&bytes[at..], &mut take);
    cutter.end(&mut take);
    assert_eq!(cut.len(), whole.len());
    let mut behind = 0;
    for (record, found) in cut.iter().zip(&whole) {
        assert_eq!(record, text(found));
        assert!(found.start >= behind && found.end - found.start <= MOST as u64 && found.next >= found.end);
        behind = found.next;
        let (time, mac) = record_name(record);
        assert!(mac.len() <= 32 && (found.whole || (time, mac.as_str()) == (0, "")));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn records_are_found_in_one_go_and_in_two(text in "([{}\\[\\],\"\\\\ ]|[a-d]{1,20}|\"time\":1|,\\{\"time\"){0,40}", at in any::<prop::sample::Index>()) {
        let bytes = text.as_bytes();
        one_way_or_two(at.index(bytes.len() + 1), bytes);
    }
}
