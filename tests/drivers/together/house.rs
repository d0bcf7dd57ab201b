//! A host whose engine has everything from boathook.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use std::thread;
use std::time::Duration;

use boathook::journal::{self, Retention};

use crate::drivers::host::{is_clean, links, reads, request};
use crate::engine::{
    Boathook, BoathookOptions, Dockerd, DockerdOptions, Generation, Output, Sandbox, wait_for,
};
use crate::journal::world::look;

/// For what follows from a call, or from the start of an engine, to have happened.
const SEEN_LIMIT: Duration = Duration::from_secs(60);

/// For what nobody has any more to be taken back: the sweep's three minutes, and one in which it comes.
const SWEPT_LIMIT: Duration = Duration::from_secs(240);

/// A container's addresses, on all of its networks, as `docker inspect` prints them.
const ADDRESSES: &str = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{.GlobalIPv6Address}} {{end}}";

/// As [`ADDRESSES`], those of the gateways.
const GATEWAYS: &str = "{{range .NetworkSettings.Networks}}{{.Gateway}} {{.IPv6Gateway}} {{end}}";

/// An engine, and a boathook that is every kind of plugin to it.
pub(super) struct House {
    pub(super) boathook: Boathook,
    pub(super) dockerd: Dockerd,
    pub(super) sandbox: Sandbox,
    config: String,
}

impl House {
    /// `None`: there is no engine of this generation here, and that is allowed.
    pub(super) fn start(on: Generation) -> Option<House> {
        let sandbox = Sandbox::available_on(on)?;
        let state = sandbox.dir().join("state");
        let config = format!("version: 1\nstate_dir: {}\nreconcile: {{every: 5s}}\n", state.display());
        let boathook = sandbox.start_boathook(&config, options());
        let plugin = DockerdOptions { authorization_plugin: Some("boathook"), ..DockerdOptions::default() };
        let dockerd = sandbox.start_dockerd(plugin);
        sandbox.import_busybox();
        Some(House { boathook, dockerd, sandbox, config })
    }

    #[track_caller]
    pub(super) fn docker(&self, arguments: &[&str]) -> String {
        self.sandbox.docker_ok(arguments)
    }

    /// Runs the docker client, and meanwhile kills boathook and starts another: when, chance decides.
    #[track_caller]
    pub(super) fn docker_and_kill(&mut self, arguments: &[&str]) -> Output {
        let (sandbox, boathook, config) = (&self.sandbox, &mut self.boathook, &self.config);
        thread::scope(|scope| {
            let call = scope.spawn(|| sandbox.docker(arguments));
            thread::sleep(chance());
            boathook.kill9();
            *boathook = sandbox.start_boathook(config, options());
            call.join().expect("the client ends")
        })
    }

    /// Runs the docker client, and meanwhile kills the engine and boathook: when, chance decides.
    pub(super) fn docker_and_kill_all(&self, arguments: &[&str]) {
        thread::scope(|scope| {
            let call = scope.spawn(|| self.sandbox.docker(arguments));
            thread::sleep(chance());
            self.dockerd.kill9();
            self.boathook.kill9();
            call.join().expect("the client ends");
        });
    }

    /// Starts another boathook; the one before has ended.
    #[track_caller]
    pub(super) fn start_boathook(&mut self) {
        self.boathook = self.sandbox.start_boathook(&self.config, options());
    }

    /// Waits until a server, that of [`server`], listens.
    #[track_caller]
    pub(super) fn wait_for_server(&self, name: &str) {
        self.wait_until(&format!("{name} to listen"), |it| it.reads(name, "127.0.0.1:80", name));
    }

    /// Whether `container` reads what `server` answers at `place`, which is an address or a name, and a port.
    pub(super) fn reads(&self, container: &str, place: &str, server: &str) -> bool {
        let output = self.sandbox.docker(&["exec", container, "sh", "-c", &request(place)]);
        output.status.success() && output.stdout.lines().last() == Some(server)
    }

    /// Whether the host reads what `server` answers at `place`.
    pub(super) fn host_reads(&self, place: &str, server: &str) -> bool {
        reads(&self.sandbox, place, server)
    }

    /// What a shell on the host prints.
    #[track_caller]
    pub(super) fn host(&self, script: &str) -> String {
        self.sandbox.shell(script)
    }

    #[track_caller]
    pub(super) fn wait_until(&self, what: &str, mut is_so: impl FnMut(&House) -> bool) {
        wait_for(what, SEEN_LIMIT, || is_so(self).then_some(()));
    }

    /// The addresses of a container, those of IPv4 first if it is on one network.
    #[track_caller]
    pub(super) fn addresses(&self, container: &str) -> Vec<IpAddr> {
        parsed(&self.docker(&["inspect", "-f", ADDRESSES, container]))
    }

    /// Whom a container sends what goes elsewhere, by IPv4 first if it is on one network.
    #[track_caller]
    pub(super) fn gateways(&self, container: &str) -> Vec<IpAddr> {
        parsed(&self.docker(&["inspect", "-f", GATEWAYS, container]))
    }

    /// That no two containers that run, and no container and a gateway, have an address in common.
    #[track_caller]
    pub(super) fn assert_no_address_twice(&self) {
        let containers = self.docker(&["ps", "--format", "{{.Names}}"]);
        let gateways: Vec<_> = containers.lines().flat_map(|it| self.gateways(it)).collect();
        let mut owners: BTreeMap<_, _> = gateways.into_iter().map(|it| (it, "the gateway")).collect();
        for container in containers.lines() {
            for address in self.addresses(container) {
                let other = owners.insert(address, container);
                assert_eq!(other, None, "{container} has {address} too");
            }
        }
    }

    /// The names of links that boathook made.
    pub(super) fn links(&self) -> Vec<String> {
        links(&self.sandbox)
    }

    /// Waits until nothing is held any more. An engine whose call to give a pool or an address back was cut off
    /// only writes that into its log: it is swept when no network has had it for three minutes.
    #[track_caller]
    pub(super) fn wait_for_what_was_cut_off(&self) {
        let state = self.sandbox.dir().join("state");
        let held = || look::<u32>(&state, "SELECT count(*) FROM holding");
        wait_for("what was cut off to be swept", SWEPT_LIMIT, || (held() == 0).then_some(()));
    }

    /// Waits until neither link nor rule is left, ends boathook, and looks into its store: nothing is held.
    #[track_caller]
    pub(super) fn assert_nothing_is_left(&self) {
        self.wait_until("links and rules to go", |it| is_clean(&it.sandbox));
        assert!(self.boathook.terminate().success());
        let opened = journal::open(&self.sandbox.dir().join("state"), Retention::default());
        assert_eq!(opened.expect("there is a store").remembered.holdings, []);
    }
}

/// How to run a container that answers `name` by HTTP on port 80, with more options.
pub(super) fn server<'a>(name: &'a str, network: &'a str, options: &[&'a str]) -> Vec<&'a str> {
    let script = "mkdir -p /www; hostname > /www/index.html; exec httpd -f -p 80 -h /www";
    let front = ["run", "-d", "--name", name, "--hostname", name, "--network", network];
    [&front, options, &["busybox:test", "sh", "-c", script]].concat()
}

/// Options of a network whose driver and addresses are ours. That of IPv6 is told its subnet, because engines
/// up to 26 ask for none of their own accord.
pub(super) const NETWORK: [&str; 9] = [
    "network",
    "create",
    "-d",
    "boathook",
    "--ipam-driver",
    "boathook",
    "--ipv6",
    "--subnet",
    "fd00:90::/64",
];

/// Somewhere in a call of the client's, which takes a few hundred milliseconds.
fn chance() -> Duration {
    Duration::from_millis(fastrand::u64(0..400))
}

fn parsed(text: &str) -> Vec<IpAddr> {
    text.split_whitespace().map(|it| it.parse().unwrap_or_else(|_| panic!("`{it}` is no address"))).collect()
}

fn options() -> BoathookOptions<'static> {
    BoathookOptions::new(Path::new(env!("CARGO_BIN_EXE_boathook")))
}
