//! The floor's way from an event to a process: a line is parsed, a program is spawned.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Child;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use serde::Deserialize;

use crate::stamp::Stamp;

/// One event of a container, as far as a floor looks at it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Event {
    /// `start`, `destroy` and so on.
    pub action: String,
    /// Who.
    pub actor: Actor,
    /// When.
    #[serde(rename = "timeNano")]
    pub time_nano: i64,
}

/// Whom an event is about.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Actor {
    /// The container's full id.
    #[serde(rename = "ID")]
    pub id: String,
    /// Its name among others.
    pub attributes: HashMap<String, String>,
}

impl Event {
    /// The container's name.
    pub fn name(&self) -> &str {
        self.actor.attributes.get("name").map_or("", String::as_str)
    }
}

/// Follows an engine's events until it is dropped.
pub struct Follower {
    connection: UnixStream,
    following: Option<JoinHandle<Vec<Event>>>,
}

impl Follower {
    /// Follows the engine at `socket`, and spawns what `choose` says for each event.
    ///
    /// # Panics
    ///
    /// When nobody listens there, and later when a program cannot be spawned.
    pub fn start<'a>(
        socket: &Path,
        choose: impl Fn(&Event) -> Option<&'a Stamp> + Send + 'static,
    ) -> Follower {
        let mut connection = UnixStream::connect(socket).expect("an engine that listens");
        connection
            .write_all(b"GET /events HTTP/1.1\r\nHost: docker\r\n\r\n")
            .expect("an engine that listens");
        let reader = connection.try_clone().expect("a second handle of a connection");
        let following = thread::spawn(move || follow(reader, choose));
        Follower { connection, following: Some(following) }
    }

    /// Stops following. All events until then.
    pub fn stop(mut self) -> Vec<Event> {
        self.end()
    }

    fn end(&mut self) -> Vec<Event> {
        // The engine may have closed it.
        let _ = self.connection.shutdown(Shutdown::Both);
        let following = self.following.take();
        following.map(|it| it.join().expect("following does not panic")).unwrap_or_default()
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.end();
    }
}

fn follow<'a>(reader: UnixStream, choose: impl Fn(&Event) -> Option<&'a Stamp>) -> Vec<Event> {
    let (spawned, children) = mpsc::channel::<Child>();
    let reaper = thread::spawn(move || {
        for mut child in children {
            child.wait().expect("wait for a child of ours");
        }
    });
    let mut reader = BufReader::with_capacity(64 * 1024, reader);
    let (mut line, mut events) = (Vec::new(), Vec::new());
    while reader.read_until(b'\n', &mut line).is_ok_and(|it| it > 0) {
        // Between the events stand the head and the sizes of chunks.
        if let Ok(event) = serde_json::from_slice::<Event>(&line) {
            if let Some(stamp) = choose(&event) {
                let child = stamp.command(&event.actor.id).spawn().expect("spawn a program");
                spawned.send(child).expect("the reaper outlives us");
            }
            events.push(event);
        }
        line.clear();
    }
    drop(spawned);
    reaper.join().expect("reaping does not panic");
    events
}
