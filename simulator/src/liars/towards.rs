//! Commits another crime towards some victims only, and is honest to everybody else.

use super::{Crime, Lie};
use crate::node::NodeId;
use crate::traffic::SentFrame;
use std::collections::BTreeSet;

/// A crime and its victims.
#[derive(Clone, Debug)]
pub struct Towards<C> {
    victims: BTreeSet<NodeId>,
    crime: C,
}

impl<C: Crime> Towards<C> {
    /// Commits the crime towards these nodes only.
    pub fn new(victims: impl IntoIterator<Item = NodeId>, crime: C) -> Self {
        Self { victims: victims.into_iter().collect(), crime }
    }
}

impl<C: Crime> Crime for Towards<C> {
    fn commit(&mut self, sent: &SentFrame<'_>) -> Vec<Lie> {
        match self.victims.contains(&sent.to) {
            true => self.crime.commit(sent),
            false => Lie::truth(sent),
        }
    }
}
