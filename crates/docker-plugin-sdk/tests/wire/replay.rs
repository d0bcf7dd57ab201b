//! Every authorization call that three engines made, sent again.

use std::sync::{Arc, Mutex};

use base64_simd::STANDARD;
use docker_plugin_sdk::Plugin;
use docker_plugin_sdk::authorization::{Authorization, Decision, EncodedBody, Headers, Request, Response};
use serde_json::{Map, Value, json};

use crate::client::Client;
use crate::transcripts::{Line, replayed};

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
    let scribe = Arc::new(Scribe::default());
    let plugin = Plugin::builder().authorization(Handle(Arc::clone(&scribe))).build();
    let mut sent = Sent::default();

    replayed(&plugin, &["authz"], async |client: &mut Client, line: &Line<'_>, place: &str| {
        replay(client, &scribe, line, place, &mut sent).await;
    })
    .await;

    assert_eq!(sent, Sent { calls: 3345, empty: 6, uncut: 3283, compared: 3312 });
}

/// The decision that was recorded, if it is one that this crate can make.
fn decision(line: &Line<'_>) -> Option<Decision> {
    let reply = line.reply.as_ref()?;
    match (line.status, reply["Allow"].as_bool()?, reply.get("Msg"), reply.get("Err")) {
        (None, true, None, None) => Some(Decision::Allow),
        (None, false, Some(message), None) => Some(Decision::deny(message.as_str()?)),
        _ => None,
    }
}

async fn replay(client: &mut Client, scribe: &Scribe, line: &Line<'_>, place: &str, sent: &mut Sent) {
    let body = line.body_on_the_wire();
    let decision = decision(line);
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
