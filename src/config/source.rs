//! Getting the text of a configuration file.

use std::fs;
use std::io::{self, Read};
use std::path::Path;

use super::node::Span;
use super::report::Wrong;

/// The largest file that is read: thousands of hooks fit, a disk image named by mistake does not.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Why there is no text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unreadable {
    pub(super) wrong: Wrong,
    /// What can be shown of the file, and where in it the mistake is.
    pub(super) text: String,
    pub(super) span: Span,
}

impl From<Wrong> for Unreadable {
    fn from(wrong: Wrong) -> Unreadable {
        Unreadable { wrong, text: String::new(), span: 0..0 }
    }
}

/// The text in `path`, without a byte order mark.
pub(super) fn read(path: &Path) -> Result<String, Unreadable> {
    // Asked first: opening a pipe that nobody writes to would wait for ever.
    let metadata = fs::metadata(path).map_err(|error| unreadable(&error))?;
    if metadata.is_dir() {
        let help = format!("name the file in it: `{}`", path.join("config.yaml").display());
        return Err(Wrong::new("file", "this is a directory, not a file").help(help).into());
    }
    if !metadata.is_file() {
        return Err(Wrong::new("file", "this is not a regular file").help("name a file").into());
    }
    let mut bytes = Vec::new();
    fs::File::open(path)
        .and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes))
        .map_err(|error| unreadable(&error))?;
    decode(bytes)
}

/// The text that `bytes` are.
fn decode(bytes: Vec<u8>) -> Result<String, Unreadable> {
    if bytes.len() as u64 > FILE_BYTES_MAX {
        let wrong = Wrong::new("too-large", "the file is larger than 1 MiB, no configuration is");
        return Err(wrong.help("name the right file").into());
    }
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(Wrong::new("encoding", "the file is UTF-16").help("save it as UTF-8").into());
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let wrong = Wrong::new(
            "encoding",
            format!("the file is not UTF-8: here is the byte {:#04x}", error.as_bytes()[at]),
        );
        let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
        Unreadable { wrong: wrong.help("save it as UTF-8"), text, span: at..at + 1 }
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
        _ => wrong(&format!("the file cannot be read: {error}")).help("name another file"),
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
        let code = |bytes: &[u8]| decode(bytes.to_vec()).map_err(|it| it.wrong.message);

        assert_eq!(code(b"a\nb\xff"), Err("the file is not UTF-8: here is the byte 0xff".to_owned()));
        assert_eq!(code(b"\xff\xfea\0"), Err("the file is UTF-16".to_owned()));
        let large = vec![b'#'; usize::try_from(FILE_BYTES_MAX).expect("a megabyte") + 1];
        assert!(code(&large).is_err());
    }
}
