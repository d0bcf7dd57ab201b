//! A host with an engine whose volume driver is boathook.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::engine::{Boathook, BoathookOptions, Dockerd, DockerdOptions, Generation, Sandbox, wait_for};

/// For what follows from the end of a container to have happened.
const SEEN_LIMIT: Duration = Duration::from_secs(30);

/// A host with an engine whose volume driver is boathook.
pub(super) struct World {
    pub(super) boathook: Boathook,
    pub(super) dockerd: Dockerd,
    pub(super) sandbox: Sandbox,
    text: String,
}

impl World {
    /// Starts boathook, with `more` in its configuration, and an engine of this generation. `None`: there is
    /// none here, and that is allowed.
    ///
    /// Volumes may lie below `allowed` in the sandbox's folder.
    pub(super) fn start(on: Generation, more: &str) -> Option<World> {
        World::start_with(on, more, |_| ())
    }

    /// As [`World::start`], with more files.
    pub(super) fn start_with(on: Generation, more: &str, prepare: impl FnOnce(&Sandbox)) -> Option<World> {
        let sandbox = Sandbox::available_on(on)?;
        prepare(&sandbox);
        let dir = sandbox.dir().display();
        let text = format!(
            "version: 1\nstate_dir: {dir}/state\nplugin: {{kinds: [authz, volume]}}\n\
             volumes: {{paths: [{dir}/allowed]}}\n{more}"
        );
        fs::create_dir(sandbox.dir().join("allowed")).expect("write into the sandbox's folder");
        let boathook = sandbox.start_boathook(&text, options());
        let dockerd = sandbox.start_dockerd(DockerdOptions::default());
        sandbox.import_busybox();
        Some(World { boathook, dockerd, sandbox, text })
    }

    /// Starts another boathook; the one before has ended.
    pub(super) fn start_boathook(&mut self) {
        self.boathook = self.sandbox.start_boathook(&self.text, options());
    }

    pub(super) fn docker(&self, arguments: &[&str]) -> String {
        self.sandbox.docker_ok(arguments)
    }

    /// What docker says about something that it must not do.
    pub(super) fn refused(&self, arguments: &[&str]) -> String {
        self.sandbox.docker_refused(arguments)
    }

    /// Makes a volume with these options.
    pub(super) fn create(&self, name: &str, options: &[&str]) {
        self.docker(&creation(name, options));
    }

    /// What docker says about a volume that cannot be made.
    pub(super) fn not_created(&self, name: &str, options: &[&str]) -> String {
        self.refused(&creation(name, options))
    }

    /// What a shell in a container prints that has the volume at `/v`.
    pub(super) fn in_volume(&self, volume: &str, script: &str) -> String {
        let mount = format!("{volume}:/v");
        self.docker(&["run", "--rm", "-v", &mount, "busybox:test", "sh", "-ec", script])
    }

    /// Runs a container that has the volume at `/v`, and sleeps.
    pub(super) fn run_sleeper(&self, name: &str, volume: &str) {
        let mount = format!("{volume}:/v");
        self.docker(&["run", "-d", "--name", name, "-v", &mount, "busybox:test", "sleep", "1000"]);
    }

    /// How many uses of a volume boathook knows.
    pub(super) fn references(&self, volume: &str) -> u64 {
        let status = self.docker(&["volume", "inspect", "-f", "{{json .Status}}", volume]);
        let status: Value = serde_json::from_str(&status).expect("docker prints JSON");
        status["references"].as_u64().expect("a volume has references")
    }

    /// The directory that containers see, where it is not covered by a mount.
    pub(super) fn data(&self, volume: &str) -> PathBuf {
        self.sandbox.dir().join("state/volumes").join(volume).join("_data")
    }

    /// How often something is mounted at `path`, for the host.
    pub(super) fn mounts_at(&self, path: &Path) -> usize {
        let table = self.sandbox.run(&["cat", "/proc/self/mountinfo"]).stdout;
        let path = path.to_str().expect("a path of ours is text");
        table.lines().filter(|it| it.split(' ').nth(4) == Some(path)).count()
    }

    /// Waits until nothing is mounted for a volume any more.
    #[track_caller]
    pub(super) fn wait_until_unmounted(&self, volume: &str) {
        wait_for(&format!("`{volume}` to be unmounted"), SEEN_LIMIT, || {
            (self.mounts_at(&self.data(volume)) == 0).then_some(())
        });
    }

    /// How often the present boathook has said this of the volume.
    pub(super) fn times_logged(&self, message: &str, volume: &str) -> usize {
        let is_it = |line: &&Value| line["message"] == message && line["volume"] == volume;
        self.boathook.logs().iter().filter(is_it).count()
    }
}

fn creation<'a>(name: &'a str, options: &[&'a str]) -> Vec<&'a str> {
    let options = options.iter().flat_map(|it| ["-o", it]);
    ["volume", "create", "-d", "boathook"].into_iter().chain(options).chain([name]).collect()
}

/// The daemon that was built with the tests.
fn options() -> BoathookOptions<'static> {
    BoathookOptions::new(Path::new(env!("CARGO_BIN_EXE_boathook")))
}
