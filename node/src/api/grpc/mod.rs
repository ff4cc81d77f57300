//! gRPC for everybody but peers, mutual TLS: `Deliver` and `Admin` on all nodes, `Broadcast` on orderers.
//!
//! ```text
//!  TCP ─► accept ─► TLS handshake ─► caller ─► gate (before the body) ─► deliver, broadcast, admin
//!        (places)   (orgs known now) (rights)                            │
//!                                                                        ▼
//!                                              directory: what a peer or an orderer gives the services
//! ```
//!
//! Rules: who calls is read off the TLS certificate, under the TLS roots of the node's own org (its folder)
//! and of each channel's config, never of all together. A channel that is not held and one that the caller
//! may not use get one answer, looked up the same way. Admins are those of the node's own org.
//! Limits: connections, handshake time, calls of a connection, streams in all and of one org, envelopes in
//! flight, message lengths (an admin's and an envelope's before they are read). A slow reader holds one block
//! in memory.
//! Attacks resisted: strangers, foreign CAs that certify another org's name, wrong roles, slow readers and
//! silent connections, probing for channels (threat A24, A16).

mod accept;
mod admin;
mod broadcast;
mod caller;
mod channel_table;
mod deliver;
mod directory;
mod gate;
mod peer;
mod peer_journal;
mod peer_status;
mod server;
mod slots;
mod status;
#[cfg(test)]
mod tests;
mod tls;

pub use caller::Audience;
pub use channel_table::{ChannelTable, SharedTable};
pub use directory::{AdminError, Administration, ChannelDirectory, Submitted, Submitter};
pub use peer::{PeerDirectory, bind_peer};
pub use server::{GrpcError, GrpcLimits, GrpcServer, Node};
pub use tls::TlsError;
