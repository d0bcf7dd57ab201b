//! A restart loses nothing.
//!
//! What a client may see is what the engine's own makes good: a refused connection, or a kept-alive
//! connection on which the first byte of a request cannot be written. Both it repeats whole. Everything else
//! costs it the body.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use docker_plugin_sdk::authorization::{Authorization, Decision, Request};
use docker_plugin_sdk::{Drained, Listener, Plugin, Socket};
use tokio::io::AsyncWriteExt;
use tokio::select;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::client::{Client, ask, ask_with_size, envelope, head};
use crate::world::{FOR_EVER, World, serve, wait_for};

/// How often the server is replaced under load, and how many calls each one answers before.
const RESTARTS: u32 = 100;
const CALLS_EACH: u32 = 200;

fn counts(drained: Drained) -> (u64, u64) {
    (drained.answered, drained.cut_off)
}

#[tokio::test]
async fn calls_in_flight_are_answered_while_a_successor_serves() {
    let world = World::start();
    let judge = Arc::clone(&world.judge);
    let mut client = world.connect().await;
    client.send(ask("/wait")).await;
    wait_for(&judge.entered, 1).await;

    let path = world.path();
    let stopping = world.stop();
    stopping.has_left().await;
    let successor = stopping.successor();
    assert_eq!(successor.connect().await.call(ask("/deny")).await.status, 200);
    judge.gate.add_permits(1);

    let reply = client.reply().await.expect("an answer");
    assert_eq!((reply.status, reply.is_last()), (200, true));
    assert!(client.ends().await);
    assert_eq!(counts(stopping.drained().await), (1, 0));
    assert!(path.exists(), "the path is the successor's");
    assert_eq!(successor.connect().await.call(ask("/deny")).await.status, 200);
}

#[tokio::test]
async fn a_call_that_has_just_come_on_an_idle_connection_is_answered() {
    let world = World::start();
    let mut client = world.connect().await;
    assert_eq!(client.call(ask("/allow")).await.status, 200);

    // Nothing is awaited in between, so the server learns both at once.
    let request = ask("/deny");
    assert_eq!(client.stream.try_write(&request).expect("the connection is open"), request.len());
    let stopping = world.stop();

    let reply = client.reply().await.expect("an answer");
    assert_eq!((&reply.json()["Msg"], reply.is_last()), (&"no & never".into(), true));
    assert_eq!(counts(stopping.drained().await), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_may_make_one_more_call() {
    let world = World::start();
    let mut client = world.connect().await;
    assert_eq!(client.call(ask("/allow")).await.status, 200);

    let stopping = world.stop();
    stopping.has_left().await;
    tokio::time::sleep(Duration::from_millis(400)).await;
    let reply = client.call(ask("/deny")).await;

    assert_eq!((&reply.json()["Msg"], reply.is_last()), (&"no & never".into(), true));
    assert!(client.ends().await);
    assert_eq!(counts(stopping.drained().await), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_takes_no_byte_of_a_later_call() {
    let world = World::start();
    let mut client = world.connect().await;
    assert_eq!(client.call(ask("/allow")).await.status, 200);

    let since = Instant::now();
    assert_eq!(counts(world.stop().drained().await), (0, 0));

    assert_eq!(since.elapsed().as_millis() / 100, 5);
    let refused = client.stream.write(b"P").await.expect_err("nobody reads");
    assert_eq!(refused.kind(), ErrorKind::BrokenPipe);
    assert!(client.ends().await);
}

#[tokio::test]
async fn whoever_connected_before_is_answered_though_nobody_had_accepted() {
    let world = World::start();
    let mut waiting = Vec::new();
    for _ in 0..30 {
        // A connect on a Unix socket is done at once, and with no await in between nobody accepts.
        let stream = std::os::unix::net::UnixStream::connect(world.path()).expect("the plugin listens");
        std::io::Write::write_all(&mut &stream, &ask("/yield")).expect("there is room in the socket");
        waiting.push(stream);
    }
    let stopping = world.stop();

    assert_eq!(counts(stopping.drained().await), (30, 0));
    for mut stream in waiting {
        let mut reply = String::new();
        std::io::Read::read_to_string(&mut stream, &mut reply).expect("the reply is text");
        assert!(reply.starts_with("HTTP/1.1 200 OK\r\n") && reply.ends_with(r#"{"Allow":true}"#), "{reply}");
    }
}

#[tokio::test]
async fn a_request_of_which_a_part_has_come_is_answered() {
    let world = World::start();
    let body = envelope("/deny");
    let request = head("/AuthZPlugin.AuthZReq", &format!("Content-Length: {}", body.len())) + &body;
    let mut halves = Vec::new();
    for (middle, used) in [(20, false), (20, true), (request.len() - 5, false), (request.len() - 5, true)] {
        let mut client = world.connect().await;
        if used {
            assert_eq!(client.call(ask("/allow")).await.status, 200);
        }
        let (first, rest) = request.split_at(middle);
        client.send(first).await;
        halves.push((client, rest));
    }

    let stopping = world.stop();
    stopping.has_left().await;
    for (client, rest) in &mut halves {
        client.send(rest).await;
        let reply = client.reply().await.expect("an answer");
        assert_eq!((&reply.json()["Msg"], reply.is_last()), (&"no & never".into(), true));
    }
    assert_eq!(counts(stopping.drained().await), (4, 0));
}

#[tokio::test(start_paused = true)]
async fn a_connection_without_a_call_has_a_moment_for_its_first() {
    let world = World::start();
    let mut silent = world.connect().await;
    let mut late = world.connect().await;

    let since = Instant::now();
    let stopping = world.stop();
    stopping.has_left().await;
    tokio::time::sleep(Duration::from_millis(900)).await;
    let reply = late.call(ask("/allow")).await;

    assert_eq!((reply.status, reply.is_last()), (200, true));
    assert!(silent.ends().await);
    let refused = silent.stream.write(b"P").await.expect_err("nobody reads");
    assert_eq!(refused.kind(), ErrorKind::BrokenPipe);
    assert_eq!(counts(stopping.drained().await), (1, 0));
    assert_eq!(since.elapsed().as_secs(), 1);
}

#[tokio::test]
async fn the_limit_cuts_off_what_is_left_and_counts_it() {
    let world = World::with_limit(Duration::from_millis(50));
    let judge = Arc::clone(&world.judge);
    let mut calling = world.connect().await;
    let mut sending = world.connect().await;
    let mut answered = world.connect().await;
    for client in [&mut calling, &mut answered] {
        client.send(ask("/wait")).await;
    }
    wait_for(&judge.entered, 2).await;
    sending.send(&ask("/allow")[..30]).await;

    let stopping = world.stop();
    stopping.has_left().await;
    // Whichever of the two it is.
    judge.gate.add_permits(1);

    assert_eq!(counts(stopping.drained().await), (1, 2));
    assert!(sending.ends().await);
    let replies = [calling.reply().await, answered.reply().await];
    assert_eq!(replies.iter().flatten().count(), 1);

    // The other one still runs.
    wait_for(&judge.finished, 1).await;
    judge.gate.add_permits(1);
    wait_for(&judge.finished, 1).await;
}

#[tokio::test]
async fn a_drain_of_nothing_ends_at_once() {
    let world = World::start();
    let path = world.path();

    assert_eq!(counts(world.stop().drained().await), (0, 0));

    assert!(!path.exists());
}

#[tokio::test]
async fn a_server_that_is_dropped_leaves_its_path() {
    let world = World::start();
    let path = world.path();
    let mut client = world.connect().await;
    client.send(ask("/never")).await;

    world.abort().await;

    assert!(client.ends().await);
    assert!(!path.exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_restarts_under_load_lose_no_call() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("it.sock");
    let load = Arc::new(Load::default());
    let mut clients = JoinSet::new();
    for habit in [Habit::Keeps, Habit::Closes].repeat(4) {
        clients.spawn(Arc::clone(&load).run(path.clone(), habit));
    }

    let mut drains = Vec::new();
    for _ in 0..RESTARTS {
        let answered = Arc::new(Semaphore::new(0));
        let plugin = Plugin::builder().authorization(Counting(Arc::clone(&answered))).build();
        let (stop, served) = serve(&plugin, bind_when_free(&path).await, FOR_EVER);
        select! {
            () = wait_for(&answered, CALLS_EACH) => {}
            Some(ended) = clients.join_next() => ended.expect("no call is lost"),
        }
        stop.send(()).expect("the plugin is being served");
        // The next one does not wait for the end of this drain.
        drains.push(served);
    }
    // Somebody must answer the last calls of the clients.
    let last = Plugin::builder().authorization(Counting(Arc::new(Semaphore::new(0)))).build();
    let (stop, served) = serve(&last, bind_when_free(&path).await, FOR_EVER);
    load.enough.store(true, Ordering::SeqCst);
    while let Some(ended) = clients.join_next().await {
        ended.expect("no call is lost");
    }
    stop.send(()).expect("the plugin is being served");
    drains.push(served);

    let mut answered = 0;
    for drain in drains {
        let drained = drain.await.expect("the server does not panic");
        assert_eq!(drained.cut_off, 0);
        answered += drained.answered;
    }
    assert!(load.answered.load(Ordering::SeqCst) >= u64::from(RESTARTS * CALLS_EACH));
    assert!(answered > 0, "no drain met a call, so this tested nothing");
}

async fn bind_when_free(path: &Path) -> Listener {
    while path.exists() {
        tokio::task::yield_now().await;
    }
    Socket::new(path).bind().expect("whoever had the path has left it")
}

/// Allows, half of the time not at once, and counts.
struct Counting(Arc<Semaphore>);

impl Authorization for Counting {
    async fn request(&self, request: Request<'_>) -> Decision {
        if request.uri == "/yield" {
            tokio::task::yield_now().await;
        }
        self.0.add_permits(1);
        Decision::Allow
    }
}

/// What a client does with a connection after a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Habit {
    Keeps,
    Closes,
}

/// Clients that call as fast as they are answered, and repeat what Go's client would repeat whole.
#[derive(Default)]
struct Load {
    enough: AtomicBool,
    answered: AtomicU64,
}

impl Load {
    async fn run(self: Arc<Self>, path: PathBuf, habit: Habit) {
        let mut kept = None;
        for turn in 0_u64.. {
            if self.enough.load(Ordering::SeqCst) {
                return;
            }
            let uri = if turn % 2 == 0 { "/allow" } else { "/yield" };
            // Below the 4 KiB that Go's client sends in one write.
            kept = call_like_go(&path, kept, &ask_with_size(uri, 3500)).await;
            self.answered.fetch_add(1, Ordering::SeqCst);
            if habit == Habit::Closes {
                kept = None;
            }
        }
    }
}

/// One call, on a kept connection or on new ones until one is accepted. Gives back the connection if it can
/// be kept.
async fn call_like_go(path: &Path, kept: Option<Client>, request: &[u8]) -> Option<Client> {
    if let Some(mut client) = kept {
        match client.stream.write(request).await {
            Ok(size) => return answered(client, size == request.len()).await,
            Err(error) => assert_eq!(error.kind(), ErrorKind::BrokenPipe, "nothing was taken"),
        }
    }
    loop {
        match Client::connect(path).await {
            Ok(mut client) => {
                let size = client.stream.write(request).await.expect("whoever accepts takes the first call");
                return answered(client, size == request.len()).await;
            }
            Err(error) => {
                let between_two = [ErrorKind::NotFound, ErrorKind::ConnectionRefused];
                assert!(between_two.contains(&error.kind()), "{error:?}");
                tokio::task::yield_now().await;
            }
        }
    }
}

async fn answered(mut client: Client, whole: bool) -> Option<Client> {
    assert!(whole, "a request was torn");
    let reply = client.reply().await.expect("a call that was taken is answered");
    assert_eq!((reply.status, &*reply.body), (200, &br#"{"Allow":true}"#[..]));
    (!reply.is_last()).then_some(client)
}
