//! Finding the program that a hook runs, and what would keep it from running.
//!
//! Looked at when the configuration is read, so that the first container does not have to find out.

use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::report::{Wrong, quoted};
use crate::trust::{self, Distrust};

/// How a program is found by what is written: its absolute path, or what is wrong with it.
pub(super) type Find<'a> = &'a dyn Fn(&str) -> Result<PathBuf, Wrong>;

/// Where a name without a slash is looked up: the `PATH` of the contract with scripts.
const PATH: [&str; 6] = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// How much of a script's first line the kernel reads, in bytes.
const FIRST_LINE_BYTES: u64 = 256;

/// The program that `written` names. A name with a slash is relative to `directory`, one without is
/// looked up.
pub(super) fn find(written: &str, directory: &Path) -> Result<PathBuf, Wrong> {
    let path = if written.contains('/') { directory.join(written) } else { look_up(written, directory)? };
    let metadata = fs::metadata(&path).map_err(|error| missing(&path, &error))?;
    check_mode(&path, &metadata)?;
    check_start(&path)?;
    trust::vet(&path).map_err(|distrust| untrusted(&distrust))?;
    Ok(path)
}

/// What is said about a file that others could have written.
pub(super) fn untrusted(distrust: &Distrust) -> Wrong {
    let message = match distrust {
        Distrust::Look { path, source } => format!("`{}` cannot be looked at: {source}", path.display()),
        other => other.to_string(),
    };
    let fix = distrust.fix().map(|fix| format!("run `{fix}`"));
    Wrong::new("untrusted", message).help(fix.as_deref().unwrap_or("name a path that leads to a file"))
}

fn look_up(name: &str, directory: &Path) -> Result<PathBuf, Wrong> {
    let candidates = || PATH.iter().map(|it| Path::new(it).join(name));
    let executable = |path: &PathBuf| {
        fs::metadata(path).is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0)
    };
    if let Some(path) = candidates().find(executable) {
        return Ok(path);
    }
    let message = format!("names {}, which is in none of {}", quoted(name), PATH.join(", "));
    let wrong = Wrong::new("program", message);
    Err(if directory.join(name).is_file() {
        wrong.help(format!("write `./{name}` for the file beside this one"))
    } else {
        wrong.help("install it, or write its path")
    })
}

fn missing(path: &Path, error: &io::Error) -> Wrong {
    let shown = path.display();
    match error.kind() {
        io::ErrorKind::NotFound => Wrong::new("program", format!("names `{shown}`, which does not exist"))
            .help("put the program there; a path is relative to the directory of this file"),
        _ => Wrong::new("program", format!("names `{shown}`, which cannot be looked at: {error}"))
            .help("write a path that leads to a program"),
    }
}

fn check_mode(path: &Path, metadata: &Metadata) -> Result<(), Wrong> {
    let shown = path.display();
    if !metadata.is_file() {
        let what = if metadata.is_dir() { "a directory" } else { "not a regular file" };
        return Err(Wrong::new("program", format!("names `{shown}`, which is {what}")).help("name a program"));
    }
    if metadata.permissions().mode() & 0o111 == 0 {
        let wrong = Wrong::new("program", format!("names `{shown}`, which is not executable"));
        return Err(wrong.help(format!("run `chmod +x {shown}`")));
    }
    Ok(())
}

/// Looks at how the program begins, as the kernel will. One that may be run but not read is let be.
fn check_start(path: &Path) -> Result<(), Wrong> {
    let mut start = Vec::new();
    let read = File::open(path).and_then(|file| file.take(FIRST_LINE_BYTES).read_to_end(&mut start));
    if read.is_err() {
        return Ok(());
    }
    let interpreter = interpreter(&start).map_err(|wrong| about(path, wrong))?;
    match interpreter {
        Some(interpreter) if interpreter.is_absolute() && !interpreter.exists() => {
            let message =
                format!("asks for `{}` in its first line, which does not exist", interpreter.display());
            Err(about(path, Wrong::new("program", message).help("install it, or correct the first line")))
        }
        _ => Ok(()),
    }
}

fn about(path: &Path, wrong: Wrong) -> Wrong {
    Wrong { message: format!("names `{}`, which {}", path.display(), wrong.message), ..wrong }
}

/// The interpreter that a program's first line asks for; `None` if it needs none.
fn interpreter(start: &[u8]) -> Result<Option<PathBuf>, Wrong> {
    if start.starts_with(b"\x7fELF") {
        return Ok(None);
    }
    let wrong = |message: &str, help: &str| Err(Wrong::new("program", message).help(help));
    let Some(line) = start.strip_prefix(b"#!") else {
        return wrong(
            "is neither a binary nor a script that begins with `#!`",
            "write `#!/bin/sh` as its first line",
        );
    };
    let line = line.split(|byte| *byte == b'\n').next().unwrap_or_default();
    if line.ends_with(b"\r") {
        return wrong(
            "has Windows line ends: the kernel would look for an interpreter that ends in CR",
            "save it with Unix line ends",
        );
    }
    let line = String::from_utf8_lossy(line);
    match line.split_whitespace().next() {
        Some(interpreter) => Ok(Some(interpreter.into())),
        None => wrong("has nothing after the `#!` of its first line", "write `#!/bin/sh` as its first line"),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::interpreter;

    #[test]
    fn the_first_line_says_what_runs_a_script() {
        assert_eq!(interpreter(b"#!/bin/sh\necho"), Ok(Some(Path::new("/bin/sh").into())));
        assert_eq!(interpreter(b"#! /usr/bin/env bash\n"), Ok(Some(Path::new("/usr/bin/env").into())));
        assert_eq!(interpreter(b"\x7fELF\x02"), Ok(None));
    }

    #[test]
    fn what_the_kernel_would_not_run_is_told() {
        for start in [&b"echo hi\n"[..], b"", b"#!\n", b"#!/bin/sh\r\necho", b"\xef\xbb\xbf#!/bin/sh\n"] {
            assert!(interpreter(start).is_err(), "{start:?}");
        }
    }
}
