//! A health endpoint for whoever keeps the process running: `GET /` (or `/healthz`) says whether its passes succeed.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::failure::Failure;

/// Longest that a caller may take for its request.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the passes came to. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Health {
    state: Arc<Mutex<State>>,
    /// How long it may be without a pass that succeeded.
    longest: Duration,
}

#[derive(Debug)]
struct State {
    succeeded: Instant,
    passes: u64,
    lag: u64,
    failure: Option<String>,
}

impl Health {
    /// Healthy for `longest` from now without a pass.
    pub(crate) fn new(longest: Duration) -> Self {
        let state = State { succeeded: Instant::now(), passes: 0, lag: 0, failure: None };
        Self { state: Arc::new(Mutex::new(state)), longest }
    }

    /// A pass succeeded, and left this many events unread.
    pub(crate) fn passed(&self, lag: u64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        *state = State { succeeded: Instant::now(), passes: state.passes + 1, lag, failure: None };
    }

    /// A pass failed.
    pub(crate) fn failed(&self, why: &str) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).failure = Some(why.to_owned());
    }

    fn answer(&self) -> (StatusCode, Value) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let silent = state.succeeded.elapsed();
        let healthy = silent <= self.longest;
        let body = json!({"status": if healthy { "ok" } else { "failing" }, "passes": state.passes, "lag": state.lag,
            "secondsSinceSuccess": silent.as_secs(), "failure": state.failure});
        (if healthy { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, body)
    }

    /// Answers at `address` until the process ends. Returns where it listens.
    ///
    /// # Errors
    /// When the address is taken or not this machine's.
    pub(crate) async fn serve(&self, address: SocketAddr) -> Result<SocketAddr, Failure> {
        let fail = |error: std::io::Error| Failure::Usage(format!("cannot answer health checks at {address}: {error}"));
        let listener = TcpListener::bind(address).await.map_err(fail)?;
        let local = listener.local_addr().map_err(fail)?;
        let health = self.clone();
        tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                };
                let health = health.clone();
                let service = service_fn(move |request| {
                    let response = respond(&health, &request);
                    async move { Ok::<_, Infallible>(response) }
                });
                let mut server = http1::Builder::new();
                server.timer(TokioTimer::new()).header_read_timeout(PATIENCE).keep_alive(false);
                tokio::spawn(server.serve_connection(TokioIo::new(stream), service));
            }
        });
        Ok(local)
    }
}

fn respond(health: &Health, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let (status, body) = match (request.method(), request.uri().path()) {
        (&Method::GET | &Method::HEAD, "/" | "/healthz") => health.answer(),
        _ => (StatusCode::NOT_FOUND, json!({"error": "ask for GET /healthz"})),
    };
    let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    async fn ask(address: SocketAddr, path: &str) -> String {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        text
    }

    #[tokio::test]
    async fn passes_that_succeed_are_healthy_and_their_absence_is_not() {
        let health = Health::new(Duration::from_secs(60));
        let address = health.serve("127.0.0.1:0".parse().unwrap()).await.unwrap();
        health.failed("hub x: no route");
        health.passed(7);
        let text = ask(address, "/healthz").await;
        assert!(
            text.starts_with("HTTP/1.1 200") && text.contains("\"lag\":7") && text.contains("\"failure\":null"),
            "{text}"
        );
        assert!(ask(address, "/metrics").await.starts_with("HTTP/1.1 404"));

        let never = Health::new(Duration::ZERO);
        let address = never.serve("127.0.0.1:0".parse().unwrap()).await.unwrap();
        never.failed("hub x: no route");
        let text = ask(address, "/").await;
        assert!(text.starts_with("HTTP/1.1 503") && text.contains("no route"), "{text}");
    }
}
