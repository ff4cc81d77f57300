//! Sends, beside each alive and tick that it passes on, one that is old (A2): genuine, and long overtaken.

use super::{Crime, Lie};
use crate::traffic::SentFrame;
use bytes::Bytes;
use std::collections::VecDeque;

/// Frames that are kept: some minutes of a small network, some intervals of a large one.
const KEPT_MAX: usize = 256;

/// What it has sent before and will send again.
#[derive(Clone, Debug, Default)]
pub struct Replays {
    kept: VecDeque<Bytes>,
}

impl Crime for Replays {
    fn commit(&mut self, sent: &SentFrame<'_>) -> Vec<Lie> {
        let mut lies = Lie::truth(sent);
        if ["alives", "ticks"].contains(&sent.peek.kind) {
            self.kept.push_back(sent.frame.clone());
            let old = match self.kept.len() > KEPT_MAX {
                true => self.kept.pop_front(),
                false => self.kept.front().cloned(),
            };
            lies.extend(old.map(Lie::frame));
        }
        lies
    }
}
