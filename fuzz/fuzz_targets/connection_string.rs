//! Connection strings: parsed or refused, and no secret in what is printed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tributary_azure_eventhub::ConnectionString;
use tributary_fuzz::text;

const SECRET: &str = "c2VjcmV0LXRoYXQtbXVzdC1ub3QtYmUtc2Vlbg==";

fuzz_target!(|data: &[u8]| {
    let given = text(data);
    for text in [given.to_string(), format!("{given};SharedAccessKey={SECRET}"), format!("SharedAccessKey={SECRET};{given}")] {
        let printed = match ConnectionString::parse(&text) {
            Ok(parsed) => format!("{parsed:?}"),
            Err(error) => format!("{error:?} {error}"),
        };
        assert!(given.contains(SECRET) || !printed.contains(SECRET), "{printed}");
    }
});
