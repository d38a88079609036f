//! Bringing back what was set aside: dead letters into their queue, quarantined records into the lake.

mod letters;
mod records;

pub use letters::{LetterFilter, LettersReport, RedriveLetters};
pub use records::{RecordFilter, RecordsReport, RedriveRecords};
