//! The configuration as files, on a real engine: drop-ins, the last good one, settings found late.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use serde_json::Value;

use super::world::{Config, World, options, points};
use crate::engine::{Boathook, BoathookOptions, DockerdOptions, Generation, Sandbox};

/// For the daemon to tell systemd of a start or a reload.
const SAID_LIMIT: Duration = Duration::from_secs(30);

const FELL_BACK: &str = "the configuration has mistakes: the last good one is obeyed in its place";

fn wait_for_message(boathook: &Boathook, text: &str) -> Value {
    boathook.wait_for_log(text, |line| line["message"] == text)
}

impl World {
    /// Ends boathook, and starts another one with this text as its configuration.
    #[track_caller]
    fn restart_with(&mut self, text: &str, environment: &[(&str, &str)]) {
        assert!(self.boathook.terminate().success());
        self.boathook = self.sandbox.start_boathook(text, BoathookOptions { environment, ..options() });
    }
}

/// The next status that the daemon tells systemd.
#[track_caller]
fn next_status(systemd: &UnixDatagram) -> String {
    let mut buffer = [0; 4096];
    loop {
        let length = systemd.recv(&mut buffer).expect("it tells systemd in time");
        let told = String::from_utf8_lossy(&buffer[..length]);
        if let Some(status) = told.lines().find_map(|it| it.strip_prefix("STATUS=")) {
            return status.to_owned();
        }
    }
}

#[test]
fn drop_ins_add_hooks_and_replace_them_at_each_reload() {
    let config = Config::new().record("all", "post_create");
    let Some(world) = World::start_with(Generation::V20_10, &config, |sandbox| {
        let gate = "version: 1\nhooks:\n  - {name: gate, at: pre_create, deny: from the package}\n";
        sandbox.write("hooks.d/50-package.yaml", gate);
        sandbox.write("hooks.d/60-backup.yaml~", "nonsense");
    }) else {
        return;
    };
    let create = |name: &str| world.sandbox.docker(&["create", "--name", name, "busybox:test", "true"]);
    let refused = create("first");
    assert!(refused.stderr.contains("from the package"), "{}", refused.stderr);

    let ours = "version: 1\nhooks:\n  - {name: gate, at: pre_create, when: {name: no-*}, deny: ours}\n";
    world.sandbox.write("hooks.d/90-ours.yaml", ours);
    world.boathook.hangup();
    wait_for_message(&world.boathook, "the configuration is reloaded");

    assert!(create("second").status.success());
    assert!(create("no-way").stderr.contains("ours"));
    assert_eq!(points(&world.wait_for_point("second", "post_create")), ["post_create"]);
}

#[test]
fn a_configuration_that_is_broken_at_start_leaves_the_last_good_one_in_force() {
    let config = Config::new()
        .hook("{name: gate, at: pre_create, when: {name: no-*}, deny: still no}")
        .record("all", "post_create");
    let Some(mut world) = World::start(Generation::V20_10, &config) else { return };
    let dir = world.sandbox.dir().display().to_string();

    let systemd = UnixDatagram::bind(format!("{dir}/notify")).expect("the folder is ours");
    systemd.set_read_timeout(Some(SAID_LIMIT)).expect("a limit that is not zero");
    let environment = [("NOTIFY_SOCKET", format!("{dir}/notify"))];

    let broken = format!("version: 1\nstate_dir: {dir}/state\nhooks:\n  - {{nam: x}}\n");
    world.restart_with(&broken, &environment.each_ref().map(|(name, value)| (*name, value.as_str())));

    let status = next_status(&systemd);
    assert!(status.contains("LAST GOOD") && status.contains("3 mistake"), "{status}");
    let said = wait_for_message(&world.boathook, FELL_BACK);
    assert_eq!((&said["hooks"], &said["mistakes"]), (&Value::from(2), &Value::from(3)), "{said}");
    assert!(said["age"].as_str().is_some_and(|it| it.ends_with('s')), "{said}");
    assert_eq!(said["level"], "ERROR");
    world.wait_until_it_follows(1);
    let refused = world.sandbox.docker(&["create", "--name", "no-way", "busybox:test", "true"]);
    assert!(refused.stderr.contains("still no"), "{}", refused.stderr);
    world.docker(&["create", "--name", "web", "busybox:test", "true"]);
    assert_eq!(points(&world.wait_for_point("web", "post_create")), ["post_create"]);

    world.sandbox.write("config.yaml", &Config::new().record("new", "post_create").text_in(&world.sandbox));
    world.boathook.hangup();
    wait_for_message(&world.boathook, "the configuration is reloaded");
    assert_eq!(next_status(&systemd), "serving");
    world.docker(&["create", "--name", "no-more", "busybox:test", "true"]);
    assert_eq!(world.wait_for_point("no-more", "post_create")[0].document["hook"], "new");
}

#[test]
fn a_gate_of_the_last_good_configuration_whose_script_is_gone_holds() {
    let config =
        Config::new().hook("{name: gate, at: pre_remove, exec: [./gate]}").record("all", "post_create");
    let gate = |sandbox: &Sandbox| drop(sandbox.write_program("gate", "#!/bin/sh\nexit 0\n"));
    let Some(mut world) = World::start_with(Generation::V20_10, &config, gate) else { return };
    let dir = world.sandbox.dir().to_owned();
    std::fs::remove_file(dir.join("gate")).expect("it was written");

    world.restart_with(&format!("version: 1\nstate_dir: {}/state\nhooks: [\n", dir.display()), &[]);

    let told = wait_for_message(&world.boathook, "a hook of the last good configuration will fail");
    assert_eq!(told["code"], "program", "{told}");
    world.wait_until_it_follows(1);
    world.docker(&["create", "--name", "web", "busybox:test", "true"]);
    world.wait_for_point("web", "post_create");
    let removed = world.sandbox.docker(&["rm", "web"]);
    assert!(!removed.status.success() && removed.stderr.contains("`gate`"), "{}", removed.stderr);
}

#[test]
fn settings_that_could_not_be_read_at_start_take_effect_with_the_configuration() {
    let Some(sandbox) = Sandbox::available() else { return };
    let dir = sandbox.dir().to_owned();
    let wrong = format!(
        "version: 1\ndocker: unix://{0}/nowhere.sock\nstate_dir: {0}/elsewhere\nhooks: [{{nam: x}}]\n",
        dir.display()
    );
    let boathook = sandbox.start_boathook(&wrong, options());
    let plugin = DockerdOptions { authorization_plugin: Some("boathook"), ..DockerdOptions::default() };
    let _dockerd = sandbox.start_dockerd(plugin);
    sandbox.import_busybox();
    assert!(sandbox.docker(&["create", "--name", "before", "busybox:test", "true"]).status.success());

    let config = Config::new()
        .hook("{name: gate, at: pre_create, when: {name: no-*}, deny: now it is read}")
        .record("all", "post_create");
    sandbox.write("config.yaml", &config.text_in(&sandbox));
    boathook.hangup();
    wait_for_message(&boathook, "the configuration is reloaded");
    wait_for_message(&boathook, "following docker's events");

    let refused = sandbox.docker(&["create", "--name", "no-way", "busybox:test", "true"]);
    assert!(refused.stderr.contains("now it is read"), "{}", refused.stderr);
    assert!(sandbox.docker(&["create", "--name", "web", "busybox:test", "true"]).status.success());
    boathook.wait_for_log("the hook to end", |it| it["hook"] == "all" && it["outcome"].is_string());
    assert!(dir.join("state/runs").is_dir());
    let waiting = boathook.logs().into_iter().find(|it| it["keys"].is_string());
    assert_eq!(waiting, None, "nothing waits for a restart");
    assert!(boathook.terminate().success());
}
