//! Every authorization call that three engines made, sent again.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use base64_simd::STANDARD;
use docker_plugin_sdk::authorization::{Authorization, Decision, EncodedBody, Headers, Request, Response};
use docker_plugin_sdk::{Plugin, Socket};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::client::Client;
use crate::world::{FOR_EVER, serve};

const TRANSCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/transcripts");

/// One line of a transcript.
#[derive(Deserialize)]
pub(crate) struct Line<'a> {
    pub(crate) plugin: &'a str,
    pub(crate) path: &'a str,
    headers: Map<String, Value>,
    /// Kept as text: the order of keys is the engine's.
    #[serde(borrow)]
    pub(crate) body: &'a RawValue,
    pub(crate) reply: Option<Value>,
    status: Option<u16>,
}

impl Line<'_> {
    /// The body as Go writes it, which escapes what HTML would take amiss and ends with a line feed.
    pub(crate) fn body_on_the_wire(&self) -> String {
        match self.body.get() {
            "null" => String::new(),
            body => body.replace('&', r"\u0026").replace('<', r"\u003c").replace('>', r"\u003e") + "\n",
        }
    }

    pub(crate) fn request(&self, body: &str) -> String {
        let mut request = format!("POST {} HTTP/1.1\r\n", self.path);
        for (name, value) in &self.headers {
            // The recordings are cut here and there, so the length is that of what is sent.
            let length = body.len().to_string();
            let value = if name == "Content-Length" { &length } else { value.as_str().expect("a text") };
            request += &format!("{name}: {value}\r\n");
        }
        request + "\r\n" + body
    }

    /// The decision that was recorded, if it is one that this crate can make.
    fn decision(&self) -> Option<Decision> {
        let reply = self.reply.as_ref()?;
        match (self.status, reply["Allow"].as_bool()?, reply.get("Msg"), reply.get("Err")) {
            (None, true, None, None) => Some(Decision::Allow),
            (None, false, Some(message), None) => Some(Decision::deny(message.as_str()?)),
            _ => None,
        }
    }
}

/// Answers as told, and keeps what it was asked, written down in the engine's own words.
#[derive(Default)]
struct Scribe {
    next: Mutex<Option<Decision>>,
    asked: Mutex<Option<Value>>,
}

struct Handle(Arc<Scribe>);

impl Handle {
    fn answer(&self, asked: Map<String, Value>) -> Decision {
        *self.0.asked.lock().expect("no panics") = Some(Value::Object(asked));
        self.0.next.lock().expect("no panics").take().expect("one decision for each call")
    }
}

impl Authorization for Handle {
    async fn request(&self, request: Request<'_>) -> Decision {
        self.answer(written_request(&request))
    }

    async fn response(&self, response: Response<'_>) -> Decision {
        let mut asked = written_request(&response.request);
        if let Some(status) = response.status {
            asked.insert("ResponseStatusCode".into(), json!(status));
        }
        write_body(&mut asked, "ResponseBody", response.body.as_ref());
        write_headers(&mut asked, "ResponseHeaders", &response.headers);
        self.answer(asked)
    }
}

fn written_request(request: &Request<'_>) -> Map<String, Value> {
    let mut written = Map::new();
    for (name, value) in [
        ("RequestMethod", &request.method),
        ("RequestUri", &request.uri),
        ("User", &request.user),
        ("UserAuthNMethod", &request.user_authn_method),
    ] {
        if !value.is_empty() {
            written.insert(name.into(), json!(value));
        }
    }
    write_body(&mut written, "RequestBody", request.body.as_ref());
    write_headers(&mut written, "RequestHeaders", &request.headers);
    let certificates: Vec<_> = request.peer_certificates.iter().map(|it| it.as_base64().to_owned()).collect();
    if !certificates.is_empty() {
        written.insert("RequestPeerCertificates".into(), json!(certificates));
    }
    written
}

/// Decoded and encoded again, so that decoding is tested on every body there is.
fn write_body(written: &mut Map<String, Value>, name: &str, body: Option<&EncodedBody<'_>>) {
    if let Some(body) = body {
        let bytes = body.decode().expect("engines send base64");
        written.insert(name.into(), json!(STANDARD.encode_to_string(bytes)));
    }
}

fn write_headers(written: &mut Map<String, Value>, name: &str, headers: &Headers<'_>) {
    let all: Map<_, _> = headers.iter().map(|(name, value)| (name.to_owned(), json!(value))).collect();
    for (name, value) in &all {
        assert_eq!(headers.get(&name.to_ascii_lowercase()), value.as_str());
    }
    if !all.is_empty() {
        written.insert(name.into(), Value::Object(all));
    }
}

pub(crate) fn transcripts() -> Vec<PathBuf> {
    let mut files = Vec::new();
    for engine in ["20.10.24", "26.1.5", "28.5.2"] {
        let folder = fs::read_dir(Path::new(TRANSCRIPTS).join(engine)).expect("the engine's transcripts");
        files.extend(folder.map(|it| it.expect("a readable folder").path()));
    }
    files.retain(|it| {
        let name = it.to_string_lossy();
        name.ends_with(".jsonl") && !name.ends_with(".events.jsonl")
    });
    files.sort();
    files
}

/// What was sent, to be sure that it was not little.
#[derive(Debug, Default, PartialEq, Eq)]
struct Sent {
    calls: usize,
    /// Without a body: repeated by the engine after a connection that broke.
    empty: usize,
    /// Of the very length that the engine sent. The others are cut in the recordings.
    uncut: usize,
    /// With a recorded reply that was compared.
    compared: usize,
}

#[tokio::test]
async fn every_recorded_call_reads_back_as_it_was_sent() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("it.sock");
    let scribe = Arc::new(Scribe::default());
    let plugin = Plugin::builder().authorization(Handle(Arc::clone(&scribe))).build();
    let listener = Socket::new(&path).bind().expect("the path is free");
    let _served = serve(&plugin, listener, FOR_EVER);
    let mut sent = Sent::default();

    for file in transcripts() {
        let lines = fs::read_to_string(&file).expect("a transcript is text");
        let mut client = Client::connect(&path).await.expect("the plugin listens");
        for (number, line) in lines.lines().enumerate() {
            let place = format!("{}:{}", file.display(), number + 1);
            let line: Line<'_> = serde_json::from_str(line).expect(&place);
            if line.plugin == "authz" {
                replay(&mut client, &scribe, &line, &place, &mut sent).await;
            }
        }
    }

    assert_eq!(sent, Sent { calls: 3345, empty: 6, uncut: 3283, compared: 3312 });
}

async fn replay(client: &mut Client, scribe: &Scribe, line: &Line<'_>, place: &str, sent: &mut Sent) {
    let body = line.body_on_the_wire();
    let decision = line.decision();
    *scribe.next.lock().expect("no panics") = Some(decision.clone().unwrap_or(Decision::Allow));

    let reply = client.call(line.request(&body)).await;

    sent.calls += 1;
    sent.uncut += usize::from(line.headers["Content-Length"] == json!(body.len().to_string()));
    let asked = scribe.asked.lock().expect("no panics").take();
    if body.is_empty() {
        sent.empty += 1;
        assert_eq!((reply.status, &reply.json()["Allow"], asked), (400, &json!(false), None), "{place}");
        return;
    }
    let recorded: Value = serde_json::from_str(line.body.get()).expect(place);
    assert_eq!(asked, Some(recorded), "{place}");
    assert_eq!(reply.status, 200, "{place}");
    if decision.is_some() {
        sent.compared += 1;
        assert_eq!(Some(reply.json()), line.reply, "{place}");
    }
}
