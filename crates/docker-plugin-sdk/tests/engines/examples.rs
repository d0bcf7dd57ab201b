//! Each example does on an engine what it says of itself.

use serde_json::Value;

use crate::engine::{DockerdOptions, Generation, Sandbox};
use crate::every_engine::on_every_engine;
use crate::plugin::Plugin;

fn engine(sandbox: &Sandbox) {
    sandbox.start_dockerd(DockerdOptions::default());
    sandbox.import_busybox();
}

/// The links of the sandbox whose names begin so.
fn links(sandbox: &Sandbox, beginning: &str) -> usize {
    let told = sandbox.run(&["ip", "-oneline", "link", "show"]).stdout;
    told.lines().filter(|it| it.split(": ").nth(1).is_some_and(|it| it.starts_with(beginning))).count()
}

on_every_engine!(containers_reach_each_other_on_a_network_of_the_example);
fn containers_reach_each_other_on_a_network_of_the_example(on: Generation) {
    let Some(sandbox) = Sandbox::available_on(on) else { return };
    let plugin = Plugin::start(&sandbox, "network", "docker/plugins/links.sock", &[]);
    engine(&sandbox);

    sandbox.docker_ok(&["network", "create", "-d", "links", "--subnet", "10.98.0.0/24", "lan"]);
    let stay =
        ["run", "-d", "--init", "--name", "one", "--network", "lan", "--ip", "10.98.0.9", "busybox:test"];
    sandbox.docker_ok(&[&stay[..], &["sleep", "1000"]].concat());
    // A driver that is restarted goes on where it was.
    plugin.stop();
    let _plugin = Plugin::start(&sandbox, "network", "docker/plugins/links.sock", &[]);

    let routes = sandbox.docker_ok(&["run", "--rm", "--network", "lan", "busybox:test", "ip", "route"]);
    assert!(routes.starts_with("default via 10.98.0.1 dev eth0"), "{routes}");
    sandbox.docker_ok(&[
        "run",
        "--rm",
        "--network",
        "lan",
        "busybox:test",
        "ping",
        "-c1",
        "-W5",
        "10.98.0.9",
    ]);
    assert_eq!((links(&sandbox, "br-"), links(&sandbox, "vo-")), (1, 1));

    sandbox.docker_ok(&["rm", "-f", "one"]);
    sandbox.docker_ok(&["network", "rm", "lan"]);
    assert_eq!((links(&sandbox, "br-"), links(&sandbox, "v")), (0, 0));
    let rules = sandbox.run(&["iptables", "-S", "DOCKER-USER"]).stdout;
    assert!(!rules.contains("br-"), "{rules}");
}

on_every_engine!(addresses_of_the_example_are_its_own);
fn addresses_of_the_example_are_its_own(on: Generation) {
    let Some(sandbox) = Sandbox::available_on(on) else { return };
    let book = sandbox.dir().join("leases.json");
    let book_inside = book.to_str().expect("a path of text");
    let plugin = Plugin::start(&sandbox, "ipam", "docker/plugins/leases.sock", &[book_inside]);
    engine(&sandbox);
    let leases =
        || -> Value { serde_json::from_slice(&std::fs::read(&book).expect("a file")).expect("JSON") };

    for network in ["first", "second"] {
        sandbox.docker_ok(&["network", "create", "--ipam-driver", "leases", network]);
    }
    plugin.stop();
    let _plugin = Plugin::start(&sandbox, "ipam", "docker/plugins/leases.sock", &[book_inside]);
    let on_second = |name, ip: &[&str]| {
        let run = ["run", "-d", "--init", "--name", name, "--network", "second"];
        sandbox.docker_ok(&[&run[..], ip, &["busybox:test", "sleep", "1000"]].concat());
    };
    on_second("one", &[]);
    on_second("two", &[]);

    assert_eq!(leases()["10.99.0.0/24"], serde_json::json!(["10.99.0.1"]));
    assert_eq!(leases()["10.99.1.0/24"], serde_json::json!(["10.99.1.1", "10.99.1.2", "10.99.1.3"]));
    let inspect = "{{range .NetworkSettings.Networks}}{{.IPAddress}}/{{.IPPrefixLen}} {{.Gateway}}{{end}}";
    assert_eq!(sandbox.docker_ok(&["inspect", "-f", inspect, "two"]), "10.99.1.3/24 10.99.1.1");

    sandbox.docker_ok(&["rm", "-f", "one", "two"]);
    assert_eq!(leases()["10.99.1.0/24"], serde_json::json!(["10.99.1.1"]));
    sandbox.docker_ok(&["network", "rm", "first", "second"]);
    assert_eq!(leases(), serde_json::json!({}));
}

on_every_engine!(a_volume_of_the_example_outlives_its_containers);
fn a_volume_of_the_example_outlives_its_containers(on: Generation) {
    let Some(sandbox) = Sandbox::available_on(on) else { return };
    let root = sandbox.dir().join("folders");
    let root_inside = root.to_str().expect("a path of text");
    let plugin = Plugin::start(&sandbox, "volume", "docker/plugins/folders.sock", &[root_inside]);
    engine(&sandbox);
    let uses = || sandbox.docker_ok(&["volume", "inspect", "-f", "{{.Status.uses}}", "notes"]);

    sandbox.docker_ok(&["volume", "create", "-d", "folders", "notes"]);
    let run = ["run", "--rm", "-v", "notes:/notes", "busybox:test", "sh", "-c"];
    sandbox.docker_ok(&[&run[..], &["echo hello > /notes/today"]].concat());
    plugin.stop();
    let _plugin = Plugin::start(&sandbox, "volume", "docker/plugins/folders.sock", &[root_inside]);
    let stay =
        ["run", "-d", "--init", "--name", "one", "-v", "notes:/notes", "busybox:test", "sleep", "1000"];
    sandbox.docker_ok(&stay);

    assert_eq!(sandbox.docker_ok(&["exec", "one", "cat", "/notes/today"]), "hello");
    assert_eq!(uses(), "1");
    assert_eq!(sandbox.docker_ok(&["volume", "ls", "-q"]), "notes");
    sandbox.docker_ok(&["rm", "-f", "one"]);
    assert_eq!(uses(), "0");

    let wrong = sandbox.docker(&["volume", "create", "-d", "folders", "-o", "size=1g", "other"]);
    assert!(wrong.stderr.contains("there is no option `size`"), "{}", wrong.stderr);
    let wrong = sandbox.docker(&["volume", "create", "-d", "folders", "../other"]);
    assert!(wrong.stderr.contains("is not a volume's name"), "{}", wrong.stderr);
    sandbox.docker_ok(&["volume", "rm", "notes"]);
    assert_eq!(std::fs::read_dir(&root).expect("a folder").count(), 0);
}
