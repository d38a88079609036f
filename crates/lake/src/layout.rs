//! Where an object lies: `{location}region={region}/accountId={account}/eventDay={YYYYMMDD}/{batch-id}.parquet`.

use std::collections::BTreeMap;

use tributary_batch::{BatchId, TimestampMs};
use tributary_ocsf::{Version, civil_from_days};

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
        (Self::of(if own { time } else { enqueued }), own)
    }

    /// The day of a time.
    pub fn of(time: TimestampMs) -> Self {
        Self(time.div_euclid(DAY))
    }

    /// Year, month and day.
    pub(crate) fn parts(self) -> (i64, i64, i64) {
        civil_from_days(self.0)
    }

    /// `YYYYMMDD`
    pub fn text(self) -> String {
        let (year, month, day) = self.parts();
        format!("{year:04}{month:02}{day:02}")
    }
}

/// Classes that have a source, and what its name adds to the prefix. The names are short because Security Lake derives
/// role names from them.
const SOURCES: [(i32, &str); 15] = [
    (1007, "process"),
    (2002, "vulnerability"),
    (2003, "compliance"),
    (2004, "detection"),
    (2005, "incident"),
    (3001, "account"),
    (3002, "authentication"),
    (3004, "entity"),
    (3005, "access"),
    (3006, "group"),
    (4001, "network"),
    (4002, "http"),
    (4003, "dns"),
    (6003, "api"),
    (6005, "datastore"),
];

/// Names the source of a class, such as `{prefix}detection` for 2004: one custom source holds one class.
pub fn source_name(prefix: &str, class_uid: i32) -> Option<String> {
    let (_, name) = SOURCES.into_iter().find(|(uid, _)| *uid == class_uid)?;
    Some(format!("{prefix}{name}"))
}

/// The location of a source as Security Lake gives it: `ext/{source}/{version}/`.
pub fn location(source: &str, ocsf_version: &str) -> String {
    format!("ext/{source}/{ocsf_version}/")
}

/// Why a layout cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LayoutError {
    /// The region would not stay within its path segment.
    #[error("{0:?} is no region: expected 1 to 32 of a-z, 0-9 and '-', such as eu-west-1")]
    Region(String),
    /// The location would not stay within the lake.
    #[error(
        "{location:?} is no location for class {class_uid}: expected the one that Security Lake returned for its source, \
         such as ext/example-detection/1.3.0/"
    )]
    Location {
        /// The class.
        class_uid: i32,
        /// The text.
        location: String,
    },
}

/// Where the objects of each class lie: the lake's region and one location a class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    region: String,
    /// Prefix that ends with a slash, by class.
    locations: BTreeMap<i32, String>,
}

impl Layout {
    /// A layout from the locations that Security Lake returned when the sources were made, by `class_uid`. Taken as
    /// `ext/{source}/{version}/` with or without the last slash, or as `s3://{bucket}/ext/…`.
    ///
    /// # Errors
    /// When the region or a location is not a plain piece of a path.
    pub fn new(region: &str, locations: impl IntoIterator<Item = (i32, impl AsRef<str>)>) -> Result<Self, LayoutError> {
        let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
        if !(1..=32).contains(&region.len()) || !region.bytes().all(plain) {
            return Err(LayoutError::Region(region.chars().take(64).collect()));
        }
        let checked = locations.into_iter().map(|(class_uid, location)| match normalise(location.as_ref()) {
            Some(location) => Ok((class_uid, location)),
            None => {
                let location = location.as_ref().chars().take(200).collect();
                Err(LayoutError::Location { class_uid, location })
            }
        });
        Ok(Self { region: region.to_owned(), locations: checked.collect::<Result<_, _>>()? })
    }

    /// The layout that Security Lake would give to sources named by [`source_name`], for a lake without the service.
    ///
    /// # Errors
    /// When the region or the prefix is not a plain piece of a path.
    pub fn from_prefix(region: &str, prefix: &str, version: Version) -> Result<Self, LayoutError> {
        let locations = SOURCES.map(|(uid, name)| (uid, location(&format!("{prefix}{name}"), version.as_str())));
        Self::new(region, locations)
    }

    /// The prefix of a class's objects; `None` when the class has no source.
    pub fn location(&self, class_uid: i32) -> Option<&str> {
        self.locations.get(&class_uid).map(String::as_str)
    }

    /// The prefix of each class's objects.
    pub fn locations(&self) -> impl Iterator<Item = (i32, &str)> {
        self.locations.iter().map(|(class, location)| (*class, location.as_str()))
    }

    /// The key of an object; `None` when the class has no source.
    pub fn key(&self, class_uid: i32, account: &Account, day: EventDay, batch: &BatchId) -> Option<String> {
        Some(object_key(self.location(class_uid)?, &self.region, account, day, batch))
    }
}

/// Locations by class as the deployment says them: a JSON object, class to location, such as
/// `{"2004":"ext/example-detection/1.3.0/"}`. `None`: the text is no such thing.
pub fn locations(text: &str) -> Option<BTreeMap<i32, String>> {
    let listed: BTreeMap<String, String> = serde_json::from_str(text).ok()?;
    listed.into_iter().map(|(class, location)| Some((class.trim().parse().ok()?, location))).collect()
}

/// A location as a prefix within its bucket, with a slash at its end.
fn normalise(location: &str) -> Option<String> {
    let within = match location.strip_prefix("s3://") {
        Some(rest) => rest.split_once('/')?.1,
        None => location,
    };
    let within = within.strip_suffix('/').unwrap_or(within);
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':' | b'=');
    let segment = |text: &str| !matches!(text, "" | "." | "..") && text.bytes().all(plain);
    (within.len() <= 512 && within.split('/').all(segment)).then(|| format!("{within}/"))
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
    fn a_layout_takes_what_security_lake_returns_and_nothing_that_leaves_the_lake() {
        for location in [
            "ext/example-detection/1.3.0/",
            "ext/example-detection/1.3.0",
            "s3://aws-security-data-lake-eu-west-1-x/ext/example-detection/1.3.0/",
        ] {
            let layout = Layout::new("eu-west-1", [(2004, location)]).unwrap();
            assert_eq!(layout.location(2004), Some("ext/example-detection/1.3.0/"));
            assert_eq!(layout.location(2003), None);
        }
        for location in ["", "/", "/ext/a", "ext//a", "ext/../a/", "s3://bucket", "s3://bucket/", "ext/a b/"] {
            assert!(Layout::new("eu-west-1", [(2004, location)]).is_err(), "{location:?}");
        }
        for region in ["", "EU", "eu/west", "..", "eu west"] {
            assert!(Layout::from_prefix(region, "example-", Version::V1_3_0).is_err(), "{region:?}");
        }
        let layout = Layout::from_prefix("eu-west-1", "example-", Version::V1_1_0).unwrap();
        assert_eq!(layout.location(4001), Some("ext/example-network/1.1.0/"));
        assert!(SOURCES.iter().all(|(uid, _)| source_name("cloud-", *uid).unwrap().len() <= 20));
    }

    #[test]
    fn locations_are_an_object_of_classes() {
        let one = locations(r#"{"2004":"ext/a/1.3.0/"," 2003 ":"ext/b/1.3.0/"}"#).unwrap();
        assert_eq!(one, BTreeMap::from([(2003, "ext/b/1.3.0/".into()), (2004, "ext/a/1.3.0/".into())]));
        for text in ["", "[]", "{\"a\":\"b\"}", "{\"2004\":1}", "2004"] {
            assert_eq!(locations(text), None, "{text}");
        }
    }

    #[test]
    fn a_key_has_the_contract_shape() {
        let (day, _) = EventDay::new(NOON, NOON);
        let key = object_key(
            &location("example-detection", "1.3.0"),
            "eu-west-1",
            &Account::external(),
            day,
            &BatchId::for_content(b"x"),
        );
        assert!(
            key.starts_with(
                "ext/example-detection/1.3.0/region=eu-west-1/accountId=external/eventDay=20260101/content-"
            )
        );
        assert!(key.ends_with(".parquet"));
    }
}
