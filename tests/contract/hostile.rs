//! What a container says of itself is never anything but a value.

use serde_json::{Value, json};

use super::document::{EIGHT, EVERYWHERE};
use super::schema::Validator;
use super::world::World;

/// The longest value of the environment, in bytes.
const VARIABLE_BYTES_MAX: usize = 32 * 1024;

const MIB: usize = 1024 * 1024;

/// Text that a shell would love, in whatever way it is pasted.
fn poison(world: &World) -> String {
    let dir = world.dir().display();
    format!(
        "$(touch {dir}/executed)`touch {dir}/executed`'; touch {dir}/executed; '\"; touch {dir}/executed; \"\n\
         touch {dir}/executed\r\n\\ ${{IFS}} %s %n \u{1b}[2J \u{7f} ü 🪝 -n * ~ #"
    )
}

#[track_caller]
fn assert_not_executed(world: &World) {
    assert!(!world.dir().join("executed").exists(), "a value was executed");
}

/// The text as it is written in a query.
fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

#[test]
fn what_a_container_says_reaches_a_hook_to_the_letter_and_is_not_executed() {
    let Some(world) = World::start(&[EVERYWHERE]) else { return };
    let poison = poison(&world);
    let with_nul = format!("a\0{poison}");
    let labels = json!({
        "com.docker.compose.project": poison, "com.docker.compose.service": with_nul, &poison: &poison,
        "": "empty", "empty": "", "exitCode": "7", "signal": "9", "name": "other", "image": "other"
    });

    let body = json!({
        "Image": "busybox:test", "Cmd": ["/bin/sleep", "1000"], "Labels": labels,
        "Env": [format!("A={poison}"), "LD_PRELOAD=/tmp/evil.so", "PATH=/tmp", "BASH_ENV=/tmp/evil"],
        "User": "0", "Hostname": "x$(id)"
    });
    let (status, answer) = world.call("POST", "/containers/create?name=web", &body);
    assert_eq!(status, 201, "{answer}");
    world.docker(&["start", "web"]);
    world.docker(&["stop", "-t", "0", "web"]);
    world.docker(&["rm", "web"]);

    let told = world.told_of("web", &EIGHT);
    for it in &told {
        assert_eq!(Validator::closed().mistakes(&it.document), None);
        assert_eq!(it.document["labels"], labels, "{}", it.point());
        assert_eq!(it.document["container"]["hostname"], "x$(id)");
        assert_eq!(it.variable("COMPOSE_PROJECT"), Some(poison.as_str()), "{}", it.point());
        assert_eq!(it.variable("COMPOSE_SERVICE"), None, "no variable can hold a NUL");
        assert_eq!(it.variable("LD_PRELOAD"), None);
        assert_eq!(it.variable("CONTAINER_IMAGE"), Some("busybox:test"));
    }
    assert_eq!(told[0].document["request"]["body"]["Env"], body["Env"]);
    assert_eq!(told[7].document["exit"]["code"], 137, "a label called exitCode is not believed");
    assert_not_executed(&world);
}

#[test]
fn what_a_caller_asks_for_may_be_anything_before_docker_has_refused_it() {
    let Some(world) = World::start(&[EVERYWHERE]) else { return };
    let poison = poison(&world);
    let body = json!({
        "Image": poison, "HostConfig": {"NetworkMode": poison}, "User": poison, "Labels": {&poison: ""}
    });

    let (status, answer) =
        world.call("POST", &format!("/containers/create?name={}", encoded(&poison)), &body);
    assert!((400..500).contains(&status) && !answer.contains("boathook"), "{status} {answer}");
    let with_nul = format!("nul\0{poison}");
    let body = json!({"Image": with_nul, "HostConfig": {"NetworkMode": with_nul}});
    let target = format!("/containers/create?name={}", encoded(&with_nul));
    let (status, answer) = world.call("POST", &target, &body);
    assert!((400..500).contains(&status) && !answer.contains("boathook"), "{status} {answer}");

    let told = &world.told_of(&poison, &["pre_create"])[0];
    for name in ["CONTAINER_NAME", "CONTAINER_IMAGE", "CONTAINER_NETWORKS"] {
        assert_eq!(told.variable(name), Some(poison.as_str()), "{name}");
    }
    assert_eq!(told.document["networks"][0]["name"], poison);
    assert_eq!(told.document["container"]["user"], poison);
    let told = &world.told_of(&with_nul, &["pre_create"])[0];
    for name in ["CONTAINER_NAME", "CONTAINER_IMAGE", "CONTAINER_NETWORKS"] {
        assert_eq!(told.variable(name), None, "{name}");
    }
    assert_eq!(told.document["container"]["image"], with_nul);
    assert_not_executed(&world);
}

#[test]
fn an_enormous_label_does_not_keep_a_hook_from_running() {
    let after_create = "name: keeper, at: [post_create, pre_start, post_start, pre_stop, post_stop, \
        pre_remove, post_remove]";
    let gate = "name: gate, at: pre_create, when: {name: small}";
    let Some(world) = World::start(&[after_create, gate]) else { return };
    let create = |name: &str, label: &str| {
        let labels = json!({
            "com.docker.compose.project": label, "com.docker.compose.service": &label[..VARIABLE_BYTES_MAX]
        });
        let body = json!({"Image": "busybox:test", "Cmd": ["sleep", "1000"], "Labels": labels});
        world.call("POST", &format!("/containers/create?name={name}"), &body)
    };
    // Docker shows plugins no body of 1 MiB and more.
    let (small, large) = ("s".repeat(MIB - 64 * 1024), "l".repeat(MIB));

    assert_eq!(create("small", &small).0, 201);
    assert_eq!(create("large", &large).0, 201);
    world.docker(&["start", "large"]);
    world.docker(&["stop", "-t", "0", "large"]);
    world.docker(&["rm", "large"]);

    let told_small = world.told_of("small", &EIGHT[..2]);
    let told_large = world.told_of("large", &EIGHT[1..]);
    for (told, label) in
        told_small.iter().map(|it| (it, &small)).chain(told_large.iter().map(|it| (it, &large)))
    {
        let known = &told.document["labels"]["com.docker.compose.project"];
        assert!(known == label, "{} at {}", told.document["container"]["name"], told.point());
        assert_eq!(told.variable("COMPOSE_PROJECT"), None, "longer than a variable may be");
        assert_eq!(told.variable("COMPOSE_SERVICE").map(str::len), Some(VARIABLE_BYTES_MAX));
    }
}

#[test]
fn a_gate_denies_a_creation_that_is_too_large_to_be_seen() {
    let Some(world) = World::start(&["name: gate, at: pre_create"]) else { return };
    let body = json!({"Image": "busybox:test", "Labels": {"a": "l".repeat(MIB)}});

    let (status, answer) = world.call("POST", "/containers/create?name=web", &body);

    assert_eq!(status, 403);
    let answer: Value = serde_json::from_str(&answer).expect("an answer is JSON");
    let message = answer["message"].as_str().expect("an answer has a message");
    let said = "authorization denied by plugin boathook: hook `gate` has to see this call, but docker did not \
        show its body";
    assert!(message.starts_with(said), "{message}");
    assert_eq!(world.told().len(), 0);
    assert!(world.boathook.is_alive());
}
