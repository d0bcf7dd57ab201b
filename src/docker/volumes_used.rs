//! Which volumes are used by containers that are up.

use std::collections::BTreeSet;

use bollard::models::{ContainerSummary, ContainerSummaryStateEnum as State};
use bollard::query_parameters::ListContainersOptions;

use super::lists::LIST_LIMIT;
use super::{Docker, DockerError, within};

impl Docker {
    /// The names of the volumes of all containers that are up, or between two of their lives.
    ///
    /// # Errors
    ///
    /// When the engine does not answer in time.
    pub async fn volumes_used(&self) -> Result<BTreeSet<String>, DockerError> {
        let options = ListContainersOptions { all: true, ..Default::default() };
        let listed = within(LIST_LIMIT, self.client.list_containers(Some(options))).await?;
        Ok(listed.into_iter().flat_map(used_by).collect())
    }
}

/// The volumes that a container uses now, as far as a list tells.
fn used_by(container: ContainerSummary) -> Vec<String> {
    // A container that is being removed may have a process still.
    let is_down = matches!(container.state, Some(State::CREATED | State::EXITED | State::DEAD));
    let mounts = if is_down { None } else { container.mounts };
    mounts.into_iter().flatten().filter_map(|it| it.name).filter(|it| !it.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::used_by;

    fn used(state: &str) -> Vec<String> {
        let mounts = json!([
            {"Type": "volume", "Name": "db", "Driver": "boathook", "Destination": "/data"},
            {"Type": "bind", "Source": "/srv", "Destination": "/srv"},
        ]);
        let container = json!({"Id": "c0", "State": state, "Mounts": mounts});
        used_by(serde_json::from_value(container).expect("an element of a list"))
    }

    #[test]
    fn who_is_up_uses_volumes_and_who_has_ended_does_not() {
        for state in ["running", "paused", "restarting", "removing"] {
            assert_eq!(used(state), ["db"], "{state}");
        }
        for state in ["created", "exited", "dead"] {
            assert_eq!(used(state), [""; 0], "{state}");
        }
    }
}
