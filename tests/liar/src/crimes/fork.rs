//! Holds the key of an orderer: certifies a rival for the first certified header that it hears, and shows the
//! two to everybody.

use super::{Crime, Scene, Sending};
use bytes::Bytes;
use ledgercast_crypto::{Digest, SecretKey};
use ledgercast_protocol::evidence::Equivocation;
use ledgercast_protocol::ledger::{CertifiedHeader, Header, HeaderFields, QuorumCertificate};
use ledgercast_protocol::types::{ChannelId, SessionId};
use ledgercast_protocol::wire::{ChannelMessage, Message};
use serde_json::{Value, json};
use std::collections::BTreeSet;

#[derive(Debug)]
pub(super) struct Fork {
    orderer: SecretKey,
    pair: Option<(ChannelId, Equivocation)>,
    shown: BTreeSet<SessionId>,
}

impl Fork {
    pub(super) fn new(orderer: SecretKey) -> Self {
        Self { orderer, pair: None, shown: BTreeSet::new() }
    }

    /// The header with another body, signed by the orderer of index 0.
    fn rival(&self, channel: ChannelId, genuine: &CertifiedHeader) -> CertifiedHeader {
        let body_root = Digest::of(b"another body");
        let header = Header::new(HeaderFields { body_root, ..genuine.header.fields().clone() });
        let certificate = QuorumCertificate::sign(channel, header.hash(), 0, &self.orderer);
        CertifiedHeader { header, certificate: Some(certificate) }
    }
}

impl Crime for Fork {
    fn heard(&mut self, _: SessionId, frame: &Bytes) {
        if self.pair.is_some() {
            return;
        }
        let Ok(Message::Channel(channel, message)) = Message::decode(frame.clone()) else {
            return;
        };
        let genuine = match message {
            ChannelMessage::Push(push) => push.header,
            ChannelMessage::Headers { headers, .. } if !headers.is_empty() => headers[0].clone(),
            _ => return,
        };
        let rival = self.rival(channel, &genuine);
        self.pair = Equivocation::try_new(genuine, rival).ok().map(|pair| (channel, pair));
    }

    fn act(&mut self, scene: &Scene) -> Vec<Sending> {
        let Some((channel, pair)) = &self.pair else {
            return Vec::new();
        };
        let known = scene.sessions.iter().filter(|(_, member)| member.is_some());
        let new: Vec<SessionId> =
            known.map(|(session, _)| *session).filter(|session| self.shown.insert(*session)).collect();
        let evidence = ChannelMessage::Evidence(Box::new(pair.clone()));
        let message = Message::Channel(*channel, evidence);
        new.into_iter().map(|session| Sending::message(session, &message)).collect()
    }

    fn report(&self) -> Value {
        let block = self.pair.as_ref().map(|(_, pair)| pair.number().as_u64());
        json!({ "block": block, "shown": self.shown.len() })
    }
}
