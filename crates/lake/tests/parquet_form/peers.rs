//! DuckDB and pyarrow open every object and find in it what was put there.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use bumpalo::Bump;
use tributary_batch::BatchId;
use tributary_lake::{Durability, LocalStore, OutcomeBuilder, Publisher, Row};
use tributary_ocsf::{Object, write_object};

use crate::rows::{DAY, Dice, Fill, NOON, classes, event, row};

/// The interpreter with the foreign readers; `None`, said loudly, when there is none and none is required.
fn python() -> Option<String> {
    if let Some(python) = std::env::var("TRIBUTARY_PYTHON").ok().filter(|python| Path::new(python).exists()) {
        return Some(python);
    }
    assert!(
        std::env::var_os("TRIBUTARY_REQUIRE_PEERS").is_none(),
        "TRIBUTARY_PYTHON names no python, and peers are required"
    );
    // Past the capture of a passing test's output.
    let _ =
        writeln!(std::io::stderr(), "SKIPPED: TRIBUTARY_PYTHON names no python: no foreign reader opened the objects");
    None
}

/// A lake in a folder, and beside it what each object holds: one JSON document a line.
fn lake(root: &Path) -> PathBuf {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let store = Arc::new(LocalStore::open(&root.join("lake"), Durability::Cached).unwrap());
    let publisher = Publisher::new(Arc::clone(&store) as _, store);
    let mut lines = String::new();
    for (number, class) in classes().iter().enumerate() {
        for batch in 0..2 {
            let (arena, mut dice) = (Bump::new(), Dice(100 + number as u64 * 2 + batch));
            let id = BatchId::parse(&format!("peer-{batch}")).unwrap();
            let fills = [Fill::All, Fill::Some, Fill::Least, Fill::Some];
            let events: Vec<(i64, &Object<'_>, Option<&str>)> = (0..24)
                .map(|index| {
                    let time = NOON - dice.below(DAY as u64) as i64;
                    let account = (index % 3 == 0).then_some("00000000-0000-4000-8000-00000000000A");
                    let uid = format!("{}-{batch}-{index}", class.name);
                    (time, event(class, &uid, time, fills[index % 4], &mut dice, &arena), account)
                })
                .collect();
            let rows: Vec<Row<'_>> = events.iter().map(|(time, event, account)| row(event, *time, *account)).collect();
            let writer = crate::writer(class.schema);
            let made = writer.objects(&id, &rows).unwrap();
            assert_eq!(made.overflowed, 0, "{}: every value has a column", class.name);
            for (group, object) in tributary_lake::group(&rows).iter().zip(&made.objects) {
                let rows: Vec<String> = group.events.iter().map(|event| json(class.schema, event)).collect();
                let source = object.key.split("region=").next().unwrap();
                lines.push_str(&format!(
                    "{{\"key\":{:?},\"source\":{source:?},\"account\":{:?},\"day\":{:?},\"rows\":[{}]}}\n",
                    object.key,
                    group.key.account.as_str(),
                    group.key.day.text(),
                    rows.join(",")
                ));
            }
            let outcome = OutcomeBuilder::new(id, "digest", 24).lake(&made).build();
            let published = runtime.block_on(publisher.publish(&outcome)).unwrap();
            assert_eq!(published.objects, made.objects.len() as u64);
        }
    }
    let expected = root.join("expected.ndjson");
    std::fs::write(&expected, lines).unwrap();
    expected
}

fn json(schema: &tributary_ocsf::Schema, event: &Object<'_>) -> String {
    let mut text = String::new();
    write_object(schema, event, &mut text);
    text
}

#[test]
fn foreign_readers_find_every_value() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let expected = lake(folder.path());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/peers/lake_readers.py");
    for reader in ["pyarrow", "duckdb"] {
        let run = Command::new(&python)
            .arg(&script)
            .arg(reader)
            .arg(folder.path().join("lake"))
            .arg(&expected)
            .output()
            .unwrap();
        let (out, error) = (String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
        assert!(run.status.success(), "{reader}\n{out}\n{error}");
        assert!(out.contains("objects"), "{reader} says nothing: {out}");
    }
}
