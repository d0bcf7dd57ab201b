//! What an API call asks for.
//!
//! Authorization gets the request target as the client sent it; the engine matches its routes on
//! the percent-decoded path. So the target is taken apart here exactly as the engine does it, or a
//! call could be spelled past its gate.

use std::borrow::Cow;

/// What an API call asks for, of those that reach a point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// `POST /containers/create`.
    Create {
        /// The name, if one is asked for; the engine makes one up otherwise.
        name: Option<String>,
    },
    /// `POST /containers/{n}/start`.
    Start {
        /// The container: full id, name, or prefix of the id.
        target: String,
        /// Whether the body is obeyed.
        body: StartBody,
    },
    /// `POST /containers/{n}/stop`.
    Stop {
        /// The container.
        target: String,
    },
    /// `POST /containers/{n}/restart`.
    Restart {
        /// The container.
        target: String,
    },
    /// `POST /containers/{n}/kill`.
    Kill {
        /// The container.
        target: String,
        /// The signal as given; empty is SIGKILL.
        signal: String,
    },
    /// `DELETE /containers/{n}`, unless it removes only a legacy link.
    Remove {
        /// The container.
        target: String,
        /// Whether a running container is killed first.
        force: bool,
    },
}

/// Whether the engine obeys a body of a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartBody {
    /// It has none that matters.
    Ignored,
    /// Up to engine 24, an API version before 1.24 replaces the container's `HostConfig` by it.
    ReplacesHostConfig,
}

/// What `method` on `target` asks for; `None` if it reaches no point.
pub fn operation(method: &str, target: &str) -> Option<Operation> {
    // Nothing that reads reaches a point: most calls are answered here.
    if !matches!(method, "POST" | "DELETE") {
        return None;
    }
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let path = decode(without_authority(path), Plus::IsPlus);
    let (version, path) = split_version(&path);
    let rest = path.strip_prefix("/containers/")?;
    let query = Query(query);
    match method {
        "POST" if rest == "create" => Some(Operation::Create {
            name: query.first("name").filter(|it| !it.is_empty()).map(|it| bare(&it)),
        }),
        "POST" => {
            // The name may hold slashes: the last one ends it.
            let (target, verb) = rest.rsplit_once('/').filter(|(target, _)| !target.is_empty())?;
            let target = target.to_owned();
            match verb {
                "start" => Some(Operation::Start { target, body: start_body(version) }),
                "stop" => Some(Operation::Stop { target }),
                "restart" => Some(Operation::Restart { target }),
                "kill" => {
                    let signal = query.first("signal").unwrap_or_default().into_owned();
                    Some(Operation::Kill { target, signal })
                }
                _ => None,
            }
        }
        _ if rest.is_empty() || query.flag("link") => None,
        _ => Some(Operation::Remove { target: rest.to_owned(), force: query.flag("force") }),
    }
}

/// Whether a signal, written as the API takes it, ends a process that has no handler for it.
///
/// Names come with or without `SIG`, in any case, or as numbers; nothing is SIGKILL
/// (`signal.ParseSignal` in moby/sys). What is none of these the engine refuses.
pub fn is_terminating(signal: &str) -> bool {
    let name = signal.trim().to_ascii_uppercase();
    let name = name.strip_prefix("SIG").unwrap_or(&name);
    // Those whose default action is to be ignored, to stop or to go on: CHLD, CONT, STOP, TSTP,
    // TTIN, TTOU, URG, WINCH.
    const HARMLESS: [&str; 18] = [
        "CHLD", "CLD", "17", "CONT", "18", "STOP", "19", "TSTP", "20", "TTIN", "21", "TTOU", "22", "URG",
        "23", "WINCH", "28", "0",
    ];
    !HARMLESS.contains(&name)
}

/// Whether two spellings mean the same signal, as far as names go.
pub fn is_same_signal(a: &str, b: &str) -> bool {
    let plain = |it: &str| {
        let upper = it.trim().to_ascii_uppercase();
        upper.strip_prefix("SIG").map(str::to_owned).unwrap_or(upper)
    };
    plain(a) == plain(b)
}

fn bare(name: &str) -> String {
    name.strip_prefix('/').unwrap_or(name).to_owned()
}

/// The path of a target in absolute form, `http://any.host/v1.41/…`.
fn without_authority(path: &str) -> &str {
    match path.split_once("://") {
        Some((scheme, rest)) if !scheme.contains('/') => rest.find('/').map_or("", |slash| &rest[slash..]),
        _ => path,
    }
}

/// Takes one leading `/v<digits and dots>` off.
fn split_version(path: &str) -> (Option<&str>, &str) {
    let Some(rest) = path.strip_prefix("/v") else { return (None, path) };
    let end = rest.find('/').unwrap_or(rest.len());
    let (version, rest) = rest.split_at(end);
    let is_version = !version.is_empty() && version.bytes().all(|it| it.is_ascii_digit() || it == b'.');
    if is_version { (Some(version), rest) } else { (None, path) }
}

fn start_body(version: Option<&str>) -> StartBody {
    let number = version
        .and_then(|it| it.split_once('.'))
        .and_then(|(major, minor)| Some((major.parse::<u64>().ok()?, minor.parse::<u64>().ok()?)));
    match number {
        Some(version) if version < (1, 24) => StartBody::ReplacesHostConfig,
        _ => StartBody::Ignored,
    }
}

/// A query string.
struct Query<'a>(&'a str);

impl<'a> Query<'a> {
    /// The first value of `key`; the engine takes no notice of others.
    fn first(&self, key: &str) -> Option<Cow<'a, str>> {
        self.0.split('&').find_map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name, Plus::IsSpace) == key).then(|| decode(value, Plus::IsSpace))
        })
    }

    /// A boolean: anything but these is true (`BoolValue` in moby, `api/server/httputils/form.go`).
    fn flag(&self, key: &str) -> bool {
        let value = self.first(key).unwrap_or_default();
        !matches!(value.trim().to_lowercase().as_str(), "" | "0" | "no" | "false" | "none")
    }
}

/// What a `+` stands for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Plus {
    IsPlus,
    IsSpace,
}

/// Percent-decodes once. What is not encoded rightly stays as it is: the engine refuses it.
fn decode(text: &str, plus: Plus) -> Cow<'_, str> {
    let needs = |byte: u8| byte == b'%' || (byte == b'+' && plus == Plus::IsSpace);
    if !text.bytes().any(needs) {
        return Cow::Borrowed(text);
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match (byte, after) {
            (b'%', [high, low, after @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                decoded.push(nibble(*high) << 4 | nibble(*low));
                rest = after;
            }
            (b'+', _) if plus == Plus::IsSpace => decoded.push(b' '),
            _ => decoded.push(byte),
        }
    }
    Cow::Owned(String::from_utf8_lossy(&decoded).into_owned())
}

fn nibble(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    }
}

#[cfg(test)]
mod tests {
    use super::{Operation, StartBody, is_same_signal, is_terminating, operation};

    fn start(target: &str) -> Option<Operation> {
        Some(Operation::Start { target: target.into(), body: StartBody::Ignored })
    }

    fn remove(target: &str, force: bool) -> Option<Operation> {
        Some(Operation::Remove { target: target.into(), force })
    }

    #[test]
    fn a_start_is_a_start_however_it_is_spelled() {
        for target in [
            "/containers/op/start",
            "/v1.41/containers/op/start",
            "/v01.041/containers/op/start?detachKeys=",
            "/v1.41%2fcontainers/op/start",
            "/v1.41/containers/%6fp/start",
            "/v1.41/containers/op%2Fstart",
            "http://any.host/v1.41/containers/op/start",
        ] {
            assert_eq!(operation("POST", target), start("op"), "{target}");
        }
    }

    #[test]
    fn what_reaches_no_point_is_let_be() {
        for (method, target) in [
            ("GET", "/containers/op/start"),
            ("HEAD", "/_ping"),
            ("POST", "/CONTAINERS/op/start"),
            ("POST", "/containers/op/wait?condition=next-exit"),
            ("POST", "/containers//start"),
            ("POST", "/images/create?fromImage=busybox"),
            ("DELETE", "/images/op"),
            ("DELETE", "/containers/op?link=1"),
            ("POST", "/vx/containers/op/start"),
        ] {
            assert_eq!(operation(method, target), None, "{method} {target}");
        }
    }

    #[test]
    fn a_name_may_hold_slashes_and_look_like_a_verb() {
        assert_eq!(operation("POST", "/containers/a/b/start"), start("a/b"));
        assert_eq!(operation("POST", "/containers/start/start"), start("start"));
        assert_eq!(operation("DELETE", "/containers/create"), remove("create", false));
    }

    #[test]
    fn booleans_are_what_the_engine_takes_them_for() {
        for (query, force) in [
            ("?force=1", true),
            ("?force=banana", true),
            ("?force=%31&force=0", true),
            ("?force=0&force=1", false),
            ("?force=", false),
            ("?force=False", false),
            ("?v=1&force=none", false),
            ("", false),
        ] {
            assert_eq!(
                operation("DELETE", &format!("/containers/op{query}")),
                remove("op", force),
                "{query}"
            );
        }
    }

    #[test]
    fn a_creation_has_the_name_of_its_query() {
        let name = |target| match operation("POST", target) {
            Some(Operation::Create { name }) => name,
            other => panic!("{target} is {other:?}"),
        };
        assert_eq!(name("/v1.41/containers/create?name=a%2Db+c&name=x").as_deref(), Some("a-b c"));
        assert_eq!(name("/containers/create?name=%2Fweb").as_deref(), Some("web"));
        assert_eq!(name("/containers/create?name="), None);
        assert_eq!(name("http://h/containers/create"), None);
    }

    #[test]
    fn an_old_version_obeys_the_body_of_a_start() {
        let body = |target| match operation("POST", target) {
            Some(Operation::Start { body, .. }) => body,
            other => panic!("{target} is {other:?}"),
        };
        assert_eq!(body("/v1.23/containers/op/start"), StartBody::ReplacesHostConfig);
        assert_eq!(body("/v01.02/containers/op/start"), StartBody::ReplacesHostConfig);
        assert_eq!(body("/v1.24/containers/op/start"), StartBody::Ignored);
        assert_eq!(body("/containers/op/start"), StartBody::Ignored);
    }

    #[test]
    fn signals_are_known_by_name_and_number() {
        for ends in ["", "KILL", "sigterm", "9", "SIGHUP", "RTMIN+3", "nonsense"] {
            assert!(is_terminating(ends), "{ends}");
        }
        for spares in ["WINCH", "SIGCHLD", "28", "sigurg", "CONT", "0"] {
            assert!(!is_terminating(spares), "{spares}");
        }
        assert!(is_same_signal("SIGWINCH", "winch"));
    }
}
