//! An HTTP server in a sandbox, for hooks to ask.

use std::collections::HashMap;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::Value;

use crate::engine::Sandbox;

/// How often it is looked whether anybody asks, or the test is over.
const POLL: Duration = Duration::from_millis(5);

/// A server that gives its answers one after the other, the last one for good.
pub(super) struct Server {
    url: String,
    state: Arc<State>,
    thread: Option<JoinHandle<()>>,
}

/// What it says to a request.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    /// A status and a body.
    Say(u16, String),
    /// To another address.
    Redirect(String),
    /// The first bytes of an answer that is to be longer, and then nothing more.
    Hang(&'static str),
}

/// A request that came in.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// Method and target.
    pub(super) line: String,
    /// By name in lower case.
    pub(super) headers: HashMap<String, String>,
    pub(super) document: Value,
}

struct State {
    answers: Vec<Answer>,
    asked: Mutex<Vec<Asked>>,
    over: AtomicBool,
}

impl Server {
    pub(super) fn start(sandbox: &Sandbox, answers: &[Answer]) -> Server {
        let listener = sandbox.listen();
        let address = listener.local_addr().expect("a bound socket has an address");
        listener.set_nonblocking(true).expect("a socket");
        let state =
            State { answers: answers.to_vec(), asked: Mutex::default(), over: AtomicBool::new(false) };
        let state = Arc::new(state);
        let thread = thread::spawn({
            let state = Arc::clone(&state);
            move || state.serve(&listener)
        });
        Server { url: format!("http://{address}"), state, thread: Some(thread) }
    }

    /// Its address, without a path.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// What it has been asked until now.
    pub(super) fn asked(&self) -> Vec<Asked> {
        self.state.asked().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.state.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // Its panic is the test's, which has failed by now.
            let _ = thread.join();
        }
    }
}

impl State {
    fn asked(&self) -> MutexGuard<'_, Vec<Asked>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, listener: &TcpListener) {
        let mut hanging = Vec::new();
        while !self.over.load(Ordering::Relaxed) {
            match listener.accept() {
                Ok((stream, _)) => hanging.extend(self.answer(stream).expect("a client that stays")),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(POLL),
                Err(error) => panic!("accept: {error}"),
            }
        }
    }

    /// Reads a request and answers it; gives back a connection on which more is to come.
    fn answer(&self, mut stream: TcpStream) -> io::Result<Option<TcpStream>> {
        stream.set_nonblocking(false)?;
        let asked = Asked::read(&stream)?;
        let nth = {
            let mut all = self.asked();
            all.push(asked);
            all.len() - 1
        };
        match &self.answers[nth.min(self.answers.len() - 1)] {
            Answer::Say(status, body) => {
                let length = body.len();
                write!(stream, "HTTP/1.1 {status} Said\r\ncontent-length: {length}\r\n\r\n{body}")?;
                Ok(None)
            }
            Answer::Redirect(to) => {
                write!(stream, "HTTP/1.1 307 There\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n")?;
                Ok(None)
            }
            Answer::Hang(begun) => {
                write!(stream, "HTTP/1.1 200 Well\r\ncontent-length: 1000\r\n\r\n{begun}")?;
                Ok(Some(stream))
            }
        }
    }
}

impl Asked {
    fn read(stream: &TcpStream) -> io::Result<Asked> {
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let mut headers = HashMap::new();
        loop {
            let mut header = String::new();
            reader.read_line(&mut header)?;
            let Some((name, value)) = header.trim_end().split_once(": ") else { break };
            headers.insert(name.to_lowercase(), value.to_owned());
        }
        let length = headers.get("content-length").and_then(|it| it.parse().ok()).expect("a length");
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let document = serde_json::from_slice(&body).expect("a body is JSON");
        Ok(Asked { line: line.trim_end().to_owned(), headers, document })
    }
}
