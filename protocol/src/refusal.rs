//! Refused without blame: known, stale, not entitled, over a limit, or wrong only under my view.

/// Why something was refused, in snake case, for counters and logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal(pub &'static str);
