//! The containers removed last.

use std::collections::{HashSet, VecDeque};

use super::Subject;

/// How many removed containers are remembered, so that a late signal does not bring one back. Far
/// more than are removed while a signal can be under way.
const GONE_MAX: usize = 4096;

/// The containers removed last.
#[derive(Debug, Default)]
pub(super) struct Gone {
    order: VecDeque<Subject>,
    all: HashSet<Subject>,
}

impl Gone {
    pub(super) fn contains(&self, subject: &Subject) -> bool {
        self.all.contains(subject)
    }

    pub(super) fn insert(&mut self, subject: Subject) {
        if self.order.len() == GONE_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.all.remove(&oldest);
        }
        if self.all.insert(subject.clone()) {
            self.order.push_back(subject);
        }
    }
}
