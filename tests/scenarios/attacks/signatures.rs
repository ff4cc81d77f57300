//! Signatures that are right somewhere else, or in another form: A22. That keys of small order are none, and
//! that no second encoding of a key or signature is taken, is shown in `crypto/src/keys.rs`.

use super::measure::assert_accused_only;
use crate::{Outcome, millis, nodes, seconds};
use ledgercast_crypto::{Namespace, Signature};
use ledgercast_protocol::Event;
use ledgercast_protocol::offence::Offence;
use ledgercast_protocol::wire::{
    Alive, AliveRecord, ChannelLeave, ChannelMessage, Message, Signed, StateInfo, Statement,
};
use ledgercast_simulator::{NodeId, World};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

/// The order of the group, little-endian: added to a signature's scalar it gives the twin that lax verifiers
/// take.
const GROUP_ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

fn twin(signature: &Signature) -> Signature {
    let mut bytes = *signature.as_bytes();
    let mut carry = 0_u16;
    for (byte, order) in bytes[32..].iter_mut().zip(GROUP_ORDER) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        (*byte, carry) = ((sum & 0xff) as u8, sum >> 8);
    }
    Signature::from_bytes(bytes)
}

/// A signature whose point is the neutral one and whose scalar is zero: right for any message of a key of
/// small order.
fn neutral() -> Signature {
    let mut bytes = [0; 64];
    bytes[0] = 1;
    Signature::from_bytes(bytes)
}

fn with<T: Statement>(signed: &Signed<T>, signature: Signature) -> Signed<T> {
    Signed::decode(signed.bytes().clone(), signature).expect("its bytes are as they were")
}

/// Signs an alive as it must not be signed.
type WrongSignature = fn(&World, NodeId, &Signed<Alive>) -> Signature;

/// A22
#[test]
fn a_signature_of_another_namespace_network_or_form_is_an_offence_of_who_sends_it() -> Outcome {
    let all = nodes(0..6);
    let mut world = World::builder(390).orgs(&[6]).build()?;
    world.run_until("six see each other", seconds(20), |world| world.see_each_other(&all))?;
    let victim = NodeId(0);
    let wall = world.wall();
    let cases: [WrongSignature; 4] = [
        |world, liar, alive| world.key(liar).sign(Namespace::StateInfo, &world.network(), alive.bytes()),
        |world, liar, alive| world.key(liar).sign(Namespace::Alive, &[9; 32], alive.bytes()),
        |_, _, alive| twin(alive.signature()),
        |_, _, _| neutral(),
    ];

    for (index, case) in cases.into_iter().enumerate() {
        let liar = NodeId(index + 1);
        let genuine = world.forge_alive(liar, (wall.as_millis(), 1), wall).alive;
        let alive = with(&genuine, case(&world, liar, &genuine));
        world.inject(liar, victim, &Message::Alives(vec![AliveRecord { alive, internal: None, tick: None }]));
        world.run_for(millis(50))?;

        let accusations = world.accusations();
        let of_liar = accusations.get(&liar).map(|it| it.keys().copied().collect::<Vec<_>>());
        assert_eq!(of_liar, Some(vec!["bad_signature"]), "case {index}");
    }
    assert_accused_only(&world, &nodes(1..5));
    Ok(())
}

/// A22, the channel: what a member signed for one is nothing on another
#[test]
fn what_was_signed_for_one_channel_is_nothing_on_another() -> Outcome {
    let all = nodes(0..4);
    let mut world = World::builder(391).orgs(&[4]).channel("trade", &[0]).channel("audit", &[0]).build()?;
    let (trade, audit) = (world.channel("trade"), world.channel("audit"));
    world.submit(trade, 2, 500);
    world.submit(audit, 2, 500);
    world.run_until("four at both tips", seconds(30), |world| {
        world.are_at_tip(&all, trade) && world.are_at_tip(&all, audit)
    })?;
    world.run_for(seconds(10))?;
    let (victim, subject, liar, other_liar) = (NodeId(0), NodeId(1), NodeId(2), NodeId(3));
    let leaves: Rc<RefCell<Vec<Signed<ChannelLeave>>>> = Rc::default();
    let heard = leaves.clone();
    world.inspect(move |sent| {
        if sent.peek.kind == "channel_leave"
            && let Ok(Message::Channel(_, ChannelMessage::Leave(leave))) = Message::decode(sent.frame.clone())
        {
            heard.borrow_mut().push(leave);
        }
        Ok(())
    });
    world.leave(subject, audit)?;
    world.run_for(millis(200))?;
    let leave = leaves.borrow().first().cloned().expect("it said good-bye on audit");

    world.inject(liar, victim, &Message::Channel(trade, ChannelMessage::Leave(leave)));
    let mark = world.forge_alive(other_liar, (world.wall().as_millis(), 1), world.wall()).alive.mark();
    let state = StateInfo {
        member: mark.member,
        incarnation: mark.incarnation,
        sequence: mark.sequence,
        tip_hash: world.source("audit").tip().header().hash(),
        height: ledgercast_protocol::types::Height::new(1_000),
        first_block: Default::default(),
    };
    let state = Signed::sign(state, audit.as_bytes(), world.key(other_liar));
    world.inject(other_liar, victim, &Message::Channel(trade, ChannelMessage::States(vec![state])));
    world.run_for(millis(200))?;

    assert!(world.neighbours(victim, trade).contains(&subject), "it left another channel");
    let offences: BTreeSet<&str> = world
        .events(victim)
        .iter()
        .filter_map(|(_, event)| match event {
            Event::Offence { offence: Offence::BadSignature(what), .. } => Some(*what),
            _ => None,
        })
        .collect();
    assert_eq!(offences, BTreeSet::from(["channel_leave", "state_info"]));
    assert_accused_only(&world, &[liar, other_liar]);
    Ok(())
}
