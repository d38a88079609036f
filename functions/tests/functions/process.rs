//! A function's process with the runtime API that it serves.

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::Receiver;
use std::time::Duration;

use serde_json::Value;
use tempfile::NamedTempFile;
use tributary_test_servers::{Answer, Proxy, RuntimeApi};

/// As long as Lambda would give it.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(300);

/// What Lambda says of every function.
const LAMBDA: [(&str, &str); 5] = [
    ("AWS_LAMBDA_FUNCTION_NAME", "tributary"),
    ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512"),
    ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
    ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/tributary"),
    ("AWS_LAMBDA_LOG_STREAM_NAME", "stream"),
];

/// A running function.
pub(crate) struct Function {
    pub(crate) api: RuntimeApi,
    process: Child,
    /// What it writes: files, as nobody reads a pipe while it runs, and a full one would hold it up.
    written: [NamedTempFile; 2],
    /// What stands between it and its servers.
    proxies: Vec<Proxy>,
}

/// The functions' program: what cargo built for this, or what `TRIBUTARY_BOOTSTRAP` names, such as the one out of the package.
pub(crate) fn program() -> String {
    std::env::var("TRIBUTARY_BOOTSTRAP").unwrap_or_else(|_| env!("CARGO_BIN_EXE_bootstrap").to_owned())
}

/// The command that starts a handler, without any variable of this process that could steer it.
pub(crate) fn command(handler: &str, variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(program());
    command.env_clear().env("_HANDLER", handler).envs(LAMBDA).envs(variables.iter().copied());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

impl Function {
    /// Starts a handler.
    pub(crate) fn start(handler: &str, variables: &[(&str, &str)]) -> Self {
        let api = RuntimeApi::start();
        let written = [NamedTempFile::new().unwrap(), NamedTempFile::new().unwrap()];
        let [out, err] = written.each_ref().map(|file| file.reopen().unwrap());
        let mut command = command(handler, variables);
        let process = command.env("AWS_LAMBDA_RUNTIME_API", api.address()).stdout(out).stderr(err).spawn().unwrap();
        Self { api, process, written, proxies: Vec::new() }
    }

    /// The same, which talks to its servers through proxies: they end with it.
    pub(crate) fn behind(mut self, proxies: Vec<Proxy>) -> Self {
        self.proxies = proxies;
        self
    }

    /// Invokes it, and kills it when the gate says that it has come to it.
    pub(crate) fn killed_at(mut self, gate: &Receiver<()>, event: &Value) {
        self.api.send(&event.to_string(), TIMEOUT);
        gate.recv_timeout(TIMEOUT).expect("the function comes to where it is killed");
        self.kill();
    }

    /// Invokes it; its response as JSON, or the error's message.
    pub(crate) fn try_invoke(&mut self, event: &Value) -> Result<Value, String> {
        match self.api.invoke(&event.to_string(), TIMEOUT) {
            Answer::Response(text) => Ok(serde_json::from_str(&text).unwrap()),
            Answer::Error(text) => {
                Err(serde_json::from_str::<Value>(&text).unwrap()["errorMessage"].as_str().unwrap().to_owned())
            }
        }
    }

    /// Invokes it; its response.
    pub(crate) fn invoke(&mut self, event: &Value) -> Value {
        self.try_invoke(event).unwrap_or_else(|error| panic!("the invocation failed: {error}"))
    }

    /// Invokes it; the error's message.
    pub(crate) fn fails(&mut self, event: &Value) -> String {
        self.try_invoke(event).expect_err("the invocation does not fail")
    }

    /// Its process.
    #[allow(dead_code, reason = "the bench looks at what it took")]
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// How often it asked for each operation.
    #[allow(dead_code, reason = "the bench counts them")]
    pub(crate) fn asked(&self) -> BTreeMap<String, u64> {
        let mut asked = BTreeMap::new();
        for (operation, count) in self.proxies.iter().flat_map(Proxy::counts) {
            *asked.entry(operation).or_default() += count;
        }
        asked
    }

    /// Ends it; what it wrote to standard output and standard error.
    pub(crate) fn end(mut self) -> (String, String) {
        self.kill();
        let [out, err] = self.written.each_ref().map(|file| std::fs::read_to_string(file.path()).unwrap());
        (out, err)
    }

    fn kill(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        self.kill();
    }
}
