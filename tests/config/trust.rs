//! Who could have written a file, asked of real ones.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use boathook::trust::{Distrust, vet};

use super::scratch::Scratch;

/// What is refused on the way to `NAME`, without the scratch directory.
fn refused(scratch: &Scratch, name: &str) -> PathBuf {
    match vet(&scratch.path(name)).expect_err("something on the way can be written by others") {
        Distrust::Owner { path, .. } | Distrust::Writable { path, .. } => {
            path.strip_prefix(scratch).map(PathBuf::from).unwrap_or(path)
        }
        other => panic!("{other}"),
    }
}

#[test]
fn a_file_below_the_temporary_directory_is_trusted_if_it_is_ours() {
    let scratch = Scratch::new();

    assert!(vet(&scratch.path("hooks/sound.sh")).is_ok());
    assert!(vet(&scratch.path("hooks/../hooks/./sound.sh")).is_ok());
}

#[test]
fn the_file_or_the_directory_that_others_can_write_is_named() {
    let scratch = Scratch::new();

    assert_eq!(refused(&scratch, "hooks/group-writable.sh"), PathBuf::from("hooks/group-writable.sh"));
    assert_eq!(refused(&scratch, "open-to-all/sound.sh"), PathBuf::from("open-to-all"));
}

#[test]
fn the_sticky_bit_of_a_directory_that_is_not_roots_guards_nothing() {
    let scratch = Scratch::new();
    if nix::unistd::geteuid().is_root() {
        // Root may give the directory away; what it owns itself is guarded.
        std::os::unix::fs::chown(scratch.path("hooks"), Some(65_534), None).expect("root may");
        assert_eq!(refused(&scratch, "hooks/sound.sh"), PathBuf::from("hooks"));
    } else {
        scratch.chmod("hooks", 0o1777);
        assert_eq!(refused(&scratch, "hooks/sound.sh"), PathBuf::from("hooks"));
    }
}

#[test]
fn the_way_through_a_link_is_walked_as_well() {
    let scratch = Scratch::new();
    symlink(scratch.path("open-to-all/sound.sh"), scratch.path("hooks/absolute.sh")).expect("it is new");
    symlink("../hooks/sound.sh", scratch.path("hooks/relative.sh")).expect("it is new");
    symlink("../hooks/sound.sh", scratch.path("open-to-all/inward.sh")).expect("it is new");

    assert_eq!(refused(&scratch, "hooks/absolute.sh"), PathBuf::from("open-to-all"));
    assert_eq!(refused(&scratch, "open-to-all/inward.sh"), PathBuf::from("open-to-all"));
    assert!(vet(&scratch.path("hooks/relative.sh")).is_ok());
}

#[test]
fn links_that_lead_in_a_circle_end() {
    let scratch = Scratch::new();
    symlink("round.sh", scratch.path("hooks/round.sh")).expect("it is new");

    assert!(matches!(vet(&scratch.path("hooks/round.sh")), Err(Distrust::Links { .. })));
}

#[test]
fn the_fix_is_the_command_that_mends_it() {
    let scratch = Scratch::new();
    let path = scratch.path("hooks/group-writable.sh");

    let fix = vet(&path).expect_err("its group can write it").fix().expect("there is one");

    assert_eq!(fix, format!("chmod go-w {}", path.display()));
    scratch.chmod("hooks/group-writable.sh", 0o755);
    assert!(vet(&path).is_ok());
}

#[test]
fn what_is_missing_is_named() {
    let scratch = Scratch::new();
    fs::remove_file(scratch.path("hooks/sound.sh")).expect("it was there");

    assert!(matches!(vet(&scratch.path("hooks/sound.sh")), Err(Distrust::Look { .. })));
}
