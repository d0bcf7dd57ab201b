//! A host on which a recipe has been dropped in.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::drivers::host;
use crate::engine::{Boathook, BoathookOptions, Dockerd, DockerdOptions, Generation, Sandbox, wait_for};

/// For what a recipe does to be seen. Its scripts take milliseconds, a comparison comes every few seconds.
const SEEN_LIMIT: Duration = Duration::from_secs(60);

/// A host with an engine, an image, and a boathook with a recipe.
pub(super) struct Scene {
    boathook: Boathook,
    _dockerd: Dockerd,
    pub(super) sandbox: Sandbox,
    config: String,
}

impl Scene {
    /// Drops in the recipe called `name`. `values` are what an operator would change in it: what stands there,
    /// and what then does. `DIR` is the sandbox's folder.
    pub(super) fn start(on: Generation, name: &str, values: &[(&str, &str)]) -> Option<Scene> {
        let sandbox = Sandbox::available_on(on)?;
        drop_in(&sandbox, name, values);
        let dir = sandbox.dir().display();
        let config = format!(
            "version: 1\nstate_dir: {dir}/state\nplugin: {{kinds: [authz, network, volume]}}\n\
             reconcile: {{every: 5s}}\n"
        );
        let boathook = sandbox.start_boathook(&config, options());
        let plugin = DockerdOptions { authorization_plugin: Some("boathook"), ..DockerdOptions::default() };
        let dockerd = sandbox.start_dockerd(plugin);
        sandbox.import_busybox();
        let scene = Scene { boathook, _dockerd: dockerd, sandbox, config };
        scene.wait_until_it_follows();
        Some(scene)
    }

    #[track_caller]
    fn wait_until_it_follows(&self) {
        self.boathook
            .wait_for_log("boathook to follow", |line| line["message"] == "following docker's events");
    }

    /// Kills boathook, and starts another.
    #[track_caller]
    pub(super) fn kill_boathook(&mut self) {
        self.boathook.kill9();
        self.boathook = self.sandbox.start_boathook(&self.config, options());
        self.wait_until_it_follows();
    }

    #[track_caller]
    pub(super) fn docker(&self, arguments: &[&str]) -> String {
        self.sandbox.docker_ok(arguments)
    }

    /// Runs the docker client, which fails; what it says.
    #[track_caller]
    pub(super) fn refused(&self, arguments: &[&str]) -> String {
        self.sandbox.docker_refused(arguments)
    }

    /// What a command on the host prints, trimmed.
    #[track_caller]
    pub(super) fn host(&self, command: &str) -> String {
        self.sandbox.shell(command).trim().to_owned()
    }

    /// Whether a command on the host succeeds.
    pub(super) fn holds(&self, command: &str) -> bool {
        self.sandbox.run(&["sh", "-c", command]).status.success()
    }

    #[track_caller]
    pub(super) fn wait_until(&self, what: &str, mut is_so: impl FnMut(&Scene) -> bool) {
        wait_for(what, SEEN_LIMIT, || is_so(self).then_some(()));
    }

    /// Runs a container that answers any request on these ports with a word, and returns its id.
    #[track_caller]
    pub(super) fn serve(&self, name: &str, ports: &[u16], options: &[&str]) -> String {
        let servers: String = ports.iter().map(|it| format!("httpd -p {it} -h /www; ")).collect();
        let script = format!("mkdir /www; echo hello > /www/index.html; {servers} exec sleep 1000");
        let front = ["run", "-d", "--name", name];
        let id = self.docker(&[&front, options, &["busybox:test", "sh", "-c", &script]].concat());
        let listens = format!("netstat -ltn | grep -q ':{} '", ports.last().expect("a port"));
        self.wait_until("the servers to listen", |it| {
            it.sandbox.docker(&["exec", name, "sh", "-c", &listens]).status.success()
        });
        id
    }

    #[track_caller]
    pub(super) fn address(&self, container: &str) -> String {
        self.docker(&["inspect", "-f", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", container])
    }
}

/// A command that asks a server for the page of [`Scene::serve`], and fails without it.
pub(super) fn request(address: &str, port: u16) -> String {
    format!("{} | grep -q hello", host::request(&format!("{address}:{port}")))
}

fn drop_in(sandbox: &Sandbox, name: &str, values: &[(&str, &str)]) {
    let recipes = Path::new(env!("CARGO_MANIFEST_DIR")).join("hooks/recipes");
    let read = |ending: &str| {
        fs::read_to_string(recipes.join(format!("{name}.{ending}"))).expect("a recipe is two files")
    };
    let mut yaml = read("yaml");
    let dir = sandbox.dir().to_str().expect("a path of ours is text");
    for (from, to) in values {
        assert!(yaml.contains(from), "`{from}` is not in the recipe");
        yaml = yaml.replace(from, &to.replace("DIR", dir));
    }
    sandbox.write(&format!("hooks.d/{name}.yaml"), &yaml);
    sandbox.write_program(&format!("hooks.d/{name}.sh"), &read("sh"));
}

fn options() -> BoathookOptions<'static> {
    BoathookOptions::new(Path::new(env!("CARGO_BIN_EXE_boathook")))
}
