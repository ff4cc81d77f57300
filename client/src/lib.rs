//! Ledgercast's client: connections with mutual TLS, submission that survives failures, block streams of
//! which every block is verified, and the command `ledgercast`. Never trusts a server: genesis blocks are the
//! anchors.
//!
//! Reading order: `profile`, `connection`; `submit`; `verify`, `checkpoint`, `blocks`; `commands` last.
//!
//! ```text
//! profile ─► Connector ─► Connection ─┬─► Submitter       envelopes out, positions in the chain back
//!                                     ├─► BlockStream ─► ChainVerifier ─► VerifiedBlock
//!                                     └─► admin()
//! ```

pub mod authority;
pub mod blocks;
pub mod channel_file;
pub mod checkpoint;

pub mod commands;
pub mod config_chain;
pub mod connection;
pub mod profile;
pub mod rpc;
pub mod submit;
pub mod testnet;
pub mod text_file;
pub mod verify;

pub use blocks::{BlockStream, Range, Start, Stop, StreamError};
pub use checkpoint::Checkpoint;
pub use connection::{CallError, Connection, Connector};
pub use profile::Profile;
pub use submit::{Submission, SubmitError, SubmitOutcome, Submitter};
pub use verify::{ChainVerifier, VerifyError};
