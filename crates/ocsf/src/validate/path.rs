//! Where a finding is: names and indices from the event down, written out only for findings that are kept.

/// Longest part of an event's text in a finding, in bytes.
const SHORT: usize = 60;

/// A place in an event, linked to the place above it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Path<'p> {
    above: Option<&'p Path<'p>>,
    step: Step<'p>,
}

#[derive(Debug, Clone, Copy)]
enum Step<'p> {
    Root,
    Name(&'p str),
    Index(usize),
}

/// The event itself.
pub(crate) const ROOT: Path<'static> = Path { above: None, step: Step::Root };

impl<'p> Path<'p> {
    pub(crate) fn name(&'p self, name: &'p str) -> Self {
        Self { above: Some(self), step: Step::Name(name) }
    }

    pub(crate) fn index(&'p self, index: usize) -> Self {
        Self { above: Some(self), step: Step::Index(index) }
    }

    /// As `resources[0].name`; the event itself is empty.
    pub(crate) fn text(&self) -> String {
        let mut steps = Vec::new();
        let mut at = Some(self);
        while let Some(path) = at {
            steps.push(path.step);
            at = path.above;
        }
        let mut out = String::new();
        for step in steps.iter().rev() {
            match step {
                Step::Root => {}
                Step::Name(name) => {
                    if !out.is_empty() {
                        out.push('.');
                    }
                    out.push_str(&short(name));
                }
                Step::Index(index) => out.push_str(&format!("[{index}]")),
            }
        }
        out
    }
}

/// The beginning of a text, with control characters escaped: findings go to terminals.
pub(crate) fn short(text: &str) -> String {
    let mut end = text.len().min(SHORT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let mut out: String = text.get(..end).unwrap_or_default().escape_debug().collect();
    if end < text.len() {
        out.push_str("...");
    }
    out
}

/// [`short`] in quotes.
pub(crate) fn quoted(text: &str) -> String {
    format!("\"{}\"", short(text))
}
