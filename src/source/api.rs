//! What an API call asks for, and of what.
//!
//! Authorization gets the request target as the client sent it; the engine matches its routes on
//! the percent-decoded path. So the target is taken apart here exactly as the engine does it, or a
//! call could be spelled past its gate.

use std::borrow::Cow;

pub use super::routes::{Kind, What};
use super::routing::route;

/// What an API call asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation<'a> {
    /// What is to be done, and to what kind of thing.
    pub what: What,
    /// The thing, as the caller names it: full id, name, or prefix of the id. `None` where the call
    /// names none in its path.
    pub target: Option<String>,
    /// The parameters.
    pub query: Query<'a>,
    /// The API version that the call asks for; `None`: the engine's newest.
    pub version: Option<Version>,
}

/// A version of the API, `1.41`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// The part before the dot.
    pub major: u64,
    /// The part after it.
    pub minor: u64,
}

/// What `method` on `target` asks for; `None` if the engine knows no such call.
pub fn operation<'a>(method: &str, target: &'a str) -> Option<Operation<'a>> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let path = decode(without_authority(path), Plus::IsPlus);
    let (version, path) = split_version(&path);
    let (what, name) = route(method, path)?;
    Some(Operation { what, target: name.map(str::to_owned), query: Query(query), version })
}

/// What `method` on `target` does, and nothing else of it: as [`operation`], without keeping anything.
pub fn what(method: &str, target: &str) -> Option<What> {
    let path = target.split_once('?').map_or(target, |(path, _)| path);
    let path = decode(without_authority(path), Plus::IsPlus);
    route(method, split_version(&path).1).map(|(what, _)| what)
}

/// The path of a call as routes see it: decoded, without authority, version and query.
pub fn plain_path(target: &str) -> String {
    let path = target.split_once('?').map_or(target, |(path, _)| path);
    split_version(&decode(without_authority(path), Plus::IsPlus)).1.to_owned()
}

/// Whether a signal, written as the API takes it, ends a process that has no handler for it.
///
/// Names come with or without `SIG`, in any case, or as numbers; nothing is SIGKILL
/// (`signal.ParseSignal` in moby/sys). What is none of these the engine refuses.
pub fn is_terminating(signal: &str) -> bool {
    // Those whose default action is to be ignored, to stop or to go on: CHLD, CONT, STOP, TSTP,
    // TTIN, TTOU, URG, WINCH.
    const HARMLESS: [&str; 18] = [
        "CHLD", "CLD", "17", "CONT", "18", "STOP", "19", "TSTP", "20", "TTIN", "21", "TTOU", "22", "URG",
        "23", "WINCH", "28", "0",
    ];
    !HARMLESS.contains(&plain_signal(signal).as_str())
}

/// Whether two spellings mean the same signal, as far as names go.
pub fn is_same_signal(a: &str, b: &str) -> bool {
    plain_signal(a) == plain_signal(b)
}

fn plain_signal(signal: &str) -> String {
    let upper = signal.trim().to_ascii_uppercase();
    upper.strip_prefix("SIG").map(str::to_owned).unwrap_or(upper)
}

/// The path of a target in absolute form, `http://any.host/v1.41/…`.
fn without_authority(path: &str) -> &str {
    match path.split_once("://") {
        Some((scheme, rest)) if !scheme.contains('/') => rest.find('/').map_or("", |slash| &rest[slash..]),
        _ => path,
    }
}

/// Takes one leading `/v<digits and dots>` off.
fn split_version(path: &str) -> (Option<Version>, &str) {
    let Some(rest) = path.strip_prefix("/v") else { return (None, path) };
    let end = rest.find('/').unwrap_or(rest.len());
    let (version, rest) = rest.split_at(end);
    let is_version = !version.is_empty() && version.bytes().all(|it| it.is_ascii_digit() || it == b'.');
    if is_version { (Version::parse(version), rest) } else { (None, path) }
}

impl Version {
    /// The version, if the engine would take it for one: `01.041` is 1.41.
    fn parse(text: &str) -> Option<Version> {
        let (major, minor) = text.split_once('.')?;
        Some(Version { major: major.parse().ok()?, minor: minor.parse().ok()? })
    }
}

/// The parameters of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Query<'a>(&'a str);

impl<'a> Query<'a> {
    /// The first value of `key`; the engine takes no notice of others.
    pub fn first(&self, key: &str) -> Option<Cow<'a, str>> {
        self.0.split('&').find_map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name, Plus::IsSpace) == key).then(|| decode(value, Plus::IsSpace))
        })
    }

    /// A value that is not empty.
    pub fn filled(&self, key: &str) -> Option<Cow<'a, str>> {
        self.first(key).filter(|it| !it.is_empty())
    }

    /// A boolean: anything but these is true (`BoolValue` in moby, `api/server/httputils/form.go`).
    pub fn flag(&self, key: &str) -> bool {
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
    use std::borrow::Cow;

    use proptest::prelude::*;

    use super::{Version, What, is_same_signal, is_terminating, operation, plain_path, what};

    fn asked(method: &str, target: &str) -> Option<(What, Option<String>)> {
        operation(method, target).map(|it| (it.what, it.target))
    }

    fn start(target: &str) -> Option<(What, Option<String>)> {
        Some((What::ContainerStart, Some(target.into())))
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
            assert_eq!(asked("POST", target), start("op"), "{target}");
        }
    }

    #[test]
    fn what_the_engine_does_not_know_is_no_call() {
        for (method, target) in [
            ("POST", "/CONTAINERS/op/start"),
            ("POST", "/containers//start"),
            ("POST", "/containers/op/start/"),
            ("PATCH", "/containers/op/start"),
            ("POST", "/vx/containers/op/start"),
            ("GET", "http://host"),
        ] {
            assert_eq!(asked(method, target), None, "{method} {target}");
        }
    }

    #[test]
    fn a_name_may_hold_slashes_and_look_like_a_verb() {
        assert_eq!(asked("POST", "/containers/a/b/start"), start("a/b"));
        assert_eq!(asked("POST", "/containers/start/start"), start("start"));
        let remove = |name: &str| Some((What::ContainerRemove, Some(name.to_owned())));
        assert_eq!(asked("DELETE", "/containers/create"), remove("create"));
        let checkpoint = Some((What::ContainerCheckpoint, Some("web".to_owned())));
        assert_eq!(asked("DELETE", "/containers/web/checkpoints/one"), checkpoint);
        let image = Some((What::ImageRemove, Some("registry/a/b:1".to_owned())));
        assert_eq!(asked("DELETE", "/v1.41/images/registry/a/b:1?force=1"), image);
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
            let target = format!("/containers/op{query}");
            let flag = operation("DELETE", &target).map(|it| it.query.flag("force"));
            assert_eq!(flag, Some(force), "{query}");
        }
    }

    #[test]
    fn the_first_value_of_a_parameter_counts_decoded() {
        let value = |target: &str| {
            operation("POST", target).and_then(|it| it.query.filled("name").map(Cow::into_owned))
        };
        assert_eq!(value("/v1.41/containers/create?name=a%2Db+c&name=x").as_deref(), Some("a-b c"));
        assert_eq!(value("/containers/create?name="), None);
        assert_eq!(value("http://h/containers/create"), None);
    }

    #[test]
    fn a_version_is_known_in_all_its_spellings() {
        let version = |target| operation("POST", target).and_then(|it| it.version);
        let v = |major, minor| Some(Version { major, minor });
        assert_eq!(version("/v1.23/containers/op/start"), v(1, 23));
        assert_eq!(version("/v01.041/containers/op/start"), v(1, 41));
        assert_eq!(version("/containers/op/start"), None);
        assert_eq!(version("/v1..41/containers/op/start"), None);
        assert_eq!(plain_path("http://h/v1.41/containers/%6fp/json?all=1"), "/containers/op/json");
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

    /// A path with some of its characters percent-encoded, in either case of the digits.
    fn spelled(path: &str, encoded: &[bool], upper: bool) -> String {
        path.bytes()
            .zip(encoded.iter().chain(std::iter::repeat(&false)))
            .map(|(byte, encode)| match (encode, upper) {
                (false, _) => (byte as char).to_string(),
                (true, true) => format!("%{byte:02X}"),
                (true, false) => format!("%{byte:02x}"),
            })
            .collect()
    }

    proptest! {
        #[test]
        fn no_spelling_of_a_call_makes_another_of_it(
            name in "[a-zA-Z0-9][a-zA-Z0-9_.-]{1,20}",
            verb in prop::sample::select(vec!["start", "stop", "restart", "kill", "pause", "update", "exec"]),
            version in prop::sample::select(vec!["", "/v1.41", "/v1.24", "/v01.0041", "/v1.999"]),
            host in prop::sample::select(vec!["", "http://any.host", "https://h:1"]),
            encoded in prop::collection::vec(any::<bool>(), 0..60),
            upper: bool,
            query in "[a-z=&%+]{0,12}",
        ) {
            let plain = format!("/containers/{name}/{verb}");
            // The first slash has to be there for the engine to take it for a path.
            let path = format!("{version}{plain}");
            let target = format!("{host}/{}?{query}", spelled(&path[1..], &encoded, upper));

            prop_assert_eq!(asked("POST", &target), asked("POST", &plain), "{}", target);
            prop_assert_eq!(what("POST", &target), asked("POST", &target).map(|it| it.0), "{}", target);
            prop_assert_eq!(asked("POST", &plain).and_then(|it| it.1), Some(name));
        }

        #[test]
        fn nothing_that_a_client_can_send_is_a_panic(method in "[A-Z]{0,7}", target in ".{0,80}") {
            if let Some(asked) = operation(&method, &target) {
                asked.query.flag("force");
            }
            plain_path(&target);
        }
    }
}
