//! Who this is on AWS, and whether the clocks agree: what every other check needs.

use aws_types::SdkConfig;
use tributary_telemetry::Check;

use crate::probe::{Probe, Probed};

const IDENTITY: &str = "aws identity";
const CLOCK: &str = "clock";
const OPERATION: &str = "sts:GetCallerIdentity";
/// AWS refuses signatures that are further from its clock.
const REFUSED: i64 = 300;
/// Seconds that are worth a word.
const SLOW: i64 = 60;

/// Asks STS who this is. `seconds` reads a `Date` header, in seconds since 1970; `now` is this machine's clock.
pub async fn examine(config: &SdkConfig, seconds: impl Fn(&str) -> Option<i64>, now: impl Fn() -> i64) -> Vec<Check> {
    let ask = Probe {
        service: "STS",
        signing_name: "sts",
        name: OPERATION,
        method: "POST",
        path: "/".to_owned(),
        headers: vec![("content-type", "application/x-www-form-urlencoded".to_owned())],
        body: "Action=GetCallerIdentity&Version=2011-06-15".to_owned(),
    };
    match ask.send(config).await {
        Ok(answer) => {
            let at = now();
            let served = answer.date.as_deref().and_then(seconds);
            vec![identity(&answer), clock(served, at)]
        }
        Err(error) => {
            let remedy = "give this process credentials (a role, AWS_PROFILE, or AWS_ACCESS_KEY_ID and \
                          AWS_SECRET_ACCESS_KEY) and a way to the service: aws sts get-caller-identity";
            vec![
                Check::failed(IDENTITY, without_advice(&error.to_string()), remedy),
                Check::skipped(CLOCK, "no answer to compare with"),
            ]
        }
    }
}

fn without_advice(text: &str) -> &str {
    text.split_once("; ").map_or(text, |(what, _)| what)
}

fn identity(answer: &Probed) -> Check {
    match answer.element("Arn").filter(|_| answer.is_success()) {
        Some(arn) => Check::ok(IDENTITY, arn),
        None => {
            let error = answer.error(OPERATION).to_string();
            let remedy = "give this process credentials that are valid now: aws sts get-caller-identity";
            Check::failed(IDENTITY, without_advice(&error), remedy)
        }
    }
}

fn clock(served: Option<i64>, now: i64) -> Check {
    let Some(served) = served else { return Check::skipped(CLOCK, "the answer says no time") };
    let apart = now.saturating_sub(served);
    let found = match apart {
        0 => "as AWS's".to_owned(),
        ahead @ 1.. => format!("{ahead} s ahead of AWS's"),
        behind => format!("{} s behind AWS's", behind.unsigned_abs()),
    };
    let remedy = "set this machine's clock by NTP: timedatectl set-ntp true";
    match apart.unsigned_abs() {
        apart if apart > REFUSED.unsigned_abs() => {
            Check::failed(CLOCK, format!("{found}: AWS refuses signatures over {REFUSED} s apart"), remedy)
        }
        apart if apart > SLOW.unsigned_abs() => Check::warning(CLOCK, found, remedy),
        _ => Check::ok(CLOCK, found),
    }
}

#[cfg(test)]
mod tests {
    use tributary_telemetry::CheckState;

    use super::*;

    #[test]
    fn a_clock_that_is_off_is_said() {
        for (served, now, state, says) in [
            (Some(1_000), 1_000, CheckState::Ok, "as AWS's"),
            (Some(1_000), 1_060, CheckState::Ok, "60 s ahead"),
            (Some(1_000), 939, CheckState::Warning, "61 s behind"),
            (Some(1_000), 1_300, CheckState::Warning, "300 s ahead"),
            (Some(1_000), 1_301, CheckState::Failed, "refuses signatures"),
            (Some(1_000), 600, CheckState::Failed, "400 s behind"),
            (None, 0, CheckState::Skipped, "no time"),
        ] {
            let check = clock(served, now);
            assert!(check.state == state && check.found.contains(says), "{check:?}");
            let acts = check.remedy.is_some_and(|remedy| remedy.contains("timedatectl"));
            assert_eq!(acts, matches!(state, CheckState::Warning | CheckState::Failed));
        }
    }

    #[test]
    fn an_answer_names_who_this_is_or_why_not() {
        let answer = |status, body: &'static str| Probed { status, body: body.into(), ..Probed::default() };
        let known = identity(&answer(200, "<x><Arn>arn:aws:iam::111122223333:role/r</Arn></x>"));
        assert_eq!((known.state, known.found.as_str()), (CheckState::Ok, "arn:aws:iam::111122223333:role/r"));
        let expired = identity(&answer(403, "<Error><Code>ExpiredToken</Code><Message>it is over</Message></Error>"));
        assert_eq!(expired.state, CheckState::Failed);
        assert_eq!(expired.found, "sts:GetCallerIdentity: ExpiredToken it is over");
        assert!(expired.remedy.unwrap().contains("aws sts get-caller-identity"));
    }
}
