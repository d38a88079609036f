//! The generator's own small source of chance: SplitMix64, so that a seed means the same for ever and everywhere.

/// A stream of numbers that a seed fixes.
#[derive(Debug, Clone)]
pub(crate) struct Random {
    state: u64,
}

impl Random {
    /// The stream of item `index` under `seed`: every event has its own, so that no event depends on those before it.
    pub(crate) fn new(seed: u64, index: u64) -> Self {
        let mut outer = Self { state: seed };
        let mut inner = Self { state: outer.next() ^ index.wrapping_mul(0xD1B5_4A32_D192_ED03) };
        inner.next();
        inner
    }

    /// The next 64 bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.state;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^ (bits >> 31)
    }

    /// A number from 0 to `limit - 1`; 0 when `limit` is 0.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        let wide = u128::from(self.next()) * limit as u128;
        usize::try_from(wide >> 64).unwrap_or_default()
    }

    /// A number from `low` to `high`, both included.
    pub(crate) fn between(&mut self, low: i64, high: i64) -> i64 {
        let span = usize::try_from(high.saturating_sub(low)).unwrap_or_default();
        low + i64::try_from(self.below(span + 1)).unwrap_or_default()
    }

    /// True this many times in a hundred.
    pub(crate) fn percent(&mut self, share: usize) -> bool {
        self.below(100) < share
    }

    /// `value` this many times in a hundred, else nothing.
    pub(crate) fn maybe<T>(&mut self, share: usize, value: T) -> Option<T> {
        self.percent(share).then_some(value)
    }

    /// One of `items`, which must not be empty.
    pub(crate) fn pick<T: Clone>(&mut self, items: &[T]) -> T {
        // The index is below the length; an empty list is a fault of this crate's own tables.
        #[allow(clippy::indexing_slicing)]
        items[self.below(items.len())].clone()
    }

    /// One of the items by their weights.
    pub(crate) fn weighted<T: Copy>(&mut self, items: &Weighted<T>) -> Option<T> {
        let at = self.below(items.total());
        let found = items.0.partition_point(|(end, _)| *end <= at);
        items.0.get(found).map(|(_, item)| *item)
    }

    /// `count` different `items` in their order; all of them when there are no more.
    pub(crate) fn some<T: Clone>(&mut self, items: &[T], count: usize) -> Vec<T> {
        let mut left = items.len();
        let mut wanted = count.min(left);
        let mut chosen = Vec::with_capacity(wanted);
        for item in items {
            if self.below(left) < wanted {
                chosen.push(item.clone());
                wanted -= 1;
            }
            left -= 1;
        }
        chosen
    }

    /// `digits` lower-case hex digits.
    pub(crate) fn hex(&mut self, digits: usize) -> String {
        let mut text = String::new();
        while text.len() < digits {
            text += &format!("{:016x}", self.next());
        }
        text.truncate(digits);
        text
    }

    /// A made-up GUID (version 4).
    pub(crate) fn guid(&mut self) -> String {
        let bits = self.next();
        format!(
            "{:08x}-{:04x}-4{:03x}-{:x}{:03x}-{:012x}",
            bits >> 32,
            bits >> 16 & 0xffff,
            bits & 0xfff,
            8 + (bits >> 12 & 3),
            self.next() & 0xfff,
            self.next() & 0xffff_ffff_ffff
        )
    }
}

/// Items by weight: each with the sum of the weights up to its own.
#[derive(Debug, Clone)]
pub(crate) struct Weighted<T>(Vec<(usize, T)>);

impl<T> Weighted<T> {
    pub(crate) fn new(items: impl Iterator<Item = (usize, T)>) -> Self {
        let mut end = 0;
        let ends = items.map(|(weight, item)| {
            end += weight;
            (end, item)
        });
        Self(ends.collect())
    }

    fn total(&self) -> usize {
        self.0.last().map_or(0, |(end, _)| *end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_a_stream() {
        let stream = |seed, index| {
            let mut random = Random::new(seed, index);
            [random.next(), random.next()]
        };
        assert_eq!(stream(1, 2), stream(1, 2));
        assert_ne!(stream(1, 2), stream(1, 3));
        assert_ne!(stream(1, 2), stream(2, 2));
        // Pinned: changing the stream changes every sample that anyone noted a seed for.
        assert_eq!(Random { state: 0 }.next(), 0xe220_a839_7b1d_cdaf);
    }

    #[test]
    fn choices_stay_within_bounds() {
        let mut random = Random::new(7, 7);
        for _ in 0..1_000 {
            assert!(random.below(3) < 3);
            assert!((-2..=2).contains(&random.between(-2, 2)));
            assert_eq!(random.some(&[1, 2, 3, 4], 2).len(), 2);
            assert_eq!(random.hex(20).len(), 20);
            assert_eq!(random.guid().len(), 36);
        }
        assert_eq!(random.below(0), 0);
        assert_eq!(random.weighted(&Weighted::<u8>::new([].into_iter())), None);
        let items = Weighted::new([(3, 'a'), (0, 'b'), (1, 'c')].into_iter());
        let drawn: String = (0..4_000).filter_map(|_| random.weighted(&items)).collect();
        assert!((2_800..3_200).contains(&drawn.matches('a').count()) && !drawn.contains('b'));
        assert_eq!(random.some(&[1, 2], 9), [1, 2]);
    }
}
