//! What can follow what in a container's life.

use std::collections::HashMap;

use boathook::lifecycle::Point;

use super::follower::Reached;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Unborn,
    /// Created, or ended.
    Still,
    Running,
    Paused,
    Gone,
}

/// Whether a container that did not exist before can have lived so.
///
/// # Errors
///
/// What cannot be.
pub(super) fn is_legal(life: &[Reached]) -> Result<(), String> {
    let (mut stage, mut passage) = (Stage::Unborn, 0);
    let mut attached = HashMap::new();
    for reached in life {
        let point = reached.point;
        passage += u32::from(point == Point::PostStart);
        if reached.passage != passage {
            return Err(format!("{point} is of passage {}, not {passage}", reached.passage));
        }
        stage = after(stage, point).ok_or(format!("{point} cannot be reached then"))?;
        let is_attached = match point {
            Point::NetworkConnect => true,
            Point::NetworkDisconnect => false,
            _ => continue,
        };
        // An engine that cannot start a container may tell that it leaves networks it was never in.
        if attached.insert(&reached.network, is_attached) == Some(is_attached) {
            return Err(format!("{point} is told again"));
        }
    }
    Ok(())
}

/// The stage after `point`, or `None` if it cannot be reached in that stage.
fn after(stage: Stage, point: Point) -> Option<Stage> {
    match (stage, point) {
        (Stage::Unborn, Point::PostCreate) => Some(Stage::Still),
        (Stage::Still, Point::PostStart) => Some(Stage::Running),
        (Stage::Running, Point::Pause) => Some(Stage::Paused),
        (Stage::Paused, Point::Unpause) => Some(Stage::Running),
        (Stage::Running, Point::Healthy | Point::Unhealthy | Point::Oom | Point::Exec) => Some(stage),
        (Stage::Running | Stage::Paused, Point::PostStop) => Some(Stage::Still),
        (Stage::Still, Point::PostRemove) => Some(Stage::Gone),
        (
            Stage::Still | Stage::Running | Stage::Paused,
            Point::Rename
            | Point::Update
            | Point::NetworkConnect
            | Point::NetworkDisconnect
            | Point::VolumeMount
            | Point::VolumeUnmount,
        ) => Some(stage),
        _ => None,
    }
}
