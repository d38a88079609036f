//! Lambda's runtime API, as a function's process sees it.
//!
//! Source: AWS Lambda developer guide, "Using the Lambda runtime API for custom runtimes".

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Longest that a test waits for a function.
const PATIENCE: Duration = Duration::from_secs(120);

/// What a function said of an invocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Its response.
    Response(String),
    /// Its error.
    Error(String),
}

#[derive(Default)]
struct State {
    events: VecDeque<(String, String, Duration)>,
    answers: Vec<(String, Answer)>,
    /// When the function asked for its first event.
    polled: Option<Instant>,
    closed: bool,
}

/// A server for one function's process.
pub struct RuntimeApi {
    address: SocketAddr,
    shared: Arc<(Mutex<State>, Condvar)>,
    count: u32,
}

impl RuntimeApi {
    /// Listens on a free port.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new((Mutex::new(State::default()), Condvar::new()));
        let serving = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let shared = Arc::clone(&serving);
                if shared.0.lock().unwrap().closed {
                    return;
                }
                let Ok(stream) = stream else { continue };
                std::thread::spawn(move || drop(serve(&stream, &shared)));
            }
        });
        Self { address, shared, count: 0 }
    }

    /// What `AWS_LAMBDA_RUNTIME_API` takes.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Hands over an event and waits for what the function says of it.
    ///
    /// # Panics
    /// When the function does not answer.
    pub fn invoke(&mut self, event: &str, timeout: Duration) -> Answer {
        let id = self.send(event, timeout);
        self.answer(&id)
    }

    /// Hands over an event; returns its request id.
    pub fn send(&mut self, event: &str, timeout: Duration) -> String {
        self.count += 1;
        let id = format!("00000000-0000-4000-8000-{:012}", self.count);
        self.shared.0.lock().unwrap().events.push_back((id.clone(), event.to_owned(), timeout));
        self.shared.1.notify_all();
        id
    }

    /// Waits for what the function says of an event.
    ///
    /// # Panics
    /// When it does not answer.
    pub fn answer(&self, id: &str) -> Answer {
        let state = self.shared.0.lock().unwrap();
        let answered = |state: &mut State| !state.answers.iter().any(|(answered, _)| answered == id);
        let (state, waited) = self.shared.1.wait_timeout_while(state, PATIENCE, answered).unwrap();
        assert!(!waited.timed_out(), "the function did not answer");
        state.answers.iter().find(|(answered, _)| answered == id).unwrap().1.clone()
    }

    /// Waits until the function asks for an event; returns when it did.
    ///
    /// # Panics
    /// When it does not.
    pub fn polled(&self) -> Instant {
        let state = self.shared.0.lock().unwrap();
        let (state, waited) =
            self.shared.1.wait_timeout_while(state, PATIENCE, |state| state.polled.is_none()).unwrap();
        assert!(!waited.timed_out(), "the function did not ask for an event");
        state.polled.unwrap()
    }
}

impl Drop for RuntimeApi {
    fn drop(&mut self) {
        // Also when a test has failed with the lock held.
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        self.shared.1.notify_all();
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(stream: &TcpStream, shared: &(Mutex<State>, Condvar)) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let mut parts = line.split_whitespace();
        let (method, path) = (parts.next().unwrap_or_default().to_owned(), parts.next().unwrap_or_default().to_owned());
        let body = body(&mut reader)?;
        if method == "GET" {
            let Some((id, event, timeout)) = next(shared) else { return Ok(()) };
            let deadline = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() + timeout;
            let headers = format!(
                "Lambda-Runtime-Aws-Request-Id: {id}\r\nLambda-Runtime-Deadline-Ms: {}\r\n\
                 Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:us-east-1:111122223333:function:tributary\r\n",
                deadline.as_millis()
            );
            answer(stream, "200 OK", &headers, &event)?;
            continue;
        }
        let (id, kind) = path.rsplit_once('/').unwrap_or_default();
        let id = id.rsplit('/').next().unwrap_or_default().to_owned();
        let said = if kind == "response" { Answer::Response(body) } else { Answer::Error(body) };
        answer(stream, "202 Accepted", "", "{}")?;
        shared.0.lock().unwrap().answers.push((id, said));
        shared.1.notify_all();
    }
}

fn next(shared: &(Mutex<State>, Condvar)) -> Option<(String, String, Duration)> {
    let mut state = shared.0.lock().unwrap();
    state.polled.get_or_insert_with(Instant::now);
    shared.1.notify_all();
    let mut state = shared.1.wait_while(state, |state| state.events.is_empty() && !state.closed).unwrap();
    state.events.pop_front()
}

/// The body of a request, whose length is given or which comes in chunks.
fn body(reader: &mut BufReader<TcpStream>) -> std::io::Result<String> {
    let (mut length, mut chunked) = (0, false);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let line = line.trim().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
        chunked |= line.starts_with("transfer-encoding:") && line.ends_with("chunked");
    }
    let mut body = Vec::new();
    if chunked {
        loop {
            let mut size = String::new();
            reader.read_line(&mut size)?;
            let size = usize::from_str_radix(size.trim(), 16).unwrap_or(0);
            let mut chunk = vec![0; size + 2];
            reader.read_exact(&mut chunk)?;
            body.extend_from_slice(chunk.get(..size).unwrap_or_default());
            if size == 0 {
                break;
            }
        }
    } else {
        body.resize(length, 0);
        reader.read_exact(&mut body)?;
    }
    Ok(String::from_utf8_lossy(&body).into_owned())
}

fn answer(mut stream: &TcpStream, status: &str, headers: &str, body: &str) -> std::io::Result<()> {
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
    )?;
    stream.flush()
}
