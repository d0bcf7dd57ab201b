use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Instant;

use jiff::Timestamp;
use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};

use super::{Asker, Grant, Pool, Role, Subnet, Wish};
use crate::driver::ipam::AddressError;

fn subnet(text: &str) -> Subnet {
    Subnet::of(text.parse().expect("a subnet"))
}

fn pool(text: &str) -> Pool {
    Pool::new(subnet(text), None)
}

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn named(name: &str) -> Asker {
    Asker { name: Some(name.into()), ..Asker::default() }
}

fn wish(role: Role, address: Option<&str>) -> Wish {
    Wish { address: address.map(self::address), role, asker: Asker::default() }
}

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

impl Pool {
    fn ask(&mut self, wish: Wish) -> Result<IpAddr, AddressError> {
        let granted = self.grant(wish, NOW, Instant::now())?;
        Ok(self.subnet.address(granted.number))
    }

    fn endpoint(&mut self) -> String {
        self.ask(wish(Role::Endpoint, None)).expect("an address").to_string()
    }

    fn endpoint_of(&mut self, name: &str) -> String {
        let wish = Wish { asker: named(name), ..wish(Role::Endpoint, None) };
        self.ask(wish).expect("an address").to_string()
    }

    /// Gives an address back, and keeps it until that second.
    fn give_back(&mut self, text: &str, until: Option<i64>) {
        let number = self.subnet.number(address(text)).expect("one of the pool");
        let until = until.map(|it| Timestamp::from_second(it).expect("in range"));
        assert!(self.release(number, until), "{text} is not held");
    }
}

#[test]
fn the_gateway_is_the_first_address_and_containers_follow() {
    let mut pool = Pool::new(subnet("10.0.0.0/16"), Some(subnet("10.0.5.0/24")));

    assert_eq!(pool.ask(wish(Role::Gateway, None)), Ok(address("10.0.0.1")));
    assert_eq!([pool.endpoint(), pool.endpoint()], ["10.0.5.0", "10.0.5.1"]);
    assert_eq!(pool.ask(wish(Role::Endpoint, Some("10.0.9.9"))), Ok(address("10.0.9.9")));
}

#[test]
fn what_was_given_back_last_is_given_out_last() {
    let mut pool = pool("10.0.0.0/29");
    let all: Vec<_> = (0..6).map(|_| pool.endpoint()).collect();

    pool.give_back("10.0.0.2", None);
    pool.give_back("10.0.0.5", None);
    pool.give_back("10.0.0.3", None);

    assert_eq!(all, ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6"]);
    assert_eq!([pool.endpoint(), pool.endpoint()], ["10.0.0.2", "10.0.0.3"]);
    pool.give_back("10.0.0.3", None);
    assert_eq!([pool.endpoint(), pool.endpoint()], ["10.0.0.5", "10.0.0.3"]);
    let full = AddressError::Exhausted { subnet: "10.0.0.0/29".parse().expect("a subnet"), held: 6 };
    assert_eq!(pool.ask(wish(Role::Endpoint, None)), Err(full));
}

#[test]
fn an_address_that_is_held_is_granted_to_its_holder_alone() {
    let mut pool = pool("10.0.0.0/24");
    assert_eq!(pool.ask(wish(Role::Gateway, Some("10.0.0.1"))), Ok(address("10.0.0.1")));
    assert_eq!(pool.endpoint(), "10.0.0.2");

    for (role, asked, granted) in [
        (Role::Gateway, "10.0.0.1", true),
        (Role::Unsaid, "10.0.0.2", true),
        (Role::Unsaid, "10.0.0.1", false),
        (Role::Endpoint, "10.0.0.1", false),
        (Role::Endpoint, "10.0.0.2", false),
        (Role::Gateway, "10.0.0.2", false),
    ] {
        let answer = pool.ask(wish(role, Some(asked)));
        match granted {
            true => assert_eq!(answer, Ok(address(asked))),
            false => assert_eq!(answer, Err(AddressError::InUse { address: address(asked) })),
        }
    }
}

#[test]
fn an_address_of_nobody_or_of_another_pool_is_refused() {
    let mut pool = pool("10.0.0.0/24");
    let subnet = "10.0.0.0/24".parse().expect("a subnet");

    for text in ["10.0.0.0", "10.0.0.255"] {
        let reserved = AddressError::Reserved { address: address(text), subnet };
        assert_eq!(pool.ask(wish(Role::Endpoint, Some(text))), Err(reserved));
    }
    for text in ["10.0.1.5", "fd00::1"] {
        let elsewhere = AddressError::Elsewhere { address: address(text), subnet };
        assert_eq!(pool.ask(wish(Role::Unsaid, Some(text))), Err(elsewhere));
    }
}

#[test]
fn an_address_comes_back_to_whom_it_was_while_it_is_kept() {
    let mut pool = pool("10.0.0.0/24");
    assert_eq!([pool.endpoint_of("a"), pool.endpoint_of("b")], ["10.0.0.1", "10.0.0.2"]);

    pool.give_back("10.0.0.1", Some(600));
    pool.give_back("10.0.0.2", Some(0));

    assert_eq!(pool.endpoint_of("c"), "10.0.0.3");
    assert_eq!(pool.endpoint_of("a"), "10.0.0.1");
    assert_eq!(pool.endpoint_of("b"), "10.0.0.4", "it is kept no longer");
}

#[test]
fn what_is_kept_is_given_away_before_a_pool_is_called_full() {
    let mut pool = pool("10.0.0.0/30");
    assert_eq!([pool.endpoint_of("a"), pool.endpoint_of("b")], ["10.0.0.1", "10.0.0.2"]);
    pool.give_back("10.0.0.2", Some(600));
    pool.give_back("10.0.0.1", Some(700));

    assert_eq!(pool.endpoint_of("c"), "10.0.0.2");
    assert_eq!(pool.ask(wish(Role::Endpoint, Some("10.0.0.1"))), Ok(address("10.0.0.1")));
    assert_eq!(pool.kept().count(), 0);
}

#[test]
fn a_grant_that_is_not_on_disk_is_taken_back() {
    let mut pool = pool("10.0.0.0/30");
    let grant = pool.grant(wish(Role::Endpoint, None), NOW, Instant::now()).expect("an address");

    pool.undo(grant);
    pool.undo(grant);
    pool.undo(Grant { turn: 0, ..grant });

    assert_eq!([pool.endpoint(), pool.endpoint()], ["10.0.0.2", "10.0.0.1"]);
}

#[test]
fn who_has_lost_an_address_cannot_give_it_back_for_whom_it_was_given_to() {
    let mut pool = pool("10.0.0.0/30");
    pool.endpoint();
    let number = pool.subnet.number(address("10.0.0.1")).expect("one of the pool");
    pool.sweep(number, Timestamp::MAX);
    assert!(!pool.release(number, None), "nobody has it");

    assert_eq!([pool.endpoint(), pool.endpoint()], ["10.0.0.2", "10.0.0.1"]);

    assert!(!pool.release(number, None), "it may be its former holder who gives it back");
    assert!(pool.is_held(number).is_some());
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Ask { name: u8 },
    AskFor { number: u8 },
    GiveBack { nth: u8, keep: bool },
    Forget,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => any::<u8>().prop_map(|it| Step::Ask { name: it % 8 }),
        1 => any::<u8>().prop_map(|number| Step::AskFor { number: number % 20 }),
        3 => any::<(u8, bool)>().prop_map(|(nth, keep)| Step::GiveBack { nth, keep }),
        1 => proptest::strategy::Just(Step::Forget),
    ];
    proptest::collection::vec(step, 0..300)
}

proptest! {
    /// A naive pool: the usable numbers, and who has which.
    #[test]
    fn nobody_gets_what_another_has_and_nothing_is_lost(steps in steps()) {
        let mut pool = pool("10.0.0.0/28");
        let base = *pool.subnet.numbers().start();
        let usable: BTreeSet<u128> = pool.subnet.usable().collect();
        let mut held: BTreeSet<u128> = BTreeSet::new();
        let mut kept: BTreeMap<u128, String> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Ask { name } => {
                    let name = format!("c{name}");
                    let wish = Wish { asker: named(&name), ..wish(Role::Endpoint, None) };
                    match pool.grant(wish, NOW, Instant::now()) {
                        Ok(grant) => {
                            let was_theirs = kept.remove(&grant.number).is_none_or(|it| it == name);
                            let others = usable.len() > held.len() + kept.len() + usize::from(!was_theirs);
                            prop_assert!(was_theirs || !others, "kept for another although there were more");
                            prop_assert!(usable.contains(&grant.number) && held.insert(grant.number));
                        }
                        Err(_) => prop_assert_eq!(held.len(), usable.len()),
                    }
                }
                Step::AskFor { number } => {
                    let number = base + u128::from(number);
                    let asked = pool.subnet.numbers().contains(&number).then(|| pool.subnet.address(number));
                    let Some(asked) = asked else { continue };
                    let wish = Wish { address: Some(asked), ..wish(Role::Endpoint, None) };
                    let granted = pool.grant(wish, NOW, Instant::now()).is_ok();
                    prop_assert_eq!(granted, usable.contains(&number) && !held.contains(&number));
                    if granted {
                        held.insert(number);
                        kept.remove(&number);
                    }
                }
                Step::GiveBack { nth, keep } => {
                    let Some(&number) = held.iter().nth(usize::from(nth) % held.len().max(1)) else { continue };
                    let name = pool.is_held(number).and_then(|it| it.asker.name.clone());
                    if keep {
                        kept.insert(number, name.unwrap_or_default());
                    }
                    prop_assert!(pool.release(number, keep.then_some(Timestamp::MAX)));
                    held.remove(&number);
                }
                Step::Forget => {
                    prop_assert_eq!(pool.forget(Timestamp::MAX).len(), kept.len());
                    kept.clear();
                }
            }
            prop_assert_eq!(pool.held().map(|(number, _)| number).collect::<BTreeSet<_>>(), held.clone());
            prop_assert_eq!(pool.kept().map(|(number, _)| number).collect::<Vec<_>>(), kept.keys().copied().collect::<Vec<_>>());
        }
    }
}
