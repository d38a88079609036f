//! Kubernetes audit of AKS clusters: a whole Kubernetes event as a text.

use crate::json::{Json, list, object};
use crate::scene::Scene;

/// Verb, path, resource, subresource, name, status.
type Request = (&'static str, &'static str, &'static str, Option<&'static str>, &'static str, i64);

const REQUESTS: [Request; 7] = [
    ("list", "/api/v1/namespaces/shop/pods?limit=500", "pods", None, "", 200),
    ("get", "/api/v1/namespaces/kube-system/secrets/token", "secrets", None, "token", 403),
    (
        "create",
        "/api/v1/namespaces/shop/pods/cart-1/exec?command=%2Fbin%2Fsh&stdin=true",
        "pods",
        Some("exec"),
        "cart-1",
        101,
    ),
    ("create", "/apis/apps/v1/namespaces/shop/deployments", "deployments", None, "cart", 201),
    ("patch", "/apis/apps/v1/namespaces/shop/deployments/cart", "deployments", None, "cart", 200),
    ("delete", "/api/v1/namespaces/shop", "namespaces", None, "shop", 200),
    ("create", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", "clusterrolebindings", None, "give-all", 201),
];

/// One request at one stage; the marker is its audit id.
pub(super) fn audit(s: &mut Scene, marker: &str) -> Json {
    let cluster = s.resource_of("Microsoft.ContainerService/managedClusters", "aks-shop");
    let person = s.person();
    let at = s.moment();
    let (verb, uri, resource, sub, name, code) = s.rng.pick(&REQUESTS);
    let user = match s.rng.below(4) {
        0 => {
            object! { "username" => "system:serviceaccount:shop:deployer", "groups" => list!["system:serviceaccounts", "system:authenticated"] }
        }
        1 => object! { "username" => "system:anonymous", "groups" => list!["system:unauthenticated"] },
        2 => object! { "username" => "masterclient", "groups" => list!["system:masters", "system:authenticated"] },
        _ => {
            object! { "username" => &person.upn, "groups" => list!["system:authenticated"], "extra" => object! { "oid" => list![&person.id] } }
        }
    };
    let stage = s.rng.pick(&["ResponseComplete", "ResponseComplete", "ResponseComplete", "RequestReceived", "Panic"]);
    let status = match (stage, code) {
        ("RequestReceived", _) => Json::Null,
        (_, 403) => {
            object! { "metadata" => object! {}, "status" => "Failure", "reason" => "Forbidden", "message" => format!("{resource} \"{name}\" is forbidden"), "code" => code }
        }
        _ => object! { "metadata" => object! {}, "code" => code },
    };
    let log = object! {
        "kind" => "Event", "apiVersion" => "audit.k8s.io/v1", "level" => "RequestResponse", "auditID" => marker,
        "stage" => stage, "requestURI" => uri, "verb" => verb,
        "user" => user, "sourceIPs" => list![s.address()],
        "userAgent" => s.rng.pick(&["kubectl/v1.30.0 (linux/amd64) kubernetes/7c48c2b", "curl/8.5.0"]),
        "objectRef" => object! {
            "resource" => resource, "namespace" => "shop",
            "name" => if name.is_empty() { Json::Absent } else { Json::from(name) }, "apiVersion" => "v1",
            "subresource" => sub,
        },
        "responseStatus" => status, "requestReceivedTimestamp" => s.iso(at), "stageTimestamp" => s.iso(at),
        "annotations" => object! {
            "authorization.k8s.io/decision" => if code == 403 { "forbid" } else { "allow" },
            "authorization.k8s.io/reason" => "",
        },
    };
    object! {
        "time" => s.any_time(at), "resourceId" => s.loud(&cluster),
        "category" => s.rng.pick(&["kube-audit", "kube-audit-admin"]),
        "operationName" => "Microsoft.ContainerService/managedClusters/diagnosticLogs/Read",
        "ccpNamespace" => s.rng.hex(16),
        "properties" => object! {
            "log" => log.text() + s.rng.pick(&["", "\n"]), "stream" => "stdout", "pod" => "kube-apiserver-5f7c9d-abcde",
            "containerID" => s.rng.hex(64),
        },
        "serverId" => s.rng.maybe(30, "0a1b2c3d-0018-4000-8000-000000000001"),
    }
}
