//! What liars among the members achieve: A2, A4, A6.

use crate::actors::Alives;
use crate::{Outcome, millis, nodes, seconds};
use bytes::Bytes;
use ledgercast_protocol::WallTime;
use ledgercast_protocol::types::MemberId;
use ledgercast_protocol::wire::Message;
use ledgercast_simulator::{NodeId, SentFrame, World};
use std::collections::BTreeSet;

/// A2: replayed to a peer that has forgotten the dead one, and to one that has restarted since
#[test]
fn a_replayed_alive_brings_nobody_back_not_even_to_who_restarted() -> Outcome {
    let mut world = World::builder(111)
        .orgs(&[5])
        .configure(|_, config| config.membership.forget_after = seconds(60))
        .build()?;
    let alives = Alives::listen(&mut world);
    world.run_until("five see each other", seconds(20), |world| world.see_each_other(&nodes(0..5)))?;
    world.run_for(seconds(15))?;
    let (dead, replayer) = (NodeId(4), NodeId(3));
    let records = alives.of(world.member(dead));

    world.crash(dead);
    world.run_for(seconds(40))?;
    world.crash(NodeId(0));
    world.restart(NodeId(0))?;
    world.run_until("the rest sees each other", seconds(20), |world| world.see_each_other(&nodes(0..4)))?;
    for _ in 0..10 {
        for victim in nodes(0..3) {
            world.inject(replayer, victim, &Message::Alives(records.clone()));
        }
        world.run_for(seconds(60))?;
        for victim in nodes(0..3) {
            assert!(!world.seen_by(victim).contains(&dead), "{victim} believes in a dead member");
        }
    }
    Ok(())
}

/// A4: alives signed with the member's own key whose order jumps to the end of time
#[test]
fn an_incarnation_beyond_the_skew_is_refused_and_the_owner_stays_a_member() -> Outcome {
    let mut world = World::builder(112).orgs(&[6]).build()?;
    world.run_until("six see each other", seconds(20), |world| world.see_each_other(&nodes(0..6)))?;
    let (liar, owner) = (NodeId(5), NodeId(0));
    let victims = nodes(1..5);

    let far = world.wall().as_millis() + 3_600_000;
    for (incarnation, wall) in [(u64::MAX, far), (far, far), (far, world.wall().as_millis())] {
        let forged = world.forge_alive(owner, (incarnation, u64::MAX), WallTime::from_millis(wall));
        for victim in &victims {
            world.inject(liar, *victim, &Message::Alives(vec![forged.clone()]));
        }
    }
    world.run_for(seconds(60))?;

    for victim in &victims {
        assert_eq!(world.refusals(*victim, "alive", "incarnation_in_future"), 3);
    }
    assert!(world.see_each_other(&nodes(0..6)));
    Ok(())
}

/// What a liar lets through of membership: only what is about liars.
fn only_liars(liars: &BTreeSet<MemberId>, sent: &SentFrame<'_>) -> Vec<Bytes> {
    let Ok(message) = Message::decode(sent.frame.clone()) else {
        return Vec::new();
    };
    let altered = match message {
        Message::Alives(mut records) => {
            records.retain(|record| liars.contains(&record.alive.member()));
            Message::Alives(records)
        }
        Message::AliveDigest(mut marks) => {
            marks.retain(|mark| liars.contains(&mark.member));
            Message::AliveDigest(marks)
        }
        Message::Question { subject, .. } if !liars.contains(&subject.member) => return Vec::new(),
        other => other,
    };
    vec![altered.encode()]
}

/// A6
#[test]
fn one_honest_contact_is_enough_against_bootstrap_peers_that_show_only_liars() -> Outcome {
    let liars = nodes(0..3);
    // Two of the three known at first are liars; node 3 is the one honest contact.
    let mut world = World::builder(114)
        .orgs(&[10])
        .bootstrap(|_| vec![NodeId(0), NodeId(1), NodeId(3)])
        .start_at(|node| Some(if node.0 < 4 { seconds(0) } else { seconds(5) }))
        .build()?;
    let members: BTreeSet<MemberId> = liars.iter().map(|node| world.member(*node)).collect();
    for liar in &liars {
        let members = members.clone();
        world.corrupt(*liar, move |sent| only_liars(&members, sent));
    }
    let honest = nodes(3..10);

    let all_honest = |world: &World| {
        honest.iter().all(|node| {
            let seen = world.seen_by(*node);
            honest.iter().all(|other| other == node || seen.contains(other))
        })
    };
    world.run_until("the honest see each other", seconds(20), all_honest)?;
    for _ in 0..60 {
        world.run_for(millis(2_000))?;
        assert!(all_honest(&world), "an honest member was lost");
    }
    Ok(())
}
