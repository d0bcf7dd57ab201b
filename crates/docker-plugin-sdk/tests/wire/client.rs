//! A client that writes bytes, so that tests can write wrong ones.

use std::io;
use std::path::Path;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// A connection to a plugin.
pub(crate) struct Client {
    pub(crate) stream: UnixStream,
    /// What was read and belongs to no reply yet.
    ahead: Vec<u8>,
}

/// A reply as it came.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// Names in lower case.
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Client {
    pub(crate) async fn connect(path: &Path) -> io::Result<Client> {
        Ok(Client { stream: UnixStream::connect(path).await?, ahead: Vec::new() })
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.expect("the plugin reads");
    }

    /// The next reply, or `None` if the connection ends before its first byte.
    pub(crate) async fn reply(&mut self) -> Option<Reply> {
        loop {
            if let Some((reply, size)) = parse(&self.ahead) {
                self.ahead.drain(..size);
                return Some(reply);
            }
            if self.read().await == 0 {
                assert!(
                    self.ahead.is_empty(),
                    "the reply is torn: {:?}",
                    self.ahead.escape_ascii().to_string()
                );
                return None;
            }
        }
    }

    /// Sends and waits for the reply.
    pub(crate) async fn call(&mut self, request: impl AsRef<[u8]>) -> Reply {
        self.send(request).await;
        self.reply().await.expect("the plugin answers")
    }

    /// Whether the connection ends here, without another byte.
    pub(crate) async fn ends(&mut self) -> bool {
        self.ahead.is_empty() && self.read().await == 0
    }

    async fn read(&mut self) -> usize {
        // Closing with unread input resets a Unix socket; for us the end is the end.
        self.stream.read_buf(&mut self.ahead).await.unwrap_or(0)
    }
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| &**value)
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("replies are JSON")
    }

    /// Whether the server says that this is its last reply here.
    pub(crate) fn is_last(&self) -> bool {
        self.header("connection") == Some("close")
    }
}

/// The first reply in `bytes` and its size, once it is complete.
fn parse(bytes: &[u8]) -> Option<(Reply, usize)> {
    let head_size = bytes.windows(4).position(|it| it == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&bytes[..head_size]).expect("heads are text");
    let mut lines = head.lines();
    let status = lines.next()?.split(' ').nth(1)?.parse().expect("a status is a number");
    let headers = lines.filter_map(|it| it.split_once(": "));
    let headers: Vec<_> =
        headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length: usize = length.map_or(0, |(_, value)| value.parse().expect("a length is a number"));
    let body = bytes.get(head_size..head_size + length)?.to_vec();
    Some((Reply { status, headers, body }, head_size + length))
}

/// A call as the engine writes it.
pub(crate) fn post(path: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let mut request = head(path, &format!("Content-Length: {}", body.len())).into_bytes();
    request.extend_from_slice(body);
    request
}

/// The head of a call, with a header that says how its body ends.
pub(crate) fn head(path: &str, framing: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: \r\nUser-Agent: Go-http-client/1.1\r\n{framing}\r\n\
        Accept: application/vnd.docker.plugins.v1.2+json\r\n\r\n"
    )
}

/// The body of an authorization call about `GET` on this target.
pub(crate) fn envelope(uri: &str) -> String {
    format!(r#"{{"RequestMethod":"GET","RequestUri":"{uri}"}}"#)
}

/// An authorization call about `GET` on this target.
pub(crate) fn ask(uri: &str) -> Vec<u8> {
    post("/AuthZPlugin.AuthZReq", envelope(uri))
}

/// The same with a body whose size is `size` in all.
pub(crate) fn ask_with_size(uri: &str, size: usize) -> Vec<u8> {
    let mut body = envelope(uri);
    body.truncate(body.len() - 1);
    body += r#","RequestBody":""#;
    let padding = size - body.len() - 2;
    body.extend(std::iter::repeat_n('A', padding));
    body += "\"}";
    post("/AuthZPlugin.AuthZReq", body)
}
