//! What a played engine speaks: as much of HTTP as a client of it hears.

use std::io::{self, BufRead, Write as _};
use std::os::unix::net::UnixStream;

/// Of a `GET`: what is asked for, without the version of the API.
pub(crate) struct Asked {
    pub(crate) path: String,
    pub(crate) query: String,
}

impl Asked {
    /// Reads the next request. `None`: there is none any more.
    pub(crate) fn read(reader: &mut impl BufRead) -> io::Result<Option<Asked>> {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some(target) = line.split(' ').nth(1).map(str::to_owned) else { return Ok(None) };
        while !line.trim_end().is_empty() {
            line.clear();
            reader.read_line(&mut line)?;
        }
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let path = path.strip_prefix("/v").and_then(|it| it.find('/').map(|at| &it[at..])).unwrap_or(path);
        Ok(Some(Asked { path: path.to_owned(), query: query.to_owned() }))
    }
}

/// Answers with a body of JSON.
pub(crate) fn reply(connection: &mut UnixStream, status: &str, body: &str) -> io::Result<()> {
    let head = format!(
        "HTTP/1.1 {status}\r\nApi-Version: 1.41\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    connection.write_all(&[head.as_bytes(), body.as_bytes()].concat())
}

/// Begins an answer whose pieces follow, each a [`chunk`].
pub(crate) fn begin_stream(connection: &mut UnixStream) -> io::Result<()> {
    connection.write_all(
        b"HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n",
    )
}

/// A piece of a stream.
pub(crate) fn chunk(text: &str) -> Vec<u8> {
    format!("{:x}\r\n{text}\r\n", text.len()).into_bytes()
}

/// Ends a stream.
pub(crate) fn end_stream(connection: &mut UnixStream) -> io::Result<()> {
    connection.write_all(b"0\r\n\r\n")
}
