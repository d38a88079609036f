//! Whether the bucket is there, may be written, and is kept as it should be.

use object_store::multipart::MultipartStore as _;
use object_store::path::Path;
use tributary_aws::{Probe, Probed, SdkConfig};
use tributary_telemetry::Check;
use tributary_telemetry::line::one_line;

use super::{Bucket, BucketOptions};

/// Longest text of a store's message that is passed on, in characters.
const MAX_DETAIL: usize = 300;
const PUBLIC: [&str; 4] = ["BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"];

/// What a bucket is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketUse {
    /// What the checks' names begin with: `staging`.
    pub name: String,
    /// A prefix that is written below: `claims`. Empty for none.
    pub below: String,
    /// Days after which its objects must not be gone yet, where something is to drop them at all.
    pub kept_days: Option<u32>,
}

impl Bucket {
    /// Looks at the bucket. That it may be written is shown by an upload in parts that is begun and given up: no object is
    /// there at any time, and what is left if giving up is denied is what the lifecycle drops.
    pub async fn examine(&self, config: &SdkConfig, options: &BucketOptions, used: &BucketUse) -> Vec<Check> {
        let there = self.there(config, &used.name).await;
        if there.state == tributary_telemetry::CheckState::Failed {
            return vec![there];
        }
        let (write, lifecycle, public) = tokio::join!(
            self.write(config, options, used),
            self.lifecycle(config, used),
            self.public(config, &used.name)
        );
        vec![there, write, lifecycle, public]
    }

    async fn ask(
        &self,
        config: &SdkConfig,
        name: &'static str,
        method: &'static str,
        query: &str,
    ) -> Result<Probed, String> {
        let ask = Probe {
            service: "S3",
            signing_name: "s3",
            name,
            method,
            path: format!("/{}{query}", self.name),
            headers: Vec::new(),
            body: String::new(),
        };
        ask.send(config).await.map_err(|error| one_line(&error.to_string(), MAX_DETAIL))
    }

    async fn there(&self, config: &SdkConfig, what: &str) -> Check {
        let (name, bucket) = (format!("{what}: bucket"), &self.name);
        let here = config.region().map(ToString::to_string).unwrap_or_default();
        let answer = match self.ask(config, "s3:ListBucket", "HEAD", "").await {
            Ok(answer) => answer,
            Err(error) => {
                let found = error.split("; ").next().unwrap_or_default().to_owned();
                return Check::failed(
                    name,
                    found,
                    "see that AWS_ENDPOINT_URL_S3, the region and the credentials are right",
                );
            }
        };
        let region = answer.bucket_region.as_deref();
        if let Some(other) = region.filter(|region| *region != here) {
            return Check::failed(
                name,
                format!("{bucket} is in {other}, and this runs in {here}"),
                format!("set AWS_REGION to {other}, or make a bucket in {here}"),
            );
        }
        match answer.status {
            200..=299 => Check::ok(name, format!("{bucket} in {}", region.unwrap_or(&here))),
            404 => Check::failed(
                name,
                format!("there is no bucket {bucket}"),
                format!("aws s3 mb s3://{bucket} --region {here}"),
            ),
            301 | 307 | 400 => Check::failed(
                name,
                format!("{bucket} is not in {here} (status {})", answer.status),
                format!("set AWS_REGION to the bucket's: aws s3api get-bucket-location --bucket {bucket}"),
            ),
            403 => Check::warning(
                name,
                format!("{bucket} is there, or another account's: s3:ListBucket is denied"),
                "grant s3:ListBucket on the bucket, without which an object that is not there is answered as denied",
            ),
            status => Check::failed(name, format!("{bucket}: status {status}"), "try again, and see AWS's health page"),
        }
    }

    async fn write(&self, config: &SdkConfig, options: &BucketOptions, used: &BucketUse) -> Check {
        let name = format!("{}: write", used.name);
        let grant = || {
            let key = options.kms_key.as_ref().map_or("the bucket's key, if it has one", |key| key.as_str());
            format!(
                "grant s3:PutObject and s3:AbortMultipartUpload on arn:aws:s3:::{}/{} and kms:GenerateDataKey and kms:Decrypt on \
                 {key} to whoever runs this",
                self.name,
                if used.below.is_empty() { "*".to_owned() } else { format!("{}/*", used.below.trim_end_matches('/')) }
            )
        };
        let store = match self.store(config, options) {
            Ok(store) => store,
            Err(error) => return Check::failed(name, error.to_string(), "look at the AWS_ variables and the profile"),
        };
        let below = [self.prefix.as_ref(), used.below.trim_matches('/'), "tributary-doctor"];
        let parts: Vec<&str> = below.into_iter().filter(|part| !part.is_empty()).collect();
        let path = match Path::parse(parts.join("/")) {
            Ok(path) => path,
            Err(error) => return Check::failed(name, error.to_string(), "name another prefix"),
        };
        let begun = match store.s3.create_multipart(&path).await {
            Ok(begun) => begun,
            Err(error) => return Check::failed(name, one_line(&error.to_string(), MAX_DETAIL), grant()),
        };
        match store.s3.abort_multipart(&path, &begun).await {
            Ok(()) => Check::ok(name, format!("an upload to {path} begun and given up: no object was made")),
            Err(_) => Check::warning(
                name,
                format!("an upload to {path} was begun, and could not be given up: s3:AbortMultipartUpload is denied"),
                grant(),
            ),
        }
    }

    async fn lifecycle(&self, config: &SdkConfig, used: &BucketUse) -> Check {
        let (name, bucket) = (format!("{}: lifecycle", used.name), &self.name);
        let remedy = format!(
            "aws s3api put-bucket-lifecycle-configuration --bucket {bucket} --lifecycle-configuration file://lifecycle.json, with a \
             rule AbortIncompleteMultipartUpload of 1 day"
        );
        let answer = match self.ask(config, "s3:GetLifecycleConfiguration", "GET", "?lifecycle").await {
            Ok(answer) => answer,
            Err(error) => return Check::skipped(name, error),
        };
        let body = String::from_utf8_lossy(&answer.body);
        match answer.status {
            404 => {
                Check::warning(name, "there is no rule: parts of uploads that failed stay, and are paid for", remedy)
            }
            200..=299 => match (used.kept_days, shortest(&body)) {
                (Some(kept), Some(days)) if days < kept => Check::warning(
                    name,
                    format!("objects are dropped after {days} days: what is redriven or replayed later finds nothing"),
                    format!("let the rule drop them after {kept} days at least"),
                ),
                _ if !body.contains("<AbortIncompleteMultipartUpload>") => Check::warning(
                    name,
                    "no rule AbortIncompleteMultipartUpload: parts of uploads that failed stay, and are paid for",
                    remedy,
                ),
                (_, Some(days)) => Check::ok(name, format!("objects are dropped after {days} days")),
                (_, None) => Check::ok(name, "parts of uploads that failed are dropped"),
            },
            _ => Check::skipped(name, "s3:GetLifecycleConfiguration is not granted"),
        }
    }

    async fn public(&self, config: &SdkConfig, what: &str) -> Check {
        let (name, bucket) = (format!("{what}: public access"), &self.name);
        let answer = match self.ask(config, "s3:GetBucketPublicAccessBlock", "GET", "?publicAccessBlock").await {
            Ok(answer) => answer,
            Err(error) => return Check::skipped(name, error),
        };
        let open = |name: &&&str| answer.element(name).as_deref() != Some("true");
        let open: Vec<&str> = PUBLIC.iter().filter(open).copied().collect();
        let close = format!(
            "aws s3api put-public-access-block --bucket {bucket} --public-access-block-configuration {}",
            PUBLIC.map(|setting| format!("{setting}=true")).join(",")
        );
        match answer.status {
            200..=299 if open.is_empty() => Check::ok(name, "blocked"),
            200..=299 => Check::failed(name, format!("not blocked: {} is off", open.join(", ")), close),
            404 => Check::warning(name, "the bucket itself does not block it: the account may", close),
            _ => Check::skipped(name, "s3:GetBucketPublicAccessBlock is not granted"),
        }
    }
}

/// The fewest days of a rule's expiration.
fn shortest(body: &str) -> Option<u32> {
    let rules = body.split("<Expiration>").skip(1).filter_map(|rest| rest.split("</Expiration>").next());
    rules.filter_map(|rule| rule.split_once("<Days>")?.1.split_once('<')?.0.trim().parse().ok()).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shortest_expiration_counts() {
        let rule = |days: u32| format!("<Rule><Expiration><Days>{days}</Days></Expiration></Rule>");
        assert_eq!(shortest(&format!("{}{}", rule(30), rule(7))), Some(7));
        assert_eq!(shortest("<Rule><NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays></Rule>"), None);
    }
}
