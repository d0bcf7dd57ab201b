//! A played engine, as far as somebody asks it who wants to know whose an endpoint is.

use std::collections::BTreeMap;
use std::io::{self, BufReader, Write as _};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::spoken::{Asked, begin_stream, chunk, end_stream, reply};

/// A played engine. It is gone, with all its connections, when this is dropped.
pub(super) struct Engine {
    socket: PathBuf,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

/// What the engine knows.
#[derive(Default)]
pub(super) struct State {
    pub(super) containers: BTreeMap<String, Container>,
    /// By id.
    pub(super) networks: BTreeMap<String, Network>,
    /// What it has told since it was last started.
    pub(super) events: Vec<String>,
    /// Whether it answers: not while it starts.
    pub(super) answers: bool,
    closed: bool,
    connections: Vec<UnixStream>,
}

#[derive(Clone, Default)]
pub(super) struct Container {
    pub(super) name: String,
    pub(super) policy: String,
    pub(super) status: &'static str,
    pub(super) started_at: Option<Timestamp>,
    /// Names of networks, with the endpoint there.
    pub(super) networks: BTreeMap<String, String>,
}

#[derive(Clone, Default)]
pub(super) struct Network {
    pub(super) name: String,
    /// The container that the engine tells, or a placeholder, by endpoint.
    pub(super) endpoints: BTreeMap<String, String>,
}

impl Engine {
    /// Begins to play at `socket`.
    pub(super) fn open(socket: &Path) -> Engine {
        let listener = UnixListener::bind(socket).expect("bind a new socket");
        let shared = Arc::new(Shared::default());
        shared.state().answers = true;
        let accepting = thread::spawn({
            let shared = Arc::clone(&shared);
            move || accept(&listener, &shared)
        });
        Engine { socket: socket.to_owned(), shared, accepting: Some(accepting) }
    }

    /// Changes what it knows.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let changed = change(&mut self.shared.state());
        self.shared.changed.notify_all();
        changed
    }

    /// Ends, and begins to start: it accepts connections, and answers none.
    pub(super) fn end(&self) {
        let connections = self.change(|state| {
            state.answers = false;
            state.events.clear();
            std::mem::take(&mut state.connections)
        });
        connections.iter().for_each(|it| drop(it.shutdown(Shutdown::Both)));
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.change(|state| state.closed = true);
        self.end();
        // Wakes the one who accepts.
        drop(UnixStream::connect(&self.socket));
        if let Some(accepting) = self.accepting.take() {
            accepting.join().expect("accepting does not panic");
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state, once the engine answers.
    fn answering(&self) -> MutexGuard<'_, State> {
        let state = self.state();
        let waits = |it: &mut State| !it.answers && !it.closed;
        self.changed.wait_while(state, waits).unwrap_or_else(PoisonError::into_inner)
    }
}

fn accept(listener: &UnixListener, shared: &Arc<Shared>) {
    for connection in listener.incoming().map_while(Result::ok) {
        let handle = connection.try_clone().expect("a second handle of a connection");
        {
            let mut state = shared.state();
            if state.closed {
                return;
            }
            state.connections.push(handle);
        }
        let shared = Arc::clone(shared);
        thread::spawn(move || serve(connection, &shared).unwrap_or_default());
    }
}

fn serve(mut connection: UnixStream, shared: &Shared) -> io::Result<()> {
    let mut reader = BufReader::new(connection.try_clone()?);
    while let Some(Asked { path, query }) = Asked::read(&mut reader)? {
        if path == "/events" {
            return tell(&mut connection, shared, query.contains("until="));
        }
        let (status, body) = match shared.answering().answer(&path, &query) {
            Some(body) => ("200 OK", body),
            None => ("404 Not Found", json!({"message": "no such thing"})),
        };
        reply(&mut connection, status, &body.to_string())?;
    }
    Ok(())
}

impl State {
    fn answer(&self, path: &str, query: &str) -> Option<Value> {
        match path.split('/').skip(1).collect::<Vec<_>>()[..] {
            ["info"] => Some(json!({"ID": "PLAY:ED00", "SystemTime": Timestamp::now().to_string()})),
            ["containers", "json"] => {
                // The only filter that is asked for is by whole ids.
                let is_wanted = |id: &String| !query.contains("filters=") || query.contains(id);
                let wanted = self.containers.iter().filter(|(id, _)| is_wanted(id));
                Some(wanted.map(|(id, it)| it.listed(id)).collect())
            }
            ["containers", id, "json"] => Some(self.inspected(id, self.containers.get(id)?)),
            ["networks"] => Some(json!([])),
            ["networks", id] => Some(self.networks.get(id)?.inspected(id)),
            _ => None,
        }
    }

    fn inspected(&self, id: &str, container: &Container) -> Value {
        let of_name =
            |name: &str| self.networks.iter().find(|(_, it)| it.name == name).map(|(id, _)| id.as_str());
        let networks: Map<String, Value> = container
            .networks
            .iter()
            .map(|(name, endpoint)| {
                (name.clone(), json!({"NetworkID": of_name(name), "EndpointID": endpoint}))
            })
            .collect();
        let never = || "0001-01-01T00:00:00Z".to_owned();
        let started_at = container.started_at.map_or_else(never, |it| it.to_string());
        json!({
            "Id": id, "Name": format!("/{}", container.name), "Created": "2026-01-01T00:00:00Z",
            "Config": {"Image": "busybox:test", "Labels": {}},
            "HostConfig": {"RestartPolicy": {"Name": container.policy}},
            "NetworkSettings": {"Networks": networks},
            "State": {
                "Status": container.status, "Running": container.status == "running", "ExitCode": 0,
                "StartedAt": started_at, "FinishedAt": never(),
            },
        })
    }
}

impl Container {
    fn listed(&self, id: &str) -> Value {
        json!({"Id": id, "Names": [format!("/{}", self.name)], "State": self.status, "Status": ""})
    }
}

impl Network {
    fn inspected(&self, id: &str) -> Value {
        let on = self.endpoints.iter();
        let on: Map<String, Value> =
            on.map(|(endpoint, key)| (key.clone(), json!({"EndpointID": endpoint}))).collect();
        json!({"Name": self.name, "Id": id, "Containers": on})
    }
}

/// Tells what has happened since the engine was started; what is to come as well, unless it is only the past.
fn tell(connection: &mut UnixStream, shared: &Shared, is_past: bool) -> io::Result<()> {
    drop(shared.answering());
    begin_stream(connection)?;
    let mut told = 0;
    if is_past {
        return end_stream(connection);
    }
    loop {
        let lines: Vec<String> = {
            let state = shared.state();
            let waits = |it: &mut State| it.events.len() <= told && it.answers && !it.closed;
            let state = shared.changed.wait_while(state, waits).unwrap_or_else(PoisonError::into_inner);
            if state.closed || !state.answers {
                return end_stream(connection);
            }
            state.events[told..].to_vec()
        };
        told += lines.len();
        for line in lines {
            connection.write_all(&chunk(&line))?;
        }
    }
}
