//! Who owns a path.

use std::error::Error;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::Path;
use std::sync::Barrier;
use std::thread;

use docker_plugin_sdk::{ListenError, Socket};
use tempfile::tempdir;

use crate::client::{Client, ask};
use crate::world::{FOR_EVER, Judge, World, plugin, serve};

/// A socket file that nobody listens on, as a crash leaves it.
fn leave_stale(path: &Path) {
    drop(UnixListener::bind(path).expect("the path is free"));
}

fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder");
    entries.map(|it| it.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn mode_group_and_folder_are_as_asked() {
    let folder = tempdir().expect("a folder");
    let path = folder.path().join("docker/plugins/it.sock");
    let group = fs::metadata(folder.path()).expect("a folder").gid();

    let listener = Socket::new(&path).mode(0o660).group(group.to_string()).bind().expect("the path is free");

    let socket = fs::metadata(&path).expect("the socket");
    assert_eq!((socket.mode() & 0o7777, socket.gid()), (0o660, group));
    let parent = fs::metadata(folder.path().join("docker/plugins")).expect("the folder");
    assert_eq!(parent.mode() & 0o7777, 0o755);
    drop(listener);
}

#[test]
fn only_the_owner_can_connect_unless_told_otherwise() {
    let folder = tempdir().expect("a folder");
    let path = folder.path().join("it.sock");

    let _listener = Socket::new(&path).bind().expect("the path is free");

    assert_eq!(fs::metadata(&path).expect("the socket").mode() & 0o7777, 0o600);
}

#[test]
fn nothing_is_left_behind() {
    let folder = tempdir().expect("a folder");
    let path = folder.path().join("it.sock");

    let listener = Socket::new(&path).bind().expect("the path is free");
    assert_eq!(names_in(folder.path()), ["it.sock"]);
    drop(listener);
    assert!(names_in(folder.path()).is_empty());

    let missing_group = Socket::new(&path).group("no such group").bind();
    assert!(matches!(missing_group, Err(ListenError::NoGroup { .. })));
    assert!(names_in(folder.path()).is_empty());
}

#[tokio::test]
async fn a_stale_socket_is_replaced() {
    let folder = tempdir().expect("a folder");
    let path = folder.path().join("it.sock");
    leave_stale(&path);

    let listener = Socket::new(&path).bind().expect("nobody listens");
    let _served = serve(&plugin(&Judge::new()), listener, FOR_EVER);

    let mut client = Client::connect(&path).await.expect("the plugin listens");
    assert_eq!(client.call(ask("/allow")).await.status, 200);
}

#[tokio::test]
async fn a_live_socket_is_left_alone() {
    let world = World::start();

    let refused = Socket::new(world.path()).bind().expect_err("somebody listens");

    assert!(matches!(refused, ListenError::InUse { .. }));
    let told = format!("`{}` is in use, another process listens on it", world.path().display());
    assert_eq!(refused.to_string(), told);
    assert_eq!(world.connect().await.call(ask("/allow")).await.status, 200);
}

#[test]
fn what_is_not_a_stream_socket_is_left_alone() {
    let folder = tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    fs::write(path("file"), "precious").expect("a file");
    fs::create_dir(path("folder")).expect("a folder");
    leave_stale(&path("stale"));
    symlink(path("stale"), path("link")).expect("a link");
    let _datagrams = UnixDatagram::bind(path("datagrams")).expect("the path is free");

    for name in ["file", "folder", "link"] {
        let refused = Socket::new(path(name)).bind().expect_err(name);
        assert!(matches!(refused, ListenError::NotASocket { .. }), "{name}: {refused:?}");
    }
    let refused = Socket::new(path("datagrams")).bind().expect_err("not a stream");
    assert!(matches!(refused, ListenError::Replace { .. }), "{refused:?}");
    let mut names = names_in(folder.path());
    names.sort();
    assert_eq!(names, ["datagrams", "file", "folder", "link", "stale"]);
}

#[test]
fn a_path_too_long_for_a_socket_is_told_with_its_cause() {
    let folder = tempdir().expect("a folder");

    let refused =
        Socket::new(folder.path().join("x".repeat(120))).bind().expect_err("107 bytes are the most");

    assert!(matches!(refused, ListenError::Bind { .. }));
    assert!(refused.source().expect("a cause").to_string().contains("too long"));
    assert!(names_in(folder.path()).is_empty());
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let folder = tempdir().expect("a folder");
    fs::write(folder.path().join("file"), "").expect("a file");

    let refused = Socket::new(folder.path().join("file/it.sock")).bind().expect_err("a file is no folder");

    assert!(matches!(refused, ListenError::Folder { ref path, .. } if path.ends_with("file")));
}

#[test]
fn of_several_that_start_at_once_one_wins() {
    let folder = tempdir().expect("a folder");
    let path = folder.path().join("it.sock");
    for _ in 0..100 {
        leave_stale(&path);
        let start = Barrier::new(4);
        let results: Vec<_> = thread::scope(|scope| {
            let starting = || {
                start.wait();
                Socket::new(&path).bind()
            };
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(starting)).collect();
            threads.into_iter().map(|it| it.join().expect("no panics")).collect()
        });

        let (won, lost): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
        assert_eq!(won.len(), 1, "{lost:?}");
        assert!(lost.iter().all(|it| matches!(it, Err(ListenError::InUse { .. }))), "{lost:?}");
        drop(won);
        assert!(names_in(folder.path()).is_empty());
    }
}

#[test]
fn a_path_that_somebody_else_has_taken_over_is_not_removed() {
    let folder = tempdir().expect("a folder");
    let path = folder.path().join("it.sock");
    let ours = Socket::new(&path).bind().expect("the path is free");
    fs::remove_file(&path).expect("the file is there");
    let _theirs = UnixListener::bind(&path).expect("the path is free");

    drop(ours);

    assert_eq!(names_in(folder.path()), ["it.sock"]);
}

#[test]
fn a_lock_that_a_crash_left_locks_nothing() {
    let folder = tempdir().expect("a folder");
    let path = folder.path().join("it.sock");
    fs::write(folder.path().join("it.sock.lock"), "").expect("a file");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).expect("our folder");

    let _listener = Socket::new(&path).bind().expect("nobody holds the lock");

    assert_eq!(names_in(folder.path()), ["it.sock"]);
}
