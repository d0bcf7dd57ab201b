//! Whose locks a call takes in the engine.
//!
//! While Docker waits for one of our drivers it holds the lock of the container that it is about. Whatever
//! takes that lock too waits until the driver has answered.

use std::borrow::Cow;

use docker_plugin_sdk::authorization::Request;
use serde_json::Value;

use super::api::{Kind, What, operation};
use super::gates::json_body;

/// The containers whose locks a call takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Locks {
    /// None: lists, networks and volumes are read without.
    Nobody,
    /// One, as the caller names it: full id, name, or prefix of the id.
    One(String),
    /// Each in turn, to see what it does.
    Everybody,
}

/// Whose locks a call takes.
pub(super) fn locks(request: &Request<'_>) -> Locks {
    taken(&request.method, &request.uri, || json_body(request).ok())
}

fn taken(method: &str, uri: &str, body: impl FnOnce() -> Option<Value>) -> Locks {
    let Some(operation) = operation(method, uri) else { return Locks::Nobody };
    let one = match operation.what {
        // `ContainersPrune` in moby, `daemon/prune.go`.
        What::ContainerPrune => return Locks::Everybody,
        What::NetworkConnect | What::NetworkDisconnect => {
            body().and_then(|it| Some(it["Container"].as_str()?.to_owned()))
        }
        What::ContainerCommit => operation.query.first("container").map(Cow::into_owned),
        What::ExecStart | What::ExecOther => None,
        _ => operation.target.filter(|_| operation.what.kind() == Kind::Container),
    };
    one.map_or(Locks::Nobody, Locks::One)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Locks, taken};

    fn of(method: &str, uri: &str) -> Locks {
        taken(method, uri, || Some(json!({"Container": "web"})))
    }

    #[test]
    fn a_call_about_a_container_takes_its_lock() {
        for (method, uri) in [
            ("GET", "/v1.41/containers/web/json"),
            ("POST", "/containers/web/stop?t=1"),
            ("POST", "/v1.50/containers/web/exec"),
            ("DELETE", "/containers/web?force=1"),
            ("PUT", "/containers/web/archive?path=%2F"),
            ("POST", "/networks/lan/connect"),
            ("POST", "/v1.41/networks/lan/disconnect"),
            ("POST", "/commit?container=web&repo=app"),
        ] {
            assert_eq!(of(method, uri), Locks::One("web".into()), "{method} {uri}");
        }
    }

    #[test]
    fn a_prune_takes_every_lock_and_a_list_none() {
        assert_eq!(of("POST", "/v1.41/containers/prune"), Locks::Everybody);
        for uri in ["/containers/json?all=1", "/networks/web", "/volumes", "/info", "/exec/web/json"] {
            assert_eq!(of("GET", uri), Locks::Nobody, "{uri}");
        }
        assert_eq!(of("POST", "/containers/create?name=web"), Locks::Nobody);
        // The engine does not do it, but tells the client another path.
        assert_eq!(of("POST", "/v1.50//containers/web/exec"), Locks::Nobody);
        assert_eq!(taken("POST", "/networks/lan/connect", || None), Locks::Nobody);
    }
}
