//! Blobs of flow logs as Network Watcher writes them, of any size, the same for the same seed.
//!
//! One interface, one hour. Remote addresses are drawn evenly from all of IPv4 (some from IPv6), ports and counters are random,
//! counters over many orders of magnitude. A flow begins, goes on or not, and ends; one in six is denied. So there is
//! less to compress than in real logs, where few peers come again and again.

use std::fmt::Write as _;

/// 2026-03-02T12:00:00Z
const START: i64 = 1_772_452_800_000;
const MINUTE: i64 = 60_000;
/// Minutes of the hour, each a record and a block.
const MINUTES: u64 = 60;

/// The interface, unless another is given.
const MAC: &str = "000D3A2B4C5D";
const SUBSCRIPTION: &str = "0a1b2c3d-0000-4000-8000-000000000001";

/// The blob's name, as Network Watcher would give it.
pub fn name() -> String {
    let owner = SUBSCRIPTION.to_ascii_uppercase();
    format!(
        "flowLogResourceID=/{owner}_NETWORKWATCHERRG/NETWORKWATCHER_WESTEUROPE_SPOKE-FLOWLOG/y=2026/m=03/d=02/h=12/m=00/macAddress=000D3A2B4C5D/PT1H.json"
    )
}

/// SplitMix64: small, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

/// Another hour, of another interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hour {
    /// Another seed, other flows.
    pub seed: u64,
    /// Tuples of the hour.
    pub tuples: u64,
    /// When it begins, in milliseconds since 1970-01-01T00:00:00Z.
    pub start: i64,
    /// The interface, as Azure writes it: 12 hexadecimal digits.
    pub mac: String,
}

impl Hour {
    /// Its blocks, as of [`blocks`].
    pub fn blocks(self) -> Blocks {
        let Self { seed, tuples, start, mac } = self;
        Blocks { random: Random(seed), tuples, start, mac, minute: 0, done: 0, at: 0 }
    }
}

/// A blob's blocks, one at a time: the head, the data blocks (from the second on with a comma before), the tail.
pub struct Blocks {
    random: Random,
    tuples: u64,
    start: i64,
    mac: String,
    minute: u64,
    done: u64,
    at: u8,
}

/// The blocks of a blob with so many tuples.
pub fn blocks(seed: u64, tuples: u64) -> Blocks {
    Hour { seed, tuples, start: START, mac: MAC.to_owned() }.blocks()
}

/// A whole blob.
pub fn blob(seed: u64, tuples: u64) -> Vec<u8> {
    blocks(seed, tuples).flat_map(String::into_bytes).collect()
}

impl Iterator for Blocks {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        match self.at {
            0 => {
                self.at = 1;
                Some("{\"records\":[".to_owned())
            }
            1 => {
                let comma = if self.minute == 0 { "" } else { "," };
                self.minute += 1;
                let up_to = self.tuples.saturating_mul(self.minute) / MINUTES;
                let end = self.start + i64::try_from(self.minute).unwrap_or(0) * MINUTE;
                let record = record(&mut self.random, &self.mac, end, up_to - self.done);
                self.done = up_to;
                if self.minute == MINUTES {
                    self.at = 2;
                }
                Some(format!("{comma}{record}"))
            }
            2 => {
                self.at = 3;
                Some("]}".to_owned())
            }
            _ => None,
        }
    }
}

/// Rules with the number of their tuples in six.
const RULES: [(&str, &str, u64); 3] = [
    ("DefaultRule_AllowInternetOutBound", "allow-out", 3),
    ("UserRule_web", "web", 2),
    ("DefaultRule_DenyAllInBound", "deny", 1),
];

fn record(random: &mut Random, mac: &str, end: i64, tuples: u64) -> String {
    let owner = SUBSCRIPTION.to_ascii_uppercase();
    let fraction = random.below(10_000_000);
    let (day, minute) = (end.div_euclid(86_400_000), end.rem_euclid(86_400_000) / MINUTE);
    let ((year, month, day), hour, minute) = (tributary_ocsf::civil_from_days(day), minute / 60, minute % 60);
    let mut out = format!(
        "{{\"time\":\"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:08.{fraction:07}Z\",\"flowLogGUID\":\"6a5b4c3d-0000-4000-8000-000000000002\",\"macAddress\":\"{mac}\",\"category\":\"FlowLogFlowEvent\",\"flowLogResourceID\":\"/SUBSCRIPTIONS/{owner}/RESOURCEGROUPS/NETWORKWATCHERRG/PROVIDERS/MICROSOFT.NETWORK/NETWORKWATCHERS/NETWORKWATCHER_WESTEUROPE/FLOWLOGS/SPOKE-FLOWLOG\",\"targetResourceID\":\"/subscriptions/{SUBSCRIPTION}/resourceGroups/spoke/providers/Microsoft.Network/virtualNetworks/spoke\",\"flowLogVersion\":4,\"operationName\":\"FlowLogFlowEvent\",\"flowRecords\":{{\"flows\":["
    );
    let mut left = tuples;
    for (index, (rule, kind, share)) in RULES.into_iter().enumerate() {
        let count = if index == RULES.len() - 1 { left } else { tuples * share / 6 };
        left -= count;
        let comma = if index == 0 { "" } else { "," };
        // Writing into a text cannot fail.
        let _ = write!(
            out,
            "{comma}{{\"aclID\":\"/subscriptions/{SUBSCRIPTION}/resourceGroups/spoke/providers/Microsoft.Network/networkSecurityGroups/web\",\"flowGroups\":[{{\"rule\":\"{rule}\",\"flowTuples\":["
        );
        flows(random, &mut out, kind, count, end);
        out.push_str("]}]}");
    }
    out.push_str("]}}");
    out
}

/// Ports of services, as often as they come.
const SERVICES: [u16; 8] = [443, 443, 443, 80, 53, 22, 3389, 8080];

/// Tuples of one rule, by time: flows begin in one of the minute's milliseconds, and end in it or go on.
fn flows(random: &mut Random, out: &mut String, kind: &str, count: u64, end: i64) {
    let mut made: Vec<(i64, String)> = Vec::with_capacity(usize::try_from(count).unwrap_or(0));
    let mut left = count;
    while left > 0 {
        let start = end - MINUTE + i64::try_from(random.below(60_000)).unwrap_or(0);
        let remote = remote(random);
        let local = if remote.contains(':') { "fd00:10:1::4" } else { "10.1.0.4" };
        let far = 1_024 + random.below(64_512);
        let service = SERVICES.get((random.next() & 7) as usize).copied().unwrap_or(443);
        let protocol = if service == 53 { 17 } else { 6 };
        let encryption = if random.below(50) == 0 { "X" } else { "NX" };
        let (who, direction) = match kind {
            "allow-out" => (format!("{local},{remote},{far},{service},{protocol}"), 'O'),
            _ => (format!("{remote},{local},{far},{service},{protocol}"), 'I'),
        };
        if kind == "deny" {
            made.push((start, format!("{start},{who},{direction},D,{encryption},0,0,0,0")));
            left -= 1;
            continue;
        }
        if random.below(4) > 0 {
            made.push((start, format!("{start},{who},{direction},B,{encryption},0,0,0,0")));
            left -= 1;
        }
        if left > 0 {
            let later = (start + i64::try_from(random.below(20_000)).unwrap_or(0)).min(end - 1);
            let state = if random.below(4) == 0 { 'C' } else { 'E' };
            let (packets_out, packets_in) = (1 + magnitude(random, 12), magnitude(random, 12));
            let (bytes_out, bytes_in) =
                (packets_out * (40 + random.below(1_400)), packets_in * (40 + random.below(1_400)));
            let counters = format!("{packets_out},{bytes_out},{packets_in},{bytes_in}");
            made.push((later, format!("{later},{who},{direction},{state},{encryption},{counters}")));
            left -= 1;
        }
    }
    made.sort_by_key(|(time, _)| *time);
    for (index, (_, tuple)) in made.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        let _ = write!(out, "{comma}\"{tuple}\"");
    }
}

/// As often below 2 as between 2 and 4, 4 and 8, and so on, up to `2^bits`.
fn magnitude(random: &mut Random, bits: u64) -> u64 {
    let bits = random.below(bits);
    random.below(1 << (bits + 1))
}

fn remote(random: &mut Random) -> String {
    if random.below(25) == 0 {
        let number = random.next();
        return format!("2001:db8:{:x}:{:x}::{:x}", number >> 48, number >> 32 & 0xffff, number & 0xffff);
    }
    let [a, b, c, d] = (random.next() as u32).to_be_bytes();
    format!("{a}.{b}.{c}.{d}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_makes_the_same_blob_of_so_many_tuples() {
        for tuples in [0, 1, 59, 6_000] {
            let made = blob(3, tuples);
            assert_eq!(made, blob(3, tuples));
            let read: Result<serde_json::Value, _> = serde_json::from_slice(&made);
            assert!(read.is_ok());
            let text = String::from_utf8_lossy(&made);
            let found = text.matches(",B,").count() + text.matches(",C,").count() + text.matches(",E,").count();
            assert_eq!(found + text.matches(",D,").count(), usize::try_from(tuples).unwrap_or(0));
        }
        assert_ne!(blob(3, 100), blob(4, 100));
    }
}
