//! What is answered to what.

use serde_json::json;
use tokio::io::AsyncWriteExt;

use crate::client::{Client, ask, ask_with_size, envelope, head, post};
use crate::world::{Judge, World, plugin, wait_for};

#[tokio::test]
async fn activation_names_the_kinds() {
    let world = World::start();
    let mut client = world.connect().await;

    let reply = client.call(post("/Plugin.Activate", "")).await;

    assert_eq!((reply.status, reply.json()), (200, json!({"Implements": ["authz"]})));
    assert_eq!(reply.header("content-type"), Some("application/vnd.docker.plugins.v1.2+json"));
}

#[tokio::test]
async fn each_decision_has_its_reply() {
    let world = World::start();
    let mut client = world.connect().await;

    for (uri, status, body) in [
        ("/allow", 200, json!({"Allow": true})),
        ("/yield", 200, json!({"Allow": true})),
        ("/deny", 200, json!({"Allow": false, "Msg": "no & never"})),
        ("/fail", 500, json!({"Allow": false, "Err": "cannot know"})),
    ] {
        let reply = client.call(ask(uri)).await;
        assert_eq!((reply.status, reply.json()), (status, body), "{uri}");
        assert_eq!(reply.header("content-type"), Some("application/vnd.docker.plugins.v1.2+json"));
        assert!(!reply.is_last());
    }
}

#[tokio::test]
async fn the_response_phase_is_asked_with_what_the_engine_answered() {
    let world = World::start();
    let mut client = world.connect().await;
    let with_status = |status: &str| {
        let body = envelope("/x").replace('}', &format!(r#","ResponseStatusCode":{status}}}"#));
        post("/AuthZPlugin.AuthZRes", body)
    };

    let allowed = client.call(with_status("201")).await;
    let denied = client.call(with_status("403")).await;
    let silent = client.call(post("/AuthZPlugin.AuthZRes", envelope("/y"))).await;

    assert_eq!(allowed.json(), json!({"Allow": true}));
    assert_eq!(denied.json(), json!({"Allow": false, "Msg": "too late"}));
    assert_eq!(silent.json(), json!({"Allow": true}));
    let told = world.judge.responses.lock().await;
    assert_eq!(*told, ["Some(201) /x", "Some(403) /x", "None /y"]);
}

#[tokio::test]
async fn what_is_not_there_is_refused_in_words() {
    let world = World::start();
    let mut client = world.connect().await;

    let unknown = client.call(post("/VolumeDriver.Create", "{}")).await;
    assert_eq!(unknown.status, 404);
    assert_eq!(unknown.json(), json!({"Err": "this plugin has no method `/VolumeDriver.Create`"}));

    let got = client.call("GET /Plugin.Activate HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!((got.status, got.header("allow")), (405, Some("POST")));
    assert_eq!(got.json(), json!({"Err": "`/Plugin.Activate` is called with POST, not GET"}));

    let put = client.call("PUT /AuthZPlugin.AuthZReq HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!((put.status, put.json()["Allow"].clone()), (405, json!(false)));
    assert!(client.call(ask("/allow")).await.status == 200, "the connection lives on");
}

#[tokio::test]
async fn a_body_that_says_nothing_is_never_allowed() {
    let world = World::start();
    let mut client = world.connect().await;

    for body in
        ["", "{}", "null", "[]", "not json", r#"{"RequestMethod":"GET","#, r#"{"RequestMethod":5}"#, "\u{0}"]
    {
        for path in ["/AuthZPlugin.AuthZReq", "/AuthZPlugin.AuthZRes"] {
            let reply = client.call(post(path, body)).await;
            assert_eq!((reply.status, &reply.json()["Allow"]), (400, &json!(false)), "{body:?}");
            assert!(!reply.json()["Err"].as_str().expect("a text").is_empty());
        }
    }
    assert!(world.judge.responses.lock().await.is_empty());
}

#[tokio::test]
async fn bytes_that_are_not_utf8_are_refused() {
    let world = World::start();
    let mut client = world.connect().await;

    let body = b"{\"RequestMethod\":\"GET\",\"RequestUri\":\"/\xff\"}";
    let reply = client.call(post("/AuthZPlugin.AuthZReq", body)).await;

    assert_eq!(reply.status, 400);
}

#[tokio::test]
async fn a_body_may_come_in_pieces_or_chunks() {
    let world = World::start();
    let mut client = world.connect().await;
    let body = envelope("/deny");
    let (first, rest) = body.split_at(9);

    let request = head("/AuthZPlugin.AuthZReq", &format!("Content-Length: {}", body.len()));
    for piece in request.as_bytes().chunks(7).chain([first.as_bytes(), rest.as_bytes()]) {
        client.send(piece).await;
        tokio::task::yield_now().await;
    }
    let in_pieces = client.reply().await.expect("an answer");
    let chunks =
        format!("{:x}\r\n{first}\r\n{:x};ext\r\n{rest}\r\n0\r\nTrailer: x\r\n\r\n", first.len(), rest.len());
    let in_chunks = client.call(head("/AuthZPlugin.AuthZReq", "Transfer-Encoding: chunked") + &chunks).await;

    assert_eq!(in_pieces.json()["Msg"], "no & never");
    assert_eq!(in_chunks.json()["Msg"], "no & never");
}

#[tokio::test]
async fn a_body_of_the_largest_engine_request_is_read() {
    let world = World::start();
    let mut client = world.connect().await;

    let reply = client.call(ask_with_size("/deny", 4 * 1024 * 1024 * 4 / 3 + 1000)).await;

    assert_eq!(reply.json()["Msg"], "no & never");
}

#[tokio::test]
async fn a_panic_costs_one_call_and_not_the_connection() {
    let world = World::start();
    let mut client = world.connect().await;

    for uri in ["/panic", "/panic-later"] {
        let reply = client.call(ask(uri)).await;
        assert_eq!((reply.status, &reply.json()["Allow"]), (500, &json!(false)));
        let told = reply.json()["Err"].as_str().map(str::to_owned).expect("a text");
        assert!(told.contains("panicked") && !told.contains("asked to"), "{told}");
    }
    assert_eq!(client.call(ask("/allow")).await.status, 200);
}

#[tokio::test]
async fn calls_that_wait_do_not_wait_for_each_other() {
    let world = World::start();
    let mut clients = Vec::new();
    for _ in 0..20 {
        let mut client = world.connect().await;
        client.send(ask("/wait")).await;
        clients.push(client);
    }

    wait_for(&world.judge.entered, 20).await;
    world.judge.gate.add_permits(20);

    for client in &mut clients {
        assert_eq!(client.reply().await.expect("an answer").status, 200);
    }
}

#[tokio::test]
async fn a_request_that_is_sent_ahead_is_answered_in_its_turn() {
    let world = World::start();
    let mut client = world.connect().await;

    client.send([ask("/deny"), ask("/yield"), ask("/fail")].concat()).await;

    let mut statuses = Vec::new();
    for _ in 0..3 {
        let reply = client.reply().await.expect("an answer");
        statuses.push((reply.status, reply.json()["Allow"] == true));
    }
    assert_eq!(statuses, [(200, false), (200, true), (500, false)]);
}

#[tokio::test]
async fn a_client_that_has_shut_down_its_side_is_answered() {
    let world = World::start();
    let mut client = world.connect().await;

    client.send(ask("/wait")).await;
    client.stream.shutdown().await.expect("half of the connection can be shut down");
    wait_for(&world.judge.entered, 1).await;
    world.judge.gate.add_permits(1);

    assert_eq!(client.reply().await.expect("an answer").status, 200);
    assert!(client.ends().await);
}

#[tokio::test]
async fn a_client_that_goes_away_does_not_end_its_call() {
    let world = World::start();
    let mut client = world.connect().await;
    client.send(ask("/wait")).await;
    wait_for(&world.judge.entered, 1).await;

    drop(client);
    let mut other = world.connect().await;
    assert_eq!(other.call(ask("/allow")).await.status, 200);
    world.judge.gate.add_permits(1);

    wait_for(&world.judge.finished, 1).await;
}

#[tokio::test]
async fn garbage_ends_one_connection_only() {
    let world = World::start();
    for garbage in [&b"\x16\x03\x01\x02\x00\x01\x00"[..], b"GET\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"]
    {
        let mut client = world.connect().await;
        client.send(garbage).await;
        client.stream.shutdown().await.expect("half of the connection can be shut down");

        while let Some(reply) = client.reply().await {
            assert!(reply.status >= 400, "{reply:?}");
        }
    }
    assert_eq!(world.connect().await.call(ask("/allow")).await.status, 200);
}

#[tokio::test]
async fn one_plugin_is_served_on_several_sockets() {
    let judge = Judge::new();
    let plugin = plugin(&judge);
    let folder = tempfile::tempdir().expect("a folder");
    let mut served = Vec::new();
    for name in ["a.sock", "b.sock"] {
        let path = folder.path().join(name);
        let listener = docker_plugin_sdk::Socket::new(&path).bind().expect("the path is free");
        served.push((path, crate::world::serve(&plugin, listener, crate::world::FOR_EVER)));
    }

    for (path, _) in &served {
        let mut client = Client::connect(path).await.expect("the plugin listens");
        assert_eq!(client.call(ask("/deny")).await.json()["Msg"], "no & never");
    }
}

#[tokio::test]
async fn a_body_that_ends_early_is_not_a_call() {
    let world = World::start();
    let mut client = world.connect().await;

    client.send(head("/AuthZPlugin.AuthZReq", "Content-Length: 100") + "{").await;
    client.stream.shutdown().await.expect("half of the connection can be shut down");

    let reply = client.reply().await.expect("an answer");
    assert_eq!((reply.status, &reply.json()["Allow"]), (400, &json!(false)));
    assert!(reply.is_last());
}
