//! Sign-ins of applications and of Azure resources with the identity that Azure keeps for them.

use crate::json::{Json, list, object};
use crate::scene::Scene;

const CODES: [(i64, &str); 5] = [
    (0, ""),
    (0, ""),
    (0, ""),
    (7_000_215, "Invalid client secret provided."),
    (500_011, "The resource principal was not found in the tenant."),
];

/// An application with a credential of its own; the marker is the correlation id. Some come in PascalCase without
/// `properties`, `time` and `id`.
pub(super) fn service_principal(s: &mut Scene, marker: &str) -> Json {
    let address = s.address();
    let (city, state, country, latitude, longitude) = s.place();
    let place = object! {
        "city" => city, "state" => state, "countryOrRegion" => country,
        "geoCoordinates" => object! { "latitude" => latitude, "longitude" => longitude },
    };
    if s.rng.percent(10) {
        let (tenant, at) = (s.tenant(), s.moment());
        let (code, _) = s.rng.pick(&CODES);
        return object! {
            "Category" => "ServicePrincipalSignInLogs", "CreatedDateTime" => s.iso(at), "TenantId" => tenant,
            "AADTenantId" => tenant, "CorrelationId" => marker,
            "ResultType" => code.to_string(), "OperationName" => "Sign-in activity", "IPAddress" => address,
            "LocationDetails" => place.text(),
            "AppId" => "0a1b2c3d-0013-4000-8000-000000000001",
            "ServicePrincipalId" => "0a1b2c3d-0013-4000-8000-000000000002",
            "ServicePrincipalName" => "till-deploy", "ResourceDisplayName" => "Azure Key Vault",
            "ConditionalAccessPolicies" => list![],
        };
    }
    let category = s.rng.pick(&[
        "ServicePrincipalSignInLogs",
        "ServicePrincipalSignInLogs",
        "MicrosoftServicePrincipalSignInLogs",
    ]);
    let own = object! {
        "ipAddress" => &address, "location" => place, "servicePrincipalName" => "till-deploy",
        "servicePrincipalCredentialKeyId" => s.optional(80, "0a1b2c3d-0013-4000-8000-000000000003"),
        "clientCredentialType" => "clientSecret",
    };
    let mut record = signin(s, category, marker, own);
    record.push("callerIpAddress", address);
    record.push("location", country);
    record
}

/// A resource; the marker is the correlation id. Azure signs in from within itself: no address, no place.
pub(super) fn managed_identity(s: &mut Scene, marker: &str) -> Json {
    let machine = s.resource_of("Microsoft.Compute/virtualMachines", "vm-till");
    let nowhere = object! { "latitude" => 0.0, "longitude" => 0.0 };
    let own = object! {
        "ipAddress" => "",
        "location" => object! { "city" => "", "state" => "", "countryOrRegion" => "", "geoCoordinates" => nowhere },
        "servicePrincipalName" => &machine.name, "managedIdentityType" => "systemAssigned",
        "associatedResourceId" => s.rng.maybe(60, &*machine.id),
    };
    signin(s, "ManagedIdentitySignInLogs", marker, own)
}

fn signin(s: &mut Scene, category: &str, marker: &str, own: Json) -> Json {
    let (tenant, created) = (s.tenant(), s.moment());
    let exported = (created + s.rng.between(1_000, 7_200_000)).min(s.base);
    let (code, reason) = s.rng.pick(&CODES);
    let mut properties = object! {
        "id" => s.rng.guid(), "createdDateTime" => s.iso(created), "userId" => Json::Null,
        "appId" => "0a1b2c3d-0013-4000-8000-000000000001",
        "status" => object! {
            "errorCode" => code, "failureReason" => if code == 0 { Json::Absent } else { s.optional(50, reason) },
        },
        "correlationId" => s.rng.maybe(97, marker), "conditionalAccessStatus" => "notApplied",
        "appliedConditionalAccessPolicies" => list![],
        "isInteractive" => false, "tokenIssuerType" => "AzureAD", "processingTimeInMilliseconds" => 0,
        // Here a low level means nothing.
        "riskDetail" => "none", "riskLevelAggregated" => "low", "riskLevelDuringSignIn" => "low",
        "riskState" => s.rng.pick(&["none", "none", "none", "atRisk"]),
        "resourceDisplayName" => s.rng.pick(&["Azure Key Vault", "Azure Resource Manager", "api://till.contoso.example"]),
        "resourceId" => s.rng.guid(),
        "servicePrincipalId" => "0a1b2c3d-0013-4000-8000-000000000002", "flaggedForReview" => false,
        "isTenantRestricted" => false,
        "crossTenantAccessType" => "none", "uniqueTokenIdentifier" => s.rng.hex(22), "incomingTokenType" => "none",
        "authenticationProtocol" => "none",
        "autonomousSystemNumber" => s.rng.maybe(50, 64_501),
    };
    if let Json::Object(members) = own {
        members.into_iter().for_each(|(name, value)| properties.push(&name, value));
    }
    object! {
        "time" => s.any_time(exported), "resourceId" => format!("/tenants/{tenant}/providers/Microsoft.aadiam"),
        "operationName" => "Sign-in activity", "operationVersion" => "1.0", "category" => category,
        "tenantId" => s.optional(97, tenant),
        "resultType" => code.to_string(), "resultSignature" => "None", "durationMs" => 0, "correlationId" => marker,
        "Level" => 4,
        "properties" => if s.rng.percent(96) { properties } else { Json::from(properties.text()) },
    }
}
