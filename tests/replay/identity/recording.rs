//! The calls and events of one scenario, and the truth about them.

use std::fs;
use std::path::Path;

use base64_simd::STANDARD;
use serde_json::Value;

/// The container that joins where no API call brings it about: the engine starts, and it with the engine.
const BY_POLICY: &str = "d2";

/// One scenario of one engine.
pub(super) struct Recording {
    pub(super) scenario: String,
    pub(super) calls: Vec<Call>,
    /// With the seconds at which they were told.
    pub(super) events: Vec<(f64, Value)>,
}

/// A call of authorization, of the network driver, or of the handshake.
pub(super) struct Call {
    pub(super) at: f64,
    /// `NetworkDriver.Join`.
    pub(super) method: String,
    pub(super) body: Value,
}

impl Call {
    /// The endpoint that a driver is told of.
    pub(super) fn endpoint(&self) -> Option<&str> {
        self.body["EndpointID"].as_str()
    }

    /// What an API client asks for: method, and path without the version and the query.
    pub(super) fn api(&self) -> Option<(&str, Vec<&str>)> {
        let uri = self.body["RequestUri"].as_str()?.split('?').next()?;
        let parts = uri.split('/').filter(|it| !it.is_empty() && !it.starts_with("v1.")).collect();
        Some((self.body["RequestMethod"].as_str()?, parts))
    }

    /// A body of an API call.
    pub(super) fn shown(&self, key: &str) -> Value {
        let text = self.body[key].as_str().unwrap_or_default();
        let bytes = STANDARD.decode_to_vec(text).expect("it is base64");
        serde_json::from_slice(&bytes).unwrap_or_default()
    }

    fn is_asked(&self) -> bool {
        self.method == "AuthZPlugin.AuthZReq"
    }
}

impl Recording {
    /// `None`: it was not recorded of this engine.
    pub(super) fn of(version: &str, scenario: &str) -> Option<Recording> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts").join(version);
        let calls = fs::read_to_string(folder.join(format!("{scenario}.jsonl"))).ok()?;
        let calls: Vec<_> = calls.lines().filter_map(call).collect();
        let events = fs::read_to_string(folder.join(format!("{scenario}.events.jsonl"))).expect("events");
        let events: Vec<Value> = events
            .lines()
            .map(|it| serde_json::from_str(it).expect("a line is JSON"))
            .filter(|it: &Value| it.get("_recorder").is_none())
            .collect();
        // The answer to a creation follows its event at once.
        let created = events.iter().find(|it| it["Type"] == "container" && it["Action"] == "create");
        let answered = calls.iter().find(|it| it.created().is_some()).expect("a container is created").at;
        let begun = seconds(created.expect("a creation is told")) - answered;
        let events = events.into_iter().map(|it| (seconds(&it) - begun, it)).collect();
        Some(Recording { scenario: scenario.into(), calls, events })
    }

    /// The id of the container that joins by the call number `at`.
    pub(super) fn owner(&self, at: usize) -> &str {
        let target = self.open(at).map(|it| self.target(it));
        self.id_of(target.unwrap_or(BY_POLICY.into()).as_str())
    }

    /// The id of the container of an endpoint that joins at some time.
    pub(super) fn owner_of(&self, endpoint: &str) -> Option<&str> {
        let joins = |it: &Call| it.method == "NetworkDriver.Join" && it.endpoint() == Some(endpoint);
        Some(self.owner(self.calls.iter().position(joins)?))
    }

    /// What the creation of a container asked for.
    pub(super) fn creation(&self, id: &str) -> Value {
        let answer = self.calls.iter().find(|it| it.created().as_deref() == Some(id));
        answer.map(|it| it.shown("RequestBody")).unwrap_or_default()
    }

    /// Whether the container runs that joins by the call number `at`.
    pub(super) fn is_connected(&self, at: usize) -> bool {
        self.open(at)
            .is_some_and(|it| it.body["RequestUri"].as_str().is_some_and(|it| it.ends_with("/connect")))
    }

    /// The API call by which a container joins: asked, and not answered yet.
    fn open(&self, at: usize) -> Option<&Call> {
        let before = self.calls[..at].iter().enumerate().rev();
        let leads_to_it = |it: &Call| {
            let last = it.api().filter(|it| it.0 == "POST").and_then(|(_, path)| path.last().copied());
            it.is_asked() && matches!(last, Some("start" | "restart" | "connect"))
        };
        let (asked, call) = before.into_iter().find(|(_, it)| leads_to_it(it))?;
        let is_answer = |it: &Call| !it.is_asked() && it.body["RequestUri"] == call.body["RequestUri"];
        (!self.calls[asked..at].iter().any(is_answer)).then_some(call)
    }

    /// The container that an API call names.
    fn target(&self, call: &Call) -> String {
        match call.api().expect("an API call").1[..] {
            ["networks", ..] => call.shown("RequestBody")["Container"].as_str().expect("a container").into(),
            [_, target, ..] => target.into(),
            _ => panic!("{}: not about a container", call.body["RequestUri"]),
        }
    }

    /// The id of a container by id, prefix or name.
    pub(super) fn id_of(&self, target: &str) -> &str {
        let created = self.events.iter().map(|it| &it.1).filter(|it| it["Type"] == "container");
        let mut created = created.filter(|it| it["Action"] == "create").map(|it| &it["Actor"]);
        let is_it = |it: &&Value| {
            it["Attributes"]["name"] == target || it["ID"].as_str().is_some_and(|it| it.starts_with(target))
        };
        created.find(is_it).and_then(|it| it["ID"].as_str()).unwrap_or_else(|| panic!("there is no {target}"))
    }
}

impl Call {
    /// The container that this is the answer to the creation of.
    pub(super) fn created(&self) -> Option<String> {
        let is_answer = self.method == "AuthZPlugin.AuthZRes" && self.api()?.1 == ["containers", "create"];
        self.shown("ResponseBody")["Id"].as_str().filter(|_| is_answer).map(str::to_owned)
    }
}

fn call(line: &str) -> Option<Call> {
    let mut line: Value = serde_json::from_str(line).expect("a line is JSON");
    let wanted = ["authz", "network", "activate"].iter().any(|it| line["plugin"] == *it);
    let method = line["path"].as_str()?.trim_start_matches('/').to_owned();
    wanted.then(|| Call { at: line["t"].as_f64().expect("a time"), method, body: line["body"].take() })
}

fn seconds(event: &Value) -> f64 {
    let nanoseconds = event["timeNano"].as_i64().expect("a time");
    // A recording takes minutes: what matters of the time are its last digits.
    (nanoseconds % 100_000_000_000_000) as f64 / 1e9
}
