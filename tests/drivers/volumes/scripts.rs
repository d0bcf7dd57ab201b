//! Volumes that a script makes.

use std::fs;

use super::world::World;
use crate::engine::Generation;

/// A file of a size with a file system in it. Only what Docker and boathook say is read.
const LOOP: &str = r#"#!/bin/sh -eu
request=$(cat)
field() { printf %s "$request" | sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p"; }
image=$(field Directory)/image
at=$(field Mountpoint)
echo "$DRIVER_METHOD" >> calls
case $DRIVER_METHOD in
VolumeDriver.Create)
    truncate -s "$(field size)" "$image"
    mkfs.ext4 -q -F "$image" ;;
VolumeDriver.Mount)
    if [ -e refuse ]; then echo "not today" >&2; exit 1; fi
    mountpoint -q "$at" || mount -o loop "$image" "$at" ;;
VolumeDriver.Unmount)
    ! mountpoint -q "$at" || umount "$at" ;;
esac
"#;

const CONFIG: &str = "scripts: {loop: {exec: [./loop], timeout: 30s, working_dir: .}}\n";

fn start() -> Option<World> {
    World::start_with(Generation::V28_5, CONFIG, |sandbox| {
        sandbox.write_program("loop", LOOP);
    })
}

fn calls(world: &World) -> Vec<String> {
    let text = fs::read_to_string(world.sandbox.dir().join("calls")).unwrap_or_default();
    text.lines().map(|it| it.trim_start_matches("VolumeDriver.").to_owned()).collect()
}

#[test]
fn a_script_makes_a_volume_of_a_size_and_is_asked_once_for_all_users() {
    let Some(mut world) = start() else { return };
    world.create("disk", &["type=script", "script=loop", "size=8M"]);

    world.run_sleeper("one", "disk");
    world.run_sleeper("two", "disk");
    world.docker(&["exec", "one", "sh", "-c", "echo kept > /v/file"]);
    assert_eq!(world.docker(&["exec", "two", "cat", "/v/file"]), "kept");
    let fill = "dd if=/dev/zero of=/v/big bs=1M count=20";
    assert!(world.refused(&["exec", "one", "sh", "-c", fill]).contains("No space left"));
    world.boathook.kill9();
    world.start_boathook();
    world.docker(&["rm", "-f", "one", "two"]);

    assert_eq!(world.mounts_at(&world.data("disk")), 0);
    assert_eq!(world.in_volume("disk", "cat /v/file"), "kept");
    world.docker(&["volume", "rm", "disk"]);
    assert_eq!(calls(&world), ["Create", "Mount", "Unmount", "Mount", "Unmount", "Remove"]);
}

#[test]
fn a_script_that_fails_is_heard_and_what_it_began_is_undone() {
    let Some(world) = start() else { return };
    world.create("disk", &["type=script", "script=loop", "size=8M"]);
    world.sandbox.write("refuse", "");

    let refused = world.refused(&["run", "--rm", "-v", "disk:/v", "busybox:test", "true"]);

    assert!(refused.contains("script `loop`: not today"), "{refused}");
    assert_eq!(world.references("disk"), 0);
    fs::remove_file(world.sandbox.dir().join("refuse")).expect("it is there");
    assert_eq!(world.in_volume("disk", "echo there"), "there");
    assert_eq!(calls(&world), ["Create", "Mount", "Unmount", "Mount", "Unmount"]);
    let refused = world.not_created("none", &["type=script", "script=loop", "size=x"]);
    assert!(refused.contains("script `loop`"), "{refused}");
    assert_eq!(world.docker(&["volume", "ls", "-q"]), "disk");
}
