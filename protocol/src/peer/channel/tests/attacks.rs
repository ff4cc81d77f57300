//! One liar per attack: what honest peers deliver, whom they blame, and whom they do not.

use super::messages::push_of;
use super::*;
use crate::ledger::{BlockError, BodyBuilder, CertifiedHeader, Header, QuorumCertificate};
use crate::offence::Offence;
use crate::store::suite::Chain;
use crate::types::{BlockNumber, Height, MemberId};
use crate::wire::{BODY_FRAME_BYTES, ChannelMessage, Push, Tip, WantBody, WantHeaders};
use bytes::Bytes;
use ledgercast_crypto::{Digest, SecretKey};
use std::time::Duration;

fn frame(header_hash: Digest, body: &[u8]) -> ChannelMessage {
    ChannelMessage::BodyFrame { header_hash, index: 0, payload: Bytes::copy_from_slice(body) }
}

fn altered(payload: &Bytes) -> Bytes {
    let mut bytes = payload.to_vec();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    bytes.into()
}

/// A header as the test wants it, signed by a key of choice.
fn forged(
    net: &Net,
    change: impl FnOnce(&mut crate::ledger::HeaderFields),
    key: &SecretKey,
) -> CertifiedHeader {
    let mut fields = net.truth[1].header().header().fields().clone();
    change(&mut fields);
    let channel = net.chain.channel();
    let header = Header::new(fields);
    let certificate = Some(QuorumCertificate::sign(channel, header.hash(), 0, key));
    CertifiedHeader { header, certificate }
}

fn victim_and_liar() -> (Net, MemberId) {
    let mut net = Net::new(2);
    net.make_blocks(2, 100);
    let liar = net.add_ghost(0, 66, 0);
    (net, liar)
}

/// C5
#[test]
fn headers_of_the_wrong_channel_empty_ones_and_false_signatures_are_offences_and_go_nowhere() {
    let orderer = |net: &Net| net.chain.orderer().clone();
    let cases: [fn(&Net, &SecretKey) -> CertifiedHeader; 5] = [
        |_, _| {
            let mut other = Chain::new(8);
            other.next(&[b"foreign"]).header().certified().clone()
        },
        |net, key| forged(net, |fields| fields.envelope_count = 0, key),
        |net, key| forged(net, |fields| fields.body_bytes = u64::MAX, key),
        |net, _| forged(net, |_| {}, &SecretKey::from_seed([99; 32])),
        |net, _| CertifiedHeader { certificate: None, ..net.truth[1].header().certified().clone() },
    ];
    for case in cases {
        let (mut net, liar) = victim_and_liar();
        let header = case(&net, &orderer(&net));
        let sent_before = net.nodes[0].sent.len();

        let header_hash = header.hash();
        net.say(liar, 0, push_of(header));
        net.say(liar, 0, frame(header_hash, b"stashed until the header is judged"));
        assert_ne!(net.nodes[0].channel.payload_buffer_bytes(), 0);
        net.run_for(Duration::from_secs(1));

        assert!(matches!(&net.nodes[0].offences[..], [(who, Offence::FalseHeader(_))] if *who == liar));
        assert_eq!(net.nodes[0].sent.len(), sent_before, "nothing is passed on");
        assert_eq!((net.height(0), net.nodes[0].channel.payload_buffer_bytes()), (1, 0));
    }
}

/// A9
#[test]
fn an_altered_body_is_refused_its_only_supplier_blamed_and_the_block_fetched_elsewhere() {
    let (mut net, liar) = victim_and_liar();
    let block = net.truth[1].clone();
    net.preload(1, 1);

    net.say(liar, 0, push_of(block.header().certified().clone()));
    net.say(liar, 0, frame(block.header().hash(), &altered(block.body().bytes())));
    net.run_until_height(&[0], 2, Duration::from_secs(3));

    let [(who, Offence::FalseBody(error))] = &net.nodes[0].offences[..] else {
        panic!("one offence, not {:?}", net.nodes[0].offences);
    };
    assert_eq!((who, error), (&liar, &BlockError::BodyRoot(block.number())));
}

/// A9, CVE-2023-46132
#[test]
fn equal_bytes_cut_into_other_transactions_are_refused() {
    let (mut net, liar) = victim_and_liar();
    let block = net.truth[1].clone();
    let mut builder = BodyBuilder::default();
    let whole: Vec<u8> = block.body().bytes().to_vec();
    builder.push(&whole[4..whole.len()]);
    let recut = builder.finish();
    assert_eq!(recut.bytes().len(), whole.len());

    net.say(liar, 0, push_of(block.header().certified().clone()));
    net.say(liar, 0, frame(block.header().hash(), recut.bytes()));
    net.run_for(Duration::from_millis(10));

    assert!(matches!(&net.nodes[0].offences[..], [(_, Offence::FalseBody(BlockError::PartCount { .. }))]));
    assert_eq!(net.height(0), 1);
}

/// A9
#[test]
fn frames_of_the_wrong_length_or_beyond_the_body_are_offences() {
    for (index, cut) in [(0, 1), (1, 0)] {
        let (mut net, liar) = victim_and_liar();
        let block = net.truth[1].clone();
        let body = block.body().bytes();
        let payload = body.slice(..body.len() - cut);
        let header_hash = block.header().hash();

        net.say(liar, 0, push_of(block.header().certified().clone()));
        net.say(liar, 0, ChannelMessage::BodyFrame { header_hash, index, payload });
        net.run_for(Duration::from_millis(10));

        let offences = &net.nodes[0].offences;
        assert!(
            matches!(&offences[..], [(_, Offence::FalseBody(BlockError::BodyLength { .. }))]),
            "{offences:?}"
        );
    }
}

/// A9: of several suppliers nobody is blamed; then one at a time, so that the liar is known.
#[test]
fn a_liar_among_several_suppliers_is_found_and_nobody_else_blamed() {
    let mut net = Net::new(5);
    net.make_blocks(1, 4 * BODY_FRAME_BYTES);
    net.set_wire(|from, to, message| match message {
        ChannelMessage::Push(_) if to == 4 => Fate::Drop,
        ChannelMessage::BodyFrame { header_hash, index, payload } if from == 1 && to == 4 => {
            let payload = altered(payload);
            Fate::Replace(ChannelMessage::BodyFrame { header_hash: *header_hash, index: *index, payload })
        }
        _ => Fate::Pass,
    });
    net.lead(0, true);
    net.order(1);

    net.run_until_height(&net.all(), 2, Duration::from_secs(20));

    let liar = net.nodes[1].member;
    assert!(net.nodes.iter().flat_map(|node| &node.offences).all(|(who, _)| *who == liar));
}

/// A9
#[test]
fn a_false_certificate_does_not_keep_the_true_header_out() {
    let (mut net, liar) = victim_and_liar();
    let block = net.truth[1].clone();
    let forged = forged(&net, |_| {}, &SecretKey::from_seed([99; 32]));
    assert_eq!(forged.hash(), block.header().hash());
    let honest = net.nodes[1].member;

    net.say(liar, 0, push_of(forged));
    net.say(honest, 0, push_of(block.header().certified().clone()));
    net.say(honest, 0, frame(block.header().hash(), block.body().bytes()));
    net.run_for(Duration::from_millis(10));

    assert_eq!(net.height(0), 2);
    assert!(matches!(&net.nodes[0].offences[..], [(who, _)] if *who == liar));
}

/// A8
#[test]
fn a_height_that_no_header_proves_is_ignored_and_catch_up_is_not_delayed() {
    let mut net = Net::new(3);
    net.make_blocks(300, 500);
    net.preload(1, 300);
    net.preload(2, 300);
    for name in 60..63 {
        let liar = net.add_ghost(0, name, u64::MAX);
        let tip = Tip { number: BlockNumber::new(1_000_000), header_hash: Digest::of(b"nothing") };
        net.say(liar, 0, ChannelMessage::Announce(tip));
    }

    let took = net.run_until_height(&[0], 301, Duration::from_secs(20));

    assert!(took < Duration::from_secs(10), "three silent claimants cost one time-out each, took {took:?}");
    assert!(net.nodes[0].channel.proven_height() <= Height::new(301));
    net.assert_no_offences();
}

/// A8
#[test]
fn announcements_of_nothing_end_with_a_question() {
    let (mut net, liar) = victim_and_liar();

    for number in 1..=10 {
        let tip = Tip { number: BlockNumber::new(number), header_hash: Digest::of(b"nothing") };
        net.say(liar, 0, ChannelMessage::Announce(tip));
    }
    net.run_for(Duration::from_secs(10));

    assert!(net.nodes[0].sent_to(liar, "want_headers").len() <= 16);
    assert_eq!(net.nodes[0].sent_kinds("announce"), 0);
    net.assert_no_offences();
}

fn asked_for_range() -> (Net, MemberId) {
    let mut net = Net::new(1);
    net.make_blocks(40, 10);
    net.run_for(Duration::from_secs(10));
    let liar = net.add_ghost(0, 66, 41);
    net.run_for(Duration::from_millis(1));
    assert_eq!(net.nodes[0].sent_to(liar, "want_headers").len(), 1);
    (net, liar)
}

/// A10
#[test]
fn range_answers_with_gaps_in_reverse_elsewhere_or_with_too_many_are_offences() {
    let ranges: [(u64, Vec<usize>); 4] = [
        (1, (1..10).chain(11..20).collect()),
        (1, (1..20).rev().collect()),
        (2, (2..20).collect()),
        (1, (1..=40).chain(1..=40).collect()),
    ];
    for (first, numbers) in ranges {
        let (mut net, liar) = asked_for_range();
        let headers = numbers.iter().map(|number| net.truth[*number].header().certified().clone()).collect();

        net.say(liar, 0, ChannelMessage::Headers { first: BlockNumber::new(first), headers });
        net.run_for(Duration::from_millis(10));

        assert!(matches!(&net.nodes[0].offences[..], [(_, Offence::UnaskedHeaders { .. })]));
        assert_eq!(net.nodes[0].channel.proven_height(), Height::new(1));
    }
}

/// A10
#[test]
fn an_answer_that_comes_late_is_no_offence_and_is_used() {
    let (mut net, liar) = asked_for_range();
    net.run_for(Duration::from_secs(5));

    let headers = net.truth[1..].iter().map(|block| block.header().certified().clone()).collect();
    net.say(liar, 0, ChannelMessage::Headers { first: BlockNumber::new(1), headers });
    net.run_for(Duration::from_millis(10));

    assert_eq!(net.nodes[0].channel.proven_height(), Height::new(41));
    net.assert_no_offences();
}

/// A10
#[test]
fn a_range_that_never_comes_is_asked_elsewhere() {
    let mut net = Net::new(2);
    net.make_blocks(100, 100);
    let silent = net.add_ghost(0, 66, 101);
    net.run_for(Duration::from_millis(1));
    assert_eq!(net.nodes[0].sent_to(silent, "want_headers").len(), 1);
    net.preload(1, 100);

    let took = net.run_until_height(&[0], 101, Duration::from_secs(10));

    assert!(took < Duration::from_secs(8), "took {took:?}");
    net.assert_no_offences();
}

/// A11
#[test]
fn a_third_of_silent_relays_delays_nobody_beyond_the_bound() {
    let mut net = Net::new(16);
    net.make_blocks(3, 1000);
    net.set_wire(|from, _, message| match message.kind() {
        "push" | "body_frame" | "lacking" if (1..=5).contains(&from) => Fate::Drop,
        _ => Fate::Pass,
    });
    net.lead(0, true);
    for _ in 0..3 {
        net.order(1);
        let height = net.ordered;
        let took = net.run_until_height(&net.all(), height, Duration::from_secs(6));
        assert!(took < Duration::from_secs(5), "took {took:?}");
    }
    net.assert_no_offences();
}

/// A11
#[test]
fn relays_that_alter_bodies_are_blamed_and_all_honest_peers_deliver() {
    let mut net = Net::new(16);
    // Who relays is drawn per block: with so many, liars are among the relays.
    net.make_blocks(16, 1000);
    net.set_wire(|from, _, message| match message {
        ChannelMessage::BodyFrame { header_hash, index, payload } if (1..=5).contains(&from) => {
            let payload = altered(payload);
            Fate::Replace(ChannelMessage::BodyFrame { header_hash: *header_hash, index: *index, payload })
        }
        _ => Fate::Pass,
    });
    net.lead(0, true);
    net.order(16);

    net.run_until_height(&net.all(), 17, Duration::from_secs(20));

    let liars: Vec<MemberId> = (1..=5).map(|index| net.nodes[index].member).collect();
    let blamed: Vec<MemberId> = net.nodes.iter().flat_map(|it| &it.offences).map(|(who, _)| *who).collect();
    assert!(!blamed.is_empty());
    assert!(blamed.iter().all(|who| liars.contains(who)), "an honest relay is blamed");
}

/// A13
#[test]
fn a_leader_that_withholds_is_made_up_for_by_other_orgs() {
    let mut net = Net::with(8, 2, Settings::default());
    net.make_blocks(3, 1000);
    net.set_wire(|from, _, message| match message.kind() {
        "push" | "body_frame" if from == 0 => Fate::Drop,
        _ => Fate::Pass,
    });
    net.lead(0, true);
    net.lead(1, true);
    net.order(3);

    let took = net.run_until_height(&net.all(), 4, Duration::from_secs(10));

    assert!(took < Duration::from_secs(4), "took {took:?}");
    net.assert_no_offences();
}

/// A17
#[test]
fn who_says_complete_and_serves_nothing_costs_a_time_out_and_is_asked_last() {
    let mut net = Net::new(3);
    net.make_blocks(8, 100);
    let liar = net.add_ghost(2, 66, 0);
    net.set_wire(|_, to, message| match (to, message.kind()) {
        (2, "push") => Fate::Drop,
        _ => Fate::Pass,
    });
    net.lead(0, true);
    for number in 1..=8 {
        net.order(1);
        net.run_for(Duration::from_millis(30));
        let tip =
            Tip { number: BlockNumber::new(number), header_hash: net.truth[number as usize].header().hash() };
        net.say(liar, 2, ChannelMessage::Complete(tip));
        net.run_for(Duration::from_secs(5));
    }

    assert_eq!(net.height(2), 9);
    assert!(net.nodes[2].sent_to(liar, "want_body").len() <= 3);
    net.assert_no_offences();
}

/// A9: two pushers, one of them a liar; then each is asked for the whole.
#[test]
fn of_several_suppliers_nobody_is_blamed_until_one_supplies_all() {
    let mut net = Net::new(1);
    net.make_blocks(1, BODY_FRAME_BYTES);
    let block = net.truth[1].clone();
    let header_hash = block.header().hash();
    let [honest, liar] = [50, 66].map(|name| net.add_ghost(0, name, 0));
    let body = block.body().bytes();
    let frames = |is_true: bool| {
        let second = body.slice(BODY_FRAME_BYTES..);
        let second = if is_true { second } else { altered(&second) };
        [body.slice(..BODY_FRAME_BYTES), second]
            .into_iter()
            .zip(0..)
            .map(move |(payload, index)| ChannelMessage::BodyFrame { header_hash, index, payload })
    };
    for pusher in [honest, liar] {
        net.say(pusher, 0, push_of(block.header().certified().clone()));
    }
    net.run_for(Duration::from_millis(1));
    net.say(honest, 0, frames(true).next().unwrap());
    net.say(liar, 0, frames(false).nth(1).unwrap());
    net.run_for(Duration::from_millis(1));
    net.assert_no_offences();

    // Both answer whoever is asked; the pushes go on too, and are not mixed in.
    for _ in 0..3 {
        for (who, is_true) in [(liar, false), (honest, true)] {
            frames(is_true).for_each(|frame| net.say(who, 0, frame));
        }
        net.run_for(Duration::from_millis(1));
    }

    assert_eq!(net.height(0), 2);
    let blamed: Vec<MemberId> = net.nodes[0].offences.iter().map(|(who, _)| *who).collect();
    assert!(blamed.is_empty() || blamed == [liar], "{blamed:?}");
    assert!(net.nodes[0].refusals().contains("frame_unasked"));
    for who in [honest, liar] {
        for want in net.nodes[0].sent_to(who, "want_body") {
            let ChannelMessage::WantBody(want) = want else { panic!("another kind: {want:?}") };
            assert_eq!((want.first_frame, want.frame_count), (0, 2));
        }
    }
}

/// A9: what a silent holder left half-done is not mixed with the next one's frames.
#[test]
fn a_holder_is_not_blamed_for_the_false_half_of_the_one_before_it() {
    let mut net = Net::new(1);
    net.make_blocks(1, BODY_FRAME_BYTES);
    let block = net.truth[1].clone();
    let header_hash = block.header().hash();
    let members = [50, 51, 52].map(|name| net.add_ghost(0, name, 0));
    let body = block.body().bytes().clone();
    let piece = |index: u32, is_true: bool| {
        let start = index as usize * BODY_FRAME_BYTES;
        let payload = body.slice(start..body.len().min(start + BODY_FRAME_BYTES));
        let payload = if is_true { payload } else { altered(&payload) };
        ChannelMessage::BodyFrame { header_hash, index, payload }
    };
    for pusher in members {
        net.say(pusher, 0, push_of(block.header().certified().clone()));
    }
    net.run_for(Duration::from_millis(1));
    net.say(members[0], 0, piece(0, false));
    net.say(members[1], 0, piece(1, true));
    net.run_for(Duration::from_millis(1));
    let asked = |net: &Net| -> Vec<MemberId> {
        let wants = net.nodes[0].sent.iter().filter(|(.., message)| message.kind() == "want_body");
        wants.map(|(to, ..)| *to).collect()
    };
    let first = asked(&net)[0];
    net.say(first, 0, piece(0, false));

    net.run_for(Duration::from_millis(1100));
    let second = asked(&net)[1];
    assert_ne!(first, second);
    net.say(second, 0, piece(1, true));
    net.say(second, 0, piece(0, true));
    net.run_for(Duration::from_millis(10));

    assert_eq!(net.height(0), 2);
    net.assert_no_offences();
}

/// A10
#[test]
fn certified_headers_that_do_not_chain_are_an_offence_of_who_puts_them_together() {
    let (mut net, liar) = asked_for_range();
    let key = net.chain.orderer().clone();
    let unchained = forged(&net, |fields| fields.number = BlockNumber::new(2), &key);
    let headers = vec![net.truth[1].header().certified().clone(), unchained];

    net.say(liar, 0, ChannelMessage::Headers { first: BlockNumber::new(1), headers });

    let broken = BlockError::BrokenChain(BlockNumber::new(2));
    assert_eq!(net.nodes[0].offences, [(liar, Offence::FalseHeader(broken))]);
}

#[test]
fn a_certified_header_that_does_not_fit_its_proven_neighbour_is_refused_with_an_alarm() {
    for order in [[1, 2], [2, 1]] {
        let (mut net, liar) = victim_and_liar();
        let key = net.chain.orderer().clone();
        let unchained = forged(&net, |fields| fields.number = BlockNumber::new(2), &key);
        let first = net.truth[1].header().certified().clone();

        for number in order {
            net.say(liar, 0, push_of(if number == 1 { first.clone() } else { unchained.clone() }));
            net.run_for(Duration::from_millis(1));
        }

        assert!(net.nodes[0].refusals().contains("conflicting_header"), "order {order:?}");
        assert_eq!(net.nodes[0].channel.proven_height(), Height::new(order[0] + 1), "the first one stays");
    }
}

#[test]
fn an_announcement_that_contradicts_a_proven_header_is_refused() {
    let (mut net, liar) = victim_and_liar();
    net.say(liar, 0, push_of(net.truth[1].header().certified().clone()));
    net.run_for(Duration::from_millis(1));

    let tip = Tip { number: BlockNumber::new(1), header_hash: Digest::of(b"other") };
    net.say(liar, 0, ChannelMessage::Complete(tip));

    assert_eq!(net.nodes[0].refusals().into_iter().collect::<Vec<_>>(), ["conflicting_announcement"]);
}

#[test]
fn a_second_certified_header_of_one_number_is_refused_with_an_alarm() {
    let (mut net, liar) = victim_and_liar();
    let key = net.chain.orderer().clone();
    let other = forged(&net, |fields| fields.body_root = Digest::of(b"other"), &key);
    net.say(liar, 0, push_of(net.truth[1].header().certified().clone()));
    net.run_for(Duration::from_millis(10));

    net.say(liar, 0, push_of(other));
    net.run_for(Duration::from_millis(10));

    assert!(net.nodes[0].refusals().contains("conflicting_header"));
    assert_eq!(net.nodes[0].channel.proven_height(), Height::new(2));
}

/// A19
#[test]
fn extreme_numbers_from_anybody_are_survived() {
    let (mut net, liar) = victim_and_liar();
    let key = net.chain.orderer().clone();
    for number in [0, 1, 2, 1025, u64::MAX - 1, u64::MAX] {
        let header = forged(&net, |fields| fields.number = BlockNumber::new(number), &key);
        let tip = Tip { number: BlockNumber::new(number), header_hash: header.hash() };
        let zero = Tip { header_hash: Digest::ZERO, ..tip };
        let first = tip.number;
        let want = |first_frame, frame_count| WantBody { tip, first_frame, frame_count };
        let messages = [
            ChannelMessage::Announce(tip),
            ChannelMessage::Complete(tip),
            ChannelMessage::Lacking(tip),
            ChannelMessage::Lacking(zero),
            ChannelMessage::WantHeaders(WantHeaders { first, count: 1024 }),
            ChannelMessage::WantHeaders(WantHeaders { first, count: u32::MAX }),
            ChannelMessage::WantBody(want(0, u32::MAX)),
            ChannelMessage::WantBody(want(u32::MAX, u32::MAX)),
            ChannelMessage::Headers { first, headers: vec![header.clone(); 3] },
            push_of(header.clone()),
            ChannelMessage::BodyFrame {
                header_hash: header.hash(),
                index: u32::MAX,
                payload: Bytes::from_static(b"x"),
            },
        ];
        for message in messages {
            net.say(liar, 0, message);
            net.run_for(Duration::from_millis(1));
        }
        let certified = crate::ledger::Block { header, body: Bytes::from_static(b"x") };
        let feed = net.nodes[0].header_feed.expect("it follows headers");
        let shown = super::super::Input::FedHeader { feed, header: certified.header.clone() };
        net.input(0, shown);
        net.input(0, super::super::Input::Fed { feed, block: certified });
    }
    net.run_for(Duration::from_secs(20));

    assert_eq!(net.height(0), 1);
}

/// Someone of my org cannot make me flood others: children are neighbours of my org, served once.
#[test]
fn children_are_served_once_and_only_inside_the_org() {
    let mut net = Net::with(4, 2, Settings::default());
    net.make_blocks(1, 100);
    let block = net.truth[1].clone();
    let liar = net.add_ghost(0, 66, 0);
    let children: Vec<MemberId> = (1..4).map(|index| net.nodes[index].member).collect();
    let header = block.header().certified().clone();
    let push = Push { header, relay_set: Digest::of(b"any"), children };

    for _ in 0..3 {
        net.say(liar, 0, ChannelMessage::Push(push.clone()));
        net.say(liar, 0, frame(block.header().hash(), block.body().bytes()));
        net.run_for(Duration::from_micros(400));
    }
    net.run_for(Duration::from_millis(100));

    assert_eq!(net.nodes[0].sent_kinds("push"), 1);
    assert_eq!(net.nodes[0].sent_to(net.nodes[2].member, "push").len(), 1);
    assert_eq!(net.nodes[0].channel.counters().children_refused % 2, 0);
    net.assert_no_offences();
}
