//! The calls that are made: those of a real engine, brought to size.

use base64_simd::STANDARD;
use serde_json::{Value, json};

use super::client::Call;

/// `docker run` as an engine told it to an authorization plugin.
const RECORDED: &str = include_str!("../../tests/transcripts/20.10.24/create-start-kill-rm.jsonl");

const CLIENT: &str = "Docker-Client/28.2.2 (linux)";

/// `GET /containers/json`, as `docker ps` makes it.
pub fn list() -> Call {
    Call::new("AuthZReq", &envelope("GET", "/v1.41/containers/json", json!({"User-Agent": CLIENT})))
}

/// The answer to `GET /containers/json` on a host with so many containers that it has 36 KB.
pub fn list_answered() -> Call {
    let mut envelope = envelope("GET", "/v1.41/containers/json", json!({"User-Agent": CLIENT}));
    let containers: Vec<_> = (0..45).map(listed).collect();
    let list = Value::from(containers).to_string();
    envelope["ResponseStatusCode"] = 200.into();
    envelope["ResponseBody"] = STANDARD.encode_to_string(list).into();
    envelope["ResponseHeaders"] = json!({"Content-Type": "application/json", "Api-Version": "1.41"});
    Call::new("AuthZRes", &envelope)
}

/// `POST /containers/web/start`, and the answer to it.
pub fn start() -> [Call; 2] {
    let headers = json!({"Content-Length": "0", "User-Agent": CLIENT});
    let asked = envelope("POST", "/v1.41/containers/web/start", headers);
    let mut answered = asked.clone();
    answered["ResponseStatusCode"] = 204.into();
    answered["ResponseHeaders"] = json!({"Api-Version": "1.41", "Server": "Docker/20.10.24 (linux)"});
    [Call::new("AuthZReq", &asked), Call::new("AuthZRes", &answered)]
}

/// `POST /containers/create` with a body of `bytes` bytes before it is encoded.
pub fn create(bytes: usize) -> Call {
    let mut envelope = recorded_creation();
    let body = envelope["RequestBody"].as_str().expect("a creation has a body");
    let mut body: Value =
        serde_json::from_slice(&STANDARD.decode_to_vec(body).expect("base64")).expect("a body is JSON");
    // In lines of the length that environments have, not in one: that is what is decoded.
    let lack = bytes.saturating_sub(body.to_string().len());
    let lines: Vec<_> = (0..lack / 40).map(|it| format!("SETTING_{it:08}=a-value-of-settings")).collect();
    body["Env"] = lines.into();
    envelope["RequestBody"] = STANDARD.encode_to_string(body.to_string()).into();
    Call::new("AuthZReq", &envelope)
}

fn envelope(method: &str, target: &str, headers: Value) -> Value {
    json!({"RequestMethod": method, "RequestUri": target, "RequestHeaders": headers})
}

fn recorded_creation() -> Value {
    let calls =
        RECORDED.lines().map(|it| serde_json::from_str::<Value>(it).expect("a recorded call is JSON"));
    let mut bodies = calls.map(|mut it| it["body"].take());
    let is_creation =
        |it: &Value| it["RequestUri"].as_str().is_some_and(|uri| uri.contains("/containers/create"));
    bodies.find(is_creation).expect("a creation was recorded")
}

/// A container in a list, in about 800 bytes.
fn listed(number: usize) -> Value {
    let id = format!("{number:064x}");
    json!({
        "Id": id, "Names": [format!("/shop-web-{number}")], "Image": "registry.example/shop/web:2026.11",
        "ImageID": format!("sha256:{id}"), "Command": "/docker-entrypoint.sh serve --port 8080",
        "Created": 1_795_343_347, "Ports": [{"IP": "0.0.0.0", "PrivatePort": 8080, "PublicPort": 8080, "Type": "tcp"}],
        "Labels": {"com.docker.compose.project": "shop", "com.docker.compose.service": "web"},
        "State": "running", "Status": "Up 3 days", "HostConfig": {"NetworkMode": "shop_default"},
        "NetworkSettings": {"Networks": {"shop_default": {
            "IPAMConfig": null, "Links": null, "Aliases": null, "NetworkID": id, "EndpointID": id,
            "Gateway": "172.18.0.1", "IPAddress": "172.18.0.7", "IPPrefixLen": 16, "IPv6Gateway": "",
            "GlobalIPv6Address": "", "GlobalIPv6PrefixLen": 0, "MacAddress": "02:42:ac:12:00:07", "DriverOpts": null,
        }}},
        "Mounts": [],
    })
}
