//! `peer.toml`: one struct a section, its defaults those of the protocol's modules.

use super::ConfigFile;
use super::HumanDuration;
use super::section::section;
use super::sections::{ApiSection, LogSection, OperationsSection, StoreSection, VerificationSection};
use crate::feed::FeedConfig;
use crate::network::Limits;
use ledgercast_crypto::Digest;
use ledgercast_protocol::peer::{PeerConfig, channel};
use ledgercast_protocol::types::{Endpoint, EndpointError};
use ledgercast_protocol::{
    announce, dissemination, leadership, membership, range_sync, repair, session, state_info,
};
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::PathBuf;

/// The whole file.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct PeerFile {
    /// `[peer]`.
    pub peer: PeerSection,
    /// `[network]`.
    #[serde(default)]
    pub network: NetworkSection,
    /// `[session]`.
    #[serde(default)]
    pub session: SessionSection,
    /// `[membership]`.
    #[serde(default)]
    pub membership: MembershipSection,
    /// `[state_info]`.
    #[serde(default)]
    pub state_info: StateInfoSection,
    /// `[leadership]`.
    #[serde(default)]
    pub leadership: LeadershipSection,
    /// `[blocks]`.
    #[serde(default)]
    pub blocks: BlocksSection,
    /// `[announce]`.
    #[serde(default)]
    pub announce: AnnounceSection,
    /// `[dissemination]`.
    #[serde(default)]
    pub dissemination: DisseminationSection,
    /// `[repair]`.
    #[serde(default)]
    pub repair: RepairSection,
    /// `[range_sync]`.
    #[serde(default)]
    pub range_sync: RangeSyncSection,
    /// `[feed]`.
    #[serde(default)]
    pub feed: FeedSection,
    /// `[verification]`.
    #[serde(default)]
    pub verification: VerificationSection,
    /// `[api]`.
    #[serde(default)]
    pub api: ApiSection,
    /// `[operations]`.
    #[serde(default)]
    pub operations: OperationsSection,
    /// `[store]`.
    #[serde(default)]
    pub store: StoreSection,
    /// `[log]`.
    #[serde(default)]
    pub log: LogSection,
}

impl ConfigFile for PeerFile {
    const SECTIONS: &'static [&'static str] = &[
        "peer",
        "network",
        "session",
        "membership",
        "state_info",
        "leadership",
        "blocks",
        "announce",
        "dissemination",
        "repair",
        "range_sync",
        "feed",
        "verification",
        "api",
        "operations",
        "store",
        "log",
    ];
}

/// `[peer]`.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct PeerSection {
    /// Names the network.
    #[serde(default = "network_id")]
    pub network_id: String,
    /// Folder of the identity.
    #[serde(default = "msp")]
    pub msp: PathBuf,
    /// Where other peers are accepted.
    #[serde(default = "listen")]
    pub listen: Vec<SocketAddr>,
    /// Where my org's peers reach me.
    pub internal_endpoint: String,
    /// Where other orgs' peers reach me.
    #[serde(default)]
    pub external_endpoint: Option<String>,
    /// Peers of my org to contact first.
    #[serde(default)]
    pub bootstrap: Vec<String>,
}

fn network_id() -> String {
    "ledgercast".to_owned()
}

fn msp() -> PathBuf {
    "msp".into()
}

fn listen() -> Vec<SocketAddr> {
    vec![SocketAddr::from(([0, 0, 0, 0], 7051))]
}

section! {
    /// `[network]`.
    NetworkSection => Limits {
        times { stall_timeout, handshake_timeout, dial_timeout }
        counts {
            sessions_max: usize,
            sessions_inbound_max: usize,
            sessions_pending_max: usize,
            control_queue_bytes_max: usize,
            data_queue_bytes_max: usize,
            pull_queue_bytes_max: usize,
            inbound_queue_bytes_max: usize,
            receive_window_bytes_max: usize,
        }
    }
}

section! {
    /// `[session]`.
    SessionSection => session::Config {
        times { hello_timeout, dial_backoff_min, dial_backoff_max }
        counts {
            held_frames_max: usize,
            dials_in_flight_max: usize,
            sessions_wanted_max: usize,
            certificates_max: usize,
            waiting_statements_max: usize,
            pending_verifications_max: usize,
        }
    }
}

section! {
    /// `[membership]`.
    MembershipSection => membership::Config {
        times {
            alive_interval,
            expiry,
            question_after,
            question_timeout,
            refused_question_timeout,
            awake_tick,
            awake_lateness_max,
            clock_skew_max,
            marks_interval,
            evicted_retry_interval,
            forget_after,
        }
        counts {
            question_witnesses: usize,
            push_partners_max: usize,
            news_partners_max: usize,
            digest_partners: usize,
            members_max: usize,
            answer_budget_per_second: u32,
            relayed_questions_max: usize,
        }
    }
}

section! {
    /// `[state_info]`.
    StateInfoSection => state_info::Config {
        times { interval }
        counts { members_max: usize, answer_budget_per_second: u32 }
    }
}

section! {
    /// `[feed]`.
    FeedSection => FeedConfig {
        times { connect_timeout, backoff_min, backoff_max, keepalive_interval }
        counts {}
    }
}

section! {
    /// `[blocks]`.
    BlocksSection => channel::Settings {
        times {}
        counts {
            window_blocks: u64,
            arena_bytes_max: u64,
            stash_bytes_max: usize,
            stash_bytes_per_member: usize,
            proving_per_source: usize,
            proving_copies_max: usize,
            commits_in_flight_max: usize,
            feed_blocks_max: u64,
            recent_bytes_max: usize,
            recent_headers_max: usize,
            header_reads_per_member: usize,
            reads_in_flight_max: usize,
            read_waiters_max: usize,
            answer_bytes_per_second: u64,
            answer_headers_max: u32,
            answer_headers_bytes_max: usize,
            questions_per_member: usize,
            traces_max: usize,
        }
    }
}

section! {
    /// `[announce]`.
    AnnounceSection => announce::Config {
        times { question_timeout }
        counts {
            partners: usize,
            claims_per_member_max: usize,
            hashes_per_number_max: usize,
            announcers_max: usize,
        }
    }
}

section! {
    /// `[dissemination]`.
    DisseminationSection => dissemination::Config {
        times {}
        counts { is_enabled: bool, children_max: usize }
    }
}

section! {
    /// `[repair]`.
    RepairSection => repair::Config {
        times { frame_timeout, pause_min, pause_max }
        counts { bytes_per_second_min: u64, bodies_in_flight_max: usize, questions_per_member: usize }
    }
}

section! {
    /// `[range_sync]`.
    RangeSyncSection => range_sync::Config {
        times { patience, question_timeout, shunned_max }
        counts { segment_headers: u32, live_blocks: u64 }
    }
}

/// How leaders are found.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum LeadershipMode {
    /// By rank.
    #[default]
    Elected,
    /// By the key `leads`.
    Static,
}

/// `[leadership]`.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct LeadershipSection {
    /// How leaders are found.
    pub mode: LeadershipMode,
    /// With static leaders: whether this peer leads.
    pub leads: Option<bool>,
    /// How many lead at a time.
    pub leaders_per_org: usize,
    /// How long a claim counts.
    pub claim_for: HumanDuration,
    /// Time between two renewals.
    pub renew_every: HumanDuration,
    /// How long a starting peer listens first.
    pub grace: HumanDuration,
    /// How much later the next rank claims.
    pub patience: HumanDuration,
    /// How long a leader tries to reach an orderer.
    pub orderer_patience: HumanDuration,
    /// How long who yielded does not claim.
    pub yield_for: HumanDuration,
}

impl Default for LeadershipSection {
    fn default() -> Self {
        let config = leadership::Config::default();
        Self {
            mode: LeadershipMode::Elected,
            leads: None,
            leaders_per_org: config.leaders_per_org,
            claim_for: config.claim_for.into(),
            renew_every: config.renew_every.into(),
            grace: config.grace.into(),
            patience: config.patience.into(),
            orderer_patience: config.orderer_patience.into(),
            yield_for: config.yield_for.into(),
        }
    }
}

impl LeadershipSection {
    /// The module's configuration.
    ///
    /// # Errors
    /// The settings contradict each other.
    pub fn to_config(&self) -> Result<leadership::Config, String> {
        let mode = match (self.mode, self.leads) {
            (LeadershipMode::Elected, None) => leadership::Mode::Elected,
            (LeadershipMode::Static, Some(leads)) => leadership::Mode::Static { leads },
            (LeadershipMode::Elected, Some(_)) => {
                return Err("`leads` is for mode = \"static\"; remove it, or set that mode".to_owned());
            }
            (LeadershipMode::Static, None) => {
                return Err("mode = \"static\" needs `leads = true` or `leads = false`".to_owned());
            }
        };
        if self.renew_every >= self.claim_for {
            return Err("renew_every must be shorter than claim_for, or every claim lapses".to_owned());
        }
        Ok(leadership::Config {
            mode,
            leaders_per_org: self.leaders_per_org,
            claim_for: self.claim_for.get(),
            renew_every: self.renew_every.get(),
            grace: self.grace.get(),
            patience: self.patience.get(),
            orderer_patience: self.orderer_patience.get(),
            yield_for: self.yield_for.get(),
            ..leadership::Config::default()
        })
    }
}

/// A value that parses and cannot work, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrongValue {
    /// The section.
    pub section: &'static str,
    /// The key.
    pub key: &'static str,
    /// What is wrong, and the cure.
    pub error: String,
}

impl PeerFile {
    /// The protocol's configuration.
    ///
    /// # Errors
    /// An endpoint is none, or settings contradict each other.
    pub fn protocol_config(&self) -> Result<PeerConfig, WrongValue> {
        let peer = &self.peer;
        let bootstrap = peer.bootstrap.iter().map(|text| endpoint("bootstrap", text));
        let leadership = self.leadership.to_config();
        Ok(PeerConfig {
            network: *Digest::of(peer.network_id.as_bytes()).as_bytes(),
            internal_endpoint: endpoint("internal_endpoint", &peer.internal_endpoint)?,
            external_endpoint: peer
                .external_endpoint
                .as_deref()
                .map(|text| endpoint("external_endpoint", text))
                .transpose()?,
            bootstrap: bootstrap.collect::<Result<_, _>>()?,
            session: self.session.to_config(),
            membership: self.membership.to_config(),
            state_info: self.state_info.to_config(),
            leadership: leadership.map_err(|error| WrongValue {
                section: "leadership",
                key: "mode",
                error,
            })?,
            channel: self.channel_settings(),
        })
    }

    /// The settings of every channel's block flow, from their five sections.
    pub fn channel_settings(&self) -> channel::Settings {
        channel::Settings {
            announce: self.announce.to_config(),
            dissemination: self.dissemination.to_config(),
            repair: self.repair.to_config(),
            range_sync: self.range_sync.to_config(),
            ..self.blocks.to_config()
        }
    }
}

fn endpoint(key: &'static str, text: &str) -> Result<Endpoint, WrongValue> {
    text.parse().map_err(|error: EndpointError| WrongValue { section: "peer", key, error: error.to_string() })
}
