//! A host whose hooks keep books, and on which boathook may die at any time.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use boathook::journal::{DebtFilter, Found, Reader, RunFilter};
use serde_json::Value;

use super::books::{self, Books};
use crate::engine::{Boathook, BoathookOptions, Dockerd, DockerdOptions, Generation, Sandbox, wait_for};

/// For everything to come to rest: some restarts, and the pauses before clean-ups are tried again.
pub(super) const REST_LIMIT: Duration = Duration::from_secs(120);

/// Between two looks at books and journal.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// For boathook to follow an engine that is there.
const FOLLOW_LIMIT: Duration = Duration::from_secs(60);

/// Whether the engine asks boathook. It cannot be used then while boathook is away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plugin {
    Asked,
    NotAsked,
}

/// A configuration that is being written.
#[derive(Clone, Debug, Default)]
pub(super) struct Config {
    top: String,
    hooks: String,
}

impl Config {
    /// A key at the top of the file.
    pub(super) fn key(mut self, line: &str) -> Config {
        writeln!(self.top, "{line}").expect("text grows");
        self
    }

    /// A hook, as one line of YAML.
    pub(super) fn hook(mut self, hook: &str) -> Config {
        writeln!(self.hooks, "  - {hook}").expect("text grows");
        self
    }

    /// A hook that writes its runs down, at these points (`[a, b]`).
    pub(super) fn plain(self, name: &str, at: &str) -> Config {
        self.hook(&format!("{{name: {name}, at: {at}, exec: [./book]}}"))
    }

    /// A hook that writes down that it sets up, and that it cleans up; `more` are further keys.
    pub(super) fn pair(self, name: &str, at: &str, more: &str) -> Config {
        let cleanup = "cleanup: {exec: [./book], retry: {max_attempts: 30, delay: 100ms, max_delay: 1s}}";
        self.hook(&format!("{{name: {name}, at: {at}, exec: [./book], {cleanup}{more}}}"))
    }

    fn text(&self, state_dir: &Path) -> String {
        format!("version: 1\nstate_dir: {}\n{}hooks:\n{}", state_dir.display(), self.top, self.hooks)
    }
}

/// A host with an engine, and with a boathook that comes and goes.
pub(super) struct World {
    pub(super) dockerd: Dockerd,
    pub(super) sandbox: Sandbox,
    config: Config,
    /// Where the journal is.
    state_dir: PathBuf,
    has_own_disk: bool,
    boathook: Option<Boathook>,
    /// How often boathook was killed.
    pub(super) kills: usize,
}

impl World {
    /// Starts an engine, and boathook before it if it is to be asked. `None`: there is none here, and that
    /// is allowed.
    pub(super) fn start(on: Generation, plugin: Plugin, config: &Config) -> Option<World> {
        World::start_with(on, plugin, false, config)
    }

    /// As [`World::start`], with `live_restore` of the engine.
    pub(super) fn start_with(
        on: Generation,
        plugin: Plugin,
        live_restore: bool,
        config: &Config,
    ) -> Option<World> {
        World::around(Sandbox::available_on(on)?, plugin, live_restore, config)
    }

    /// As [`World::start`], with the journal on a disk of its own, made with these options. The files of
    /// attempts are on another.
    pub(super) fn start_on_disk(
        on: Generation,
        plugin: Plugin,
        disk: &str,
        config: &Config,
    ) -> Option<World> {
        let sandbox = Sandbox::available_on(on)?;
        let state_dir = sandbox.dir().join("state").display().to_string();
        fs::create_dir(&state_dir).expect("make a folder in the sandbox's");
        let make = "mount -t tmpfs -o \"$1\" tmpfs \"$2\"; mkdir \"$2-runs\"; ln -s \"$2-runs\" \"$2/runs\"";
        let mounted = sandbox.run(&["sh", "-euc", make, "sh", disk, &state_dir]);
        assert!(mounted.status.success(), "{}", mounted.stderr);
        let world = World::around(sandbox, plugin, false, config)?;
        Some(World { has_own_disk: true, ..world })
    }

    fn around(sandbox: Sandbox, plugin: Plugin, live_restore: bool, config: &Config) -> Option<World> {
        books::furnish(&sandbox);
        let state_dir = sandbox.dir().join("state");
        let boathook = sandbox.start_boathook(&config.text(&state_dir), options(&[]));
        let authorization_plugin = (plugin == Plugin::Asked).then_some("boathook");
        let dockerd =
            sandbox.start_dockerd(DockerdOptions { authorization_plugin, live_restore, arguments: &[] });
        sandbox.import_busybox();
        let world = World {
            dockerd,
            sandbox,
            config: config.clone(),
            state_dir,
            has_own_disk: false,
            boathook: Some(boathook),
            kills: 0,
        };
        world.wait_until_it_follows();
        Some(world)
    }

    /// The boathook that runs.
    #[track_caller]
    pub(super) fn boathook(&self) -> &Boathook {
        self.boathook.as_ref().expect("boathook was started")
    }

    /// Where the journal is.
    pub(super) fn state_dir(&self) -> &Path {
        &self.state_dir
    }

    /// A reader of the journal. One that lies on a disk of its own, which is mounted inside only, is copied.
    fn reader(&self) -> Option<Reader> {
        if !self.has_own_disk {
            return Reader::open(&self.state_dir).ok();
        }
        let (inside, copy) = (PathBuf::from(self.seen_from_outside()?), self.sandbox.dir().join("copy"));
        fs::create_dir_all(&copy).expect("make a folder in the sandbox's");
        // The log first: what is brought from it into the file meanwhile is in both.
        for name in ["journal.db-wal", "journal.db"] {
            fs::copy(inside.join(name), copy.join(name)).ok()?;
        }
        Reader::open(&copy).ok()
    }

    fn seen_from_outside(&self) -> Option<String> {
        let process = self.boathook.as_ref().filter(|it| it.is_alive())?.process();
        Some(format!("/proc/{}/root{}", process.id(), self.state_dir.display()))
    }

    /// Waits until boathook reads the engine's events.
    #[track_caller]
    pub(super) fn wait_until_it_follows(&self) {
        wait_for("boathook to follow docker's events", FOLLOW_LIMIT, || {
            let follows = |it: &Value| it["message"] == "following docker's events";
            self.boathook().logs().iter().any(follows).then_some(())
        });
    }

    /// Waits until boathook has compared what is with what it knows, and has told all that came of it.
    #[track_caller]
    pub(super) fn wait_until_it_has_compared(&self) {
        // Containers that run reach `reconcile` behind all that the comparison has to tell of them.
        wait_for("a comparison", REST_LIMIT, || {
            let compares = |it: &Value| it["message"] == "compared with the engine's list";
            self.boathook().logs().iter().any(compares).then_some(())
        });
    }

    /// Waits until `hook` has set up for so many containers.
    #[track_caller]
    pub(super) fn wait_for_set_ups(&self, hook: &str, count: usize) {
        self.wait_for(&format!("{count} set-ups of {hook}"), |books| {
            let of_hook = books.attempts.iter().filter(|it| it.hook == hook && it.phase == "setup");
            of_hook.filter(|it| it.ended.is_some()).map(|it| &it.container).collect::<BTreeSet<_>>().len()
                >= count
        });
    }

    /// Ends boathook as `kill -9` does.
    pub(super) fn kill_boathook(&mut self) {
        if let Some(boathook) = self.boathook.take() {
            boathook.kill9();
            self.kills += 1;
        }
    }

    /// Starts boathook, which is away, with the configuration that it had.
    #[track_caller]
    pub(super) fn start_boathook(&mut self) {
        self.start_boathook_armed(&[]);
        self.boathook().wait_until_it_listens();
    }

    /// Starts boathook, which is away, with another configuration.
    #[track_caller]
    pub(super) fn start_boathook_with(&mut self, config: &Config) {
        self.config = config.clone();
        self.start_boathook();
    }

    /// Starts boathook with this in its environment. It may be dead by the time that this returns.
    #[track_caller]
    pub(super) fn start_boathook_armed(&mut self, environment: &[(&str, &str)]) {
        assert!(self.boathook.as_ref().is_none_or(|it| !it.is_alive()), "boathook runs already");
        let text = self.config.text(&self.state_dir);
        self.boathook = Some(self.sandbox.spawn_boathook(&text, options(environment)));
    }

    /// Begins with empty books; the next boathook has this configuration.
    pub(super) fn begin_anew(&mut self, config: &Config) {
        self.config = config.clone();
        books::clear(&self.sandbox);
        self.kills = 0;
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

    /// What the hooks have written down until now.
    pub(super) fn books(&self) -> Books {
        Books::read(&self.sandbox)
    }

    /// What is open in the journal, in words.
    pub(super) fn open(&self) -> Vec<String> {
        let Some(reader) = self.reader() else { return vec!["no store".into()] };
        let runs = reader.runs(&RunFilter { found: Found::Open, limit: 10_000, ..RunFilter::default() });
        let debts = reader.debts(&DebtFilter { limit: 10_000, ..DebtFilter::default() });
        let (Ok(runs), Ok(debts)) = (runs, debts) else { return vec!["not read".into()] };
        let runs = runs.iter().map(|it| {
            format!(
                "run {} of {} for {} is {:?}",
                it.run.id, it.run.hook.name, it.run.event.subject, it.state
            )
        });
        let debts = debts.iter().map(|it| {
            format!("debt {} of {} for {} is {:?}", it.debt.id, it.debt.hook, it.debt.subject, it.debt.state)
        });
        runs.chain(debts).collect()
    }

    /// Waits until `is_there` holds of the books, and tells them then.
    #[track_caller]
    pub(super) fn wait_for(&self, what: &str, is_there: impl Fn(&Books) -> bool) -> Books {
        let end = Instant::now() + REST_LIMIT;
        loop {
            let books = self.books();
            if is_there(&books) {
                return books;
            }
            assert!(Instant::now() < end, "waited for {what}\nopen: {:#?}\nbooks:\n{books}", self.open());
            sleep(LOOK_EVERY);
        }
    }

    /// Waits until no run is open any more and `is_there` holds of the books, and tells them then.
    #[track_caller]
    pub(super) fn wait_for_rest_of_runs(&self, what: &str, is_there: impl Fn(&Books) -> bool) -> Books {
        self.wait_for(what, |books| !self.open().iter().any(|it| it.starts_with("run")) && is_there(books))
    }

    /// Waits until nothing is open any more and `is_there` holds of the books, and tells them then.
    #[track_caller]
    pub(super) fn wait_for_rest(&self, what: &str, is_there: impl Fn(&Books) -> bool) -> Books {
        self.wait_for(what, |books| self.open().is_empty() && is_there(books))
    }
}

/// The daemon that was built with the tests.
fn options<'a>(environment: &'a [(&'a str, &'a str)]) -> BoathookOptions<'a> {
    BoathookOptions { environment, ..BoathookOptions::new(Path::new(env!("CARGO_BIN_EXE_boathook"))) }
}
