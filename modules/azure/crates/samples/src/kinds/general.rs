//! Records of Azure that no mapping file claims: products that nobody has mapped yet.

use crate::json::{Json, object};
use crate::scene::Scene;

/// A record of an unknown category. Of an operation the marker is the correlation id; a line that a component logged has
/// none, but `relayId`.
pub(super) fn general(s: &mut Scene, marker: &str) -> Json {
    let at = s.moment();
    match s.rng.below(3) {
        0 => {
            let till = s.resource_of("Microsoft.Contoso/tills", "till");
            let person = s.person();
            let (verb, result, signature) = s.rng.pick(&[
                ("write", "Succeeded", "200"),
                ("delete", "Failed", "Forbidden"),
                ("read", "Success", "OK"),
            ]);
            object! {
                "time" => s.any_time(at), "resourceId" => s.loud(&till),
                "operationName" => format!("Microsoft.Contoso/tills/{verb}"), "category" => "TillAudit",
                "resultType" => result, "resultSignature" => signature, "durationMs" => "31",
                "callerIpAddress" => s.address(), "correlationId" => marker,
                "identity" => s.rng.pick(&[Json::from(&person.upn), object! { "claim" => object! { "upn" => &person.upn, "oid" => &person.id } }]),
                "level" => s.rng.pick(&["Informational", "Warning", "Error"]), "location" => till.region,
                "tenantId" => s.optional(70, till.tenant),
                "properties" => object! { "till" => 7, "amount" => "12.50" },
            }
        }
        1 => {
            let server = s.resource_of("Microsoft.DBforPostgreSQL/flexibleServers", "pg-orders");
            object! {
                "relayId" => marker, "time" => s.any_time(at), "resourceId" => s.loud(&server),
                "category" => "PostgreSQLLogs", "operationName" => "LogEvent",
                "level" => s.rng.pick(&["Error", "Informational"]),
                "properties" => object! {
                    "message" => "FATAL: password authentication failed for user \"orders\"", "errorLevel" => "FATAL",
                    "sqlerrcode" => "28P01",
                    "processId" => s.rng.between(300, 9_000), "backend_type" => "client backend",
                },
            }
        }
        _ => {
            let site = s.resource_of("Microsoft.Web/sites", "app-shop");
            object! {
                "relayId" => marker, "TimeGenerated" => s.iso(at), "_ResourceId" => site.id.to_lowercase(),
                "Type" => s.rng.pick(&["AppServiceConsoleLogs", "AppServiceHTTPLogs"]),
                "Level" => "Informational", "TenantId" => site.tenant, "ResultDescription" => s.prose(80),
            }
        }
    }
}
