//! The `when` table: each key in each form, with what it takes, what it does not take, and what
//! leaves it open. And what nesting makes of them.

use std::path::Path;
use std::sync::Arc;

use super::super::document;
use super::super::report::Report;
use super::{PointSet, Scope, read};
use crate::hook::Match;
use crate::lifecycle::{
    Cause, Detail, EngineId, Event, Exit, Facts, Mount, NetworkAttachment, NetworkDetail, Point, Reason,
    Request, Subject, VolumeDetail,
};

/// What is written, an event that it takes, one that it does not, and one that leaves it open; `-`:
/// there is none. An event is what is known of it, as [`event`] reads it.
const TABLE: [[&str; 4]; 73] = [
    ["name: web", "name web", "name web-1", ""],
    ["name: web-*", "name web-1", "name db-1", "image web-1"],
    ["name: '*-db'", "name a-db", "name db", ""],
    ["name: w?b-[0-9]", "name web-1", "name web-x", ""],
    ["name: '{web,db}-1'", "name db-1", "name a-1", ""],
    ["name: '~web-[0-9]+'", "name web-12", "name my-web-12", ""],
    ["name: '\\~web'", "name ~web", "name web", ""],
    ["name: [web, db-*]", "name db-1", "name a", ""],
    ["image: nginx:*", "image nginx:1.27", "image nginx", ""],
    ["image: '*/team/*'", "image registry:5000/team/app:1", "image team/app", "name x"],
    ["image: '~(?i)NGINX'", "image nginx", "image nginx:1", ""],
    ["image: [a, b]", "image b", "image c", ""],
    ["label: fw.skip", "label fw.skip=", "label fw=skip", ""],
    ["label: fw.skip", "label fw.skip=0", "no-labels", "name x"],
    ["label: zone=a*", "label zone=ab", "label zone=b", ""],
    ["label: zone=", "label zone=", "label zone=a", ""],
    ["label: zone=~a|b", "label zone=b", "label zone=ab", ""],
    ["label: zone=\\~a", "label zone=~a", "label zone=a", ""],
    ["label: zone=a=b", "label zone=a=b", "label zone=a", ""],
    ["label: [zone, rack=1]", "label rack=1", "label rack=2", ""],
    ["label: {zone: a, rack: '*'}", "label zone=a, label rack=9", "label zone=a", ""],
    ["label: {zone: [a, b]}", "label zone=b", "label zone=c", ""],
    ["network: prod", "network prod", "network pre-prod", ""],
    ["network: prod-*", "network bridge, network prod-1", "no-networks", ""],
    ["network: '~prod.+'", "network prod-1", "network prod", ""],
    ["network: [a, b]", "network c, network b", "network c", ""],
    ["network: a", "network b, of-network a", "network a, of-network b", ""],
    ["network: a", "of-network a", "network a, of-network b", "network a, of-network"],
    ["mount: data", "volume data:/var/lib", "volume data-2:/var/lib", ""],
    ["mount: /var/run/docker.sock", "bind /var/run/docker.sock:/d", "bind /var/run:/d", "name x"],
    ["mount: /etc/*", "bind /a:/b, bind /c:/etc/d", "no-mounts", ""],
    ["mount: ~/dev/.*", "bind /dev/sda:/x", "bind /device:/x", ""],
    ["mount: [a, b]", "volume b:/x", "volume c:/x", ""],
    ["mount: data", "of-volume data:/x", "volume data:/x, of-volume b:/y", "of-volume :/y"],
    ["mount: /x", "of-volume :/x", "bind /x:/x, of-volume b:/y", ""],
    ["project: shop", "label com.docker.compose.project=shop", "label project=shop", ""],
    ["project: ci-*", "label com.docker.compose.project=ci-1", "no-labels", ""],
    ["project: ~a|b", "label com.docker.compose.project=b", "label com.docker.compose.project=ab", ""],
    ["project: [a, b]", "label com.docker.compose.project=b", "label com.docker.compose.project=c", ""],
    ["service: web", "label com.docker.compose.service=web", "no-labels", ""],
    ["service: w*", "label com.docker.compose.service=web", "label com.docker.compose.service=db", ""],
    ["service: ~a|b", "label com.docker.compose.service=b", "label com.docker.compose.service=ab", ""],
    ["service: [a, b]", "label com.docker.compose.service=b", "label com.docker.compose.project=b", ""],
    ["user: alice", "user alice", "user bob", ""],
    ["user: '*'", "user alice", "method POST", "name alice"],
    ["user: '~.*'", "user alice", "method POST", ""],
    ["user: nobody", "user nobody", "method POST", ""],
    ["user: [alice, ops-*]", "user ops-1", "user ops", ""],
    ["privileged: true", "privileged true", "privileged false", ""],
    ["privileged: false", "privileged false", "privileged true", ""],
    ["exit_code: 0", "exit 0", "exit 1", ""],
    ["exit_code: '!=0'", "exit 137", "exit 0", "exit ?"],
    ["exit_code: [1, 2]", "exit 2", "exit 3", ""],
    ["reason: oom", "reason oom", "reason exit", ""],
    ["reason: [stop, kill]", "reason kill", "reason exit", "reason unknown"],
    ["reason: [oom, unknown]", "reason unknown", "reason kill", ""],
    ["reason: '[sk]*'", "reason stop", "reason oom", ""],
    ["reason: ~o.m|exit", "reason oom", "reason stop", ""],
    ["cause: api", "cause api", "cause engine", "-"],
    ["cause: e*", "cause engine", "cause api", "-"],
    ["cause: [api, engine]", "cause engine", "-", "-"],
    ["event: post_stop", "at post_stop", "at post_start", "-"],
    ["event: post_*", "at post_create", "at pre_create", "-"],
    ["event: '~p.*_(start|stop)'", "at pre_stop", "at post_remove", "-"],
    ["event: [pre_stop, post_start]", "at post_start", "at post_stop", "-"],
    ["host: edge-1", "", "-", "-"],
    ["host: [core-*, '~edge-[0-9]']", "", "-", "-"],
    ["host: core-*", "-", "", "-"],
    ["method: POST", "method POST", "method DELETE", ""],
    ["method: ['P*', '~DEL.*']", "method DELETE", "method GET", ""],
    ["path: /containers/create", "path /containers/create", "path /containers/x/start", ""],
    ["path: /containers/*", "path /containers/x/start", "path /images/x", ""],
    ["path: ['~/containers/[^/]+/kill', /x]", "path /containers/a/kill", "path /containers/a/b/kill", ""],
];

/// As in [`TABLE`], with tables in tables.
const NESTED: [[&str; 4]; 12] = [
    ["{name: web, image: nginx}", "name web, image nginx", "name web, image a", "name web"],
    ["{name: web, image: nginx}", "name web, image nginx", "image a", "image nginx"],
    ["not: {name: web}", "name db", "name web", ""],
    ["not: {name: web, image: nginx}", "image a", "name web, image nginx", "name web"],
    ["not: {label: [a, b]}", "no-labels", "label b=", "name x"],
    ["not: {user: '*'}", "method POST", "user alice", ""],
    ["any: [{name: web}, {image: nginx}]", "image nginx", "name a, image b", "name a"],
    [
        "any: [{name: web, image: a}, {privileged: true}]",
        "name web, image a",
        "name b, privileged false",
        "image a",
    ],
    ["all: [{name: web}, {label: [a, b]}]", "name web, label b=", "label c=", "name web"],
    ["not: {any: [{name: web}, {image: nginx}]}", "name a, image b", "image nginx", "name a"],
    ["not: {not: {name: web}}", "name web", "name db", ""],
    ["{label: a, not: {label: a=skip}}", "label a=", "label a=skip", ""],
];

#[test]
fn each_key_in_each_form_takes_what_it_should() {
    for [written, yes, no, open] in TABLE.into_iter().chain(NESTED) {
        let condition = condition(written);
        for (known, expected) in [(yes, Match::Yes), (no, Match::No), (open, Match::Unknown)] {
            if known != "-" {
                assert_eq!(
                    condition.matches(&event(known)),
                    expected,
                    "`{written}` of an event with `{known}`"
                );
            }
        }
    }
}

#[test]
fn each_key_stands_in_the_table() {
    for key in super::ConditionDraft::KEYS.now {
        let begins = format!("{}:", key.name);
        assert!(TABLE.iter().chain(&NESTED).any(|it| it[0].starts_with(&begins)), "{begins}");
    }
}

#[test]
fn an_obstacle_is_the_first_test_that_settles_it() {
    let condition = condition("{name: web, image: nginx, privileged: true}");
    let obstacle = |known: &str| condition.obstacle(&event(known)).map(|it| it.to_string());

    assert_eq!(obstacle("name web, image nginx, privileged true"), None);
    assert_eq!(obstacle("image a, privileged false").as_deref(), Some("`image is nginx` does not hold"));
    assert_eq!(obstacle("image nginx, privileged true").as_deref(), Some("not known whether `name is web`"));
}

fn condition(written: &str) -> crate::hook::Condition {
    let mut report = Report::new(Path::new("c.yaml"), written);
    let node = document::read(written, &mut report).root.expect("the text holds a value");
    let scope = Scope { at: None::<PointSet>, host: "edge-1", depth: 0 };
    let condition = read(&node, scope, &mut report);
    condition.unwrap_or_else(|| panic!("{written}: {report}"))
}

/// An event of which `known` is known: `name web, label a=b`, and nothing else.
fn event(known: &str) -> Event {
    let subject = Subject::container(&EngineId::new("engine"), "c1");
    let mut event = Event {
        point: Point::PostStart,
        subject,
        passage: 1,
        at: jiff::Timestamp::UNIX_EPOCH,
        cause: Cause::Api,
        reason: None,
        exit: None,
        facts: Arc::default(),
        detail: None,
        request: None,
        nested: false,
    };
    let mut facts = Facts::default();
    for it in known.split(", ").filter(|it| !it.is_empty()) {
        let (what, value) = it.split_once(' ').unwrap_or((it, ""));
        if !learn(&mut facts, what, value) {
            tell(&mut event, what, value);
        }
    }
    event.facts = Arc::new(facts);
    event
}

/// Takes in something about the container; false if it is about something else.
fn learn(facts: &mut Facts, what: &str, value: &str) -> bool {
    let text = value.to_owned();
    match what {
        "name" => facts.name = Some(text),
        "image" => facts.image = Some(text),
        "privileged" => facts.privileged = Some(value == "true"),
        "no-labels" => facts.labels = Some([].into()),
        "no-networks" => facts.networks = Some(Vec::new()),
        "no-mounts" => facts.mounts = Some(Vec::new()),
        "label" => {
            let (key, value) = value.split_once('=').expect("a label has a value");
            facts.labels.get_or_insert_default().insert(key.to_owned(), value.to_owned());
        }
        "network" => facts
            .networks
            .get_or_insert_default()
            .push(NetworkAttachment { name: text, ..NetworkAttachment::default() }),
        "volume" | "bind" => {
            let (source, destination) = value.split_once(':').expect("a mount has two ends");
            let (name, source) = if what == "volume" { (Some(source), None) } else { (None, Some(source)) };
            facts.mounts.get_or_insert_default().push(Mount {
                name: name.map(str::to_owned),
                source: source.map(str::to_owned),
                destination: destination.to_owned(),
                ..Mount::default()
            });
        }
        _ => return false,
    }
    true
}

fn filled(text: &str) -> Option<String> {
    Some(text.to_owned()).filter(|it| !it.is_empty())
}

fn detail(event: &mut Event) -> &mut Detail {
    Arc::make_mut(event.detail.get_or_insert_default())
}

/// Takes in something about what happened.
fn tell(event: &mut Event, what: &str, value: &str) {
    match what {
        "exit" => event.exit = Some(Exit { code: value.parse().ok(), at: None }),
        "reason" => event.reason = Reason::ALL.into_iter().find(|it| it.name() == value),
        "of-network" => {
            detail(event).network = Some(NetworkDetail { name: filled(value), ..NetworkDetail::default() });
        }
        "of-volume" => {
            let (name, destination) = value.split_once(':').expect("a volume has a place");
            let (name, destination) = (filled(name), filled(destination));
            detail(event).volume = Some(VolumeDetail { name, destination, ..VolumeDetail::default() });
        }
        "cause" => event.cause = Cause::ALL.into_iter().find(|it| it.name() == value).expect("a cause"),
        "at" => event.point = Point::from_name(value).expect("a point"),
        "user" | "method" | "path" => {
            let part = |key: &str| if what == key { value.to_owned() } else { String::new() };
            let user = (what == "user").then(|| value.to_owned());
            let (method, path) = (part("method"), part("path"));
            event.request = Some(Arc::new(Request { method, uri: path.clone(), path, user, body: None }));
        }
        other => panic!("`{other}` is nothing that can be known"),
    }
}

#[test]
fn a_key_can_be_known_where_something_tells_it() {
    let known_at = |written: &str| {
        let condition = condition(written);
        let points = Point::ALL.iter().filter(|it| condition.tests[0].can_be_known_at(**it));
        points.map(|it| it.name()).collect::<Vec<_>>()
    };
    let count = |written: &str| known_at(written).len();

    assert_eq!(known_at("exit_code: 0"), ["post_stop", "post_remove"]);
    assert!(known_at("user: a").iter().all(|it| it.contains("pre_") || *it == "api"));
    assert!(!known_at("name: a").contains(&"daemon.start") && !known_at("name: a").contains(&"api"));
    assert!(
        known_at("label: a").contains(&"volume.pre_create")
            && !known_at("label: a").contains(&"volume.post_create")
    );
    assert!(
        known_at("image: a").contains(&"image.post_pull")
            && !known_at("image: a").contains(&"network.pre_create")
    );
    assert!(
        known_at("network: a").contains(&"network.post_remove") && !known_at("network: a").contains(&"api")
    );
    assert!(
        known_at("mount: a").contains(&"volume.post_remove")
            && !known_at("mount: a").contains(&"network.post_remove")
    );
    for always in ["cause: api", "event: api", "host: a", "not: {exit_code: 0}"] {
        assert_eq!(count(always), Point::ALL.len(), "{always}");
    }
}
