//! Sends messages of some kinds later than it could.

use super::{Crime, Lie};
use crate::traffic::SentFrame;
use std::time::Duration;

/// Which kinds, and by how much.
#[derive(Clone, Copy, Debug)]
pub struct Delays {
    /// The kinds.
    pub kinds: &'static [&'static str],
    /// The delay of each frame.
    pub by: Duration,
}

impl Crime for Delays {
    fn commit(&mut self, sent: &SentFrame<'_>) -> Vec<Lie> {
        let after = if self.kinds.contains(&sent.peek.kind) { self.by } else { Duration::ZERO };
        vec![Lie { frame: sent.frame.clone(), after }]
    }
}
