//! What has to be looked up so that nothing is missed.
//!
//! The event stream loses what the engine's ring does not hold any more, and what happens while
//! the engine or boathook is away. What is known of an engine's containers is compared with what
//! its list tells, and whoever differs is looked up. Listing, looking up and telling is done
//! upstream; here is only what follows from the two.

use std::collections::HashSet;
use std::sync::Arc;

use jiff::Timestamp;

use crate::lifecycle::{Known, KnownContainer, Listed, ListedState, Stage};

/// How much a comparison takes for granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// The stream was lost: what runs may have been restarted, which the list does not tell, and what
    /// has ended may have run in between.
    Thorough {
        /// Nothing was lost before. `None`: that is not known.
        since: Option<Timestamp>,
    },
    /// The stream is read: only what the list itself shows is looked at.
    Quick,
}

/// Who has to be looked up, in the order in which it is to be done: whatever goes gives its name free
/// for what comes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Those that the list lacks. It may be older than what is known: they are gone only if the engine
    /// says so when it is asked for each.
    pub missing: Vec<Arc<str>>,
    /// Those that may have changed.
    pub changed: Vec<Arc<str>>,
    /// Those that were not known.
    pub unknown: Vec<Arc<str>>,
}

impl Plan {
    /// Whether all is as it is known.
    pub fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.changed.is_empty() && self.unknown.is_empty()
    }

    /// What is in both. What only one of two plans has, a little apart, is on its way by the stream: from
    /// 23.0 on the engine lists a container as ended long before it tells that.
    pub fn and(mut self, other: &Plan) -> Plan {
        self.missing.retain(|it| other.missing.contains(it));
        self.changed.retain(|it| other.changed.contains(it));
        self.unknown.retain(|it| other.unknown.contains(it));
        self
    }
}

/// What has to be done so that all that the list tells is known.
pub fn plan(known: &Known, listed: &[Listed], how: How) -> Plan {
    let there: HashSet<&str> = listed.iter().map(|it| it.id.as_str()).collect();
    let mut plan = Plan::default();
    plan.missing.extend(known.containers.keys().filter(|id| !there.contains(&***id)).cloned());
    for container in listed {
        match known.containers.get_key_value(container.id.as_str()) {
            Some((id, known)) if known.stage != Stage::Unknown => {
                if is_renamed(known, container) || may_have_changed(known, container.state, how) {
                    plan.changed.push(id.clone());
                }
            }
            _ => plan.unknown.push(container.id.as_str().into()),
        }
    }
    plan
}

fn is_renamed(known: &KnownContainer, listed: &Listed) -> bool {
    matches!((&known.name, &listed.name), (Some(known), Some(listed)) if known != listed)
}

fn may_have_changed(known: &KnownContainer, listed: ListedState, how: How) -> bool {
    let thorough = matches!(how, How::Thorough { .. });
    match (known.stage, listed) {
        (Stage::Unknown, _) => true,
        (Stage::Created, ListedState::Created) => false,
        (Stage::Running, ListedState::Running) => thorough,
        // Between two passages; whether the first has been told to be over is a matter of moments.
        (Stage::Running | Stage::Ended, ListedState::Restarting) | (_, ListedState::Other) => thorough,
        (Stage::Ended, ListedState::Ended { code, by }) => {
            let other_end = code.is_some() && known.exit_code.is_some() && code != known.exit_code;
            other_end || may_have_ended_since(by, how)
        }
        _ => true,
    }
}

/// Whether the end that the list tells may be one that was lost.
fn may_have_ended_since(by: Option<Timestamp>, how: How) -> bool {
    match (how, by) {
        (How::Thorough { since: Some(since) }, Some(by)) => by >= since,
        (How::Thorough { since: None }, Some(_)) => true,
        // What is half removed does not run.
        (How::Thorough { .. }, None) | (How::Quick, _) => false,
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::{How, Plan, plan};
    use crate::lifecycle::{Known, KnownContainer, Listed, ListedState, Stage};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("in range")
    }

    fn known(containers: &[(&str, Stage)]) -> Known {
        let container = |&(id, stage): &(&str, Stage)| {
            let exit_code = (stage == Stage::Ended).then_some(0);
            let name = Some(format!("name-{id}"));
            (id.into(), KnownContainer { name, stage, passage: 1, started_at: Some(at(1)), exit_code })
        };
        Known { containers: containers.iter().map(container).collect() }
    }

    fn listed(id: &str, state: ListedState) -> Listed {
        Listed { id: id.into(), name: Some(format!("name-{id}")), state }
    }

    fn ended(code: i64, by: i64) -> ListedState {
        ListedState::Ended { code: Some(code), by: Some(at(by)) }
    }

    const THOROUGH: How = How::Thorough { since: None };

    fn changed(stage: Stage, state: ListedState, how: How) -> bool {
        !plan(&known(&[("a", stage)]), &[listed("a", state)], how).changed.is_empty()
    }

    #[test]
    fn what_is_not_known_is_looked_up_and_what_is_missing_is_asked_for_first() {
        let known = known(&[("gone", Stage::Running), ("heard", Stage::Unknown)]);
        let list = [listed("new", ListedState::Created), listed("heard", ListedState::Running)];

        let plan = plan(&known, &list, How::Quick);

        let unknown = vec!["new".into(), "heard".into()];
        assert_eq!(plan, Plan { missing: vec!["gone".into()], changed: vec![], unknown });
    }

    #[test]
    fn what_runs_is_looked_up_only_after_a_loss_as_the_list_does_not_tell_a_restart() {
        assert!(changed(Stage::Running, ListedState::Running, THOROUGH));
        assert!(!changed(Stage::Running, ListedState::Running, How::Quick));
        assert!(!changed(Stage::Running, ListedState::Restarting, How::Quick));
    }

    #[test]
    fn a_state_that_differs_is_looked_up_always() {
        for how in [THOROUGH, How::Quick] {
            assert!(changed(Stage::Running, ended(0, 5), how));
            assert!(changed(Stage::Ended, ListedState::Running, how));
            assert!(changed(Stage::Created, ended(0, 5), how));
            assert!(changed(Stage::Ended, ended(1, 5), how), "another exit status");
            assert!(!changed(Stage::Created, ListedState::Created, how));
        }
    }

    #[test]
    fn an_end_that_is_older_than_the_loss_is_the_known_one() {
        let lost_at = |second| How::Thorough { since: Some(at(second)) };

        assert!(changed(Stage::Ended, ended(0, 10), lost_at(10)));
        assert!(!changed(Stage::Ended, ended(0, 9), lost_at(10)));
        assert!(changed(Stage::Ended, ended(0, 9), THOROUGH));
    }

    #[test]
    fn what_is_half_removed_is_there_and_has_ended() {
        let half = ListedState::Ended { code: None, by: None };

        assert!(changed(Stage::Running, half, How::Quick));
        assert!(!changed(Stage::Ended, half, THOROUGH));
        assert_eq!(plan(&known(&[("a", Stage::Ended)]), &[listed("a", half)], THOROUGH), Plan::default());
    }

    #[test]
    fn what_two_plans_have_is_left() {
        let ids = |ids: &[&str]| ids.iter().map(|it| (*it).into()).collect::<Vec<_>>();
        let first = Plan { missing: ids(&["a", "b"]), changed: ids(&["c"]), unknown: ids(&["d"]) };
        let second = Plan { missing: ids(&["b", "c"]), changed: ids(&["a"]), unknown: ids(&["d"]) };

        let both = first.and(&second);

        assert_eq!(both, Plan { missing: ids(&["b"]), changed: ids(&[]), unknown: ids(&["d"]) });
        assert!(!both.is_empty());
    }

    #[test]
    fn another_name_is_looked_up() {
        let renamed = Listed { name: Some("b".into()), ..listed("a", ListedState::Running) };

        let plan = plan(&known(&[("a", Stage::Running)]), &[renamed], How::Quick);

        assert_eq!(plan.changed, ["a".into()]);
    }
}
