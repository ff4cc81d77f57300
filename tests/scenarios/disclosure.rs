//! Who is told of whom across orgs: M9, M13, M14, C2. The standing check of the simulator judges every frame
//! by the rule; here the bytes themselves are searched as well.

use crate::actors::{Alives, nothing_of};
use crate::{Outcome, nodes, seconds};
use ledgercast_protocol::types::MemberId;
use ledgercast_protocol::wire::Message;
use ledgercast_simulator::{NodeId, SentFrame, World};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

/// What of a node would give it away: its id, and the name in its certificate and its endpoints.
#[derive(Clone)]
struct Traces {
    org: usize,
    needles: [Vec<u8>; 2],
}

fn traces(world: &World, orgs: usize) -> Vec<Traces> {
    let of = |org, node: NodeId| {
        let member: MemberId = world.member(node);
        Traces { org, needles: [member.as_bytes().to_vec(), world.name(node).as_bytes().to_vec()] }
    };
    (0..orgs).flat_map(|org| world.peers_of(org).into_iter().map(move |node| of(org, node))).collect()
}

fn contains(frame: &[u8], needle: &[u8]) -> bool {
    frame.windows(needle.len()).any(|window| window == needle)
}

/// Fails the run on any frame between two orgs that mentions a third, or any internal endpoint, and on any
/// frame inside an org that mentions an org with which it shares no channel.
fn search_all_bytes(world: &mut World, orgs: usize, sharing: &[(usize, usize)]) {
    let traces = traces(world, orgs);
    let sharing: BTreeSet<(usize, usize)> =
        sharing.iter().flat_map(|(one, other)| [(*one, *other), (*other, *one)]).collect();
    let org_of: Vec<usize> = traces.iter().map(|it| it.org).collect();
    world.inspect(move |sent| {
        let (from, to) = (org_of[sent.from.0], org_of[sent.to.0]);
        if from != to && contains(sent.frame, b".internal:") {
            return Err("an internal endpoint crosses the border".to_owned());
        }
        let may_be_named = |org| org == from || org == to || (from == to && sharing.contains(&(org, to)));
        let found = traces
            .iter()
            .find(|it| !may_be_named(it.org) && it.needles.iter().any(|needle| contains(sent.frame, needle)));
        found.map_or(Ok(()), |it| Err(format!("mentions a member of org {}", it.org + 1)))
    });
}

/// M9
#[test]
fn other_orgs_see_who_has_an_external_endpoint_and_never_anybody_else_dead_or_alive() -> Outcome {
    let hidden = NodeId(2);
    let mut world = World::builder(14)
        .orgs(&[4, 2, 2])
        .channel("trade", &[0, 1])
        .channel("audit", &[1, 2])
        .configure(move |node, config| {
            if node == hidden {
                config.external_endpoint = None;
            }
        })
        .build()?;
    search_all_bytes(&mut world, 3, &[(0, 1), (1, 2)]);
    let own = world.peers_of(0);
    let seen_abroad = BTreeSet::from([NodeId(0), NodeId(1), NodeId(3)]);

    world.run_until("the first org sees itself", seconds(20), |world| {
        own.iter().all(|node| world.seen_by(*node).is_superset(&others(&own, *node)))
    })?;
    world.run_until("the second org sees the rest", seconds(20), |world| {
        world.peers_of(1).iter().all(|node| world.seen_by(*node).is_superset(&seen_abroad))
    })?;
    for node in [hidden, NodeId(3)] {
        world.crash(node);
        world.run_for(seconds(40))?;
        world.restart(node)?;
        world.run_for(seconds(10))?;
        world.stop(node)?;
        world.run_for(seconds(10))?;
    }

    let hidden_member = world.member(hidden);
    for node in world.peers_of(1).into_iter().chain(world.peers_of(2)) {
        let view = world.snapshot(node).expect("it runs");
        let is_known = view.members.iter().any(|known| known.member == hidden_member);
        assert!(!is_known, "{node} of another org has heard of the hidden one");
    }
    for node in world.peers_of(2) {
        assert!(world.seen_by(node).iter().all(|seen| seen.0 >= 4), "{node} sees a member of the first org");
    }
    Ok(())
}

fn others(nodes: &[NodeId], than: NodeId) -> BTreeSet<NodeId> {
    nodes.iter().copied().filter(|node| *node != than).collect()
}

/// M13: who asks is who holds the session; another member's alive inside proves nothing and opens nothing
#[test]
fn a_question_with_another_members_alive_inside_is_not_answered() -> Outcome {
    let mut world =
        World::builder(15).orgs(&[3, 2, 2]).channel("trade", &[0, 1]).channel("audit", &[1, 2]).build()?;
    let alives = Alives::listen(&mut world);
    world.run_until("the second org sees all", seconds(20), |world| {
        world.peers_of(1).iter().all(|node| world.seen_by(*node).len() == 6)
    })?;
    let (liar, victim, subject) = (world.peer(2, 0), world.peer(1, 0), world.member(NodeId(0)));
    let captured = alives.of(subject).pop().expect("it was heard");
    let before = world.refusals(victim, "ticks", "not_entitled");

    // The simulator's standing check fails the run if the victim tells the liar anything of the subject.
    let mark = captured.alive.mark();
    for _ in 0..5 {
        world.inject(liar, victim, &Message::Alives(vec![captured.clone()]));
        world.inject(liar, victim, &Message::AliveDigest(vec![mark]));
        world.inject(liar, victim, &Message::WantAlives(vec![nothing_of(subject)]));
        world.inject(liar, victim, &Message::WantCertificates(vec![subject]));
        world.inject(liar, victim, &Message::Question { subject: mark, passed_on: false });
        world.run_for(seconds(1))?;
    }

    assert_eq!(world.refusals(victim, "ticks", "not_entitled") - before, 5);
    for node in world.peers_of(2) {
        assert!(world.seen_by(node).iter().all(|seen| seen.0 >= 3), "{node} sees a member of the first org");
    }
    Ok(())
}

/// M14
#[test]
fn a_bootstrap_endpoint_of_a_wrong_org_leads_to_handshakes_and_to_nothing_else() -> Outcome {
    let mut world = World::builder(16)
        .orgs(&[2, 2])
        .bootstrap(|node| match node.0 {
            0 | 1 => vec![NodeId(0), NodeId(1), NodeId(2)],
            _ => vec![NodeId(2), NodeId(3), NodeId(0)],
        })
        .build()?;
    let crossing: Rc<RefCell<BTreeSet<&'static str>>> = Rc::default();
    let heard = crossing.clone();
    world.inspect(move |sent: &SentFrame<'_>| {
        if (sent.from.0 < 2) != (sent.to.0 < 2) {
            heard.borrow_mut().insert(sent.peek.kind);
        }
        Ok(())
    });

    world.run_until("each org sees itself", seconds(20), |world| {
        world.see_each_other(&nodes(0..2)) && world.see_each_other(&nodes(2..4))
    })?;
    world.run_for(seconds(60))?;

    assert_eq!(*crossing.borrow(), BTreeSet::from(["hello"]));
    assert!(world.see_each_other(&nodes(0..2)) && world.see_each_other(&nodes(2..4)));
    Ok(())
}

/// C2
#[test]
fn between_two_orgs_nothing_on_the_wire_mentions_an_org_that_one_of_them_may_not_know() -> Outcome {
    let sharing = [("ab", (0, 1)), ("ac", (0, 2)), ("bc", (1, 2)), ("bd", (1, 3))];
    let mut builder = World::builder(25).orgs(&[3, 3, 3, 3]);
    for (name, (one, other)) in sharing {
        builder = builder.channel(name, &[one, other]);
    }
    let mut world = builder.build()?;
    search_all_bytes(&mut world, 4, &sharing.map(|(_, pair)| pair));

    let may_know = |org: usize| {
        let known = sharing.into_iter().filter_map(move |(_, pair)| match pair {
            (one, other) if one == org => Some(other),
            (one, other) if other == org => Some(one),
            _ => None,
        });
        known.chain([org]).collect::<BTreeSet<usize>>()
    };
    let expected = |world: &World, org: usize, node: NodeId| {
        let seen = may_know(org).into_iter().flat_map(|known| world.peers_of(known));
        seen.filter(|seen| *seen != node).collect::<BTreeSet<NodeId>>()
    };
    world.run_until("everybody sees whom it may know", seconds(30), |world| {
        (0..4).all(|org| {
            world.peers_of(org).into_iter().all(|node| world.seen_by(node) == expected(world, org, node))
        })
    })?;
    for (name, _) in sharing {
        world.submit(world.channel(name), 5, 2_000);
    }
    world.run_until("all channels are at their tips", seconds(30), |world| {
        sharing.iter().all(|(name, _)| {
            let channel = world.channel(name);
            world.are_at_tip(&world.members_of(channel), channel)
        })
    })?;
    // Trouble makes for questions, retries, leaves: they are inspected as well.
    world.crash(world.peer(0, 1));
    world.pause(world.peer(1, 2));
    world.run_for(seconds(40))?;
    world.restart(world.peer(0, 1))?;
    world.resume(world.peer(1, 2))?;
    world.stop(world.peer(3, 0))?;
    world.leave(world.peer(2, 0), world.channel("bc"))?;
    world.run_for(seconds(60))
}
