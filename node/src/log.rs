//! What the log says about events: structured, with channel, height and peer; floods are thinned out and
//! counted.

use crate::thinning;
use ledgercast_protocol::Event;
use ledgercast_protocol::event::FeedChange;
use ledgercast_protocol::offence::Offence;
use ledgercast_protocol::types::{ChannelId, Endpoint};

/// Writes one event to the log.
pub(crate) fn log(event: &Event) {
    match event {
        Event::SessionReady { session, member, is_dialed, .. } => {
            tracing::debug!(%session, peer = %member.short(), is_dialed, "session ready");
        }
        Event::SessionClosed { session, member, reason } => {
            let peer = member.map(|member| member.short());
            tracing::debug!(%session, peer, ?reason, "session closed");
        }
        Event::MemberJoined { member, endpoint, is_return, .. } => {
            let endpoint = endpoint.as_ref().map(ToString::to_string);
            tracing::info!(peer = %member.short(), endpoint, is_return, "member joined");
        }
        Event::MemberRestarted { member, incarnation } => {
            tracing::info!(peer = %member.short(), %incarnation, "member restarted");
        }
        Event::MemberEvicted { member, silent_for, reason } => {
            tracing::warn!(peer = %member.short(), ?silent_for, ?reason, "member evicted");
        }
        Event::CertificateRenewed { member, valid_until } => {
            tracing::info!(peer = %member.short(), valid_until, "certificate renewed");
        }
        Event::OwnCertificateRefused { error } => tracing::error!(
            %error,
            "others refuse this peer: put a renewed certificate of the same key into msp/signcerts"
        ),
        Event::RevocationListTaken { issuer, number, revoked } => {
            tracing::info!(issuer, %number, revoked, "revocation list in force");
        }
        Event::MemberLeft { member } => tracing::info!(peer = %member.short(), "member left"),
        Event::MemberForgotten { member } => {
            tracing::info!(peer = %member.short(), "member forgotten: no channel is shared any more");
        }
        Event::DuplicateIdentity { member, incarnation, endpoints, is_me } => {
            let [one, other] = endpoints.each_ref().map(|it| it.as_ref().map(ToString::to_string));
            tracing::error!(peer = %member.short(), %incarnation, one, other, is_me,
                "identity in use twice: a copied disk or a stolen key");
        }
        Event::DuplicateCleared { member, incarnation } => {
            tracing::info!(peer = %member.short(), %incarnation, "a newer life ends the identity alarm");
        }
        Event::IncarnationRaised { incarnation } => {
            tracing::warn!(%incarnation, "an earlier life of this peer was ahead of it");
        }
        Event::ClockSuspect { is_suspect: true, wrong, members } => {
            tracing::error!(wrong, members, "this host's clock is suspect; nobody is evicted");
        }
        Event::ClockSuspect { .. } => tracing::info!("this host's clock agrees with the others again"),
        Event::Paused { lost } => {
            tracing::warn!(
                ?lost,
                "this process was paused or overloaded; nobody's silence counts for that time"
            );
        }
        Event::Refused { kind, reason, member } => log_refusal(kind, reason, member.map(|it| it.short())),
        Event::Offence { member, offence } => log_offence(offence, &member.short()),
        Event::MemberQuarantined { member, reason, lasts, count, .. } => {
            tracing::warn!(peer = %member.short(), reason, ?lasts, count, "member quarantined");
        }
        Event::QuarantineEnded { member } => tracing::info!(peer = %member.short(), "quarantine ended"),
        Event::ChannelJoined { channel, name, height } => {
            tracing::info!(%name, %channel, height, "channel joined");
        }
        Event::ChannelLeft { channel } => tracing::info!(%channel, "channel left"),
        Event::Feed { channel, endpoint, change, .. } => feed(channel, endpoint, change),
        Event::LeaderPassedOver { channel, leader, number } => {
            tracing::warn!(%channel, %leader, block = %number, "leader passed over: no byte came by push");
        }
        Event::LeadershipChanged { channel, leader, is_me } => {
            let leader = leader.map(|member| member.short());
            tracing::info!(?channel, leader, is_me, "leader changed");
        }
        Event::BlockCommitted { header, trace } => {
            let route = trace.body.map(|(_, route, _)| route);
            let height = header.number().height();
            tracing::debug!(channel = ?header.channel(), %height, ?route, "committed");
        }
        Event::ConfigChanged { channel, number, config } => {
            tracing::info!(?channel, block = %number, config = config.number(), "config in force");
        }
        Event::ConfigRefused { channel, number, error } => {
            tracing::error!(?channel, block = %number, error, "certified config refused: it stops here");
        }
        Event::EvidenceFound { channel, number, kind, guilty } => {
            let guilty: Vec<String> = guilty.iter().map(ToString::to_string).collect();
            tracing::error!(?channel, block = %number, kind, ?guilty, "orderers signed two headers");
        }
        Event::ChannelHalted { channel, number } => {
            tracing::error!(?channel, block = %number, "two headers are certified: it stands still");
        }
        Event::HaltLifted { channel } => tracing::warn!(?channel, "it goes on by the operator's word"),
        Event::ReaderRemoved { channel, number } => {
            tracing::warn!(?channel, block = %number, "a config has removed this org: nothing follows");
        }
        Event::CommitFailed { channel, number, error } => {
            tracing::error!(?channel, block = %number, error, "commit failed; it stands still until restart");
        }
    }
}

/// A source that stays away is told of less and less often.
fn feed(channel: &ChannelId, source: &Endpoint, change: &FeedChange) {
    match change {
        FeedChange::Opened(kind) => tracing::info!(%channel, %source, ?kind, "orderer stream opened"),
        FeedChange::Lost { cause, failures } if failures.is_power_of_two() => {
            tracing::warn!(%channel, %source, cause, failures, "orderer stream lost");
        }
        FeedChange::Lost { cause, failures } => {
            tracing::debug!(%channel, %source, cause, failures, "orderer stream lost");
        }
        FeedChange::Suspected { number, lag } => {
            tracing::warn!(%channel, %source, block = %number, ?lag, "orderer lags");
        }
        FeedChange::False { reason } => {
            tracing::warn!(%channel, %source, reason, "orderer brought something false");
        }
    }
}

fn log_refusal(kind: &'static str, reason: &'static str, peer: Option<String>) {
    if let Some(left_out) = thinning::pass(kind, reason) {
        tracing::debug!(kind, reason, peer, left_out, "refused");
    }
}

/// Whoever sends offences as fast as it can must not fill the disk with our lines about it.
fn log_offence(offence: &Offence, peer: &str) {
    if let Some(left_out) = thinning::pass("offence", offence.reason()) {
        tracing::warn!(peer, %offence, left_out, "offence");
    }
}
