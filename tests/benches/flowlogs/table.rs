//! The figures as the section of `docs/PERFORMANCE.md`.

use std::fmt::Write as _;
use std::path::Path;

use crate::run::Size;
use crate::stages::Stages;

const BEGIN: &str = "<!-- flow logs: written by `make bench` -->";
const END: &str = "<!-- flow logs: end -->";

#[allow(clippy::cast_precision_loss)]
pub(crate) fn stages(of: &Stages) -> String {
    let tuples = of.tuples as f64;
    let mut out = format!(
        "{} tuples, {:.1} MB of JSON ({:.1} bytes a tuple), best of {} rounds; {} objects of {:.1} bytes a tuple.\n\n",
        of.tuples,
        of.json as f64 / 1e6,
        of.json as f64 / tuples,
        of.rounds,
        of.objects,
        of.parquet as f64 / tuples,
    );
    out.push_str("| stage | ns a tuple | median | tuples/s | MB/s of JSON |\n|---|---|---|---|---|\n");
    for stage in &of.stages {
        let seconds = stage.best.as_secs_f64();
        let _ = writeln!(
            out,
            "| {} | {:.1} | {:.1} | {:.0} | {:.0} |",
            stage.name,
            seconds * 1e9 / tuples,
            stage.median.as_secs_f64() * 1e9 / tuples,
            tuples / seconds,
            of.json as f64 / 1e6 / seconds
        );
    }
    out
}

#[allow(clippy::cast_precision_loss)]
pub(crate) fn sizes(of: &[Size]) -> String {
    let mut out = String::from(
        "| tuples | MB of JSON | objects | bytes a tuple | ns a tuple | tuples/s | peak resident MB |\n|---|---|---|---|---|---|---|\n",
    );
    for size in of {
        let (tuples, seconds) = (size.tuples as f64, size.time.as_secs_f64());
        let _ = writeln!(
            out,
            "| {} | {:.1} | {} | {:.1} | {:.0} | {:.0} | {:.0} |",
            size.tuples,
            size.json as f64 / 1e6,
            size.objects,
            size.parquet as f64 / tuples,
            seconds * 1e9 / tuples,
            tuples / seconds,
            size.peak as f64 / 1e6
        );
    }
    out
}

/// Puts both tables between the marks of a file.
pub(crate) fn write(path: &Path, measured: &Stages, grown: &[Size]) {
    let text = std::fs::read_to_string(path).unwrap();
    let (before, rest) = text.split_once(BEGIN).expect("the file has no marks for flow logs");
    let (_, after) = rest.split_once(END).expect("the file has no end of flow logs");
    let (stages, sizes) = (stages(measured), sizes(grown));
    std::fs::write(path, format!("{before}{BEGIN}\n{stages}\n{sizes}{END}{after}")).unwrap();
}
