//! A host whose engine has its networks from boathook.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use crate::drivers::host::{is_clean, links, reads, request};
use crate::engine::{Boathook, BoathookOptions, Dockerd, DockerdOptions, Generation, Sandbox, wait_for};

/// For a server in a container to listen, and for what happens behind a call to have happened.
const SEEN_LIMIT: Duration = Duration::from_secs(60);

/// A host with an engine, an image and a boathook that makes networks.
pub(super) struct Scene {
    pub(super) boathook: Boathook,
    pub(super) dockerd: Dockerd,
    pub(super) sandbox: Sandbox,
    config: String,
}

impl Scene {
    pub(super) fn start(on: Generation) -> Option<Scene> {
        Scene::start_with(on, "", |_| ())
    }

    /// With more lines in the configuration, and more files.
    pub(super) fn start_with(on: Generation, more: &str, prepare: impl FnOnce(&Sandbox)) -> Option<Scene> {
        let sandbox = Sandbox::available_on(on)?;
        prepare(&sandbox);
        let mut config = format!("version: 1\nstate_dir: {}/state\n", sandbox.dir().display());
        writeln!(config, "plugin: {{kinds: [network]}}\nreconcile: {{every: 5s}}\n{more}")
            .expect("text grows");
        let boathook = sandbox.start_boathook(&config, options());
        let dockerd = sandbox.start_dockerd(DockerdOptions::default());
        sandbox.import_busybox();
        Some(Scene { boathook, dockerd, sandbox, config })
    }

    pub(super) fn docker(&self, arguments: &[&str]) -> String {
        self.sandbox.docker_ok(arguments)
    }

    /// Runs the docker client, which fails; what it says.
    #[track_caller]
    pub(super) fn refused(&self, arguments: &[&str]) -> String {
        self.sandbox.docker_refused(arguments)
    }

    /// Makes a network of ours.
    #[track_caller]
    pub(super) fn network(&self, name: &str, options: &[&str]) -> String {
        let arguments = [&["network", "create", "-d", "boathook"], options, &[name]].concat();
        self.docker(&arguments)
    }

    /// Runs a container that answers `NAME` by HTTP on port 80, and waits until it does.
    #[track_caller]
    pub(super) fn serve(&self, name: &str, network: &str, options: &[&str]) {
        self.run(name, network, options);
        wait_for("the server to listen", SEEN_LIMIT, || self.says(name, name, "127.0.0.1").then_some(()));
    }

    /// As [`Scene::serve`], without waiting.
    #[track_caller]
    pub(super) fn run(&self, name: &str, network: &str, options: &[&str]) {
        let server = format!("mkdir -p /www; echo {name} > /www/index.html; exec httpd -f -p 80 -h /www");
        let front = ["run", "-d", "--name", name, "--network", network];
        self.docker(&[&front, options, &["busybox:test", "sh", "-c", &server]].concat());
    }

    /// What a command in a container prints, trimmed; `None`: it fails.
    pub(super) fn inside(&self, container: &str, command: &str) -> Option<String> {
        let output = self.sandbox.docker(&["exec", container, "sh", "-c", command]);
        output.status.success().then(|| output.stdout.trim().to_owned())
    }

    /// Whether `container` reads what `server` answers when it asks at `address`.
    pub(super) fn says(&self, server: &str, container: &str, address: &str) -> bool {
        self.inside(container, &request(address)).is_some_and(|it| it.lines().last() == Some(server))
    }

    /// Whether the host reads what `server` answers when it asks at `address`.
    pub(super) fn host_reads(&self, server: &str, address: &str) -> bool {
        reads(&self.sandbox, address, server)
    }

    /// What a command on the host prints.
    #[track_caller]
    pub(super) fn host(&self, command: &str) -> String {
        self.sandbox.shell(command)
    }

    /// The names of links of ours.
    pub(super) fn links(&self) -> Vec<String> {
        links(&self.sandbox)
    }

    /// Waits until nothing of ours is left: no link, no rule, no address.
    #[track_caller]
    pub(super) fn wait_until_clean(&self) {
        self.wait_until("links and rules to go", |it| is_clean(&it.sandbox));
    }

    /// Waits until `is_so`.
    #[track_caller]
    pub(super) fn wait_until(&self, what: &str, mut is_so: impl FnMut(&Scene) -> bool) {
        wait_for(what, SEEN_LIMIT, || is_so(self).then_some(()));
    }

    /// Kills boathook, and starts another.
    #[track_caller]
    pub(super) fn kill_boathook(&mut self) {
        self.boathook.kill9();
        self.start_boathook();
    }

    /// Starts another boathook; the one before has ended.
    #[track_caller]
    pub(super) fn start_boathook(&mut self) {
        self.boathook = self.sandbox.start_boathook(&self.config, options());
    }

    /// As [`Scene::start_boathook`], under another name.
    #[track_caller]
    pub(super) fn start_boathook_as(&mut self, plugin: &str) {
        let config = self.config.replace("plugin: {", &format!("plugin: {{name: {plugin}, "));
        self.boathook = self.sandbox.start_boathook(&config, BoathookOptions { plugin, ..options() });
    }

    /// A value of what `docker inspect` tells.
    #[track_caller]
    pub(super) fn inspect(&self, what: &str, format: &str) -> String {
        self.docker(&["inspect", "-f", format, what])
    }

    #[track_caller]
    pub(super) fn address(&self, container: &str) -> String {
        self.inspect(container, "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}")
    }
}

fn options() -> BoathookOptions<'static> {
    BoathookOptions::new(Path::new(env!("CARGO_BIN_EXE_boathook")))
}
