//! DuckDB and pyarrow find in the objects what another program finds in the blobs.

use std::process::Command;

use tributary_azure_flowlogs::generate;
use tributary_ocsf::Version;

use crate::{blob, cases, corpus, logs, peer, python};

#[test]
fn foreign_readers_find_the_sums_of_the_source() {
    let Some(python) = python("sums of flow logs by duckdb and pyarrow") else { return };
    for version in Version::ALL {
        // Objects of a few thousand rows too: several pages, and values instead of dictionaries.
        let mut samples: Vec<(String, Vec<u8>)> = vec![("generated".to_owned(), generate::blob(21, 200_000))];
        samples.extend(cases());
        samples.extend(corpus());
        let logs = logs(version);
        for (name, bytes) in samples {
            let (made, counts) = blob(&logs, &bytes);
            if counts.objects == 0 {
                continue;
            }
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join("blob.json"), &bytes).unwrap();
            for (at, object) in made.iter().flat_map(|made| &made.objects.objects).enumerate() {
                std::fs::write(folder.path().join(format!("{at}.parquet")), &object.bytes).unwrap();
            }
            let output = Command::new(&python).arg(peer("flow_sums.py")).arg(folder.path()).output().unwrap();
            let (said, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            assert!(output.status.success(), "{name}: {said}{error}");
            assert!(said.contains(&format!("{} rows", counts.tuples)), "{name}: {said}");
        }
    }
}
