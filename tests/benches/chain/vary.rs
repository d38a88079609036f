//! One body made many: a batch of equal records would cost dictionaries and compression nothing.

use std::collections::BTreeSet;

/// What the repetitions have in common.
#[derive(Clone)]
pub(crate) struct Vary {
    /// GUIDs that stay, in lower case.
    keep: BTreeSet<String>,
}

impl Vary {
    /// Keeps the GUIDs that maps and their tables know.
    pub(crate) fn keeping<'t>(texts: impl Iterator<Item = &'t str>) -> Self {
        let found = texts.flat_map(|text| (0..text.len()).filter_map(move |at| guid(text, at)));
        Self { keep: found.map(str::to_ascii_lowercase).collect() }
    }

    /// Keeps one more.
    pub(crate) fn keep(&mut self, guid: &str) {
        self.keep.insert(guid.to_ascii_lowercase());
    }

    /// The body's repetition `number`: each GUID has other last digits, each time another minute and second, the same ones
    /// for the same ones.
    pub(crate) fn body(&self, body: &str, number: u32) -> String {
        let mut out = body.to_owned();
        for at in 0..body.len() {
            if let Some(guid) = guid(body, at).filter(|guid| !self.keep.contains(&guid.to_ascii_lowercase())) {
                let tail = u32::from_str_radix(&guid[28..], 16).unwrap();
                out.replace_range(at + 28..at + 36, &format!("{:08x}", tail ^ number.wrapping_mul(0x9e37_79b1)));
            } else if let Some((minute, second)) = time(body, at) {
                let moved = (minute * 60 + second + number) % 3_600;
                out.replace_range(at + 4..at + 9, &format!("{:02}:{:02}", moved / 60, moved % 60));
            }
        }
        out
    }
}

/// The GUID that begins here.
fn guid(text: &str, at: usize) -> Option<&str> {
    let guid = text.get(at..at + 36)?;
    let fits = |(place, byte): (usize, u8)| match place {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    };
    guid.bytes().enumerate().all(fits).then_some(guid)
}

/// Minute and second of the time that begins here with `T`.
fn time(text: &str, at: usize) -> Option<(u32, u32)> {
    let [hour, minute, second] =
        <[&str; 3]>::try_from(text.get(at..at + 9)?.strip_prefix('T')?.split(':').collect::<Vec<_>>()).ok()?;
    let number = |text: &str| (text.len() == 2).then(|| text.parse().ok()).flatten();
    number(hour).and_then(|_: u32| Some((number(minute)?, number(second)?)))
}
