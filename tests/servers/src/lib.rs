//! Servers on this machine that tests start and stop.
//!
//! But for [`Azurite`] (Blob Storage, in JavaScript) each is a Python program of `tests/peers` that prints its endpoint in one line and ends when its standard input does, so
//! that it never outlives the test that started it, however that ends. They listen on 127.0.0.1 only, on a free port.
//!
//! - [`Server::moto`]: DynamoDB, S3, Secrets Manager, SQS and STS, quick to start, no state but its own.
//! - [`Server::ministack`]: the same and Lambda, event source mappings and schedules, which run the real binary.
//! - [`RuntimeApi`] is the other side of one function's process, for a test that invokes it directly.
//! - [`Server::model`]: Security Hub, CloudTrail Lake's channels and Security Lake's custom sources, by AWS's service models.
//! - [`Server::entra`]: Microsoft Entra's token endpoint, and the part of STS that tells it who an AWS role is.
//!
//! [`Proxy`] stands in front of one, makes it fail to order and counts what is asked of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::missing_panics_doc)]

mod authority;
mod azurite;
mod lambda;
mod make;
mod proxy;
mod runtime_api;

use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use aws_config::{BehaviorVersion, Region};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use aws_smithy_async::time::SystemTimeSource;
use tributary_aws::SdkConfig;

pub use authority::Authority;
pub use azurite::Azurite;
pub use lambda::Lambda;
pub use proxy::{Asked, Fault, Proxy};
pub use runtime_api::{Answer, RuntimeApi};

/// The project's root.
pub const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// The region that the servers are in.
pub const REGION: &str = "us-east-1";

/// Region and keys as the servers take them, for a process of its own; whoever runs the tests may have others.
pub const SETTINGS: [(&str, &str); 4] = [
    ("AWS_REGION", REGION),
    ("AWS_ACCESS_KEY_ID", "test"),
    ("AWS_SECRET_ACCESS_KEY", "test"),
    ("AWS_EC2_METADATA_DISABLED", "true"),
];

/// The python of `make peers`. `None`, said aloud, where there is none and peers are not required.
///
/// # Panics
/// When `TRIBUTARY_REQUIRE_PEERS` is 1 and there is none.
pub fn python(what: &str) -> Option<PathBuf> {
    let found = std::env::var_os("TRIBUTARY_PYTHON").map(PathBuf::from).filter(|path| path.exists());
    if found.is_none() {
        let required = std::env::var("TRIBUTARY_REQUIRE_PEERS").is_ok_and(|value| value == "1");
        assert!(!required, "TRIBUTARY_PYTHON names no python, which {what} needs: make peers");
        eprintln!("SKIPPED {what}: TRIBUTARY_PYTHON names no python (make peers)");
    }
    found
}

/// A server's process.
#[derive(Debug)]
pub struct Server {
    process: Child,
    endpoint: String,
}

impl Server {
    /// moto.
    pub fn moto() -> Option<Self> {
        Self::start("moto_server.py", |_| {})
    }

    /// ministack.
    pub fn ministack() -> Option<Self> {
        Self::start("ministack_server.py", |_| {})
    }

    /// The model-driven server of our own: it judges every request. [`post`](Self::post) to `/_faults` says what shall go wrong,
    /// [`get`](Self::get) of `/_state` what it holds and was asked; `model_server.py` describes both.
    pub fn model() -> Option<Self> {
        Self::start("model_server.py", |_| {})
    }

    /// Entra's token endpoint and STS, by TLS too with a certificate and its key (files, PEM). [`post`](Self::post) to `/control`
    /// says who is known and what goes wrong, [`get`](Self::get) what was asked: `entra_server.py` describes both.
    pub fn entra(tls: Option<(&Path, &Path)>) -> Option<Self> {
        Self::start("entra_server.py", |command| {
            if let Some((certificate, key)) = tls {
                command.args([certificate, key]);
            }
        })
    }

    /// A program of `tests/peers`, with the arguments and environment that `with` gives it.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start(program: &str, with: impl FnOnce(&mut Command)) -> Option<Self> {
        let mut command = Command::new(python(program)?);
        command.arg(Path::new(ROOT).join("tests/peers").join(program));
        with(&mut command);
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("python starts");
        let mut endpoint = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut endpoint).unwrap();
        let endpoint = endpoint.trim_end().to_owned();
        assert!(endpoint.contains("://127.0.0.1:"), "{program} did not start: {endpoint:?}");
        Some(Self { process, endpoint })
    }

    /// Where it listens: `http://127.0.0.1:PORT`.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// What it answers to GET, past AWS's protocols.
    ///
    /// # Panics
    /// When it does not answer, or an error.
    pub fn get(&self, path: &str) -> String {
        self.ask("GET", path, "")
    }

    /// What it answers to POST, past AWS's protocols.
    ///
    /// # Panics
    /// When it does not answer, or an error.
    pub fn post(&self, path: &str, body: &str) -> String {
        self.ask("POST", path, body)
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> String {
        let (head, body) = self.exchange(method, path, "", body);
        assert!(head.starts_with("HTTP/1.1 200"), "{method} {path}: {head}\n{body}");
        body
    }

    /// Head and body of the answer to a request with these headers, each with its line's end.
    fn exchange(&self, method: &str, path: &str, headers: &str, body: &str) -> (String, String) {
        let address = self.endpoint.strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        let head = format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{headers}");
        write!(stream, "{head}content-length: {}\r\n\r\n{body}", body.len()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.to_owned(), body.to_owned())
    }

    /// The configuration of clients that talk to it, whatever this process's environment says.
    pub fn config(&self) -> SdkConfig {
        config(&self.endpoint)
    }

    /// Makes `command` a client of it.
    pub fn settings<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("AWS_") {
                command.env_remove(name);
            }
        }
        command.envs(SETTINGS).env("AWS_ENDPOINT_URL", &self.endpoint)
    }
}

/// As [`tributary_aws::load`] makes it but for the environment.
fn config(endpoint: &str) -> SdkConfig {
    let keys = Credentials::new("test", "test", None, None, "test");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(REGION))
        .credentials_provider(SharedCredentialsProvider::new(keys))
        .endpoint_url(endpoint)
        // What an assumed role's credentials are renewed by.
        .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()))
        .time_source(SystemTimeSource::new())
        .build()
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}
