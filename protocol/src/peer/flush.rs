//! Members become sessions: what a step wants done is turned into outputs, with renewed certificates ahead of
//! what mentions their members. Others go on request only.
//!
//! The second half of channel isolation stands here: whatever a module asks for, a channel's message leaves
//! only to a member that may discuss the channel.

use super::Peer;
use crate::event::Event;
use crate::output::{Action, CloseReason, Output};
use crate::refusal::Refusal;
use crate::time::Now;
use crate::types::{Lane, MemberId, SessionId};
use crate::wire::{CERTIFICATES_BYTES_MAX, CERTIFICATES_MAX, CertificateChain, Message};

impl Peer {
    /// Ends a step: modules tell each other what changed until nothing does, then everything goes out.
    pub(super) fn settle(&mut self, now: Now, outputs: &mut Vec<Output>) {
        // Each round needs a change of tip, epoch, reachability or leadership; two rounds settle all, the
        // bound is a guard against a livelock between modules.
        for _ in 0..8 {
            self.forget_gone(now);
            self.deliver_outbox(now);
            self.forget_closed(now);
            if !self.settle_channels(now) {
                break;
            }
        }
        self.save_evidence();
        self.deliver_outbox(now);
        outputs.append(&mut self.ready_outputs);
    }

    /// Turns the outbox into outputs.
    pub(super) fn deliver_outbox(&mut self, now: Now) {
        let actions: Vec<Action> = self.outbox.drain().collect();
        for action in actions {
            match action {
                Action::Output(output) => self.ready_outputs.push(output),
                Action::Offence { member, offence } => self.punish(now, member, offence),
                Action::Send { to, lane, message } => self.deliver(to, lane, &message),
            }
        }
    }

    fn deliver(&mut self, to: MemberId, lane: Lane, message: &Message) {
        let Some(session) = self.sessions.of_member(to) else {
            return self.ready_outputs.push(Output::Event(Event::Refused {
                kind: message.kind(),
                reason: "no_session",
                member: Some(to),
            }));
        };
        if let Message::Channel(channel, content) = message
            && let Err(refusal) = self.may_send(to, *channel, content)
        {
            let kind = message.kind();
            let event = refusal.map(|Refusal(reason)| Event::Refused { kind, reason, member: Some(to) });
            return self.ready_outputs.extend(event.map(Output::Event));
        }
        self.send_owed_certificates(session, message);
        self.ready_outputs.push(send(session, lane, message));
    }

    /// Renewed certificates of the members that a message mentions, each once.
    fn send_owed_certificates(&mut self, session: SessionId, message: &Message) {
        let Some(entry) = self.sessions.session_mut(session).filter(|it| !it.certificates_owed.is_empty())
        else {
            return;
        };
        let mentioned = message.mentioned_members().into_iter();
        let owed: Vec<MemberId> = mentioned.filter(|member| entry.certificates_owed.remove(member)).collect();
        let chains = owed.into_iter().filter_map(|member| self.identities.chain(member).cloned());
        for batch in certificate_batches(chains) {
            let message = Message::Certificates(batch);
            self.ready_outputs.push(send(session, message.lane(), &message));
        }
    }

    pub(super) fn end_session_of_gone(&mut self, member: MemberId) {
        let is_closing = |session: &SessionId| self.closing.iter().any(|(closing, _)| closing == session);
        if let Some(session) = self.sessions.of_member(member).filter(|session| !is_closing(session)) {
            let reason = match self.membership.has_left(member) {
                true => CloseReason::Left,
                false => CloseReason::Evicted,
            };
            self.close(session, reason);
        }
    }
}

/// Certificates in as many messages as they need: control frames are small, and intermediates large.
pub(super) fn certificate_batches(
    chains: impl IntoIterator<Item = CertificateChain>,
) -> Vec<Vec<CertificateChain>> {
    let mut batches: Vec<Vec<CertificateChain>> = Vec::new();
    let mut bytes = 0;
    for chain in chains {
        let more = chain.encoded_bytes();
        match batches.last_mut() {
            Some(batch) if batch.len() < CERTIFICATES_MAX && bytes + more <= CERTIFICATES_BYTES_MAX => {
                bytes += more;
                batch.push(chain);
            }
            _ => {
                bytes = more;
                batches.push(vec![chain]);
            }
        }
    }
    batches
}

/// A message as an output.
pub(super) fn send(session: SessionId, lane: Lane, message: &Message) -> Output {
    Output::Send { session, lane, channel: message.channel(), frame: message.encode() }
}
