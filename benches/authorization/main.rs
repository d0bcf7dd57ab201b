//! What an authorization call costs, next to a hyper server that answers a constant.
//!
//! Servers run on one core, each in a process of its own, and answer a client that no library slows down.
//! With one connection client and server share the core: their turns add up, and nobody spins. With eight the
//! client has the other core, and what counts is how many calls the server answers. Processor time of
//! the server alone is taken as well.
//!
//! Families of rows, to be named on the command line: `get`, `start`, `create`, `large`, `list`,
//! `ping`.

pub mod calls;
pub mod client;
#[path = "../../tests/engine/mod.rs"]
pub mod engine;
pub mod floor;
#[path = "../measure/mod.rs"]
pub mod measure;
pub mod ping;
#[path = "../played/mod.rs"]
pub mod played;

use std::env;
use std::fmt::Write as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use client::{Call, Client};
use floor::Floor;
use measure::{Arguments, Contender, Core, Daemon, Figure, Kept, Reach, Report, Row, Sample, Scratch, Unit};
use measure::{contest, daemon_program, on_core};
use played::Played;

/// Where servers run; and where their client does while there is one connection.
const SERVERS: Core = Core::Number(0);

/// Where the client of eight connections runs.
const BUSY_CLIENT: Core = Core::Number(1);

/// How often everybody has a turn.
///
/// Many short rounds rather than few long ones: on a machine that has other things to do, some of them are
/// left alone.
const ROUNDS: usize = 40;

/// How many hooks there are where there are many.
const HOOKS: usize = 200;

/// For a server to listen.
const START_LIMIT: Duration = Duration::from_secs(10);

fn main() {
    let arguments = Arguments::read();
    if let [role, name, socket] = arguments.role.as_slice() {
        assert_eq!(role, "floor", "a role that is played");
        return Floor::from_name(name).expect("a floor").serve(Path::new(socket));
    }
    let mut report = Report::default();
    let families = ["get", "start", "create", "large", "list"];
    if families.into_iter().any(|it| arguments.wants(it)) {
        Servers::start().measure(&arguments, &mut report);
    }
    if arguments.wants("ping") {
        ping::measure(&mut report);
    }
    report.write(arguments.json);
}

/// Everybody who answers calls here, and whom they need for it.
struct Servers {
    constant: Server,
    parse: Server,
    no_hooks: Server,
    hooks: Server,
    hooks_and_gate: Server,
    _played: Played,
    _scratch: Scratch,
}

/// One who answers calls.
struct Server {
    process: ServerProcess,
    socket: PathBuf,
}

enum ServerProcess {
    Floor(Kept),
    Boathook(Daemon),
}

impl Servers {
    fn start() -> Servers {
        let scratch = Scratch::new();
        let played = Played::open(scratch.path("docker.sock"), |_| None);
        let servers = Servers {
            constant: Server::floor(Floor::Constant, &scratch),
            parse: Server::floor(Floor::Parse, &scratch),
            no_hooks: Server::boathook(&played, "hooks: []\n"),
            hooks: Server::boathook(&played, &hooks()),
            hooks_and_gate: Server::boathook(&played, &format!("{}{GATE}", hooks())),
            _scratch: scratch,
            _played: played,
        };
        // A daemon that does not know its engine yet does less than it will.
        servers._played.wait_for_listeners(3);
        servers
    }

    fn measure(&self, arguments: &Arguments, report: &mut Report) {
        if arguments.wants("get") {
            self.measure_small("authorization call, GET, 1 connection", &[calls::list()], report);
        }
        if arguments.wants("start") {
            self.measure_small("authorization call, POST start, 1 connection", &calls::start(), report);
        }
        if arguments.wants("create") {
            self.measure_create(report);
        }
        if arguments.wants("large") {
            self.measure_large(report);
        }
        if arguments.wants("list") {
            self.measure_list(report);
        }
    }

    fn measure_small(&self, work: &str, calls: &[Call], report: &mut Report) {
        let contenders = [&self.constant, &self.no_hooks, &self.hooks];
        let [floor, no_hooks, hooks] = take_turns(contenders, |it| it.one_connection(calls, 1000));
        let row = |candidate, figure: &Figure, server: &Server| {
            let row = Row::of(work, candidate, Unit::Microseconds, figure);
            row.against("hyper, a constant", &floor, figure).resident(server.process().resident_bytes())
        };
        report.push(row("0 hooks", &no_hooks, &self.no_hooks).reach(Reach::Times(1.15)));
        report.push(row("200 hooks, none matches", &hooks, &self.hooks).reach(Reach::Times(1.25)));
    }

    fn measure_create(&self, report: &mut Report) {
        let call = calls::create(3 * 1024);
        let contenders = [&self.parse, &self.no_hooks, &self.hooks, &self.hooks_and_gate];
        let [floor, no_hooks, hooks, gate] = take_turns(contenders, |it| it.eight_connections(&call, 150));
        let row = |candidate, figure: &Figure, server: &Server| {
            let row = Row::of("3 KB create, 8 connections", candidate, Unit::PerSecond, figure);
            row.against("hyper, parses the envelope", &floor, figure)
                .resident(server.process().resident_bytes())
        };
        report.push(row("0 hooks", &no_hooks, &self.no_hooks).reach(Reach::AtLeastTimes(0.8)));
        report.push(row("200 hooks, none matches", &hooks, &self.hooks).reach(Reach::AtLeastTimes(0.5)));
        report.push(
            row("and a gate reads the body", &gate, &self.hooks_and_gate).reach(Reach::AtLeastTimes(0.5)),
        );
    }

    fn measure_large(&self, report: &mut Report) {
        let call = [calls::create(1024 * 1024)];
        let contenders = [&self.parse, &self.no_hooks, &self.hooks_and_gate];
        let [floor, no_hooks, gate] = take_turns(contenders, |it| it.one_connection(&call, 8));
        let row = |candidate, figure: &Figure, server: &Server| {
            let row = Row::of("1 MiB create, 1 connection", candidate, Unit::Microseconds, figure);
            row.against("hyper, parses the envelope", &floor, figure)
                .resident(server.process().resident_bytes())
        };
        report.push(row("no gate reads it", &no_hooks, &self.no_hooks).reach(Reach::Times(1.2)));
        report.push(row("a gate reads it", &gate, &self.hooks_and_gate).reach(Reach::Times(2.0)));
    }

    /// The design asks for a tenth of what a plugin in Go takes, which is not here: 24.7 µs where hyper took 22,
    /// and so that much more than hyper takes here.
    fn measure_list(&self, report: &mut Report) {
        let list = [calls::list_answered()];
        let contenders = [&self.parse, &self.no_hooks, &self.hooks];
        let [floor, no_hooks, hooks] = take_turns(contenders, |it| it.one_connection(&list, 400));
        let row = |candidate, figure: &Figure| {
            let row =
                Row::of("answer with a 36 KB list, 1 connection", candidate, Unit::Microseconds, figure);
            row.against("hyper, parses the envelope", &floor, figure).reach(Reach::Times(24.7 / 22.0))
        };
        report.push(row("0 hooks", &no_hooks));
        report.push(row("200 hooks, none matches", &hooks));
    }
}

/// Lets servers take turns; each turn is what `round` makes of it.
fn take_turns<'a, const N: usize>(
    servers: [&'a Server; N],
    round: impl Fn(&'a Server) -> Contender<'a>,
) -> [Figure; N] {
    let contenders = servers.into_iter().map(round).collect();
    contest(ROUNDS, contenders).try_into().expect("a figure for each contender")
}

impl Server {
    fn floor(floor: Floor, scratch: &Scratch) -> Server {
        let socket = scratch.path(floor.name());
        let program = env::current_exe().expect("the path of this program");
        let role = ["role", "floor", floor.name()].map(AsRef::as_ref);
        let command = [&[program.as_os_str()], &role[..], &[socket.as_os_str()]].concat();
        let process = Kept::start(&command, None, &scratch.path("floor.log"), SERVERS);
        let until = Instant::now() + START_LIMIT;
        while UnixStream::connect(&socket).is_err() {
            assert!(Instant::now() < until, "the floor does not listen within {START_LIMIT:?}");
            thread::sleep(Duration::from_millis(1));
        }
        Server { process: ServerProcess::Floor(process), socket }
    }

    fn boathook(played: &Played, config: &str) -> Server {
        let program = daemon_program(env!("CARGO_BIN_EXE_boathook"));
        let daemon = Daemon::start(&program, played.socket(), config, SERVERS);
        let socket = daemon.socket().to_owned();
        Server { process: ServerProcess::Boathook(daemon), socket }
    }

    fn process(&self) -> &Kept {
        match &self.process {
            ServerProcess::Floor(kept) => kept,
            ServerProcess::Boathook(daemon) => daemon.process(),
        }
    }

    fn connect(&self) -> UnixStream {
        UnixStream::connect(&self.socket).expect("a server that listens")
    }

    /// Rounds of these calls over one connection, `count` in all, from the core of the servers.
    fn one_connection<'a>(&'a self, calls: &'a [Call], count: usize) -> Contender<'a> {
        let mut client = Client::new(self.connect());
        Contender::new(move || {
            on_core(SERVERS, || {
                self.sample(count, || {
                    for _ in 0..count / calls.len() {
                        calls.iter().for_each(|it| client.call(it));
                    }
                })
            })
        })
    }

    /// Rounds of this call over eight connections at once, `count` on each, from a core of the client's own.
    fn eight_connections<'a>(&'a self, call: &'a Call, count: usize) -> Contender<'a> {
        let mut clients: [Client; 8] = std::array::from_fn(|_| Client::sleepless(self.connect()));
        Contender::new(move || {
            on_core(BUSY_CLIENT, || {
                self.sample(count * clients.len(), || {
                    clients.iter_mut().for_each(|it| it.send(call));
                    for _ in 1..count {
                        // Seven are under way while the eighth is read and sent anew.
                        clients.iter_mut().for_each(|it| {
                            it.receive();
                            it.send(call);
                        });
                    }
                    clients.iter_mut().for_each(Client::receive);
                })
            })
        })
    }

    /// What `count` pieces of work cost, of this server's processor time as well.
    fn sample(&self, count: usize, work: impl FnOnce()) -> Sample {
        let count = u32::try_from(count).expect("a round is not that long");
        let (begun, before) = (Instant::now(), self.process().processor_time());
        work();
        let (wall, processor) = (begun.elapsed(), self.process().processor_time() - before);
        Sample { wall: wall / count, processor: Some(processor / count) }
    }
}

/// Hooks at a gate that every creation goes past, none of which means it.
fn hooks() -> String {
    let mut text = String::from("hooks:\n");
    for number in 0..HOOKS {
        let hook = format!(
            "{{name: other-{number}, at: pre_create, when: {{name: \"other-{number}-*\"}}, exec: [/bin/true]}}"
        );
        writeln!(text, "  - {hook}").expect("text grows");
    }
    text
}

/// A hook that decides by the body alone.
const GATE: &str = "  - {name: no-privileged, at: pre_create, when: {privileged: true}, deny: no}\n";
