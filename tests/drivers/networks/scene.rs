//! A host whose engine has its networks from boathook.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

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
        let output = self.sandbox.docker(arguments);
        assert!(!output.status.success(), "docker {arguments:?} succeeds");
        output.stderr
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
        let output = self.sandbox.run(&["busybox", "sh", "-c", &request(address)]);
        output.status.success() && output.stdout.lines().last() == Some(server)
    }

    /// What a command on the host prints.
    #[track_caller]
    pub(super) fn host(&self, command: &str) -> String {
        let output = self.sandbox.run(&["sh", "-c", command]);
        assert!(output.status.success(), "{command}: {}", output.stderr);
        output.stdout
    }

    /// The names of links of ours.
    pub(super) fn links(&self) -> Vec<String> {
        let all = self.host("ip -o link");
        let names = all.lines().filter_map(|it| it.split(": ").nth(1)?.split('@').next());
        names.filter(|it| it.starts_with("bh")).map(str::to_owned).collect()
    }

    /// Waits until nothing of ours is left: no link, no rule, no address.
    #[track_caller]
    pub(super) fn wait_until_clean(&self) {
        wait_for("links and rules to go", SEEN_LIMIT, || {
            let rules = self.host("iptables-save; ip6tables-save");
            (self.links().is_empty() && !rules.contains("BOATHOOK")).then_some(())
        });
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

/// A request to a server at `ADDRESS[:PORT]`. Busybox's own client of HTTP crashes where it is static.
fn request(address: &str) -> String {
    let (host, port) = match address.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port),
        _ => (address, "80"),
    };
    let host = host.trim_matches(['[', ']']);
    format!("printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 3 {host} {port}")
}

fn options() -> BoathookOptions<'static> {
    BoathookOptions::new(Path::new(env!("CARGO_BIN_EXE_boathook")))
}
