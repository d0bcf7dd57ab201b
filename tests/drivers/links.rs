//! Links, in a network namespace of their own.

use std::thread;

use boathook::driver::link::{self, IpvlanMode, Kind, Link, LinkError, LinkName, MacvlanMode, Spec};
use nix::sched::{CloneFlags, unshare};
use tokio::runtime::Builder;

/// Runs `test` where there are no links but the loopback.
fn alone<F: Future<Output = ()>>(test: impl FnOnce() -> F + Send + 'static) {
    let tested = thread::spawn(|| {
        if let Err(error) = unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_FS) {
            assert!(std::env::var_os("CI").is_none(), "no network namespace: {error}");
            return;
        }
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(test());
    });
    tested.join().expect("the test to hold");
}

fn name(text: &str) -> LinkName {
    text.parse().expect("a name")
}

fn spec(made_as: &str, kind: Kind) -> Spec {
    let alias = format!("boathook/test {made_as}");
    Spec { name: name(made_as), made_as: name(made_as), alias, mtu: None, mac: None, kind }
}

fn bridge(addresses: &[&str]) -> Spec {
    let addresses = addresses.iter().map(|it| it.parse().expect("an address")).collect();
    spec("bh-0123456789ab", Kind::Bridge { addresses })
}

fn pair(made_as: &str, peer: &str) -> Spec {
    spec(made_as, Kind::Pair { peer: name(peer), bridge: name("bh-0123456789ab"), reflects: false })
}

async fn there(text: &str) -> Option<Link> {
    link::find(&name(text)).await.expect("an answer")
}

#[test]
fn a_bridge_is_made_found_made_and_repaired() {
    alone(|| async {
        let wanted = Spec {
            mtu: Some(1400),
            mac: Some([2, 0x62, 1, 2, 3, 4]),
            ..bridge(&["10.9.0.1/24", "fd00:9::1/64"])
        };

        link::ensure(&wanted).await.expect("a bridge");
        link::ensure(&wanted).await.expect("the same bridge");
        let made = there("bh-0123456789ab").await.expect("a bridge");
        assert_eq!((made.kind.as_deref(), made.mtu, made.mac), (Some("bridge"), Some(1400), wanted.mac));
        assert_eq!(made.alias.as_ref(), Some(&wanted.alias));
        assert!(made.is_up);
        let routes = link::routes().await.expect("routes");
        assert!(routes.contains(&"10.9.0.0/24".parse().unwrap()), "{routes:?}");

        link::ensure(&Spec { mtu: Some(1300), ..wanted.clone() }).await.expect("a smaller bridge");
        let repaired = there("bh-0123456789ab").await.expect("a bridge");
        assert_eq!((repaired.index, repaired.mtu), (made.index, Some(1300)));
    });
}

#[test]
fn a_bridge_gets_its_name_last_and_takes_nobodys() {
    alone(|| async {
        let wanted = Spec { name: name("lan"), ..bridge(&[]) };
        let theirs = Spec { alias: "theirs".to_owned(), made_as: name("theirs"), ..wanted.clone() };
        link::ensure(&theirs).await.expect("a bridge of somebody else's");

        let error = link::ensure(&wanted).await.expect_err("the name is taken");
        assert!(matches!(error, LinkError::Taken { .. }), "{error}");
        assert_eq!(there("bh-0123456789ab").await, None);

        link::remove(&name("lan"), |_| true).await.expect("it can be removed");
        link::ensure(&wanted).await.expect("a bridge");
        assert_eq!(there("lan").await.expect("a bridge").alias, Some(wanted.alias));
        assert_eq!(there("bh-0123456789ab").await, None);
    });
}

#[test]
fn a_pair_is_plugged_in_and_goes_as_one() {
    alone(|| async {
        let wanted = Spec { mac: Some([2, 0x42, 10, 9, 0, 2]), mtu: Some(1400), ..pair("bhvaaa", "bhcaaa") };
        let error = link::ensure(&wanted).await.expect_err("no bridge to be plugged into");
        assert!(
            matches!(&error, LinkError::Missing { name } if name.as_str() == "bh-0123456789ab"),
            "{error}"
        );

        link::ensure(&bridge(&[])).await.expect("a bridge");
        link::ensure(&wanted).await.expect("a pair");
        link::ensure(&wanted).await.expect("the same pair");
        let (outside, inside) = (there("bhvaaa").await.unwrap(), there("bhcaaa").await.unwrap());
        assert_eq!(outside.controller, there("bh-0123456789ab").await.map(|it| it.index));
        assert!(outside.is_up && !inside.is_up);
        assert_eq!((inside.mac, inside.mtu, outside.mtu), (wanted.mac, Some(1400), Some(1400)));

        link::remove(&name("bhvaaa"), |_| false).await.expect("nothing to do");
        assert!(there("bhvaaa").await.is_some());
        link::remove(&name("bhvaaa"), |_| true).await.expect("it goes");
        link::remove(&name("bhvaaa"), |_| true).await.expect("it has gone");
        assert_eq!((there("bhvaaa").await, there("bhcaaa").await), (None, None));
    });
}

#[test]
fn a_new_bridge_gets_the_ports_of_the_old_one() {
    alone(|| async {
        link::ensure(&bridge(&[])).await.expect("a bridge");
        link::ensure(&pair("bhvaaa", "bhcaaa")).await.expect("a pair");
        link::remove(&name("bh-0123456789ab"), |_| true).await.expect("it goes");
        assert_eq!(there("bhvaaa").await.unwrap().controller, None);

        link::ensure(&bridge(&[])).await.expect("a bridge");
        link::ensure(&pair("bhvaaa", "bhcaaa")).await.expect("its port");

        let bridge = there("bh-0123456789ab").await.unwrap();
        assert_eq!(there("bhvaaa").await.unwrap().controller, Some(bridge.index));
    });
}

#[test]
fn links_are_made_on_a_link_of_the_host() {
    alone(|| async {
        // Whatever carries packets will do for a parent.
        link::ensure(&bridge(&[])).await.expect("a bridge");
        let parent = name("bh-0123456789ab");
        let macvlan = Kind::Macvlan { parent: parent.clone(), mode: MacvlanMode::Bridge };
        let macvlan = Spec { mac: Some([2, 0x42, 10, 9, 0, 3]), ..spec("bhcbbb", macvlan) };

        link::ensure(&macvlan).await.expect("a macvlan");
        link::ensure(&macvlan).await.expect("the same");
        let made = there("bhcbbb").await.unwrap();
        assert_eq!((made.kind.as_deref(), made.mac), (Some("macvlan"), macvlan.mac));
        link::remove(&name("bhcbbb"), |_| true).await.expect("it goes");

        let ipvlan = spec("bhcccc", Kind::Ipvlan { parent, mode: IpvlanMode::L3 });
        match link::ensure(&ipvlan).await {
            Ok(()) => assert_eq!(there("bhcccc").await.unwrap().kind.as_deref(), Some("ipvlan")),
            // A kernel without them.
            Err(error) => assert!(matches!(error, LinkError::Refused { .. }), "{error}"),
        }
    });
}

#[test]
fn a_link_that_was_left_half_made_is_finished_or_replaced() {
    alone(|| async {
        let half = Spec { alias: String::new(), ..bridge(&[]) };
        link::ensure(&half).await.expect("a bridge without an alias");
        let named = Spec { name: name("lan"), ..bridge(&[]) };

        link::ensure(&named).await.expect("a bridge");

        let all = link::all().await.expect("links");
        let mut names: Vec<_> = all.iter().map(|it| it.name.as_str()).collect();
        names.sort_unstable();
        names.retain(|it| it.starts_with("bh") || *it == "lan");
        assert_eq!(names, ["lan"]);
    });
}
