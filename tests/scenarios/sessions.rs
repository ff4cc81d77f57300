//! Who may have sessions, how many, and what may be said on them: duplicates, floods, A7.

use crate::{Outcome, millis, nodes, seconds};
use ledgercast_protocol::Event;
use ledgercast_protocol::output::CloseReason;
use ledgercast_protocol::wire::Message;
use ledgercast_simulator::{NodeId, World};
use std::time::Duration;

/// Sessions that a node has accepted.
fn sessions(world: &World, node: NodeId) -> usize {
    world.snapshot(node).map_or(0, |view| view.sessions.iter().filter(|it| it.member.is_some()).count())
}

#[test]
fn of_two_sessions_of_one_dialer_that_cross_exactly_one_stays() -> Outcome {
    for seed in 0..40 {
        // Node 1 dials node 0 at its internal endpoint, a bootstrap peer's, and at its external one, an
        // anchor's.
        let mut world = World::builder(seed)
            .orgs(&[2])
            .channel("trade", &[0])
            .bootstrap(|node| if node == NodeId(1) { vec![NodeId(0)] } else { Vec::new() })
            .build()?;

        // Shorter than the pause before anybody dials again.
        world.run_for(millis(450))?;

        let both = [sessions(&world, NodeId(0)), sessions(&world, NodeId(1))];
        assert_eq!(both, [1, 1], "seed {seed}: sessions of the listener and of the dialer");
        let duplicates =
            world.events(NodeId(0)).iter().chain(world.events(NodeId(1))).filter(|(_, event)| {
                matches!(event, Event::SessionClosed { reason: Some(CloseReason::Duplicate), .. })
            });
        assert!(duplicates.count() > 0, "seed {seed}: it dialed twice");
    }
    Ok(())
}

/// A18, messages
#[test]
fn who_says_too_much_for_too_long_loses_its_session_and_nobody_is_accused() -> Outcome {
    let mut world = World::builder(71)
        .orgs(&[4])
        .channel("trade", &[0])
        .configure(|_, config| {
            config.session.messages_per_second = 50;
            config.session.rate_burst_seconds = 4;
        })
        .build()?;
    let (trade, all) = (world.channel("trade"), nodes(0..4));
    world.run_until("four see each other", seconds(20), |world| world.see_each_other(&all))?;
    let (victim, flooder) = (NodeId(1), NodeId(3));

    for _ in 0..80 {
        for _ in 0..40 {
            world.inject(flooder, victim, &Message::AliveDigest(Vec::new()));
        }
        world.run_for(millis(100))?;
    }

    let dropped = world.refusals(victim, "alive_digest", "messages_per_second");
    assert!(dropped > 1_000, "{dropped} dropped");
    let events = world.events(victim);
    let is_flooding = |event: &Event| match event {
        Event::SessionClosed { reason, .. } => *reason == Some(CloseReason::Flooding),
        _ => false,
    };
    assert!(events.iter().any(|(_, event)| is_flooding(event)), "the session ended");
    assert!(!events.iter().any(|(_, event)| matches!(event, Event::Offence { .. })));
    assert!(world.snapshot(victim).is_some_and(|view| view.standings.is_empty()), "and no standing fell");
    world.submit(trade, 2, 500);
    world.run_until("all at the tip, the flooder as well", seconds(60), |world| {
        world.see_each_other(&all) && world.are_at_tip(&all, trade)
    })
}

/// Where node 0 is reached; node 2 says the same of itself.
const CLAIMED: &str = "peer0.org1.example:7051";

#[test]
fn who_claims_a_bootstrap_peers_endpoint_keeps_nobody_from_it() -> Outcome {
    let mut world = World::builder(73)
        .orgs(&[2, 1])
        .channel("trade", &[0, 1])
        .without_anchors()
        .bootstrap(|node| if node.0 == 2 { vec![NodeId(1)] } else { Vec::new() })
        .configure(|node, config| {
            let claimed = CLAIMED.parse().expect("a host and a port");
            match node.0 {
                1 => config.bootstrap = vec![claimed],
                2 => config.external_endpoint = Some(claimed),
                _ => {}
            }
        })
        .start_at(|node| Some(if node.0 == 0 { seconds(10) } else { seconds(0) }))
        .build()?;
    world.run_until("the liar is there first", seconds(9), |world| world.see_each_other(&nodes(1..3)))?;

    world.run_until("the bootstrap peer is found", seconds(40), |world| {
        world.seen_by(NodeId(0)).contains(&NodeId(1)) && world.seen_by(NodeId(1)).contains(&NodeId(0))
    })?;

    world.run_for(seconds(1))?;
    let before = world.traffic().of("hello").frames;
    world.run_for(seconds(120))?;
    assert_eq!(world.traffic().of("hello").frames, before, "who is connected is not dialed again");
    Ok(())
}

/// A fifth of the minted members, as the product's quota is to a few hundred.
const INBOUND_PER_ORG: usize = 8;

/// How long eight peers of two orgs take for a block, with a third org of so many members on their channel,
/// which started before them.
fn latency_beside(minted: usize) -> Result<(World, Duration), ledgercast_simulator::Failure> {
    let mut world = World::builder(72)
        .orgs(&[4, 4, minted])
        .channel("trade", &[0, 1, 2])
        .start_at(|node| Some(if node.0 < 8 { seconds(12) } else { seconds(0) }))
        // They dial everybody else, eagerly, and a few of their own.
        .bootstrap(|node| match node.0 >= 8 {
            true => nodes(0..10),
            false => vec![NodeId(node.0 / 4 * 4), NodeId(node.0 / 4 * 4 + 1)],
        })
        .configure(|node, config| {
            config.session.sessions_inbound_per_org = INBOUND_PER_ORG;
            config.session.sessions_wanted_max = 16;
            if node.0 >= 8 {
                config.session.dial_backoff_max = seconds(2);
            }
        })
        .build()?;
    let (trade, honest) = (world.channel("trade"), nodes(0..8));
    world.run_for(seconds(24))?;
    let mut slowest = Duration::ZERO;
    for _ in 0..5 {
        let before = world.now();
        world.submit(trade, 1, 20_000);
        world
            .run_until("the honest are at the tip", seconds(20), |world| world.are_at_tip(&honest, trade))?;
        slowest = slowest.max(world.now() - before);
        world.run_for(seconds(1))?;
    }
    Ok((world, slowest))
}

/// A7
#[test]
fn an_org_that_mints_members_takes_no_place_and_no_time_of_others() -> Outcome {
    let (_, quiet) = latency_beside(1)?;
    let (world, beside) = latency_beside(40)?;

    let honest = nodes(0..8);
    for node in &honest {
        let view = world.snapshot(*node).expect("it runs");
        let org_of = |member| world.node_of(member).map(|node| node.0 / 4);
        let is_minted = |member: &_| org_of(*member).is_some_and(|org| org >= 2);
        let inbound = view.sessions.iter().filter(|it| !it.is_dialed && it.member.iter().any(is_minted));
        assert!(
            inbound.count() <= INBOUND_PER_ORG,
            "{node} has more inbound sessions of one org than its quota"
        );
        let partners = view.sessions.iter().filter_map(|it| it.member).filter(|it| !is_minted(it));
        assert_eq!(partners.count(), 7, "{node} is connected to all others");
    }
    let refused: u64 =
        honest.iter().map(|node| world.refusals(*node, "session", "sessions_of_org_full")).sum();
    assert!(refused > 0, "the quota was reached");
    assert!(beside <= quiet * 2, "a block took {beside:?}, and {quiet:?} without the minted members");
    Ok(())
}
