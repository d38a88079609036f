//! Attack paths of Defender for Cloud. No document shows the event: both places where its facts may stand occur.

use crate::json::{Json, list, object};
use crate::scene::Scene;

/// One path; the marker is its name, the last segment of its id.
pub(super) fn attack_path(s: &mut Scene, marker: &str) -> Json {
    let machine = s.resource_of("Microsoft.Compute/virtualMachines", "vm-web");
    let vault = s.resource_of("Microsoft.KeyVault/vaults", "kv-shop");
    let provider = s.rng.pick(&["Microsoft.Security/attackPaths", "microsoft.security/attackpaths"]);
    let (kind, title) = s.rng.pick(&[
        ("InternetExposedVmToVault", "A machine open to the internet can read a vault"),
        ("VulnerableVmToDatabase", "A machine with a known hole reaches a database"),
    ]);
    let end = |resource: &crate::scene::Resource, kind: &str| object! { "id" => &resource.id, "name" => &resource.name, "type" => kind };
    let mut path = object! {
        "displayName" => title, "attackPathType" => kind, "description" => s.prose(200),
        "riskLevel" => s.rng.pick(&["Low", "Medium", "High", "Critical"]),
        "riskCategories" => s.optional(60, list!["DataExposure", "CredentialExposure"]),
        "riskFactors" => s.optional(60, list!["Internet exposure", "Known vulnerability"]),
        "potentialImpact" => s.optional(60, "Secrets of the shop"),
        "entryPoint" => end(&machine, "virtualmachine"), "target" => end(&vault, "keyvault"),
        "mITRETacticsAndTechniques" => s.rng.pick(&["InitialAccess, CredentialAccess, T1078.004", "Lateral Movement"]),
        "manualRemediationSteps" => s.optional(50, "Close the port."), "isPartialAttackPath" => s.rng.maybe(40, false),
    };
    let deep = s.rng.percent(25);
    if deep {
        let entity = |resource: &crate::scene::Resource, number: i64| {
            object! {
                "entityInternalID" => format!("e-{number}"), "entityName" => &resource.name,
                "entityType" => resource.kind,
                "entityIdentifiers" => object! { "azureResourceId" => &resource.id },
            }
        };
        path.push("graphComponent", object! { "entities" => list![entity(&machine, 1), entity(&vault, 2)] });
    }
    object! {
        "securityEventDataEnrichment" => object! {
            "action" => s.rng.pick(&["Insert", "Write", "Write", "Delete"]), "apiVersion" => "2023-01-01",
            "isSnapshot" => s.rng.percent(30),
        },
        "type" => provider,
        "id" => format!("/subscriptions/{}/providers/{provider}/{marker}", machine.subscription),
        "name" => marker,
        "tenantId" => s.optional(70, machine.tenant),
        if deep { "properties" } else { "attackPath" } => path,
    }
}
