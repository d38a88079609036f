//! The AWS role's own token, by which an Entra application knows the role.

use std::time::Duration;

use aws_sdk_sts::operation::get_web_identity_token::GetWebIdentityTokenError;
use secrecy::SecretString;
use tributary_aws::{AwsError, SdkConfig};

use crate::store::bounded;

/// Whom the role's token is for: what Entra expects in every federated credential.
pub const TOKEN_EXCHANGE_AUDIENCE: &str = "api://AzureADTokenExchange";

/// Seconds that the role's token is valid. It is exchanged at once.
const LIFE_S: i32 = 300;
/// Longest call, retries included.
const CALLING: Duration = Duration::from_secs(10);

/// Why there is no token of the role.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum FederationError {
    /// The account does not issue such tokens yet.
    #[error(
        "sts:GetWebIdentityToken: outbound identity federation is off in this AWS account: an administrator of the account turns it \
         on, once, with `aws iam enable-outbound-web-identity-federation`, and enters the issuer that it prints in the federated \
         credential of the Entra application"
    )]
    Disabled,
    /// STS did not give it.
    #[error("{error}{advice}")]
    Aws {
        /// What STS or the network said.
        error: AwsError,
        /// What else to do.
        advice: &'static str,
    },
    /// The answer holds none.
    #[error("sts:GetWebIdentityToken: the answer holds no token: is AWS_ENDPOINT_URL_STS right?")]
    Empty,
}

impl FederationError {
    /// Whether a later attempt may succeed by itself.
    pub fn is_transient(&self) -> bool {
        match self {
            // The role's session is about to end; the next one is not.
            Self::Aws { error, .. } => error.is_transient() || error.code.starts_with("SessionDurationEscalation"),
            Self::Disabled | Self::Empty => false,
        }
    }
}

/// The role that this runs in, as STS attests it.
#[derive(Debug, Clone)]
pub(crate) struct AwsRole {
    client: aws_sdk_sts::Client,
}

impl AwsRole {
    pub(crate) fn new(config: &SdkConfig) -> Self {
        // The global endpoint gives no such tokens; with a region and nothing else set, the SDK takes the region's.
        let settings = aws_sdk_sts::config::Builder::from(config).timeout_config(bounded(config, CALLING));
        Self { client: aws_sdk_sts::Client::from_conf(settings.build()) }
    }

    pub(crate) async fn assertion(&self) -> Result<SecretString, FederationError> {
        let call = self
            .client
            .get_web_identity_token()
            .audience(TOKEN_EXCHANGE_AUDIENCE)
            .signing_algorithm("RS256")
            .duration_seconds(LIFE_S);
        let answer = call.send().await.map_err(|error| {
            let disabled = error
                .as_service_error()
                .is_some_and(GetWebIdentityTokenError::is_outbound_web_identity_federation_disabled_exception);
            let error = AwsError::of("sts:GetWebIdentityToken", &error);
            if disabled || error.code.starts_with("OutboundWebIdentityFederationDisabled") {
                return FederationError::Disabled;
            }
            let advice = advice(&error);
            FederationError::Aws { error, advice }
        })?;
        let token = answer.web_identity_token().filter(|token| !token.is_empty());
        token.map(SecretString::from).ok_or(FederationError::Empty)
    }
}

fn advice(error: &AwsError) -> &'static str {
    match error.code.as_str() {
        "AccessDenied" | "AccessDeniedException" => {
            "; its policy may ask for sts:IdentityTokenAudience api://AzureADTokenExchange, sts:SigningAlgorithm RS256 and \
             sts:DurationSeconds 300"
        }
        "RegionDisabledException" => "; activate STS in this region in the account's settings",
        _ => "",
    }
}
