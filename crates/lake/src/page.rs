//! How much of one row may go into one column, so that every page stays under 1 MB uncompressed.
//!
//! A writer ends a page after the row with which it reaches [`PAGE_LIMIT`], so a page holds at most that and one more
//! row's values. Mapping refuses records with more text in a column than [`MAX_COLUMN_TEXT`]. What grows on its way here
//! (objects that become JSON text, values without a column that join `unmapped`) is held to the same bound, cut short
//! rather than lost.

/// Uncompressed bytes at which a page ends.
pub(crate) const PAGE_LIMIT: usize = 448 * 1024;
/// Most bytes of one row in one text column, the length before each text included. With [`PAGE_LIMIT`] this leaves 82 KB
/// for the levels of a page's values.
const MAX_COLUMN_TEXT: usize = 448 * 1024;
/// Bytes that Parquet writes before a text: its length.
const LENGTH: usize = 4;
/// Path in `unmapped` that says how many of a row's values are cut short or left out.
pub const CUT_PATH: &str = "tributary.cut";
/// What is kept free for the entry at [`CUT_PATH`].
const RESERVED: usize = 64;

/// Whether a text can be a value.
pub(crate) fn fits(text: &str) -> bool {
    text.len() <= MAX_COLUMN_TEXT - LENGTH
}

/// Hands on the entries of a row's `unmapped`, texts cut short and entries left out where they would not fit the columns
/// of paths and texts. Returns how many are affected; the last entry says so.
pub(crate) fn within_page<'t>(
    entries: impl Iterator<Item = (&'t str, &'t str)>,
    mut push: impl FnMut(&str, &str),
) -> u64 {
    let (mut paths, mut texts) = (MAX_COLUMN_TEXT - RESERVED, MAX_COLUMN_TEXT - RESERVED);
    let mut cut = 0;
    for (path, text) in entries {
        let (Some(left), Some(room)) = (paths.checked_sub(path.len() + LENGTH), texts.checked_sub(LENGTH)) else {
            cut += 1;
            continue;
        };
        let kept = text.get(..text.floor_char_boundary(room)).unwrap_or_default();
        cut += u64::from(kept.len() < text.len());
        (paths, texts) = (left, room - kept.len());
        push(path, kept);
    }
    if cut > 0 {
        push(CUT_PATH, &format!("{cut} values"));
    }
    cut
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn run(entries: &[(&str, &str)]) -> (Vec<(String, String)>, u64) {
        let mut kept = Vec::new();
        let cut = within_page(entries.iter().copied(), |path, text| kept.push((path.to_owned(), text.to_owned())));
        (kept, cut)
    }

    #[test]
    fn what_fits_is_handed_on_as_it_is() {
        let long = "x".repeat(MAX_COLUMN_TEXT - 1_000);
        let entries = [("a", long.as_str()), ("b", "")];
        let (kept, cut) = run(&entries);
        assert_eq!(cut, 0);
        assert_eq!(kept, entries.map(|(path, text)| (path.to_owned(), text.to_owned())));
    }

    #[test]
    fn a_text_that_does_not_fit_is_cut_between_characters_and_the_row_says_so() {
        let long = "東".repeat(MAX_COLUMN_TEXT / 2);
        let (kept, cut) = run(&[("a", &long), ("b", "later")]);
        assert_eq!(cut, 2);
        assert!(kept[0].1.len() > MAX_COLUMN_TEXT - 100 && long.starts_with(&kept[0].1));
        assert_eq!(kept.last().unwrap(), &(CUT_PATH.to_owned(), "2 values".to_owned()));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn neither_column_outgrows_a_page(
            sizes in prop::collection::vec((1_usize..2_000, prop_oneof![0_usize..50, 0_usize..300_000]), 0..600),
        ) {
            let (path, text) = ("p".repeat(2_000), "é".repeat(150_000));
            let entries: Vec<(&str, &str)> = sizes.iter().map(|(path_size, text_size)| {
                (&path[..*path_size], &text[..text.floor_char_boundary(*text_size)])
            }).collect();
            let (kept, cut) = run(&entries);
            let paths: usize = kept.iter().map(|(path, _)| path.len() + LENGTH).sum();
            let texts: usize = kept.iter().map(|(_, text)| text.len() + LENGTH).sum();
            prop_assert!(paths <= MAX_COLUMN_TEXT && texts <= MAX_COLUMN_TEXT, "{paths} {texts}");
            let whole = kept.iter().zip(&entries).filter(|((path, text), entry)| (path.as_str(), text.as_str()) == **entry);
            prop_assert!(cut > 0 || whole.count() == entries.len());
            prop_assert_eq!(kept.iter().any(|(path, _)| path == CUT_PATH), cut > 0);
        }
    }
}
