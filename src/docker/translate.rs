//! The engine's answers in our words.

use std::collections::HashMap;

use bollard::models::{ContainerInspectResponse, EndpointSettings, MountPoint};
use jiff::Timestamp;

use super::DockerError;
use crate::lifecycle::{Facts, Mount, NetworkAttachment, Observation, Process};

/// What an inspect tells, in our words.
pub(super) fn observation(container: ContainerInspectResponse) -> Result<Observation, DockerError> {
    let id = container.id.ok_or(DockerError::Incomplete { field: "Id" })?;
    let state = container.state.ok_or(DockerError::Incomplete { field: "State" })?;
    let config = container.config.unwrap_or_default();
    let host_config = container.host_config.unwrap_or_default();
    let networks = container.network_settings.unwrap_or_default();
    let running = state.running == Some(true);
    let started_at = state.started_at.as_deref().and_then(instant);
    let process = match started_at {
        None => Process::NeverStarted,
        Some(started_at) if running => Process::Running { started_at },
        Some(started_at) => Process::Ended {
            started_at,
            finished_at: state.finished_at.as_deref().and_then(instant).unwrap_or(started_at),
            code: state.exit_code.unwrap_or_default(),
            out_of_memory: state.oom_killed == Some(true),
        },
    };
    let facts = Facts {
        id: Some(id),
        name: container.name.map(|it| it.trim_start_matches('/').to_owned()),
        image: config.image,
        image_id: container.image,
        labels: Some(config.labels.unwrap_or_default().into_iter().collect()),
        networks: Some(attachments(networks.networks.unwrap_or_default())),
        mounts: Some(container.mounts.unwrap_or_default().into_iter().map(mount).collect()),
        privileged: host_config.privileged,
        user: config.user,
        hostname: config.hostname,
        auto_remove: host_config.auto_remove,
        stop_signal: filled(config.stop_signal),
        pid: state.pid.and_then(|it| u32::try_from(it).ok()).filter(|it| *it != 0),
        netns: filled(networks.sandbox_key),
        created_at: container.created.map(|it| it.to_string()),
        restart: host_config
            .restart_policy
            .and_then(|it| it.name)
            .map(|it| it.to_string())
            .filter(|it| !it.is_empty()),
    };
    Ok(Observation { facts, process })
}

/// In the order of their names: the engine's answer has none.
fn attachments(networks: HashMap<String, EndpointSettings>) -> Vec<NetworkAttachment> {
    let mut attachments: Vec<_> = networks
        .into_iter()
        .map(|(name, endpoint)| NetworkAttachment {
            name,
            network_id: filled(endpoint.network_id),
            endpoint_id: filled(endpoint.endpoint_id),
            ip: filled(endpoint.ip_address),
            ip6: filled(endpoint.global_ipv6_address),
            mac: filled(endpoint.mac_address),
            gateway: filled(endpoint.gateway),
            veth: None,
        })
        .collect();
    attachments.sort_by(|a, b| a.name.cmp(&b.name));
    attachments
}

fn mount(mount: MountPoint) -> Mount {
    Mount {
        kind: mount.typ.unwrap_or_default(),
        name: filled(mount.name),
        source: filled(mount.source),
        destination: mount.destination.unwrap_or_default(),
        driver: filled(mount.driver),
        writable: mount.rw.unwrap_or(true),
    }
}

/// The engine writes "not there" as an empty text.
fn filled(text: Option<String>) -> Option<String> {
    text.filter(|it| !it.is_empty())
}

/// An instant of the engine; its zero, in the year 1, means "never".
pub(super) fn instant(text: &str) -> Option<Timestamp> {
    text.parse::<Timestamp>().ok().filter(|it| *it > Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use bollard::models::ContainerInspectResponse;
    use serde_json::json;

    use super::{instant, observation};
    use crate::lifecycle::Process;

    #[test]
    fn the_year_one_is_never() {
        assert_eq!(instant("0001-01-01T00:00:00Z"), None);
        assert!(instant("2026-11-22T13:20:29.869574695Z").is_some());
    }

    fn inspected(state: serde_json::Value) -> ContainerInspectResponse {
        serde_json::from_value(json!({
            "Id": "e391", "Name": "/web", "Image": "sha256:1", "State": state,
            "Config": {"Image": "busybox:test", "Labels": null},
            "HostConfig": {"Privileged": true},
            "NetworkSettings": {"SandboxKey": "", "Networks": {
                "b": {"IPAddress": "", "MacAddress": ""},
                "a": {"IPAddress": "10.0.0.2", "GlobalIPv6Address": "fd00::2"}}}
        }))
        .expect("an inspect")
    }

    #[test]
    fn an_inspect_is_read_in_our_words() {
        let state = json!({"Running": true, "Pid": 7, "StartedAt": "2026-11-22T13:20:29Z"});

        let seen = observation(inspected(state)).expect("complete");

        assert!(matches!(seen.process, Process::Running { .. }));
        assert_eq!(seen.facts.name.as_deref(), Some("web"));
        assert_eq!(seen.facts.addresses().ip, Some("10.0.0.2"));
        assert_eq!(seen.facts.addresses().ip6, Some("fd00::2"));
        assert_eq!((seen.facts.pid, seen.facts.netns), (Some(7), None));
        assert_eq!(seen.facts.labels.map(|it| it.len()), Some(0));
    }

    #[test]
    fn a_container_that_never_ran_has_not_ended() {
        let state = json!({"Running": false, "Pid": 0, "StartedAt": "0001-01-01T00:00:00Z",
            "FinishedAt": "0001-01-01T00:00:00Z", "ExitCode": 0});

        let seen = observation(inspected(state)).expect("complete");

        assert_eq!((seen.process, seen.facts.pid), (Process::NeverStarted, None));
    }
}
