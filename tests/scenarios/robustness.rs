//! What hostile bytes do to a peer: R1.

use crate::{Outcome, millis, nodes, seconds};
use bytes::Bytes;
use ledgercast_protocol::Event;
use ledgercast_protocol::types::Lane;
use ledgercast_simulator::{NodeId, World};

/// R1
#[test]
fn a_malformed_frame_ends_its_session_and_nothing_else() -> Outcome {
    let mut world = World::builder(81).orgs(&[5]).channel("trade", &[0]).build()?;
    let trade = world.channel("trade");
    let all = nodes(0..5);
    world.submit(trade, 2, 500);
    world.run_until("five at the tip", seconds(20), |world| world.are_at_tip(&all, trade))?;
    let (liar, victim) = (NodeId(4), NodeId(1));
    let garbage: [&[u8]; 6] = [
        b"",
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        &[0x52, 2, 0x0a, 0],
        &[0x0a, 0xff, 0xff, 3],
        &[8; 300],
        &[0; 9],
    ];

    for (round, frame) in garbage.into_iter().enumerate() {
        let lane = [Lane::Control, Lane::Data, Lane::Pull][round % 3];
        assert!(world.inject_frame(liar, victim, lane, Bytes::copy_from_slice(frame)), "they are connected");
        world.run_for(millis(50))?;
        let offences =
            world.events(victim).iter().filter(|(_, event)| matches!(event, Event::Offence { .. })).count();
        assert_eq!(offences, round + 1, "frame {round} is an offence");
        world.run_until("they meet again", seconds(60), |world| {
            world.neighbours(victim, trade).contains(&liar) && world.neighbours(liar, trade).contains(&victim)
        })?;
    }

    world.submit(trade, 3, 500);
    world.run_until("five at the tip again", seconds(20), |world| world.are_at_tip(&all, trade))
}
