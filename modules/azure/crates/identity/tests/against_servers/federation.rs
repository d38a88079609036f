//! Tokens of Microsoft Entra by the AWS role's own token.

use secrecy::ExposeSecret;
use serde_json::{Value, json};
use std::time::SystemTime;

use tributary_azure_identity::{
    AccessTokens, FederationError, HubAddress, HubCredentials, HubSettings, IdentityError, Scope,
    TOKEN_EXCHANGE_AUDIENCE,
};
use tributary_telemetry::{Check, CheckState};
use tributary_test_servers::Server;

use crate::{APPLICATION, TENANT, at_once, counted, entra, set};

const ISSUER: &str = "https://22222222-2222-2222-2222-222222222222.tokens.sts.global.api.aws";
const ROLE: &str = "arn:aws:iam::123456789012:role/tributary-processor";

pub(crate) fn trust(server: &Server, issuer: &str, subject: &str, audience: &str) {
    let federated = json!({"issuer": issuer, "subject": subject, "audience": audience});
    set(server, &json!({"applications": {APPLICATION: {"federated": federated}}}));
}

/// The token endpoint and STS in one; the application trusts the role.
pub(crate) fn federated_server() -> Option<Server> {
    let server = Server::entra(None)?;
    trust(&server, ISSUER, ROLE, TOKEN_EXCHANGE_AUDIENCE);
    Some(server)
}

fn tokens(server: &Server) -> AccessTokens {
    AccessTokens::federated(TENANT, APPLICATION, &at_once(server), entra(server))
}

#[tokio::test]
async fn the_roles_token_is_exchanged() {
    let Some(server) = federated_server() else { return };
    let tokens = tokens(&server);
    let token = tokens.token(&Scope::EVENT_HUBS).await.unwrap();
    assert!(token.secret.expose_secret().starts_with("eyJ"));
    tokens.token(&Scope::EVENT_HUBS).await.unwrap();
    assert_eq!((counted(&server, "assertions"), counted(&server, "tokens")), (1, 1));
    assert!(!tokens.rejected(&Scope::EVENT_HUBS, &token.secret).await);
}

#[tokio::test]
async fn a_credential_that_does_not_match_is_spelled_out() {
    let Some(server) = federated_server() else { return };
    for (issuer, subject, audience, code) in [
        ("https://other", ROLE, TOKEN_EXCHANGE_AUDIENCE, 700_211),
        (ISSUER, "arn:aws:iam::123456789012:role/other", TOKEN_EXCHANGE_AUDIENCE, 700_213),
        (ISSUER, ROLE, "api://other", 700_212),
    ] {
        trust(&server, issuer, subject, audience);
        let error = tokens(&server).token(&Scope::EVENT_HUBS).await.unwrap_err();
        let text = error.to_string();
        let wanted = format!("issuer {ISSUER}, subject {ROLE} and audience {TOKEN_EXCHANGE_AUDIENCE},");
        assert!(text.contains(&wanted) && text.contains(&code.to_string()), "{text}");
        assert!(!error.is_transient() && !format!("{text} {error:?}").contains("eyJ"), "{error:?}");
    }
    set(&server, &json!({"applications": {APPLICATION: {}}}));
    let text = tokens(&server).token(&Scope::EVENT_HUBS).await.unwrap_err().to_string();
    assert!(text.contains("AADSTS70021") && text.contains(ISSUER), "{text}");
    // A clock that is behind, or a token that waited.
    set(&server, &json!({"sts": {"valid_s": -1}}));
    let text = tokens(&server).token(&Scope::EVENT_HUBS).await.unwrap_err().to_string();
    assert!(text.contains("AADSTS700024") && text.contains("clock"), "{text}");
}

#[tokio::test]
async fn a_look_at_federation_says_who_acts() {
    let Some(server) = federated_server() else { return };
    let look = async || {
        let settings = HubSettings::Federated {
            tenant: TENANT.to_owned(),
            client: APPLICATION.to_owned(),
            address: HubAddress::parse("contoso.servicebus.windows.net").unwrap(),
            hub: "defender".to_owned(),
            consumer_group: "tributary".to_owned(),
        };
        let credentials = HubCredentials::new(settings, &at_once(&server), entra(&server)).unwrap();
        let checks = credentials.examine(SystemTime::now()).await;
        assert!(!format!("{checks:?}").contains("eyJ"), "{checks:?}");
        checks
    };
    let states = |checks: &[Check]| checks.iter().map(|check| check.state).collect::<Vec<_>>();
    assert_eq!(states(&look().await), [CheckState::Ok, CheckState::Ok]);
    trust(&server, ISSUER, "arn:aws:iam::123456789012:role/other", TOKEN_EXCHANGE_AUDIENCE);
    let checks = look().await;
    assert_eq!(states(&checks), [CheckState::Ok, CheckState::Failed]);
    assert!(checks[1].found.contains("AADSTS700213"), "{checks:?}");
    assert!(checks[1].remedy.as_ref().unwrap().contains(ROLE), "{checks:?}");
    set(&server, &json!({"sts": {"refuse": "OutboundWebIdentityFederationDisabledException"}}));
    let checks = look().await;
    assert_eq!(states(&checks), [CheckState::Failed, CheckState::Skipped]);
    assert!(checks[0].found.contains("federation is off"), "{checks:?}");
    let remedy = checks[0].remedy.as_ref().unwrap();
    assert!(remedy.contains("administrator") && remedy.contains("aws iam enable-outbound-web-identity-federation"));
    set(&server, &json!({"sts": {"refuse": "AccessDenied"}}));
    let checks = look().await;
    assert!(checks[0].found.contains("sts:GetWebIdentityToken: AccessDenied"), "{checks:?}");
    assert!(checks[0].remedy.as_ref().unwrap().contains("grant it"), "{checks:?}");
}

#[tokio::test]
async fn what_sts_refuses_says_who_turns_it_on_and_what_to_grant() {
    let Some(server) = federated_server() else { return };
    let refused = |code: &str| set(&server, &json!({"sts": {"refuse": code}}));
    refused("OutboundWebIdentityFederationDisabledException");
    let error = tokens(&server).token(&Scope::EVENT_HUBS).await.unwrap_err();
    assert!(matches!(error, IdentityError::Federation(FederationError::Disabled)) && !error.is_transient());
    let text = error.to_string();
    assert!(
        text.contains("administrator") && text.contains("aws iam enable-outbound-web-identity-federation"),
        "{text}"
    );
    refused("AccessDenied");
    let error = tokens(&server).token(&Scope::EVENT_HUBS).await.unwrap_err();
    assert!(error.is_denied() && error.to_string().contains("sts:GetWebIdentityToken: AccessDenied"), "{error}");
    assert!(error.to_string().contains("sts:IdentityTokenAudience"), "{error}");
    refused("SessionDurationEscalationException");
    assert!(tokens(&server).token(&Scope::EVENT_HUBS).await.unwrap_err().is_transient());
    assert_eq!(counted(&server, "tokens"), 0);
    // Signed with other keys: the server that checks signatures is one.
    let other = aws_sdk_sts::config::Credentials::new("test", "other", None, None, "test");
    let provider = aws_sdk_sts::config::SharedCredentialsProvider::new(other);
    let config = at_once(&server).to_builder().credentials_provider(provider).build();
    let error = AccessTokens::federated(TENANT, APPLICATION, &config, entra(&server)).token(&Scope::STORAGE).await;
    assert!(error.unwrap_err().to_string().contains("SignatureDoesNotMatch"));
}

#[tokio::test]
async fn another_sts_takes_the_call_too() {
    let (Some(entra_server), Some(aws)) = (Server::entra(None), Server::ministack()) else { return };
    // Its token is signed otherwise than the real one: it is had, and refused for its signature.
    set(&entra_server, &json!({"applications": {APPLICATION: {}}}));
    let tokens = AccessTokens::federated(TENANT, APPLICATION, &at_once(&aws), entra(&entra_server));
    let text = tokens.token(&Scope::EVENT_HUBS).await.unwrap_err().to_string();
    assert!(text.contains("AADSTS700027") && text.contains("get-outbound-web-identity-federation-info"), "{text}");
    let counts: Value = serde_json::from_str(&entra_server.get("/control")).unwrap();
    assert_eq!((&counts["assertions"], &counts["tokens"]), (&json!(0), &json!(1)));
}
