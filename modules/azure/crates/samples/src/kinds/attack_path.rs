//! Attack paths of Defender for Cloud. No document shows the event; Resource Graph has the path in two shapes, an older one
//! whose ends are ids of its graph, and a newer one with the ends themselves.

use crate::json::{Json, list, object};
use crate::scene::{Resource, Scene};

/// One path; the marker is its name, the last segment of its id.
pub(super) fn attack_path(s: &mut Scene, marker: &str) -> Json {
    let machine = s.resource_of("Microsoft.Compute/virtualMachines", "vm-web");
    let vault = s.resource_of("Microsoft.KeyVault/vaults", "kv-shop");
    let provider = s.rng.pick(&["Microsoft.Security/attackPaths", "microsoft.security/attackpaths"]);
    let (kind, title) = s.rng.pick(&[
        ("InternetExposedVmToVault", "A machine open to the internet can read a vault"),
        ("VulnerableVmToVault", "A machine with a known hole can read a vault"),
    ]);
    let mut path = object! {
        "displayName" => title, "attackPathType" => kind, "description" => s.prose(200),
        "riskCategories" => s.optional(60, list!["DataExposure", "CredentialExposure"]),
        "potentialImpact" => s.optional(60, "Secrets of the shop"),
        "manualRemediationSteps" => s.optional(50, "Close the port."), "isPartialAttackPath" => s.rng.maybe(40, false),
    };
    let (entry, target) = (entity("e-1", &machine, "virtualmachine"), entity("e-2", &vault, "keyvault"));
    let older = s.rng.percent(30);
    if older {
        path.push("entryPointEntityInternalID", "e-1");
        path.push("targetEntityInternalID", "e-2");
        path.push(
            "graphComponent",
            object! { "entities" => list![entry, target], "connections" => list![], "insights" => list![] },
        );
    } else {
        path.push("attackStory", format!("From the internet over {} to {}.", machine.name, vault.name));
        path.push("riskLevel", s.rng.pick(&["Low", "Medium", "High", "Critical"]));
        path.push("riskFactors", s.optional(60, list!["Internet exposure", "Lateral movement"]));
        path.push("entryPoint", entry);
        path.push("target", target);
        path.push("mITRETacticsAndTechniques", list!["Initial Access", "CredentialAccess", "T1190", "T1552.005"]);
    }
    object! {
        s.rng.pick(&["attackPathEventDataEnrichment", "securityEventDataEnrichment"]) => object! {
            "action" => s.rng.pick(&["Insert", "Write", "Write", "Delete"]), "apiVersion" => "2023-01-01",
            "isSnapshot" => s.rng.percent(30),
        },
        "type" => provider,
        "id" => format!("/subscriptions/{}/providers/{provider}/{marker}", machine.subscription),
        "name" => marker,
        "tenantId" => s.optional(70, machine.tenant),
        if older { "properties" } else { "attackPath" } => path,
    }
}

fn entity(id: &str, resource: &Resource, kind: &str) -> Json {
    object! {
        "entityInternalID" => id, "entityName" => &resource.name, "entityType" => kind,
        "entityIdentifiers" => object! { "azureResourceId" => &resource.id },
    }
}
