//! Revocation lists in folders: read at the start, and looked at again while the orderer runs. What is wrong
//! there at the start is refused; later it is logged once, and changes nothing.

use super::core::CoreHandle;
use ledgercast_crypto::RevocationList;
use ledgercast_crypto::msp::{self, MspError};
use ledgercast_protocol::ordering::Sequencer;
use std::path::PathBuf;
use std::time::Duration;

/// Where the lists are, and how often to look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevocationFolders {
    /// The own org's, and the other orgs'; one that is not there has none.
    pub folders: [PathBuf; 2],
    /// Time between two looks.
    pub interval: Duration,
}

impl RevocationFolders {
    /// Reads all lists.
    pub(super) fn load(&self) -> Result<Vec<RevocationList>, MspError> {
        let mut lists = Vec::new();
        for folder in &self.folders {
            lists.extend(msp::load_lists(folder)?);
        }
        Ok(lists)
    }

    /// Looks again and again, until the core has stopped.
    pub(super) async fn watch(self, core: CoreHandle) {
        let mut complaint = None;
        loop {
            tokio::time::sleep(self.interval).await;
            let folders = self.clone();
            // Reading a folder may block for as long as its disk does.
            let Ok(loaded) = tokio::task::spawn_blocking(move || folders.load()).await else { continue };
            match loaded {
                Ok(lists) => {
                    complaint = None;
                    if core.revoke(lists).await.is_err() {
                        return;
                    }
                }
                Err(error) => {
                    let error = error.to_string();
                    if complaint.as_ref() != Some(&error) {
                        tracing::warn!(%error, "revocation lists not taken up");
                        complaint = Some(error);
                    }
                }
            }
        }
    }
}

/// Hands one list to the sequencer and says what came of it.
pub(super) fn put_in_force(sequencer: &mut Sequencer, list: RevocationList) {
    let (issuer, number, revoked) =
        (list.issuer().to_owned(), list.number().to_string(), list.revoked_count());
    match sequencer.revoke(list) {
        None => {}
        Some(0) => {
            tracing::info!(%issuer, %number, "revocation list held: no channel that is open knows its CA")
        }
        Some(channels) => tracing::info!(%issuer, %number, revoked, channels, "revocation list in force"),
    }
}
