//! What an SDK's error means to its caller.

use std::fmt;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use tributary_telemetry::line::{one_line, with_causes};

/// Longest text of a service's message that is passed on, in characters.
const MAX_DETAIL: usize = 400;

/// What the caller should do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// Try again later: the network, a timeout, a server's fault.
    Transient,
    /// Try again, more slowly.
    Throttled,
    /// A permission is missing (metric `AccessDenied`), or there are no credentials.
    Denied,
    /// The service understood and refuses; the same request will be refused again.
    Refused,
}

/// An AWS call that failed, in one line and without the request's content.
#[derive(Debug, Clone)]
pub struct AwsError {
    /// The operation as the permission names it, such as `dynamodb:UpdateItem`.
    pub operation: &'static str,
    /// What to do.
    pub kind: Kind,
    /// The service's code, such as `ConditionalCheckFailedException`; empty when the request did not reach it.
    pub code: String,
    /// What the service or the transport said, cut.
    pub detail: String,
}

impl std::error::Error for AwsError {}

impl fmt::Display for AwsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { operation, kind, code, detail } = self;
        let space = if code.is_empty() { "" } else { " " };
        write!(f, "{operation}: {code}{space}{detail}")?;
        f.write_str(match kind {
            Kind::Transient => "; nothing is lost, try again",
            Kind::Throttled => "; slow down and try again, or raise the limit",
            Kind::Denied => "; grant it to the role that runs this, and see that it has credentials",
            Kind::Refused => "",
        })
    }
}

impl AwsError {
    /// What an SDK's error means.
    pub fn of<E>(operation: &'static str, error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let status = error.raw_response().map_or(0, |response| response.status().as_u16());
        match error {
            SdkError::ServiceError(context) => {
                let meta = context.err().meta();
                let code = meta.code().unwrap_or_default();
                Self::answered(operation, status, code, meta.message().unwrap_or("no message"))
            }
            other => {
                let detail = with_causes(other);
                // The SDK signs nothing without credentials and fails before it sends.
                let nobody = detail.contains("credentials") && matches!(other, SdkError::DispatchFailure(_));
                let kind = match (other, status) {
                    _ if nobody => Kind::Denied,
                    (SdkError::ConstructionFailure(_), _) => Kind::Refused,
                    (_, 401 | 403) => Kind::Denied,
                    (_, 429) => Kind::Throttled,
                    _ => Kind::Transient,
                };
                Self { operation, kind, code: String::new(), detail: one_line(&detail, MAX_DETAIL) }
            }
        }
    }

    /// What an answer with this status, code and message means.
    pub fn answered(operation: &'static str, status: u16, code: &str, message: &str) -> Self {
        let code = code.rsplit('#').next().unwrap_or_default().split(':').next().unwrap_or_default();
        Self {
            operation,
            kind: kind(status, code),
            code: one_line(code, MAX_DETAIL),
            detail: one_line(message, MAX_DETAIL),
        }
    }

    /// Whether a later attempt of the same call may succeed by itself.
    pub fn is_transient(&self) -> bool {
        matches!(self.kind, Kind::Transient | Kind::Throttled)
    }

    /// Whether a permission is missing.
    pub fn is_denied(&self) -> bool {
        self.kind == Kind::Denied
    }
}

/// By the codes that AWS services share, then by status.
fn kind(status: u16, code: &str) -> Kind {
    match code {
        "AccessDenied"
        | "AccessDeniedException"
        | "AccessDeniedError"
        | "UnauthorizedOperation"
        | "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "InvalidAccessKeyId"
        | "SignatureDoesNotMatch"
        | "ExpiredToken"
        | "ExpiredTokenException"
        | "InvalidSignatureException"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "KmsAccessDenied"
        | "KMSAccessDeniedException" => Kind::Denied,
        "Throttling"
        | "ThrottlingException"
        | "ThrottledException"
        | "ProvisionedThroughputExceededException"
        | "RequestLimitExceeded"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "TooManyRequestsException"
        | "SlowDown"
        | "LimitExceededException"
        | "KmsThrottled" => Kind::Throttled,
        "RequestTimeout"
        | "RequestTimeoutException"
        | "TransactionInProgressException"
        | "InternalServerError"
        | "ServiceUnavailable" => Kind::Transient,
        _ => match status {
            401 | 403 => Kind::Denied,
            429 => Kind::Throttled,
            0 | 500.. => Kind::Transient,
            _ => Kind::Refused,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_statuses_say_what_to_do() {
        for (status, code, kind) in [
            (400, "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException", Kind::Throttled),
            (400, "AccessDeniedException", Kind::Denied),
            (403, "", Kind::Denied),
            (503, "SlowDown", Kind::Throttled),
            (500, "InternalFailure", Kind::Transient),
            (400, "ValidationException", Kind::Refused),
            (400, "ValidationException:http://internal.amazon.com/coral/com.amazon.coral.validate/", Kind::Refused),
        ] {
            let error = AwsError::answered("dynamodb:UpdateItem", status, code, "a\n  b");
            assert_eq!(error.kind, kind, "{code}");
            assert!(error.to_string().starts_with("dynamodb:UpdateItem: ") && error.to_string().contains("a b"));
            assert!(!error.code.contains(['#', ':']), "{}", error.code);
        }
    }

    #[test]
    fn a_service_message_is_cut() {
        let error = AwsError::answered("sqs:SendMessage", 500, "", &"x".repeat(10_000));
        assert!(error.to_string().len() < 600);
    }
}
