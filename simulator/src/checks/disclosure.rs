//! Nobody is named to an org that may not know of it, in whatever message: an oracle of the disclosure rule.
//!
//! It reads frames by their wire schema and judges by what the world was built from, with nothing of the
//! product's own rule. Who shares no channel is told nothing but who the sender is; an internal endpoint and
//! a claim to lead stay in their org; a member is named to its own org, by its own org abroad if it may be
//! known there, and inside the sender's org.

use super::{Isolation, Violation};
use crate::node::{Node, NodeId};
use crate::traffic::SentFrame;
use bytes::Bytes;
use ledgercast_crypto::{Certificate, Digest};
use ledgercast_protocol::types::{BlockNumber, ChannelId, MemberId};
use ledgercast_protocol::wire::proto::{self, channel_frame, frame};
use prost::Message as _;
use std::collections::{BTreeMap, BTreeSet};

/// Kinds of channels that name nobody, and what is said to whoever has a session: what their bytes are about
/// is for the isolation check.
const NAMELESS: [&str; 10] = [
    "state_summary",
    "announce",
    "complete",
    "want_headers",
    "headers",
    "body_frame",
    "want_body",
    "lacking",
    "unknown",
    "channels",
];

#[derive(Debug, Default)]
pub(crate) struct Disclosure {
    /// Of every node.
    org_of: Vec<usize>,
    node_of: BTreeMap<MemberId, NodeId>,
    node_of_key: BTreeMap<[u8; 32], NodeId>,
    /// Who had an external endpoint in any of its lives.
    pub(crate) is_external: BTreeSet<NodeId>,
    /// Whose certificate each one is; unknown keys are nobody's.
    certificates: BTreeMap<Digest, Option<NodeId>>,
    /// Whose tick each one is: every end of a chain that an alive on the wire has named, and what was found
    /// to lead to one.
    ticks: BTreeMap<[u8; 16], NodeId>,
}

/// What a frame says about somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    /// That it exists: its id, certificate, alive, state.
    Name,
    /// Its endpoint inside its org, or that it leads its org.
    Inner,
}

#[derive(Debug, Default)]
struct Mentions {
    names: Vec<(Bytes, What)>,
    certificates: Vec<Bytes>,
    /// Ends of the chains of members, and ticks of whoever they are.
    chains: Vec<(Bytes, Bytes)>,
    ticks: Vec<Bytes>,
}

impl Disclosure {
    pub(crate) fn of(nodes: &[Node]) -> Self {
        let numbered = || nodes.iter().enumerate().map(|(index, node)| (NodeId(index), node));
        Self {
            org_of: nodes.iter().map(|node| node.org).collect(),
            node_of: numbered().map(|(id, node)| (node.member(), id)).collect(),
            node_of_key: numbered()
                .map(|(id, node)| (*node.credentials.key.public().as_bytes(), id))
                .collect(),
            ..Self::default()
        }
    }

    pub(crate) fn on_sent(
        &mut self,
        sent: &SentFrame<'_>,
        isolation: &Isolation,
        joined: &BTreeSet<ChannelId>,
    ) -> Result<(), Violation> {
        if NAMELESS.contains(&sent.peek.kind) {
            return Ok(());
        }
        let found = |about, why| {
            Err(Violation::Disclosed { from: sent.from, to: sent.to, kind: sent.peek.kind, about, why })
        };
        let Ok(frame) = proto::Frame::decode(sent.frame.clone()) else {
            return found(sent.from, "the frame does not decode");
        };
        let is_hello = sent.peek.kind == "hello";
        if !is_hello && !self.share(sent.from, sent.to, isolation, joined) {
            return found(sent.from, "the two orgs share no channel");
        }
        let mentions = mentions_of(frame);
        let mut about: Vec<(NodeId, What)> = Vec::new();
        for (member, what) in mentions.names {
            about.extend(self.node_of_id(&member).map(|node| (node, what)));
        }
        for der in mentions.certificates {
            about.extend(self.owner_of(der).map(|node| (node, What::Name)));
        }
        for (member, end) in mentions.chains {
            if let (Some(node), Ok(end)) = (self.node_of_id(&member), end[..].try_into()) {
                self.ticks.entry(end).or_insert(node);
            }
        }
        for tick in mentions.ticks {
            about.extend(self.owner_of_tick(&tick).map(|node| (node, What::Name)));
        }
        for (node, what) in about {
            match self.why_not(node, what, sent) {
                _ if is_hello && node == sent.from => {}
                None => {}
                Some(why) => return found(node, why),
            }
        }
        Ok(())
    }

    /// Whether the sender has joined a channel that both orgs are entitled to by the config that it knows. A
    /// newcomer shows itself to those whom it asks.
    fn share(&self, from: NodeId, to: NodeId, isolation: &Isolation, joined: &BTreeSet<ChannelId>) -> bool {
        let (mine, theirs) = (self.org_of[from.0], self.org_of[to.0]);
        let has = |channel: &BTreeSet<NodeId>, org| channel.iter().any(|node| self.org_of[node.0] == org);
        let mut known = joined.iter().filter_map(|channel| isolation.known_to(from, *channel));
        let is_common = |configs: &[(BlockNumber, BTreeSet<NodeId>)]| {
            let is_newcomer = configs.iter().all(|(_, readers)| !has(readers, mine));
            let in_force = configs.last().map(|(_, readers)| readers);
            in_force.is_some_and(|readers| (is_newcomer || has(readers, mine)) && has(readers, theirs))
        };
        mine == theirs || known.any(is_common)
    }

    /// Why this member may not be named in this frame.
    fn why_not(&self, about: NodeId, what: What, sent: &SentFrame<'_>) -> Option<&'static str> {
        let org = |node: NodeId| self.org_of[node.0];
        let (about_org, from_org, to_org) = (org(about), org(sent.from), org(sent.to));
        if what == What::Inner {
            let is_inside = about_org == from_org && about_org == to_org;
            return (!is_inside).then_some("what is for its org only leaves the org");
        }
        if to_org == about_org {
            return None;
        }
        if from_org != about_org && from_org != to_org {
            return Some("a third org is told of it");
        }
        let is_hidden = !self.is_external.contains(&about);
        is_hidden.then_some("it has no external endpoint")
    }

    fn node_of_id(&self, member: &Bytes) -> Option<NodeId> {
        let bytes: [u8; 32] = member[..].try_into().ok()?;
        self.node_of.get(&MemberId::from_digest(Digest::from_bytes(bytes))).copied()
    }

    /// Whose chain a tick leads to, by the hash that the schema states; of one that leads to none nothing can
    /// be said.
    fn owner_of_tick(&mut self, tick: &Bytes) -> Option<NodeId> {
        const LINKS_MAX: usize = 64;
        let mut link: [u8; 16] = tick[..].try_into().ok()?;
        let first = link;
        for _ in 0..=LINKS_MAX {
            if let Some(node) = self.ticks.get(&link).copied() {
                self.ticks.insert(first, node);
                return Some(node);
            }
            let hash = Digest::of_parts(&[b"ledgercast tick", &link]);
            link.copy_from_slice(&hash.as_bytes()[..16]);
        }
        None
    }

    fn owner_of(&mut self, der: Bytes) -> Option<NodeId> {
        let nodes = &self.node_of_key;
        let find = || {
            let certificate = Certificate::from_der(der.clone()).ok()?;
            nodes.get(certificate.public_key().as_bytes()).copied()
        };
        *self.certificates.entry(Digest::of(&der)).or_insert_with(find)
    }
}

fn mentions_of(frame: proto::Frame) -> Mentions {
    let mut found = Mentions::default();
    match frame.message {
        Some(frame::Message::Hello(hello)) => found.chains(hello.certificate),
        Some(frame::Message::Certificates(list)) => found.chains(list.certificates),
        Some(frame::Message::WantCertificates(list)) => found.name_all(list.members),
        Some(frame::Message::WantAlives(list)) => found.marks(list.marks),
        Some(frame::Message::Ticks(list) | frame::Message::WantAnchors(list)) => found.ticks(&list.ticks),
        Some(frame::Message::Alives(list)) => list.alives.into_iter().for_each(|alive| found.alive(alive)),
        Some(frame::Message::AliveDigest(list)) => found.marks(list.marks),
        Some(frame::Message::Question(question)) => found.marks(question.subject),
        Some(frame::Message::Conflict(pair)) => {
            pair.first.into_iter().chain(pair.second).for_each(|alive| found.alive(alive));
        }
        Some(frame::Message::Leave(signed)) => found.signed(&signed, What::Name),
        Some(frame::Message::Channel(frame)) => found.channel(frame.message),
        // They name CAs and serial numbers, no members.
        Some(
            frame::Message::RevocationDigest(_)
            | frame::Message::WantRevocations(_)
            | frame::Message::Revocations(_),
        ) => {}
        Some(frame::Message::Channels(_) | frame::Message::ViewDigest(_)) | None => {}
    }
    found
}

impl Mentions {
    fn chains(&mut self, chains: impl IntoIterator<Item = proto::CertificateChain>) {
        self.certificates.extend(chains.into_iter().map(|chain| chain.certificate));
    }

    fn name_all(&mut self, members: Vec<Bytes>) {
        self.names.extend(members.into_iter().map(|member| (member, What::Name)));
    }

    fn marks(&mut self, marks: impl IntoIterator<Item = proto::Mark>) {
        self.name_all(marks.into_iter().map(|mark| mark.member).collect());
    }

    fn alive(&mut self, record: proto::AliveRecord) {
        let what = if record.internal.is_some() { What::Inner } else { What::Name };
        record.alive.iter().for_each(|alive| self.signed(alive, what));
        self.ticks(&record.tick);
        let alive = record.alive.and_then(|signed| proto::Alive::decode(signed.statement).ok());
        let chain = alive.and_then(|alive| Some((alive.member, alive.ticks?.end)));
        self.chains.extend(chain);
    }

    fn ticks(&mut self, ticks: &Bytes) {
        self.ticks.extend((0..ticks.len() / 16).map(|index| ticks.slice(index * 16..(index + 1) * 16)));
    }

    /// Every statement of a member begins with its id, so the shortest of them reads them all.
    fn signed(&mut self, signed: &proto::Signed, what: What) {
        if let Ok(leave) = proto::Leave::decode(signed.statement.clone()) {
            self.names.push((leave.member, what));
        }
    }

    fn channel(&mut self, message: Option<channel_frame::Message>) {
        match message {
            Some(channel_frame::Message::StateDigest(list)) => self.marks(list.marks),
            Some(channel_frame::Message::WantStates(list)) => self.name_all(list.members),
            Some(channel_frame::Message::States(list)) => {
                list.statements.iter().for_each(|state| self.signed(state, What::Name));
            }
            Some(channel_frame::Message::Leadership(claim)) => self.signed(&claim, What::Inner),
            Some(channel_frame::Message::ChannelLeave(leave)) => self.signed(&leave, What::Name),
            Some(channel_frame::Message::Push(push)) => self.name_all(push.children),
            // What is about blocks, and signed by orderers, names no member.
            Some(
                channel_frame::Message::StateSummary(_)
                | channel_frame::Message::Announce(_)
                | channel_frame::Message::Complete(_)
                | channel_frame::Message::WantHeaders(_)
                | channel_frame::Message::Headers(_)
                | channel_frame::Message::BodyFrame(_)
                | channel_frame::Message::WantBody(_)
                | channel_frame::Message::Lacking(_)
                | channel_frame::Message::Unknown(_)
                | channel_frame::Message::Evidence(_),
            )
            | None => {}
        }
    }
}

#[cfg(test)]
mod tests;
