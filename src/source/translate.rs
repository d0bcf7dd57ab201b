//! What the engine's events mean, and which of them are asked for.

use std::collections::HashMap;
use std::hash::Hasher as _;
use std::sync::Arc;

use bollard::models::{EventMessage, EventMessageTypeEnum as Type};
use jiff::Timestamp;
use siphasher::sip::SipHasher13;

use super::api::is_terminating;
use super::looks::{Notice, Wants};
use crate::docker::EventFilter;
use crate::lifecycle::{
    Detail, EngineId, Facts, Mount, NetworkAttachment, NetworkDetail, Point, PointSet, Saw, Signal, Source,
    Subject, SubjectKind, VolumeDetail,
};

/// The events that have to be asked for when somebody listens at `points`.
///
/// Those of exec and health only when a hook listens to them: a health check makes three at each
/// turn, and the engine's ring holds 256 of all kinds.
pub(super) fn filter(points: PointSet) -> EventFilter {
    let listens = |points_of: &[Point]| points.contains_any(points_of);
    // What a hook keeps in place at `reconcile`, and what our networks are made of, may be gone after a reload.
    let mut types = vec!["container", "network", "daemon"];
    let mut actions =
        vec!["create", "start", "die", "destroy", "kill", "oom", "rename", "update", "connect", "reload"];
    if listens(&[Point::NetworkConnect, Point::NetworkDisconnect]) {
        actions.push("disconnect");
    }
    if listens(&[Point::Pause, Point::Unpause]) {
        actions.extend(["pause", "unpause"]);
    }
    if listens(&[Point::Exec]) {
        actions.push("exec_start");
    }
    if listens(&[Point::Healthy, Point::Unhealthy]) {
        actions.push("health_status");
    }
    if listens(&[Point::VolumePostCreate, Point::VolumeMount, Point::VolumeUnmount, Point::VolumePostRemove])
    {
        types.push("volume");
        actions.extend(["mount", "unmount"]);
    }
    if listens(&[Point::ImagePostPull, Point::ImagePostRemove]) {
        types.push("image");
        actions.extend(["pull", "import", "load", "delete"]);
    }
    EventFilter { types, actions }
}

/// What the engine tells, as a signal, and what has to be looked up for it. `None` for what
/// reaches no point.
///
/// Labels overwrite the attributes of a container's events (`daemon/events.go` in moby): only
/// `image` and `name` are the engine's own for certain. The attributes of other events hold no
/// labels, but for an image's.
pub fn translate(engine: &EngineId, event: &EventMessage) -> Option<Notice> {
    let told = Told {
        engine,
        id: event.actor.as_ref()?.id.as_deref().unwrap_or_default(),
        action: event.action.as_deref()?,
        attributes: event.actor.as_ref()?.attributes.as_ref(),
        at: Timestamp::from_nanosecond(event.time_nano?.into()).ok()?,
        mark: mark(event),
    };
    match event.typ? {
        Type::CONTAINER if !told.id.is_empty() => told.container(),
        Type::NETWORK => told.network(),
        Type::VOLUME => told.volume(),
        Type::IMAGE => told.image(),
        Type::DAEMON if told.action == "reload" => {
            let subject = Subject::new(engine, SubjectKind::Engine, "");
            Some(told.notice(subject, Saw::Reached(Point::DaemonReload), Wants::Nothing))
        }
        _ => None,
    }
}

/// What tells an event from every other one: its time, what happened, and to whom. The same event has the
/// same mark for ever, as marks outlive the process.
pub(super) fn mark(event: &EventMessage) -> u64 {
    let actor = event.actor.as_ref();
    let id = actor.and_then(|it| it.id.as_deref());
    let container = actor.and_then(|it| it.attributes.as_ref()).and_then(|it| it.get("container"));
    let mut hasher = SipHasher13::new();
    hasher.write_i64(event.time_nano.unwrap_or_default().to_le());
    for part in [event.action.as_deref(), id, container.map(String::as_str)] {
        hasher.write(part.unwrap_or_default().as_bytes());
        // No text holds it.
        hasher.write_u8(0xff);
    }
    hasher.finish()
}

/// One event, taken apart.
struct Told<'a> {
    engine: &'a EngineId,
    id: &'a str,
    action: &'a str,
    attributes: Option<&'a HashMap<String, String>>,
    at: Timestamp,
    mark: u64,
}

impl Told<'_> {
    fn attribute(&self, key: &str) -> Option<&str> {
        self.attributes?.get(key).map(String::as_str)
    }

    fn owned(&self, key: &str) -> Option<String> {
        self.attribute(key).map(str::to_owned)
    }

    fn notice(&self, subject: Subject, saw: Saw, wants: Wants) -> Notice {
        let (source, at) = (Source::Events, self.at);
        let signal = Signal { mark: Some(self.mark), ..Signal::new(subject, source, at, saw) };
        Notice { signal, wants }
    }

    fn container(&self) -> Option<Notice> {
        // The text after the colon is a command, or a state.
        let (action, more) = self.action.split_once(':').unwrap_or((self.action, ""));
        let (saw, wants) = match (action, more.trim()) {
            ("create", _) => (Saw::Created, Wants::Look),
            ("start", _) => (Saw::Started, Wants::Look),
            ("die", _) => {
                let code = self.attribute("exitCode").and_then(|it| it.parse().ok());
                (Saw::Ended { code }, Wants::Trust { attribute: "exitCode" })
            }
            ("kill", _) if self.attribute("signal").is_some_and(is_terminating) => {
                (Saw::Killed, Wants::Trust { attribute: "signal" })
            }
            ("oom", _) => (Saw::OutOfMemory, Wants::Nothing),
            ("destroy", _) => (Saw::Removed, Wants::Nothing),
            ("rename", _) => (Saw::Reached(Point::Rename), Wants::Look),
            ("update", _) => (Saw::Reached(Point::Update), Wants::Look),
            ("pause", _) => (Saw::Reached(Point::Pause), Wants::Nothing),
            ("unpause", _) => (Saw::Reached(Point::Unpause), Wants::Nothing),
            ("exec_start", _) => (Saw::Reached(Point::Exec), Wants::Nothing),
            ("health_status", "healthy") => (Saw::Reached(Point::Healthy), Wants::Nothing),
            ("health_status", "unhealthy") => (Saw::Reached(Point::Unhealthy), Wants::Nothing),
            _ => return None,
        };
        let mut notice = self.notice(Subject::container(self.engine, self.id), saw, wants);
        notice.signal.told = Some(Box::new(self.container_facts()));
        if saw == Saw::Reached(Point::Exec) {
            let command = Some(more.trim().to_owned());
            notice.signal.detail = Some(Arc::new(Detail { command, ..Detail::default() }));
        }
        Some(notice)
    }

    /// What an event tells by itself, for a container that is gone before it can be looked up.
    fn container_facts(&self) -> Facts {
        let own: &[&str] = match self.action {
            "die" => &["image", "name", "exitCode", "execDuration"],
            "kill" => &["image", "name", "signal"],
            "rename" => &["image", "name", "oldName"],
            action if action.starts_with("exec_") => &["image", "name", "execID"],
            _ => &["image", "name"],
        };
        Facts {
            id: Some(self.id.to_owned()),
            name: self.owned("name"),
            image: self.owned("image"),
            labels: self.attributes.map(|all| {
                let labels = all.iter().filter(|(key, _)| !own.contains(&key.as_str()));
                labels.map(|(key, value)| (key.clone(), value.clone())).collect()
            }),
            ..Facts::default()
        }
    }

    fn network(&self) -> Option<Notice> {
        let (name, driver) = (self.owned("name"), self.owned("type"));
        let detail = NetworkDetail { id: Some(self.id.to_owned()), name: name.clone(), driver };
        let (of_container, point, wants) = match self.action {
            "create" => (false, Point::NetworkPostCreate, Wants::Nothing),
            "destroy" => (false, Point::NetworkPostRemove, Wants::Nothing),
            // The new address is wanted.
            "connect" => (true, Point::NetworkConnect, Wants::Look),
            "disconnect" => (true, Point::NetworkDisconnect, Wants::Nothing),
            _ => return None,
        };
        let subject = match of_container {
            true => Subject::container(self.engine, self.attribute("container").filter(|it| !it.is_empty())?),
            false => Subject::new(self.engine, SubjectKind::Network, self.id),
        };
        let mut notice = self.notice(subject, Saw::Reached(point), wants);
        if !of_container {
            let network_id = Some(self.id.to_owned());
            let attachment = NetworkAttachment {
                name: name.clone().unwrap_or_default(),
                network_id,
                ..NetworkAttachment::default()
            };
            let facts = Facts { name, networks: Some(vec![attachment]), ..Facts::default() };
            notice.signal.told = Some(Box::new(facts));
        }
        notice.signal.detail = Some(Arc::new(Detail { network: Some(detail), ..Detail::default() }));
        Some(notice)
    }

    fn volume(&self) -> Option<Notice> {
        let (name, driver) = (Some(self.id.to_owned()), self.owned("driver"));
        let destination = self.owned("destination");
        let detail = VolumeDetail { name: name.clone(), driver: driver.clone(), destination };
        let (of_container, point) = match self.action {
            "create" => (false, Point::VolumePostCreate),
            "destroy" => (false, Point::VolumePostRemove),
            "mount" => (true, Point::VolumeMount),
            "unmount" => (true, Point::VolumeUnmount),
            _ => return None,
        };
        let subject = match of_container {
            true => Subject::container(self.engine, self.attribute("container").filter(|it| !it.is_empty())?),
            false => Subject::new(self.engine, SubjectKind::Volume, self.id),
        };
        let mut notice = self.notice(subject, Saw::Reached(point), Wants::Nothing);
        if !of_container {
            let mount = Mount { kind: "volume".into(), name: name.clone(), driver, ..Mount::default() };
            let facts = Facts { name, mounts: Some(vec![mount]), ..Facts::default() };
            notice.signal.told = Some(Box::new(facts));
        }
        notice.signal.detail = Some(Arc::new(Detail { volume: Some(detail), ..Detail::default() }));
        Some(notice)
    }

    fn image(&self) -> Option<Notice> {
        let point = match self.action {
            "pull" | "import" | "load" => Point::ImagePostPull,
            "delete" => Point::ImagePostRemove,
            _ => return None,
        };
        // An import is told by its digest alone, with the digest for a name.
        let image = self.owned("name").unwrap_or_else(|| self.id.to_owned());
        let subject = Subject::new(self.engine, SubjectKind::Image, self.id);
        let mut notice = self.notice(subject, Saw::Reached(point), Wants::Nothing);
        let facts = Facts { name: Some(image.clone()), image: Some(image.clone()), ..Facts::default() };
        notice.signal.told = Some(Box::new(facts));
        notice.signal.detail = Some(Arc::new(Detail { image: Some(image), ..Detail::default() }));
        Some(notice)
    }
}

#[cfg(test)]
mod tests {
    use bollard::models::EventMessage;
    use serde_json::json;

    use super::{filter, mark, translate};
    use crate::lifecycle::{EngineId, Point, PointSet, Saw, Signal, SubjectKind};
    use crate::source::looks::Wants;

    fn event(kind: &str, action: &str, attributes: serde_json::Value) -> EventMessage {
        serde_json::from_value(json!({
            "Type": kind, "Action": action, "Actor": {"ID": "e391", "Attributes": attributes},
            "scope": "local", "time": 1_795_343_338, "timeNano": 1_795_343_338_615_191_051_i64
        }))
        .expect("an event")
    }

    fn signal(kind: &str, action: &str, attributes: serde_json::Value) -> Option<(Signal, Wants)> {
        translate(&EngineId::new("engine"), &event(kind, action, attributes)).map(|it| (it.signal, it.wants))
    }

    fn saw(kind: &str, action: &str, attributes: serde_json::Value) -> Option<Saw> {
        signal(kind, action, attributes).map(|(signal, _)| signal.saw)
    }

    #[test]
    fn a_mark_is_the_same_for_ever_and_another_for_everything_else() {
        let connect = |container: &str| event("network", "connect", json!({"container": container}));

        assert_eq!(mark(&event("container", "die", json!({}))), 0x62f2_ef4f_a54c_6a6d);
        assert_eq!(mark(&connect("a")), mark(&connect("a")));
        assert_ne!(mark(&connect("a")), mark(&connect("b")));
        assert_ne!(mark(&event("container", "die", json!({}))), mark(&event("container", "kill", json!({}))));
    }

    #[test]
    fn what_a_label_may_have_overwritten_has_to_be_trusted_first() {
        let die = signal("container", "die", json!({"exitCode": "99", "image": "i", "name": "n"}));

        let (signal, wants) = die.expect("an end");

        assert_eq!(signal.saw, Saw::Ended { code: Some(99) });
        assert_eq!(wants, Wants::Trust { attribute: "exitCode" });
    }

    #[test]
    fn a_signal_that_ends_nothing_is_no_kill() {
        assert_eq!(saw("container", "kill", json!({"signal": "28"})), None);
        assert_eq!(saw("container", "kill", json!({"signal": "15"})), Some(Saw::Killed));
    }

    #[test]
    fn a_connection_and_a_mount_are_about_the_container() {
        let attributes = json!({"container": "c0ffee", "name": "bridge", "driver": "local"});
        for (kind, action) in
            [("network", "connect"), ("network", "disconnect"), ("volume", "mount"), ("volume", "unmount")]
        {
            let (signal, _) = signal(kind, action, attributes.clone()).expect("a change");
            assert_eq!(&*signal.subject.id, "c0ffee");
            assert_eq!(signal.subject.kind, SubjectKind::Container);
            assert_eq!(saw(kind, action, json!({"name": "bridge"})), None, "of nobody");
        }
    }

    #[test]
    fn each_event_reaches_its_point() {
        for (kind, action, point) in [
            ("container", "pause", Point::Pause),
            ("container", "unpause", Point::Unpause),
            ("container", "rename", Point::Rename),
            ("container", "update", Point::Update),
            ("container", "exec_start: sh -c 'a: b'", Point::Exec),
            ("container", "health_status: healthy", Point::Healthy),
            ("container", "health_status: unhealthy", Point::Unhealthy),
            ("network", "create", Point::NetworkPostCreate),
            ("network", "destroy", Point::NetworkPostRemove),
            ("volume", "create", Point::VolumePostCreate),
            ("volume", "destroy", Point::VolumePostRemove),
            ("image", "pull", Point::ImagePostPull),
            ("image", "import", Point::ImagePostPull),
            ("image", "load", Point::ImagePostPull),
            ("image", "delete", Point::ImagePostRemove),
            ("daemon", "reload", Point::DaemonReload),
        ] {
            assert_eq!(saw(kind, action, json!({})), Some(Saw::Reached(point)), "{kind} {action}");
        }
        for (kind, action) in
            [("container", "attach"), ("container", "exec_die"), ("image", "tag"), ("daemon", "x")]
        {
            assert_eq!(saw(kind, action, json!({})), None, "{kind} {action}");
        }
    }

    #[test]
    fn a_command_is_told_whole() {
        let (exec, _) = signal("container", "exec_start: sh -c 'a: b'", json!({})).expect("an exec");

        assert_eq!(exec.detail.and_then(|it| it.command.clone()).as_deref(), Some("sh -c 'a: b'"));
    }

    #[test]
    fn an_event_tells_labels_for_want_of_better() {
        let attributes = json!({"exitCode": "0", "image": "i", "name": "n", "a": "b"});

        let (die, _) = signal("container", "die", attributes).expect("an end");

        let told = die.told.expect("facts");
        assert_eq!((told.name.as_deref(), told.image.as_deref()), (Some("n"), Some("i")));
        let labels = told.labels.map(|it| it.into_iter().collect::<Vec<_>>());
        assert_eq!(labels, Some(vec![("a".into(), "b".into())]));
    }

    #[test]
    fn what_newer_engines_leave_out_of_an_event_is_not_missed() {
        for (kind, action) in [
            ("container", "create"),
            ("container", "start"),
            ("container", "die"),
            ("container", "kill"),
            ("container", "destroy"),
            ("container", "exec_start: sh"),
            ("image", "pull"),
        ] {
            // As an engine of API 1.51 told it. From 1.52 on the first three fields are not there.
            let full = json!({
                "status": action, "id": "e391", "from": "busybox:test",
                "Type": kind, "Action": action, "Actor": {"ID": "e391", "Attributes": {
                    "execDuration": "0", "exitCode": "137", "hook.test": "1", "image": "busybox:test",
                    "name": "rr", "signal": "9",
                }},
                "scope": "local", "time": 1_795_344_598, "timeNano": 1_795_344_598_600_236_404_i64,
            });
            let mut lean = full.clone();
            lean.as_object_mut()
                .expect("an object")
                .retain(|key, _| !["status", "id", "from"].contains(&&**key));

            let [full, lean] = [full, lean].map(|it| {
                let event = serde_json::from_value(it).expect("an event");
                translate(&EngineId::new("engine"), &event).map(|it| (it.signal, it.wants))
            });

            assert!(lean.is_some(), "{kind} {action}");
            assert_eq!(lean, full, "{kind} {action}");
        }
    }

    #[test]
    fn health_and_exec_are_asked_for_only_when_somebody_listens() {
        let quiet = filter(PointSet::EMPTY);
        let loud = filter([Point::Exec, Point::Healthy].into_iter().collect());

        for action in ["exec_start", "health_status"] {
            assert!(!quiet.actions.contains(&action) && loud.actions.contains(&action));
        }
    }
}
