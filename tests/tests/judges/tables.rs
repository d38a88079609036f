//! The OCSF tables are what the generator writes from the compiled schemas of the python package.

use tributary_ocsf::Version;

use crate::peers::{published_schemas, python};

#[allow(dead_code, unreachable_pub)]
#[path = "../../../crates/ocsf/examples/ocsf-tables.rs"]
mod generator;

#[test]
fn the_tables_come_from_the_published_schemas() {
    let Some(python) = python("the comparison of the ocsf tables") else { return };
    let folder = published_schemas(&python);
    for version in Version::ALL {
        let schema = std::fs::read_to_string(folder.join(format!("{version}.json"))).unwrap();
        let written = generator::tables(&serde_json::from_str(&schema).unwrap());
        let committed = concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/ocsf/tables");
        let committed = std::fs::read_to_string(format!("{committed}/{version}.tsv")).unwrap();
        assert!(written == committed, "crates/ocsf/tables/{version}.tsv is not what the package says: make tables");
    }
}
