//! Who may be named to whom: membership's disclosure rule, applied to members by their certificates.

use super::identities::Identities;
use crate::membership::{self, Disclosure};
use crate::types::{MemberId, OrgId};
use std::collections::BTreeSet;

/// What the rule needs.
#[derive(Clone, Copy)]
pub(super) struct Mentions<'a> {
    pub(super) org: OrgId,
    pub(super) identities: &'a Identities,
    pub(super) membership: &'a membership::State,
    pub(super) shared_orgs: &'a BTreeSet<OrgId>,
}

impl Mentions<'_> {
    /// Whether a member may be named to an org; one whose certificate is unknown may not.
    pub(super) fn are_allowed(&self, about: MemberId, to: OrgId) -> bool {
        let disclosure = Disclosure::new(self.org, self.shared_orgs);
        let identity = self.identities.identity(about);
        identity.is_some_and(|it| disclosure.may_tell(it.org, self.membership.is_external(about), to))
    }
}
