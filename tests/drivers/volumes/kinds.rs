//! Directories, memory, directories of the operator's.

use std::fs;
use std::os::unix::fs::symlink;

use super::world::World;
use crate::engine::Generation;
use crate::every_engine::on_every_engine;

fn a_directory_has_the_life_that_docker_gives_it(on: Generation) {
    let Some(world) = World::start(on, "") else { return };

    world.create("db", &["mode=1750", "uid=1000", "gid=1001"]);
    assert_eq!(world.in_volume("db", "echo kept > /v/file; stat -c '%a %u %g' /v"), "1750 1000 1001");
    world.run_sleeper("one", "db");
    world.run_sleeper("two", "db");
    assert_eq!(world.references("db"), 2);
    assert_eq!(world.docker(&["exec", "two", "cat", "/v/file"]), "kept");
    world.docker(&["cp", "one:/v/file", "copied"]);
    assert_eq!(world.references("db"), 2, "a copy gives back only what it took");
    assert!(world.refused(&["volume", "rm", "db"]).contains("in use"));

    world.docker(&["rm", "-f", "one", "two"]);
    assert_eq!(world.references("db"), 0);
    world.docker(&["volume", "prune", "-f"]);
    assert_eq!(fs::read_to_string(world.data("db").join("file")).expect("it is there"), "kept\n");

    world.docker(&["volume", "rm", "db"]);
    let shelf = fs::read_dir(world.sandbox.dir().join("state/volumes")).expect("it can be listed");
    assert_eq!(shelf.count(), 0, "the data is gone with the volume");
}
on_every_engine!(a_directory_has_the_life_that_docker_gives_it);

fn a_volume_that_nobody_named_goes_with_its_container(on: Generation) {
    let Some(world) = World::start(on, "") else { return };
    let run = ["run", "-d", "--name", "web", "--volume-driver", "boathook"];

    world.docker(&[&run[..], &["-v", "/anon", "-v", "cup:/bin", "busybox:test", "sleep", "1000"]].concat());
    assert_eq!(world.docker(&["volume", "ls", "-q"]).lines().count(), 2);
    // What the image has where an empty volume goes is copied there by docker.
    assert!(world.data("cup").join("busybox").exists());
    world.docker(&["rm", "-f", "-v", "web"]);

    assert_eq!(world.docker(&["volume", "ls", "-q"]), "cup");
    assert_eq!(world.references("cup"), 0);
}
on_every_engine!(a_volume_that_nobody_named_goes_with_its_container);

#[test]
fn memory_is_shared_by_its_users_and_gone_with_the_last() {
    let Some(world) = World::start(Generation::V28_5, "") else { return };
    world.create("mem", &["type=tmpfs", "size=64k", "mode=0700", "uid=7"]);

    world.run_sleeper("one", "mem");
    world.run_sleeper("two", "mem");

    assert_eq!(world.mounts_at(&world.data("mem")), 1);
    world.docker(&["exec", "one", "sh", "-c", "echo x > /v/file"]);
    assert_eq!(world.docker(&["exec", "two", "cat", "/v/file"]), "x");
    assert_eq!(world.docker(&["exec", "two", "stat", "-c", "%a %u %g", "/v"]), "700 7 0");
    let fill = "dd if=/dev/zero of=/v/big bs=1k count=100";
    assert!(world.refused(&["exec", "one", "sh", "-c", fill]).contains("No space left"));

    world.docker(&["rm", "-f", "one"]);
    assert_eq!(world.mounts_at(&world.data("mem")), 1);
    world.docker(&["rm", "-f", "two"]);
    assert_eq!(world.mounts_at(&world.data("mem")), 0);
    assert_eq!(world.times_logged("volume unmounted", "mem"), 1);
    assert_eq!(world.in_volume("mem", "ls /v"), "");
    world.docker(&["volume", "rm", "mem"]);
}

#[test]
fn a_volume_whose_directory_was_deleted_by_hand_can_be_removed() {
    let Some(world) = World::start(Generation::V28_5, "") else { return };
    world.create("db", &[]);
    fs::remove_dir_all(world.sandbox.dir().join("state/volumes/db")).expect("it is there");

    world.docker(&["volume", "rm", "db"]);

    assert_eq!(world.docker(&["volume", "ls", "-q"]), "");
    world.create("db", &["mode=0700"]);
    assert_eq!(world.in_volume("db", "stat -c %a /v"), "700");
}

#[test]
fn a_directory_of_the_operators_is_used_where_it_is_allowed_and_never_deleted() {
    let Some(world) = World::start(Generation::V28_5, "") else { return };
    let allowed = world.sandbox.dir().join("allowed");
    let path = |name: &str| format!("path={}", allowed.join(name).display());
    fs::create_dir(allowed.join("there")).expect("write into the sandbox's folder");

    world.create("made", &[&path("new/deep"), "uid=5"]);
    world.create("there", &["type=bind", &path("there")]);
    world.in_volume("made", "echo a > /v/file");
    world.in_volume("there", "echo b > /v/file");
    let refused = world.not_created("lost", &["type=bind", &path("lost")]);
    assert!(refused.contains("is not there"), "{refused}");

    assert_eq!(world.mounts_at(&world.data("made")) + world.mounts_at(&world.data("there")), 0);
    world.docker(&["volume", "rm", "made", "there"]);
    assert_eq!(fs::read_to_string(allowed.join("new/deep/file")).expect("it is there"), "a\n");
    assert_eq!(fs::read_to_string(allowed.join("there/file")).expect("it is there"), "b\n");
}

#[test]
fn no_path_leads_out_of_what_is_allowed() {
    let Some(world) = World::start(Generation::V28_5, "") else { return };
    let allowed = world.sandbox.dir().join("allowed");
    let path = |name: &str| format!("path={}", allowed.join(name).display());
    symlink("/etc", allowed.join("link")).expect("write into the sandbox's folder");

    for (options, why) in [
        (["type=bind", "path=/etc"], "is not below"),
        (["type=directory", "path=/etc"], "is not below"),
        (["type=bind", &path("../state")], "without `.` and `..`"),
        (["type=bind", &path("link")], "symbolic links are not followed"),
        (["type=directory", &path("link/made")], "symbolic links are not followed"),
        (["type=bind", &format!("path={}", world.sandbox.dir().display())], "directory of all volumes"),
    ] {
        let refused = world.not_created("out", &options);
        assert!(refused.contains(why), "{options:?}: {refused}");
    }
    let refused = world.refused(&["volume", "create", "-d", "boathook", "a/../../b"]);
    assert!(refused.contains("is no name for a volume"), "{refused}");
    assert_eq!(world.docker(&["volume", "ls", "-q"]), "");

    // A container with a volume above another one's directory puts a link in its place.
    world.create("above", &[&path("shop")]);
    world.create("below", &[&path("shop/data")]);
    world.in_volume("above", "rmdir /v/data; ln -s /etc /v/data");
    let refused = world.refused(&["run", "--rm", "-v", "below:/v", "busybox:test", "ls", "/v"]);
    assert!(refused.contains("symbolic links are not followed"), "{refused}");
}

#[test]
fn all_mistakes_in_options_are_told_at_once() {
    let Some(world) = World::start(Generation::V28_5, "") else { return };

    let refused = world.not_created("bad", &["type=tmpfs", "sise=1g", "uid=root", "path=/srv"]);

    for told in ["did you mean `size`?", "`uid` cannot be `root`", "`path` means nothing with `type=tmpfs`"] {
        assert!(refused.contains(told), "{told}: {refused}");
    }
    assert!(world.not_created("bad", &["size=1g", "path=/srv/x"]).contains("cannot be kept for `path`"));
    assert!(world.not_created("bad", &["type=script", "script=no"]).contains("there is no script `no`"));
}
