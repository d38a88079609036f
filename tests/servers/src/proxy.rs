//! A proxy in front of a server that makes it fail to order, and counts what is asked of it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use tributary_aws::SdkConfig;

use crate::Server;

/// A request, as far as a fault depends on it.
#[derive(Debug, Clone)]
pub struct Asked {
    /// `PutItem`, `SendMessageBatch`; of S3, which has no names, method and query such as `PUT uploadId partNumber`.
    pub operation: String,
    /// Method, path and query as they were sent.
    pub line: String,
    /// Header names, lower case, with their values.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: Vec<u8>,
}

/// What happens to a request instead of being answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It does not reach the server; this is the answer. The body is JSON for an AWS service but S3.
    Answer(u16, String),
    /// The connection ends before the server sees it.
    Cut,
    /// The server does it, and the connection ends before its answer.
    LoseAnswer,
    /// It does not reach the server, and no answer comes while the client waits: where a test kills it.
    Hang,
}

impl Fault {
    /// The error of an AWS service that speaks JSON.
    pub fn error(status: u16, code: &str, message: &str) -> Self {
        Self::Answer(status, format!(r#"{{"__type":"{code}","message":"{message}"}}"#))
    }
}

type Decide = dyn Fn(&Asked) -> Option<Fault> + Send + Sync;

/// The proxy; it ends when it is dropped.
pub struct Proxy {
    endpoint: String,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

struct Shared {
    server: String,
    decide: Box<Decide>,
    counts: Mutex<BTreeMap<String, u64>>,
    ended: AtomicBool,
}

impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proxy").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

impl Proxy {
    /// In front of `server`; `decide` sees every request, from many threads.
    pub fn start(server: &Server, decide: impl Fn(&Asked) -> Option<Fault> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let server = server.endpoint().strip_prefix("http://").unwrap().to_owned();
        let (decide, counts, ended) = (Box::new(decide), Mutex::default(), AtomicBool::new(false));
        let shared = Arc::new(Shared { server, decide, counts, ended });
        let accept = Arc::clone(&shared);
        let accepting = std::thread::spawn(move || {
            for client in listener.incoming() {
                if accept.ended.load(Ordering::SeqCst) {
                    return;
                }
                let shared = Arc::clone(&accept);
                // A client that goes away in between is no fault of a test.
                std::thread::spawn(move || client.and_then(|client| shared.serve(client)).ok());
            }
        });
        Self { endpoint, shared, accepting: Some(accepting) }
    }

    /// Where it listens: `http://127.0.0.1:PORT`.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The configuration of clients that talk through it.
    pub fn config(&self) -> SdkConfig {
        crate::config(&self.endpoint)
    }

    /// How often each operation was asked for so far, refused ones included.
    pub fn counts(&self) -> BTreeMap<String, u64> {
        self.shared.counts.lock().unwrap().clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.endpoint.trim_start_matches("http://"));
        let _ = self.accepting.take().map(JoinHandle::join);
    }
}

impl Shared {
    /// One request a connection: simple, and a connection that is cut takes no other request with it.
    fn serve(&self, mut client: TcpStream) -> std::io::Result<()> {
        let (head, body) = read_message(&mut client)?;
        let asked = asked(&head, body);
        *self.counts.lock().unwrap().entry(asked.operation.clone()).or_default() += 1;
        match (self.decide)(&asked) {
            Some(Fault::Cut) => client.shutdown(Shutdown::Both),
            Some(Fault::LoseAnswer) => {
                self.ask(&head, &asked.body)?;
                client.shutdown(Shutdown::Both)
            }
            Some(Fault::Hang) => std::io::copy(&mut client, &mut std::io::sink()).map(drop),
            Some(Fault::Answer(status, body)) => {
                let kind = if body.starts_with('<') { "application/xml" } else { "application/x-amz-json-1.0" };
                let length = body.len();
                write!(
                    client,
                    "HTTP/1.1 {status} Fault\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\
                     Connection: close\r\n\r\n{body}"
                )
            }
            None => {
                let (head, body) = self.ask(&head, &asked.body)?;
                client.write_all(head.as_bytes())?;
                client.write_all(&body)
            }
        }
    }

    /// The server's answer, whose head says that the connection ends with it.
    fn ask(&self, head: &str, body: &[u8]) -> std::io::Result<(String, Vec<u8>)> {
        let mut server = TcpStream::connect(&self.server)?;
        server.write_all(closing(head).as_bytes())?;
        server.write_all(body)?;
        let mut answer = Vec::new();
        server.read_to_end(&mut answer)?;
        let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").map_or(answer.len(), |at| at + 4);
        let body = answer.split_off(end);
        Ok((closing(&String::from_utf8_lossy(&answer)), body))
    }
}

/// A head without its own word on the connection, and with `Connection: close`.
fn closing(head: &str) -> String {
    let keep = |line: &&str| !line.to_ascii_lowercase().starts_with("connection:") && !line.is_empty();
    let lines: Vec<&str> = head.split("\r\n").filter(keep).collect();
    lines.join("\r\n") + "\r\nConnection: close\r\n\r\n"
}

/// The head of a request, and its body, of which the head says the length.
fn read_message(client: &mut TcpStream) -> std::io::Result<(String, Vec<u8>)> {
    let mut reader = BufReader::new(client.try_clone()?);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().unwrap())
    });
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body)?;
    Ok((head, body))
}

fn asked(head: &str, body: Vec<u8>) -> Asked {
    let mut lines = head.lines();
    let line = lines.next().unwrap_or_default().trim_end_matches(" HTTP/1.1").to_owned();
    let header = |line: &str| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_ascii_lowercase(), value.trim().to_owned()))
    };
    let headers: BTreeMap<String, String> = lines.filter_map(header).collect();
    let operation = match headers.get("x-amz-target") {
        Some(target) => target.rsplit('.').next().unwrap_or_default().to_owned(),
        None => {
            let (method, url) = line.split_once(' ').unwrap_or((&line, ""));
            let query = url.split_once('?').map_or("", |(_, query)| query);
            let names = query.split('&').map(|pair| pair.split('=').next().unwrap_or_default());
            std::iter::once(method).chain(names.filter(|name| !name.is_empty())).collect::<Vec<_>>().join(" ")
        }
    };
    Asked { operation, line, headers, body }
}
