//! What a peer is given at its start: configuration, identity, and what its store has kept.

use super::channel;
use crate::channel::ConfigHistory;
use crate::leadership;
use crate::ledger::VerifiedHeader;
use crate::membership;
use crate::session;
use crate::standing;
use crate::state_info;
use crate::types::{ChannelName, Endpoint, Incarnation};
use crate::wire::CertificateChain;
use bytes::Bytes;
use ledgercast_crypto::{Identity, Roster, SecretKey};
use std::sync::Arc;

/// Configuration of a peer.
#[derive(Clone, Debug)]
pub struct PeerConfig {
    /// Names the network: alives of one are void in another. All peers that should meet must agree.
    pub network: [u8; 32],
    /// Where my org's peers reach me.
    pub internal_endpoint: Endpoint,
    /// Where other orgs' peers reach me; `None`: they do not know me.
    pub external_endpoint: Option<Endpoint>,
    /// Peers of my org to contact first.
    pub bootstrap: Vec<Endpoint>,
    /// Sessions and dialing.
    pub session: session::Config,
    /// What follows from offences.
    pub standing: standing::Config,
    /// Alives and evictions.
    pub membership: membership::Config,
    /// State infos.
    pub state_info: state_info::Config,
    /// Leadership, for every channel.
    pub leadership: leadership::Config,
    /// Blocks, for every channel.
    pub channel: channel::Settings,
}

/// Who a peer is.
#[derive(Debug)]
pub struct OwnIdentity {
    /// My verified identity.
    pub identity: Identity,
    /// My certificate, as I show it.
    pub chain: CertificateChain,
    /// My signing key, which is also the host key.
    pub key: SecretKey,
    /// My org's roots, from my MSP folder only.
    pub roster: Arc<Roster>,
}

/// What a store has kept of an earlier life.
#[derive(Clone, Debug, Default)]
pub struct RestoredState {
    /// The last incarnation.
    pub incarnation: Option<Incarnation>,
    /// High-water marks.
    pub marks: Option<Bytes>,
    /// Revocation lists.
    pub revocations: Option<Bytes>,
    /// Evidence of all channels.
    pub evidence: Option<Bytes>,
    /// Channels that were joined.
    pub channels: Vec<RestoredChannel>,
}

/// A channel from the store.
#[derive(Clone, Debug)]
pub struct RestoredChannel {
    /// Its alias.
    pub name: ChannelName,
    /// The configs up to the one in force above the tip.
    pub configs: ConfigHistory,
    /// Header of the newest block held.
    pub tip: VerifiedHeader,
    /// Header at the start of the tip's leadership epoch (see `leadership`).
    pub epoch_start: VerifiedHeader,
}
