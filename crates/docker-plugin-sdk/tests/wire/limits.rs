//! What is too much, too slow or too many.
//!
//! Limits of time are met on a paused clock: it jumps ahead whenever everybody waits.

use docker_plugin_sdk::BODY_MAX;
use serde_json::json;
use tokio::time::Instant;

use crate::client::{ask, ask_with_size, head, post};
use crate::world::{World, wait_for};

#[tokio::test]
async fn a_body_that_is_announced_too_large_is_refused() {
    let world = World::start();
    let mut client = world.connect().await;

    let reply = client.call(post("/AuthZPlugin.AuthZReq", vec![b' '; BODY_MAX + 1])).await;

    assert_eq!((reply.status, &reply.json()["Allow"]), (413, &json!(false)));
    assert!(reply.is_last());
    assert!(client.ends().await);
}

#[tokio::test]
async fn a_body_that_turns_out_too_large_is_refused() {
    let world = World::start();
    let mut client = world.connect().await;
    let mut request = head("/AuthZPlugin.AuthZReq", "Transfer-Encoding: chunked").into_bytes();
    request.extend(format!("{:x}\r\n", BODY_MAX + 1).bytes());
    request.resize(request.len() + BODY_MAX + 1, b' ');
    request.extend(b"\r\n0\r\n\r\n");

    let reply = client.call(request).await;

    assert_eq!((reply.status, reply.is_last()), (413, true));
}

#[tokio::test]
async fn a_body_of_the_largest_size_is_taken() {
    let world = World::start();
    let mut client = world.connect().await;

    let reply = client.call(post("/AuthZPlugin.AuthZReq", vec![b' '; BODY_MAX])).await;

    assert_eq!(reply.status, 400, "it is read, and is no JSON");
}

#[tokio::test]
async fn large_bodies_wait_for_room_and_small_ones_pass() {
    let world = World::start();
    let large = ask_with_size("/wait", 10 * 1024 * 1024);
    let mut holders = Vec::new();
    for _ in 0..3 {
        let mut client = world.connect().await;
        client.send(&large).await;
        holders.push(client);
    }
    wait_for(&world.judge.entered, 3).await;

    let mut fourth = world.connect().await;
    let sent_in_full = tokio::spawn(async move {
        fourth.send(&large).await;
        fourth
    });
    let mut small = world.connect().await;
    for _ in 0..100 {
        assert_eq!(small.call(ask("/allow")).await.status, 200);
    }
    assert!(!sent_in_full.is_finished(), "nobody reads what there is no room for");
    assert_eq!(world.judge.entered.available_permits(), 0);

    world.judge.gate.add_permits(4);
    for client in &mut holders {
        assert_eq!(client.reply().await.expect("an answer").status, 200);
    }
    let mut fourth = sent_in_full.await.expect("the client does not panic");
    assert_eq!(fourth.reply().await.expect("an answer").status, 200);
}

#[tokio::test]
async fn headers_are_bounded_in_size_and_number() {
    let world = World::start();
    let mut many = String::new();
    for number in 0..101 {
        many += &format!("X-{number}: 1\r\n");
    }
    let large = format!("X: {}\r\n", "x".repeat(17 * 1024));
    for headers in [many, large] {
        let mut client = world.connect().await;
        let reply = client.call(format!("POST /Plugin.Activate HTTP/1.1\r\n{headers}\r\n")).await;
        assert_eq!(reply.status, 431);
    }
}

#[tokio::test(start_paused = true)]
async fn headers_that_do_not_come_end_the_connection() {
    let world = World::start();
    let mut slow = world.connect().await;
    slow.send("POST /Plugin.Activate HT").await;
    let since = Instant::now();

    assert!(slow.ends().await);
    assert_eq!(since.elapsed().as_secs(), 30);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_never_says_anything_is_closed() {
    let world = World::start();
    let mut silent = world.connect().await;
    let since = Instant::now();

    assert!(silent.ends().await);
    assert_eq!(since.elapsed().as_secs(), 30);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_was_used_may_rest_for_ever() {
    let world = World::start();
    let mut client = world.connect().await;
    assert_eq!(client.call(ask("/allow")).await.status, 200);

    tokio::time::sleep(std::time::Duration::from_secs(86_400)).await;

    assert_eq!(client.call(ask("/allow")).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let world = World::start();
    let mut slow = world.connect().await;
    slow.send(head("/AuthZPlugin.AuthZReq", "Content-Length: 100") + "{").await;
    let since = Instant::now();

    let reply = slow.reply().await.expect("an answer");

    assert_eq!((reply.status, reply.is_last()), (408, true));
    assert_eq!(since.elapsed().as_secs(), 30);
}
