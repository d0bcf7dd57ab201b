//! A directory that only we can write, with scripts of every kind.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Scripts and files of variables beside each configuration: name, content, mode.
const SCRIPTS: [(&str, &str, u32); 11] = [
    ("hooks/sound.sh", "#!/bin/sh\nexit 0\n", 0o755),
    ("hooks/not-executable.sh", "#!/bin/sh\n", 0o644),
    ("hooks/no-first-line.sh", "echo hello\n", 0o755),
    ("hooks/windows.sh", "#!/bin/sh\r\n", 0o755),
    ("hooks/no-interpreter.sh", "#!/no/such/interpreter\n", 0o755),
    ("hooks/group-writable.sh", "#!/bin/sh\n", 0o775),
    ("open-to-all/sound.sh", "#!/bin/sh\n", 0o755),
    ("beside.sh", "#!/bin/sh\n", 0o755),
    ("hooks/sound.env", "# a comment\nA=from the file\nQUOTED=\"# $HOME\"\n", 0o644),
    ("hooks/wrong.env", "A=1\nexport B=2\nnothing\nC=\"open\nA=2\nHOOK_NAME=x\n", 0o644),
    ("hooks/open.env", "A=1\n", 0o666),
];

/// The directory; it is removed at the end.
pub(super) struct Scratch(PathBuf);

impl Scratch {
    pub(super) fn new() -> Scratch {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let base = std::env::temp_dir().canonicalize().expect("there is a temporary directory");
        let nth = NEXT.fetch_add(1, Ordering::Relaxed);
        let scratch = Scratch(base.join(format!("boathook-config-{}-{nth}", std::process::id())));
        for directory in ["", "hooks", "open-to-all"] {
            fs::create_dir(scratch.path(directory)).expect("the directory is new");
            scratch.chmod(directory, 0o755);
        }
        for (name, content, mode) in SCRIPTS {
            scratch.write(name, content.as_bytes(), mode);
        }
        scratch.write("hooks/latin.env", b"A=1\nB=\xe9\n", 0o644);
        scratch.chmod("open-to-all", 0o777);
        scratch
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Writes a file; whatever the umask is, it has `mode`.
    pub(super) fn write(&self, name: &str, content: &[u8], mode: u32) -> PathBuf {
        fs::write(self.path(name), content).expect("the directory can be written");
        self.chmod(name, mode);
        self.path(name)
    }

    pub(super) fn chmod(&self, name: &str, mode: u32) {
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(mode)).expect("it is ours");
    }

    /// `text` with the directory left out.
    pub(super) fn shorten(&self, text: &str) -> String {
        text.replace(&format!("{}/", self.0.display()), "")
    }
}

impl AsRef<Path> for Scratch {
    fn as_ref(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left lies in the temporary directory; a failing test has something else to say.
        let _ = fs::remove_dir_all(&self.0);
    }
}
