//! What a peer counts, in Prometheus form. Gauges of the view are set from a snapshot when somebody reads
//! them.
//!
//! Gauges that the reference system has keep their names (`gossip_*`, `ledger_*`); our own start with
//! `ledgercast_`.

use ledgercast_protocol::Event;
use ledgercast_protocol::event::{BlockTrace, EvictionReason, FeedChange, Route};
use ledgercast_protocol::membership::MemberStatus;
use ledgercast_protocol::peer::{ChannelSnapshot, Snapshot};
use ledgercast_protocol::types::{ChannelId, Lane, MemberId};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Mutex;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByReason {
    kind: &'static str,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByChannel {
    channel: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BySource {
    channel: String,
    source: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByPeer {
    channel: String,
    peer: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByLane {
    lane: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByAlarm {
    alarm: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByStage {
    channel: String,
    stage: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByChange {
    channel: String,
    change: &'static str,
}

type Latency = Family<ByStage, Histogram, fn() -> Histogram>;

/// Counters and gauges of one peer.
pub struct Metrics {
    registry: Registry,
    names: Mutex<BTreeMap<ChannelId, String>>,
    refused: Family<ByReason, Counter>,
    offences: Family<ByReason, Counter>,
    evictions: Family<ByReason, Counter>,
    joins: Family<ByReason, Counter>,
    passed_over: Family<ByChannel, Counter>,
    feed_changes: Family<ByChange, Counter>,
    committed: Family<BySource, Counter>,
    questions: Family<ByChannel, Counter>,
    duplicate_bytes: Family<ByChannel, Counter>,
    sent_bytes: Family<ByPeer, Counter>,
    dropped_frames: Family<ByLane, Counter>,
    latency: Latency,
    height: Family<ByChannel, Gauge>,
    state_height: Family<ByChannel, Gauge>,
    known: Family<ByChannel, Gauge>,
    leader: Family<ByChannel, Gauge>,
    buffer: Family<ByChannel, Gauge>,
    members_alive: Gauge,
    alarms: Family<ByAlarm, Gauge>,
}

fn stage_histogram() -> Histogram {
    // 1 ms to 16 s: below is noise, above somebody is asked already.
    Histogram::new(prometheus_client::metrics::histogram::exponential_buckets(0.001, 2.0, 15))
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Self {
            registry: Registry::default(),
            names: Mutex::default(),
            refused: Family::default(),
            offences: Family::default(),
            evictions: Family::default(),
            joins: Family::default(),
            passed_over: Family::default(),
            feed_changes: Family::default(),
            committed: Family::default(),
            questions: Family::default(),
            duplicate_bytes: Family::default(),
            sent_bytes: Family::default(),
            dropped_frames: Family::default(),
            latency: Latency::new_with_constructor(stage_histogram),
            height: Family::default(),
            state_height: Family::default(),
            known: Family::default(),
            leader: Family::default(),
            buffer: Family::default(),
            members_alive: Gauge::default(),
            alarms: Family::default(),
        };
        metrics.register();
        metrics
    }
}

impl Metrics {
    fn register(&mut self) {
        let registry = &mut self.registry;
        registry.register(
            "ledgercast_refused",
            "Messages refused without blame, by kind and reason",
            self.refused.clone(),
        );
        registry.register("ledgercast_offences", "Offences of other peers, by reason", self.offences.clone());
        registry.register("ledgercast_evictions", "Members judged gone, by reason", self.evictions.clone());
        registry.register(
            "ledgercast_member_changes",
            "Members that joined, returned or left",
            self.joins.clone(),
        );
        registry.register(
            "ledgercast_leaders_passed_over",
            "Leaders of this org that had time to push a block and did not",
            self.passed_over.clone(),
        );
        registry.register(
            "ledgercast_feed_changes",
            "Streams from orderers opened, lost, suspected or found false",
            self.feed_changes.clone(),
        );
        registry.register(
            "ledgercast_blocks_committed",
            "Durable blocks by the way they came",
            self.committed.clone(),
        );
        registry.register(
            "ledgercast_body_questions",
            "Questions for bodies that push did not bring",
            self.questions.clone(),
        );
        registry.register(
            "ledgercast_duplicate_body_bytes",
            "Bytes of bodies that came more than once",
            self.duplicate_bytes.clone(),
        );
        registry.register(
            "ledgercast_channel_sent_bytes",
            "Bytes of a channel's messages queued to a peer",
            self.sent_bytes.clone(),
        );
        registry.register(
            "ledgercast_dropped_frames",
            "Frames that a full lane or a lost session refused",
            self.dropped_frames.clone(),
        );
        registry.register(
            "ledgercast_block_stage_seconds",
            "Time that a block spent in a stage at this peer",
            self.latency.clone(),
        );
        registry.register("ledger_blockchain_height", "Number of durable blocks", self.height.clone());
        registry.register(
            "gossip_state_height",
            "Height of the best proven header",
            self.state_height.clone(),
        );
        registry.register(
            "gossip_membership_total_peers_known",
            "Live members of the channel that can be talked to",
            self.known.clone(),
        );
        registry.register(
            "gossip_leader_election_leader",
            "1 while this peer leads its org on the channel",
            self.leader.clone(),
        );
        registry.register("gossip_payload_buffer_size", "Bytes of bodies on their way", self.buffer.clone());
        registry.register(
            "ledgercast_members_alive",
            "Live members of the network in this peer's view",
            self.members_alive.clone(),
        );
        registry.register(
            "ledgercast_alarms",
            "Alarms that stand: members whose identity is in use twice, and this host's clock",
            self.alarms.clone(),
        );
    }

    /// Counts one event.
    pub(crate) fn count(&self, event: &Event) {
        match event {
            Event::Refused { kind, reason, .. } => {
                self.refused.get_or_create(&ByReason { kind, reason }).inc();
            }
            Event::Offence { offence, .. } => {
                self.offences.get_or_create(&ByReason { kind: "offence", reason: offence.reason() }).inc();
            }
            Event::MemberEvicted { reason, .. } => {
                let reason = match reason {
                    EvictionReason::Silence => "silence",
                    EvictionReason::Refused => "refused",
                };
                self.evictions.get_or_create(&ByReason { kind: "member", reason }).inc();
            }
            Event::MemberJoined { is_return, .. } => {
                let reason = if *is_return { "returned" } else { "joined" };
                self.joins.get_or_create(&ByReason { kind: "member", reason }).inc();
            }
            Event::Feed { channel, change, .. } => {
                let change = match change {
                    FeedChange::Opened(_) => "opened",
                    FeedChange::Lost { .. } => "lost",
                    FeedChange::Suspected { .. } => "suspected",
                    FeedChange::False { .. } => "false",
                };
                self.feed_changes.get_or_create(&ByChange { channel: self.name(*channel), change }).inc();
            }
            Event::LeaderPassedOver { channel, .. } => {
                self.passed_over.get_or_create(&ByChannel { channel: self.name(*channel) }).inc();
            }
            Event::MemberLeft { .. } => {
                self.joins.get_or_create(&ByReason { kind: "member", reason: "left" }).inc();
            }
            Event::ChannelJoined { channel, name, .. } => {
                if let Ok(mut names) = self.names.lock() {
                    names.insert(*channel, name.to_string());
                }
            }
            Event::BlockCommitted { header, trace } => self.count_block(header.channel(), trace),
            _ => {}
        }
    }

    fn name(&self, channel: ChannelId) -> String {
        let known = self.names.lock().ok().and_then(|names| names.get(&channel).cloned());
        known.unwrap_or_else(|| channel.to_string())
    }

    fn count_block(&self, channel: ChannelId, trace: &BlockTrace) {
        let channel = self.name(channel);
        let source = match trace.body.map(|(_, route, _)| route) {
            Some(Route::Feed) => "feed",
            Some(Route::Push) => "push",
            Some(Route::Repair) => "repair",
            Some(Route::RangeSync) => "range_sync",
            None => "unknown",
        };
        self.committed.get_or_create(&BySource { channel: channel.clone(), source }).inc();
        let by_channel = ByChannel { channel: channel.clone() };
        self.questions.get_or_create(&by_channel).inc_by(u64::from(trace.questions));
        self.duplicate_bytes.get_or_create(&by_channel).inc_by(trace.duplicate_bytes);
        let header = trace.header.map(|(_, at)| at);
        let body = trace.body.map(|(.., at)| at);
        let stages = [
            ("header_to_body", header, body),
            ("body_to_verified", body, trace.verified),
            ("verified_to_committed", trace.verified, trace.committed),
        ];
        for (stage, from, to) in stages {
            if let (Some(from), Some(to)) = (from, to) {
                let seconds = to.saturating_since(from).as_secs_f64();
                self.latency.get_or_create(&ByStage { channel: channel.clone(), stage }).observe(seconds);
            }
        }
    }

    /// Counts bytes of a channel queued to a peer.
    pub(crate) fn sent(&self, channel: ChannelId, peer: MemberId, bytes: u64) {
        let label = ByPeer { channel: self.name(channel), peer: peer.to_string() };
        self.sent_bytes.get_or_create(&label).inc_by(bytes);
    }

    /// Counts a frame that was not queued.
    pub(crate) fn dropped(&self, lane: Lane) {
        let lane = match lane {
            Lane::Control => "control",
            Lane::Data => "data",
            Lane::Pull => "pull",
        };
        self.dropped_frames.get_or_create(&ByLane { lane }).inc();
    }

    /// Sets the gauges from a view and writes everything in OpenMetrics text form.
    ///
    /// # Errors
    /// Never in practice: writing to a string does not fail.
    pub fn render(&self, view: &Snapshot) -> Result<String, fmt::Error> {
        for family in [&self.height, &self.state_height, &self.known, &self.leader, &self.buffer] {
            family.clear();
        }
        view.channels.iter().for_each(|channel| self.set_gauges(channel));
        let alive = view.members.iter().filter(|member| matches!(member.status, MemberStatus::Alive)).count();
        self.members_alive.set(to_gauge(alive as u64));
        let others = view.members.iter().filter(|member| member.duplicate.is_some()).count();
        let duplicates = others as u64 + u64::from(view.duplicate.is_some());
        let alarms = [
            ("duplicate_identity", to_gauge(duplicates)),
            ("clock_suspect", i64::from(view.is_clock_suspect)),
        ];
        for (alarm, count) in alarms {
            self.alarms.get_or_create(&ByAlarm { alarm }).set(count);
        }
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }

    fn set_gauges(&self, view: &ChannelSnapshot) {
        let label = ByChannel { channel: view.name.to_string() };
        self.height.get_or_create(&label).set(to_gauge(view.height));
        self.state_height.get_or_create(&label).set(to_gauge(view.proven_height));
        self.known.get_or_create(&label).set(to_gauge(view.neighbours.len() as u64));
        self.leader.get_or_create(&label).set(i64::from(view.is_leader));
        self.buffer.get_or_create(&label).set(to_gauge(view.payload_buffer_bytes));
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

fn to_gauge(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
