//! `--wait`: the own org's peer serves, verified, every envelope at the place that the orderer promised.

use super::report::Accepted;
use super::{Exit, Failure, Session};
use crate::blocks::{BlockStream, Range, Start, Stop, StreamError};
use crate::verify::ChainVerifier;
use ledgercast_protocol::channel::Genesis;
use ledgercast_protocol::ledger::{Envelope, EnvelopeId, VerifiedBlock};
use std::time::Duration;

/// Reads the blocks from the first promised place to the last, waiting for those that the peer has not yet.
pub(in crate::commands) async fn until_committed(
    session: &Session,
    genesis: &Genesis,
    accepted: Option<&Accepted>,
    timeout: Duration,
) -> Result<(), Failure> {
    let Some(accepted) = accepted else { return Ok(()) };
    let places = (accepted.first_key_value(), accepted.last_key_value());
    let (Some((first, _)), Some((last, _))) = places else { return Ok(()) };
    let range = Range { start: Start::At(first.0), stop: Stop::At(last.0) };
    let connection = session.connect_for(genesis).await?;
    let verifier = ChainVerifier::from_number(genesis.clone(), first.0);
    let reading = async {
        let mut stream = BlockStream::open(&connection, verifier, range).await.map_err(StreamError::Call)?;
        while let Some(block) = stream.next().await? {
            check(&block, accepted)?;
        }
        Ok::<(), Failure>(())
    };
    tokio::time::timeout(timeout, reading).await.unwrap_or_else(|_| {
        let endpoint = connection.endpoint();
        Err(Failure::new(
            Exit::Unavailable,
            format!("{endpoint} has not committed block {} after {timeout:?}, which the orderer has", last.0),
        )
        .cure("the envelopes are ordered; see `ledgercast channel list` for how far the peer is"))
    })
}

fn check(block: &VerifiedBlock, accepted: &Accepted) -> Result<(), Failure> {
    let number = block.number();
    let ids: Vec<Option<EnvelopeId>> =
        block.envelopes().map(|part| Envelope::decode(part).ok().map(|envelope| envelope.id())).collect();
    let missing = accepted
        .range((number, 0)..=(number, u32::MAX))
        .find(|((_, index), id)| ids.get(*index as usize).copied().flatten() != Some(**id));
    match missing {
        None => Ok(()),
        Some(((_, index), id)) => Err(Failure::new(
            Exit::Failed,
            format!(
                "block {number} does not hold envelope {id} at index {index}, where the orderer said it is"
            ),
        )
        .cure("the orderer broke its promise: keep this output as evidence and ask its operator")),
    }
}
