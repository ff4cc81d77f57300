//! Certificates that expire, are renewed or revoked while their members live: M12, A1.

use crate::{Outcome, nodes, seconds};
use ledgercast_crypto::issue::{Authority, Enrolment, Validity};
use ledgercast_crypto::{Digest, Role, SecretKey};
use ledgercast_protocol::Event;
use ledgercast_protocol::WallTime;
use ledgercast_protocol::event::EvictionReason;
use ledgercast_protocol::types::{Incarnation, Sequence};
use ledgercast_protocol::wire::{Alive, AliveRecord, CertificateChain, Message, Signed};
use ledgercast_simulator::{Failure, NodeId, World};
use std::time::Duration;

/// Two orgs of three and two peers on one channel; the last of the first org is certified until a time.
fn five(seed: u64, until: Option<Duration>) -> Result<World, Failure> {
    let mut world = World::builder(seed)
        .orgs(&[3, 2])
        .channel("trade", &[0, 1])
        .certified_until(move |node| until.filter(|_| node == NodeId(2)))
        .build()?;
    world.run_until("five see each other", seconds(20), |world| world.see_each_other(&nodes(0..5)))?;
    Ok(world)
}

fn others() -> [NodeId; 4] {
    [NodeId(0), NodeId(1), NodeId(3), NodeId(4)]
}

/// Why and when a node has evicted another.
fn evictions(world: &World, by: NodeId, of: NodeId) -> Vec<(Duration, EvictionReason)> {
    let member = world.member(of);
    let evicted = world.events(by).iter().filter_map(|(at, event)| match event {
        Event::MemberEvicted { member: subject, reason, .. } if *subject == member => Some((*at, *reason)),
        _ => None,
    });
    evicted.collect()
}

/// M12, before
#[test]
fn a_certificate_renewed_shortly_before_it_expires_keeps_membership_and_sessions() -> Outcome {
    let mut world = five(61, Some(seconds(60)))?;
    let trade = world.channel("trade");

    world.run_for(seconds(52).saturating_sub(world.now()))?;
    world.renew(NodeId(2), seconds(100_000))?;
    world.run_for(seconds(60))?;

    for node in others() {
        assert_eq!(evictions(&world, node, NodeId(2)), [], "{node} evicted it");
        let lost = world.events(node).iter().any(|(at, event)| {
            let member = Some(world.member(NodeId(2)));
            matches!(event, Event::SessionClosed { member: whose, .. } if *whose == member)
                && *at > seconds(52)
        });
        assert!(!lost, "{node} lost its session with it");
    }
    world.submit(trade, 1, 500);
    world.run_until("five at the tip", seconds(10), |world| world.are_at_tip(&nodes(0..5), trade))
}

/// M12, after
#[test]
fn a_certificate_that_expired_ends_membership_and_its_renewal_regains_it() -> Outcome {
    let mut world = five(62, Some(seconds(60)))?;
    let trade = world.channel("trade");

    world.run_for(seconds(63).saturating_sub(world.now()))?;
    for node in others() {
        let evicted = evictions(&world, node, NodeId(2));
        assert_eq!(evicted.len(), 1, "{node}: {evicted:?}");
        assert_eq!(evicted[0].1, EvictionReason::Expired);
        assert!(evicted[0].0 >= seconds(61), "valid through the whole of its last second");
        assert!(!world.neighbours(node, trade).contains(&NodeId(2)));
    }
    let own = world.events(NodeId(2)).iter();
    assert!(own.clone().any(|(_, event)| matches!(event, Event::OwnCertificateRefused { .. })));
    world.run_for(seconds(40))?;
    world.renew(NodeId(2), seconds(100_000))?;

    world.run_until("five see each other again", seconds(30), |world| world.see_each_other(&nodes(0..5)))?;
    world.submit(trade, 2, 500);
    world.run_until("five at the tip", seconds(20), |world| world.are_at_tip(&nodes(0..5), trade))
}

/// A1, revoked: the list is put into one folder of its org
#[test]
fn a_revoked_member_leaves_every_view_at_once_and_stays_out() -> Outcome {
    let mut world = five(63, None)?;
    let (revoked, trade) = (NodeId(2), world.channel("trade"));
    let list = world.revocation_list(0, &[revoked], 1);

    let at = world.now();
    world.put_list(NodeId(0), list)?;
    world.run_until("the others no longer see it", seconds(2), |world| {
        others().iter().all(|node| !world.seen_by(*node).contains(&revoked))
    })?;
    for node in others() {
        let evicted = evictions(&world, node, revoked);
        assert_eq!(evicted.iter().map(|(_, reason)| *reason).collect::<Vec<_>>(), [EvictionReason::Revoked]);
        assert!(evicted[0].0 - at < seconds(2));
    }
    world.run_for(seconds(60))?;
    world.crash(NodeId(3));
    world.restart(NodeId(3))?;
    world.run_for(seconds(60))?;

    for node in others() {
        assert!(!world.seen_by(node).contains(&revoked), "{node} sees it");
        assert!(!world.neighbours(node, trade).contains(&revoked), "{node} talks to it");
        assert!(!world.events(node).iter().any(|(_, event)| matches!(event, Event::Offence { .. })));
    }
    let refused: u64 = others().iter().map(|node| world.refusals(*node, "hello", "revoked")).sum();
    assert!(refused > 0, "it went on dialing and was refused for its reason");
    Ok(())
}

#[test]
fn of_two_revocation_lists_of_one_ca_the_higher_number_wins_whichever_comes_last() -> Outcome {
    let mut world = five(64, None)?;
    let (older, newer) = (world.revocation_list(0, &[], 1), world.revocation_list(0, &[NodeId(2)], 2));

    world.put_list(NodeId(0), newer)?;
    world.run_for(seconds(2))?;
    world.put_list(NodeId(1), older)?;
    world.run_for(seconds(60))?;

    assert_eq!(world.refusals(NodeId(1), "revocations", "stale"), 1);
    assert!(others().iter().all(|node| !world.seen_by(*node).contains(&NodeId(2))));
    Ok(())
}

/// Org 1 and org 3 share no channel.
#[test]
fn a_revocation_list_reaches_no_org_that_may_not_know_its_own() -> Outcome {
    let mut world =
        World::builder(65).orgs(&[2, 2, 2]).channel("trade", &[0, 1]).channel("audit", &[1, 2]).build()?;
    world.run_for(seconds(20))?;
    world.inspect(|sent| {
        let is_list = matches!(sent.peek.kind, "revocation_digest" | "want_revocations" | "revocations");
        match is_list && (sent.to.0 >= 4 || sent.from.0 >= 4) {
            true => Err("a revocation list of org 1 is spoken of with org 3".to_owned()),
            false => Ok(()),
        }
    });
    let list = world.revocation_list(0, &[NodeId(1)], 1);

    world.put_list(NodeId(0), list)?;
    world.run_for(seconds(90))?;

    for node in [NodeId(0), NodeId(2), NodeId(3)] {
        let taken = world.events(node).iter();
        let taken = taken.filter(|(_, event)| matches!(event, Event::RevocationListTaken { .. }));
        assert_eq!(taken.count(), 1, "{node} has it");
    }
    Ok(())
}

/// A1, the wrong key
#[test]
fn an_alive_signed_by_another_key_is_an_offence_and_its_subject_stays() -> Outcome {
    let mut world = five(66, None)?;
    let (liar, victim, subject) = (NodeId(3), NodeId(0), NodeId(4));
    let forged = Alive {
        member: world.member(subject),
        incarnation: Incarnation::from_millis(1_900_000_000_000),
        sequence: Sequence::new(1_000_000),
        wall_time: WallTime::from_millis(0),
        external_endpoint: Some("elsewhere.example:7051".parse().expect("an endpoint")),
        internal_hash: Digest::of(b"nothing"),
        ticks: None,
    };
    let newest = world.snapshot(victim).expect("it runs").members.into_iter();
    let held = newest.into_iter().find(|view| view.member == world.member(subject)).expect("it is known");
    let forged = Alive { incarnation: held.incarnation, wall_time: world.wall_time(victim), ..forged };
    let alive = Signed::sign(forged, &world.network(), &SecretKey::from_seed([9; 32]));

    world.inject(liar, victim, &Message::Alives(vec![AliveRecord { alive, internal: None, tick: None }]));
    world.run_for(seconds(1))?;

    let offences = world.events(victim).iter().filter_map(|(_, event)| match event {
        Event::Offence { member, offence } => Some((*member, offence.reason())),
        _ => None,
    });
    assert_eq!(offences.collect::<Vec<_>>(), [(world.member(liar), "bad_signature")]);
    assert!(world.seen_by(victim).contains(&subject));
    Ok(())
}

/// A1, relayed certificates
#[test]
fn relayed_certificates_that_do_not_hold_are_refused_by_reason_and_nobody_is_blamed() -> Outcome {
    let mut world = five(67, None)?;
    let (relay, victim) = (NodeId(3), NodeId(0));
    let validity = Validity { not_before: 1_000, not_after: 4_000_000_000 };
    let certified = |org: &str, seed: u8, validity: Validity| {
        let ca = Authority::reproducible(SecretKey::from_seed([seed; 32]), org, validity).expect("a CA");
        let enrolment = Enrolment { common_name: "peer9", role: Role::Peer, validity, unit: None };
        let certificate = ca.enrol(&SecretKey::from_seed([8; 32]).public(), &enrolment).expect("a member");
        CertificateChain { certificate, intermediates: Vec::new() }
    };
    let before = world.snapshot(victim).expect("it runs").members.len();

    let chains = vec![certified("org9", 90, validity), certified("org1", 91, validity)];
    world.inject(relay, victim, &Message::Certificates(chains));
    world.run_for(seconds(1))?;

    assert_eq!(world.refusals(victim, "certificate", "unknown_org"), 1);
    assert_eq!(world.refusals(victim, "certificate", "wrong_ca"), 1);
    assert!(!world.events(victim).iter().any(|(_, event)| matches!(event, Event::Offence { .. })));
    assert!(world.seen_by(victim).contains(&relay), "the relay keeps its session and its place");
    assert_eq!(world.snapshot(victim).expect("it runs").members.len(), before);
    Ok(())
}
