//! A Docker host with boathook on it.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Duration;

use boathook::journal::{DebtFilter, Reader};
use boathook::run::Debt;
use serde_json::Value;

use crate::engine::{Boathook, BoathookOptions, Dockerd, DockerdOptions, Generation, Sandbox, wait_for};

/// For what a hook does to be seen. Hooks here take milliseconds.
const SEEN_LIMIT: Duration = Duration::from_secs(30);

/// A host with an engine, an image and a daemon whose hooks keep a record.
pub(super) struct World {
    pub(super) boathook: Boathook,
    pub(super) dockerd: Dockerd,
    pub(super) sandbox: Sandbox,
    text: String,
}

/// A configuration that is being written.
pub(super) struct Config {
    top: String,
    hooks: String,
}

/// One run of a hook that keeps a record: the document that it was given, and its environment.
#[derive(Clone, Debug)]
pub(super) struct Ran {
    pub(super) document: Value,
    pub(super) environment: String,
}

impl Config {
    pub(super) fn new() -> Config {
        Config { top: String::new(), hooks: String::new() }
    }

    /// A key at the top of the file.
    pub(super) fn key(mut self, line: &str) -> Config {
        writeln!(self.top, "{line}").expect("text grows");
        self
    }

    /// A hook that keeps a record of itself, at these points (`[a, b]`).
    pub(super) fn record(self, name: &str, at: &str) -> Config {
        self.hook(&format!("{{name: {name}, at: {at}, exec: [./record]}}"))
    }

    /// A hook, as one line of YAML.
    pub(super) fn hook(mut self, hook: &str) -> Config {
        writeln!(self.hooks, "  - {hook}").expect("text grows");
        self
    }

    /// The text of the file, for `sandbox`, in which the scripts that it uses are written.
    pub(super) fn text_in(&self, sandbox: &Sandbox) -> String {
        let dir = sandbox.dir().display();
        sandbox.write_program(
            "record",
            &format!(
                "#!/bin/sh -eu\n\
                 into={dir}/records/$HOOK_RUN_ID.$HOOK_ATTEMPT\n\
                 mkdir -p {dir}/records\n\
                 cat > \"$into.document\"\n\
                 env > \"$into.environment\"\n\
                 mv \"$into.document\" \"$into.json\"\n"
            ),
        );
        format!("version: 1\nstate_dir: {dir}/state\n{}hooks:\n{}", self.top, self.hooks)
    }
}

impl World {
    /// Starts boathook, then an engine of this generation. `None`: there is none here, and that is allowed.
    pub(super) fn start(on: Generation, config: &Config) -> Option<World> {
        World::start_with(on, config, |_| ())
    }

    /// As [`World::start`], with more files.
    pub(super) fn start_with(
        on: Generation,
        config: &Config,
        prepare: impl FnOnce(&Sandbox),
    ) -> Option<World> {
        let sandbox = Sandbox::available_on(on)?;
        prepare(&sandbox);
        let plugin = DockerdOptions { authorization_plugin: Some("boathook"), ..DockerdOptions::default() };
        Some(World::around(sandbox, config, plugin))
    }

    /// Starts boathook in `sandbox`, then the engine as told.
    pub(super) fn around(sandbox: Sandbox, config: &Config, dockerd: DockerdOptions<'_>) -> World {
        let text = config.text_in(&sandbox);
        let boathook = sandbox.start_boathook(&text, options());
        let dockerd = sandbox.start_dockerd(dockerd);
        sandbox.import_busybox();
        let world = World { boathook, dockerd, sandbox, text };
        world.wait_until_it_follows(1);
        world
    }

    /// Waits until boathook has taken up the event stream for the `count`th time.
    #[track_caller]
    pub(super) fn wait_until_it_follows(&self, count: usize) {
        wait_for("boathook to follow docker's events", SEEN_LIMIT, || {
            let follows = |line: &&Value| line["message"] == "following docker's events";
            (self.boathook.logs().iter().filter(follows).count() >= count).then_some(())
        });
    }

    /// Ends boathook as a host does, and starts another one with the same configuration.
    #[track_caller]
    pub(super) fn restart_boathook(&mut self) {
        assert!(self.boathook.terminate().success());
        self.boathook = self.sandbox.start_boathook(&self.text, options());
        self.wait_until_it_follows(1);
    }

    /// Starts another boathook with the same configuration; the one before has ended.
    #[track_caller]
    pub(super) fn start_boathook(&mut self) {
        self.boathook = self.sandbox.start_boathook(&self.text, options());
        self.wait_until_it_follows(1);
    }

    /// Ends the engine, then boathook, as a host that is shut down does, and starts boathook, then the engine, as
    /// one that boots does.
    #[track_caller]
    pub(super) fn reboot(&mut self) {
        self.dockerd.stop();
        assert!(self.boathook.terminate().success());
        self.boathook = self.sandbox.start_boathook(&self.text, options());
        self.dockerd.start();
        self.wait_until_it_follows(1);
    }

    /// Starts another boathook with another configuration; the one before has ended.
    #[track_caller]
    pub(super) fn start_boathook_with(&mut self, config: &Config) {
        self.text = config.text_in(&self.sandbox);
        self.start_boathook();
    }

    /// What is, or was, owed.
    pub(super) fn debts(&self) -> Vec<Debt> {
        let reader = Reader::open(&self.sandbox.dir().join("state")).expect("there is a store");
        let all = DebtFilter { closed: true, ..DebtFilter::default() };
        reader.debts(&all).expect("the store can be read").into_iter().map(|it| it.debt).collect()
    }

    pub(super) fn address_of(&self, container: &str) -> String {
        let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
        self.docker(&["inspect", "-f", format, container])
    }

    pub(super) fn docker(&self, arguments: &[&str]) -> String {
        self.sandbox.docker_ok(arguments)
    }

    /// Runs a container that sleeps, and returns its id.
    pub(super) fn run_sleeper(&self, name: &str, more: &[&str]) -> String {
        let mut arguments = vec!["run", "-d", "--name", name];
        arguments.extend(more);
        arguments.extend(["busybox:test", "sleep", "1000"]);
        self.docker(&arguments)
    }

    /// What has been recorded until now, in the order of planning.
    pub(super) fn ran(&self) -> Vec<Ran> {
        let dir = self.sandbox.dir().join("records");
        let entries = fs::read_dir(&dir).into_iter().flatten().filter_map(Result::ok);
        let mut paths: Vec<_> = entries.map(|it| it.path()).collect();
        paths.retain(|it| it.extension().is_some_and(|it| it == "json"));
        paths.sort();
        paths.iter().map(|it| Ran::read(it)).collect()
    }

    /// What was recorded of the container called `name`.
    pub(super) fn ran_for(&self, name: &str) -> Vec<Ran> {
        let mut ran = self.ran();
        ran.retain(|it| it.document["container"]["name"] == name);
        ran
    }

    /// Waits until a container called `name` has reached `point`, then tells all that was recorded of it.
    #[track_caller]
    pub(super) fn wait_for_point(&self, name: &str, point: &str) -> Vec<Ran> {
        wait_for(&format!("{name} to reach {point}"), SEEN_LIMIT, || {
            let ran = self.ran_for(name);
            ran.iter().any(|it| it.point() == point).then_some(ran)
        })
    }

    /// Waits until the log says how a run of `hook` ended.
    #[track_caller]
    pub(super) fn wait_for_end_of(&self, hook: &str) -> Value {
        self.boathook.wait_for_log(&format!("`{hook}` to end"), |line| {
            line["hook"] == hook && line["outcome"].is_string()
        })
    }
}

/// The daemon that was built with the tests.
pub(super) fn options() -> BoathookOptions<'static> {
    BoathookOptions::new(Path::new(env!("CARGO_BIN_EXE_boathook")))
}

impl Ran {
    fn read(path: &Path) -> Ran {
        let text = fs::read_to_string(path).expect("a record can be read");
        let environment = fs::read_to_string(path.with_extension("environment"));
        Ran {
            document: serde_json::from_str(&text).expect("a document is JSON"),
            environment: environment.expect("a record has an environment"),
        }
    }

    pub(super) fn point(&self) -> &str {
        self.document["point"].as_str().expect("a document has a point")
    }

    /// A variable of the environment, if it was set.
    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        self.environment.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
    }
}

/// The points of some runs, in order.
pub(super) fn points(ran: &[Ran]) -> Vec<&str> {
    ran.iter().map(Ran::point).collect()
}
