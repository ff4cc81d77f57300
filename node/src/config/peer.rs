//! `peer.toml`: one struct a section, its defaults those of the protocol's modules.

use super::check::{self, WrongValue};
use super::section::section;
use super::sections::{ApiSection, LogSection, OperationsSection, StoreSection, VerificationSection};
use super::{ConfigFile, HumanDuration};
use crate::core::CoreLimits;
use crate::feed::FeedConfig;
use crate::network::Limits;
use ledgercast_crypto::Digest;
use ledgercast_protocol::peer::{PeerConfig, channel};
use ledgercast_protocol::types::{Endpoint, EndpointError};
use ledgercast_protocol::{
    announce, dissemination, leadership, membership, range_sync, repair, session, standing, state_info,
};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

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
    /// `[standing]`.
    #[serde(default)]
    pub standing: StandingSection,
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
        "standing",
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

    fn check(&self) -> Result<(), WrongValue> {
        let limits = self.network.to_config();
        limits.check().map_err(|error| WrongValue::new("network", error.key(), error))?;
        check::timeout("peer", "msp_check_interval", self.peer.msp_check_interval.get())?;
        self.verification.check()?;
        self.api.check()?;
        self.operations.check()?;
        self.blocks.check()?;
        self.feed.check()?;
        self.standing.check()?;
        self.store.check()
    }
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
    /// How often that folder is looked at for a renewed certificate and revocation lists.
    #[serde(default = "msp_check_interval")]
    pub msp_check_interval: HumanDuration,
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

fn msp_check_interval() -> HumanDuration {
    Duration::from_secs(10).into()
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
            dials_waiting_max: usize,
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
        times {
            hello_timeout, dial_backoff_min, dial_backoff_max, dial_patience, certificate_check_interval,
            excess_max
        }
        counts {
            held_frames_max: usize,
            dials_in_flight_max: usize,
            sessions_wanted_max: usize,
            sessions_inbound_per_org: usize,
            certificates_max: usize,
            certificates_per_org: usize,
            waiting_statements_max: usize,
            waiting_statements_per_session: usize,
            pending_verifications_max: usize,
            pending_verifications_per_session: usize,
            revocation_bytes_max: usize,
            revocation_kib_per_second: u32,
            statements_per_second: u32,
            certificates_per_second: u32,
            messages_per_second: u32,
            rate_burst_seconds: u32,
        }
    }
}

section! {
    /// `[standing]`.
    StandingSection => standing::Config {
        times { forgive_after, quarantine_min, quarantine_max, forget_after }
        counts {
            offences_max: u32,
            members_max: usize,
            members_per_org_max: usize,
            org_sessions_min: usize,
        }
    }
}

impl StandingSection {
    /// Without a place nobody is remembered.
    fn check(&self) -> Result<(), WrongValue> {
        let places = [
            ("members_max", self.members_max),
            ("members_per_org_max", self.members_per_org_max),
            ("org_sessions_min", self.org_sessions_min),
        ];
        check::places("standing", &places)?;
        match self.quarantine_max < self.quarantine_min {
            true => {
                let cure = "is shorter than quarantine_min; set at least that";
                Err(WrongValue::new("standing", "quarantine_max", cure))
            }
            false => Ok(()),
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
            tick_links: u32,
            news_partners_max: usize,
            digest_partners: usize,
            members_max: usize,
            members_per_org_max: usize,
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
    /// `[feed]`, of peers and of followers.
    FeedSection => FeedConfig {
        times {
            connect_timeout,
            keepalive_interval,
            backoff_min,
            backoff_max,
            lag_allowance,
            lag_tolerance,
            suspicion_min,
            suspicion_max,
        }
        counts {
            headers_in_flight_max: usize,
            lag_blocks: usize,
            address_overrides: BTreeMap<String, String>,
        }
    }
}

impl FeedSection {
    pub(super) fn check(&self) -> Result<(), WrongValue> {
        check::places("feed", &[("headers_in_flight_max", self.headers_in_flight_max)])?;
        self.to_config().check().map_err(|error| WrongValue::new("feed", "address_overrides", error))
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
            deferred_headers_max: usize,
            commits_in_flight_max: usize,
            refused_jobs_max: usize,
            feed_blocks_max: u64,
            recent_bytes_max: usize,
            recent_bodies_max: usize,
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

impl BlocksSection {
    /// Without a place for one of these no block would ever come.
    pub(super) fn check(&self) -> Result<(), WrongValue> {
        check::places(
            "blocks",
            &[
                ("proving_per_source", self.proving_per_source),
                ("proving_copies_max", self.proving_copies_max),
                ("deferred_headers_max", self.deferred_headers_max),
                ("commits_in_flight_max", self.commits_in_flight_max),
            ],
        )
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
        times { frame_timeout, burst_wait_max, pause_min, pause_max }
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

/// Whether this peer leads its org.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum LeaderChoice {
    /// By rank among the org's peers.
    #[default]
    Auto,
    /// It always does, whoever else may.
    Always,
    /// It never does.
    Never,
}

/// `[leadership]`.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct LeadershipSection {
    /// Whether this peer leads.
    pub leader: LeaderChoice,
    /// How many lead at a time.
    pub leaders_per_org: Option<usize>,
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
    /// How long a leader has to push a block whose header is proven.
    pub withhold_timeout: HumanDuration,
    /// How many blocks in a row, if others have them.
    pub withheld_in_a_row: u32,
    /// How long a leader is passed over at most.
    pub pass_over_for: HumanDuration,
    /// How many members are passed over in an epoch.
    pub passed_over_max: usize,
}

impl Default for LeadershipSection {
    fn default() -> Self {
        let config = leadership::Config::default();
        Self {
            leader: LeaderChoice::Auto,
            leaders_per_org: None,
            claim_for: config.claim_for.into(),
            renew_every: config.renew_every.into(),
            grace: config.grace.into(),
            patience: config.patience.into(),
            orderer_patience: config.orderer_patience.into(),
            yield_for: config.yield_for.into(),
            withhold_timeout: channel::Settings::default().withhold_timeout.into(),
            withheld_in_a_row: config.withheld_in_a_row,
            pass_over_for: config.pass_over_for.into(),
            passed_over_max: config.passed_over_max,
        }
    }
}

impl LeadershipSection {
    /// The module's configuration.
    ///
    /// # Errors
    /// The settings contradict each other: the key that is wrong, and the cure.
    pub fn to_config(&self) -> Result<leadership::Config, (&'static str, String)> {
        let mode = match self.leader {
            LeaderChoice::Auto => leadership::Mode::Elected,
            LeaderChoice::Always => leadership::Mode::Static { leads: true },
            LeaderChoice::Never => leadership::Mode::Static { leads: false },
        };
        let default = leadership::Config::default();
        if self.leader != LeaderChoice::Auto && self.leaders_per_org.is_some() {
            let cure = "a number of leaders is for leader = \"auto\"; remove it, or set that".to_owned();
            return Err(("leaders_per_org", cure));
        }
        if self.leaders_per_org == Some(0) {
            let cure = "an org that nobody leads gets no blocks: at least 1; a peer that should not lead \
                        has leader = \"never\"";
            return Err(("leaders_per_org", cure.to_owned()));
        }
        if self.renew_every >= self.claim_for {
            let cure = "must be shorter than claim_for, or every claim lapses".to_owned();
            return Err(("renew_every", cure));
        }
        Ok(leadership::Config {
            mode,
            leaders_per_org: self.leaders_per_org.unwrap_or(default.leaders_per_org),
            claim_for: self.claim_for.get(),
            renew_every: self.renew_every.get(),
            grace: self.grace.get(),
            patience: self.patience.get(),
            orderer_patience: self.orderer_patience.get(),
            yield_for: self.yield_for.get(),
            withheld_in_a_row: self.withheld_in_a_row,
            pass_over_for: self.pass_over_for.get(),
            passed_over_max: self.passed_over_max,
            ..default
        })
    }
}

impl PeerFile {
    /// What may wait for the peer's core, and for its listeners.
    pub fn core_limits(&self) -> CoreLimits {
        CoreLimits {
            requests_waiting_max: self.api.requests_waiting_max,
            events_max: self.operations.event_backlog_max,
        }
    }

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
            standing: self.standing.to_config(),
            membership: self.membership.to_config(),
            state_info: self.state_info.to_config(),
            leadership: leadership.map_err(|(key, error)| WrongValue {
                section: "leadership",
                key,
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
            feed: self.feed.to_config().protocol(),
            withhold_timeout: self.leadership.withhold_timeout.get(),
            ..self.blocks.to_config()
        }
    }
}

fn endpoint(key: &'static str, text: &str) -> Result<Endpoint, WrongValue> {
    text.parse().map_err(|error: EndpointError| WrongValue { section: "peer", key, error: error.to_string() })
}
