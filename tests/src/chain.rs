//! A channel's whole chain as its peers serve it to clients: the same bytes from all, contiguous, and with
//! every acknowledged envelope at its promised place, once.

use crate::cluster::Cluster;
use crate::load::Answers;
use bytes::Bytes;
use ledgercast_protocol::ledger::{Block, Envelope, VerifiedBlock};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// What was found.
#[derive(Debug)]
pub struct Chain {
    /// Header hashes, by block number.
    pub hashes: Vec<String>,
    /// Envelopes after block 0.
    pub envelopes: u64,
    /// Peers that serve exactly these bytes.
    pub peers: usize,
    /// Bytes of the encoded blocks.
    pub bytes: u64,
}

impl Chain {
    /// Fetches the chain from every peer that is entitled to it and checks it against what was acknowledged.
    ///
    /// # Errors
    /// The first thing that is not as it should be.
    pub fn check(cluster: &Cluster, channel: &str, answers: &Answers) -> Result<Self, String> {
        let peers = cluster.peers_on(channel);
        let (first, others) = peers.split_first().ok_or_else(|| format!("{channel} has no peers"))?;
        let fetched = Fetched::fetch(cluster, first, channel)?;
        let (places, bytes) = fetched.places()?;
        check_places(channel, &places, answers)?;
        for peer in others {
            let other = Fetched::fetch(cluster, peer, channel)?;
            other.require_equal(&fetched, peer, first)?;
            other.remove();
        }
        let hashes = fetched.hashes.clone();
        fetched.remove();
        let envelopes = places.len() as u64;
        Ok(Self { hashes, envelopes, peers: peers.len(), bytes })
    }
}

/// Envelope id → block and index.
type Places = BTreeMap<String, (u64, u64)>;

/// A chain as one peer serves it, in a folder.
struct Fetched {
    folder: PathBuf,
    hashes: Vec<String>,
}

impl Fetched {
    /// Asks as a client of the peer's own org; the client verifies what it gets.
    fn fetch(cluster: &Cluster, peer: &str, channel: &str) -> Result<Self, String> {
        let node = cluster.node(peer);
        let folder = cluster.folder().join(format!("chain-{channel}-{peer}"));
        let out = folder.display().to_string();
        let client = cluster.user(&node.org, "client");
        let lines = client.json_lines(&["--at", &node.api, "blocks", channel, "all", "--out", &out])?;
        let mut hashes = Vec::new();
        for line in lines {
            if line["number"].as_u64() != Some(hashes.len() as u64) {
                return Err(format!("{peer} serves {line} where block {} was due", hashes.len()));
            }
            hashes.push(line["hash"].as_str().unwrap_or_default().to_owned());
        }
        Ok(Self { folder, hashes })
    }

    fn block(&self, number: usize) -> Result<Vec<u8>, String> {
        let file = self.folder.join(format!("{number}.block"));
        fs::read(&file).map_err(|error| format!("cannot read {}: {error}", file.display()))
    }

    /// Where every envelope after block 0 stands, and the bytes of all blocks.
    fn places(&self) -> Result<(Places, u64), String> {
        let mut places = Places::new();
        let mut bytes = 0;
        for number in 1..self.hashes.len() {
            let encoded = self.block(number)?;
            bytes += encoded.len() as u64;
            let failed = |error: &dyn std::fmt::Display| format!("block {number}: {error}");
            let block = Block::decode(Bytes::from(encoded)).map_err(|error| failed(&error))?;
            let block = VerifiedBlock::from_store(block).map_err(|error| failed(&error))?;
            for (index, envelope) in (0_u64..).zip(block.envelopes()) {
                let id = Envelope::decode(envelope).map_err(|error| failed(&error))?.id().to_string();
                if let Some((earlier, _)) = places.insert(id.clone(), (number as u64, index)) {
                    return Err(format!("envelope {id} stands in block {earlier} and again in {number}"));
                }
            }
        }
        Ok((places, bytes))
    }

    fn require_equal(&self, other: &Self, own: &str, others: &str) -> Result<(), String> {
        if self.hashes.len() != other.hashes.len() {
            let (mine, theirs) = (self.hashes.len(), other.hashes.len());
            return Err(format!("{own} serves {mine} blocks, {others} {theirs}"));
        }
        for number in 0..self.hashes.len() {
            if self.block(number)? != other.block(number)? {
                return Err(format!("{own} and {others} serve other bytes as block {number}"));
            }
        }
        Ok(())
    }

    fn remove(&self) {
        remove(&self.folder);
    }
}

/// Removes what the temporary folder's end would remove too; a failure changes nothing.
fn remove(folder: &Path) {
    let _ = fs::remove_dir_all(folder);
}

fn check_places(channel: &str, places: &Places, answers: &Answers) -> Result<(), String> {
    for (id, block, index) in answers.accepted.values() {
        match places.get(id) {
            Some(place) if *place == (*block, *index) => {}
            found => {
                return Err(format!(
                    "{channel}: envelope {id} was acknowledged at block {block}, index {index}, \
                     and stands at {found:?}"
                ));
            }
        }
    }
    let (stand, acknowledged) = (places.len(), answers.accepted.len());
    match stand == acknowledged {
        true => Ok(()),
        false => {
            Err(format!("{channel}: {stand} envelopes stand in the chain, {acknowledged} were acknowledged"))
        }
    }
}
