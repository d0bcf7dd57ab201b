//! A plugin whose socket systemd holds, in a process of its own: the example `allow_all`.

use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use tempfile::{TempDir, tempdir};

use crate::client::{Client, ask};

/// Does what systemd does: descriptors from 3 on, and the number of the process that they are for.
const ACTIVATE_ONE: &str = r#"exec 3<&0 0</dev/null; LISTEN_FDS=1 LISTEN_PID=$$ exec "$0" "$@""#;
const ACTIVATE_TWO: &str =
    r#"exec 3<&0 4<&1 0</dev/null >/dev/null; LISTEN_FDS=2 LISTEN_PID=$$ exec "$0" "$@""#;
const ACTIVATE_ANOTHER: &str = r#"exec 3<&0 0</dev/null; LISTEN_FDS=1 LISTEN_PID=1 exec "$0" "$@""#;

/// A running plugin. Killed when dropped.
struct Process(Child);

impl Process {
    /// Runs the example by a script that sees it as `$0`, with `input` and `output` for the script to pass
    /// on.
    fn start(script: &str, input: impl Into<Stdio>, output: impl Into<Stdio>, path: &Path) -> Process {
        let mut command = Command::new("sh");
        command.args(["-c", script]).arg(example()).arg(path);
        command.stdin(input).stdout(output).stderr(Stdio::piped());
        Process(command.spawn().expect("there is a shell"))
    }

    fn activated(socket: &UnixListener) -> Process {
        Process::start(ACTIVATE_ONE, copy_of(socket), Stdio::null(), Path::new("unused"))
    }

    fn terminate(mut self) -> ExitStatus {
        let killed = Command::new("kill").arg(self.0.id().to_string()).status().expect("there is a kill");
        assert!(killed.success());
        self.0.wait().expect("the process can be waited for")
    }

    /// The end of a process that gives up, and what it says.
    fn failure(mut self) -> (ExitStatus, String) {
        let told = std::io::read_to_string(self.0.stderr.take().expect("a pipe")).expect("errors are text");
        (self.0.wait().expect("the process can be waited for"), told)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

/// Beside the test's own program. Built with the tests, unless only this one is built.
fn example() -> PathBuf {
    let test = std::env::current_exe().expect("a test has a path");
    let profile = test.ancestors().nth(2).expect("tests are built in `deps`");
    let example = profile.join("examples/allow_all");
    assert!(example.exists(), "build the example first: `cargo build --example allow_all`");
    example
}

fn copy_of(socket: &UnixListener) -> Stdio {
    OwnedFd::from(socket.try_clone().expect("descriptors are left")).into()
}

/// A socket as systemd holds it.
fn held_socket() -> (TempDir, PathBuf, UnixListener) {
    let folder = tempdir().expect("a folder");
    let path = folder.path().join("it.sock");
    let socket = UnixListener::bind(&path).expect("the path is free");
    (folder, path, socket)
}

#[tokio::test]
async fn a_socket_that_was_passed_is_served_and_left_to_the_next() {
    let (_folder, path, socket) = held_socket();
    let first = Process::activated(&socket);
    let mut kept = Client::connect(&path).await.expect("the socket listens");
    assert_eq!(kept.call(ask("/allow")).await.status, 200);

    assert!(first.terminate().success());
    assert!(kept.ends().await);
    assert!(path.exists());

    // Who connects between the two waits, and is answered by the next.
    let mut between = Client::connect(&path).await.expect("the socket listens");
    between.send(ask("/allow")).await;
    let _second = Process::activated(&socket);
    assert_eq!(between.reply().await.expect("an answer").status, 200);
}

#[tokio::test]
async fn all_sockets_that_were_passed_are_served() {
    let (_one, one_path, one) = held_socket();
    let (_two, two_path, two) = held_socket();

    let _process = Process::start(ACTIVATE_TWO, copy_of(&one), copy_of(&two), Path::new("unused"));

    for path in [one_path, two_path] {
        let mut client = Client::connect(&path).await.expect("the socket listens");
        assert_eq!(client.call(ask("/allow")).await.status, 200);
    }
}

#[test]
fn a_descriptor_that_is_no_listening_socket_is_refused_in_words() {
    let no_socket = Process::start(ACTIVATE_ONE, Stdio::null(), Stdio::null(), Path::new("unused"));
    let (status, told) = no_socket.failure();
    assert!(!status.success() && told.contains("not a socket"), "{told}");

    let (ours, _theirs) = UnixStream::pair().expect("a pair");
    let connected = OwnedFd::from(ours);
    let (status, told) =
        Process::start(ACTIVATE_ONE, connected, Stdio::null(), Path::new("unused")).failure();
    assert!(!status.success() && told.contains("does not listen"), "{told}");
}

#[tokio::test]
async fn sockets_that_were_passed_to_another_process_are_not_ours() {
    let (folder, _, socket) = held_socket();
    let own = folder.path().join("own.sock");

    let process = Process::start(ACTIVATE_ANOTHER, copy_of(&socket), Stdio::null(), &own);

    let mut client = connected(&own).await;
    assert_eq!(client.call(ask("/allow")).await.status, 200);
    assert!(process.terminate().success());
    assert!(!own.exists());
}

#[tokio::test]
async fn connections_beyond_the_bound_wait_for_a_free_place() {
    let folder = tempdir().expect("a folder");
    let path = folder.path().join("it.sock");
    let mut process = Process::start(r#"exec "$0" "$@""#, Stdio::null(), Stdio::null(), &path);
    // Nobody reads what it says about each call, so it must not fill a pipe.
    let told = process.0.stderr.take().expect("a pipe");
    let reader = std::thread::spawn(move || std::io::read_to_string(told));
    let mut clients = vec![connected(&path).await];
    while clients.len() < docker_plugin_sdk::CONNECTIONS_MAX {
        clients.push(Client::connect(&path).await.expect("the socket listens"));
    }
    for client in &mut clients {
        assert_eq!(client.call(ask("/allow")).await.status, 200);
    }

    let mut waiting = Client::connect(&path).await.expect("the queue is longer");
    waiting.send(ask("/allow")).await;
    for client in &mut clients {
        assert_eq!(client.call(ask("/allow")).await.status, 200);
    }
    let mut nothing = [0];
    assert!(waiting.stream.try_read(&mut nothing).is_err(), "nobody has accepted it");

    clients.pop();
    assert_eq!(waiting.reply().await.expect("an answer").status, 200);
    drop(process);
    reader.join().expect("no panics").expect("what it says is text");
}

/// A connection to a process that is starting.
async fn connected(path: &Path) -> Client {
    loop {
        if let Ok(client) = Client::connect(path).await {
            return client;
        }
        tokio::task::yield_now().await;
    }
}
