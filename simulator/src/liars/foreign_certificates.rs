//! Sends each header with the certificate of another one: of another number or of another channel (A8).

use super::{Crime, Lie, channel_message};
use crate::traffic::SentFrame;
use ledgercast_protocol::ledger::{CertifiedHeader, QuorumCertificate};
use ledgercast_protocol::wire::ChannelMessage;

/// The certificates that are misused, in turn.
#[derive(Clone, Debug)]
pub struct ForeignCertificates {
    certificates: Vec<QuorumCertificate>,
    next: usize,
}

impl ForeignCertificates {
    /// Misuses the certificates of these headers.
    pub fn of(headers: impl IntoIterator<Item = CertifiedHeader>) -> Self {
        let certificates = headers.into_iter().filter_map(|header| header.certificate).collect();
        Self { certificates, next: 0 }
    }

    fn swap(&mut self, header: &mut CertifiedHeader) {
        if !self.certificates.is_empty() {
            header.certificate = Some(self.certificates[self.next % self.certificates.len()].clone());
            self.next += 1;
        }
    }
}

impl Crime for ForeignCertificates {
    fn commit(&mut self, sent: &SentFrame<'_>) -> Vec<Lie> {
        let Some((channel, mut message)) = channel_message(sent, &["push", "headers"]) else {
            return Lie::truth(sent);
        };
        match &mut message {
            ChannelMessage::Push(push) => self.swap(&mut push.header),
            ChannelMessage::Headers { headers, .. } => headers.iter_mut().for_each(|it| self.swap(it)),
            _ => {}
        }
        vec![Lie::channel(channel, message)]
    }
}
