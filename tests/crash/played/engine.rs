//! A Docker engine that is only played: containers that come and go as they are told to.
//!
//! It knows the calls of somebody who follows containers: `GET /info`, `/events`, `/containers/json`,
//! `/containers/ID/json`. As a real one it remembers its last 256 events, and of a container that is gone
//! nothing else.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, BufReader, Write as _};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::spoken::{Asked, begin_stream, chunk, end_stream, reply};

/// How many events an engine remembers (`eventsLimit` in moby, `daemon/events/events.go`).
const EVENTS_MAX: usize = 256;

/// What happens to a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Create,
    Start,
    Die,
    Destroy,
}

/// A played engine. It is gone, with all its connections, when this is dropped.
pub(super) struct Engine {
    socket: PathBuf,
    stage: Arc<Stage>,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Stage {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    containers: BTreeMap<String, Container>,
    events: VecDeque<Event>,
    /// How many events there have been.
    told: usize,
    last: Timestamp,
    closed: bool,
    connections: Vec<UnixStream>,
}

#[derive(Clone, Debug, Default)]
struct Container {
    name: String,
    created_at: Timestamp,
    started_at: Option<Timestamp>,
    finished_at: Option<Timestamp>,
}

#[derive(Clone, Debug)]
struct Event {
    at: Timestamp,
    line: String,
}

impl Engine {
    /// Begins to play at `socket`.
    pub(super) fn open(socket: &Path) -> Engine {
        let listener = UnixListener::bind(socket).expect("bind a new socket");
        let stage = Arc::new(Stage::default());
        let accepting = thread::spawn({
            let stage = Arc::clone(&stage);
            move || accept(&listener, &stage)
        });
        Engine { socket: socket.to_owned(), stage, accepting: Some(accepting) }
    }

    /// The id of the container of that number.
    pub(super) fn id(number: usize) -> String {
        format!("{:016x}{number:048x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// Has something happen to the container of that number.
    pub(super) fn play(&self, number: usize, step: Step) {
        let mut state = self.stage.state();
        // No two events have the same time.
        let at = Timestamp::now().max(state.last + SignedDuration::from_nanos(1));
        state.last = at;
        let id = Engine::id(number);
        let container = state.containers.entry(id.clone()).or_insert_with(|| Container {
            name: format!("web-{number}"),
            created_at: at,
            ..Container::default()
        });
        match step {
            Step::Create => {}
            Step::Start => container.started_at = Some(at),
            Step::Die => container.finished_at = Some(at),
            Step::Destroy => {}
        }
        let name = container.name.clone();
        if step == Step::Destroy {
            state.containers.remove(&id);
        }
        let line = event(&id, &name, step, at);
        state.events.push_back(Event { at, line });
        state.told += 1;
        if state.events.len() > EVENTS_MAX {
            state.events.pop_front();
        }
        self.stage.changed.notify_all();
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let connections = {
            let mut state = self.stage.state();
            state.closed = true;
            std::mem::take(&mut state.connections)
        };
        self.stage.changed.notify_all();
        // Wakes the one who accepts.
        drop(UnixStream::connect(&self.socket));
        if let Some(accepting) = self.accepting.take() {
            accepting.join().expect("accepting does not panic");
        }
        // The other side may have closed them.
        connections.iter().for_each(|it| drop(it.shutdown(Shutdown::Both)));
    }
}

impl Stage {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn event(id: &str, name: &str, step: Step, at: Timestamp) -> String {
    let action = match step {
        Step::Create => "create",
        Step::Start => "start",
        Step::Die => "die",
        Step::Destroy => "destroy",
    };
    let mut attributes = json!({"image": "busybox:test", "name": name});
    if step == Step::Die {
        attributes["exitCode"] = json!("0");
    }
    let nanoseconds = i64::try_from(at.as_nanosecond()).expect("a clock before 2262");
    let event = json!({
        "status": action, "id": id, "from": "busybox:test", "Type": "container", "Action": action,
        "Actor": {"ID": id, "Attributes": attributes},
        "scope": "local", "time": nanoseconds / 1_000_000_000, "timeNano": nanoseconds,
    });
    format!("{event}\n")
}

fn accept(listener: &UnixListener, stage: &Arc<Stage>) {
    for connection in listener.incoming().map_while(Result::ok) {
        let handle = connection.try_clone().expect("a second handle of a connection");
        {
            let mut state = stage.state();
            if state.closed {
                return;
            }
            state.connections.push(handle);
        }
        let stage = Arc::clone(stage);
        // Ends with its connection, which ends with the play. The other side goes whenever it likes.
        thread::spawn(move || serve(connection, &stage).unwrap_or_default());
    }
}

fn serve(mut connection: UnixStream, stage: &Stage) -> io::Result<()> {
    let mut reader = BufReader::new(connection.try_clone()?);
    while let Some(asked) = Asked::read(&mut reader)? {
        answer(&mut connection, stage, &asked)?;
    }
    Ok(())
}

fn answer(connection: &mut UnixStream, stage: &Stage, asked: &Asked) -> io::Result<()> {
    let Asked { path, query } = asked;
    match path.as_str() {
        "/info" => {
            let now = Timestamp::now().to_string();
            reply(connection, "200 OK", &json!({"ID": "PLAY:ED00", "SystemTime": now}).to_string())
        }
        "/events" => tell(connection, stage, instant(query, "since"), instant(query, "until")),
        "/containers/json" => {
            let listed: Vec<Value> = stage.state().containers.iter().map(|(id, it)| it.listed(id)).collect();
            reply(connection, "200 OK", &Value::from(listed).to_string())
        }
        _ => {
            let id = path.strip_prefix("/containers/").and_then(|it| it.strip_suffix("/json"));
            let found = id.and_then(|id| Some(stage.state().containers.get(id)?.inspected(id)));
            match found {
                Some(container) => reply(connection, "200 OK", &container.to_string()),
                None => reply(connection, "404 Not Found", r#"{"message":"No such container"}"#),
            }
        }
    }
}

impl Container {
    fn status(&self) -> &'static str {
        match (self.started_at, self.finished_at) {
            (None, _) => "created",
            (Some(_), None) => "running",
            (Some(_), Some(_)) => "exited",
        }
    }

    fn listed(&self, id: &str) -> Value {
        let status = if self.finished_at.is_some() { "Exited (0) Less than a second ago" } else { "" };
        json!({"Id": id, "Names": [format!("/{}", self.name)], "State": self.status(), "Status": status})
    }

    fn inspected(&self, id: &str) -> Value {
        let time = |at: Option<Timestamp>| at.map_or("0001-01-01T00:00:00Z".into(), |it| it.to_string());
        json!({
            "Id": id, "Name": format!("/{}", self.name), "Created": self.created_at.to_string(),
            "Config": {"Image": "busybox:test", "Labels": {}},
            "State": {
                "Status": self.status(), "Running": self.status() == "running", "ExitCode": 0,
                "StartedAt": time(self.started_at), "FinishedAt": time(self.finished_at),
            },
        })
    }
}

/// Tells what is remembered from `since` on, and what happens next, but nothing that happens after `until`.
fn tell(
    connection: &mut UnixStream,
    stage: &Stage,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
) -> io::Result<()> {
    begin_stream(connection)?;
    let mut next = {
        let state = stage.state();
        let known = state.events.iter().rev().take_while(|it| since.is_some_and(|since| it.at >= since));
        state.told - known.count()
    };
    loop {
        let Some(piece) = stage.piece(&mut next, until) else { return end_stream(connection) };
        connection.write_all(&piece)?;
    }
}

impl Stage {
    /// What is told from the event number `next` on, once there is something; `None`: no more will be.
    fn piece(&self, next: &mut usize, until: Option<Timestamp>) -> Option<Vec<u8>> {
        let mut state = self.state();
        while state.told == *next && until.is_none() && !state.closed {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.closed || state.told == *next {
            return None;
        }
        let first = state.told - state.events.len();
        let events = state.events.iter().skip((*next).max(first) - first);
        let told: Vec<u8> = events
            .take_while(|it| until.is_none_or(|until| it.at <= until))
            .flat_map(|it| chunk(&it.line))
            .collect();
        *next = state.told;
        (!told.is_empty()).then_some(told)
    }
}

/// The value of a key in a query, `1700000000.123456789`.
fn instant(query: &str, key: &str) -> Option<Timestamp> {
    let value = query.split('&').find_map(|it| it.strip_prefix(key)?.strip_prefix('='))?;
    let (seconds, nanoseconds) = value.split_once('.').unwrap_or((value, "0"));
    let nanoseconds = format!("{nanoseconds:0<9}");
    Timestamp::new(seconds.parse().ok()?, nanoseconds.parse().ok()?).ok()
}
