//! What `iptables-restore` makes of the changes, played.

use std::fmt::Write as _;

use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, prop_assert_eq, prop_oneof, proptest};
use proptest::sample::subsequence;

use super::super::rules::{PREFIX, Rules, Table};
use super::super::saved::Saved;
use super::super::wanted::{Family, Network, Outside, Protocol, Published, Wanted};
use super::{Unsaid, changes, leads_to_us, target};

/// Rules as dockerd 26.1 leaves them, and one of the operator's.
const DOCKER_26: &str = "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n:DOCKER - [0:0]\n\
    :DOCKER-ISOLATION-STAGE-1 - [0:0]\n:DOCKER-ISOLATION-STAGE-2 - [0:0]\n:DOCKER-USER - [0:0]\n\
    -A FORWARD -j DOCKER-USER\n-A FORWARD -j DOCKER-ISOLATION-STAGE-1\n-A FORWARD -i docker0 ! -o docker0 -j ACCEPT\n\
    -A DOCKER-ISOLATION-STAGE-1 -j RETURN\n-A DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP\n\
    -A DOCKER-USER -s 192.0.2.0/24 -j DROP\n-A DOCKER-USER -j RETURN\nCOMMIT\n\
    *nat\n:PREROUTING ACCEPT [0:0]\n:INPUT ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n\
    :DOCKER - [0:0]\n-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER\nCOMMIT\n";

/// A host on which nobody has rules.
const BARE: &str = "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\nCOMMIT\n\
    *nat\n:PREROUTING ACCEPT [0:0]\n:INPUT ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\nCOMMIT\n";

/// Rules as they are while a text is taken in: table, chain, rules.
struct Played(Vec<(Table, String, Vec<String>)>);

impl Played {
    fn begin(saved: &Saved) -> Played {
        let of =
            |table| saved.chains(table).map(move |(name, rules)| (table, name.to_owned(), rules.to_vec()));
        Played(Table::ALL.into_iter().flat_map(of).collect())
    }

    fn find(&self, table: Table, chain: &str) -> Option<usize> {
        self.0.iter().position(|(at, name, _)| (*at, name.as_str()) == (table, chain))
    }

    fn rules(&mut self, table: Table, chain: &str) -> &mut Vec<String> {
        let nth = self.find(table, chain).unwrap_or_else(|| panic!("there is no {chain}"));
        &mut self.0[nth].2
    }

    /// `:CHAIN POLICY` makes a chain, and empties one that has no policy.
    fn name(&mut self, table: Table, chain: &str, policy: &str) {
        match self.find(table, chain) {
            Some(_) if policy.starts_with('-') => self.rules(table, chain).clear(),
            Some(_) => {}
            None => self.0.push((table, chain.to_owned(), Vec::new())),
        }
    }

    fn remove(&mut self, table: Table, chain: &str) {
        assert_eq!(*self.rules(table, chain), [""; 0], "{chain} is not empty");
        self.0.retain(|(at, name, _)| (*at, name.as_str()) != (table, chain));
        let mut others = self.0.iter().filter(|it| it.0 == table).flat_map(|it| &it.2);
        assert!(!others.any(|it| target(it) == Some(chain)), "{chain} is in use");
    }

    fn insert(&mut self, table: Table, chain: &str, rest: &str) {
        let (nth, rule) = rest.split_once(' ').expect("a number and a rule");
        let nth: usize = nth.parse().expect("a number");
        self.rules(table, chain).insert(nth - 1, rule.to_owned());
    }

    fn delete(&mut self, table: Table, chain: &str, rule: &str) {
        let rules = self.rules(table, chain);
        let nth = rules.iter().position(|it| it == rule).expect("what is deleted is there");
        rules.remove(nth);
    }

    /// As `iptables-save` writes it.
    fn written(&self) -> String {
        let mut text = String::new();
        for table in Table::ALL {
            let chains = || self.0.iter().filter(|it| it.0 == table);
            let names = chains().map(|(_, name, _)| format!(":{name} - [0:0]\n"));
            let rules =
                chains().flat_map(|(_, name, rules)| rules.iter().map(move |it| format!("-A {name} {it}\n")));
            let lines: String = names.chain(rules).collect();
            writeln!(text, "*{}\n{lines}COMMIT", table.name()).unwrap();
        }
        text
    }
}

/// The rules after `text`, which may only say what `iptables-restore` would take.
fn restored(saved: &Saved, text: &str) -> Saved {
    let mut played = Played::begin(saved);
    let mut at = None;
    for line in text.lines().filter(|it| *it != "COMMIT") {
        if let Some(name) = line.strip_prefix('*') {
            at = Table::ALL.into_iter().find(|it| it.name() == name);
            continue;
        }
        let table = at.expect("a table is named first");
        let (word, rest) = line.split_once(' ').expect("a word and more");
        let (chain, rule) = rest.split_once(' ').unwrap_or((rest, ""));
        match word {
            "-A" => played.rules(table, chain).push(rule.to_owned()),
            "-F" => played.rules(table, chain).clear(),
            "-D" => played.delete(table, chain, rule),
            "-I" => played.insert(table, chain, rule),
            "-X" => played.remove(table, chain),
            named => played.name(table, named.strip_prefix(':').expect("nothing else is restored"), rest),
        }
    }
    Saved::read(&played.written())
}

fn rules(wanted: &Wanted, saved: &Saved) -> Rules {
    Rules::new(wanted, Family::V4, &saved.names(Table::Filter))
}

fn applied(wanted: &Wanted, saved: &Saved) -> Saved {
    match changes(&rules(wanted, saved), saved, Unsaid::AsBefore) {
        Some(text) => restored(saved, &text),
        None => saved.clone(),
    }
}

/// Chains and rules that are not ours, without those that lead to us.
fn foreign(saved: &Saved) -> Vec<(Table, String, Vec<String>)> {
    let of = |table| {
        let chains = saved.chains(table).filter(|(name, _)| !name.starts_with(PREFIX));
        chains.map(move |(name, rules)| {
            let rules = rules.iter().filter(|it| !leads_to_us(it)).cloned().collect();
            (table, name.to_owned(), rules)
        })
    };
    Table::ALL.into_iter().flat_map(of).collect()
}

fn one_network() -> Wanted {
    let network = Network {
        bridge: "bh-a".parse().unwrap(),
        subnets: vec!["10.1.0.0/24".parse().unwrap()],
        outside: Outside::Masqueraded,
        published: Vec::new(),
    };
    Wanted { networks: vec![network] }
}

#[test]
fn the_operators_rules_come_before_ours_and_ours_before_the_end() {
    let saved = applied(&one_network(), &Saved::read(DOCKER_26));

    let user = ["-s 192.0.2.0/24 -j DROP", "-j BOATHOOK-FORWARD", "-j RETURN"];
    assert_eq!(saved.rules(Table::Filter, "DOCKER-USER").unwrap(), user);
    assert_eq!(saved.rules(Table::Filter, "FORWARD").unwrap().last().unwrap(), "-j BOATHOOK-FORWARD");
    assert_eq!(saved.rules(Table::Filter, "INPUT").unwrap(), ["-j BOATHOOK-INPUT"]);
}

#[test]
fn where_docker_has_made_no_chain_for_the_operator_there_is_one_all_the_same() {
    let before = Saved::read(BARE);

    let saved = applied(&one_network(), &before);

    let forward = ["-j DOCKER-USER", "-j BOATHOOK-FORWARD"];
    assert_eq!(saved.rules(Table::Filter, "FORWARD").unwrap(), forward);
    assert_eq!(saved.rules(Table::Filter, "DOCKER-USER").unwrap(), ["-j BOATHOOK-FORWARD"]);
    assert_eq!(applied(&Wanted::default(), &saved), before);
}

#[test]
fn what_somebody_added_behind_us_gets_before_us() {
    let saved = applied(&one_network(), &Saved::read(BARE));
    let with_more = restored(&saved, "*filter\n-A DOCKER-USER -s 192.0.2.1/32 -j DROP\nCOMMIT\n");

    let saved = applied(&one_network(), &with_more);

    let user = ["-s 192.0.2.1/32 -j DROP", "-j BOATHOOK-FORWARD"];
    assert_eq!(saved.rules(Table::Filter, "DOCKER-USER").unwrap(), user);
}

#[test]
fn jumps_that_are_there_twice_or_where_none_belongs_are_removed() {
    let right = applied(&one_network(), &Saved::read(DOCKER_26));
    let wrong = "*filter\n-A FORWARD -j BOATHOOK-FORWARD\n-I INPUT 1 -s 10.0.0.1/32 -j ACCEPT\n\
        -A OUTPUT -j BOATHOOK-INPUT\n:BOATHOOK-OLD - [0:0]\n-A BOATHOOK-OLD -j BOATHOOK-OUT\nCOMMIT\n";

    let saved = applied(&one_network(), &restored(&right, wrong));

    assert_eq!(
        saved.rules(Table::Filter, "INPUT").unwrap(),
        ["-j BOATHOOK-INPUT", "-s 10.0.0.1/32 -j ACCEPT"]
    );
    assert_eq!(saved.rules(Table::Filter, "OUTPUT").unwrap(), [""; 0]);
    assert_eq!(saved.rules(Table::Filter, "BOATHOOK-OLD"), None);
    let forward = saved.rules(Table::Filter, "FORWARD").unwrap();
    assert_eq!(forward.iter().filter(|it| leads_to_us(it)).count(), 1);
}

#[test]
fn a_host_that_did_not_forward_begins_with_dropping() {
    let saved = Saved::read(BARE);
    let rules = rules(&one_network(), &saved);

    let text = changes(&rules, &saved, Unsaid::Dropped).unwrap();
    let later = changes(&rules, &saved, Unsaid::AsBefore).unwrap();

    assert!(text.starts_with("*filter\n:FORWARD DROP [0:0]\n"), "{text}");
    assert!(!later.contains(":FORWARD"), "{later}");
}

/// Networks with different names, and a port each that may be published in several ways.
fn wanted() -> impl Strategy<Value = Wanted> {
    let outside = prop_oneof![Just(Outside::Closed), Just(Outside::Routed), Just(Outside::Masqueraded)];
    let host = prop_oneof![Just("0.0.0.0"), Just("127.0.0.1"), Just("192.0.2.1")];
    let protocol = prop_oneof![Just(Protocol::Tcp), Just(Protocol::Udp), Just(Protocol::Sctp)];
    let ports = vec((host, protocol, 1_u16..99), 0..3);
    let networks = vec((outside, ports), 4).prop_flat_map(|made| {
        let named: Vec<_> = made.into_iter().enumerate().collect();
        subsequence(named, 0..=4).prop_shuffle()
    });
    let network = |(nth, (outside, ports))| network(nth, outside, ports);
    networks.prop_map(move |networks| Wanted { networks: networks.into_iter().map(network).collect() })
}

fn network(nth: usize, outside: Outside, ports: Vec<(&str, Protocol, u16)>) -> Network {
    let published = ports.into_iter().map(|(host, protocol, port)| Published {
        protocol,
        host: format!("{host}:{port}").parse().unwrap(),
        container: format!("10.{nth}.0.2:{port}").parse().unwrap(),
    });
    Network {
        bridge: format!("bh-{nth}").parse().unwrap(),
        subnets: vec![format!("10.{nth}.0.0/24").parse().unwrap()],
        outside,
        published: published.collect(),
    }
}

proptest! {
    #[test]
    fn from_whatever_was_there_to_what_is_wanted(first in wanted(), then in wanted(), docker in 0..2) {
        let before = Saved::read(if docker == 0 { BARE } else { DOCKER_26 });

        let middle = applied(&first, &before);
        let saved = applied(&then, &middle);

        // All of it is there, a second time changes nothing, and from nothing the same would have come.
        for ((table, name), expected) in &rules(&then, &saved).chains {
            prop_assert_eq!(saved.rules(*table, name), Some(expected.as_slice()));
        }
        prop_assert_eq!(changes(&rules(&then, &saved), &saved, Unsaid::AsBefore), None);
        prop_assert_eq!(&saved, &applied(&then, &before));
        // What is not ours is as it was, and when nothing is wanted nothing is left.
        if docker == 1 {
            prop_assert_eq!(foreign(&saved), foreign(&before));
        }
        prop_assert_eq!(applied(&Wanted::default(), &saved), before);
    }

    #[test]
    fn the_order_of_networks_and_ports_makes_no_difference(wanted in wanted()) {
        let mut turned = wanted.clone();
        turned.networks.reverse();
        turned.networks.iter_mut().for_each(|it| it.published.reverse());

        let saved = Saved::read(DOCKER_26);
        prop_assert_eq!(rules(&wanted, &saved), rules(&turned, &saved));
    }
}
