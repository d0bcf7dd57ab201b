//! The named places in a life.

use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::SubjectKind;

macro_rules! points {
    ($($(#[$doc:meta])* $point:ident = $name:literal, $turn:ident, $of:ident;)*) => {
        /// A named place in a subject's life, where hooks can be declared.
        ///
        /// At gates Docker waits for the answer, and a hook may deny.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Point {
            $($(#[$doc])* $point,)*
        }

        impl Point {
            /// Every point; those of one kind of subject in the order of a life.
            pub const ALL: &[Point] = &[$(Point::$point,)*];

            /// The name in configuration, environment and messages.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Point::$point => $name,)*
                }
            }

            /// Who waits for an answer here.
            const fn turn(self) -> Turn {
                match self {
                    $(Point::$point => Turn::$turn,)*
                }
            }

            /// What reaches it.
            pub const fn subject(self) -> SubjectKind {
                match self {
                    $(Point::$point => SubjectKind::$of,)*
                }
            }
        }
    };
}

/// Whether Docker waits.
enum Turn {
    /// Always: it asks its authorization plugin about a call of the API.
    Call,
    /// Always: it has called one of our drivers.
    Driver,
    /// Where it has called one of our drivers. What other drivers do is told after the fact.
    OurDriver,
    /// Never.
    After,
}

points! {
    /// An API client asks for a container to be created. The container does not exist yet.
    PreCreate = "pre_create", Call, Container;
    /// A container was created, by whomever.
    PostCreate = "post_create", After, Container;
    /// An API client asks for a container to be started; or the engine starts it by itself, and it is on
    /// a network of ours.
    PreStart = "pre_start", Call, Container;
    /// A container on a network of ours is about to run: its network is there, its process is not.
    NetReady = "net_ready", Driver, Container;
    /// A container's process runs.
    PostStart = "post_start", After, Container;
    /// A container's health check succeeds, and did not before.
    Healthy = "healthy", After, Container;
    /// A container's health check fails, and did not before.
    Unhealthy = "unhealthy", After, Container;
    /// A container was frozen.
    Pause = "pause", After, Container;
    /// A frozen container goes on.
    Unpause = "unpause", After, Container;
    /// A container has another name.
    Rename = "rename", After, Container;
    /// A container's limits or restart policy were changed.
    Update = "update", After, Container;
    /// The memory limit of a container was hit.
    Oom = "oom", After, Container;
    /// A command was started in a container, a health check's included.
    Exec = "exec", After, Container;
    /// An API client asks for something that ends a running container.
    PreStop = "pre_stop", Call, Container;
    /// A container's process ended, however it ended.
    PostStop = "post_stop", After, Container;
    /// An API client asks for a container to be removed. Removal by `--rm` is never asked about.
    PreRemove = "pre_remove", Call, Container;
    /// A container is gone.
    PostRemove = "post_remove", After, Container;
    /// An API client asks for a network to be created.
    NetworkPreCreate = "network.pre_create", Call, Network;
    /// A network was created.
    NetworkPostCreate = "network.post_create", After, Network;
    /// A container was attached to a network. The subject is the container.
    NetworkConnect = "network.connect", After, Container;
    /// A container was detached from a network. The subject is the container.
    NetworkDisconnect = "network.disconnect", After, Container;
    /// An API client asks for a network to be removed.
    NetworkPreRemove = "network.pre_remove", Call, Network;
    /// A network is gone.
    NetworkPostRemove = "network.post_remove", After, Network;
    /// An API client asks for a volume to be created. What a creation of a container makes is not asked about.
    VolumePreCreate = "volume.pre_create", Call, Volume;
    /// A volume was created.
    VolumePostCreate = "volume.post_create", After, Volume;
    /// A volume is mounted for a container: one of ours is about to be, any other was. The subject is
    /// the container.
    VolumeMount = "volume.mount", OurDriver, Container;
    /// A volume was unmounted. The subject is the container.
    VolumeUnmount = "volume.unmount", After, Container;
    /// An API client asks for a volume to be removed.
    VolumePreRemove = "volume.pre_remove", Call, Volume;
    /// A volume is gone.
    VolumePostRemove = "volume.post_remove", After, Volume;
    /// An API client asks for an image to be pulled, imported or loaded.
    ImagePrePull = "image.pre_pull", Call, Image;
    /// An image was pulled, imported or loaded.
    ImagePostPull = "image.post_pull", After, Image;
    /// An API client asks for an image to be built.
    ImagePreBuild = "image.pre_build", Call, Image;
    /// An API client asks for an image, or a name of it, to be removed.
    ImagePreRemove = "image.pre_remove", Call, Image;
    /// An image is gone.
    ImagePostRemove = "image.post_remove", After, Image;
    /// An address of a pool of ours is about to be given away.
    AddressRequest = "address.request", Driver, Address;
    /// An address of a pool of ours is free again.
    AddressRelease = "address.release", After, Address;
    /// The engine was found: at boathook's own start, and after the engine has been away.
    DaemonStart = "daemon.start", After, Engine;
    /// The engine has read its configuration again.
    DaemonReload = "daemon.reload", After, Engine;
    /// The engine has gone away.
    DaemonStop = "daemon.stop", After, Engine;
    /// A container runs, and boathook has just started, or found the engine again, or the engine has
    /// read its configuration again: what a hook has set up may be gone and can be put back.
    Reconcile = "reconcile", After, Container;
    /// The last attempt of a clean-up has failed: a person has to see to it. The subject is what the
    /// clean-up is owed for.
    DebtGivenUp = "debt.given_up", After, Container;
    /// Any call of the Engine API.
    Api = "api", Call, Call;
}

impl Point {
    /// The point of that name.
    pub fn from_name(name: &str) -> Option<Point> {
        Point::ALL.iter().copied().find(|point| point.name() == name)
    }

    /// Whether Docker waits for an answer here whatever reaches it, so that a hook may deny.
    pub const fn is_gate(self) -> bool {
        matches!(self.turn(), Turn::Call | Turn::Driver)
    }

    /// Whether there are things for which Docker waits here.
    pub const fn may_be_gate(self) -> bool {
        !matches!(self.turn(), Turn::After)
    }

    /// Whether a call of the API is asked about here.
    pub const fn asks_about_calls(self) -> bool {
        matches!(self.turn(), Turn::Call)
    }

    /// Whether the network namespace of the container that reaches it can be there.
    pub const fn may_have_namespace(self) -> bool {
        matches!(
            self,
            Point::NetReady
                | Point::PostStart
                | Point::Healthy
                | Point::Unhealthy
                | Point::Pause
                | Point::Unpause
                | Point::Rename
                | Point::Update
                | Point::Oom
                | Point::Exec
                | Point::PreStop
                | Point::NetworkConnect
                | Point::NetworkDisconnect
                | Point::Reconcile
        )
    }

    /// Whether a container's process may be running when the point is reached, or right after, so that
    /// stopping it makes sense.
    pub const fn may_run(self) -> bool {
        matches!(
            self,
            Point::NetReady | Point::PostStart | Point::Healthy | Point::Unhealthy | Point::Reconcile
        )
    }
}

impl Serialize for Point {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Point {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Point, D::Error> {
        let name = String::deserialize(deserializer)?;
        Point::from_name(&name).ok_or_else(|| D::Error::custom(format!("no point is called `{name}`")))
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A set of points.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Vec<Point>", from = "Vec<Point>")]
pub struct PointSet(u64);

const _: () = assert!(Point::ALL.len() <= u64::BITS as usize, "a set has room for every point");

impl PointSet {
    /// The set without a point.
    pub const EMPTY: PointSet = PointSet(0);

    /// The set of these points.
    pub const fn of(points: &[Point]) -> PointSet {
        let (mut set, mut nth) = (0, 0);
        while nth < points.len() {
            set |= 1 << points[nth] as u32;
            nth += 1;
        }
        PointSet(set)
    }

    /// The points that are in either set.
    pub const fn union(self, other: PointSet) -> PointSet {
        PointSet(self.0 | other.0)
    }

    /// Whether any point is in both sets.
    pub const fn meets(self, other: PointSet) -> bool {
        self.0 & other.0 != 0
    }

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

    /// Whether any of `points` is in the set.
    pub fn contains_any(self, points: &[Point]) -> bool {
        points.iter().any(|it| self.contains(*it))
    }

    /// Whether no point is in the set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The points in the set, in the order of [`Point::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Point> {
        Point::ALL.iter().copied().filter(move |point| self.contains(*point))
    }
}

impl From<Vec<Point>> for PointSet {
    fn from(points: Vec<Point>) -> PointSet {
        points.into_iter().collect()
    }
}

impl From<PointSet> for Vec<Point> {
    fn from(points: PointSet) -> Vec<Point> {
        points.iter().collect()
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
            assert_eq!(Point::from_name(point.name()), Some(*point));
        }
        assert_eq!(Point::from_name("pre_lunch"), None);
    }

    #[test]
    fn calls_are_asked_about_before_the_fact_and_at_the_api_as_a_whole() {
        for point in Point::ALL {
            let before = point.name().split('.').next_back().is_some_and(|it| it.starts_with("pre_"));
            assert_eq!(point.asks_about_calls(), before || *point == Point::Api, "{point}");
        }
    }

    #[test]
    fn our_drivers_have_gates_of_their_own() {
        let driven = Point::ALL.iter().filter(|it| it.may_be_gate() && !it.asks_about_calls());

        let driven: Vec<_> = driven.map(|it| (it.name(), it.is_gate())).collect();
        assert_eq!(driven, [("net_ready", true), ("volume.mount", false), ("address.request", true)]);
    }

    #[test]
    fn a_set_holds_what_was_put_in_and_nothing_else() {
        let set: PointSet = [Point::Api, Point::PostRemove, Point::PreCreate].into_iter().collect();

        assert_eq!(set.iter().collect::<Vec<_>>(), [Point::PreCreate, Point::PostRemove, Point::Api]);
        assert!(!set.contains(Point::PostStop));
        assert_eq!(PointSet::of(&[Point::Api, Point::PreCreate, Point::PostRemove]), set);
    }

    #[test]
    fn sets_meet_where_both_have_a_point() {
        let (ends, api) = (PointSet::of(&[Point::PostStop, Point::PostRemove]), PointSet::of(&[Point::Api]));

        assert!(ends.meets(PointSet::of(&[Point::PostRemove])));
        assert!(!ends.meets(api) && !api.meets(PointSet::EMPTY));
        assert!(ends.union(api).meets(api));
    }
}
