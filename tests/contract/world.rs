//! A host whose hooks keep everything that they are told.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::engine::{Boathook, BoathookOptions, Dockerd, DockerdOptions, Sandbox, wait_for};

/// For what a hook does to be seen. Hooks here take milliseconds.
const SEEN_LIMIT: Duration = Duration::from_secs(60);

/// For one answer of the API.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);

/// Keeps the environment as the kernel has it, before a shell adds to it, and the document as it
/// comes in; says so by the last file.
const KEEP: &str = r#"#!/bin/sh -eu
into=$KEEP_IN/$HOOK_RUN_ID.$HOOK_ATTEMPT
cat "/proc/$$/environ" > "$into.environment"
pwd > "$into.directory"
readlink "/proc/$$/fd/0" > "$into.stdin"
cat > "$into.document"
cmp "$into.document" "$HOOK_EVENT_FILE"
cp "$DOCKER_CONFIG/config.json" "$into.client"
mv "$into.document" "$into.json"
"#;

/// A host with an engine, an image, and a daemon that was started with a variable of its own.
pub(super) struct World {
    pub(super) sandbox: Sandbox,
    pub(super) boathook: Boathook,
    pub(super) dockerd: Dockerd,
}

/// What a hook was told.
#[derive(Clone, Debug)]
pub(super) struct Told {
    pub(super) document: Value,
    /// Every variable, in the order of their names.
    pub(super) environment: BTreeMap<String, String>,
    /// The directory in which the hook ran.
    pub(super) directory: String,
    /// What standard input was.
    pub(super) stdin: String,
    /// `config.json` of `DOCKER_CONFIG`.
    pub(super) client: Value,
}

impl World {
    /// Starts boathook with these hooks, each one line of YAML without the `exec`, then the engine.
    /// `None`: no engine can be had here, and that is allowed.
    pub(super) fn start(hooks: &[&str]) -> Option<World> {
        let sandbox = Sandbox::available()?;
        sandbox.write_program("keep", KEEP);
        let dir = sandbox.dir().display();
        let kept = format!("{dir}/kept");
        fs::create_dir(&kept).expect("make a folder in the sandbox's");
        let hooks: Vec<String> = hooks
            .iter()
            .map(|it| format!("  - {{{it}, exec: [./keep], environment: {{KEEP_IN: \"{kept}\"}}}}\n"))
            .collect();
        let config = format!("version: 1\nstate_dir: {dir}/state\nhooks:\n{}", hooks.concat());
        let program = Path::new(env!("CARGO_BIN_EXE_boathook"));
        let options = BoathookOptions {
            environment: &[("OF_THE_DAEMON", "not for hooks"), ("LANG", "C.UTF-8")],
            ..BoathookOptions::new(program)
        };
        let boathook = sandbox.start_boathook(&config, options);
        let dockerd = sandbox.start_dockerd(DockerdOptions {
            authorization_plugin: Some("boathook"),
            ..DockerdOptions::default()
        });
        sandbox.import_busybox();
        boathook.wait_for_log("boathook to follow docker's events", |line| {
            line["message"] == "following docker's events"
        });
        Some(World { sandbox, boathook, dockerd })
    }

    pub(super) fn dir(&self) -> &Path {
        self.sandbox.dir()
    }

    pub(super) fn docker(&self, arguments: &[&str]) -> String {
        self.sandbox.docker_ok(arguments)
    }

    /// Calls the API by hand, with what no docker command would send. The status and the body.
    pub(super) fn call(&self, method: &str, target: &str, body: &Value) -> (u16, String) {
        self.call_with("Accept: */*", method, target, body)
    }

    /// Calls the API by hand, with a header.
    pub(super) fn call_with(&self, header: &str, method: &str, target: &str, body: &Value) -> (u16, String) {
        let body = body.to_string();
        let mut socket = UnixStream::connect(self.sandbox.docker_socket()).expect("the engine listens");
        socket.set_read_timeout(Some(ANSWER_LIMIT)).expect("a limit");
        let head = format!(
            "{method} {target} HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n{header}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        // An engine that denies answers before it has read it all, and closes.
        let _ = socket.write_all(head.as_bytes()).and_then(|()| socket.write_all(body.as_bytes()));
        let mut reply = Vec::new();
        let read = socket.read_to_end(&mut reply);
        let reply = String::from_utf8(reply).expect("the engine answers in UTF-8");
        assert!(!reply.is_empty(), "the engine does not answer: {read:?}");
        let status = reply.split(' ').nth(1).and_then(|it| it.parse().ok()).expect("a status");
        let body = reply.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default();
        (status, body)
    }

    /// All that hooks were told until now, in the order of planning.
    pub(super) fn told(&self) -> Vec<Told> {
        let entries = fs::read_dir(self.dir().join("kept")).expect("the folder was made");
        let mut paths: Vec<PathBuf> = entries.map(|it| it.expect("an entry").path()).collect();
        paths.retain(|it| it.extension().is_some_and(|it| it == "json"));
        paths.sort();
        paths.iter().map(|it| Told::read(it)).collect()
    }

    /// Waits until something was told at each of these points, then tells all of it.
    #[track_caller]
    pub(super) fn told_at(&self, points: &[&str]) -> Vec<Told> {
        wait_for(&format!("hooks at {points:?}"), SEEN_LIMIT, || {
            let told = self.told();
            points.iter().all(|point| told.iter().any(|it| it.point() == *point)).then_some(told)
        })
    }

    /// What was told of the container, or whatever it is, called `name`, once it is as much as this.
    #[track_caller]
    pub(super) fn told_of(&self, name: &str, points: &[&str]) -> Vec<Told> {
        let told = wait_for(&format!("{name} at {points:?}"), SEEN_LIMIT, || {
            let mut told = self.told();
            told.retain(|it| it.document["subject"]["name"] == name);
            (told.len() >= points.len()).then_some(told)
        });
        assert_eq!(told.iter().map(Told::point).collect::<Vec<_>>(), points);
        told
    }
}

impl Told {
    fn read(path: &Path) -> Told {
        let text = |extension| {
            let bytes = fs::read(path.with_extension(extension)).expect("it was kept");
            String::from_utf8(bytes).expect("what is kept is text")
        };
        let json = |extension| serde_json::from_str(&text(extension)).expect("what is kept is JSON");
        let environment = text("environment");
        let variables = environment.split_terminator('\0').map(|it| {
            let (name, value) = it.split_once('=').expect("a variable has a value");
            (name.to_owned(), value.to_owned())
        });
        Told {
            document: json("json"),
            environment: variables.collect(),
            directory: text("directory").trim_end().to_owned(),
            stdin: text("stdin").trim_end().to_owned(),
            client: json("client"),
        }
    }

    pub(super) fn point(&self) -> &str {
        self.document["point"].as_str().expect("a document has a point")
    }

    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        self.environment.get(name).map(String::as_str)
    }
}
