//! Who gets what of a channel: C1, C3, C5, C6.

use crate::actors::{push_block, push_header};
use crate::{Outcome, nodes, seconds};
use ledgercast_crypto::{Digest, SecretKey};
use ledgercast_protocol::ledger::{CertifiedHeader, Header, HeaderFields, QuorumCertificate};
use ledgercast_protocol::types::{BlockNumber, ChannelId, Lane};
use ledgercast_protocol::wire::{ChannelMessage, Message, WantHeaders};
use ledgercast_simulator::{NodeId, World};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

/// C1: ten peers; three of the first five are entitled to `a`, three of the last five to `b`; all meet on
/// `common`.
#[test]
fn the_entitled_find_each_other_and_nobody_else_gets_a_byte() -> Outcome {
    let mut world = World::builder(21)
        .orgs(&[3, 2, 3, 2])
        .channel("common", &[0, 1, 2, 3])
        .channel("a", &[0])
        .channel("b", &[2])
        .build()?;
    let (a, b) = (world.channel("a"), world.channel("b"));
    world.run_until("all ten meet", seconds(20), |world| world.see_each_other(&nodes(0..10)))?;
    for intruder in world.peers_of(1) {
        world.join(intruder, a)?;
    }
    for intruder in world.peers_of(3) {
        world.join(intruder, b)?;
    }

    world.submit(a, 5, 2000);
    world.submit(b, 5, 2000);
    world.run_until("the entitled have all blocks", seconds(30), |world| {
        world.are_at_tip(&world.peers_of(0), a) && world.are_at_tip(&world.peers_of(2), b)
    })?;
    world.run_for(seconds(20))?;

    for (entitled, channel) in [(world.peers_of(0), a), (world.peers_of(2), b)] {
        for node in &entitled {
            let others: BTreeSet<NodeId> = entitled.iter().copied().filter(|other| other != node).collect();
            assert_eq!(world.neighbours(*node, channel), others);
        }
        for other in world.node_ids().filter(|node| !entitled.contains(node)) {
            assert!(world.height(other, channel) <= 1, "{other} holds blocks");
            assert_eq!(world.neighbours(other, channel), BTreeSet::new());
        }
    }
    assert_eq!(world.refusals(world.peer(1, 0), "join", "joined_or_not_entitled"), 1);
    Ok(())
}

/// C1, the refusal
#[test]
fn a_forbidden_channel_is_refused_in_the_bytes_of_an_unknown_one() -> Outcome {
    let mut world = World::builder(22).orgs(&[3, 2]).channel("common", &[0, 1]).channel("a", &[0]).build()?;
    let (forbidden, unknown) = (world.channel("a"), ChannelId::from_bytes([7; 32]));
    world.run_until("all five meet", seconds(20), |world| world.see_each_other(&nodes(0..5)))?;
    let (asker, asked) = (world.peer(1, 0), world.peer(0, 1));
    let answers: Rc<RefCell<Vec<Vec<u8>>>> = Rc::default();
    let heard = answers.clone();
    world.inspect(move |sent| {
        if (sent.from, sent.to) == (asked, asker) && sent.peek.kind == "unknown" {
            heard.borrow_mut().push(sent.frame.to_vec());
        }
        Ok(())
    });

    let question = ChannelMessage::WantHeaders(WantHeaders { first: BlockNumber::GENESIS, count: 1 });
    for channel in [forbidden, unknown] {
        world.inject(asker, asked, &Message::Channel(channel, question.clone()));
    }
    world.run_for(seconds(2))?;

    let answers = answers.borrow();
    assert_eq!(answers.len(), 2);
    assert_eq!(answers[0], Message::Channel(forbidden, ChannelMessage::Unknown).encode());
    assert_eq!(answers[1], Message::Channel(unknown, ChannelMessage::Unknown).encode());
    Ok(())
}

/// C3
#[test]
fn who_left_a_channel_sends_only_its_leave_and_answers_nothing() -> Outcome {
    let mut world = World::builder(23).orgs(&[4]).channel("trade", &[0]).build()?;
    let trade = world.channel("trade");
    let all = nodes(0..4);
    world.submit(trade, 3, 500);
    world.run_until("four at the tip", seconds(20), |world| world.are_at_tip(&all, trade))?;
    let leaver = NodeId(3);
    let sent_kinds: Rc<RefCell<BTreeSet<(bool, &'static str)>>> = Rc::default();
    let heard = sent_kinds.clone();
    let left_at = world.now();
    world.inspect(move |sent| {
        if sent.from == leaver && sent.peek.channel.is_some() {
            heard.borrow_mut().insert((sent.at > left_at, sent.peek.kind));
        }
        Ok(())
    });

    world.leave(leaver, trade)?;
    world.submit(trade, 5, 500);
    let question = ChannelMessage::WantHeaders(WantHeaders { first: BlockNumber::new(1), count: 3 });
    world.run_for(seconds(1))?;
    world.inject(NodeId(2), leaver, &Message::Channel(trade, question));
    world.run_until("three at the tip", seconds(20), |world| world.are_at_tip(&all[..3], trade))?;
    world.run_for(seconds(30))?;

    // A leader also yields in the instant in which it leaves.
    let in_leaving = BTreeSet::from([(false, "channel_leave"), (false, "leadership"), (true, "unknown")]);
    assert!(sent_kinds.borrow().is_subset(&in_leaving), "{sent_kinds:?}");
    assert!(sent_kinds.borrow().contains(&(false, "channel_leave")));
    assert!(sent_kinds.borrow().contains(&(true, "unknown")), "the question was refused");
    assert!(!world.holds(leaver, trade));
    for node in &all[..3] {
        assert!(!world.neighbours(*node, trade).contains(&leaver));
        assert!(world.seen_by(*node).contains(&leaver), "it left the channel, not the network");
    }
    Ok(())
}

/// C5
#[test]
fn false_headers_and_blocks_are_never_delivered_and_never_forwarded() -> Outcome {
    for (seed, forgery) in (30..).zip(Forgery::ALL) {
        let mut world =
            World::builder(seed).orgs(&[5]).channel("trade", &[0]).channel("audit", &[0]).build()?;
        let (trade, audit) = (world.channel("trade"), world.channel("audit"));
        world.submit(trade, 2, 500);
        world.submit(audit, 3, 500);
        let all = nodes(0..5);
        world.run_until("five at both tips", seconds(30), |world| {
            world.are_at_tip(&all, trade) && world.are_at_tip(&all, audit)
        })?;
        let (liar, victim) = (NodeId(4), NodeId(2));
        let forged = forgery.header(&world);
        let hash = forged.hash();
        // In whole, or by its hash.
        let bytes = forged.header.bytes().clone();
        world.inspect(move |sent| {
            let holds = |what: &[u8]| sent.frame.windows(what.len()).any(|window| window == what);
            match holds(hash.as_bytes()) || holds(&bytes) {
                true => Err("passes on a forged header".to_owned()),
                false => Ok(()),
            }
        });

        push_header(&mut world, (liar, victim), trade, forged.clone());
        let body = ChannelMessage::BodyFrame { header_hash: hash, index: 0, payload: vec![1; 500].into() };
        world.inject_frame(liar, victim, Lane::Data, Message::Channel(trade, body).encode());
        world.run_for(seconds(10))?;

        assert_eq!(world.height(victim, trade), 3, "{forgery:?} is not delivered");
        world.submit(trade, 1, 500);
        world.run_until("all go on", seconds(30), |world| world.are_at_tip(&all, trade))?;
    }
    Ok(())
}

/// What is wrong with a header.
#[derive(Clone, Copy, Debug)]
enum Forgery {
    WrongChannel,
    EmptyBlock,
    BadSignature,
    NoCertificate,
    HugeBody,
}

impl Forgery {
    const ALL: [Self; 5] =
        [Self::WrongChannel, Self::EmptyBlock, Self::BadSignature, Self::NoCertificate, Self::HugeBody];

    /// The would-be block 3 of `trade`.
    fn header(self, world: &World) -> CertifiedHeader {
        let (trade, audit) = (world.source("trade"), world.source("audit"));
        let honest = HeaderFields {
            number: BlockNumber::new(3),
            previous_hash: trade.tip().header().hash(),
            body_root: Digest::of(b"some body"),
            body_bytes: 500,
            ..trade.tip().header().header().fields().clone()
        };
        match self {
            Self::WrongChannel => {
                let block = audit.block(BlockNumber::new(3)).expect("audit has it");
                let mut fields = block.header().header().fields().clone();
                fields.body_bytes = 501;
                audit.certify_header(fields)
            }
            Self::EmptyBlock => trade.certify_header(HeaderFields {
                envelope_count: 0,
                part_count: 0,
                body_bytes: 0,
                ..honest
            }),
            Self::BadSignature => {
                let header = Header::new(honest);
                let stranger = SecretKey::from_seed([3; 32]);
                let certificate = QuorumCertificate::sign(trade.id(), header.hash(), 0, &stranger);
                CertifiedHeader { header, certificate: Some(certificate) }
            }
            Self::NoCertificate => CertifiedHeader { header: Header::new(honest), certificate: None },
            Self::HugeBody => trade.certify_header(HeaderFields { body_bytes: 1 << 40, ..honest }),
        }
    }
}

/// C6
#[test]
fn a_block_seen_again_is_neither_forwarded_nor_delivered_again() -> Outcome {
    let mut world = World::builder(24).orgs(&[6]).channel("trade", &[0]).build()?;
    let trade = world.channel("trade");
    let all = nodes(0..6);
    world.submit(trade, 3, 5000);
    world.run_until("six at the tip", seconds(20), |world| world.are_at_tip(&all, trade))?;
    world.run_for(seconds(10))?;
    let delivered = world.deliveries();
    let victim = NodeId(2);
    world.inspect(move |sent| {
        let is_forwarding =
            ["push", "body_frame", "announce", "complete", "headers"].contains(&sent.peek.kind);
        match sent.from == victim && is_forwarding {
            true => Err("forwards what it had already".to_owned()),
            false => Ok(()),
        }
    });

    let block = world.source("trade").block(BlockNumber::new(2)).expect("it was submitted").clone();
    for sender in [NodeId(1), NodeId(3), NodeId(1)] {
        push_block(&mut world, sender, victim, &block);
        world.run_for(seconds(3))?;
    }

    assert_eq!(world.deliveries(), delivered);
    Ok(())
}
