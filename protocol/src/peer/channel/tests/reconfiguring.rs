//! Config blocks in the window: what waits for them, what they make worthless, what they end.

use super::messages::{MOMENT, certified, push_block, push_header, push_of};
use super::network::member;
use super::*;
use crate::event::{Event, FeedChange};
use crate::ledger::{CertifiedHeader, HeaderFields};
use crate::peer::channel::Input;
use crate::types::{BlockNumber, MemberId};
use crate::wire::{ChannelMessage, WantHeaders};
use std::time::Duration;

/// The header of a true block under another config's number, certified by the true orderer.
fn under_config(net: &Net, number: usize, config_number: u64) -> CertifiedHeader {
    certified(net, number, |fields| HeaderFields { config_number, ..fields })
}

/// One true block, then one that renames the channel, then two under the new config.
fn with_an_update_in_block_two(settings: Settings) -> (Net, MemberId) {
    let mut net = Net::with(1, 1, settings);
    net.make_blocks(1, 100);
    net.make_update(|config| config.name = "second".to_owned());
    net.make_blocks(2, 100);
    let ghost = net.add_ghost(0, 9, 0);
    (net, ghost)
}

fn changes(net: &Net, node: usize) -> Vec<(u64, u64)> {
    let change = |event: &Event| match event {
        Event::ConfigChanged { number, config, .. } => Some((number.as_u64(), config.number())),
        _ => None,
    };
    net.nodes[node].events.iter().filter_map(change).collect()
}

#[test]
fn headers_of_a_later_config_wait_for_its_block_and_are_nobodys_offence() {
    let (mut net, ghost) = with_an_update_in_block_two(Settings::default());
    for number in [4, 3] {
        push_block(&mut net, ghost, number);
    }
    assert_eq!(net.nodes[0].jobs, 0, "nothing can be judged yet");

    push_block(&mut net, ghost, 1);
    assert_eq!((net.height(0), changes(&net, 0)), (2, vec![]));
    push_block(&mut net, ghost, 2);

    net.run_until_height(&[0], 5, Duration::from_millis(100));
    assert_eq!(changes(&net, 0), [(2, 1)]);
    assert_eq!(net.nodes[0].channel.config().name().as_str(), "second");
    net.assert_no_offences();
}

#[test]
fn a_false_copy_that_comes_first_keeps_no_true_header_of_a_later_config_out() {
    let (mut net, honest) = with_an_update_in_block_two(Settings::default());
    let liar = net.add_ghost(0, 8, 0);
    let mut false_copy = net.truth[3].header().certified().clone();
    false_copy.certificate = net.truth[1].header().certified().certificate.clone();

    net.say(liar, 0, push_of(false_copy));
    net.run_for(MOMENT);
    for number in [3, 1, 2] {
        push_block(&mut net, honest, number);
    }

    net.run_until_height(&[0], 4, Duration::from_millis(100));
}

#[test]
fn a_header_with_fewer_blocks_below_it_than_config_changes_is_refused() {
    let (mut net, ghost) = with_an_update_in_block_two(Settings::default());

    net.say(ghost, 0, push_of(under_config(&net, 1, 1)));
    net.run_for(MOMENT);

    assert!(net.nodes[0].refusals().contains("config_impossible"));
    assert_eq!(net.nodes[0].jobs, 0);
    net.assert_no_offences();
}

#[test]
fn headers_that_wait_are_bounded_and_what_had_no_room_can_come_again() {
    let settings = Settings { deferred_headers_max: 1, ..Settings::default() };
    let (mut net, ghost) = with_an_update_in_block_two(settings);
    for number in [4, 3] {
        push_header(&mut net, ghost, number);
    }
    assert!(net.nodes[0].refusals().contains("deferred_full"));

    for number in 1..=4 {
        push_block(&mut net, ghost, number);
    }

    net.run_until_height(&[0], 5, Duration::from_millis(100));
    net.assert_no_offences();
}

#[test]
fn a_pushed_claim_of_a_next_config_holds_up_no_catching_up() {
    let mut net = Net::new(2);
    net.make_blocks(600, 100);
    net.nodes[0].commit_takes = Duration::from_secs(60);
    let liar = net.add_ghost(0, 9, 0);
    net.preload(1, 600);

    // Each is the first that is missing after a segment.
    for number in [257, 513] {
        net.say(liar, 0, push_of(under_config(&net, number, 1)));
    }
    net.run_for(Duration::from_secs(1));

    assert_eq!(net.nodes[0].channel.proven_height().as_u64(), 601);
    net.assert_no_offences();
}

#[test]
fn an_answer_that_ends_in_a_claim_of_a_next_config_holds_up_catching_up_once() {
    let mut net = Net::new(3);
    net.make_blocks(600, 100);
    net.nodes[0].commit_takes = Duration::from_secs(60);
    net.disconnect(0, 2);
    let lie = under_config(&net, 256, 1);
    net.set_wire(move |from, to, message| match message {
        ChannelMessage::Headers { first, headers } if (from, to) == (1, 0) => {
            let lie_there = |it: &CertifiedHeader| match it.header.number() == lie.header.number() {
                true => lie.clone(),
                false => it.clone(),
            };
            let headers = headers.iter().take_while(|it| it.header.number() <= lie.header.number());
            Fate::Replace(ChannelMessage::Headers {
                first: *first,
                headers: headers.map(lie_there).collect(),
            })
        }
        _ => Fate::Pass,
    });
    net.preload(1, 600);
    net.run_for(Duration::from_millis(500));
    assert_eq!(net.nodes[0].channel.proven_height().as_u64(), 256, "the liar was asked");

    net.connect(0, 2);
    net.preload(2, 600);
    net.run_for(Duration::from_secs(3));

    assert_eq!(net.nodes[0].channel.proven_height().as_u64(), 601);
    let answers = net.nodes[1].sent_to(member(0), "headers").len();
    assert_eq!(answers, 1, "others are asked first from then on");
}

#[test]
fn a_claim_of_a_next_config_that_cannot_come_true_any_more_is_refused_and_counted() {
    let mut net = Net::new(1);
    net.make_blocks(3, 100);
    let ghost = net.add_ghost(0, 9, 0);
    net.say(ghost, 0, push_of(under_config(&net, 3, 1)));

    push_block(&mut net, ghost, 1);
    assert!(!net.nodes[0].refusals().contains("config_impossible"));
    push_block(&mut net, ghost, 2);

    net.assert_refused_without_offence("config_impossible");
}

#[test]
fn what_was_proven_above_a_config_block_under_the_config_before_it_is_dropped() {
    let (mut net, ghost) = with_an_update_in_block_two(Settings::default());
    let forged = under_config(&net, 3, 0);
    net.say(ghost, 0, push_of(forged));
    net.run_for(MOMENT);
    assert_eq!(net.nodes[0].jobs, 1, "it is right by the config in force");

    for number in 1..=3 {
        push_block(&mut net, ghost, number);
    }

    net.run_until_height(&[0], 4, Duration::from_millis(100));
    net.assert_refused_without_offence("config_superseded");
}

#[test]
fn a_certified_update_that_is_not_right_ends_the_channel_before_it() {
    let mut net = Net::new(2);
    net.make_blocks(1, 100);
    let unsigned = net.chain.changed(|config| config.name = "mine".to_owned());
    let block = net.chain.config_block(&unsigned);
    net.truth.push(block);
    net.make_blocks(2, 100);
    net.lead(0, true);

    net.order(4);
    net.run_for(Duration::from_secs(5));

    for index in [0, 1] {
        let node = &net.nodes[index];
        assert_eq!(net.height(index), 2);
        assert!(node.channel.failure().is_some_and(|it| it.contains("signed by admins of 0 orgs")));
        let refused = node.events.iter().filter(|event| matches!(event, Event::ConfigRefused { .. }));
        assert_eq!(refused.count(), 1);
    }
    net.assert_no_offences();
}

#[test]
fn the_orderers_of_a_new_config_are_followed_as_soon_as_it_is_in_force() {
    let mut net = Net::new(1);
    net.make_update(|config| config.orderers[0].endpoint = "second:7050".to_owned());
    let endpoints = |net: &Net| -> Vec<String> {
        let sources = net.nodes[0].channel.sources(net.now);
        sources.iter().map(|source| source.target.endpoint.to_string()).collect()
    };
    net.lead(0, true);
    assert_eq!(endpoints(&net), ["127.0.0.1:7050"]);

    net.order(1);
    net.run_until_height(&[0], 2, Duration::from_millis(100));

    assert_eq!(endpoints(&net), ["second:7050"]);
    let (_, next, _) = net.nodes[0].feed.expect("it streams from there");
    assert_eq!(next, 2);
}

#[test]
fn who_was_removed_asks_the_orderers_for_nothing_until_it_is_named_again() {
    let mut net = Net::new(1);
    net.lead(0, true);
    assert!(net.nodes[0].feed.is_some());

    net.input(0, Input::SetRemoved(true));
    assert!(net.nodes[0].feed.is_none());
    net.run_for(Duration::from_secs(30));
    assert!(net.nodes[0].feed.is_none());

    net.input(0, Input::SetRemoved(false));
    assert!(net.nodes[0].feed.is_some());
}

#[test]
fn a_former_reader_is_answered_and_its_statements_are_refused() {
    let mut net = Net::new(1);
    net.make_blocks(2, 100);
    net.preload(0, 2);
    let former = member(50);
    net.former.insert(former);
    let want = ChannelMessage::WantHeaders(WantHeaders { first: BlockNumber::new(1), count: 1 });
    let announced = ChannelMessage::Announce(net.nodes[0].channel.tip());

    net.input(0, Input::FormerAsks { from: former, message: want });
    net.input(0, Input::FormerAsks { from: former, message: announced });
    net.run_for(MOMENT);

    let answers = net.nodes[0].sent_to(former, "headers");
    assert!(matches!(answers[..], [ChannelMessage::Headers { headers, .. }] if headers.len() == 1));
    assert!(net.nodes[0].refusals().contains("former_reader"));
}

#[test]
fn of_too_many_former_readers_who_asked_first_is_forgotten_and_the_others_are_answered() {
    let mut net = Net::new(1);
    net.make_blocks(2, 100);
    net.preload(0, 2);
    let want = ChannelMessage::WantHeaders(WantHeaders { first: BlockNumber::new(1), count: 1 });
    let askers: Vec<MemberId> = (50..307).map(member).collect();
    net.former.extend(&askers);

    for asker in &askers {
        net.input(0, Input::FormerAsks { from: *asker, message: want.clone() });
    }
    net.run_for(MOMENT);

    let answered = |asker: &&MemberId| net.nodes[0].sent_to(**asker, "headers").len() == 1;
    assert_eq!(askers.iter().filter(answered).count(), 256);
    assert!(!answered(&&askers[0]));
}

#[test]
fn frames_that_wait_for_a_config_leave_room_for_live_ones_and_go_with_their_sender() {
    let settings = Settings { stash_bytes_max: 4_000, stash_bytes_per_member: 2_000, ..Settings::default() };
    let (mut net, honest) = with_an_update_in_block_two(settings);
    let liars = [7, 8].map(|name| net.add_ghost(0, name, 0));
    let invented = under_config(&net, 4, 1);
    for liar in liars {
        net.say(liar, 0, push_of(invented.clone()));
        for index in 0..100 {
            let (header_hash, payload) = (invented.hash(), vec![7; 100].into());
            net.say(liar, 0, ChannelMessage::BodyFrame { header_hash, index, payload });
        }
    }
    assert_eq!(net.nodes[0].channel.payload_buffer_bytes(), 2 * 2 * 228);

    let block = net.truth[1].clone();
    net.say(honest, 0, push_of(block.header().certified().clone()));
    let (header_hash, payload) = (block.header().hash(), block.body().bytes().clone());
    net.say(honest, 0, ChannelMessage::BodyFrame { header_hash, index: 0, payload });
    net.run_until_height(&[0], 2, Duration::from_millis(100));

    for liar in liars {
        net.input(0, Input::NeighbourGone(liar));
    }
    assert_eq!(net.nodes[0].channel.payload_buffer_bytes(), 0);
}

#[test]
fn bodies_of_an_answer_that_reaches_over_an_update_are_asked_for_at_once_and_no_leader_is_blamed() {
    let (mut net, liar) = with_an_update_in_block_two(Settings::default());
    // That somebody has pushed one of the headers before makes it no news.
    push_header(&mut net, liar, 4);
    let holder = net.add_ghost(0, 8, 5);
    net.run_for(Duration::from_secs(1));
    assert_eq!(net.nodes[0].sent_to(holder, "want_headers").len(), 1);

    let headers = net.truth[1..].iter().map(|block| block.header().certified().clone()).collect();
    net.say(holder, 0, ChannelMessage::Headers { first: BlockNumber::new(1), headers });
    net.run_for(MOMENT);
    for number in [1, 2] {
        let block = net.truth[number].clone();
        let (header_hash, payload) = (block.header().hash(), block.body().bytes().clone());
        net.say(holder, 0, ChannelMessage::BodyFrame { header_hash, index: 0, payload });
    }
    net.run_for(MOMENT);

    let number = |asked: &ChannelMessage| match asked {
        ChannelMessage::WantBody(want) => want.tip.number.as_u64(),
        other => panic!("{other:?} asks for no body"),
    };
    let asked = net.nodes[0].sent_to(holder, "want_body");
    assert_eq!(asked.into_iter().map(number).collect::<Vec<_>>(), [1, 2, 3, 4]);
    net.run_for(Duration::from_millis(1_200));
    assert!(net.nodes[0].channel.take_withheld().is_none());
    net.assert_no_offences();
}

#[test]
fn what_waits_of_a_source_that_was_forgotten_takes_no_room() {
    let settings = Settings { deferred_headers_max: 2, ..Settings::default() };
    let (mut net, honest) = with_an_update_in_block_two(settings);
    net.make_blocks(1, 100);
    let liar = net.add_ghost(0, 8, 0);
    push_header(&mut net, liar, 3);
    let mut false_header = net.truth[1].header().certified().clone();
    false_header.certificate = net.truth[2].header().certified().certificate.clone();
    net.say(liar, 0, push_of(false_header));
    net.run_for(MOMENT);
    assert_eq!(net.nodes[0].offences.len(), 1);

    for number in [4, 5] {
        push_header(&mut net, honest, number);
    }

    assert!(!net.nodes[0].refusals().contains("deferred_full"));
}

#[test]
fn verifications_that_are_given_up_take_nothing_along_that_waits_for_its_config() {
    let settings = Settings { refused_jobs_max: 0, ..Settings::default() };
    let (mut net, ghost) = with_an_update_in_block_two(settings);
    for number in [3, 4] {
        push_block(&mut net, ghost, number);
    }
    net.is_pool_full = true;
    push_block(&mut net, ghost, 1);
    assert!(net.nodes[0].refusals().contains("verifier_overloaded"));
    net.is_pool_full = false;

    for number in [1, 2] {
        push_block(&mut net, ghost, number);
    }

    net.run_until_height(&[0], 5, Duration::from_millis(100));
    net.assert_no_offences();
}

#[test]
fn a_fed_block_whose_copy_had_no_room_to_wait_comes_again_and_its_orderer_is_not_called_false() {
    let settings = Settings { deferred_headers_max: 1, ..Settings::default() };
    let (mut net, liar) = with_an_update_in_block_two(settings);
    net.nodes[0].commit_takes = Duration::from_millis(100);
    let mut false_copy = net.truth[3].header().certified().clone();
    false_copy.certificate = net.truth[1].header().certified().certificate.clone();
    net.say(liar, 0, push_of(false_copy));
    net.lead(0, true);

    net.order(4);

    net.run_until_height(&[0], 5, Duration::from_secs(5));
    assert!(net.nodes[0].refusals().contains("deferred_full"));
    let is_false = |event: &Event| matches!(event, Event::Feed { change: FeedChange::False { .. }, .. });
    assert!(!net.nodes[0].events.iter().any(is_false));
    let requests = net.nodes[0].feed_requests.len();
    assert!(requests < 10, "{requests} requests while there was no room");
}
