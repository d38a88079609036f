//! Flags that send events to Security Hub and CloudTrail Lake beside the lake. Both are off by default.

use std::sync::Arc;

use tributary_batch::TimestampMs;
use tributary_delivery::{ChannelArn, CloudTrailLake, Patience, SecurityHub, examine_channel};
use tributary_mapping::Destination;
use tributary_pipeline::{Findings, Subject, Trail};

use crate::aws::Aws;
use crate::backend::Backend;
use crate::failure::Failure;
use crate::jobs::Delivery;

/// Flags of delivery.
#[derive(Debug, clap::Args)]
pub(crate) struct DeliveryArgs {
    /// Findings on their way to Security Hub; they go to the lake alone without it
    #[arg(
        long,
        env = "ASFF_SQS_QUEUE",
        value_name = "URL",
        requires = "security_hub_account",
        help_heading = "Findings and trail events"
    )]
    findings_queue: Option<Backend>,
    /// AWS account whose Security Hub imports findings, which may be a central one
    #[arg(long, env = "SECURITY_HUB_ACCOUNT_ID", value_name = "DIGITS", help_heading = "Findings and trail events")]
    security_hub_account: Option<String>,
    /// Region whose Security Hub imports findings; --region without it
    #[arg(long, env = "SECURITY_HUB_REGION", value_name = "REGION", help_heading = "Findings and trail events")]
    security_hub_region: Option<String>,
    /// Import the findings of --findings-queue here, and not in another process
    #[arg(long, requires = "findings_queue", help_heading = "Findings and trail events")]
    security_hub: bool,
    /// Role to import as, where the account is another than this one
    #[arg(long, env = "SECURITY_HUB_ROLE_ARN", value_name = "ARN", help_heading = "Findings and trail events")]
    security_hub_role: Option<String>,
    /// Every event to CloudTrail Lake too; on where --cloudtrail-channel is given, unless this says false
    #[arg(long, env = "CLOUDTRAIL_ENABLED", value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", help_heading = "Findings and trail events")]
    cloudtrail: Option<bool>,
    /// Channel of CloudTrail Lake, of the account that this runs in; the service takes no new customers since 2026-05-31
    #[arg(long, env = "CLOUDTRAIL_CHANNEL_ARN", value_name = "ARN", help_heading = "Findings and trail events")]
    cloudtrail_channel: Option<ChannelArn>,
}

impl DeliveryArgs {
    /// Whether anything is delivered by a service of AWS.
    pub(crate) fn any(&self) -> bool {
        self.findings_queue.is_some() || self.channel().is_some()
    }

    fn channel(&self) -> Option<&ChannelArn> {
        self.cloudtrail_channel.as_ref().filter(|_| self.cloudtrail != Some(false))
    }

    /// What is to be looked at.
    pub(crate) async fn examine(&self, region: &str, aws: &Aws, now: TimestampMs) -> Result<Vec<Subject>, Failure> {
        let mut subjects = Vec::new();
        if let Some(queue) = &self.findings_queue {
            subjects.push(queue.examine_queue("findings", aws, None, now).await?);
            let config = tributary_aws::load(Some(region)).await.map_err(usage)?;
            let hub_region = self.security_hub_region.as_deref().unwrap_or(region);
            let hub = SecurityHub::open(&config, self.security_hub_role.as_deref(), Some(hub_region)).await;
            let hub = hub.map_err(usage)?;
            subjects.push(Subject::new("security hub", async move { vec![hub.examine().await] }));
        }
        if let Some(channel) = self.channel().cloned() {
            let config = tributary_aws::load(Some(region)).await.map_err(usage)?;
            let look = async move { vec![examine_channel(&config, &channel).await] };
            subjects.push(Subject::new("cloudtrail lake", look));
        }
        Ok(subjects)
    }

    /// What these flags ask for. `region` is the lake's.
    pub(crate) async fn open(&self, region: &str, aws: &Aws) -> Result<Delivery, Failure> {
        let mut delivery = Delivery::default();
        let hub_region = self.security_hub_region.as_deref().unwrap_or(region);
        if let Some(backend) = &self.findings_queue {
            let account = self.security_hub_account.as_deref().unwrap_or_default();
            let destination = Destination::new(account, hub_region).map_err(usage)?;
            delivery.findings = Some(Findings { queue: backend.queue("findings", aws).await?, destination });
        }
        let channel = self.channel();
        if self.cloudtrail == Some(true) && channel.is_none() {
            return Err(Failure::Usage(
                "--cloudtrail needs --cloudtrail-channel ARN (CLOUDTRAIL_CHANNEL_ARN)".to_owned(),
            ));
        }
        if !self.security_hub && channel.is_none() {
            return Ok(delivery);
        }
        let config = tributary_aws::load(Some(region)).await.map_err(usage)?;
        if self.security_hub {
            let hub = SecurityHub::open(&config, self.security_hub_role.as_deref(), Some(hub_region)).await;
            delivery.importer = Some(Arc::new(hub.map_err(usage)?));
        }
        if let Some(channel) = channel {
            let destination = Destination::new(channel.account(), channel.region()).map_err(usage)?;
            let sink = Arc::new(CloudTrailLake::new(&config, channel.clone()));
            delivery.trail = Some(Trail { sink, destination, patience: Patience::default() });
        }
        Ok(delivery)
    }
}

fn usage(error: impl std::fmt::Display) -> Failure {
    Failure::Usage(error.to_string())
}
