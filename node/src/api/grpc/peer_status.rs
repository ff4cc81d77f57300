//! A peer's view in the words of the public interface.

use crate::api::operations::duplicate;
use crate::network::SessionCounters;
use bytes::Bytes;
use ledgercast_crypto::Digest;
use ledgercast_protocol::channel::ChannelConfig;
use ledgercast_protocol::membership::MemberStatus;
use ledgercast_protocol::peer::{ChannelSnapshot, MemberSnapshot, SessionSnapshot, Snapshot};
use ledgercast_protocol::types::{BlockNumber, Lane, MemberId, OrgId};
use ledgercast_protocol::wire::proto;
use std::net::SocketAddr;
use std::time::Duration;

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn bytes(value: &[u8; 32]) -> Bytes {
    Bytes::copy_from_slice(value)
}

fn org_name(view: &Snapshot, org: OrgId) -> String {
    view.org_names.get(&org).cloned().unwrap_or_default()
}

pub(super) fn channel(
    view: &ChannelSnapshot,
    config: &ChannelConfig,
    genesis: Digest,
) -> proto::ChannelStatus {
    proto::ChannelStatus {
        id: bytes(view.channel.as_bytes()),
        name: view.name.as_str().to_owned(),
        height: view.height,
        proven_height: view.proven_height,
        first_block: 0,
        tip_hash: bytes(view.tip.header_hash.as_bytes()),
        genesis_hash: bytes(genesis.as_bytes()),
        config_number: config.number(),
        orgs: config.orgs().iter().map(|org| org.name.clone()).collect(),
        leader: view.leader.map_or_else(Bytes::new, |leader| bytes(leader.as_bytes())),
        is_leader: view.is_leader,
        neighbours: u32::try_from(view.neighbours.len()).unwrap_or(u32::MAX),
        failure: view.failure.clone().unwrap_or_default(),
        removed_at: view.removed_at.map(BlockNumber::as_u64),
    }
}

/// Everybody known, or, of one channel, those that this peer talks with about it; this peer first.
pub(super) fn members(
    view: &Snapshot,
    channel: Option<&ChannelSnapshot>,
    own_name: &str,
) -> Vec<proto::MemberStatus> {
    let own = proto::MemberStatus {
        member: bytes(view.member.as_bytes()),
        org: bytes(view.org.digest().as_bytes()),
        org_name: view.org_name.clone(),
        name: own_name.to_owned(),
        state: proto::MemberState::Alive.into(),
        incarnation: view.incarnation.as_millis(),
        is_self: true,
        alarm: view.duplicate.as_ref().map(duplicate).unwrap_or_default(),
        height: channel.map_or(0, |channel| channel.height),
        ..proto::MemberStatus::default()
    };
    let others = view.members.iter().filter_map(|other| {
        let height = match channel {
            Some(channel) => claimed_height(channel, other.member)?,
            None => 0,
        };
        Some(member(other, view, height))
    });
    std::iter::once(own).chain(others).collect()
}

fn claimed_height(channel: &ChannelSnapshot, member: MemberId) -> Option<u64> {
    let neighbour = channel.neighbours.iter().find(|neighbour| neighbour.member == member);
    neighbour.map(|neighbour| neighbour.claimed_height.as_u64())
}

fn member(other: &MemberSnapshot, view: &Snapshot, height: u64) -> proto::MemberStatus {
    let (state, reason) = match other.status {
        MemberStatus::Alive => (proto::MemberState::Alive, ""),
        MemberStatus::Evicted { reason, .. } => (proto::MemberState::Evicted, reason.name()),
        MemberStatus::Left => (proto::MemberState::Left, ""),
    };
    let standing = view.standing_of(other.member);
    proto::MemberStatus {
        member: bytes(other.member.as_bytes()),
        org: bytes(other.org.digest().as_bytes()),
        org_name: org_name(view, other.org),
        name: other.common_name.clone(),
        endpoint: other.endpoint.as_ref().map(ToString::to_string).unwrap_or_default(),
        state: state.into(),
        reason: reason.to_owned(),
        silent_ms: millis(other.silent_for),
        incarnation: other.incarnation.as_millis(),
        sequence: other.sequence.as_u64(),
        is_self: false,
        is_connected: other.is_connected,
        height,
        alarm: other.duplicate.as_ref().map(duplicate).unwrap_or_default(),
        offences: standing.map_or(0, |it| it.offences),
        quarantines: standing.map_or(0, |it| it.quarantines),
        quarantined_ms: standing.and_then(|it| it.quarantined_for).map_or(0, millis),
    }
}

/// What the transport knows of a session.
pub(super) struct Line {
    pub(super) counters: Option<SessionCounters>,
    pub(super) remote: Option<SocketAddr>,
    pub(super) ready_for: Duration,
}

pub(super) fn session(session: &SessionSnapshot, view: &Snapshot, line: Line) -> proto::PeerStatus {
    let other = session.member.and_then(|id| view.members.iter().find(|other| other.member == id));
    let traffic = |lane| {
        line.counters.map(|counters| {
            let counted = counters.lane(lane);
            proto::LaneTraffic { bytes_in: counted.bytes_in, bytes_out: counted.bytes_out }
        })
    };
    proto::PeerStatus {
        session: session.session.0,
        member: session.member.map_or_else(Bytes::new, |member| bytes(member.as_bytes())),
        org: other.map_or_else(Bytes::new, |other| bytes(other.org.digest().as_bytes())),
        org_name: other.map(|other| org_name(view, other.org)).unwrap_or_default(),
        name: other.map(|other| other.common_name.clone()).unwrap_or_default(),
        address: line.remote.map(|remote| remote.to_string()).unwrap_or_default(),
        is_dialed: session.is_dialed,
        open_ms: millis(line.ready_for),
        control: traffic(Lane::Control),
        data: traffic(Lane::Data),
        pull: traffic(Lane::Pull),
    }
}
