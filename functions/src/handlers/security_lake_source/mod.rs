//! `security-lake-source`: a CloudFormation custom resource behind the provider framework.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use tributary_lake::{RegistryRoles, SecurityLakeRegistry};
use tributary_pipeline::{RegisterSources, SourceSet};

use crate::{Failed, Invocation, Job, Start};

/// Kept free to answer.
const KEPT: Duration = Duration::from_secs(10);

/// The handler.
struct SecurityLakeSource {
    config: tributary_aws::SdkConfig,
}

/// Makes the handler.
///
/// # Errors
/// When there is no region.
pub(crate) async fn start(start: &Start) -> Result<Arc<dyn Job>, Failed> {
    Ok(Arc::new(SecurityLakeSource { config: start.aws().await? }))
}

#[async_trait]
impl Job for SecurityLakeSource {
    async fn invoke(&self, event: Value, invocation: &Invocation) -> Result<Value, Failed> {
        let properties = event.get("ResourceProperties").unwrap_or(&Value::Null);
        let wanted = source_set(properties)?;
        let registry = SecurityLakeRegistry::new(&self.config, roles(properties)?);
        let (job, budget) = (RegisterSources { registry: Arc::new(registry) }, invocation.left(KEPT));
        // Named after the prefix: another prefix is another resource, and CloudFormation deletes the old one by its own settings.
        let id = format!("{}sources", wanted.prefix);
        let failed = |error: tributary_pipeline::RegisterError| Failed(error.to_string());
        match event.get("RequestType").and_then(Value::as_str) {
            Some(request @ ("Create" | "Update")) => {
                let before =
                    event.get("OldResourceProperties").filter(|_| request == "Update").map(source_set).transpose()?;
                // A removed prefix comes as a deletion of its own.
                let before = before.filter(|before| before.prefix == wanted.prefix);
                let report = job.run(&wanted, before.as_ref(), budget).await.map_err(failed)?;
                Ok(json!({"PhysicalResourceId": id, "Data": data(&report)}))
            }
            Some("Delete") => {
                job.remove_all(&wanted, budget).await.map_err(failed)?;
                Ok(json!({"PhysicalResourceId": id}))
            }
            _ => Err(Failed(
                "RequestType is none of Create, Update, Delete: expected a custom resource's request".into(),
            )),
        }
    }
}

/// `Sources` is what `SECURITY_LAKE_SOURCES` takes; each class has its location and its writer role besides.
fn data(report: &tributary_pipeline::RegisterReport) -> Value {
    let mut data = serde_json::Map::new();
    let sources: serde_json::Map<String, Value> =
        report.sources.iter().map(|(class, source)| (class.to_string(), json!(source.location))).collect();
    data.insert("Sources".to_owned(), Value::String(Value::Object(sources).to_string()));
    for (class, source) in &report.sources {
        data.insert(format!("Location{class}"), json!(source.location));
        if let Some(role) = &source.role_arn {
            data.insert(format!("WriterRoleArn{class}"), json!(role));
        }
    }
    Value::Object(data)
}

fn text<'v>(properties: &'v Value, name: &str) -> Result<&'v str, Failed> {
    let text = properties.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    text.ok_or_else(|| Failed(format!("the resource has no property {name}: expected a text")))
}

fn source_set(properties: &Value) -> Result<SourceSet, Failed> {
    let expected =
        || Failed("property EventClasses: expected a list of class numbers such as [\"2004\", \"6003\"]".into());
    let listed = properties.get("EventClasses").and_then(Value::as_array).ok_or_else(expected)?;
    // CloudFormation turns numbers into texts.
    let class = |value: &Value| {
        let number = value.as_str().map_or_else(|| value.as_i64(), |text| text.trim().parse().ok());
        number.and_then(|number| i32::try_from(number).ok()).ok_or_else(expected)
    };
    let classes = listed.iter().map(class).collect::<Result<BTreeSet<i32>, Failed>>()?;
    let version = text(properties, "OcsfVersion")?;
    let version = version.parse().map_err(|_| Failed("property OcsfVersion: expected 1.3.0 or 1.1.0".into()))?;
    Ok(SourceSet { prefix: text(properties, "SourcePrefix")?.to_owned(), version, classes })
}

fn roles(properties: &Value) -> Result<RegistryRoles, Failed> {
    Ok(RegistryRoles {
        crawler: text(properties, "CrawlerRoleArn")?.to_owned(),
        principal: text(properties, "PrincipalAccountId")?.to_owned(),
        external_id: text(properties, "ExternalId")?.to_owned(),
    })
}
