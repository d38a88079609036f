//! Azure Blob Storage on this machine.

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::{Authority, ROOT};

/// How long it may take to start on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Azurite until it is dropped.
#[derive(Debug)]
pub struct Azurite {
    process: Child,
    port: u16,
    /// Its certificate's, where it speaks TLS.
    pub authority: Option<Authority>,
    _folder: tempfile::TempDir,
}

impl Azurite {
    /// Its storage account.
    pub const ACCOUNT: &'static str = "tributary";
    /// The account's key: base64 of a word that this machine's store takes for one.
    pub const KEY: &'static str = "a2V5LW9mLXRoaXMtbWFjaGluZQ==";

    /// By account key, without TLS. `None`, said aloud, where it is not installed and peers are not required.
    pub fn by_key() -> Option<Self> {
        Self::start(None)
    }

    /// By tokens of Microsoft Entra, whoever signed them, over TLS.
    pub fn by_token() -> Option<Self> {
        Self::start(Some(Authority::new()))
    }

    fn start(authority: Option<Authority>) -> Option<Self> {
        let program = Path::new(ROOT).join("tests/peers/js/node_modules/azurite/dist/src/blob/main.js");
        if !program.exists() {
            let required = std::env::var("TRIBUTARY_REQUIRE_PEERS").is_ok_and(|value| value == "1");
            assert!(!required, "azurite is not installed: make peers");
            eprintln!("SKIPPED: azurite is not installed (make peers)");
            return None;
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("node");
        command
            .arg(program)
            .args(["--blobHost", "127.0.0.1", "--blobPort", &port.to_string(), "--silent", "--disableTelemetry"])
            .args(["--skipApiVersionCheck", "--location"])
            .arg(folder.path())
            .env("AZURITE_ACCOUNTS", format!("{}:{}", Self::ACCOUNT, Self::KEY));
        if let Some(authority) = &authority {
            command.args(["--oauth", "basic", "--cert"]).arg(authority.certificate()).arg("--key").arg(authority.key());
        }
        let process = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        let azurite = Self { process, port, authority, _folder: folder };
        let end = Instant::now() + PATIENCE;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < end, "azurite does not listen");
            std::thread::sleep(Duration::from_millis(50));
        }
        Some(azurite)
    }

    /// The account's endpoint.
    pub fn endpoint(&self) -> String {
        let scheme = if self.authority.is_some() { "https" } else { "http" };
        format!("{scheme}://127.0.0.1:{}/{}", self.port, Self::ACCOUNT)
    }
}

impl Drop for Azurite {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
