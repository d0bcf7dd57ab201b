//! One call after the other, as the engine makes them.

use std::time::Duration;

use serde_json::json;

use super::world::{Caller, World};
use crate::engine::wait_for;

/// For the journal to notice that there is room: it tries again every few seconds.
const ROOM_LIMIT: Duration = Duration::from_secs(60);

#[test]
fn the_engine_is_told_what_it_needs_to_know() {
    let Some(world) = World::alone("{sticky: 0s}") else { return };
    let mut caller = world.caller();

    let capabilities = caller.call("GetCapabilities", &json!({})).expect("an answer");
    let pool = caller.pool("10.9.0.0/30");

    assert_eq!(capabilities, json!({"RequiresMACAddress": true, "RequiresRequestReplay": true}));
    assert!(pool.starts_with("boathook/local/10.9.0.0/30/"), "{pool}");
    assert_eq!(caller.address(&pool, ""), Some(Ok("10.9.0.1".into())));
    assert_eq!(caller.address(&pool, "10.9.0.1"), Some(Err("address 10.9.0.1 is in use".into())));
    assert_eq!(caller.address(&pool, ""), Some(Ok("10.9.0.2".into())));
    let full = "no address is left in 10.9.0.0/30, of which 2 are in use";
    assert_eq!(caller.address(&pool, ""), Some(Err(full.into())));
    for _ in 0..2 {
        assert!(caller.release(&pool, "10.9.0.1"), "a second time as well");
    }
    assert_eq!(caller.address(&pool, ""), Some(Ok("10.9.0.1".into())));
}

#[test]
fn what_is_held_outlives_a_kill_and_goes_with_its_pool() {
    let Some(mut world) = World::alone("{sticky: 10m}") else { return };
    let mut caller = world.caller();
    let pool = caller.pool("10.9.0.0/24");
    let held = caller.address(&pool, "").expect("an answer").expect("an address");
    let kept = caller.address(&pool, "").expect("an answer").expect("an address");
    assert!(caller.release(&pool, &kept));

    world.kill_boathook();

    let mut caller = world.caller();
    let replay = json!({"PoolID": caller.pool("10.9.0.0/24"), "Address": held, "Options": null});
    assert_eq!(replay["PoolID"], pool, "the engine asks for what it had");
    let again = caller.call("RequestAddress", &replay).expect("an answer");
    assert_eq!(again["Address"], format!("{held}/24"));
    assert_eq!(caller.address(&pool, &held), Some(Err(format!("address {held} is in use"))));
    let request = json!({"PoolID": pool});
    assert_eq!(caller.call("ReleasePool", &request), Some(json!({})));
    assert_eq!(caller.call("ReleasePool", &request), Some(json!({})), "a second time as well");
    assert!(caller.release(&pool, &held), "it is gone already");
    let unknown = caller.address(&pool, "").expect("an answer").expect_err("no pool");
    assert_eq!(unknown, format!("no pool `{pool}`"));
    drop(caller);
    assert!(world.holdings().is_empty());
}

#[test]
fn with_a_full_disk_nothing_is_given_and_what_is_given_back_is_written_when_there_is_room() {
    let Some(mut world) = World::on_small_disk("{sticky: 0s}") else { return };
    let mut caller = world.caller();
    let pool = caller.pool("10.9.0.0/16");
    let mut held: Vec<String> = Vec::new();
    let give = |caller: &mut Caller| caller.address(&pool, "").expect("an answer");
    held.extend(give(&mut caller));

    world.fill_disk();
    // What the store's log has room for still can be written.
    let refusal = loop {
        match give(&mut caller) {
            Ok(address) => held.push(address),
            Err(refusal) => break refusal,
        }
        assert!(held.len() < 20_000, "the journal is written to a full disk");
    };
    assert!(refusal.starts_with("the journal cannot be written"), "{refusal}");
    for address in &held {
        let answer = caller.call("ReleaseAddress", &json!({"PoolID": pool, "Address": address}));
        assert!(answer.expect("an answer")["Error"].is_string(), "it is not on disk");
    }
    world.make_room();

    let last = wait_for("room to be noticed", ROOM_LIMIT, || give(&mut caller).ok());
    world.kill_boathook();
    let mut caller = world.caller();
    assert_eq!(caller.address(&pool, &last), Some(Err(format!("address {last} is in use"))));
    for address in held.iter().filter(|it| **it != last) {
        assert_eq!(caller.address(&pool, address), Some(Ok(address.clone())), "it was given back");
    }
}

#[test]
fn a_pool_that_a_script_answers_for_gives_what_the_script_says_and_no_more() {
    let Some(mut world) = World::alone("{sticky: 0s}") else { return };
    let program = world.sandbox.write_program(
        "lease",
        "#!/bin/sh -eu\n\
         request=$(cat)\n\
         echo \"$DRIVER_METHOD $request\" >> \"${0%/*}/asked\"\n\
         case $DRIVER_METHOD in\n\
         IpamDriver.RequestPool) echo '{\"Pool\": \"10.8.0.0/24\", \"PoolID\": \"lan\"}' ;;\n\
         IpamDriver.RequestAddress) cat \"${0%/*}/answer\" ;;\n\
         esac\n",
    );
    world.add(&format!("scripts:\n  lease: {{exec: [{}]}}\n", program.display()));
    let mut caller = world.caller();
    let wish = |script: &str| json!({"AddressSpace": "local", "Pool": "", "SubPool": "", "Options": {"script": script}, "V6": false});

    let pool = caller.call("RequestPool", &wish("lease")).expect("an answer");

    assert_eq!(pool["Pool"], "10.8.0.0/24");
    let pool = pool["PoolID"].as_str().expect("an id").to_owned();
    let mut answers = |answer: &str| {
        world.sandbox.write("answer", answer);
        caller.address(&pool, "").expect("an answer")
    };
    assert_eq!(answers(r#"{"Address": "10.8.0.7/24"}"#), Ok("10.8.0.7".into()));
    for (answer, refusal) in [
        (r#"{"Address": "10.8.0.7/24"}"#, "10.8.0.7: address 10.8.0.7 is in use"),
        (r#"{"Address": "10.8.1.7/24"}"#, "address 10.8.1.7/24, which is not one of 10.8.0.0/24"),
        (r#"{"Address": "10.8.0.8/16"}"#, "address 10.8.0.8/16, which is not one of 10.8.0.0/24"),
    ] {
        assert_eq!(answers(answer), Err(format!("script `lease` answered {refusal}")));
    }
    assert_eq!(answers(r#"{"Error": "no lease"}"#), Err("script `lease`: no lease".into()));
    assert!(caller.release(&pool, "10.8.0.7"));
    caller.call("ReleasePool", &json!({"PoolID": pool})).expect("an answer");
    let asked = std::fs::read_to_string(world.sandbox.dir().join("asked")).expect("it was asked");
    let last: Vec<&str> = asked.lines().rev().take(2).collect();
    let released = r#"IpamDriver.ReleaseAddress {"Address":"10.8.0.7","PoolID":"lan"}"#;
    assert_eq!(last, [r#"IpamDriver.ReleasePool {"PoolID":"lan"}"#, released]);
    let unknown = caller.call("RequestPool", &wish("other")).expect("an answer");
    assert_eq!(
        unknown["Error"],
        "there is no script `other`: the configuration of boathook declares `lease`"
    );
}
