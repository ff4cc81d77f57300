//! Nobody honest is accused of an offence by anybody honest.

use super::Violation;
use crate::node::NodeId;
use ledgercast_protocol::offence::Offence;
use std::collections::BTreeSet;

/// Judges an accusation. What a liar's process says does not count: it may get answers to questions that were
/// asked in its name.
pub(crate) fn on_offence(
    by: NodeId,
    accused: NodeId,
    offence: &Offence,
    liars: &BTreeSet<NodeId>,
) -> Result<(), Violation> {
    match liars.contains(&by) || liars.contains(&accused) {
        true => Ok(()),
        false => Err(Violation::HonestAccused { by, accused, offence: offence.to_string() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_an_honest_one_that_an_honest_one_accuses() {
        let liars = BTreeSet::from([NodeId(2)]);
        let verdict =
            |by, accused| on_offence(NodeId(by), NodeId(accused), &Offence::OutOfTurn("hello"), &liars);

        assert!(matches!(verdict(0, 1), Err(Violation::HonestAccused { .. })));
        assert!(verdict(0, 2).is_ok());
        assert!(verdict(2, 0).is_ok());
    }
}
