//! The feed against orderers that a test speaks for, block by block.

use super::{Config, FeedKind, Input, ProvenHeader, Room, State, Turn};
use crate::channel::OrdererEndpoint;
use crate::event::{Event, FeedChange};
use crate::output::{Action, Outbox, Output};
use crate::time::Monotonic;
use crate::types::{BlockNumber, ChannelId, FeedId, MemberId, SourceId};
use ledgercast_crypto::Digest;
use std::collections::BTreeMap;
use std::time::Duration;

const CHANNEL: ChannelId = ChannelId::from_bytes([7; 32]);

/// What is here: bodies below `missing`, and when headers were proven.
#[derive(Default)]
struct Here {
    missing: u64,
    proven: BTreeMap<u64, Monotonic>,
}

impl Room for Here {
    fn first_missing(&self) -> BlockNumber {
        BlockNumber::new(self.missing)
    }

    fn last_wanted(&self, first: BlockNumber) -> Option<BlockNumber> {
        Some(first.saturating_add(63))
    }

    fn proven(&self, number: BlockNumber) -> Option<ProvenHeader> {
        let at = self.proven.get(&number.as_u64()).copied()?;
        Some(ProvenHeader { at, body_bytes: 1000 })
    }

    fn proven_tip(&self) -> BlockNumber {
        BlockNumber::new(self.proven.keys().last().copied().unwrap_or(self.missing - 1))
    }
}

struct World {
    state: State,
    here: Here,
    now: Duration,
    /// Open streams by the endpoint's host.
    streams: BTreeMap<String, (FeedId, bool)>,
    changes: Vec<(Duration, String, FeedChange)>,
}

fn target(name: &str) -> OrdererEndpoint {
    let endpoint = format!("{name}:7050").parse().unwrap();
    OrdererEndpoint { org: "orderer".to_owned(), endpoint, tls_roots: Vec::new() }
}

impl World {
    fn new(sources: &[&str]) -> Self {
        let me = MemberId::from_digest(Digest::of(b"me"));
        let mut world = Self {
            state: State::new(Config::default(), CHANNEL, me),
            here: Here { missing: 1, ..Here::default() },
            now: Duration::ZERO,
            streams: BTreeMap::new(),
            changes: Vec::new(),
        };
        world.input(Input::Sources(sources.iter().map(|name| target(name)).collect()));
        world
    }

    fn leading(sources: &[&str]) -> Self {
        let mut world = Self::new(sources);
        world.input(Input::SetLeading(true));
        world.open_all();
        world
    }

    fn now(&self) -> Monotonic {
        Monotonic::new(self.now)
    }

    fn input(&mut self, input: Input) {
        self.step(|state, now, here, out| state.handle(now, input, here, out));
        self.step(|state, now, here, out| state.handle(now, Input::Check, here, out));
    }

    fn step<T>(&mut self, act: impl FnOnce(&mut State, Monotonic, &Here, &mut Outbox) -> T) -> T {
        let mut out = Outbox::default();
        let result = act(&mut self.state, Monotonic::new(self.now), &self.here, &mut out);
        for action in out.drain() {
            match action {
                Action::Output(Output::OpenFeed { feed, source, blocks, .. }) => {
                    let host = source.endpoint.host().to_owned();
                    let before = self.streams.insert(host, (feed, blocks.is_some()));
                    assert!(before.is_none(), "one stream to a source");
                }
                Action::Output(Output::CloseFeed { feed, .. }) => {
                    self.streams.retain(|_, (open, _)| *open != feed);
                }
                Action::Output(Output::Event(Event::Feed { endpoint, change, .. })) => {
                    self.changes.push((self.now, endpoint.host().to_owned(), change));
                }
                Action::Output(Output::ExtendFeed { .. }) => {}
                other => panic!("unexpected {other:?}"),
            }
        }
        result
    }

    fn open_all(&mut self) {
        for (feed, _) in self.streams.values().copied().collect::<Vec<_>>() {
            self.input(Input::Opened(feed));
        }
    }

    /// Time passes; timers are served when they are due.
    fn run_for(&mut self, millis: u64) {
        let end = self.now + Duration::from_millis(millis);
        while let Some(due) = self.state.next_due(self.now(), &self.here)
            && due.since_start() <= end
        {
            assert!(due > self.now() || self.now == end, "a timer in the past: {due:?}");
            self.now = self.now.max(due.since_start());
            self.input(Input::Check);
            if self.now == end {
                break;
            }
        }
        self.now = end;
        self.input(Input::Check);
    }

    fn puller(&self) -> Option<String> {
        self.streams.iter().find(|(_, (_, is_blocks))| *is_blocks).map(|(host, _)| host.clone())
    }

    fn followed(&self) -> Vec<String> {
        let headers = self.streams.iter().filter(|(_, (_, is_blocks))| !is_blocks);
        headers.map(|(host, _)| host.clone()).collect()
    }

    fn end(&mut self, host: &str) {
        let (feed, _) = self.streams.remove(host).expect("it is streaming");
        self.input(Input::Ended { feed, cause: "refused".to_owned() });
    }

    /// The header of the next block is proven now.
    fn prove(&mut self, number: u64) {
        let now = self.now();
        self.here.proven.insert(number, now);
        for (host, (feed, is_blocks)) in self.streams.clone() {
            if !is_blocks {
                let number = BlockNumber::new(number);
                let turn = self.step(|state, now, _, out| state.on_header(now, feed, number, out));
                assert!(matches!(turn, Turn::First(_) | Turn::Next(_)), "{host}");
            }
        }
        self.input(Input::Check);
    }

    /// The block source brings a block now.
    fn bring(&mut self, number: u64) -> Turn {
        let (feed, _) = self.streams[&self.puller().expect("somebody brings blocks")];
        let block = BlockNumber::new(number);
        let turn = self.step(|state, now, here, out| state.on_block(now, feed, block, here, out));
        self.here.missing = self.here.missing.max(number + 1);
        self.input(Input::Check);
        turn
    }

    fn suspected(&self) -> Vec<(Duration, String)> {
        let is_suspicion = |change: &FeedChange| matches!(change, FeedChange::Suspected { .. });
        let found = self.changes.iter().filter(|(.., change)| is_suspicion(change));
        found.map(|(at, host, _)| (*at, host.clone())).collect()
    }
}

#[test]
fn a_leader_pulls_from_one_and_follows_headers_from_all_others() {
    let world = World::leading(&["a", "b", "c"]);

    assert_eq!(world.streams.len(), 3);
    assert_eq!(world.followed().len(), 2);
    assert!(world.puller().is_some());
}

#[test]
fn who_does_not_lead_follows_headers_from_one_the_same_after_having_led() {
    let mut world = World::new(&["a", "b", "c"]);
    world.input(Input::Check);
    assert_eq!((world.streams.len(), world.puller()), (1, None));

    world.input(Input::SetLeading(true));
    world.open_all();
    world.input(Input::SetLeading(false));

    assert_eq!((world.streams.len(), world.puller()), (1, None));
}

#[test]
fn members_do_not_all_begin_with_the_same_source() {
    let mut firsts = BTreeMap::new();
    for member in 0..32u8 {
        let me = MemberId::from_digest(Digest::of(&[member]));
        let mut world = World::new(&[]);
        world.state = State::new(Config::default(), CHANNEL, me);
        world.input(Input::Sources(["a", "b", "c"].map(target).to_vec()));
        *firsts.entry(world.followed()).or_insert(0) += 1;
    }

    assert_eq!(firsts.len(), 3);
    assert!(firsts.values().all(|count| *count >= 4), "{firsts:?}");
}

/// O1
#[test]
fn failures_in_a_row_pause_longer_up_to_the_cap_and_progress_resets_them() {
    let mut world = World::leading(&["a"]);

    let mut pauses = Vec::new();
    for _ in 0..8 {
        world.end("a");
        assert!(!world.state.can_reach_orderer());
        let before = world.now;
        while world.streams.is_empty() {
            world.run_for(10);
        }
        pauses.push((world.now - before).as_millis());
        world.open_all();
    }
    assert_eq!(pauses, [100, 200, 400, 800, 1600, 2000, 2000, 2000]);

    world.bring(1);
    world.end("a");
    world.run_for(100);
    assert_eq!(world.puller().as_deref(), Some("a"));
}

/// O2, end of stream
#[test]
fn a_stream_that_ends_is_followed_by_the_next_source_at_once() {
    let mut world = World::leading(&["a", "b"]);
    let first = world.puller().unwrap();

    world.end(&first);

    let second = world.puller().expect("the other one");
    assert_ne!(first, second);
    world.run_for(30_000);
    world.open_all();
    assert_eq!(world.puller(), Some(second));
    assert_eq!(world.followed(), [first]);
}

/// O2, bad block
#[test]
fn a_false_block_is_followed_by_the_next_source_at_once() {
    let mut world = World::leading(&["a", "b"]);
    let first = world.puller().unwrap();
    let Turn::First(source) = world.bring(1) else { panic!("in its turn") };

    world.input(Input::False { source, reason: "false_body" });

    assert_ne!(world.puller(), Some(first.clone()));
    world.open_all();
    let second = world.puller().unwrap();
    world.run_for(1_000);
    world.end(&second);
    assert_eq!(world.puller().as_deref(), Some(&*first), "the only one left is asked again");
}

/// A14: withholds one block, or shows headers only
#[test]
fn a_block_that_does_not_come_costs_one_allowance() {
    let mut world = World::leading(&["a", "b", "c"]);
    let first = world.puller().unwrap();
    world.run_for(5_000);
    world.prove(1);
    let proven = world.now;

    world.run_for(3_000);

    let suspected = world.suspected();
    assert_eq!(suspected.len(), 1, "{suspected:?}");
    assert_eq!(suspected[0].1, first);
    assert!(suspected[0].0 - proven <= Duration::from_millis(530));
    assert_ne!(world.puller(), Some(first));
}

/// A14: delays each block, none by as much as the allowance
#[test]
fn delays_add_up_to_one_allowance_in_total() {
    let mut world = World::leading(&["a", "b"]);
    let first = world.puller().unwrap();
    let mut delayed = Duration::ZERO;
    for number in 1..64 {
        world.prove(number);
        world.run_for(82);
        if world.puller().as_ref() != Some(&first) {
            break;
        }
        delayed += Duration::from_millis(60);
        world.bring(number);
    }

    assert_eq!(world.suspected().len(), 1);
    assert!(delayed <= Duration::from_millis(500), "{delayed:?}");
}

/// O4
#[test]
fn waiting_that_ends_in_time_is_no_event_and_repeated_withholding_is_held_against_a_source_for_longer() {
    let mut world = World::leading(&["a", "b"]);
    world.prove(1);
    world.run_for(450);
    world.bring(1);
    assert_eq!(world.suspected(), []);

    for (number, total) in [(2, 1), (3, 1)] {
        world.prove(number);
        world.run_for(800);
        assert_eq!(world.suspected().len(), total, "nobody else could be tried");
        world.open_all();
        world.bring(number);
    }

    for (number, total) in [(4, 2), (5, 3)] {
        world.run_for(11_000);
        world.open_all();
        world.prove(number);
        world.run_for(800);
        assert_eq!(world.suspected().len(), total);
        world.open_all();
        world.bring(number);
    }
    let suspected = |world: &World| world.state.sources(world.now()).iter().any(|it| it.is_suspected);
    world.run_for(18_000);
    assert!(suspected(&world), "the second time it is twice as long");
    world.run_for(2_000);
    assert!(!suspected(&world));
}

/// O4
#[test]
fn a_header_stream_out_of_turn_is_closed_and_the_blocks_go_on() {
    let mut world = World::leading(&["a", "b"]);
    let (follower, puller) = (world.followed()[0].clone(), world.puller().unwrap());
    world.prove(1);
    world.bring(1);
    let (feed, _) = world.streams[&follower];

    let turn = world.step(|state, now, _, out| state.on_header(now, feed, BlockNumber::new(9), out));

    assert_eq!(turn, Turn::OutOfTurn);
    assert!(!world.streams.contains_key(&follower));
    assert!(matches!(world.bring(2), Turn::Next(_)));
    assert_eq!(world.puller(), Some(puller));
}

#[test]
fn a_header_stream_that_stays_behind_is_changed() {
    let mut world = World::new(&["a", "b"]);
    world.input(Input::Check);
    world.open_all();
    let first = world.followed();
    let now = world.now();
    world.here.proven.insert(1, now);
    world.input(Input::Check);

    world.run_for(2_500);

    assert_ne!(world.followed(), first);
    assert_eq!(world.suspected().len(), 1);
}

#[test]
fn a_stream_of_headers_far_ahead_rests_and_is_not_held_to_be_at_fault() {
    let mut world = World::new(&["a"]);
    world.open_all();
    let (feed, _) = world.streams["a"];

    world.input(Input::TooFar(feed));
    world.run_for(1_900);
    assert!(world.streams.is_empty());
    world.run_for(200);

    assert_eq!(world.followed(), ["a"]);
    assert_eq!(world.suspected(), []);
}

#[test]
fn a_stream_that_shows_old_headers_only_is_changed_though_it_never_rests() {
    let mut world = World::new(&["a", "b"]);
    world.open_all();
    let first = world.followed();
    let (feed, _) = world.streams[&first[0]];
    let now = world.now();
    world.here.proven.insert(1_000, now);

    for number in 1..30 {
        let (now, number) = (world.now(), BlockNumber::new(number));
        world.step(|state, _, _, out| state.on_header(now, feed, number, out));
        world.run_for(50);
    }

    assert_ne!(world.followed(), first);
}

/// O5
#[test]
fn other_sources_in_the_config_are_taken_at_once_and_known_ones_keep_their_streams() {
    let mut world = World::leading(&["a", "b"]);
    let puller = world.puller().unwrap();
    let kept = world.streams[&puller];

    world.input(Input::Sources(vec![target(&puller), target("c")]));
    assert_eq!(world.streams[&puller], kept);
    assert_eq!(world.followed(), ["c"]);

    world.input(Input::Sources(vec![target("c")]));
    assert_eq!((world.puller().as_deref(), world.streams.len()), (Some("c"), 1));
}

#[test]
fn what_comes_late_from_a_closed_stream_is_stale() {
    let mut world = World::leading(&["a", "b"]);
    let (old, _) = world.streams[&world.puller().unwrap()];
    world.input(Input::False { source: world.state.source_of(old).unwrap(), reason: "false_body" });

    let number = BlockNumber::new(1);
    let turn = world.step(|state, now, here, out| state.on_block(now, old, number, here, out));

    assert_eq!(turn, Turn::Stale);
    assert_eq!(world.state.sources(world.now()).iter().filter(|it| it.is_suspected).count(), 1);
    assert!(!world.state.is_pulled(SourceId(7)));
    let kinds: Vec<_> = world.state.sources(world.now()).iter().map(|it| it.kind).collect();
    assert!(kinds.contains(&Some(FeedKind::Blocks)));
}

#[test]
fn a_channel_that_is_left_closes_everything_for_good() {
    let mut world = World::leading(&["a", "b"]);

    world.input(Input::Stop);
    world.run_for(10_000);

    assert!(world.streams.is_empty());
}
