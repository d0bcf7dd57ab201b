//! Every recorded event stream, from the engine's lines to the points that are reached.
//!
//! The streams are those of `tests/transcripts`, of three generations of engines. Nothing is looked up here: what
//! the stream alone tells has to be right already.

mod follower;
mod identity;
mod life;
mod stream;

use std::collections::BTreeMap;

use boathook::lifecycle::Point;
use jiff::SignedDuration;

use follower::Follower;
use life::is_legal;
use stream::streams;

/// How far before the last event a lost stream is taken up again, as the source does it.
const MARGIN: SignedDuration = SignedDuration::from_secs(3);

#[test]
fn every_engine_tells_of_containers() {
    let mut containers = BTreeMap::new();

    for stream in streams() {
        *containers.entry(stream.engine.clone()).or_insert(0) += Follower::of(&stream.events).lives().len();
    }

    assert_eq!(containers.keys().collect::<Vec<_>>(), ["20.10.24", "26.1.5", "28.5.2"]);
    assert!(containers.values().all(|count| *count > 50), "{containers:?}");
}

#[test]
fn a_containers_points_come_in_a_legal_order_and_each_once_in_a_passage() {
    for stream in streams() {
        for (container, life) in Follower::of(&stream.events).lives() {
            if let Err(why) = is_legal(life) {
                panic!("{stream}: {container}: {why}: {life:?}");
            }
        }
    }
}

#[test]
fn what_the_engine_tells_is_told_on_as_often() {
    for stream in streams() {
        let follower = Follower::of(&stream.events);
        let lives = follower.lives();
        for (container, life) in &lives {
            let reached = |point| life.iter().filter(|it| it.point == point).count();
            for (action, point) in [
                ("create", Point::PostCreate),
                ("start", Point::PostStart),
                ("destroy", Point::PostRemove),
                ("pause", Point::Pause),
                ("unpause", Point::Unpause),
                ("oom", Point::Oom),
                ("exec_start", Point::Exec),
                ("rename", Point::Rename),
                ("update", Point::Update),
            ] {
                assert_eq!(reached(point), stream.count(container, action), "{stream}: {container}: {point}");
            }
            // An engine that was killed has not told the end of what it finds ended.
            assert!(reached(Point::PostStop) >= stream.count(container, "die"), "{stream}: {container}");
        }
        assert_eq!(lives.len(), stream.containers().len(), "{stream}");
    }
}

#[test]
fn what_comes_twice_is_told_once() {
    for stream in streams() {
        let twice = stream.events.iter().flat_map(|it| [it.clone(), it.clone()]);

        let told = Follower::of(&twice.collect::<Vec<_>>());

        assert_eq!(told.points(), Follower::of(&stream.events).points(), "{stream}");
    }
}

#[test]
fn a_stream_that_is_lost_anywhere_is_taken_up_as_if_it_had_not_been() {
    for stream in streams() {
        let whole = Follower::of(&stream.events);
        for cut in 0..=stream.events.len() {
            let mut told = Follower::of(&stream.events[..cut]);
            // Who has been told of nothing yet has missed nothing that came before.
            let again = told.cursor().map_or(cut, |cursor| stream.position_since(cursor - MARGIN));

            told.read_all(&stream.events[again..]);

            assert_eq!(told.points(), whole.points(), "{stream}: cut at {cut}, taken up at {again}");
        }
    }
}
