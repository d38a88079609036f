//! What a finding had to leave out: said in the finding itself.

/// Names of lists, and how many of their elements did not fit.
#[derive(Debug, Default)]
pub(crate) struct Marks(Vec<(&'static str, usize)>);

impl Marks {
    /// Counts elements that a list leaves out.
    pub(crate) fn add(&mut self, list: &'static str, count: usize) {
        if count == 0 {
            return;
        }
        match self.0.iter_mut().find(|(name, _)| *name == list) {
            Some((_, sum)) => *sum += count,
            None => self.0.push((list, count)),
        }
    }

    /// The first `max` elements; the others are counted.
    pub(crate) fn first<T>(&mut self, list: &'static str, max: usize, mut items: impl Iterator<Item = T>) -> Vec<T> {
        let kept = items.by_ref().take(max).collect();
        self.add(list, items.count());
        kept
    }

    /// Such as `Resources 968, Types 3`; none when nothing was left out.
    pub(crate) fn text(&self) -> Option<String> {
        let parts: Vec<String> = self.0.iter().map(|(name, count)| format!("{name} {count}")).collect();
        (!parts.is_empty()).then(|| parts.join(", "))
    }
}
