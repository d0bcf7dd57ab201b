//! Recipes that answer in a driver's place.

use super::scene::{Scene, request};
use crate::engine::Generation;

#[test]
fn a_script_makes_a_bridge_and_takes_it_away() {
    let Some(mut scene) = Scene::start(Generation::V26_1, "bridge", &[]) else { return };
    let options = ["-o", "mode=script", "-o", "script=bridge", "--subnet", "10.93.0.0/24"];
    scene.docker(&[&["network", "create", "-d", "boathook"], &options[..], &["lab"]].concat());

    scene.serve("web", &[80], &["--network", "lab"]);
    // The network is made a second time.
    scene.kill_boathook();
    scene.serve("other", &[80], &["--network", "lab"]);

    scene.docker(&["exec", "other", "sh", "-c", &request("web", 80)]);
    scene.docker(&["exec", "web", "sh", "-c", &request("other", 80)]);
    scene.host(&request(&scene.address("web"), 80));

    scene.docker(&["rm", "-f", "web", "other"]);
    scene.wait_until("the links to go", |it| !it.host("ip -o link").contains("sv-"));
    scene.docker(&["network", "rm", "lab"]);
    assert!(!scene.host("ip -o link; iptables-save").contains("sb-"));
}

#[test]
fn a_script_makes_a_volume_of_a_size() {
    let Some(mut scene) = Scene::start(Generation::V20_10, "loop", &[]) else { return };
    let create = ["volume", "create", "-d", "boathook", "-o", "type=script", "-o", "script=loop"];
    let in_volume = |scene: &Scene, script: &str| {
        scene.docker(&["run", "--rm", "-v", "data:/v", "busybox:test", "sh", "-ec", script])
    };
    let devices = format!("losetup -a | grep -F {} || true", scene.sandbox.dir().display());

    let refused = scene.refused(&[&create[..], &["data"]].concat());
    assert!(refused.contains("say how large it is to be: -o size=64M"), "{refused}");
    scene.docker(&[&create[..], &["-o", "size=8M", "data"]].concat());
    in_volume(&scene, "echo kept > /v/file");
    scene.docker(&["run", "-d", "--name", "user", "-v", "data:/v", "busybox:test", "sleep", "1000"]);
    scene.kill_boathook();
    let full = scene.refused(&["exec", "user", "dd", "if=/dev/zero", "of=/v/big", "bs=1M", "count=20"]);
    assert!(full.contains("No space left"), "{full}");
    assert_eq!(scene.host(&devices).lines().count(), 1);

    scene.docker(&["rm", "-f", "user"]);
    scene.wait_until("the device to be let go", |it| it.host(&devices).is_empty());
    assert_eq!(in_volume(&scene, "cat /v/file"), "kept");
    scene.docker(&["volume", "rm", "data"]);
    scene.wait_until("the device to be let go", |it| it.host(&devices).is_empty());
    assert!(scene.host("find . -name '*.ext4*'").is_empty());
}
