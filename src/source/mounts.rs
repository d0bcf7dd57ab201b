//! What a creation asks to be mounted.
//!
//! Paths are brought to the form in which the engine keeps them, or `/var/run/../run/docker.sock`
//! would be a way past a gate that asks for `/run/docker.sock`. What symbolic links make of a path is
//! not known here, nor what an image or the driver of a volume adds.

use serde_json::{Map, Value};

use crate::lifecycle::Mount;

/// The mounts that the body of a creation asks for, in the engine's own spelling of its keys. Those
/// that it takes over from other containers ([`taken_over`]) are not among them.
pub(super) fn mounts_of_creation(body: &Value) -> Vec<Mount> {
    let host_config = &body["HostConfig"];
    let driver = text(&host_config["VolumeDriver"]);
    let binds = host_config["Binds"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let listed = host_config["Mounts"].as_array().into_iter().flatten();
    let keys = |value: &Value| -> Vec<String> {
        value.as_object().into_iter().flat_map(Map::keys).map(|it| clean(it)).collect()
    };
    let tmpfs = keys(&host_config["Tmpfs"]).into_iter();
    let anonymous = keys(&body["Volumes"]).into_iter();
    let mut mounts: Vec<Mount> = binds.map(|it| of_bind(it, driver.as_deref())).collect();
    mounts.extend(listed.map(of_mount));
    mounts.extend(tmpfs.map(|destination| Mount { destination, ..of_kind("tmpfs") }));
    mounts.extend(anonymous.map(|destination| Mount { destination, ..of_kind("volume") }));
    mounts
}

/// The containers whose mounts the creation takes over, as the caller names them.
pub(super) fn taken_over(body: &Value) -> Vec<String> {
    let from = body["HostConfig"]["VolumesFrom"].as_array().into_iter().flatten();
    // `NAME`, or `NAME:MODE`.
    let names = from.filter_map(Value::as_str).map(|it| it.split(':').next().unwrap_or_default());
    names.map(str::to_owned).collect()
}

fn of_kind(kind: &str) -> Mount {
    Mount { kind: kind.to_owned(), writable: true, ..Mount::default() }
}

/// `SOURCE:DESTINATION`, `SOURCE:DESTINATION:MODE`, or a destination by itself.
fn of_bind(bind: &str, driver: Option<&str>) -> Mount {
    let mut parts = bind.splitn(3, ':');
    let (first, second, mode) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
    let writable = !mode.is_some_and(|it| it.split(',').any(|option| option == "ro"));
    let driver = driver.map(str::to_owned);
    match second {
        None => Mount { destination: clean(first), driver, ..of_kind("volume") },
        Some(destination) if first.starts_with('/') => {
            Mount { source: Some(clean(first)), destination: clean(destination), writable, ..of_kind("bind") }
        }
        Some(destination) => Mount {
            name: Some(first.to_owned()),
            destination: clean(destination),
            driver,
            writable,
            ..of_kind("volume")
        },
    }
}

/// An element of `Mounts`.
fn of_mount(mount: &Value) -> Mount {
    let kind = text(&mount["Type"]).unwrap_or_default();
    let source = text(&mount["Source"]);
    let (name, source) = if kind == "volume" { (source, None) } else { (None, source.map(|it| clean(&it))) };
    Mount {
        name,
        source,
        destination: clean(mount["Target"].as_str().unwrap_or_default()),
        driver: text(&mount["VolumeOptions"]["DriverConfig"]["Name"]),
        writable: !mount["ReadOnly"].as_bool().unwrap_or(false),
        kind,
    }
}

fn text(value: &Value) -> Option<String> {
    value.as_str().filter(|it| !it.is_empty()).map(str::to_owned)
}

/// A path without `.`, `..`, doubled slashes and a slash at its end (`path.Clean` in Go, which the
/// engine puts every mount through: `volume/mounts/linux_parser.go` in moby).
fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/').filter(|it| !matches!(*it, "" | ".")) {
        match (part, parts.last()) {
            ("..", Some(&last)) if last != ".." => drop(parts.pop()),
            ("..", None) if rooted => {}
            (part, _) => parts.push(part),
        }
    }
    let path = parts.join("/");
    match (rooted, path.is_empty()) {
        (true, _) => format!("/{path}"),
        (false, true) => ".".to_owned(),
        (false, false) => path,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{clean, mounts_of_creation, taken_over};

    #[test]
    fn every_way_of_asking_for_a_mount_is_seen() {
        let body = json!({
            "Volumes": {"/anonymous/": {}},
            "HostConfig": {
                "Binds": ["/var/run/../run//docker.sock:/d/:ro,z", "data:/var/lib/x", "/only"],
                "Mounts": [
                    {"Type": "bind", "Source": "/etc/./x", "Target": "/x", "ReadOnly": true},
                    {"Type": "volume", "Source": "named", "Target": "/n"},
                    {"Type": "tmpfs", "Target": "/t"},
                ],
                "Tmpfs": {"/run/": "size=1m"},
                "VolumeDriver": "nfs",
            },
        });

        let mounts = mounts_of_creation(&body);

        let told: Vec<_> = mounts
            .iter()
            .map(|it| (&*it.kind, it.name.as_deref(), it.source.as_deref(), &*it.destination, it.writable))
            .collect();
        assert_eq!(
            told,
            [
                ("bind", None, Some("/var/run/docker.sock"), "/d", false),
                ("volume", Some("data"), None, "/var/lib/x", true),
                ("volume", None, None, "/only", true),
                ("bind", None, Some("/etc/x"), "/x", false),
                ("volume", Some("named"), None, "/n", true),
                ("tmpfs", None, None, "/t", true),
                ("tmpfs", None, None, "/run", true),
                ("volume", None, None, "/anonymous", true),
            ]
        );
        assert_eq!(mounts[1].driver.as_deref(), Some("nfs"));
    }

    #[test]
    fn nothing_asked_for_is_nothing_mounted() {
        assert_eq!(mounts_of_creation(&json!({"HostConfig": {"Binds": null}})), []);
        assert_eq!(taken_over(&json!({})), [""; 0]);
        assert_eq!(taken_over(&json!({"HostConfig": {"VolumesFrom": ["a", "b:ro"]}})), ["a", "b"]);
    }

    #[test]
    fn a_path_is_cleaned_as_the_engine_does_it() {
        for (written, kept) in [
            ("/", "/"),
            ("//", "/"),
            ("/..", "/"),
            ("/a/../..//b/", "/b"),
            ("a/..", "."),
            ("../a", "../a"),
            ("a/../../b", "../b"),
        ] {
            assert_eq!(clean(written), kept, "{written}");
        }
    }
}
