//! Where an object lies: `{location}region={region}/accountId={account}/eventDay={YYYYMMDD}/{batch-id}.parquet`.

use tributary_batch::{BatchId, TimestampMs};
use tributary_ocsf::civil_from_days;

/// Milliseconds of a day.
const DAY: i64 = 86_400_000;
/// A record's own time counts within this span before its enqueued time.
const PAST: i64 = 90 * DAY;
/// The same after it.
const FUTURE: i64 = DAY;

/// The account that a record belongs to: part of an object's path, so nothing but a GUID gets in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Account(String);

impl Account {
    /// `external_{guid, lower case}` for a GUID, else `external`: any other text is refused its place in a path.
    pub fn new(account: Option<&str>) -> Self {
        match account {
            Some(text) if is_guid(text) => Self(format!("external_{}", text.to_ascii_lowercase())),
            _ => Self::external(),
        }
    }

    /// The account of records that name none.
    pub fn external() -> Self {
        Self("external".to_owned())
    }

    /// The path segment's value.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_guid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// The UTC day under which a record is filed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventDay(i64);

impl EventDay {
    /// The day of the record's own time, when it lies within 90 days before and 1 day after the time at which the hub
    /// accepted it; else the day of the latter, and `false`.
    pub fn new(time: TimestampMs, enqueued: TimestampMs) -> (Self, bool) {
        let own = (enqueued.saturating_sub(PAST)..=enqueued.saturating_add(FUTURE)).contains(&time);
        (Self(if own { time } else { enqueued }.div_euclid(DAY)), own)
    }

    /// `YYYYMMDD`
    pub fn text(self) -> String {
        let (year, month, day) = civil_from_days(self.0);
        format!("{year:04}{month:02}{day:02}")
    }
}

/// Names the source of each class: one custom source holds one class.
///
/// The names are short because Security Lake derives role names from them.
pub fn source_name(prefix: &str, class_uid: i64) -> Option<String> {
    let name = match class_uid {
        1007 => "process",
        2002 => "vulnerability",
        2003 => "compliance",
        2004 => "detection",
        2005 => "incident",
        3001 => "account",
        3002 => "authentication",
        3004 => "entity",
        3005 => "access",
        3006 => "group",
        4001 => "network",
        4002 => "http",
        4003 => "dns",
        6003 => "api",
        6005 => "datastore",
        _ => return None,
    };
    Some(format!("{prefix}{name}"))
}

/// The location of a source as Security Lake gives it: `ext/{source}/{version}/`.
pub fn location(source: &str, ocsf_version: &str) -> String {
    format!("ext/{source}/{ocsf_version}/")
}

/// The key of an object.
pub fn object_key(location: &str, region: &str, account: &Account, day: EventDay, batch: &BatchId) -> String {
    format!("{location}region={region}/accountId={}/eventDay={}/{batch}.parquet", account.as_str(), day.text())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: i64 = 1_767_268_800_000; // 2026-01-01T12:00:00Z

    #[test]
    fn only_a_guid_is_an_account() {
        let guid = "0A1B2C3D-0000-4000-8000-000000000001";
        assert_eq!(Account::new(Some(guid)).as_str(), "external_0a1b2c3d-0000-4000-8000-000000000001");
        for text in [None, Some(""), Some("../x"), Some("a/b"), Some("0A1B2C3D-0000-4000-8000-00000000000g")] {
            assert_eq!(Account::new(text).as_str(), "external", "{text:?}");
        }
    }

    #[test]
    fn a_day_is_the_records_own_within_the_window() {
        for (time, day, own) in [
            (NOON, "20260101", true),
            (NOON - PAST, "20251003", true),
            (NOON - PAST - 1, "20260101", false),
            (NOON + FUTURE, "20260102", true),
            (NOON + FUTURE + 1, "20260101", false),
            (i64::MIN, "20260101", false),
            (i64::MAX, "20260101", false),
        ] {
            let (found, is_own) = EventDay::new(time, NOON);
            assert_eq!((found.text().as_str(), is_own), (day, own), "{time}");
        }
    }

    #[test]
    fn a_key_has_the_contract_shape() {
        let (day, _) = EventDay::new(NOON, NOON);
        let key = object_key(
            &location("azure-detection", "1.3.0"),
            "eu-west-1",
            &Account::external(),
            day,
            &BatchId::for_content(b"x"),
        );
        assert!(
            key.starts_with("ext/azure-detection/1.3.0/region=eu-west-1/accountId=external/eventDay=20260101/content-")
        );
        assert!(key.ends_with(".parquet"));
    }
}
