//! What is shown, scene by scene.

use super::engine::Sandbox;
use super::screen::{aside, columns, heading, note};
use super::stage::Stage;

const CAT_HOSTS: &str = "cat /run/boathook-demo/hosts";

/// What runs when a container is made and started.
const BEGINNING: [&str; 5] = [
    "pre_create diary done",
    "post_create diary done",
    "pre_start diary done",
    "post_start diary done",
    "post_start hosts-add done",
];

/// Tells the whole story.
///
/// # Panics
///
/// When something is not as it is told.
pub(super) fn tell(sandbox: &Sandbox) {
    heading(
        "boathook: your scripts at every point of a container's life",
        "A throw-away Docker engine is set up. It shares nothing with yours.",
    );
    let mut stage = Stage::set(sandbox);
    life(&mut stage);
    removes_itself(&mut stage);
    denials(&mut stage);
    failure(&mut stage);
    prune(&mut stage);
    end(stage);
}

fn life(stage: &mut Stage<'_>) {
    heading(
        "1. A container's life has eight points",
        "`diary` listens to all of them. `hosts-add` writes the container's address into a file, and \
         `hosts-remove` takes it out again, when Docker has long forgotten the container.",
    );
    stage.types("docker run -d --name web busybox:test sleep 1000");
    columns();
    stage.sees("web", &BEGINNING);
    finds_in_hosts(stage, "web");
    stage.types("docker stop -t 1 web");
    stage.sees("web", &["pre_stop diary done", "post_stop diary done"]);
    stage.types("docker rm web");
    stage.sees("web", &["pre_remove diary done", "post_remove diary done", "post_remove hosts-remove done"]);
    finds_no_hosts(stage);
}

fn removes_itself(stage: &mut Stage<'_>) {
    heading(
        "2. With --rm nobody types `docker rm`, and it is cleaned up all the same",
        "The engine removes the container without asking: no `pre_remove`, but a `post_remove`.",
    );
    stage.types("docker run -d --rm --name job busybox:test sleep 1000");
    stage.sees_again("job", &BEGINNING);
    finds_in_hosts(stage, "job");
    stage.types("docker kill job");
    stage.sees(
        "job",
        &[
            "pre_stop diary done",
            "post_stop diary done",
            "post_remove diary done",
            "post_remove hosts-remove done",
        ],
    );
    finds_no_hosts(stage);
}

fn denials(stage: &mut Stage<'_>) {
    heading(
        "3. A hook can say no, and the docker user reads why",
        "One rule stands in the configuration itself, the other one is a script.",
    );
    is_denied(
        stage,
        "docker run --label policy=strict --privileged --name root busybox:test",
        "hook `no-privileged`: privileged containers are not allowed here",
    );
    stage.sees("root", &["pre_create no-privileged denied"]);
    is_denied(
        stage,
        "docker run --label policy=strict --name any busybox",
        "hook `want-version`: image \"busybox\" has no version",
    );
    stage.sees("any", &["pre_create diary done", "pre_create want-version exit 1"]);
}

fn failure(stage: &mut Stage<'_>) {
    heading(
        "4. When a container fails somebody is told, sooner or later",
        "`mail` runs at `post_stop` if the exit code is not 0. The mail server is down at first, so \
         the script exits with 75, which means: try me again later.",
    );
    stage.types("mkdir /run/boathook-demo/outbox; touch /run/boathook-demo/outbox/down");
    stage.types("docker run -d --name flaky busybox:test sh -c 'sleep 1000; exit 3'");
    stage.sees_again("flaky", &BEGINNING);
    stage.waits_for("container `flaky` to sleep", "docker exec flaky pidof sleep");
    stage.types("docker exec flaky killall sleep");
    stage.sees("flaky", &["post_stop diary done", "post_stop mail exit 75"]);
    stage.types("rm /run/boathook-demo/outbox/down");
    stage.sees_at_last("flaky", "post_stop mail");
    let mail = stage.types("head -n 3 /run/boathook-demo/outbox/*");
    assert!(mail.starts_with("Subject: flaky failed"), "there is no mail about container `flaky`");
}

fn prune(stage: &mut Stage<'_>) {
    heading(
        "5. `docker container prune` names nobody, boathook knows who it was",
        "The container that has failed is still there, and so is its line in the file. Hooks are asked \
         about each container that would go.",
    );
    finds_in_hosts(stage, "flaky");
    stage.types("docker container prune -f");
    stage
        .sees("flaky", &["pre_remove diary done", "post_remove diary done", "post_remove hosts-remove done"]);
    finds_no_hosts(stage);
}

fn end(stage: Stage<'_>) {
    let containers = stage.types("docker ps -aq");
    assert!(containers.is_empty(), "containers are left");
    aside("(none)");
    let (runs, hooks) = (stage.runs(), stage.hooks());
    stage.clear();
    note(&format!(
        "{runs} runs of {hooks} hooks, for 3 containers and 2 that were denied, and nothing is left. \
         config.yaml and the scripts in hooks/ are all that it took: read on there."
    ));
}

fn finds_in_hosts(stage: &Stage<'_>, container: &str) {
    let hosts = stage.types(CAT_HOSTS);
    let is_there = hosts.lines().any(|it| it.split(' ').nth(1) == Some(container));
    assert!(is_there, "container `{container}` is not in the file of hosts");
}

fn finds_no_hosts(stage: &Stage<'_>) {
    let hosts = stage.types(CAT_HOSTS);
    assert!(hosts.is_empty(), "a line is left in the file of hosts");
    aside("(empty)");
}

/// Types a command that must be refused for this reason.
fn is_denied(stage: &Stage<'_>, line: &str, reason: &str) {
    let answer = stage.tries(line);
    assert!(answer.status != 0, "`{line}` is not denied");
    assert!(answer.text.contains(reason), "`{line}` is denied for another reason than `{reason}`");
}
