//! HTTP, as far as the played engine speaks it.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use jiff::Timestamp;
use serde_json::json;

use super::Stage;

/// What the played engine is called.
const ENGINE_ID: &str = "PLAY:ED00:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000";

/// Answers call after call until either side ends.
pub(super) fn serve(mut connection: UnixStream, stage: &Stage) {
    let reader = connection.try_clone().expect("a second handle of a connection");
    let mut reader = BufReader::new(reader);
    // The other side goes whenever it likes.
    while let Ok(Some(target)) = read_call(&mut reader) {
        if answer(&mut connection, stage, &target).is_err() {
            return;
        }
    }
}

/// The target of the next call; `None` at the end of the connection. The calls that are known have no body.
fn read_call(reader: &mut BufReader<UnixStream>) -> io::Result<Option<String>> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let target = line.split(' ').nth(1).map(str::to_owned);
    while !line.trim_end().is_empty() {
        line.clear();
        reader.read_line(&mut line)?;
    }
    Ok(target)
}

fn answer(connection: &mut UnixStream, stage: &Stage, target: &str) -> io::Result<()> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let path = path.strip_prefix("/v").and_then(|it| it.find('/').map(|at| &it[at..])).unwrap_or(path);
    match path {
        "/info" => reply(connection, "200 OK", &info()),
        // What is over need not be told: whoever listens from the same instant on is told it as well.
        "/events" if query.contains("until=") => reply(connection, "200 OK", ""),
        "/events" => tell(connection, stage, since(query)),
        "/containers/json" => {
            let list = stage.list.lock().unwrap_or_else(PoisonError::into_inner).clone();
            reply(connection, "200 OK", &list)
        }
        _ => {
            let id = path.strip_prefix("/containers/").and_then(|it| it.strip_suffix("/json"));
            let found = id.and_then(|id| (stage.inspect)(id));
            stage.inspected.fetch_add(1, Ordering::Relaxed);
            match found {
                Some(inspect) => reply(connection, "200 OK", &inspect),
                None => reply(connection, "404 Not Found", r#"{"message":"No such container"}"#),
            }
        }
    }
}

fn info() -> String {
    json!({"ID": ENGINE_ID, "SystemTime": Timestamp::now().to_string(), "ServerVersion": "20.10.24"})
        .to_string()
}

fn reply(connection: &mut UnixStream, status: &str, body: &str) -> io::Result<()> {
    let head = format!(
        "HTTP/1.1 {status}\r\nApi-Version: 1.41\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    connection.write_all(&[head.as_bytes(), body.as_bytes()].concat())
}

/// Tells events until the play is over or nobody listens any more.
fn tell(connection: &mut UnixStream, stage: &Stage, since: Option<i64>) -> io::Result<()> {
    // The head goes out before there is anything to tell: that is how a follower knows that it follows.
    connection.write_all(
        b"HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n",
    )?;
    let mut place = stage.log.listen(since);
    loop {
        let piece = stage.log.piece_at(place);
        if piece.is_empty() {
            return connection.write_all(b"0\r\n\r\n");
        }
        connection.write_all(&piece)?;
        place += piece.len();
    }
}

/// The value of `since`, in nanoseconds: `1700000000.123456789`.
fn since(query: &str) -> Option<i64> {
    let value = query.split('&').find_map(|it| it.strip_prefix("since="))?;
    let (seconds, nanoseconds) = value.split_once('.').unwrap_or((value, "0"));
    let nanoseconds = format!("{nanoseconds:0<9}");
    Some(seconds.parse::<i64>().ok()? * 1_000_000_000 + nanoseconds.parse::<i64>().ok()?)
}
