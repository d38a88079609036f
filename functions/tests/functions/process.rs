//! A function's process with the runtime API that it serves.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::NamedTempFile;
use tributary_test_servers::{Answer, RuntimeApi};

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
}

/// The command that starts a handler, without any variable of this process that could steer it.
pub(crate) fn command(handler: &str, variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bootstrap"));
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
        Self { api, process, written }
    }

    /// Invokes it; its response as JSON.
    pub(crate) fn invoke(&mut self, event: &Value) -> Value {
        match self.api.invoke(&event.to_string(), TIMEOUT) {
            Answer::Response(text) => serde_json::from_str(&text).unwrap(),
            Answer::Error(text) => panic!("the invocation failed: {text}"),
        }
    }

    /// Invokes it; the error's message.
    pub(crate) fn fails(&mut self, event: &Value) -> String {
        match self.api.invoke(&event.to_string(), TIMEOUT) {
            Answer::Response(text) => panic!("the invocation did not fail: {text}"),
            Answer::Error(text) => {
                serde_json::from_str::<Value>(&text).unwrap()["errorMessage"].as_str().unwrap().to_owned()
            }
        }
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
