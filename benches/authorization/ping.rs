//! What an authorization plugin adds to the smallest call of a real engine.

use std::env;
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use crate::engine::{BoathookOptions, DockerdOptions, Engine, Generation, Sandbox};
use crate::measure::{
    Contender, Core, Reach, Report, Row, Sample, Unit, contest, daemon_program, on_core, quantile,
};

/// Which engine is asked.
const GENERATION: Generation = Generation::V28_5;

/// How many pings make a round.
const PINGS: usize = 300;

/// How often everybody has a turn.
const ROUNDS: usize = 15;

/// Where engines, plugins and the client run: one after the other they answer one ping.
const ALL: Core = Core::Number(0);

/// Pings three engines in turns: without a plugin, with a hyper server that allows everything, with boathook.
///
/// # Panics
///
/// When an engine does not start, or stops answering.
pub fn measure(report: &mut Report) {
    // Whatever is started from here on stays on the core.
    let Some(engines) = on_core(ALL, Engines::start) else { return };
    let sockets = [&engines.without, &engines.constant, &engines.boathook].map(Sandbox::docker_socket);
    let contenders = sockets.iter().map(|socket| {
        let mut connection = UnixStream::connect(socket).expect("an engine that listens");
        Contender::new(move || on_core(ALL, || round(&mut connection)))
    });
    let figures = contest(ROUNDS, contenders.collect());
    let [without, constant, boathook] = figures.try_into().expect("a figure for each engine");
    let work = format!("GET /_ping through dockerd {GENERATION}");
    let work = work.as_str();
    report.push(Row::of(work, "no plugin", Unit::Microseconds, &without));
    report.push(Row::of(work, "hyper, a constant", Unit::Microseconds, &constant));
    report.push(Row::of(work, "boathook, 0 hooks", Unit::Microseconds, &boathook));
    let added = |with: f64| (with - without.best) * 1e6;
    let row = Row::value(
        "added to it by the plugin",
        "boathook, 0 hooks",
        Unit::Microseconds,
        added(boathook.best),
    );
    report.push(row.against_value("hyper, a constant", added(constant.best)).reach(Reach::Times(1.1)));
}

struct Engines {
    without: Sandbox,
    constant: Sandbox,
    boathook: Sandbox,
}

impl Engines {
    /// Three engines, or none where there can be none.
    fn start() -> Option<Engines> {
        let without = Sandbox::available_on(GENERATION)?;
        let engine = || Engine::of(GENERATION).expect("there is one already");
        let sandbox = || Sandbox::new(engine()).expect("one more sandbox");
        let (constant, boathook) = (sandbox(), sandbox());
        without.start_dockerd(DockerdOptions::default());

        let plugins = constant.dir().join("run/docker/plugins");
        fs::create_dir_all(&plugins).expect("write into the sandbox's folder");
        let socket = plugins.join("constant.sock");
        let program = env::current_exe().expect("the path of this program");
        let role = ["role", "floor", "constant"].map(AsRef::as_ref);
        constant.spawn(&[&[program.as_os_str()], &role[..], &[socket.as_os_str()]].concat());
        let plugin = |name| DockerdOptions { authorization_plugin: Some(name), ..DockerdOptions::default() };
        constant.start_dockerd(plugin("constant"));

        let program = daemon_program(env!("CARGO_BIN_EXE_boathook"));
        let options = BoathookOptions::new(&program);
        let config = format!("version: 1\nstate_dir: {}/state\nhooks: []\n", boathook.dir().display());
        boathook.start_boathook(&config, options);
        boathook.start_dockerd(plugin("boathook"));
        Some(Engines { without, constant, boathook })
    }
}

/// One round of pings. The median of it counts: an engine collects garbage now and then.
fn round(connection: &mut UnixStream) -> Sample {
    let times = (0..PINGS).map(|_| {
        let begun = Instant::now();
        ping(connection);
        begun.elapsed().as_secs_f64()
    });
    Sample { wall: Duration::from_secs_f64(quantile(times, 0.5)), processor: None }
}

fn ping(connection: &mut UnixStream) {
    let mut reply = [0; 4096];
    connection
        .write_all(b"GET /_ping HTTP/1.1\r\nHost: docker\r\n\r\n")
        .expect("write to an engine that lives");
    let mut read = 0;
    while !reply[..read].ends_with(b"\r\n\r\nOK") {
        let more = connection.read(&mut reply[read..]).expect("read from an engine that lives");
        assert!(more > 0, "the engine has closed the connection");
        read += more;
    }
}
