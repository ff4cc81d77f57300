//! Frames that are none: A19. The frames of `tests/conformance` are one of each kind; each is spoilt in
//! several ways.

use super::measure::assert_accused_only;
use crate::{Outcome, millis, nodes, seconds};
use bytes::Bytes;
use ledgercast_protocol::Event;
use ledgercast_protocol::offence::Offence;
use ledgercast_protocol::types::Lane;
use ledgercast_protocol::wire::Message;
use ledgercast_simulator::{NodeId, World};
use std::path::Path;

/// A frame of each kind, with its name.
fn frames() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance/frames");
    let mut frames = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the frozen frames") {
        let path = entry.expect("an entry").path();
        let text: String = std::fs::read_to_string(&path).expect("hex").split_whitespace().collect();
        let bytes = data_encoding::HEXLOWER.decode(text.as_bytes()).expect("hex");
        frames.push((path.file_stem().expect("a name").to_string_lossy().into_owned(), bytes));
    }
    frames.sort();
    assert!(frames.len() > 20, "few frames were found: {}", frames.len());
    frames
}

/// What is done to a frame: the last byte or the second half is cut off, something follows, the length of its
/// content is all that a varint can say, the content is of a kind that does not exist.
fn spoilt(frame: &[u8]) -> Vec<Vec<u8>> {
    let content = frame.iter().skip(1).position(|byte| byte & 0x80 == 0).map_or(frame.len(), |last| last + 2);
    let huge = [&frame[..1], &[0xff; 9], &[1], &frame[content..]].concat();
    let unknown = [&[0xfa, 0x3f], &frame[1..]].concat();
    let cut = frame[..frame.len() - 1].to_vec();
    vec![cut, frame[..frame.len() / 2].to_vec(), [frame, &[0xff]].concat(), huge, unknown]
}

/// A19
#[test]
fn no_spoilt_frame_of_any_kind_decodes() {
    for (name, frame) in frames() {
        assert!(Message::decode(Bytes::from(frame.clone())).is_ok(), "{name} is a frame");
        for (way, spoilt) in spoilt(&frame).into_iter().enumerate() {
            assert!(Message::decode(Bytes::from(spoilt)).is_err(), "{name}, spoilt in way {way}, decodes");
        }
    }
}

/// A19, in a network: one liar for each kind of message
#[test]
fn a_spoilt_frame_of_any_kind_ends_its_session_and_nothing_else() -> Outcome {
    let frames = frames();
    let (victim, first_liar) = (NodeId(0), 3);
    let all = nodes(0..first_liar + frames.len());
    let mut world = World::builder(380).orgs(&[all.len()]).channel("trade", &[0]).build()?;
    let trade = world.channel("trade");
    world.submit(trade, 2, 500);
    world.run_until("all at the tip", seconds(30), |world| {
        world.are_at_tip(&all, trade) && world.see_each_other(&all)
    })?;

    for (index, (name, frame)) in frames.iter().enumerate() {
        let liar = NodeId(first_liar + index);
        let lane = [Lane::Control, Lane::Data, Lane::Pull][index % 3];
        let ways = spoilt(frame);
        let frame = Bytes::from(ways[index % ways.len()].clone());
        assert!(world.inject_frame(liar, victim, lane, frame), "{name}: they are connected");
        world.run_for(millis(20))?;
        let last = world.events(victim).iter().rev().find_map(|(_, event)| match event {
            Event::Offence { member, offence } => Some((world.node_of(*member), offence.clone())),
            _ => None,
        });
        assert!(
            matches!(last, Some((Some(node), Offence::Malformed(_))) if node == liar),
            "{name}: {last:?}"
        );
    }

    world.submit(trade, 3, 500);
    world.run_until("all at the tip again", seconds(10), |world| world.are_at_tip(&all, trade))?;
    assert_accused_only(&world, &all[first_liar..]);
    assert!(all.iter().all(|node| node == &victim || world.seen_by(victim).contains(node)));
    Ok(())
}
