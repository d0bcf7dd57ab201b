//! Files by which an engine finds a plugin, in folders of our own.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use docker_plugin_sdk::discovery::{Address, Found, Roots, Spec, SpecError, find, scan};
use tempfile::TempDir;

/// The folders of an engine, each empty.
struct Folders {
    folder: TempDir,
    roots: Roots,
}

impl Folders {
    fn new() -> Folders {
        let folder = tempfile::tempdir().expect("a folder");
        let below = |name| folder.path().join(name);
        let roots = Roots { sockets: below("run"), specs: vec![below("etc"), below("lib")] };
        for folder in roots.specs.iter().chain([&roots.sockets]) {
            fs::create_dir(folder).expect("a new folder");
        }
        Folders { folder, roots }
    }

    fn place(&self, name: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::create_dir_all(path.parent().expect("it is in a folder")).expect("a folder");
        path
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.place(name), text).expect("a new file");
    }

    /// A socket that nobody listens on any more.
    fn bind(&self, name: &str) {
        drop(UnixListener::bind(self.place(name)).expect("a new socket"));
    }

    fn find(&self, name: &str) -> Option<(PathBuf, String)> {
        let Found { path, spec } = find(name, &self.roots).expect("sound files")?;
        let path = path.strip_prefix(self.folder.path()).expect("a file of ours").to_owned();
        Some((path, spec.address.to_string()))
    }
}

#[test]
fn the_first_file_in_the_engines_order_counts() {
    let folders = Folders::new();
    let places = [
        "run/it.sock",
        "run/it/it.sock",
        "etc/it.spec",
        "etc/it/it.spec",
        "etc/it.json",
        "etc/it/it.json",
        "lib/it.spec",
        "lib/it/it.spec",
        "lib/it.json",
        "lib/it/it.json",
    ];
    for (number, place) in places.iter().enumerate() {
        match Path::new(place).extension().and_then(|it| it.to_str()) {
            Some("sock") => folders.bind(place),
            Some("spec") => folders.write(place, &format!("\n tcp://127.0.0.1:{} \n", number + 1)),
            _ => folders.write(place, &format!(r#"{{"addr":"tcp://127.0.0.1:{}"}}"#, number + 1)),
        }
    }

    for (number, place) in places.iter().enumerate() {
        let (path, address) = folders.find("it").expect("one is left");
        assert_eq!(path, Path::new(place));
        match number {
            0 | 1 => assert_eq!(address, format!("unix://{}", folders.place(place).display())),
            _ => assert_eq!(address, format!("tcp://127.0.0.1:{}", number + 1)),
        }
        fs::remove_file(folders.place(place)).expect("it is there");
    }
    assert_eq!(folders.find("it"), None);
}

#[test]
fn a_socket_is_one_only_if_it_is_one() {
    let folders = Folders::new();
    folders.write("run/file.sock", "");
    folders.write("etc/file.spec", "tcp://127.0.0.1:1");
    folders.bind("elsewhere");
    symlink(folders.place("elsewhere"), folders.place("run/link.sock")).expect("a new link");
    symlink("nowhere", folders.place("run/dangling.sock")).expect("a new link");

    assert_eq!(folders.find("file").expect("the other file").0, Path::new("etc/file.spec"));
    assert_eq!(folders.find("link").expect("behind the link").0, Path::new("run/link.sock"));
    assert_eq!(folders.find("dangling"), None);
    assert_eq!(folders.find("Link"), None);
    assert!(folders.find("/link").is_some(), "a slash too many does not leave the folder");
}

#[test]
fn the_file_that_counts_is_the_one_that_is_wrong() {
    let folders = Folders::new();
    folders.write("etc/it.spec", "/run/it.sock\n");
    folders.write("lib/it.spec", "tcp://127.0.0.1:1");
    folders.write("etc/other.json", "{");

    let wrong = find("it", &folders.roots).expect_err("there is no scheme");
    assert!(matches!(&wrong, SpecError::Address { path, .. } if path.ends_with("etc/it.spec")), "{wrong}");
    assert!(matches!(find("other", &folders.roots), Err(SpecError::Json { .. })));
}

#[test]
fn a_scan_sees_what_the_engines_does() {
    let folders = Folders::new();
    folders.bind("run/a.sock");
    folders.bind("run/b/b.sock");
    folders.bind("run/c/other.sock");
    symlink(folders.place("run/a.sock"), folders.place("run/link.sock")).expect("a new link");
    folders.write("run/file.sock", "");
    folders.write("etc/d.spec", "");
    folders.write("etc/a.json", "");
    folders.write("etc/e.txt", "");
    folders.write("lib/f/f.json", "");
    folders.write("lib/g/h.json", "");
    folders.write("lib/i/i.md", "");

    assert_eq!(scan(&folders.roots).expect("folders"), ["a", "b", "d", "f"]);

    fs::remove_dir_all(folders.place("lib")).expect("a folder");
    fs::remove_dir_all(folders.place("run")).expect("a folder");
    assert_eq!(scan(&folders.roots).expect("what is missing is empty"), ["a", "d"]);
    folders.write("run", "a file");
    assert_eq!(scan(&folders.roots).expect_err("not a folder").path, folders.place("run"));
}

#[test]
fn what_is_written_is_found_and_replaced_as_a_whole() {
    let folders = Folders::new();
    let path = folders.roots.specs[0].join("it/it.json");
    let first = Spec::new(Address::Unix("/run/it.sock".into()));
    let second = Spec::new("https://127.0.0.1:7443".parse().expect("an address"));

    for spec in [first, second] {
        spec.write(&path).expect("a folder to write to");

        let found = find("it", &folders.roots).expect("a sound file").expect("a file");
        assert_eq!((found.path, found.spec), (path.clone(), spec));
        let mode = fs::metadata(&path).expect("the file").permissions().mode();
        assert_eq!(mode & 0o777, 0o644);
    }
    assert_eq!(fs::read_dir(path.parent().expect("a folder")).expect("a folder").count(), 1);
}

#[test]
fn a_file_that_cannot_be_replaced_leaves_nothing_beside() {
    let folders = Folders::new();
    fs::create_dir(folders.place("etc/it.spec")).expect("a folder in the way");

    let spec = Spec::new("tcp://127.0.0.1:1".parse().expect("an address"));
    let wrong = spec.write(&folders.place("etc/it.spec")).expect_err("a folder is in the way");

    assert!(matches!(wrong, SpecError::Write { .. }), "{wrong}");
    assert_eq!(fs::read_dir(folders.place("etc/")).expect("a folder").count(), 1);
}
