//! The rooms of `src/` and the arrows between them.
//!
//! What a room may know is a table in `arrows`, what it may do a list in `manners`. Both are held
//! against every path that is written in the sources, `use` trees, macros and tests included, as
//! `reading` finds them.

mod arrows;
mod manners;
mod reading;
mod told;

use std::fs;
use std::path::{Path, PathBuf};

use reading::Source;

/// The folder of the package.
const PACKAGE: &str = env!("CARGO_MANIFEST_DIR");

/// Something in the sources that must not be there.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Breach {
    file: PathBuf,
    line: usize,
    what: String,
}

/// Every file of `src/`, read.
fn sources() -> Vec<Source> {
    let read = |file: &PathBuf| Source::read(file, &text(&Path::new(PACKAGE).join(file)));
    rust_files("src").iter().map(read).collect()
}

/// The Rust files below a folder of the package, as paths from there.
fn rust_files(folder: &str) -> Vec<PathBuf> {
    files(folder).into_iter().filter(|it| it.extension().is_some_and(|it| it == "rs")).collect()
}

/// All files below a folder of the package, as paths from there, in order.
fn files(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::from(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(Path::new(PACKAGE).join(&folder)).expect("a folder of the package") {
            let entry = entry.expect("an entry of a folder");
            let path = folder.join(entry.file_name());
            let is_folder = entry.file_type().expect("the kind of an entry").is_dir();
            if is_folder { &mut folders } else { &mut found }.push(path);
        }
    }
    found.sort();
    found
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("read {}: {error}", path.display()))
}

/// Fails with one line for each breach.
#[track_caller]
fn assert_none(breaches: &[Breach]) {
    let lines = breaches.iter().map(|it| format!("\n{}:{}: {}", it.file.display(), it.line, it.what));
    assert!(breaches.is_empty(), "{}", lines.collect::<String>());
}

/// What the breaches of a made-up source say.
fn whats(breaches: &[Breach]) -> Vec<&str> {
    breaches.iter().map(|it| it.what.as_str()).collect()
}
