//! Markers: what names one record, in the source and in whatever it becomes.

/// Names the records of one event.
#[derive(Debug)]
pub(crate) struct Markers {
    seed: u64,
    index: u64,
    next: u64,
}

impl Markers {
    pub(crate) fn new(seed: u64, index: u64) -> Self {
        Self { seed, index, next: 0 }
    }

    /// The next record's marker: the seed's bits, then the event's index, then the record's.
    pub(crate) fn next(&mut self) -> String {
        let record = self.next;
        self.next += 1;
        format!(
            "{:08x}-5eed-4{:03x}-8{:03x}-{:09x}{:03x}",
            self.seed & 0xffff_ffff,
            self.seed >> 32 & 0xfff,
            self.seed >> 44 & 0xfff,
            self.index & 0xf_ffff_ffff,
            record & 0xfff
        )
    }
}

/// What stands in every marker and in no other made-up GUID, and where.
const SIGN: (usize, &str) = (8, "-5eed-4");
const LENGTH: usize = 36;

/// Whether `text` has the shape of a marker; none of the other made-up GUIDs has.
pub fn is_marker(text: &str) -> bool {
    text.len() == LENGTH
        && text.bytes().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        })
        && text.get(SIGN.0..).is_some_and(|rest| rest.starts_with(SIGN.1))
        && text.get(19..20) == Some("8")
}

/// The first marker within a text.
pub fn marker_in(text: &str) -> Option<&str> {
    let starts = text.match_indices(SIGN.1).filter_map(|(at, _)| at.checked_sub(SIGN.0));
    starts.filter_map(|at| text.get(at..at + LENGTH)).find(|part| is_marker(part))
}

/// The marker that an event of the lake carries, wherever the [table](crate#the-marker) says. `text` gives the text of an
/// attribute by its object and name; of `unmapped` the name is a path in the source.
pub fn marker_of(text: impl Fn(&str, &str) -> Option<String>) -> Option<String> {
    let whole = |object: &str, name: &str| text(object, name).filter(|text| is_marker(text));
    whole("metadata", "correlation_uid")
        .or_else(|| marker_in(&text("finding_info", "uid")?).map(str::to_owned))
        .or_else(|| whole("unmapped", "relayId"))
}
