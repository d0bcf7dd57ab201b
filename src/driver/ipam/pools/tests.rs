use std::time::Instant;

use jiff::Timestamp;

use super::super::defaults::DefaultPools;
use super::{Claim, IpamError, LOCAL, Place, PoolGrant, PoolWish, Pools};

fn wish(subnet: &str) -> PoolWish {
    let subnet = (!subnet.is_empty()).then(|| subnet.parse().expect("a subnet"));
    PoolWish { space: LOCAL.into(), subnet, range: None, v6: subnet_is_v6(&subnet), origin: None }
}

fn subnet_is_v6(subnet: &Option<ipnet::IpNet>) -> bool {
    matches!(subnet, Some(ipnet::IpNet::V6(_)))
}

impl Pools {
    fn ask(&mut self, wish: PoolWish) -> Result<PoolGrant, IpamError> {
        let defaults = [DefaultPools { base: "10.201.0.0/23".parse().expect("a range"), size: 24 }];
        let taken = ["10.201.0.0/32".parse().expect("a route")];
        let nonce = u32::try_from(self.pools.len()).expect("few");
        let place = Place {
            defaults: &defaults,
            taken: &taken,
            nonce,
            now: Timestamp::UNIX_EPOCH,
            at: Instant::now(),
        };
        self.grant(wish, &place)
    }

    fn granted(&mut self, subnet: &str) -> String {
        self.ask(wish(subnet)).expect("a pool").id.to_string()
    }

    fn refusal(&mut self, wish: PoolWish) -> String {
        self.ask(wish).expect_err("no pool").to_string()
    }
}

#[test]
fn a_pool_has_the_subnet_that_was_asked_for_and_an_id_of_its_own() {
    let mut pools = Pools::default();

    assert_eq!(pools.granted("10.1.2.3/16"), "boathook/local/10.1.0.0/16/00000000");
    assert_eq!(pools.granted("fd00:1::/64"), "boathook/local/fd00:1::/64/00000001");
    let elsewhere = PoolWish { space: "global".into(), ..wish("10.1.0.0/16") };
    assert_eq!(&*pools.ask(elsewhere).expect("a pool").id, "boathook/global/10.1.0.0/16/00000002");
}

#[test]
fn two_networks_of_a_space_share_no_address() {
    let mut pools = Pools::default();
    pools.granted("10.1.0.0/16");
    pools.granted("10.3.0.0/16");

    for subnet in ["10.1.0.0/16", "10.1.255.0/24", "10.0.0.0/15", "10.0.0.0/8", "10.3.0.0/32", "8.0.0.0/5"] {
        let refusal = pools.refusal(wish(subnet));
        assert!(refusal.starts_with(&format!("subnet {subnet} overlaps with 10.")), "{refusal}");
    }
    pools.granted("10.2.0.0/16");
}

#[test]
fn an_engine_that_starts_gets_back_what_it_had_and_one_that_runs_does_not() {
    let mut pools = Pools::default();
    let id = pools.granted("10.1.0.0/16");
    assert!(pools.ask(wish("10.1.0.0/16")).is_err());

    pools.engine_is_away();

    let part = Some("10.1.1.0/24".parse().expect("a range"));
    assert!(pools.ask(PoolWish { range: part, ..wish("10.1.0.0/16") }).is_err(), "it is another network's");
    let again = pools.ask(wish("10.1.0.0/16")).expect("the pool");
    assert_eq!(again, PoolGrant { id: id.as_str().into(), again: true });
    assert!(pools.ask(wish("10.1.0.0/16")).is_err());
}

#[test]
fn what_no_container_can_have_is_not_granted() {
    for subnet in ["127.0.0.0/8", "127.1.0.0/24", "224.0.0.0/24", "0.0.0.0/8", "ff02::/64", "::/64"] {
        let refused = Pools::default().ask(wish(subnet));
        assert!(matches!(refused, Err(IpamError::Unfit { .. })), "{subnet}: {refused:?}");
    }
    assert!(Pools::default().ask(wish("240.0.0.0/24")).is_ok());
}

#[test]
fn what_is_unknown_is_what_a_silent_engine_asks_for() {
    let mut pools = Pools::default();
    let id = pools.granted("10.1.0.0/16");
    assert!(!pools.is_open(&wish("10.1.0.0/16")));

    pools.get_mut(&id).expect("it is there").claim = Claim::Unknown;
    assert!(pools.is_open(&wish("10.1.0.0/16")) && !pools.is_open(&wish("10.1.0.0/17")));

    pools.engine_is_silent();
    assert!(!pools.is_open(&wish("10.1.0.0/16")));
    assert!(pools.ask(wish("10.1.0.0/16")).expect("the pool").again);
    pools.engine_is_silent();
    assert!(pools.ask(wish("10.1.0.0/16")).is_err(), "what it has is known");
}

#[test]
fn a_default_pool_meets_no_route_and_is_not_given_twice() {
    let mut pools = Pools::default();

    assert_eq!(pools.granted(""), "boathook/local/10.201.1.0/24/00000000");

    assert!(pools.refusal(wish("")).starts_with("no IPv4 subnet is left"));
    assert!(pools.refusal(PoolWish { v6: true, ..wish("") }).starts_with("no IPv6 subnet is left"));
    pools.remove("boathook/local/10.201.1.0/24/00000000").expect("it was there");
    assert_eq!(pools.granted(""), "boathook/local/10.201.1.0/24/00000000");
}

#[test]
fn what_contradicts_itself_is_refused() {
    let mut pools = Pools::default();
    let range = Some("10.2.0.0/24".parse().expect("a range"));

    for (wish, refusal) in [
        (PoolWish { range, ..wish("10.1.0.0/16") }, "range 10.2.0.0/24 is not in the subnet 10.1.0.0/16"),
        (PoolWish { range, ..wish("") }, "range 10.2.0.0/24 needs a subnet that it is in: say `--subnet`"),
        (PoolWish { v6: true, ..wish("10.1.0.0/16") }, "10.1.0.0/16 is not a subnet of IPv6"),
    ] {
        assert_eq!(pools.refusal(wish), refusal);
    }
}
