//! Every recorded authorization call, translated: what it asks for, and of what.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use boathook::source::api::operation;
use serde_json::Value;

const ENGINES: [&str; 3] = ["20.10.24", "26.1.5", "28.5.2"];

fn transcripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts")
}

/// The requests of a recording that change something, in order, as `Method target`.
fn requests(path: &Path) -> Vec<(String, String)> {
    let text = fs::read_to_string(path).expect("a recording can be read");
    let calls = text.lines().map(|it| serde_json::from_str::<Value>(it).expect("a line is JSON"));
    let asked = calls.filter(|it| it["path"] == "/AuthZPlugin.AuthZReq" && it["body"].is_object());
    let field = |it: &Value, key: &str| it["body"][key].as_str().expect("text").to_owned();
    asked.map(|it| (field(&it, "RequestMethod"), field(&it, "RequestUri"))).collect()
}

/// Ids differ from recording to recording.
fn without_id(target: &str) -> String {
    let is_id = target.len() == 64 && target.bytes().all(|it| it.is_ascii_hexdigit());
    if is_id { "<id>".to_owned() } else { target.to_owned() }
}

/// What a scenario asks for: one line for each call that changes something.
fn translated(path: &Path) -> Vec<String> {
    let changes = requests(path).into_iter().filter(|(method, _)| method != "GET" && method != "HEAD");
    changes
        .map(|(method, uri)| match operation(&method, &uri) {
            None => format!("nothing: {method} {uri}"),
            Some(asked) => match asked.target {
                Some(target) => format!("{:?} {}", asked.what, without_id(&target)),
                None => format!("{:?}", asked.what),
            },
        })
        .collect()
}

#[test]
fn every_recorded_call_is_one_that_the_engine_knows() {
    for engine in ENGINES {
        for entry in fs::read_dir(transcripts().join(engine)).expect("recordings").filter_map(Result::ok) {
            let path = entry.path();
            if path.extension().is_none_or(|it| it != "jsonl") || path.to_string_lossy().contains(".events.")
            {
                continue;
            }
            for (method, uri) in requests(&path) {
                // A path without a route is answered 404 by the engine before any plugin is asked.
                assert!(operation(&method, &uri).is_some(), "{}: {method} {uri}", path.display());
            }
        }
    }
}

/// `tests/operations.txt` holds what was read off the commands of each scenario. Engines differ in
/// nothing but ids and versions.
#[test]
fn what_each_scenario_asks_for_is_what_its_commands_say() {
    let mut scenarios: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for engine in ENGINES {
        for entry in fs::read_dir(transcripts().join(engine)).expect("recordings").filter_map(Result::ok) {
            let path = entry.path();
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            let Some(scenario) = name.strip_suffix(".jsonl").filter(|it| !it.ends_with(".events")) else {
                continue;
            };
            scenarios
                .entry(scenario.to_owned())
                .or_default()
                .push(format!("{engine}\n{}", translated(&path).join("\n")));
        }
    }
    let mut told = String::new();
    for (scenario, by_engine) in &scenarios {
        let plain = |it: &String| it.split_once('\n').map(|(_, calls)| calls.to_owned()).unwrap_or_default();
        let mut groups: Vec<(String, Vec<&str>)> = Vec::new();
        for recording in by_engine {
            let engine = recording.lines().next().unwrap_or_default();
            let calls = plain(recording);
            match groups.iter_mut().find(|(it, _)| *it == calls) {
                Some((_, engines)) => engines.push(engine),
                None => groups.push((calls, vec![engine])),
            }
        }
        for (calls, engines) in groups.into_iter().filter(|(calls, _)| !calls.is_empty()) {
            writeln!(told, "{scenario} on {}\n  {}\n", engines.join(", "), calls.replace('\n', "\n  "))
                .expect("text grows");
        }
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/operations.txt");
    if std::env::var_os("BLESS").is_some() {
        fs::write(&file, &told).expect("write the expectation");
    }
    assert_eq!(told, fs::read_to_string(&file).expect("the expectation can be read"));
}
