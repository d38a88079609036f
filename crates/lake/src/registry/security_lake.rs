//! Amazon Security Lake.

use async_trait::async_trait;
use aws_sdk_securitylake::Client;
use aws_sdk_securitylake::error::SdkError;
use aws_sdk_securitylake::types::{
    AwsIdentity, CustomLogSourceConfiguration, CustomLogSourceCrawlerConfiguration, CustomLogSourceProvider,
    CustomLogSourceResource, LogSourceResource,
};
use tributary_aws::{AwsError, SdkConfig};

use super::{Registered, RegistryError, SourceId, SourceRegistry};

const CREATE: &str = "securitylake:CreateCustomLogSource";
const DELETE: &str = "securitylake:DeleteCustomLogSource";
const LIST: &str = "securitylake:ListLogSources";

/// Who crawls the sources and who writes to them.
#[derive(Debug, Clone)]
pub struct RegistryRoles {
    /// ARN of the role of the Glue crawler, which reads the objects and keeps the table.
    pub crawler: String,
    /// Account (12 digits) that may assume the writer role that Security Lake makes for each source.
    pub principal: String,
    /// What that account must say to assume it: 2 to 1,224 characters.
    pub external_id: String,
}

/// The custom sources of a Security Lake, in the region of its configuration.
#[derive(Debug, Clone)]
pub struct SecurityLakeRegistry {
    client: Client,
    region: String,
    roles: RegistryRoles,
}

impl SecurityLakeRegistry {
    /// The registry of the configuration's region.
    pub fn new(config: &SdkConfig, roles: RegistryRoles) -> Self {
        let region = config.region().map(ToString::to_string).unwrap_or_default();
        Self { client: Client::new(config), region, roles }
    }
}

fn registered(provider: Option<&CustomLogSourceProvider>) -> Option<Registered> {
    let provider = provider?;
    let location = provider.location().filter(|location| !location.is_empty())?.to_owned();
    Some(Registered { location, role_arn: provider.role_arn().map(str::to_owned) })
}

fn listed(source: &CustomLogSourceResource) -> Option<(SourceId, Option<Registered>)> {
    let id = SourceId { name: source.source_name()?.to_owned(), version: source.source_version()?.to_owned() };
    Some((id, registered(source.provider())))
}

fn failed(source: &SourceId, error: AwsError) -> RegistryError {
    match error.code.as_str() {
        "ConflictException" => RegistryError::Conflict { source_id: source.clone(), detail: error.detail },
        _ => RegistryError::Service { source_id: source.clone(), error },
    }
}

#[async_trait]
impl SourceRegistry for SecurityLakeRegistry {
    async fn create(&self, source: &SourceId, event_class: &str) -> Result<Option<Registered>, RegistryError> {
        let crawler = CustomLogSourceCrawlerConfiguration::builder().role_arn(&self.roles.crawler).build();
        let identity =
            AwsIdentity::builder().principal(&self.roles.principal).external_id(&self.roles.external_id).build();
        let refuse = |error: aws_sdk_securitylake::error::BuildError| {
            failed(source, AwsError::answered(CREATE, 400, "", &error.to_string()))
        };
        let configuration = CustomLogSourceConfiguration::builder()
            .crawler_configuration(crawler.map_err(refuse)?)
            .provider_identity(identity.map_err(refuse)?)
            .build();
        let request = self.client.create_custom_log_source().configuration(configuration);
        let request = request.source_name(&source.name).source_version(&source.version).event_classes(event_class);
        let answer = request.send().await.map_err(|error| failed(source, AwsError::of(CREATE, &error)))?;
        Ok(registered(answer.source().and_then(CustomLogSourceResource::provider)))
    }

    async fn delete(&self, source: &SourceId) -> Result<(), RegistryError> {
        let request = self.client.delete_custom_log_source().source_name(&source.name).source_version(&source.version);
        match request.send().await {
            Ok(_) => Ok(()),
            Err(SdkError::ServiceError(error)) if error.err().is_resource_not_found_exception() => Ok(()),
            Err(error) => Err(failed(source, AwsError::of(DELETE, &error))),
        }
    }

    async fn list(&self) -> Result<Vec<(SourceId, Option<Registered>)>, RegistryError> {
        let mut found = Vec::new();
        let mut pages = self.client.list_log_sources().regions(&self.region).into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| RegistryError::List(AwsError::of(LIST, &error)))?;
            let here =
                page.sources().iter().filter(|source| source.region().is_none_or(|region| region == self.region));
            let sources = here.flat_map(|source| source.sources());
            found.extend(sources.filter_map(|source| match source {
                LogSourceResource::CustomLogSource(custom) => listed(custom),
                _ => None,
            }));
        }
        Ok(found)
    }
}
