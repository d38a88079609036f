//! Changed mapping files: in force only if they are the ones that are meant and pass.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::path::Path;

use tempfile::TempDir;
use tributary_mapping::{MappingSet, Sources, digest};
use tributary_ocsf::Version;
use tributary_pipeline::{ChangedMappings, MappingsRefused, MappingsUri};
use tributary_telemetry::{Metric, Metrics};

const ALERT: &str = "\
kind: alert
class: detection_finding
match: [{ kind: alert }]
map:
  activity_id: Create
  time: .at
  severity_id: Low
  metadata: { product: { name: Example, vendor_name: Example } }
  finding_info: { uid: .id, title: .id // \"none\" }
  cloud: { provider: Example }
";
/// A class of OCSF that no lake object is made of.
const SCAN: &str = "\
kind: scan
class: scan_activity
match: [{ kind: scan }]
map:
  activity_id: Started
  time: .at
  severity_id: Low
  metadata: { product: { name: Example, vendor_name: Example } }
  scan: { name: .id, type_id: Manual }
";

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (path, text) in files {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    folder
}

fn changed(folder: &Path, digest: Option<String>) -> ChangedMappings {
    ChangedMappings::new(MappingsUri::Folder(folder.to_owned()), digest)
}

/// Configures the digest that the folder's files have.
async fn approved(folder: &Path) -> ChangedMappings {
    let Err(MappingsRefused::NoDigest(found)) = changed(folder, None).load(&[], Version::V1_3_0).await else {
        panic!("files without a digest must be refused with theirs")
    };
    changed(folder, Some(found))
}

async fn refusal(changed: &ChangedMappings) -> MappingsRefused {
    let metrics = Metrics::new();
    assert!(changed.accepted(&[], Version::V1_3_0, &metrics).await.is_none());
    assert_eq!(metrics.snapshot().total(Metric::MappingsRefused), 1);
    changed.load(&[], Version::V1_3_0).await.unwrap_err()
}

#[tokio::test]
async fn approved_files_that_pass_are_in_force() {
    let folder = folder(&[("alert.yaml", ALERT), ("alert.cases/a.json", "{}"), (".git/alert.yaml", "draft")]);
    let changed = approved(folder.path()).await;
    let metrics = Metrics::new();
    let set = changed.accepted(&[], Version::V1_3_0, &metrics).await.unwrap();
    assert_eq!(metrics.snapshot().total(Metric::MappingsRefused), 0);
    // The digest is the one that the same files have when they are compiled from memory, cases or not.
    let sources = Sources::from([("alert.yaml".to_owned(), ALERT.to_owned())]);
    let compiled = MappingSet::compile(&sources, &[], Version::V1_3_0).unwrap();
    assert_eq!((set.digest(), changed.digest.as_deref()), (compiled.digest(), Some(digest(&sources).as_str())));
    // Digests are copied from many places.
    let spelled = changed.digest.unwrap().to_uppercase() + "\n";
    assert!(self::changed(folder.path(), Some(spelled)).load(&[], Version::V1_3_0).await.is_ok());
}

#[tokio::test]
async fn files_that_are_not_meant_are_not_even_compiled() {
    let folder = folder(&[("alert.yaml", "no map at all")]);
    let text = refusal(&changed(folder.path(), None)).await.to_string();
    assert!(text.contains("set MAPPINGS_DIGEST to theirs, "), "{text}");
    for other in ["0".repeat(64), String::new(), "sha256".repeat(1_000)] {
        let refused = refusal(&changed(folder.path(), Some(other))).await;
        assert!(matches!(refused, MappingsRefused::OtherDigest { .. }), "{refused}");
        assert!(refused.to_string().len() < 400, "{refused}");
    }
    // One byte in an approved file.
    let folder = self::folder(&[("alert.yaml", ALERT)]);
    let changed = approved(folder.path()).await;
    std::fs::write(folder.path().join("alert.yaml"), ALERT.replace("Low", "High")).unwrap();
    assert!(matches!(refusal(&changed).await, MappingsRefused::OtherDigest { .. }));
}

#[tokio::test]
async fn approved_files_that_do_not_pass_are_refused() {
    let folder = folder(&[("alert.yaml", &ALERT.replace("severity_id", "severity_idd"))]);
    let refused = refusal(&approved(folder.path()).await).await;
    let text = refused.to_string();
    assert!(matches!(refused, MappingsRefused::Faulty { .. }), "{text}");
    assert!(text.contains("alert.yaml") && text.contains("severity_idd") && !text.contains('\n'), "{text}");
}

#[tokio::test]
async fn what_goes_beyond_the_committed_schemas_is_refused() {
    // In OCSF, and in no column.
    let map = ALERT.replace("uid: .id,", "uid: .id, product_uid: .product,");
    let folder = folder(&[("alert.yaml", &map)]);
    let refused = refusal(&approved(folder.path()).await).await;
    let text = refused.to_string();
    assert!(matches!(refused, MappingsRefused::OutsideSchema { .. }), "{text}");
    assert!(text.contains("finding_info.product_uid is outside the committed schema of detection_finding"), "{text}");

    let folder = self::folder(&[("alert.yaml", ALERT), ("scan.yaml", SCAN)]);
    let text = refusal(&approved(folder.path()).await).await.to_string();
    assert!(text.contains("class scan_activity has no committed schema"), "{text}");
}

#[tokio::test]
async fn too_much_and_too_little_is_refused() {
    let empty = folder(&[("readme.md", "no map")]);
    assert!(matches!(refusal(&changed(empty.path(), None)).await, MappingsRefused::Empty));
    let missing = empty.path().join("missing");
    assert!(matches!(refusal(&changed(&missing, None)).await, MappingsRefused::Folder(_)));
    assert!(!missing.exists(), "looking must not make it");

    let large = folder(&[("alert.yaml", &"#".repeat((1 << 20) + 1))]);
    let text = refusal(&changed(large.path(), None)).await.to_string();
    assert!(text.contains("alert.yaml") && text.contains("more than the 1048576"), "{text}");
    let names: Vec<String> = (0..1_001).map(|n| format!("{n}.yaml")).collect();
    let files: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "")).collect();
    let text = refusal(&changed(folder(&files).path(), None)).await.to_string();
    assert!(text.contains("more .yaml files than 1000"), "{text}");
}

#[tokio::test]
async fn a_bucket_without_aws_leaves_the_built_in_set_in_force() {
    let changed = ChangedMappings::new("s3://some-bucket/maps".parse().unwrap(), Some("x".to_owned()));
    let refused = refusal(&changed).await;
    assert!(matches!(refused, MappingsRefused::Aws(_)) && refused.to_string().contains("AWS_REGION"), "{refused}");
}
