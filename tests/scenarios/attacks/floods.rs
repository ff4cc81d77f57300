//! Who does more of everything than anybody needs: A18. What the transport refuses before a peer hears of it
//! (connections in all, streams, half-open handshakes of Noise) is not simulated: real processes are.

use super::measure::{Spread, assert_accused_only, others};
use crate::{Outcome, millis, nodes, seconds};
use ledgercast_crypto::Digest;
use ledgercast_protocol::Event;
use ledgercast_protocol::types::{BlockNumber, ChannelId};
use ledgercast_protocol::wire::{BODY_FRAME_BYTES, ChannelMessage, Message, Tip, WantBody, WantHeaders};
use ledgercast_simulator::liars::{Deed, Flood, Withholding};
use ledgercast_simulator::{Failure, NodeId, World};
use std::time::Duration;

const PEERS: usize = 9;
/// Bytes of the block that is asked for over and over again.
const LARGE: usize = 1_000_000;

/// A third of the nine members of the channel.
fn members() -> Vec<NodeId> {
    vec![NodeId(2), NodeId(5), NodeId(8)]
}

/// Three more, of an org that shares another channel with all: no relays of the blocks that are measured.
fn strangers() -> Vec<NodeId> {
    nodes(PEERS..PEERS + 3)
}

fn world(messages_per_second: Option<u32>) -> Result<(World, ChannelId), Failure> {
    let mut world = World::builder(370)
        .orgs(&[5, 4, 3])
        .channel("trade", &[0, 1])
        .channel("market", &[0, 1, 2])
        .configure(move |_, config| {
            if let Some(rate) = messages_per_second {
                config.session.messages_per_second = rate;
                config.session.rate_burst_seconds = 1;
            }
        })
        .build()?;
    let (trade, market) = (world.channel("trade"), world.channel("market"));
    world.submit(trade, 3, 500);
    world.submit(market, 300, 500);
    world.submit(market, 1, LARGE);
    world.run_until("all at their tips", seconds(60), |world| {
        world.are_at_tip(&nodes(0..PEERS), trade) && world.are_at_tip(&nodes(0..PEERS + 3), market)
    })?;
    world.run_for(seconds(15))?;
    Ok((world, trade))
}

/// Twenty blocks of 100 KB in a quiet network, and in one that a third of the peers floods.
fn flooded<D: FnMut(u64) -> Deed + 'static>(
    name: &str,
    (liars, rate): (Vec<NodeId>, Option<u32>),
    slower_at_most: u32,
    every: Duration,
    deed: impl Fn(&World, ChannelId) -> D,
    prepare: impl Fn(&mut World),
) -> Result<World, Failure> {
    let (mut honest, trade) = world(rate)?;
    let others = others(&honest, &[members(), strangers()].concat());
    let quiet = Spread::of(&mut honest, trade, &others, (20, 100_000))?;
    let (mut world, trade) = world(rate)?;
    prepare(&mut world);
    for from in liars {
        world.deafen(from);
        let deed = Box::new(deed(&world, trade));
        let until = world.now() + seconds(12);
        world.flood(Flood { from, victims: others.clone(), every, until, deed });
    }
    world.run_for(seconds(2))?;

    let spread = Spread::of(&mut world, trade, &others, (20, 100_000))?;

    println!("A18 {name}: {spread}; quiet {quiet}");
    assert!(spread.slowest <= quiet.slowest * slower_at_most, "{name}: {spread}, and {quiet} in quiet");
    for node in &others {
        let is_seen = |other: &NodeId| other == node || world.seen_by(*node).contains(other);
        assert!(others.iter().all(is_seen), "{node} has lost an honest member");
        let evicts_honest = |event: &Event| match event {
            Event::MemberEvicted { member, .. } => {
                world.node_of(*member).is_some_and(|it| others.contains(&it))
            }
            _ => false,
        };
        assert!(!world.events(*node).iter().any(|(_, event)| evicts_honest(event)));
    }
    assert_accused_only(&world, &[]);
    Ok(world)
}

fn refused(world: &World, reasons: &[&str]) -> u64 {
    let honest = others(world, &[members(), strangers()].concat());
    let of_node = |node: &NodeId| -> u64 {
        let refusals = world.all_refusals(*node).filter(|((_, reason), _)| reasons.contains(reason));
        refusals.map(|(_, count)| count).sum()
    };
    honest.iter().map(of_node).sum()
}

/// A18, announcements
#[test]
fn a_flood_of_announcements_delays_no_block() -> Outcome {
    let world = flooded(
        "announcements",
        (members(), None),
        2,
        millis(1),
        |world, trade| {
            let next = world.channel_view(NodeId(0), trade).map_or(0, |view| view.height);
            move |count| {
                let number = BlockNumber::new(next + count % 64);
                let tip = Tip { number, header_hash: Digest::of(&count.to_be_bytes()) };
                Deed::Say(Message::Channel(trade, ChannelMessage::Announce(tip)))
            }
        },
        |_| {},
    )?;
    assert!(world.traffic().of("announce").frames > 1_000);
    Ok(())
}

/// A18, small questions with large answers: bodies. Answers may take half of a gigabit link, and the
/// simulator's up-links carry one thing after the other: a push waits for the answers before it.
#[test]
fn a_flood_of_questions_for_a_large_body_makes_blocks_wait_for_milliseconds() -> Outcome {
    flooded(
        "large bodies",
        (strangers(), None),
        5,
        millis(2),
        |world, _| {
            let market = world.channel("market");
            let block = world.source("market").tip();
            let tip = Tip { number: block.number(), header_hash: block.header().hash() };
            let frame_count = u32::try_from(LARGE.div_ceil(BODY_FRAME_BYTES)).expect("few frames");
            let want = WantBody { tip, first_frame: 0, frame_count };
            move |_| Deed::Say(Message::Channel(market, ChannelMessage::WantBody(want)))
        },
        |_| {},
    )?;
    Ok(())
}

/// A18, small questions with large answers: headers
#[test]
fn a_flood_of_questions_for_headers_delays_no_block() -> Outcome {
    flooded(
        "headers",
        (strangers(), None),
        2,
        millis(4),
        |world, _| {
            let market = world.channel("market");
            let want = WantHeaders { first: BlockNumber::new(1), count: 256 };
            move |_| Deed::Say(Message::Channel(market, ChannelMessage::WantHeaders(want)))
        },
        |_| {},
    )?;
    Ok(())
}

/// A18, more than a session may say
#[test]
fn a_flood_of_messages_is_dropped_counted_and_ends_its_session() -> Outcome {
    let world = flooded(
        "messages",
        (strangers(), Some(1_000)),
        2,
        Duration::from_micros(200),
        |_, _| |_| Deed::Say(Message::AliveDigest(Vec::new())),
        |_| {},
    )?;
    assert!(refused(&world, &["messages_per_second"]) > 1_000);
    Ok(())
}

/// A18, connections and hellos: each one stands, shows its certificate, and ends the one before
#[test]
fn a_flood_of_connections_delays_no_block() -> Outcome {
    flooded("connections", (strangers(), None), 2, millis(5), |_, _| |_| Deed::Dial, |_| {})?;
    Ok(())
}

/// A18, half-open: connections that never say who they are
#[test]
fn a_flood_of_silent_connections_delays_no_block_and_each_ends_in_time() -> Outcome {
    let mut world = flooded(
        "silent connections",
        (strangers(), None),
        2,
        millis(5),
        |_, _| |_| Deed::Dial,
        |world| {
            for liar in strangers() {
                world.make_liar(liar, Withholding::of(&["hello"]));
            }
        },
    )?;
    world.run_for(seconds(70))?;
    for node in others(&world, &[members(), strangers()].concat()) {
        let view = world.snapshot(node).expect("it runs");
        let silent = view.sessions.iter().filter(|session| session.member.is_none()).count();
        assert!(silent <= strangers().len() * 2, "{node} keeps {silent} sessions of nobody");
    }
    Ok(())
}
