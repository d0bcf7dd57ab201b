//! Calls that concern nobody, and what boathook does not do for them.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;

use serde_json::{Value, json};

use super::world::{Config, options};
use crate::engine::{Boathook, Sandbox};

/// A boathook without an engine that denies whatever it cannot decide.
fn closed(config: Config) -> Option<(Sandbox, Boathook)> {
    let sandbox = Sandbox::available()?;
    let text = config.key("outage: closed").text_in(&sandbox);
    let boathook = sandbox.start_boathook(&text, options());
    Some((sandbox, boathook))
}

/// What the plugin answers to a call whose body is no base64, which nobody notices who does not decode it.
fn answer(boathook: &Boathook, plugin_method: &str, method: &str, target: &str) -> Value {
    let call = json!({
        "RequestMethod": method, "RequestUri": target, "RequestBody": "!!", "ResponseBody": "!!",
        "RequestHeaders": {"Content-Type": "application/json", "Content-Length": "2"}, "ResponseStatusCode": 201
    });
    let call = call.to_string();
    let mut connection = UnixStream::connect(boathook.socket()).expect("a daemon that listens");
    write!(
        connection,
        "POST /AuthZPlugin.{plugin_method} HTTP/1.1\r\nHost: plugin\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{call}",
        call.len()
    )
    .expect("a daemon that reads");
    let mut reply = String::new();
    connection.read_to_string(&mut reply).expect("a daemon that answers");
    let (_, body) = reply.split_once("\r\n\r\n").expect("a whole reply");
    serde_json::from_str(body).expect("a reply is JSON")
}

#[test]
fn a_call_that_concerns_nobody_is_allowed_whatever_its_body_holds() {
    let config = Config::new().hook("{name: guard, at: [pre_start, post_stop], exec: [/bin/false]}");
    let Some((_sandbox, boathook)) = closed(config) else { return };

    for (method, target) in [
        ("POST", "/v1.41/containers/create?name=web"),
        ("POST", "/v1.41/networks/create"),
        ("POST", "/v1.41/containers/web/exec"),
        ("DELETE", "/v1.41/images/web"),
        ("POST", "/unheard/of"),
        ("GET", "/v1.41/containers/json"),
    ] {
        assert_eq!(answer(&boathook, "AuthZReq", method, target)["Allow"], true, "{method} {target}");
        assert_eq!(answer(&boathook, "AuthZRes", method, target)["Allow"], true, "{method} {target}");
    }
    let asked = answer(&boathook, "AuthZReq", "POST", "/v1.41/containers/web/start");
    assert_eq!(asked["Allow"], false, "{asked}");
}

#[test]
fn a_creation_that_a_gate_asks_about_is_not_allowed_unread() {
    let config = Config::new().hook("{name: guard, at: pre_create, when: {privileged: true}, deny: no}");
    let Some((_sandbox, boathook)) = closed(config) else { return };

    let asked = answer(&boathook, "AuthZReq", "POST", "/v1.41/containers/create");

    assert_eq!(asked["Allow"], false, "{asked}");
    assert_eq!(answer(&boathook, "AuthZReq", "POST", "/v1.41/networks/create")["Allow"], true);
}
