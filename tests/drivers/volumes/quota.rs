//! Volumes of a size: what filesystems keep of it, on a kernel that can.

use serde_json::{Value, json};

use super::guest::Guest;

const XFS: &[&str] = &["mkfs.xfs", "-q", "-f"];
const EXT4: &[&str] = &["mkfs.ext4", "-q", "-F", "-O", "quota,project", "-E", "quotatype=prjquota"];
const EXT4_PLAIN: &[&str] = &["mkfs.ext4", "-q", "-F"];

/// The operator's own project, in which all volumes lie, and its limit in KiB.
const ABOVE: u32 = 7;
const ABOVE_MAX: u64 = 204_800;

/// A guest whose disk is mounted at `/mnt/disk`, and boathook in it.
fn start(mkfs: &[&str], options: &str) -> Option<Guest> {
    let guest = Guest::boot(mkfs)?;
    if mkfs[0] == "mkfs.ext4" {
        let modules = "/usr/lib/uml/modules/$(uname -r)/kernel/fs/quota";
        guest.run(&format!("insmod {modules}/quota_tree.ko && insmod {modules}/quota_v2.ko"));
    }
    guest.run(&format!("mkdir /mnt/disk && mount {options} /dev/ubda /mnt/disk"));
    guest.run("mkdir /mnt/disk/state");
    guest.start_boathook("/mnt/disk/state");
    Some(guest)
}

/// Kibibytes that the projects on the disk have, and may have: those that have or may have any.
fn projects(guest: &Guest) -> Vec<(u32, u64, u64)> {
    let report = guest.run("xfs_quota -f -x -c 'report -p -n -N -b' /mnt/disk");
    let row = |line: &str| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let number = |nth: usize| fields.get(nth)?.trim_start_matches('#').parse::<u64>().ok();
        Some((u32::try_from(number(0)?).expect("a project"), number(1)?, number(3)?))
    };
    let rows = report.lines().filter_map(row);
    rows.filter(|(project, used, max)| *project != 0 && used + max > 0).collect()
}

/// The limits of the projects that are volumes, in KiB, in order.
fn limits(guest: &Guest) -> Vec<u64> {
    let volumes = projects(guest).into_iter().filter(|it| it.0 != ABOVE);
    let mut limits: Vec<_> = volumes.map(|it| it.2).collect();
    limits.sort_unstable();
    limits
}

/// How much a container could write into a volume, in KiB: until it is full, or all of `kib`.
fn fill(guest: &Guest, volume: &str, kib: u64) -> u64 {
    let file = format!("/mnt/disk/state/volumes/{volume}/_data/file");
    // Without what containers lack: ext4 lets it pass any limit.
    let dd =
        format!("setpriv --bounding-set=-sys_resource dd if=/dev/zero of={file} bs=4k count={}", kib / 4);
    let (_, said) = guest.attempt(&dd);
    assert!(said.contains(" copied"), "{said}");
    guest.run(&format!("stat -c %s {file}")).parse::<u64>().expect("a size") / 1024
}

fn mount(guest: &Guest, volume: &str) -> Value {
    guest.call("Mount", &json!({"Name": volume, "ID": "use"}))
}

fn remove(guest: &Guest, volume: &str) -> Value {
    guest.call("Remove", &json!({"Name": volume}))
}

/// What the driver said instead of doing it.
#[track_caller]
fn refusal(reply: &Value) -> &str {
    reply["Err"].as_str().unwrap_or_else(|| panic!("it is done: {reply}"))
}

fn a_volume_holds_no_more_than_its_size(mkfs: &[&str], least: u64) {
    let Some(guest) = start(mkfs, "-o prjquota") else { return };

    for (name, size) in [("small", "8m"), ("small", "8192k"), ("large", "16m")] {
        assert_eq!(guest.create(name, size), json!({}), "{name}");
    }
    assert_eq!(refusal(&guest.create("small", "9m")), "volume `small` is there already, with other options");
    assert_eq!(mount(&guest, "small")["Mountpoint"], "/mnt/disk/state/volumes/small/_data");

    assert_eq!(limits(&guest), [8192, 16384]);
    let held = fill(&guest, "small", 12_000);
    assert!((least..=8192).contains(&held), "{held}");
    assert_eq!(fill(&guest, "large", 12_000), 12_000);
    assert_eq!(guest.call("Get", &json!({"Name": "small"}))["Volume"]["Status"]["size"], 8 << 20);
    assert_eq!(remove(&guest, "small"), json!({}));
    assert_eq!(limits(&guest), [16384]);
    assert_eq!(remove(&guest, "large"), json!({}));
    assert_eq!(projects(&guest), []);
}

#[test]
fn a_volume_holds_no_more_than_its_size_on_xfs() {
    a_volume_holds_no_more_than_its_size(XFS, 8192);
}

#[test]
fn a_volume_holds_no_more_than_its_size_on_ext4() {
    // The directory counts as well.
    a_volume_holds_no_more_than_its_size(EXT4, 8184);
}

#[test]
fn volumes_that_are_made_at_once_are_projects_of_their_own() {
    let Some(guest) = start(XFS, "-o prjquota") else { return };

    let made = guest.create_at_once(8, "8m");

    assert_eq!(made, "{}".repeat(8));
    assert_eq!(limits(&guest), [8192; 8]);
    let numbers = guest.run("cat /mnt/disk/state/volumes/*/.bh-project | sort -u | wc -l");
    assert_eq!(numbers, "8");
}

#[test]
fn a_limit_outlives_boathook_and_what_was_cut_off_is_taken_back() {
    let Some(guest) = start(XFS, "-o prjquota") else { return };
    // A project of the operator's, which everything that is made inherits.
    let state = "/mnt/disk/project/state";
    let operator = |command: &str| guest.run(&format!("xfs_quota -x -c '{command}' /mnt/disk"));
    guest.kill_boathook();
    guest.run("mkdir /mnt/disk/project; rmdir /mnt/disk/state/* 2>/dev/null; rm -rf /mnt/disk/state");
    operator(&format!("project -s -p /mnt/disk/project {ABOVE}"));
    operator(&format!("limit -p bhard={ABOVE_MAX}k {ABOVE}"));
    guest.run(&format!("mkdir {state} && ln -s {state} /mnt/disk/state"));
    guest.start_boathook(state);
    for (name, size) in [("kept", "8m"), ("cut", "9m"), ("early", "10m")] {
        assert_eq!(guest.create(name, size), json!({}), "{name}");
    }

    guest.kill_boathook();
    // As they are before they are admitted, and before they are limited.
    guest.run(&format!("cd {state}/volumes && mv cut .bh-new-cut && mv early .bh-new-early"));
    operator(&format!(
        "limit -p bhard=0 {}",
        guest.run(&format!("cat {state}/volumes/.bh-new-early/.bh-project"))
    ));
    assert_eq!(limits(&guest), [8192, 9216]);
    guest.start_boathook(state);

    assert_eq!(guest.create("cut", "11m"), json!({}));
    assert_eq!(guest.create("early", "12m"), json!({}));
    assert_eq!(limits(&guest), [8192, 11264, 12288]);
    assert_eq!(fill(&guest, "kept", 12_000), 8192);
    let above = projects(&guest).into_iter().find(|it| it.0 == ABOVE);
    assert_eq!(above.map(|it| it.2), Some(ABOVE_MAX));
}

#[test]
fn a_volume_that_was_copied_or_has_lost_its_limit_gets_it_when_it_is_mounted() {
    let Some(guest) = start(XFS, "-o prjquota") else { return };
    assert_eq!(guest.create("one", "8m"), json!({}));
    assert_eq!(fill(&guest, "one", 4096), 4096);
    guest.run(
        "mkdir -p /mnt/disk/state/volumes/one/_data/a/b && cd /mnt/disk/state/volumes/one/_data/a/b && \
               echo x >inside && ln -s /etc/passwd link && mkfifo pipe",
    );
    guest.run("cd /mnt/disk/state/volumes && cp -a one two && cp -a one three && sync");
    assert_eq!(remove(&guest, "three"), json!({}));
    assert_eq!(limits(&guest), [8192]);
    guest
        .run("xfs_quota -x -c \"limit -p bhard=0 $(cat /mnt/disk/state/volumes/one/.bh-project)\" /mnt/disk");

    for volume in ["one", "two", "two"] {
        assert_eq!(mount(&guest, volume)["Err"], Value::Null, "{volume}");
    }

    assert_eq!(limits(&guest), [8192, 8192]);
    assert!(projects(&guest).iter().all(|it| it.1 > 4096), "{:?}", projects(&guest));
    assert_eq!(fill(&guest, "two", 12_000), 8188);
    assert_eq!(remove(&guest, "one"), json!({}));
    assert_eq!(limits(&guest), [8192]);
    assert_eq!(fill(&guest, "two", 12_000), 8188);
}

#[test]
fn what_no_filesystem_keeps_is_refused_with_the_fix_and_leaves_nothing() {
    let Some(guest) = start(XFS, "") else { return };

    let refused = guest.create("data", "8m");

    assert_eq!(
        refusal(&refused),
        "`size` cannot be kept in `/mnt/disk/state/volumes`: the xfs mounted at `/mnt/disk` has project quotas off: \
         mount it with `prjquota`; or use `type=tmpfs`, or a script that makes a file of that size and mounts it \
         (`type=script`, as the recipe `loop` does)"
    );
    assert_eq!(guest.run("ls -A /mnt/disk/state/volumes"), "");
    assert_eq!(guest.call("List", &json!({}))["Volumes"], json!([]));
    guest.kill_boathook();
    guest.run("mkdir /mnt/state");
    guest.start_boathook("/mnt/state");
    let refused = guest.create("data", "8m");
    let told = "tmpfs, mounted at `/mnt`, cannot limit a directory, xfs and ext4 can";
    assert!(refusal(&refused).contains(told), "{refused}");
}

#[test]
fn a_volume_whose_filesystem_has_stopped_to_limit_is_not_mounted() {
    let Some(guest) = start(EXT4, "-o prjquota") else { return };
    for (name, size) in [("data", "8m"), ("old", "9m")] {
        assert_eq!(guest.create(name, size), json!({}), "{name}");
    }
    let remount = |options: &str| {
        guest.kill_boathook();
        guest.run(&format!("umount /mnt/disk && mount {options} /dev/ubda /mnt/disk"));
        guest.start_boathook("/mnt/disk/state");
    };

    remount("");

    let refused = mount(&guest, "data");
    assert_eq!(
        refusal(&refused),
        "`/mnt/disk/state/volumes/data/_data` was made with a `size`, which is not kept any more: the ext4 mounted at \
         `/mnt/disk` counts projects without limiting them: mount it with `prjquota`"
    );
    assert!(guest.log().contains("a volume with a size is not mounted"));
    assert_eq!(remove(&guest, "old"), json!({}));
    remount("-o prjquota");
    assert_eq!(limits(&guest), [8192]);
    assert_eq!(mount(&guest, "data")["Err"], Value::Null);
    assert!(fill(&guest, "data", 12_000) <= 8192);
}

#[test]
fn an_ext4_gets_its_quotas_as_the_refusal_says() {
    let Some(guest) = start(EXT4_PLAIN, "") else { return };

    let refused = guest.create("data", "8m");

    let told = "`tune2fs -O quota,project -Q prjquota /dev/ubda` while it is not mounted, then mount it with";
    assert!(refusal(&refused).contains(told), "{refused}");
    guest.kill_boathook();
    guest.run("umount /mnt/disk && tune2fs -O quota,project -Q prjquota /dev/ubda");
    guest.run("mount -o prjquota /dev/ubda /mnt/disk");
    guest.start_boathook("/mnt/disk/state");
    assert_eq!(guest.create("data", "8m"), json!({}));
    assert_eq!(limits(&guest), [8192]);
}
