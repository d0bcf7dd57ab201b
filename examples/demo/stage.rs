//! A Docker host with boathook on it, on which everything that is typed and run is shown.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use boathook::trust;
use serde_json::Value;

use super::engine::{Boathook, BoathookOptions, Dockerd, DockerdOptions, Sandbox, wait_for};
use super::screen::{self, Row};

/// For something that boathook does by itself. It takes milliseconds, and a second where a script
/// asks to be tried again.
const SEEN_LIMIT: Duration = Duration::from_secs(30);

/// Gives the sandbox a `/var/lib` of its own, in which everything but boathook's state is that of the
/// outside: boathook runs with the default configuration, and must not meet one that is installed.
const OWN_STATE: &str = "
    mkdir var-lib
    mount --rbind /var/lib var-lib
    mount -t tmpfs -o mode=0755 none /var/lib
    mkdir /var/lib/boathook
    for each in var-lib/*/; do
        name=$(basename \"$each\")
        [ \"$name\" = boathook ] || { mkdir \"/var/lib/$name\" && mount --rbind \"$each\" \"/var/lib/$name\"; }
    done";

/// The host, and what has been seen on it.
pub(super) struct Stage<'a> {
    sandbox: &'a Sandbox,
    boathook: Boathook,
    dockerd: Dockerd,
    /// Lines of boathook's log that have been looked at.
    lines_read: usize,
    /// Rows that are in the log and not shown yet.
    waiting: Vec<Row>,
    /// The ids of all runs.
    runs: BTreeSet<String>,
    /// The names of the hooks that had a run.
    hooks: BTreeSet<String>,
}

/// What a command came to.
pub(super) struct Answer {
    /// What it printed, on both streams.
    pub(super) text: String,
    /// Its exit status, as a shell tells it.
    pub(super) status: i32,
}

impl<'a> Stage<'a> {
    /// Starts boathook with the configuration of this repository, then an engine that asks it.
    pub(super) fn set(sandbox: &'a Sandbox) -> Stage<'a> {
        let config = config_for(sandbox);
        inside(sandbox, OWN_STATE);
        screen::progress("boathook, with the config.yaml of this repository");
        // Examples are built into a folder below that of programs. What starts the scripts lies beside boathook.
        let example = env::current_exe().expect("this program has a path");
        let program = example.parent().expect("it lies in a folder").with_file_name("boathook");
        let boathook = sandbox.start_boathook_from(&config, BoathookOptions::new(&program));

        screen::progress("a Docker engine that asks boathook: --authorization-plugin=boathook");
        let begun = Instant::now();
        let dockerd = sandbox.start_dockerd(DockerdOptions {
            authorization_plugin: Some("boathook"),
            ..DockerdOptions::default()
        });
        let version = sandbox.docker_ok(&["version", "--format", "{{.Server.Version}}"]);
        let took = begun.elapsed().as_secs_f64();
        screen::progress(&format!("engine {version} answers after {took:.1} s; importing an image"));
        sandbox.import_busybox();
        boathook.wait_for_log("boathook to follow docker's events", |line| {
            line["message"] == "following docker's events"
        });
        let (runs, hooks) = (BTreeSet::new(), BTreeSet::new());
        Stage { sandbox, boathook, dockerd, lines_read: 0, waiting: Vec::new(), runs, hooks }
    }

    /// Types a command that must work, and shows it with its answer.
    #[track_caller]
    pub(super) fn types(&self, line: &str) -> String {
        let Answer { text, status } = self.tries(line);
        assert!(status == 0, "`{line}` exits with {status}");
        text
    }

    /// Types a command that may fail, and shows it with its answer.
    pub(super) fn tries(&self, line: &str) -> Answer {
        screen::command(line);
        let output = self.sandbox.run(&["sh", "-c", &format!("exec 2>&1\n{line}")]);
        let text = output.stdout.trim_end().to_owned();
        screen::answer(&text);
        Answer { text, status: output.status.code().unwrap_or(-1) }
    }

    /// Waits until a command works. It is not shown.
    #[track_caller]
    pub(super) fn waits_for(&self, what: &str, line: &str) {
        wait_for(what, SEEN_LIMIT, || self.sandbox.run(&["sh", "-c", line]).status.success().then_some(()));
    }

    /// Waits until boathook has run these hooks for `container`, in this order and no others in between,
    /// and shows each as soon as it is there. Each is written as `point hook outcome`.
    #[track_caller]
    pub(super) fn sees(&mut self, container: &str, expected: &[&str]) {
        for fact in expected {
            screen::row(&self.sees_one(container, fact));
        }
    }

    /// As [`Stage::sees`], of what has been shown for another container already: it is only counted.
    #[track_caller]
    pub(super) fn sees_again(&mut self, container: &str, expected: &[&str]) {
        for fact in expected {
            self.sees_one(container, fact);
        }
        screen::aside(&format!("  (the same {} runs as above)", expected.len()));
    }

    /// Waits until a hook that asks to be tried again has done its work.
    #[track_caller]
    pub(super) fn sees_at_last(&mut self, container: &str, point_and_hook: &str) {
        let (again, done) = (format!("{point_and_hook} exit 75"), format!("{point_and_hook} done"));
        loop {
            let row = self.next_row(container, &done);
            screen::row(&row);
            match row.fact() {
                it if it == done => return,
                it => assert!(it == again, "container `{container}`: `{done}` was to come, and `{it}` came"),
            }
        }
    }

    /// How many runs there were.
    pub(super) fn runs(&self) -> usize {
        self.runs.len()
    }

    /// How many hooks had a run.
    pub(super) fn hooks(&self) -> usize {
        self.hooks.len()
    }

    /// Stops boathook, then the engine.
    ///
    /// # Panics
    ///
    /// When boathook has run something that was not shown, or does not end well.
    pub(super) fn clear(mut self) {
        let status = self.boathook.terminate();
        assert!(status.success(), "boathook ends with {status}");
        self.look();
        assert!(self.waiting.is_empty(), "boathook ran more than was expected: {:?}", self.waiting);
        self.dockerd.kill9();
    }

    #[track_caller]
    fn sees_one(&mut self, container: &str, expected: &str) -> Row {
        let row = self.next_row(container, expected);
        let came = row.fact();
        assert!(came == expected, "container `{container}`: `{expected}` was to come, and `{came}` came");
        row
    }

    /// The next thing that boathook ran for `container`.
    #[track_caller]
    fn next_row(&mut self, container: &str, expected: &str) -> Row {
        wait_for(&format!("boathook to log `{expected}` of container `{container}`"), SEEN_LIMIT, || {
            self.look();
            let nth = self.waiting.iter().position(|it| it.container == container)?;
            Some(self.waiting.remove(nth))
        })
    }

    /// Reads what boathook has logged since the last look.
    fn look(&mut self) {
        let lines = self.boathook.logs();
        for line in &lines[self.lines_read..] {
            let row = match line["message"].as_str() {
                Some("hook ran" | "hook failed") => Row::of_attempt(line),
                // A script that denies has been told of already.
                Some("denied") if !self.runs.contains(&text(line, "run")) => Row::of_denial(line),
                _ => continue,
            };
            self.runs.insert(text(line, "run"));
            self.hooks.insert(row.hook.clone());
            self.waiting.push(row);
        }
        self.lines_read = lines.len();
    }
}

impl Row {
    fn of_attempt(line: &Value) -> Row {
        let outcome = match (text(line, "outcome").as_str(), text(line, "detail").as_str()) {
            ("exited", "exited with 0") => "done".to_owned(),
            ("exited", detail) => detail.replace("exited with", "exit"),
            (other, _) => other.to_owned(),
        };
        let printed = [text(line, "stdout"), text(line, "stderr")].join("\n").trim().replace('\n', " / ");
        Row { outcome, took_ms: line["took_ms"].as_u64(), printed, ..Row::of(line) }
    }

    /// A hook that denies without a program.
    fn of_denial(line: &Value) -> Row {
        Row { outcome: "denied".to_owned(), printed: "no process was needed".to_owned(), ..Row::of(line) }
    }

    fn of(line: &Value) -> Row {
        Row {
            container: text(line, "container"),
            point: text(line, "point"),
            hook: text(line, "hook"),
            outcome: String::new(),
            took_ms: None,
            printed: String::new(),
        }
    }

    /// What is claimed of it.
    fn fact(&self) -> String {
        format!("{} {} {}", self.point, self.hook, self.outcome)
    }
}

fn text(line: &Value, key: &str) -> String {
    line[key].as_str().unwrap_or_default().to_owned()
}

/// The configuration of this repository as it lies there, or a copy of it where boathook would refuse to
/// obey it because others can write there.
fn config_for(sandbox: &Sandbox) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let hooks = fs::read_dir(root.join("hooks")).expect("this repository has scripts");
    let hooks: Vec<_> = hooks.map(|it| it.expect("read a directory").path()).collect();
    let config = root.join("config.yaml");
    let Err(distrust) = [&config].into_iter().chain(&hooks).try_for_each(|it| trust::vet(it)) else {
        return config;
    };
    screen::progress(&format!("a copy of config.yaml and hooks/, because {distrust}"));
    let read = |path: &Path| fs::read_to_string(path).expect("a file of this repository can be read");
    for hook in &hooks {
        let name = hook.file_name().expect("a script has a name").display();
        sandbox.write_program(&format!("demo/hooks/{name}"), &read(hook));
    }
    sandbox.write("demo/config.yaml", &read(&config))
}

/// Runs shell commands inside that are of no interest to those who watch.
fn inside(sandbox: &Sandbox, commands: &str) {
    let output = sandbox.run(&["sh", "-euc", commands]);
    assert!(output.status.success(), "the stage cannot be set: {}", output.stderr);
}
