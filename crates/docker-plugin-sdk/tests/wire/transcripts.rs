//! What three engines asked, sent again.

use std::fs;
use std::path::{Path, PathBuf};

use docker_plugin_sdk::{Plugin, Socket};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::client::Client;
use crate::world::{FOR_EVER, serve};

const TRANSCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/transcripts");

/// One line of a transcript.
#[derive(Deserialize)]
pub(crate) struct Line<'a> {
    pub(crate) plugin: &'a str,
    pub(crate) path: &'a str,
    pub(crate) headers: Map<String, Value>,
    /// Kept as text: the order of keys is the engine's.
    #[serde(borrow)]
    pub(crate) body: &'a RawValue,
    pub(crate) reply: Option<Value>,
    pub(crate) status: Option<u16>,
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
}

/// Has `plugin` serve, and connects to it once for each transcript. `replay` gets every line that one of the
/// plugins of these kinds was asked, with its place.
pub(crate) async fn replayed(
    plugin: &Plugin,
    kinds: &[&str],
    mut replay: impl AsyncFnMut(&mut Client, &Line<'_>, &str),
) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("it.sock");
    let _served = serve(plugin, Socket::new(&path).bind().expect("the path is free"), FOR_EVER);
    for file in transcripts() {
        let lines = fs::read_to_string(&file).expect("a transcript is text");
        let mut client = Client::connect(&path).await.expect("the plugin listens");
        for (number, line) in lines.lines().enumerate() {
            let place = format!("{}:{}", file.display(), number + 1);
            let line: Line<'_> = serde_json::from_str(line).expect(&place);
            if kinds.contains(&line.plugin) {
                replay(&mut client, &line, &place).await;
            }
        }
    }
}

fn transcripts() -> Vec<PathBuf> {
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
