//! An image from nothing but the machine's own busybox.

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::OnceLock;

use super::sandbox::Sandbox;

/// Gives the engine of `sandbox` the image `busybox:test`.
pub(super) fn import_busybox(sandbox: &Sandbox) {
    static IMAGE: OnceLock<Vec<u8>> = OnceLock::new();
    let image = IMAGE.get_or_init(|| pack(sandbox));
    fs::write(sandbox.dir().join("busybox.tar"), image).expect("write into the sandbox's folder");
    sandbox.docker_ok(&["import", "busybox.tar", "busybox:test"]);
}

/// The image as a tar archive, made once: its contents are the same for all.
fn pack(sandbox: &Sandbox) -> Vec<u8> {
    let root = sandbox.dir().join("busybox");
    for folder in ["bin", "etc", "root", "tmp"] {
        fs::create_dir_all(root.join(folder)).expect("make a folder in the sandbox's");
    }
    ok(sandbox, &["sh", "-c", "cp \"$(command -v busybox)\" busybox/bin/busybox"]);
    for applet in ok(sandbox, &["busybox", "--list"]).lines().filter(|&it| it != "busybox") {
        symlink("busybox", root.join("bin").join(applet)).expect("link in a new folder");
    }
    ok(sandbox, &["tar", "-C", "busybox", "-cf", "busybox.tar", "."]);
    fs::read(sandbox.dir().join("busybox.tar")).expect("read the archive that tar wrote")
}

/// What a command prints that must not fail. Commands run in the sandbox's folder.
fn ok(sandbox: &Sandbox, command: &[&str]) -> String {
    let output = sandbox.run(command);
    assert!(output.status.success(), "{command:?}: {}", output.stderr);
    output.stdout
}
