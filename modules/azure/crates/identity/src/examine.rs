//! Whether this is let in: the secret, or the role's own token and what Entra says of it.

use std::time::{Duration, SystemTime};

use tributary_telemetry::Check;

use crate::contents::{EventHubSecret, HubAccess};
use crate::flow_logs::FlowLogCredentials;
use crate::hub::{HubCredentials, Way};
use crate::store::{SecretError, SecretStore};
use crate::tokens::{AccessTokens, Scope};

const SECRET: &str = "hub secret";
const FLOW_LOG_SECRET: &str = "flow log secret";
const FEDERATION: &str = "outbound federation";
const ENTRA: &str = "entra token";
const STORAGE: &str = "entra token: storage";
const DAY: Duration = Duration::from_secs(24 * 3_600);
/// What is stored for longer should be rotated.
const OLD: u32 = 90;

impl HubCredentials {
    /// Reads the secret, or asks for the role's own token, and for a token of Entra where one is needed. No check holds anything
    /// of them.
    pub async fn examine(&self, now: SystemTime) -> Vec<Check> {
        match &self.way {
            Way::Secret { store, tokens } => secret(store, tokens, now).await,
            Way::Federated { tokens, role, .. } => match role.assertion().await {
                Ok(_) => {
                    let attested = Check::ok(FEDERATION, "sts:GetWebIdentityToken gives the role's token");
                    vec![attested, entra(tokens, &Scope::EVENT_HUBS).await]
                }
                Err(error) => {
                    let text = error.to_string();
                    let remedy = "an administrator of the AWS account runs, once: aws iam enable-outbound-web-identity-federation";
                    let failed = match text.split_once(": an administrator ") {
                        Some((found, _)) => Check::failed(FEDERATION, found, remedy),
                        None => Check::failed_with(FEDERATION, text, remedy),
                    };
                    vec![failed, Check::skipped(ENTRA, "there is no token of the role to exchange")]
                }
            },
        }
    }
}

impl FlowLogCredentials {
    /// Reads the secret, where there is one, and asks for a token. No check holds anything of them.
    pub async fn examine(&self, now: SystemTime) -> Vec<Check> {
        let Some(store) = self.store() else { return vec![entra(self.tokens(), &Scope::STORAGE).await] };
        let stored = match store.get().await {
            Ok(stored) => stored,
            Err(error) => return unread(FLOW_LOG_SECRET, error),
        };
        let found = format!("{} names storage account {}", store.name(), stored.content.storage_account);
        let renew = "az ad app credential reset --append --id CLIENT_ID";
        let age = age(FLOW_LOG_SECRET, stored.age(now), store.name(), renew);
        vec![Check::ok(FLOW_LOG_SECRET, found), age, entra(self.tokens(), &Scope::STORAGE).await]
    }
}

/// A secret that cannot be used.
fn unread(name: &str, error: SecretError) -> Vec<Check> {
    vec![
        Check::failed_with(name, error, "look at the secret: aws secretsmanager describe-secret --secret-id NAME"),
        Check::skipped(format!("{name}: age"), "the secret cannot be used"),
    ]
}

async fn secret(store: &SecretStore<EventHubSecret>, tokens: &AccessTokens, now: SystemTime) -> Vec<Check> {
    let stored = match store.get().await {
        Ok(stored) => stored,
        Err(error) => return unread(SECRET, error),
    };
    let EventHubSecret { address, hub, access, .. } = &stored.content;
    let (holds, renew) = match access {
        HubAccess::ConnectionString(_) => (
            "a connection string",
            "az eventhubs eventhub authorization-rule keys renew --key SecondaryKey, with the hub's names".to_owned(),
        ),
        _ => ("an application's secret", "az ad app credential reset --append --id CLIENT_ID".to_owned()),
    };
    let found = format!("{} names hub {hub} of {} and holds {holds}", store.name(), address.host);
    let mut checks = vec![Check::ok(SECRET, found), age(SECRET, stored.age(now), store.name(), &renew)];
    if !matches!(access, HubAccess::ConnectionString(_)) {
        checks.push(entra(tokens, &Scope::EVENT_HUBS).await);
    }
    checks
}

fn age(name: &str, age: Option<Duration>, secret: &str, renew: &str) -> Check {
    let name = format!("{name}: age");
    let Some(age) = age else { return Check::skipped(name, "Secrets Manager does not say when it was stored") };
    let days = age.as_secs() / DAY.as_secs();
    let found = format!("stored {days} days ago");
    match age > OLD * DAY {
        true => Check::warning(
            name,
            format!("{found}, over {OLD}"),
            format!(
                "rotate it: {renew}, then aws secretsmanager put-secret-value --secret-id {secret} --secret-string \
                 file://secret.json; nothing has to be started again"
            ),
        ),
        false => Check::ok(name, found),
    }
}

async fn entra(tokens: &AccessTokens, scope: &Scope) -> Check {
    let (name, service) = if *scope == Scope::STORAGE { (STORAGE, "Azure Storage") } else { (ENTRA, "Event Hubs") };
    match tokens.token(scope).await {
        Ok(_) => Check::ok(name, format!("Microsoft Entra gives a token for {service}")),
        Err(error) => {
            let text = error.to_string();
            // What is wrong, then what to do, is how Entra's refusals are told.
            match text.splitn(3, ": ").collect::<Vec<_>>().as_slice() {
                [who, what, advice] => Check::failed(name, format!("{who}: {what}"), *advice),
                _ => Check::failed(name, text, "check tenant, application and its federated credential"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tributary_telemetry::CheckState;

    use super::*;

    #[test]
    fn what_is_old_is_to_be_rotated() {
        for (days, state) in [(None, CheckState::Skipped), (Some(90), CheckState::Ok), (Some(91), CheckState::Warning)]
        {
            let check = age(SECRET, days.map(|days: u32| days * DAY), "tributary/hub", "renew");
            assert_eq!(check.state, state, "{check:?}");
        }
        let check = age(SECRET, Some(100 * DAY), "tributary/hub", "renew");
        assert_eq!(check.found, "stored 100 days ago, over 90");
        assert!(check.remedy.unwrap().contains("put-secret-value --secret-id tributary/hub"));
    }
}
