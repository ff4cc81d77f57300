//! What operators see of a peer: a copy of its view, made on request.

use super::Peer;
use crate::channel::Access;
use crate::feed::SourceView;
use crate::membership::{Endpoints, MemberStatus};
use crate::standing::StandingView;
use crate::time::Now;
use crate::types::{
    BlockNumber, ChannelId, ChannelName, Endpoint, Incarnation, MemberId, Neighbour, OrgId, Sequence,
    SessionId,
};
use crate::wire::Tip;
use std::collections::BTreeMap;
use std::time::Duration;

/// A peer's view at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Myself.
    pub member: MemberId,
    /// My org.
    pub org: OrgId,
    /// My org's name.
    pub org_name: String,
    /// The life of this process.
    pub incarnation: Incarnation,
    /// Whether most members of most orgs look wrong by time, so that my own clock is suspect.
    pub is_clock_suspect: bool,
    /// If my own identity is in use twice: both endpoints.
    pub duplicate: Option<Endpoints>,
    /// Names of all orgs that I know.
    pub org_names: BTreeMap<OrgId, String>,
    /// Other members, alive, evicted or gone.
    pub members: Vec<MemberSnapshot>,
    /// Members with offences or quarantines that are not forgotten; nothing is held against others.
    pub standings: Vec<StandingView>,
    /// Open sessions.
    pub sessions: Vec<SessionSnapshot>,
    /// Joined channels.
    pub channels: Vec<ChannelSnapshot>,
}

/// Another member.
#[derive(Clone, Debug)]
pub struct MemberSnapshot {
    /// Who.
    pub member: MemberId,
    /// Of which org.
    pub org: OrgId,
    /// Common name of its certificate.
    pub common_name: String,
    /// In which life.
    pub incarnation: Incarnation,
    /// Of its newest statement.
    pub sequence: Sequence,
    /// Where to reach it from here.
    pub endpoint: Option<Endpoint>,
    /// Alive, evicted with its reason, or left.
    pub status: MemberStatus,
    /// My awake time since its last news.
    pub silent_for: Duration,
    /// Whether a session with it is open.
    pub is_connected: bool,
    /// If its identity is in use twice: both endpoints.
    pub duplicate: Option<Endpoints>,
}

/// An open session.
#[derive(Clone, Debug)]
pub struct SessionSnapshot {
    /// Its number.
    pub session: SessionId,
    /// With whom; `None` until its certificate was accepted.
    pub member: Option<MemberId>,
    /// Whether we dialed.
    pub is_dialed: bool,
    /// Channels that both sides have named.
    pub channels: Vec<ChannelId>,
}

/// A joined channel.
#[derive(Clone, Debug)]
pub struct ChannelSnapshot {
    /// Its id.
    pub channel: ChannelId,
    /// Its alias.
    pub name: ChannelName,
    /// The newest durable block.
    pub tip: Tip,
    /// Number of durable blocks.
    pub height: u64,
    /// Height of the best proven header.
    pub proven_height: u64,
    /// Who leads my org in my view.
    pub leader: Option<MemberId>,
    /// Whether I lead.
    pub is_leader: bool,
    /// Whether the orderer can be reached; known to leaders only.
    pub can_reach_orderer: bool,
    /// The orderers that it may stream from, and what it streams from each.
    pub sources: Vec<SourceView>,
    /// Why nothing is stored any more; `None` while all is well.
    pub failure: Option<String>,
    /// Bytes of bodies that are on their way.
    pub payload_buffer_bytes: u64,
    /// Number of the config in force.
    pub config_number: u64,
    /// The block that brought it.
    pub config_block: BlockNumber,
    /// The last block that my org may have, if a config has removed it.
    pub removed_at: Option<BlockNumber>,
    /// Whether no config so far names my org as reader.
    pub is_newcomer: bool,
    /// Whom I can talk to about it.
    pub neighbours: Vec<Neighbour>,
}

impl Snapshot {
    /// What is held against a member; `None`: nothing.
    pub fn standing_of(&self, member: MemberId) -> Option<&StandingView> {
        self.standings.iter().find(|view| view.member == member)
    }
}

impl Peer {
    /// Copies the current view.
    pub fn snapshot(&self, now: Now) -> Snapshot {
        Snapshot {
            member: self.own.identity.member,
            org: self.own.identity.org,
            org_name: self.own.identity.org_name.clone(),
            incarnation: self.incarnation(),
            is_clock_suspect: self.membership.is_clock_suspect(),
            duplicate: self.membership.duplicate(self.member()).cloned(),
            org_names: self.roster.orgs().map(|(id, org)| (*id, org.name.clone())).collect(),
            members: self.member_snapshots(),
            standings: self.standings.views(self.membership.awake_at(now.monotonic)).collect(),
            sessions: self.session_snapshots(),
            channels: self.channel_snapshots(now),
        }
    }

    fn member_snapshots(&self) -> Vec<MemberSnapshot> {
        let common_name = |member| {
            let identity = self.identities.identity(member);
            identity.map_or_else(String::new, |it| it.certificate.common_name().to_owned())
        };
        self.membership
            .members()
            .map(|view| MemberSnapshot {
                member: view.member,
                org: view.org,
                common_name: common_name(view.member),
                incarnation: view.incarnation,
                sequence: view.sequence,
                endpoint: view.endpoint,
                status: view.status,
                silent_for: view.silent_for,
                is_connected: self.ready.contains_key(&view.member),
                duplicate: self.membership.duplicate(view.member).cloned(),
            })
            .collect()
    }

    fn session_snapshots(&self) -> Vec<SessionSnapshot> {
        self.sessions
            .all()
            .map(|(session, entry)| SessionSnapshot {
                session,
                member: entry.identity().map(|identity| identity.member),
                is_dialed: entry.dialed.is_some(),
                channels: entry
                    .named
                    .iter()
                    .copied()
                    .filter(|channel| entry.told.as_ref().is_some_and(|told| told.contains(channel)))
                    .collect(),
            })
            .collect()
    }

    fn channel_snapshots(&self, now: Now) -> Vec<ChannelSnapshot> {
        self.channels
            .iter()
            .map(|(channel, joined)| ChannelSnapshot {
                channel: *channel,
                name: joined.name.clone(),
                tip: joined.flow.tip(),
                height: joined.flow.height().as_u64(),
                proven_height: joined.flow.proven_height().as_u64(),
                leader: joined.leadership.leader(now),
                is_leader: joined.leadership.is_leader(),
                can_reach_orderer: joined.flow.can_reach_orderer(),
                sources: joined.flow.sources(now.monotonic),
                failure: joined.flow.failure().map(str::to_owned),
                payload_buffer_bytes: joined.flow.payload_buffer_bytes(),
                config_number: joined.config().number(),
                config_block: joined.flow.configs().changed_at(),
                removed_at: self.removed_at(*channel),
                is_newcomer: self.own_access(*channel) == Access::Nothing,
                neighbours: joined.neighbours.clone(),
            })
            .collect()
    }
}
