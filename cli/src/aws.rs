//! AWS's configuration, and flags that choose in whose name the lake is written.

use tokio::sync::OnceCell;
use tributary_aws::SdkConfig;
use tributary_lake::{BucketOptions, KmsKey};

use crate::failure::Failure;

/// AWS's configuration, read from environment and profile when the first back end asks for it: a local run needs none.
#[derive(Debug, Default)]
pub(crate) struct Aws {
    config: OnceCell<SdkConfig>,
}

impl Aws {
    /// The configuration.
    pub(crate) async fn config(&self) -> Result<&SdkConfig, Failure> {
        let load = async || tributary_aws::load(None).await.map_err(|error| Failure::Usage(error.to_string()));
        self.config.get_or_try_init(load).await
    }
}

/// How a lake in a bucket is written.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct LakeArgs {
    /// Role to write the lake as, of the lake's account
    #[arg(long, env = "SECURITY_LAKE_WRITER_ROLE_ARN", value_name = "ARN", help_heading = "Lake on AWS")]
    lake_role: Option<String>,
    /// External id that the role asks for
    #[arg(
        long,
        env = "SECURITY_LAKE_WRITER_EXTERNAL_ID",
        value_name = "TEXT",
        requires = "lake_role",
        help_heading = "Lake on AWS"
    )]
    lake_external_id: Option<String>,
    /// KMS key that encrypts the lake's objects; the bucket's own encryption without it
    #[arg(long, env = "SECURITY_LAKE_KMS_KEY_ARN", value_name = "ARN", help_heading = "Lake on AWS")]
    lake_kms_key: Option<KmsKey>,
}

impl LakeArgs {
    /// Whether any of them is given.
    pub(crate) fn any(&self) -> bool {
        self.lake_role.is_some() || self.lake_kms_key.is_some()
    }

    /// The configuration in the role, and how objects are kept.
    pub(crate) async fn resolve(&self, aws: &Aws) -> Result<(SdkConfig, BucketOptions), Failure> {
        let config = aws.config().await?;
        let config = match &self.lake_role {
            Some(role) => {
                let assumed = tributary_aws::assume(config, role, self.lake_external_id.as_deref(), None).await;
                assumed.map_err(|error| Failure::Usage(format!("--lake-role: {error}")))?
            }
            None => config.clone(),
        };
        Ok((config, BucketOptions { kms_key: self.lake_kms_key.clone() }))
    }
}
