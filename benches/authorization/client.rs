//! A client that costs next to nothing: blocking, without a library, every byte made ready beforehand.

use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::net::UnixStream;

use serde_json::Value;

/// A call that is ready to be sent.
pub struct Call {
    bytes: Vec<u8>,
}

impl Call {
    /// The call of a plugin's method with this body, as the engine's own client writes it.
    pub fn new(method: &str, body: &Value) -> Call {
        let body = body.to_string();
        let head = format!(
            "POST /AuthZPlugin.{method} HTTP/1.1\r\nHost: plugin\r\nUser-Agent: Go-http-client/1.1\r\n\
             Content-Length: {}\r\nAccept: application/vnd.docker.plugins.v1.2+json\r\n\r\n",
            body.len()
        );
        Call { bytes: [head.into_bytes(), body.into_bytes()].concat() }
    }
}

/// A connection over which calls are made, one after the other.
pub struct Client {
    stream: UnixStream,
    reply: Vec<u8>,
}

impl Client {
    /// A client on this connection.
    pub fn new(stream: UnixStream) -> Client {
        Client { stream, reply: vec![0; 16 * 1024] }
    }

    /// A client that never sleeps, and so need not be woken: a server that answers one who sleeps on another core
    /// pays for the waking, the more often the slower it is. For calls that fit into the socket's buffer.
    ///
    /// # Panics
    ///
    /// When the connection is none.
    pub fn sleepless(stream: UnixStream) -> Client {
        stream.set_nonblocking(true).expect("a connection of our own");
        Client::new(stream)
    }

    /// Makes a call and waits for its answer.
    pub fn call(&mut self, call: &Call) {
        self.send(call);
        self.receive();
    }

    /// Sends a call without waiting for anything but room.
    ///
    /// # Panics
    ///
    /// When the other side is gone.
    pub fn send(&mut self, call: &Call) {
        self.stream.write_all(&call.bytes).expect("write to a server that lives");
    }

    /// Waits for an answer.
    ///
    /// # Panics
    ///
    /// When it does not allow the call, or the other side is gone.
    pub fn receive(&mut self) {
        let mut read = 0;
        let reply = loop {
            let more = match self.stream.read(&mut self.reply[read..]) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
                more => more.expect("read from a server that lives"),
            };
            assert!(more > 0, "the server has closed the connection");
            read += more;
            let reply = &self.reply[..read];
            if is_whole(reply) {
                break reply;
            }
        };
        let allows = reply.starts_with(b"HTTP/1.1 200 ") && reply.ends_with(br#"{"Allow":true}"#);
        assert!(allows, "not allowed: {}", String::from_utf8_lossy(reply));
    }
}

/// Whether this is all of a reply: all that are waited for end alike, and others have an end of their own.
fn is_whole(reply: &[u8]) -> bool {
    reply.ends_with(b"}")
}
