//! Evidence: what proves an orderer's guilt to anybody who trusts block 0 (design §10).
//!
//! ```text
//!  Evidence = config blocks 1 … k      each certified under the config before it, judged like any
//!           + Equivocation             two different headers of one number under config k, with signatures
//!  verdict:  both certificates reach the quorum ─► Fork            (delivery must stop above the number)
//!            some orderer signed both           ─► DoubleSignature (that orderer is no source any more)
//!            neither                            ─► no evidence: whoever shows it has made it up
//! ```
//!
//! - Members of the channel hold the configs already: between them an [`Equivocation`] suffices, judged under
//!   the config that it names.
//! - Both headers must name the same config. Where a fork begins, both branches have one chain behind them,
//!   and so one config.
//! - Every signature shown must be right: there is one form of each proof but for the choice of signers.
//!
//! Limits: proofs kept of an orderer and of a channel, bytes of a file, config blocks (as many as the
//! config's number), signatures (a config's orderers).
//! Resists: A15 (it can be shown), A23 (it cannot be made up).

mod equivocation;
mod kept;
mod portable;

pub use equivocation::{Equivocation, EquivocationError, Verdict};
pub use kept::{Kept, PROOFS_MAX, PROOFS_PER_ORDERER_MAX, Proof, from_saved, to_saved};
pub(crate) use portable::CONFIGS_MAX;
pub use portable::{EVIDENCE_BYTES_MAX, Evidence, EvidenceError, verify};

#[cfg(test)]
mod tests;
