//! Records found in one go and in two, by one scanner and by another that goes on where the first stood: the same, in their order,
//! none longer than the bound; and what a cutter hands out is what they are.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tributary_azure_flowlogs::{Cutter, Found, Scanner, record_name};

const MOST: usize = 64;

fuzz_target!(|data: &[u8]| {
    let Some((at, bytes)) = data.split_first() else { return };
    let at = usize::from(*at) * bytes.len() / 255;
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
});
