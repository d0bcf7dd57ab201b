//! Getting the text of a configuration file.

use std::fs;
use std::io::{self, Read};
use std::path::Path;

use super::report::Wrong;

/// The largest file that is read: thousands of hooks fit, a disk image named by mistake does not.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// The text in `path`, without a byte order mark.
pub(super) fn read(path: &Path) -> Result<String, Wrong> {
    // Asked first: opening a pipe that nobody writes to would wait for ever.
    let metadata = fs::metadata(path).map_err(|error| unreadable(&error))?;
    if metadata.is_dir() {
        return Err(Wrong::new("file", "this is a directory, not a file")
            .help(format!("name the file in it: `{}`", path.join("config.yaml").display())));
    }
    if !metadata.is_file() {
        return Err(Wrong::new("file", "this is not a regular file").help("name a file"));
    }
    let mut bytes = Vec::new();
    fs::File::open(path)
        .and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes))
        .map_err(|error| unreadable(&error))?;
    decode(bytes)
}

/// The text that `bytes` are.
fn decode(bytes: Vec<u8>) -> Result<String, Wrong> {
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(Wrong::new("too-large", "the file is larger than 1 MiB, no configuration is"));
    }
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(Wrong::new("encoding", "the file is UTF-16").help("save it as UTF-8"));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = valid.iter().filter(|byte| **byte == b'\n').count() + 1;
        Wrong::new("encoding", format!("the file is not UTF-8: line {line} holds a byte that is none"))
            .help("save it as UTF-8")
    })?;
    Ok(match text.strip_prefix('\u{feff}') {
        Some(rest) => rest.to_owned(),
        None => text,
    })
}

fn unreadable(error: &io::Error) -> Wrong {
    let wrong = |message: &str| Wrong::new("file", message);
    match error.kind() {
        io::ErrorKind::NotFound => {
            wrong("there is no such file").help("name one with `-c FILE`; `boathook init` writes a first one")
        }
        io::ErrorKind::PermissionDenied => wrong("the file may not be read by this user")
            .help("run as root, or as the user that boathook runs as"),
        _ => wrong(&format!("the file cannot be read: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::{FILE_BYTES_MAX, decode};

    #[test]
    fn a_byte_order_mark_is_not_part_of_the_text() {
        assert_eq!(decode(b"\xef\xbb\xbfversion: 1".to_vec()).as_deref(), Ok("version: 1"));
    }

    #[test]
    fn what_is_not_text_is_told_apart() {
        let code = |bytes: &[u8]| decode(bytes.to_vec()).map_err(|it| it.message);

        assert_eq!(
            code(b"a\nb\xff"),
            Err("the file is not UTF-8: line 2 holds a byte that is none".to_owned())
        );
        assert_eq!(code(b"\xff\xfea\0"), Err("the file is UTF-16".to_owned()));
        let large = vec![b'#'; usize::try_from(FILE_BYTES_MAX).expect("a megabyte") + 1];
        assert!(code(&large).is_err());
    }
}
