//! Where a request would go; that it is signed and answered for is shown against a server (`crates/delivery`).
use super::*;

fn config(region: &'static str) -> aws_types::sdk_config::Builder {
    SdkConfig::builder().behavior_version(BehaviorVersion::latest()).region(Region::from_static(region))
}

fn of(config: &SdkConfig) -> Result<String, ConfigError> {
    endpoint(config, config.region().unwrap(), "SecurityHub", "securityhub")
}

#[test]
fn the_service_is_found_in_every_partition() {
    for (region, host) in [
        ("ap-southeast-7", "https://securityhub.ap-southeast-7.amazonaws.com"),
        ("cn-north-1", "https://securityhub.cn-north-1.amazonaws.com.cn"),
        ("us-gov-west-1", "https://securityhub.us-gov-west-1.amazonaws.com"),
    ] {
        assert_eq!(of(&config(region).build()).as_deref(), Ok(host));
    }
    let both = config("us-gov-west-1").use_fips(true).use_dual_stack(true).build();
    assert_eq!(of(&both).as_deref(), Ok("https://securityhub-fips.us-gov-west-1.api.aws"));
}

#[test]
fn the_service_s_own_endpoint_wins() {
    #[derive(Debug)]
    struct Own;
    impl aws_types::service_config::LoadServiceConfig for Own {
        fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
            assert_eq!(
                (key.service_id(), key.env(), key.profile()),
                ("SecurityHub", "AWS_ENDPOINT_URL", "endpoint_url")
            );
            Some("http://127.0.0.1:2".to_owned())
        }
    }
    let general = || config("eu-west-1").endpoint_url("http://127.0.0.1:1");
    assert_eq!(of(&general().build()).as_deref(), Ok("http://127.0.0.1:1"));
    assert_eq!(of(&general().service_config(Own).build()).as_deref(), Ok("http://127.0.0.1:2"));
}

#[test]
fn nothing_is_sent_in_the_clear() {
    let error = of(&config("eu-west-1").endpoint_url("http://10.0.0.1").build()).unwrap_err();
    assert!(error.to_string().contains("AWS_ENDPOINT_URL_SECURITYHUB"), "{error}");
}

#[test]
fn an_error_s_code_is_in_its_header_or_its_body() {
    for (header, body, code, message) in [
        (
            Some("InvalidInputException:http://x/"),
            r#"{"Message":"a"}"#,
            Some("InvalidInputException:http://x/"),
            Some("a"),
        ),
        (None, r#"{"__type":"com.amazonaws#X","message":"b"}"#, Some("com.amazonaws#X"), Some("b")),
        (None, r#"{"Code":"InvalidInputException"}"#, Some("InvalidInputException"), None),
        (None, "<html>", None, None),
    ] {
        let mut response = HttpResponse::new(400.try_into().unwrap(), SdkBody::from(body));
        if let Some(header) = header {
            response.headers_mut().insert("x-amzn-errortype", header);
        }
        let error = answer(&response).unwrap_err();
        let error = error.as_operation_error().unwrap();
        assert_eq!((error.code(), error.message()), (code, message), "{body}");
    }
}
