//! How much work one session may cause: small questions have large answers. Each module that answers has its
//! own.

use crate::time::Monotonic;
use crate::types::MemberId;
use std::collections::BTreeMap;
use std::time::Duration;

/// What a question with one answer costs.
pub const COST_QUESTION: u32 = 1;
/// What a question with many answers costs.
pub const COST_LIST: u32 = 8;

const WINDOW: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug)]
struct Spent {
    since: Monotonic,
    cost: u32,
}

/// What each session has spent in its current second; as many entries as sessions.
#[derive(Clone, Debug)]
pub struct Budget {
    spent: BTreeMap<MemberId, Spent>,
    per_second: u32,
}

impl Budget {
    /// Nothing spent; each session may spend so much per second.
    pub fn new(per_second: u32) -> Self {
        Self { spent: BTreeMap::new(), per_second }
    }

    /// Spends, if there is enough left.
    pub fn spend(&mut self, now: Monotonic, member: MemberId, cost: u32) -> bool {
        let spent = self.spent.entry(member).or_insert(Spent { since: now, cost: 0 });
        if now.saturating_since(spent.since) >= WINDOW {
            *spent = Spent { since: now, cost: 0 };
        }
        let total = spent.cost.saturating_add(cost);
        let is_enough = total <= self.per_second;
        if is_enough {
            spent.cost = total;
        }
        is_enough
    }

    /// Forgets a session that ended.
    pub fn forget(&mut self, member: MemberId) {
        self.spent.remove(&member);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ledgercast_crypto::Digest;

    #[test]
    fn a_session_gets_its_budget_each_second_and_no_more() {
        let member = |number| MemberId::from_digest(Digest::from_bytes([number; 32]));
        let at = |millis| Monotonic::new(Duration::from_millis(millis));
        let mut budget = Budget::new(10);

        assert!(budget.spend(at(0), member(1), COST_LIST));
        assert!(!budget.spend(at(10), member(1), COST_LIST));
        assert!(budget.spend(at(10), member(1), COST_QUESTION));
        assert!(budget.spend(at(10), member(2), COST_LIST));
        assert!(budget.spend(at(1_000), member(1), COST_LIST));
    }
}
