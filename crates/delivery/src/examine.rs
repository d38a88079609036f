//! Whether the services take something from this deployment. Nothing is delivered.

use tributary_aws::{Probe, Region, SdkConfig};
use tributary_telemetry::Check;

use crate::{ChannelArn, SecurityHub};

const HUB: &str = "security hub";
const DESCRIBE: &str = "securityhub:DescribeHub";
const CHANNEL: &str = "cloudtrail lake: channel";
const GET_CHANNEL: &str = "cloudtrail:GetChannel";

/// What was found, without what an error advises.
fn without_advice(text: &str) -> &str {
    text.split_once("; ").map_or(text, |(found, _)| found)
}

impl SecurityHub {
    /// Looks whether Security Hub is enabled where findings go. That they may be imported is not looked at: a call would import.
    pub async fn examine(&self) -> Check {
        let ask = Probe {
            service: "SecurityHub",
            signing_name: "securityhub",
            name: DESCRIBE,
            method: "GET",
            path: "/accounts".to_owned(),
            headers: Vec::new(),
            body: String::new(),
        };
        let region = self.region();
        let answer = match ask.send(self.config()).await {
            Ok(answer) => answer,
            Err(error) => {
                let remedy =
                    "see that the role may be assumed, and that region and AWS_ENDPOINT_URL_SECURITYHUB are right";
                return Check::failed(HUB, without_advice(&error.to_string()), remedy);
            }
        };
        if answer.is_success() {
            return Check::ok(HUB, format!("enabled in {region}"));
        }
        let error = answer.error(DESCRIBE);
        match error.code.as_str() {
            "InvalidAccessException" | "ResourceNotFoundException" => Check::failed(
                HUB,
                format!("not enabled in {region}: findings are refused"),
                format!("aws securityhub enable-security-hub --region {region}"),
            ),
            _ if error.is_denied() => Check::skipped(HUB, format!("{DESCRIBE} is not granted")),
            _ => Check::failed(
                HUB,
                without_advice(&error.to_string()),
                format!("aws securityhub describe-hub --region {region}"),
            ),
        }
    }
}

/// Looks whether the channel is there.
pub async fn examine_channel(config: &SdkConfig, channel: &ChannelArn) -> Check {
    let config = config.to_builder().region(Region::new(channel.region().to_owned())).build();
    let target = "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.GetChannel";
    let ask = Probe {
        service: "CloudTrail",
        signing_name: "cloudtrail",
        name: GET_CHANNEL,
        method: "POST",
        path: "/".to_owned(),
        headers: vec![("content-type", "application/x-amz-json-1.1".to_owned()), ("x-amz-target", target.to_owned())],
        body: format!("{{\"Channel\":\"{}\"}}", channel.as_str()),
    };
    let remedy = || format!("name a channel that is there: aws cloudtrail list-channels --region {}", channel.region());
    match ask.send(&config).await {
        Ok(answer) if answer.is_success() => Check::ok(CHANNEL, channel.as_str()),
        Ok(answer) => {
            let error = answer.error(GET_CHANNEL);
            match error.is_denied() {
                true => Check::skipped(CHANNEL, format!("{GET_CHANNEL} is not granted")),
                false => Check::failed(CHANNEL, without_advice(&error.to_string()), remedy()),
            }
        }
        Err(error) => Check::failed(CHANNEL, without_advice(&error.to_string()), remedy()),
    }
}
