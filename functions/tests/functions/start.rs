//! Cold starts that cannot be: what is wrong is said in one line, and nothing of a value is shown.

use super::process::command;

fn refused(handler: &str, variables: &[(&str, &str)]) -> String {
    let output = command(handler, variables).output().unwrap();
    assert!(!output.status.success());
    assert!(output.stdout.is_empty());
    let text = String::from_utf8(output.stderr).unwrap();
    let line: serde_json::Value = serde_json::from_str(text.trim_end()).unwrap();
    assert_eq!(line["level"], "ERROR");
    line["message"].as_str().unwrap().to_owned()
}

#[test]
fn what_is_wrong_with_the_settings_is_named() {
    let aws = ("AWS_REGION", "us-east-1");
    let api = ("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9");
    let message = refused("security-lake-source", &[aws]);
    assert!(message.contains("AWS_LAMBDA_RUNTIME_API is not set") && message.contains("tributary run"), "{message}");
    for (handler, variables, says) in [
        ("", &[aws][..], "_HANDLER is not set"),
        ("transformer", &[aws], "one of eventhub-processor, event-transformer"),
        ("security-lake-source", &[("MODULE_ID", "a/b"), aws], "MODULE_ID is malformed"),
        ("security-lake-source", &[("LOGGING_LEVEL", "loud")], "LOGGING_LEVEL: "),
        ("security-lake-source", &[("AWS_ENDPOINT_URL_STS", "http://192.0.2.1"), aws], "AWS_ENDPOINT_URL_STS: "),
    ] {
        let message = refused(handler, &[variables, &[api]].concat());
        assert!(message.starts_with("cannot start: ") && message.contains(says), "{message}");
    }
}
