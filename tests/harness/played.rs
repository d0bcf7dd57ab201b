//! The handle of the daemon, tried on a played one: this very program, as an authorization plugin that
//! allows everything.

use std::env;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::ExitStatusExt;
use std::thread;

use crate::engine::{Boathook, BoathookOptions, DockerdOptions, Sandbox};

/// Makes the test below that is otherwise not run play the daemon.
const PLAY: &str = "BOATHOOK_TEST_PLAY";

/// Turns signals into log lines, which the test harness around the played daemon cannot.
const PROGRAM: &str = r#"#!/bin/sh
trap 'echo "{\"message\":\"reloaded\"}" >&2' HUP
trap 'kill "$player"; exit 7' TERM
echo not json >&2
"$PLAYER" --exact harness::played::plays_the_daemon --ignored --nocapture &
player=$!
while kill -0 "$player"; do wait "$player"; done
"#;

/// A sandbox in which a played daemon listens.
fn sandbox_with_played_daemon() -> Option<(Sandbox, Boathook)> {
    let sandbox = Sandbox::available()?;
    let program = sandbox.write_program("played", PROGRAM);
    let player = env::current_exe().expect("the path of this program");
    let environment = [(PLAY, "1"), ("PLAYER", player.to_str().expect("a path of letters"))];
    let options = BoathookOptions { environment: &environment, ..BoathookOptions::new(&program) };
    let boathook = sandbox.start_boathook("version: 1\n", options);
    Some((sandbox, boathook))
}

#[test]
fn an_engine_asks_the_daemon_of_its_sandbox() {
    let Some((sandbox, boathook)) = sandbox_with_played_daemon() else { return };

    sandbox.start_dockerd(DockerdOptions {
        authorization_plugin: Some("boathook"),
        ..DockerdOptions::default()
    });

    let asked = boathook.wait_for_log("a call to be asked about", |it| it["path"] == "/AuthZPlugin.AuthZReq");
    assert_eq!(asked["message"], "asked");
    assert_eq!(boathook.logs()[0], "not json");
    let default = sandbox.run(&["docker", "--host", "unix:///var/run/docker.sock", "version"]);
    assert!(default.status.success(), "{}", default.stderr);
}

#[test]
fn a_daemon_is_told_to_reload_and_to_stop() {
    let Some((_sandbox, boathook)) = sandbox_with_played_daemon() else { return };

    boathook.hangup();
    boathook.wait_for_log("the reload", |it| it["message"] == "reloaded");
    let status = boathook.terminate();

    assert_eq!(status.code(), Some(7));
    assert!(!boathook.is_alive());
}

#[test]
fn a_daemon_is_killed() {
    let Some((_sandbox, boathook)) = sandbox_with_played_daemon() else { return };

    boathook.kill9();

    assert!(!boathook.is_alive());
    assert_eq!(boathook.process().wait(std::time::Duration::ZERO).signal(), Some(9));
}

#[test]
#[ignore = "played in a process of its own, for the tests above"]
fn plays_the_daemon() {
    if env::var_os(PLAY).is_none() {
        return;
    }
    fs::create_dir_all("/run/docker/plugins").unwrap();
    let listener = UnixListener::bind("/run/docker/plugins/boathook.sock").unwrap();
    for connection in listener.incoming() {
        thread::spawn(|| serve(connection.unwrap()).unwrap_or_default());
    }
}

/// Answers call after call, and allows what it is asked about.
fn serve(connection: UnixStream) -> io::Result<()> {
    let mut reader = BufReader::new(connection.try_clone()?);
    let mut writer = connection;
    while let Some(path) = read_call(&mut reader)? {
        writeln!(io::stderr(), "{}", serde_json::json!({"message": "asked", "path": path}))?;
        let body =
            if path == "/Plugin.Activate" { r#"{"Implements":["authz"]}"# } else { r#"{"Allow":true}"# };
        write!(writer, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())?;
    }
    Ok(())
}

/// The path of the next call, whose body is thrown away; `None` at the end of the connection.
fn read_call(reader: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let path = line.split(' ').nth(1).map(str::to_owned);
    let mut length = 0;
    while !line.trim_end().is_empty() {
        line.clear();
        reader.read_line(&mut line)?;
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().map_err(io::Error::other)?;
        }
    }
    io::copy(&mut reader.take(length), &mut io::sink())?;
    Ok(path)
}
