//! The kinds' figures as the table of `docs/PERFORMANCE.md`.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use crate::kinds::Measured;

/// Records a second that every kind shall reach, as set for alerts of 3.6 KB.
const TO_ARROW: f64 = 40_000.0;
const TO_PARQUET: f64 = 25_000.0;
const ONE_OBJECT: &str = "through Parquet, one account and day";

/// What stands around the table in the file.
const BEGIN: &str = "<!-- kinds: written by `make bench` -->";
const END: &str = "<!-- kinds: end -->";

impl Measured {
    #[allow(clippy::cast_precision_loss)]
    fn micros(&self, time: Duration) -> f64 {
        time.as_secs_f64() * 1e6 / self.records as f64
    }

    /// Of a sum, the part of one record.
    #[allow(clippy::cast_precision_loss)]
    fn each(&self, sum: usize) -> f64 {
        sum as f64 / self.records as f64
    }
}

/// The table, and which kinds miss what.
pub(crate) fn table(kinds: &[Measured]) -> String {
    let mut out = String::from(
        "| kind | bytes | values | map µs | map/s | Arrow µs | Arrow/s | MB/s | Parquet µs | Parquet/s | MB/s | objects | Parquet/s, one day |\n\
         |---|---|---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    let mut goals = [
        ("to Arrow", TO_ARROW, Vec::new()),
        ("through Parquet", TO_PARQUET, Vec::new()),
        (ONE_OBJECT, TO_PARQUET, Vec::new()),
    ];
    for kind in kinds {
        let [map, arrow, parquet, one] =
            [kind.times.map, kind.times.arrow, kind.times.parquet, kind.times.one_object].map(|time| kind.micros(time));
        let (size, rate) = (kind.each(kind.bytes), |micros: f64| 1e6 / micros);
        let _ = writeln!(
            out,
            "| {} | {size:.0} | {:.0} | {map:.1} | {:.0} | {arrow:.1} | {:.0} | {:.0} | {parquet:.1} | {:.0} | {:.0} | {} | {:.0} |",
            kind.kind,
            kind.each(kind.values),
            rate(map),
            rate(arrow),
            size / arrow,
            rate(parquet),
            size / parquet,
            kind.objects,
            rate(one),
        );
        for ((_, target, below), micros) in goals.iter_mut().zip([arrow, parquet, one]) {
            if rate(micros) < *target {
                below.push(format!("{} ({:.1} million values/s)", kind.kind, kind.each(kind.values) / micros));
            }
        }
    }
    let _ = writeln!(out, "\nOf {} kinds there are below", kinds.len());
    for (goal, target, below) in goals {
        let names = if below.is_empty() { "none".to_owned() } else { format!("{}: {}", below.len(), below.join(", ")) };
        let _ = writeln!(out, "- {target:.0} records/s {goal}: {names}");
    }
    out
}

/// Puts the table between the file's two marks.
pub(crate) fn write(path: &Path, table: &str) {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()));
    let parts = text.split_once(BEGIN).and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    let (before, after) = parts.unwrap_or_else(|| panic!("{} lacks {BEGIN} or {END}", path.display()));
    std::fs::write(path, format!("{before}{BEGIN}\n{table}{END}{after}")).unwrap();
}
