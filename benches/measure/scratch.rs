//! A folder of a benchmark's own.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{self, ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// Removes everything once our end of its stdin is closed: when we end, in whatever way. Processes that end with
/// us may still write for a moment.
const SWEEPER: &str = r#"
trap '' HUP INT TERM
cat >/dev/null
for _ in 1 2 3 4 5; do
    rm -rf "$1"
    [ -e "$1" ] || exit 0
    sleep 0.1
done
"#;

/// A folder that goes when this is dropped, or when we end.
pub struct Scratch {
    dir: PathBuf,
}

/// Where all such folders of this process are.
struct Base {
    dir: PathBuf,
    /// Open for as long as this process lives.
    _sweeper: Option<ChildStdin>,
}

impl Scratch {
    /// A new, empty folder that only its owner can write to: boathook refuses configurations that others
    /// could have written.
    ///
    /// # Panics
    ///
    /// When the temporary folder cannot be written to.
    #[expect(clippy::new_without_default, reason = "it makes a folder, which no default should")]
    pub fn new() -> Scratch {
        static BASE: OnceLock<Base> = OnceLock::new();
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let base = BASE.get_or_init(Base::make);
        let dir = base.dir.join(COUNT.fetch_add(1, Ordering::Relaxed).to_string());
        make(&dir);
        Scratch { dir }
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Writes a file that only its owner can write to.
    ///
    /// # Panics
    ///
    /// When it cannot be written.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).expect("write into a folder of our own");
        fs::set_permissions(&path, Permissions::from_mode(0o644)).expect("own a new file");
        path
    }

    /// A copy of a program that boathook trusts: nobody else can write to it.
    ///
    /// # Panics
    ///
    /// When it cannot be copied.
    pub fn copy_program(&self, program: &Path, name: &str) -> PathBuf {
        let path = self.path(name);
        fs::copy(program, &path).expect("copy a program");
        fs::set_permissions(&path, Permissions::from_mode(0o755)).expect("own a new file");
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed now is swept at the end.
        let _ = fs::remove_dir_all(&self.dir);
    }
}

impl Base {
    fn make() -> Base {
        let dir = std::env::temp_dir().join(format!("bh-bench-{}", process::id()));
        make(&dir);
        let mut sweeper = Command::new("sh");
        sweeper.args(["-c", SWEEPER, "sweeper"]).arg(&dir).process_group(0);
        sweeper.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let sweeper = sweeper.spawn().expect("start `sh`").stdin.take();
        Base { dir, _sweeper: sweeper }
    }
}

fn make(dir: &Path) {
    fs::create_dir(dir).expect("make a folder in the temporary folder");
    fs::set_permissions(dir, Permissions::from_mode(0o700)).expect("own a new folder");
}
