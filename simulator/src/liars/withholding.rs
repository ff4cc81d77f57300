//! Never sends messages of some kinds.

use super::{Crime, Lie};
use crate::traffic::SentFrame;

/// The kinds that are withheld.
#[derive(Clone, Copy, Debug)]
pub struct Withholding {
    kinds: Option<&'static [&'static str]>,
}

impl Withholding {
    /// Withholds these kinds.
    pub fn of(kinds: &'static [&'static str]) -> Self {
        Self { kinds: Some(kinds) }
    }

    /// Says nothing at all, not even who it is.
    pub fn everything() -> Self {
        Self { kinds: None }
    }
}

impl Crime for Withholding {
    fn commit(&mut self, sent: &SentFrame<'_>) -> Vec<Lie> {
        match self.kinds.is_none_or(|kinds| kinds.contains(&sent.peek.kind)) {
            true => Vec::new(),
            false => Lie::truth(sent),
        }
    }
}
