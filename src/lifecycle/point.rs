//! The named places in a life.

use std::fmt;

/// A named place in a subject's life, where hooks can be declared.
///
/// Points that start with `pre_` are gates: Docker waits for the answer, and a hook may deny.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Point {
    /// An API client asks for a container to be created. The container does not exist yet.
    PreCreate,
    /// A container was created, by whomever.
    PostCreate,
    /// An API client asks for a container to be started.
    PreStart,
    /// A container's process runs.
    PostStart,
    /// An API client asks for something that ends a running container.
    PreStop,
    /// A container's process ended, however it ended.
    PostStop,
    /// An API client asks for a container to be removed. Removal by `--rm` is never asked about.
    PreRemove,
    /// A container is gone.
    PostRemove,
}

impl Point {
    /// Every point, in the order of a life.
    pub const ALL: [Point; 8] = [
        Point::PreCreate,
        Point::PostCreate,
        Point::PreStart,
        Point::PostStart,
        Point::PreStop,
        Point::PostStop,
        Point::PreRemove,
        Point::PostRemove,
    ];

    /// The name in configuration, environment and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Point::PreCreate => "pre_create",
            Point::PostCreate => "post_create",
            Point::PreStart => "pre_start",
            Point::PostStart => "post_start",
            Point::PreStop => "pre_stop",
            Point::PostStop => "post_stop",
            Point::PreRemove => "pre_remove",
            Point::PostRemove => "post_remove",
        }
    }

    /// The point of that name.
    pub fn from_name(name: &str) -> Option<Point> {
        Point::ALL.into_iter().find(|point| point.name() == name)
    }

    /// Whether Docker waits for an answer here, so that a hook may deny.
    pub const fn is_gate(self) -> bool {
        matches!(self, Point::PreCreate | Point::PreStart | Point::PreStop | Point::PreRemove)
    }

    /// Whether the container's process may still be running when the point is reached, so that
    /// stopping it makes sense.
    pub const fn may_run(self) -> bool {
        matches!(self, Point::PostStart)
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A set of points.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PointSet(u32);

impl PointSet {
    /// The set without a point.
    pub const EMPTY: PointSet = PointSet(0);

    /// Adds `point`; false if it was there already.
    pub fn insert(&mut self, point: Point) -> bool {
        let added = !self.contains(point);
        self.0 |= 1 << point as u32;
        added
    }

    /// Whether `point` is in the set.
    pub const fn contains(self, point: Point) -> bool {
        self.0 & (1 << point as u32) != 0
    }

    /// Whether no point is in the set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The points in the set, in the order of a life.
    pub fn iter(self) -> impl Iterator<Item = Point> {
        Point::ALL.into_iter().filter(move |point| self.contains(*point))
    }
}

impl FromIterator<Point> for PointSet {
    fn from_iter<I: IntoIterator<Item = Point>>(points: I) -> PointSet {
        let mut set = PointSet::EMPTY;
        for point in points {
            set.insert(point);
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use super::{Point, PointSet};

    #[test]
    fn every_point_is_found_by_its_name() {
        for point in Point::ALL {
            assert_eq!(Point::from_name(point.name()), Some(point));
        }
        assert_eq!(Point::from_name("pre_lunch"), None);
    }

    #[test]
    fn a_set_holds_what_was_put_in_and_nothing_else() {
        let set: PointSet = [Point::PostRemove, Point::PreCreate].into_iter().collect();

        assert_eq!(set.iter().collect::<Vec<_>>(), [Point::PreCreate, Point::PostRemove]);
        assert!(!set.contains(Point::PostStop));
    }
}
