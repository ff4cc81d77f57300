//! The peer's view and its events as JSON: ids as hex, times in milliseconds, names beside ids where known.

use ledgercast_protocol::Event;
use ledgercast_protocol::event::{BlockTrace, FeedChange, Route, Source};
use ledgercast_protocol::feed::{FeedKind, SourceView};
use ledgercast_protocol::membership::MemberStatus;
use ledgercast_protocol::peer::{ChannelSnapshot, MemberSnapshot, Snapshot};
use ledgercast_protocol::time::Monotonic;
use ledgercast_protocol::types::BlockNumber;
use serde_json::{Value, json};

pub(super) fn member(view: &MemberSnapshot, all: &Snapshot) -> Value {
    let (state, reason) = status(&view.status);
    let standing = all.standing_of(view.member);
    json!({
        "member": view.member.to_string(),
        "name": view.common_name,
        "org": all.org_names.get(&view.org),
        "org_id": view.org.to_string(),
        "endpoint": view.endpoint.as_ref().map(ToString::to_string),
        "state": state,
        "reason": reason,
        "incarnation": view.incarnation.as_millis(),
        "silent_ms": millis(view.silent_for),
        "is_connected": view.is_connected,
        "alarm": view.duplicate.as_ref().map(super::health::duplicate),
        "offences": standing.map_or(0, |it| it.offences),
        "quarantines": standing.map_or(0, |it| it.quarantines),
        "quarantined_ms": standing.and_then(|it| it.quarantined_for).map(millis),
    })
}

pub(super) fn channel(view: &ChannelSnapshot) -> Value {
    json!({
        "channel": view.channel.to_string(),
        "name": view.name.as_str(),
        "height": view.height,
        "proven_height": view.proven_height,
        "tip_hash": view.tip.header_hash.to_string(),
        "leader": view.leader.map(|leader| leader.to_string()),
        "is_leader": view.is_leader,
        "can_reach_orderer": view.can_reach_orderer,
        "sources": view.sources.iter().map(source_view).collect::<Vec<_>>(),
        "failure": view.failure,
        "config_number": view.config_number,
        "config_block": view.config_block.as_u64(),
        "removed_at": view.removed_at.map(BlockNumber::as_u64),
        "is_newcomer": view.is_newcomer,
        "payload_buffer_bytes": view.payload_buffer_bytes,
        "neighbours": view.neighbours.iter().map(|it| json!({
            "member": it.member.to_string(),
            "claimed_height": it.claimed_height.as_u64(),
        })).collect::<Vec<_>>(),
    })
}

pub(super) fn source_view(view: &SourceView) -> Value {
    json!({
        "source": view.source.to_string(),
        "endpoint": view.target.endpoint.as_str(),
        "org": view.target.org,
        "stream": view.kind.map(kind),
        "is_open": view.is_open,
        "is_suspected": view.is_suspected,
    })
}

fn kind(kind: FeedKind) -> &'static str {
    match kind {
        FeedKind::Blocks => "blocks",
        FeedKind::Headers => "headers",
    }
}

pub(super) fn status(status: &MemberStatus) -> (&'static str, Option<&'static str>) {
    match status {
        MemberStatus::Alive => ("alive", None),
        MemberStatus::Evicted { reason, .. } => ("evicted", Some(reason.name())),
        MemberStatus::Left => ("left", None),
    }
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn at(monotonic: Monotonic) -> u64 {
    millis(monotonic.since_start())
}

/// An event as a kind and its fields.
pub(super) fn event(event: &Event) -> (&'static str, Value) {
    match event {
        Event::SessionReady { session, member, org, is_dialed } => (
            "session_ready",
            json!({
                "session": session.0,
                "member": member.to_string(),
                "org_id": org.to_string(),
                "is_dialed": is_dialed,
            }),
        ),
        Event::SessionClosed { session, member, reason } => (
            "session_closed",
            json!({
                "session": session.0,
                "member": member.map(|it| it.to_string()),
                "reason": reason.as_ref().map(|it| format!("{it:?}")),
            }),
        ),
        Event::MemberJoined { member, org, incarnation, endpoint, is_return } => (
            "member_joined",
            json!({
                "member": member.to_string(),
                "org_id": org.to_string(),
                "incarnation": incarnation.as_millis(),
                "endpoint": endpoint.as_ref().map(ToString::to_string),
                "is_return": is_return,
            }),
        ),
        Event::MemberRestarted { member, incarnation } => (
            "member_restarted",
            json!({ "member": member.to_string(), "incarnation": incarnation.as_millis() }),
        ),
        Event::MemberEvicted { member, silent_for, reason } => (
            "member_evicted",
            json!({
                "member": member.to_string(),
                "silent_ms": millis(*silent_for),
                "reason": reason.name(),
            }),
        ),
        Event::CertificateRenewed { member, valid_until } => {
            ("certificate_renewed", json!({ "member": member.to_string(), "valid_until": valid_until }))
        }
        Event::OwnCertificateRefused { error } => {
            ("own_certificate_refused", json!({ "reason": error.to_string() }))
        }
        Event::RevocationListTaken { issuer, number, revoked } => (
            "revocation_list_taken",
            json!({ "issuer": issuer, "number": number.to_string(), "revoked": revoked }),
        ),
        Event::MemberLeft { member } => ("member_left", json!({ "member": member.to_string() })),
        Event::MemberForgotten { member } => ("member_forgotten", json!({ "member": member.to_string() })),
        Event::DuplicateIdentity { member, incarnation, endpoints, is_me } => (
            "duplicate_identity",
            json!({
                "member": member.to_string(),
                "incarnation": incarnation.as_millis(),
                "endpoints": endpoints.each_ref().map(|it| it.as_ref().map(ToString::to_string)),
                "is_me": is_me,
            }),
        ),
        Event::DuplicateCleared { member, incarnation } => (
            "duplicate_cleared",
            json!({ "member": member.to_string(), "incarnation": incarnation.as_millis() }),
        ),
        Event::IncarnationRaised { incarnation } => {
            ("incarnation_raised", json!({ "incarnation": incarnation.as_millis() }))
        }
        Event::ClockSuspect { is_suspect, wrong, members } => {
            ("clock_suspect", json!({ "is_suspect": is_suspect, "wrong": wrong, "members": members }))
        }
        Event::Paused { lost } => ("paused", json!({ "lost_ms": millis(*lost) })),
        Event::Refused { kind, reason, member } => {
            ("refused", json!({ "kind": kind, "reason": reason, "member": member.map(|it| it.to_string()) }))
        }
        Event::Offence { member, offence } => (
            "offence",
            json!({
                "member": member.to_string(),
                "reason": offence.reason(),
                "detail": offence.to_string(),
            }),
        ),
        Event::MemberQuarantined { member, org, reason, lasts, count } => (
            "member_quarantined",
            json!({
                "member": member.to_string(),
                "org_id": org.to_string(),
                "reason": reason,
                "lasts_ms": millis(*lasts),
                "count": count,
            }),
        ),
        Event::QuarantineEnded { member } => ("quarantine_ended", json!({ "member": member.to_string() })),
        Event::ChannelJoined { channel, name, height } => (
            "channel_joined",
            json!({ "channel": channel.to_string(), "name": name.as_str(), "height": height }),
        ),
        Event::ChannelLeft { channel } => ("channel_left", json!({ "channel": channel.to_string() })),
        Event::LeadershipChanged { channel, leader, is_me } => (
            "leadership_changed",
            json!({
                "channel": channel.to_string(),
                "leader": leader.map(|it| it.to_string()),
                "is_me": is_me,
            }),
        ),
        Event::Feed { channel, source, endpoint, change } => {
            let (what, detail) = feed_change(change);
            let value = json!({
                "channel": channel.to_string(),
                "source": source.to_string(),
                "endpoint": endpoint.as_str(),
                "change": what,
                "detail": detail,
            });
            ("feed", value)
        }
        Event::LeaderPassedOver { channel, leader, number } => (
            "leader_passed_over",
            json!({
                "channel": channel.to_string(),
                "leader": leader.to_string(),
                "block": number.as_u64(),
            }),
        ),
        Event::BlockCommitted { header, trace } => (
            "block_committed",
            json!({
                "channel": header.channel().to_string(),
                "block": header.number().as_u64(),
                "hash": header.hash().to_string(),
                "trace": self::trace(trace),
            }),
        ),
        Event::ConfigChanged { channel, number, config } => (
            "config_changed",
            json!({
                "channel": channel.to_string(),
                "block": number.as_u64(),
                "config_number": config.number(),
            }),
        ),
        Event::ConfigRefused { channel, number, error } => (
            "config_refused",
            json!({ "channel": channel.to_string(), "block": number.as_u64(), "error": error }),
        ),
        Event::EvidenceFound { channel, number, kind, guilty } => (
            "evidence_found",
            json!({
                "channel": channel.to_string(),
                "block": number.as_u64(),
                "kind": kind,
                "guilty": guilty.iter().map(ToString::to_string).collect::<Vec<_>>(),
            }),
        ),
        Event::ChannelHalted { channel, number } => {
            ("channel_halted", json!({ "channel": channel.to_string(), "block": number.as_u64() }))
        }
        Event::HaltLifted { channel } => ("halt_lifted", json!({ "channel": channel.to_string() })),
        Event::ReaderRemoved { channel, number } => {
            ("reader_removed", json!({ "channel": channel.to_string(), "block": number.as_u64() }))
        }
        Event::CommitFailed { channel, number, error } => (
            "commit_failed",
            json!({ "channel": channel.to_string(), "block": number.as_u64(), "error": error }),
        ),
    }
}

fn feed_change(change: &FeedChange) -> (&'static str, String) {
    match change {
        FeedChange::Opened(opened) => ("opened", kind(*opened).to_owned()),
        FeedChange::Lost { cause, .. } => ("lost", cause.clone()),
        FeedChange::Suspected { number, lag } => {
            ("suspected", format!("block {number}, its last blocks lag by {} ms", lag.as_millis()))
        }
        FeedChange::False { reason } => ("false", (*reason).to_owned()),
    }
}

fn source(source: Source) -> String {
    match source {
        Source::Peer(member) => member.to_string(),
        Source::Orderer(source) => source.to_string(),
    }
}

fn trace(trace: &BlockTrace) -> Value {
    let route = |route| match route {
        Route::Feed => "feed",
        Route::Push => "push",
        Route::Repair => "repair",
        Route::RangeSync => "range_sync",
    };
    json!({
        "announced": trace.announced.map(|(by, when)| json!({ "by": by.to_string(), "at_ms": at(when) })),
        "header": trace.header.map(|(from, when)| json!({ "from": source(from), "at_ms": at(when) })),
        "body": trace.body.map(|(from, via, when)| {
            json!({ "from": source(from), "route": route(via), "at_ms": at(when) })
        }),
        "verified_at_ms": trace.verified.map(at),
        "committed_at_ms": trace.committed.map(at),
        "questions": trace.questions,
        "duplicate_bytes": trace.duplicate_bytes,
    })
}
