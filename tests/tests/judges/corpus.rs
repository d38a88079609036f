//! Real Azure samples through the mapper: nothing panics, nothing is lost, what is ours is mapped, and validly.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bumpalo::Bump;
use serde_json::Value as Json;
use tributary_azure_mappings::shipped;
use tributary_mapping::{Mapper, Options, Origin, Outcome, Scratch};
use tributary_ocsf::{Version, write_object};

use crate::cases::{our_findings, refusal};
use crate::peers::{TempFile, corpus, judge};

/// What must become of a file's records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Every record is mapped, by this kind's file.
    Mapped(&'static str),
    /// Every record is refused, for this reason.
    Refused(&'static str),
    /// Every record is handed on by this rule.
    Routed(&'static str),
}
use Fate::{Mapped, Refused, Routed};

/// By the beginning of a file's path, the first that fits: who collected the samples sorted them by what Azure calls
/// them, which knows nothing of our classifier.
const FATES: [(&str, Fate); 33] = [
    ("A_mdc_alerts/", Mapped("defender_alert")),
    ("A_mdc_assessments/", Mapped("defender_assessment")),
    ("A_mdc_regulatory/", Mapped("regulatory_compliance_assessment")),
    ("A_mdc_secure_score/", Mapped("secure_score")),
    ("A_mdc_subassessments/", Mapped("defender_subassessment")),
    ("B_activity_administrative/", Mapped("activity_administrative")),
    ("B_activity_alert/", Mapped("activity_alert")),
    ("B_activity_autoscale/", Mapped("activity_autoscale")),
    ("B_activity_policy/", Mapped("activity_policy")),
    ("B_activity_recommendation/", Mapped("activity_recommendation")),
    ("B_activity_restapi_shape/", Mapped("activity_security")),
    ("B_activity_security/", Mapped("activity_security")),
    ("B_activity_servicehealth/", Mapped("activity_service_health")),
    ("C_entra_audit/", Mapped("entra_audit")),
    ("C_entra_signin/", Mapped("entra_signin")),
    ("C_entra_signin_noninteractive/", Mapped("entra_signin_noninteractive")),
    ("C_entra_signin_sp/", Mapped("entra_signin_service_principal")),
    ("D_keyvault/", Mapped("key_vault_audit")),
    ("D_storage/", Mapped("storage_access")),
    // Flow logs come as blobs. Of two files only the tuples are here; one is what a ranged read of the newest blocks gives.
    ("E_vnet_flow/azuredocs_tuples_empty_counters.json", Refused("not-a-log")),
    ("E_vnet_flow/newrelic_odd_tuples.json", Refused("not-a-log")),
    ("E_vnet_flow/newrelic_partial_block_fragment.txt", Refused("fragment")),
    ("E_", Refused("unknown-kind")),
    ("F_eventgrid/awssample_flowlog_blobcreated_cloudevent_array.json", Routed("flow_logs")),
    ("F_eventgrid/", Mapped("event_grid_blob")),
    ("Z_malformed/", Refused("not-json")),
    ("Z_not_logs/", Refused("not-a-log")),
    ("Z_odd/azuredocs_nsg_v1_records_nested_in_records.json", Refused("unknown-kind")),
    ("Z_odd/dynatrace_integration_events_array.json", Mapped("azure_general")),
    // It names neither a resource nor a tenant: nobody could say whose it is.
    ("Z_odd/dynatrace_single_quotes_escaped_and_us_time.json", Refused("unknown-kind")),
    // An operation of the Activity Log whose operationName is an object.
    ("Z_odd/panther_operationname_object.json", Mapped("activity_administrative")),
    ("Z_odd/panther_storage_no_category.json", Mapped("storage_access")),
    ("PROVENANCE.tsv", Refused("not-json")),
];

/// Records of a body, counted by another parser and another unwrapping; 1 for what is no JSON.
fn count(body: &str) -> usize {
    fn records(value: &Json) -> usize {
        if let Some(list) = value.as_array().filter(|list| !list.is_empty()) {
            return list.iter().map(records).sum();
        }
        let members = value.as_object().into_iter().flatten();
        let lists =
            members.filter(|(name, _)| name.eq_ignore_ascii_case("records")).filter_map(|(_, value)| value.as_array());
        lists.filter(|list| !list.is_empty()).map(|list| list.iter().map(records).sum::<usize>()).next().unwrap_or(1)
    }
    if let Ok(value) = serde_json::from_str::<Json>(body) {
        return records(&value);
    }
    let lines: Vec<_> = body.lines().filter(|line| !line.trim().is_empty()).map(serde_json::from_str::<Json>).collect();
    if lines.len() > 1 && lines[0].is_ok() {
        return lines.iter().map(|line| line.as_ref().map_or(1, records)).sum();
    }
    1
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() { walk(&path, files) } else { files.push(path) }
    }
}

/// Every file of a folder by its name within: the text, whatever it is.
pub(crate) fn bodies(folder: &Path) -> Vec<(String, String)> {
    let mut files = Vec::new();
    walk(folder, &mut files);
    let body = |path: &PathBuf| {
        let name = path.strip_prefix(folder).unwrap().to_string_lossy().replace('\\', "/");
        (name, String::from_utf8(std::fs::read(path).unwrap()).unwrap())
    };
    files.iter().map(body).collect()
}

#[test]
fn the_corpus_is_conserved_and_what_is_mapped_is_valid() {
    let Some(corpus) = corpus("real samples") else { return };
    let files = bodies(&corpus);
    for version in Version::ALL {
        let set = shipped(version).unwrap();
        let mapper = Mapper::new(&set, Options::default());
        let mut events = String::new();
        let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
        let mut wrong = Vec::new();
        for (name, body) in &files {
            let fate = FATES.iter().find(|(prefix, _)| name.starts_with(prefix));
            let (_, fate) = fate.unwrap_or_else(|| panic!("{name} is new: say what must become of it"));
            let arena = Bump::new();
            let (mut scratch, mut outcomes) = (Scratch::default(), Vec::new());
            let origin = Origin { uid: "0123456789ab-0-42", enqueued_time: Some(1_767_225_600_000) };
            mapper.map_body(body, origin, &arena, &mut scratch, &mut outcomes);
            if outcomes.len() != count(body) {
                wrong.push(format!("{name}: {} records in, {} out", count(body), outcomes.len()));
            }
            for outcome in &outcomes {
                let (became, detail) = match outcome {
                    Outcome::Mapped(mapped) => {
                        write_object(set.schema(), &mapped.event, &mut events);
                        events.push('\n');
                        (format!("{:?}", Mapped("")).replace("\"\"", &format!("{:?}", mapped.kind)), "")
                    }
                    Outcome::Refused(refused) => {
                        (format!("Refused({:?})", refused.reason.as_str()), refused.detail.as_str())
                    }
                    Outcome::Routed(routed) => (format!("Routed({:?})", routed.rule), ""),
                    Outcome::Skipped(skipped) => (format!("Skipped({:?})", skipped.rule), ""),
                };
                if became != format!("{fate:?}") {
                    wrong.push(format!("{name}: {fate:?} expected, is {became} {detail}"));
                }
                *kinds.entry(became).or_default() += 1;
            }
        }
        eprintln!("ocsf {version}, {} files: {kinds:?}", files.len());
        assert!(wrong.is_empty(), "ocsf {version}:\n{}", wrong.join("\n"));
        assert!(kinds.keys().filter(|became| became.starts_with("Mapped")).count() >= 8, "{kinds:?}");
        let found = our_findings(version, &events);
        assert!(found.is_empty(), "ocsf {version}:\n{}", found.join("\n"));
        if let Some(judge) = judge("real samples by ocsf_check.py") {
            let file = TempFile::new(&format!("corpus-{version}.ndjson"), events.as_bytes());
            let said = refusal(&judge, version, &[&file.0], &[]);
            assert!(said.is_none(), "ocsf {version}:\n{}", said.unwrap());
        }
    }
}
