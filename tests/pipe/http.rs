//! Hooks that ask a server.

use std::time::{Duration, Instant};

use super::server::{Answer, Server};
use super::world::{Config, World};
use crate::engine::{DockerdOptions, Generation, Output, Sandbox};
use crate::every_engine::on_every_engine;

/// A host whose hooks ask a server that gives these answers; `URL` in a hook is its address.
fn world(on: Generation, answers: &[Answer], hooks: &[&str]) -> Option<(World, Server)> {
    let sandbox = Sandbox::available_on(on)?;
    let server = Server::start(&sandbox, answers);
    let hooks = hooks.iter().map(|it| it.replace("URL", server.url()));
    let config = hooks.fold(Config::new(), |config, hook| config.hook(&hook));
    let plugin = DockerdOptions { authorization_plugin: Some("boathook"), ..DockerdOptions::default() };
    Some((World::around(sandbox, &config, plugin), server))
}

fn create(world: &World) -> Output {
    world.sandbox.docker(&["create", "--name", "web", "-l", "a=b", "busybox:test", "true"])
}

fn say(status: u16, body: &str) -> Answer {
    Answer::Say(status, body.to_owned())
}

on_every_engine!(a_server_is_told_what_a_script_is_told_and_answers_for_the_gate);
fn a_server_is_told_what_a_script_is_told_and_answers_for_the_gate(on: Generation) {
    let hook =
        "{name: ask, at: pre_create, http: {url: \"URL/gate?a=b\", method: PUT, headers: {X-Token: t}}}";
    let answers = [say(403, r#"{"message": "not in this house"}"#), say(200, "{}")];
    let Some((world, server)) = world(on, &answers, &[hook]) else { return };

    let denied = create(&world);
    let allowed = create(&world);

    assert!(denied.stderr.contains("hook `ask`: not in this house (run "), "{}", denied.stderr);
    assert!(allowed.status.success(), "{}", allowed.stderr);
    let asked = &server.asked()[0];
    assert_eq!(asked.line, "PUT /gate?a=b HTTP/1.1");
    assert_eq!(asked.document["container"]["name"], "web");
    assert_eq!(asked.document["labels"]["a"], "b");
    assert_eq!(asked.headers["idempotency-key"], asked.document["run"].as_str().expect("an id"));
    assert_eq!((&*asked.headers["content-type"], &*asked.headers["x-token"]), ("application/json", "t"));
    assert!(!asked.headers.contains_key("x-boathook-run"), "the secret of nested calls is not for servers");
}

on_every_engine!(a_server_that_fails_is_asked_again_with_the_same_key);
fn a_server_that_fails_is_asked_again_with_the_same_key(on: Generation) {
    let hook = "{name: tell, at: post_create, http: {url: URL}, retry: {max_attempts: 2, delay: 10ms}}";
    let answers = [say(500, "not now"), say(204, "")];
    let Some((world, server)) = world(on, &answers, &[hook]) else { return };

    assert!(create(&world).status.success());

    let ended = |attempt: u64| {
        world.boathook.wait_for_log("an attempt to end", move |line| {
            line["hook"] == "tell" && line["attempt"] == attempt && line["outcome"].is_string()
        })
    };
    let (first, second) = (ended(1), ended(2));
    assert_eq!((&first["detail"], &first["stdout"]), (&"was answered with 500".into(), &"not now".into()));
    assert_eq!((&second["message"], &second["outcome"]), (&"hook ran".into(), &"answered".into()));
    let keys: Vec<_> = server.asked().iter().map(|it| it.headers["idempotency-key"].clone()).collect();
    assert_eq!(keys.len(), 2);
    assert_eq!(keys[0], keys[1]);
}

on_every_engine!(a_busy_server_is_asked_again_without_a_word_of_the_configuration);
fn a_busy_server_is_asked_again_without_a_word_of_the_configuration(on: Generation) {
    let hook = "{name: tell, at: post_create, http: {url: URL}}";
    let Some((world, server)) = world(on, &[say(503, ""), say(429, ""), say(200, "")], &[hook]) else {
        return;
    };

    assert!(create(&world).status.success());

    world
        .boathook
        .wait_for_log("that it ran", |line| line["hook"] == "tell" && line["message"] == "hook ran");
    assert_eq!(server.asked().len(), 3);
}

on_every_engine!(a_server_that_answers_by_halves_is_out_of_time_at_a_gate);
fn a_server_that_answers_by_halves_is_out_of_time_at_a_gate(on: Generation) {
    let hook = "{name: ask, at: pre_create, timeout: 1s, http: {url: URL}}";
    let Some((world, _server)) = world(on, &[Answer::Hang("{\"message\":")], &[hook]) else { return };

    let begun_at = Instant::now();
    let denied = create(&world);

    assert!(denied.stderr.contains("hook `ask`: took longer than 1s (run "), "{}", denied.stderr);
    assert!(begun_at.elapsed() < Duration::from_secs(20), "the server never ends, the gate does");
    let ended = world.wait_for_end_of("ask");
    assert_eq!((&ended["outcome"], &ended["stdout"]), (&"timed_out".into(), &"{\"message\":".into()));
}

on_every_engine!(no_server_and_another_address_are_no_success);
fn no_server_and_another_address_are_no_success(on: Generation) {
    let hooks = [
        "{name: nobody, at: post_create, http: {url: \"http://127.0.0.1:1/secret\"}}",
        "{name: elsewhere, at: post_create, http: {url: URL/here}}",
    ];
    let Some((world, server)) = world(on, &[Answer::Redirect("/there".to_owned())], &hooks) else { return };

    assert!(create(&world).status.success());

    let nobody = world.wait_for_end_of("nobody");
    assert_eq!(nobody["outcome"], "unreachable");
    let detail = nobody["detail"].as_str().expect("words");
    assert!(detail.starts_with("got no whole answer: connect to `127.0.0.1:1`: "), "{detail}");
    assert!(detail.contains("Connection refused") && !detail.contains("secret"), "{detail}");
    assert_eq!(world.wait_for_end_of("elsewhere")["detail"], "was answered with 307");
    assert_eq!(server.asked().len(), 1, "the other address was not asked");
}
