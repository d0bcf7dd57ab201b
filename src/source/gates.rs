//! Which gates a call has to pass.

use std::borrow::Cow;

use docker_plugin_sdk::authorization::Request;
use serde_json::Value;

use super::api::{Operation, Version, What, is_same_signal, is_terminating};
use super::body;
use crate::lifecycle::{Observation, Point, Withheld};

/// The first API version that takes no notice of a body of a start. Before it, engines up to 24
/// replace the container's `HostConfig` by that body.
const START_WITHOUT_BODY: Version = Version { major: 1, minor: 24 };

impl Operation<'_> {
    /// The gates that the operation may have to pass, in order.
    pub(super) fn gates(&self) -> &'static [Point] {
        match self.what {
            What::ContainerCreate => &[Point::PreCreate],
            What::ContainerStart => &[Point::PreStart],
            What::ContainerRestart => &[Point::PreStop, Point::PreStart],
            What::ContainerStop | What::ContainerKill => &[Point::PreStop],
            // Only a legacy link goes, not the container.
            What::ContainerRemove if self.query.flag("link") => &[],
            What::ContainerRemove if self.query.flag("force") => &[Point::PreStop, Point::PreRemove],
            What::ContainerRemove | What::ContainerPrune => &[Point::PreRemove],
            What::NetworkCreate => &[Point::NetworkPreCreate],
            What::NetworkRemove | What::NetworkPrune => &[Point::NetworkPreRemove],
            What::VolumeCreate => &[Point::VolumePreCreate],
            What::VolumeRemove | What::VolumePrune => &[Point::VolumePreRemove],
            What::ImageCreate | What::ImageLoad => &[Point::ImagePrePull],
            What::ImageBuild => &[Point::ImagePreBuild],
            What::ImageRemove | What::ImagePrune => &[Point::ImagePreRemove],
            _ => &[],
        }
    }

    /// The gates that it has to pass with the container as it is. Starting what runs and stopping
    /// what is stopped asks nothing.
    pub(super) fn gates_with(&self, container: &Observation, withheld: Option<Withheld>) -> Vec<Point> {
        let running = container.process.is_running();
        let applies = |point: Point| match (self.what, point) {
            (What::ContainerKill, _) => running && self.kills(container, withheld),
            (What::ContainerRestart, Point::PreStart) => true,
            (_, Point::PreStart) => !running,
            (_, Point::PreStop) => running,
            _ => true,
        };
        self.gates().iter().copied().filter(|it| applies(*it)).collect()
    }

    /// Whether the signal is one that ends processes, or the one by which this container is stopped.
    fn kills(&self, container: &Observation, withheld: Option<Withheld>) -> bool {
        let signal = self.query.first("signal").unwrap_or_default();
        let own = container.facts.stop_signal.as_deref();
        withheld.is_some() || is_terminating(&signal) || own.is_some_and(|own| is_same_signal(own, &signal))
    }

    /// Whether a start changes what the container may do, by a body that replaces its `HostConfig`.
    pub(super) fn replaces_host_config(&self, request: &Request<'_>) -> bool {
        self.what == What::ContainerStart
            && self.version.is_some_and(|it| it < START_WITHOUT_BODY)
            // One that is sent in chunks shows no length.
            && (request.body.is_some() || request.headers.get("Content-Length") != Some("0"))
    }

    /// The name that a container is to be given; `None` if the engine is to make one up.
    pub(super) fn created_name(&self) -> Option<String> {
        let name = self.query.filled("name")?;
        Some(name.strip_prefix('/').unwrap_or(&name).to_owned())
    }

    /// The image that a pull, an import or a build is about, as a reference.
    pub(super) fn image(&self) -> Option<String> {
        let value = |key: &str| self.query.filled(key).map(Cow::into_owned);
        match self.what {
            What::ImageCreate => {
                let (name, tag) = match value("fromImage") {
                    Some(name) => (name, value("tag")),
                    None => (value("repo")?, value("tag")),
                };
                Some(match tag {
                    Some(digest) if digest.contains(':') => format!("{name}@{digest}"),
                    Some(tag) => format!("{name}:{tag}"),
                    None => name,
                })
            }
            What::ImageBuild => value("t"),
            What::ImageRemove => self.target.clone(),
            _ => None,
        }
    }
}

/// Why the parameters of a call may not be those in its target: a form body takes precedence and
/// is not shown to plugins.
pub(super) fn hidden_parameters(request: &Request<'_>) -> Option<Withheld> {
    let kind = request.headers.get("Content-Type")?;
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let form = kind == "application/x-www-form-urlencoded" || kind == "multipart/form-data";
    (form && matches!(&*request.method, "POST" | "PUT" | "PATCH")).then_some(Withheld::FormBody)
}

/// The body of a call that needs one.
pub(super) fn body_bytes(request: &Request<'_>) -> Result<Vec<u8>, Withheld> {
    if let Some(withheld) = hidden_parameters(request) {
        return Err(withheld);
    }
    let body = request.body.as_ref().ok_or(Withheld::Absent)?;
    body.decode().map_err(|_| Withheld::Unreadable)
}

/// The JSON body of a call that needs one.
pub(super) fn json_body(request: &Request<'_>) -> Result<Value, Withheld> {
    body::read(&body_bytes(request)?).map_err(|error| {
        tracing::warn!(%error, uri = %request.uri, "a call whose body cannot be read");
        Withheld::Unreadable
    })
}
