//! A host whose boathook gives out addresses, asked by an engine or over its socket.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use boathook::journal::{self, Retention};
use boathook::run::HoldingKind;
use serde_json::{Value, json};

use crate::engine::{Boathook, BoathookOptions, Dockerd, DockerdOptions, Generation, Sandbox};

/// For one answer: a commit takes milliseconds, and a busy machine its time.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);

/// A boathook that gives out addresses.
pub(super) struct World {
    pub(super) boathook: Boathook,
    pub(super) sandbox: Sandbox,
    config: String,
}

impl World {
    /// Without an engine. `None`: there can be no sandbox here.
    pub(super) fn alone(ipam: &str) -> Option<World> {
        Some(World::on(Sandbox::available()?, ipam))
    }

    /// Without an engine, and with a store on a disk of its own that is soon full.
    pub(super) fn on_small_disk(ipam: &str) -> Option<World> {
        let sandbox = Sandbox::available()?;
        let state = sandbox.dir().join("state").display().to_string();
        fs::create_dir(&state).expect("make a folder in the sandbox's");
        let mounted = sandbox.run(&["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", &state]);
        assert!(mounted.status.success(), "{}", mounted.stderr);
        Some(World::on(sandbox, ipam))
    }

    /// Fills the disk of the store. What is written before it is noticed may have found room still.
    pub(super) fn fill_disk(&self) {
        let filler = self.filler();
        let filled = self.sandbox.run(&["sh", "-c", "cat /dev/zero > \"$1\"; test -s \"$1\"", "sh", &filler]);
        assert!(filled.status.success(), "{}", filled.stderr);
    }

    /// Makes room on the disk of the store.
    pub(super) fn make_room(&self) {
        assert!(self.sandbox.run(&["rm", &self.filler()]).status.success());
    }

    fn filler(&self) -> String {
        self.sandbox.dir().join("state/filler").display().to_string()
    }

    /// With an engine of this generation, and an image.
    pub(super) fn with_engine(on: Generation, ipam: &str) -> Option<(World, Dockerd)> {
        let world = World::on(Sandbox::available_on(on)?, ipam);
        let plugin = DockerdOptions { authorization_plugin: Some("boathook"), ..DockerdOptions::default() };
        let dockerd = world.sandbox.start_dockerd(plugin);
        world.sandbox.import_busybox();
        Some((world, dockerd))
    }

    fn on(sandbox: Sandbox, ipam: &str) -> World {
        let state = sandbox.dir().join("state");
        let config = format!("version: 1\nstate_dir: {}\nipam: {ipam}\nhooks: []\n", state.display());
        let boathook = sandbox.start_boathook(&config, options());
        World { boathook, sandbox, config }
    }

    /// Ends boathook without a chance to say goodbye, and starts another one.
    pub(super) fn kill_boathook(&mut self) {
        self.boathook.kill9();
        self.boathook = self.sandbox.start_boathook(&self.config, options());
    }

    /// Adds lines to the configuration, and has it obeyed.
    pub(super) fn add(&mut self, lines: &str) {
        self.config.push_str(lines);
        self.kill_boathook();
    }

    /// A connection, as the engine makes one.
    pub(super) fn caller(&self) -> Caller {
        Caller::to(self.boathook.socket())
    }

    pub(super) fn docker(&self, arguments: &[&str]) -> String {
        self.sandbox.docker_ok(arguments)
    }

    /// Posts to the engine's API what the client cannot say.
    pub(super) fn api(&self, target: &str, body: &Value) {
        let mut engine = UnixStream::connect(self.sandbox.docker_socket()).expect("the engine listens");
        let body = body.to_string();
        let head = format!("POST {target} HTTP/1.1\r\nHost: docker\r\nContent-Type: application/json\r\n");
        let request = format!("{head}Connection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        engine.write_all(request.as_bytes()).expect("the engine reads");
        let mut answer = String::new();
        engine.read_to_string(&mut answer).expect("the engine answers");
        assert!(answer.starts_with("HTTP/1.1 201 "), "{target}: {answer}");
    }

    /// What the client complains about.
    pub(super) fn refusal(&self, arguments: &[&str]) -> String {
        self.sandbox.docker_refused(arguments)
    }

    /// Runs a container that sleeps; its first address.
    pub(super) fn run(&self, name: &str, more: &[&str]) -> String {
        let mut arguments = vec!["run", "-d", "--name", name];
        arguments.extend(more);
        arguments.extend(["busybox:test", "sleep", "1000"]);
        self.docker(&arguments);
        self.address(name)
    }

    pub(super) fn address(&self, name: &str) -> String {
        self.docker(&["inspect", "-f", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", name])
    }

    pub(super) fn remove(&self, name: &str) {
        self.docker(&["rm", "-f", name]);
    }

    /// Ends boathook as a host does; the pools and addresses on disk, by key.
    pub(super) fn holdings(&self) -> BTreeMap<String, Value> {
        assert!(self.boathook.terminate().success());
        let opened = journal::open(&self.sandbox.dir().join("state"), Retention::default());
        let held = opened.expect("there is a store").remembered.holdings;
        let ours = held.iter().filter(|it| matches!(it.kind, HoldingKind::Pool | HoldingKind::Address));
        ours.map(|it| (it.key.to_string(), it.read().expect("a document"))).collect()
    }
}

fn options() -> BoathookOptions<'static> {
    BoathookOptions::new(Path::new(env!("CARGO_BIN_EXE_boathook")))
}

/// A connection to the plugin's socket.
pub(super) struct Caller {
    stream: BufReader<UnixStream>,
}

impl Caller {
    pub(super) fn to(socket: &Path) -> Caller {
        let stream = UnixStream::connect(socket).expect("boathook listens");
        stream.set_read_timeout(Some(ANSWER_LIMIT)).expect("a socket");
        Caller { stream: BufReader::new(stream) }
    }

    /// What is answered. `None`: nothing, as boathook is gone.
    pub(super) fn call(&mut self, method: &str, body: &Value) -> Option<Value> {
        let body = body.to_string();
        let head = format!("POST /IpamDriver.{method} HTTP/1.1\r\nHost: plugin.moby.localhost\r\n");
        let request = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
        self.stream.get_mut().write_all(request.as_bytes()).ok()?;
        let mut length = None;
        let mut line = String::new();
        loop {
            line.clear();
            if self.stream.read_line(&mut line).ok()? == 0 {
                return None;
            }
            match line.trim_end().to_ascii_lowercase().split_once(": ") {
                Some(("content-length", value)) => length = value.parse().ok(),
                _ if line.trim_end().is_empty() => break,
                _ => {}
            }
        }
        let mut body = vec![0; length.expect("an answer says how long it is")];
        self.stream.read_exact(&mut body).ok()?;
        Some(serde_json::from_slice(&body).expect("an answer is JSON"))
    }

    /// The pool's id.
    pub(super) fn pool(&mut self, subnet: &str) -> String {
        let v6 = subnet.contains(':');
        let body = json!({"AddressSpace": "local", "Pool": subnet, "SubPool": "", "Options": {}, "V6": v6});
        let answer = self.call("RequestPool", &body).expect("boathook answers");
        answer["PoolID"].as_str().unwrap_or_else(|| panic!("no pool: {answer}")).to_owned()
    }

    /// An address for a container, without its prefix, or why not. `None`: boathook is gone.
    pub(super) fn address(&mut self, pool: &str, address: &str) -> Option<Result<String, String>> {
        let options = json!({"com.docker.network.endpoint.macaddress": "02:42:00:00:00:01"});
        let body = json!({"PoolID": pool, "Address": address, "Options": options});
        let answer = self.call("RequestAddress", &body)?;
        Some(match answer["Address"].as_str() {
            Some(address) => Ok(address.split('/').next().unwrap_or_default().to_owned()),
            None => Err(answer["Error"].as_str().unwrap_or_else(|| panic!("neither: {answer}")).to_owned()),
        })
    }

    /// Gives an address back. `false`: boathook is gone.
    pub(super) fn release(&mut self, pool: &str, address: &str) -> bool {
        match self.call("ReleaseAddress", &json!({"PoolID": pool, "Address": address})) {
            None => false,
            Some(answer) if answer.get("Error").is_none() => true,
            Some(answer) => panic!("{address} cannot be given back: {answer}"),
        }
    }
}
