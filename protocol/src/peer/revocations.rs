//! Revocation lists that this peer has learned: the newest of each CA, kept on disk, at most so many bytes.
//! Lists of the own MSP folder and of channel configs come with their rosters; what is learned is added.

use crate::wire::RevocationMark;
use bytes::{BufMut, Bytes, BytesMut};
use ledgercast_crypto::keys::PublicKey;
use ledgercast_crypto::{Digest, OrgId, RevocationList, Roster};
use std::collections::{BTreeMap, BTreeSet};

/// Names a CA by its key, as marks do.
pub(super) fn authority_id(key: &PublicKey) -> Digest {
    Digest::of(key.as_bytes())
}

/// Learned lists by CA.
#[derive(Debug)]
pub(super) struct Revocations {
    lists: BTreeMap<Digest, RevocationList>,
    bytes: usize,
    bytes_max: usize,
}

impl Revocations {
    /// What an earlier life has saved; lists that no longer decode are left out.
    pub(super) fn restore(saved: Option<Bytes>, bytes_max: usize) -> Self {
        let mut restored = Self { lists: BTreeMap::new(), bytes: 0, bytes_max };
        let mut rest = saved.unwrap_or_default();
        while let Some((authority, list)) = next_saved(&mut rest) {
            restored.keep(authority, list);
        }
        restored
    }

    /// Keeps a list in place of an older one of its CA; `false` when there is no room.
    pub(super) fn keep(&mut self, authority: Digest, list: RevocationList) -> bool {
        let replaced = self.lists.get(&authority).map_or(0, |older| older.der().len());
        let bytes = self.bytes - replaced + list.der().len();
        if bytes > self.bytes_max {
            return false;
        }
        self.bytes = bytes;
        self.lists.insert(authority, list);
        true
    }

    /// Puts the learned lists in force; those of CAs that the roster does not know do nothing.
    pub(super) fn apply_to(&self, roster: &mut Roster) {
        for list in self.lists.values() {
            let _ = roster.revoke(list);
        }
    }

    /// What is to be saved: CA, length and bytes of each list.
    pub(super) fn to_saved(&self) -> Bytes {
        let mut saved = BytesMut::new();
        for (authority, list) in &self.lists {
            saved.put_slice(authority.as_bytes());
            saved.put_u32(u32::try_from(list.der().len()).unwrap_or(u32::MAX));
            saved.put_slice(list.der());
        }
        saved.freeze()
    }
}

fn next_saved(rest: &mut Bytes) -> Option<(Digest, RevocationList)> {
    if rest.len() < 36 {
        return None;
    }
    let authority = Digest::try_from(&rest.split_to(32)[..]).ok()?;
    let length = u32::from_be_bytes(rest.split_to(4)[..].try_into().ok()?);
    let length = usize::try_from(length).ok().filter(|length| *length <= rest.len())?;
    Some((authority, RevocationList::from_der(rest.split_to(length)).ok()?))
}

/// Reads saved lists, as many as fit, and saves them again.
#[cfg(feature = "saved")]
pub fn resave_revocations(saved: Bytes, bytes_max: usize) -> Bytes {
    Revocations::restore(Some(saved), bytes_max).to_saved()
}

/// The lists in force, by CA; of several orgs of one CA each has the same. Those that `may_tell` allows.
pub(super) fn lists_for(
    roster: &Roster,
    may_tell: impl Fn(OrgId) -> bool,
) -> BTreeMap<Digest, &RevocationList> {
    let told = roster.lists().filter(|(org, ..)| may_tell(**org));
    told.map(|(_, signer, list)| (authority_id(&signer), list)).collect()
}

/// Marks of lists.
pub(super) fn marks<'a>(
    lists: impl IntoIterator<Item = (Digest, &'a RevocationList)>,
) -> Vec<RevocationMark> {
    let mark =
        |(authority, list): (_, &RevocationList)| RevocationMark { authority, number: list.number().clone() };
    lists.into_iter().map(mark).collect()
}

/// Of which CAs another one has newer lists than the roster, among those whose lists it can use.
pub(super) fn wanted(roster: &Roster, theirs: &[RevocationMark]) -> Vec<Digest> {
    let known: BTreeSet<Digest> = roster.authorities().map(|(_, key)| authority_id(&key)).collect();
    let mine = lists_for(roster, |_| true);
    let is_newer = |mark: &&RevocationMark| {
        let held = mine.get(&mark.authority);
        known.contains(&mark.authority) && held.is_none_or(|list| *list.number() < mark.number)
    };
    theirs.iter().filter(is_newer).map(|mark| mark.authority).collect()
}
