//! What a peer counts, in Prometheus form. Gauges of the view are set from a snapshot when somebody reads
//! them.
//!
//! Gauges that the reference system has keep their names (`gossip_*`, `ledger_*`); our own start with
//! `ledgercast_`.

use ledgercast_protocol::Event;
use ledgercast_protocol::event::{BlockTrace, FeedChange, Route};
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
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

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

/// Where a block's time goes at this peer.
const STAGES: [&str; 3] = ["header_to_body", "body_to_verified", "verified_to_committed"];

/// The ways a body comes.
const SOURCES: [&str; 5] = ["feed", "push", "repair", "range_sync", "unknown"];

/// What becomes of an orderer's stream.
const CHANGES: [&str; 4] = ["opened", "lost", "suspected", "false"];

/// What a joined channel is called in labels, and which peers it is labelled with.
struct Labels {
    name: String,
    peers: BTreeSet<MemberId>,
}

type Latency = Family<ByStage, Histogram, fn() -> Histogram>;

/// Counters and gauges of one peer.
pub struct Metrics {
    registry: Registry,
    channels: Mutex<BTreeMap<ChannelId, Labels>>,
    refused: Family<ByReason, Counter>,
    offences: Family<ByReason, Counter>,
    quarantines: Family<ByReason, Counter>,
    evictions: Family<ByReason, Counter>,
    joins: Family<ByReason, Counter>,
    passed_over: Family<ByChannel, Counter>,
    evidence: Family<ByReason, Counter>,
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
    members_quarantined: Gauge,
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
            channels: Mutex::default(),
            refused: Family::default(),
            offences: Family::default(),
            quarantines: Family::default(),
            evictions: Family::default(),
            joins: Family::default(),
            passed_over: Family::default(),
            evidence: Family::default(),
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
            members_quarantined: Gauge::default(),
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
        registry.register(
            "ledgercast_quarantines",
            "Quarantines of other peers, by their last offence",
            self.quarantines.clone(),
        );
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
            "ledgercast_evidence",
            "Proofs found that orderers signed two headers of one number, by what they prove",
            self.evidence.clone(),
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
            "ledgercast_members_quarantined",
            "Members in quarantine now",
            self.members_quarantined.clone(),
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
            Event::EvidenceFound { kind, .. } => {
                self.evidence.get_or_create(&ByReason { kind: "evidence", reason: kind }).inc();
            }
            Event::MemberQuarantined { reason, .. } => {
                self.quarantines.get_or_create(&ByReason { kind: "offence", reason }).inc();
            }
            Event::MemberEvicted { reason, .. } => {
                let reason = reason.name();
                self.evictions.get_or_create(&ByReason { kind: "member", reason }).inc();
            }
            Event::MemberJoined { is_return, .. } => {
                let reason = if *is_return { "returned" } else { "joined" };
                self.joins.get_or_create(&ByReason { kind: "member", reason }).inc();
            }
            Event::Feed { channel, change, .. } => self.count_feed(*channel, change),
            Event::LeaderPassedOver { channel, .. } => {
                if let Some(channel) = self.name(*channel) {
                    self.passed_over.get_or_create(&ByChannel { channel }).inc();
                }
            }
            Event::MemberLeft { .. } => {
                self.joins.get_or_create(&ByReason { kind: "member", reason: "left" }).inc();
            }
            Event::MemberForgotten { .. } => {
                self.joins.get_or_create(&ByReason { kind: "member", reason: "forgotten" }).inc();
            }
            Event::ChannelJoined { channel, name, .. } => {
                let labels = Labels { name: name.to_string(), peers: BTreeSet::new() };
                self.channels().insert(*channel, labels);
            }
            Event::ChannelLeft { channel } => self.forget(*channel),
            Event::BlockCommitted { header, trace } => self.count_block(header.channel(), trace),
            _ => {}
        }
    }

    /// A panic elsewhere leaves the labels whole: each change is one insertion or removal.
    fn channels(&self) -> MutexGuard<'_, BTreeMap<ChannelId, Labels>> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a channel is called in labels, if it is joined.
    fn name(&self, channel: ChannelId) -> Option<String> {
        self.channels().get(&channel).map(|labels| labels.name.clone())
    }

    fn count_feed(&self, channel: ChannelId, change: &FeedChange) {
        let Some(channel) = self.name(channel) else { return };
        let change = match change {
            FeedChange::Opened(_) => "opened",
            FeedChange::Lost { .. } => "lost",
            FeedChange::Suspected { .. } => "suspected",
            FeedChange::False { .. } => "false",
        };
        self.feed_changes.get_or_create(&ByChange { channel, change }).inc();
    }

    /// Drops every series of a channel that was left: its name is nobody's business here any more, and
    /// channels that come and go must not pile up.
    fn forget(&self, channel: ChannelId) {
        let Some(Labels { name, peers }) = self.channels().remove(&channel) else { return };
        let by_channel = ByChannel { channel: name.clone() };
        self.questions.remove(&by_channel);
        self.duplicate_bytes.remove(&by_channel);
        self.passed_over.remove(&by_channel);
        for change in CHANGES {
            self.feed_changes.remove(&ByChange { channel: name.clone(), change });
        }
        for source in SOURCES {
            self.committed.remove(&BySource { channel: name.clone(), source });
        }
        for stage in STAGES {
            self.latency.remove(&ByStage { channel: name.clone(), stage });
        }
        for peer in peers {
            self.sent_bytes.remove(&ByPeer { channel: name.clone(), peer: peer.to_string() });
        }
    }

    fn count_block(&self, channel: ChannelId, trace: &BlockTrace) {
        let Some(channel) = self.name(channel) else { return };
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
        let stages = [(header, body), (body, trace.verified), (trace.verified, trace.committed)];
        for (stage, (from, to)) in STAGES.into_iter().zip(stages) {
            if let (Some(from), Some(to)) = (from, to) {
                let seconds = to.saturating_since(from).as_secs_f64();
                self.latency.get_or_create(&ByStage { channel: channel.clone(), stage }).observe(seconds);
            }
        }
    }

    /// Counts bytes of a channel queued to a peer.
    pub(crate) fn sent(&self, channel: ChannelId, peer: MemberId, bytes: u64) {
        let mut channels = self.channels();
        let Some(Labels { name, peers }) = channels.get_mut(&channel) else { return };
        peers.insert(peer);
        let label = ByPeer { channel: name.clone(), peer: peer.to_string() };
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
        let quarantined = view.standings.iter().filter(|it| it.quarantined_for.is_some()).count();
        self.members_quarantined.set(to_gauge(quarantined as u64));
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

#[cfg(test)]
mod tests {
    use super::*;
    use ledgercast_crypto::Digest;
    use ledgercast_protocol::event::Source;
    use ledgercast_protocol::store::suite::Chain;
    use ledgercast_protocol::time::Monotonic;
    use ledgercast_protocol::types::SourceId;

    fn text(metrics: &Metrics) -> String {
        let mut text = String::new();
        encode(&mut text, &metrics.registry).expect("a string takes everything");
        text
    }

    #[test]
    fn a_channel_that_was_left_leaves_no_series_behind() {
        let mut chain = Chain::new(7);
        let (metrics, channel) = (Metrics::default(), chain.channel());
        let peer = MemberId::from_digest(Digest::of(b"peer"));
        let (at, source) = (Monotonic::default(), Source::Orderer(SourceId(0)));
        let trace = BlockTrace {
            header: Some((source, at)),
            body: Some((source, Route::Feed, at)),
            verified: Some(at),
            committed: Some(at),
            ..BlockTrace::default()
        };
        let header = chain.next(&[b"x"]).header().clone();
        let joined = Event::ChannelJoined { channel, name: chain.name().clone(), height: 1 };
        let empty = text(&metrics);

        metrics.count(&joined);
        metrics.count(&Event::BlockCommitted { header: header.clone(), trace: trace.clone() });
        metrics.sent(channel, peer, 100);
        let series = text(&metrics).matches("channel-7").count();
        metrics.count(&Event::ChannelLeft { channel });
        metrics.count(&Event::BlockCommitted { header, trace });
        metrics.sent(channel, peer, 100);

        assert!(series > 5, "only {series} series name the channel while it is joined");
        assert_eq!(text(&metrics), empty);
    }
}
