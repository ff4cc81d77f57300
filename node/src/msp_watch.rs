//! Watches the identity's folder while the peer runs: a renewed certificate of the same key and new
//! revocation lists come into force without a restart. What is wrong there is logged once, and changes
//! nothing.

use crate::clock::Clock;
use crate::core::{CoreHandle, Stopped};
use ledgercast_crypto::msp::{Msp, MspError};
use ledgercast_crypto::{Digest, Identity, OrgId, PublicKey, Role};
use ledgercast_protocol::input::Command;
use ledgercast_protocol::wire::CertificateChain;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;
use thiserror::Error;

/// Where the folder is, and how often to look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MspWatchSettings {
    /// The folder `msp`.
    pub directory: PathBuf,
    /// Time between two looks.
    pub interval: Duration,
}

/// Why what lies in the folder is not taken up; what was in force stays.
#[derive(Debug, Error)]
enum Unusable {
    #[error(transparent)]
    Msp(#[from] MspError),
    #[error("another key lies there: that is another member, which needs a restart")]
    OtherKey,
    #[error("the CA certificates there are not those of the start: another set of roots needs a restart")]
    OtherRoots,
    #[error("the certificate there is no peer's: {0}")]
    Role(ledgercast_crypto::CertificateError),
}

/// What was last taken from the folder.
pub(crate) struct MspWatch {
    settings: MspWatchSettings,
    clock: Clock,
    key: PublicKey,
    org: OrgId,
    chain: CertificateChain,
    lists: BTreeSet<Digest>,
    complaint: Option<String>,
}

/// What is new in the folder.
struct News {
    renewed: Option<(Identity, CertificateChain)>,
    msp: Msp,
}

impl MspWatch {
    /// A watch over a folder from which this was loaded.
    pub(crate) fn new(settings: MspWatchSettings, clock: Clock, msp: &Msp) -> Self {
        Self {
            settings,
            clock,
            key: msp.key.public(),
            org: msp.org.id(),
            chain: shown_chain(msp),
            lists: fingerprints(msp),
            complaint: None,
        }
    }

    /// Looks again and again, until the core has stopped.
    pub(crate) async fn run(mut self, core: CoreHandle) {
        loop {
            tokio::time::sleep(self.settings.interval).await;
            if self.look(&core).await.is_err() {
                return;
            }
        }
    }

    async fn look(&mut self, core: &CoreHandle) -> Result<(), Stopped> {
        let directory = self.settings.directory.clone();
        // Reading a folder may block for as long as its disk does.
        let loaded = tokio::task::spawn_blocking(move || Msp::load(&directory)).await;
        let Ok(loaded) = loaded else {
            return Ok(());
        };
        match loaded.map_err(Unusable::Msp).and_then(|msp| self.judge(msp)) {
            Ok(news) => {
                self.complaint = None;
                self.take(news, core).await
            }
            Err(error) => {
                self.complain(&error);
                Ok(())
            }
        }
    }

    fn judge(&self, msp: Msp) -> Result<News, Unusable> {
        if msp.key.public() != self.key {
            return Err(Unusable::OtherKey);
        }
        if msp.org.id() != self.org {
            return Err(Unusable::OtherRoots);
        }
        let chain = shown_chain(&msp);
        if chain == self.chain {
            return Ok(News { renewed: None, msp });
        }
        let identity = msp.identity(self.clock.now().wall.as_seconds())?;
        identity.require_role(Role::Peer).map_err(Unusable::Role)?;
        Ok(News { renewed: Some((identity, chain)), msp })
    }

    async fn take(&mut self, news: News, core: &CoreHandle) -> Result<(), Stopped> {
        if let Some((identity, chain)) = news.renewed {
            self.chain = chain.clone();
            core.command(Command::Renew { identity, chain }).await?;
        }
        for list in &news.msp.org.crls {
            if self.lists.insert(list.fingerprint()) {
                core.command(Command::Revoke(list.clone())).await?;
            }
        }
        // Lists that were taken away stay in force, and need not be remembered.
        self.lists = fingerprints(&news.msp);
        Ok(())
    }

    fn complain(&mut self, error: &Unusable) {
        let complaint = error.to_string();
        if self.complaint.as_ref() != Some(&complaint) {
            let folder = self.settings.directory.display();
            tracing::warn!(%folder, error = %complaint, "identity folder not taken up");
            self.complaint = Some(complaint);
        }
    }
}

fn shown_chain(msp: &Msp) -> CertificateChain {
    CertificateChain { certificate: msp.certificate.clone(), intermediates: msp.chain.clone() }
}

fn fingerprints(msp: &Msp) -> BTreeSet<Digest> {
    msp.org.crls.iter().map(|list| list.fingerprint()).collect()
}
