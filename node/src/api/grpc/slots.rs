//! Places for long calls, bounded in all and for each org, so that one org cannot take every place.

use ledgercast_protocol::types::OrgId;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bounded places.
#[derive(Debug)]
pub(super) struct Slots {
    max: usize,
    org_max: usize,
    taken: Mutex<BTreeMap<OrgId, usize>>,
}

/// One place, given back when dropped.
#[derive(Debug)]
pub(super) struct Slot {
    slots: Arc<Slots>,
    org: OrgId,
}

impl Slots {
    pub(super) fn new(max: usize, org_max: usize) -> Arc<Self> {
        Arc::new(Self { max, org_max, taken: Mutex::default() })
    }

    /// A place for a caller of this org; `None` when all, or all of the org's, are taken.
    pub(super) fn try_take(self: &Arc<Self>, org: OrgId) -> Option<Slot> {
        let mut taken = self.taken();
        let of_org = taken.get(&org).copied().unwrap_or_default();
        if of_org >= self.org_max || taken.values().sum::<usize>() >= self.max {
            return None;
        }
        taken.insert(org, of_org + 1);
        Some(Slot { slots: Arc::clone(self), org })
    }

    /// A panic of another thread leaves the counts whole: each change is one insertion.
    fn taken(&self) -> MutexGuard<'_, BTreeMap<OrgId, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut taken = self.slots.taken();
        match taken.get_mut(&self.org) {
            Some(count) if *count > 1 => *count -= 1,
            _ => {
                taken.remove(&self.org);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ledgercast_crypto::issue::{Authority, Validity};

    fn org(name: &str) -> OrgId {
        let validity = Validity { not_before: 1_600_000_000, not_after: 4_000_000_000 };
        let authority = Authority::create(name, validity).unwrap();
        OrgId::of(name, &[authority.certificate().clone()])
    }

    #[test]
    fn one_org_cannot_take_every_place() {
        let slots = Slots::new(4, 2);
        let (one, two) = (org("Org1"), org("Org2"));

        let held: Vec<_> = [one, one, two, one].map(|org| slots.try_take(org)).into();

        assert_eq!(held.iter().map(Option::is_some).collect::<Vec<_>>(), [true, true, true, false]);
        drop(held);
        assert!(slots.try_take(one).is_some());
    }

    #[test]
    fn places_are_bounded_in_all_and_given_back() {
        let slots = Slots::new(1, 1);
        let (one, two) = (org("Org1"), org("Org2"));

        let held = slots.try_take(one);

        assert!(held.is_some());
        assert!(slots.try_take(two).is_none());
        drop(held);
        assert!(slots.try_take(two).is_some());
        assert!(slots.taken().is_empty(), "the place was dropped at once");
    }
}
