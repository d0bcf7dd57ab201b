//! The recorded streams.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::Path;

use bollard::models::{EventMessage, EventMessageTypeEnum};
use jiff::Timestamp;
use serde_json::Value;

/// What one engine told during one scenario.
pub(super) struct Stream {
    pub(super) engine: String,
    scenario: String,
    pub(super) events: Vec<EventMessage>,
}

/// Every stream that was recorded.
pub(super) fn streams() -> Vec<Stream> {
    let engines = entries(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts"));
    let engines = engines.into_iter().filter(|it| it.is_dir());
    let files = engines.flat_map(|engine| entries(&engine));
    let is_stream = |path: &Path| path.to_string_lossy().ends_with(".events.jsonl");
    files.filter(|it| is_stream(it)).map(|it| Stream::read(&it)).collect()
}

impl Stream {
    fn read(path: &Path) -> Stream {
        let name = |path: &Path| path.file_name().expect("a name").to_string_lossy().into_owned();
        let text = fs::read_to_string(path).expect("a recording can be read");
        let lines = text.lines().map(|it| serde_json::from_str::<Value>(it).expect("a line is JSON"));
        // The recorder marks where it was connected.
        let events = lines.filter(|it| it.get("_recorder").is_none());
        Stream {
            engine: name(path.parent().expect("a folder for each engine")),
            scenario: name(path).replace(".events.jsonl", ""),
            events: events.map(|it| serde_json::from_value(it).expect("an event")).collect(),
        }
    }

    /// The containers that the engine has told of.
    pub(super) fn containers(&self) -> BTreeSet<&str> {
        self.events.iter().filter_map(container).collect()
    }

    /// How often the engine has told `action` of a container.
    pub(super) fn count(&self, of: &str, action: &str) -> usize {
        let of_it = self.events.iter().filter(|it| container(it) == Some(of));
        of_it.filter_map(|it| it.action.as_deref()?.split(':').next()).filter(|it| *it == action).count()
    }

    /// Where the engine begins when it is asked for what it has told since `since`: the scan of its ring
    /// goes from the newest to the first older one (`loadBufferedEvents` in moby, `daemon/events/events.go`).
    pub(super) fn position_since(&self, since: Timestamp) -> usize {
        let is_older = |it: &EventMessage| i128::from(it.time_nano.expect("a time")) < since.as_nanosecond();
        self.events.iter().rposition(is_older).map_or(0, |it| it + 1)
    }
}

impl fmt::Display for Stream {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}", self.engine, self.scenario)
    }
}

/// The container that an event is of. A prune is of none.
fn container(event: &EventMessage) -> Option<&str> {
    let id = event.actor.as_ref()?.id.as_deref()?;
    (event.typ == Some(EventMessageTypeEnum::CONTAINER) && !id.is_empty()).then_some(id)
}

fn entries(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder can be read");
    let mut paths: Vec<_> = entries.map(|it| it.expect("an entry").path()).collect();
    paths.sort();
    paths
}
