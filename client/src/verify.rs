//! The check of a chain as it comes from a server that is not trusted: quorum, links and bodies of every
//! block. Never lets a block through whose predecessor it does not name.

use crate::checkpoint::Checkpoint;
use crate::config_chain::ConfigChain;
use ledgercast_crypto::Digest;
use ledgercast_protocol::channel::{Genesis, UpdateError};
use ledgercast_protocol::ledger::{Block, BlockError, CertifiedHeader, VerifiedBlock, VerifiedHeader};
use ledgercast_protocol::types::{BlockNumber, ChannelId};
use thiserror::Error;

/// Checks blocks one after the other; a refused one changes nothing.
#[derive(Clone, Debug)]
pub struct ChainVerifier {
    genesis: Genesis,
    configs: ConfigChain,
    expected: Expected,
}

/// What the next block must be.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Expected {
    /// Any block that a quorum certified: links are checked from it on.
    Any,
    /// The block of this number, whatever it links to.
    Number(BlockNumber),
    /// The block after one that is known.
    Next { number: BlockNumber, previous_hash: Digest },
}

/// Why a block is refused.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum VerifyError {
    /// Header, certificate or body are wrong.
    #[error(transparent)]
    Block(#[from] BlockError),
    /// The block's config is not right.
    #[error(transparent)]
    Config(#[from] UpdateError),
    /// Another block than the next one.
    #[error("block {found} came where block {expected} was expected")]
    NotNext {
        /// Its number.
        found: BlockNumber,
        /// The number of the block that comes next.
        expected: BlockNumber,
    },
    /// Block 0 is not the one of our genesis file.
    #[error(
        "block 0 has the hash {found}, our genesis file's is {expected}: another channel of the same name"
    )]
    OtherGenesis {
        /// The hash that came.
        found: Digest,
        /// Our trust anchor.
        expected: Digest,
    },
    /// The checkpoint is of another channel.
    #[error("the checkpoint is of channel {found}, the genesis file's is {expected}")]
    OtherChannel {
        /// The checkpoint's.
        found: ChannelId,
        /// The genesis file's.
        expected: ChannelId,
    },
}

impl ChainVerifier {
    fn new(genesis: Genesis, expected: Expected) -> Self {
        Self { configs: ConfigChain::new(&genesis), genesis, expected }
    }

    /// Expects block 0.
    pub fn from_genesis(genesis: Genesis) -> Self {
        let expected = Expected::Next { number: BlockNumber::GENESIS, previous_hash: Digest::ZERO };
        Self::new(genesis, expected)
    }

    /// Expects the block after a checkpoint.
    ///
    /// # Errors
    /// [`VerifyError::OtherChannel`] when the checkpoint is not of this channel.
    pub fn after(genesis: Genesis, checkpoint: &Checkpoint) -> Result<Self, VerifyError> {
        let (found, expected) = (checkpoint.channel, genesis.channel());
        if found != expected {
            return Err(VerifyError::OtherChannel { found, expected });
        }
        let expected = Expected::Next { number: checkpoint.number.next(), previous_hash: checkpoint.hash };
        Ok(Self::new(genesis, expected))
    }

    /// Expects any block of the channel; those before it are not proven, but every certificate is.
    pub fn from_anywhere(genesis: Genesis) -> Self {
        Self::new(genesis, Expected::Any)
    }

    /// Expects the block of this number; those before it are not proven unless it is block 0.
    pub fn from_number(genesis: Genesis, number: BlockNumber) -> Self {
        match number {
            BlockNumber::GENESIS => Self::from_genesis(genesis),
            _ => Self::new(genesis, Expected::Number(number)),
        }
    }

    /// The channel's genesis block.
    pub fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// The channel's configs, as far as they are known.
    pub fn configs(&self) -> &ConfigChain {
        &self.configs
    }

    /// Takes in a config block, so that blocks above it can be checked.
    ///
    /// # Errors
    /// [`VerifyError`] names what is wrong; nothing has changed.
    pub fn take_config(&mut self, block: Block) -> Result<(), VerifyError> {
        self.configs.take(block)
    }

    /// The number of the next block, if it is known.
    pub fn next_number(&self) -> Option<BlockNumber> {
        match &self.expected {
            Expected::Any => None,
            Expected::Number(number) | Expected::Next { number, .. } => Some(*number),
        }
    }

    /// Checks a whole block.
    ///
    /// # Errors
    /// [`VerifyError`] names the first check that fails.
    pub fn check(&mut self, block: Block) -> Result<VerifiedBlock, VerifyError> {
        self.check_place(&block.header)?;
        let verified = match block.number() {
            BlockNumber::GENESIS => {
                self.check_genesis(block.header.hash()).and_then(|()| Ok(VerifiedBlock::genesis(block)?))?
            }
            _ => {
                let header = VerifiedHeader::try_new(block.header.clone(), self.configs.at(block.number()))?;
                VerifiedBlock::try_new(header, block.body)?
            }
        };
        self.configs.follow(&verified)?;
        self.advance(verified.header());
        Ok(verified)
    }

    /// Checks a header without its body.
    ///
    /// # Errors
    /// [`VerifyError`] names the first check that fails.
    pub fn check_header(&mut self, header: CertifiedHeader) -> Result<VerifiedHeader, VerifyError> {
        self.check_place(&header)?;
        let verified = match header.header.number() {
            BlockNumber::GENESIS => {
                self.check_genesis(header.hash())?;
                self.genesis.block().header().clone()
            }
            number => VerifiedHeader::try_new(header, self.configs.at(number))?,
        };
        self.advance(&verified);
        Ok(verified)
    }

    fn check_place(&self, header: &CertifiedHeader) -> Result<(), VerifyError> {
        let fields = header.header.fields();
        if let Some(expected) = self.next_number().filter(|expected| *expected != fields.number) {
            return Err(VerifyError::NotNext { found: fields.number, expected });
        }
        match &self.expected {
            Expected::Next { previous_hash, .. } if fields.previous_hash != *previous_hash => {
                Err(BlockError::BrokenChain(fields.number).into())
            }
            _ => Ok(()),
        }
    }

    fn check_genesis(&self, found: Digest) -> Result<(), VerifyError> {
        let expected = self.genesis.hash();
        match found == expected {
            true => Ok(()),
            false => Err(VerifyError::OtherGenesis { found, expected }),
        }
    }

    fn advance(&mut self, header: &VerifiedHeader) {
        self.expected = Expected::Next { number: header.number().next(), previous_hash: header.hash() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use ledgercast_protocol::ledger::{Header, HeaderFields, QuorumCertificate};
    use ledgercast_protocol::store::suite::Chain;

    fn chain_of(count: usize) -> (Chain, Vec<Block>) {
        chain_of_seed(7, count)
    }

    fn refusal(verifier: &mut ChainVerifier, block: Block) -> VerifyError {
        let before = verifier.expected.clone();
        let error = verifier.check(block).unwrap_err();
        assert_eq!(verifier.expected, before, "a refused block changes nothing");
        error
    }

    #[test]
    fn a_chain_passes_block_by_block() {
        let (chain, blocks) = chain_of(3);
        let mut verifier = ChainVerifier::from_genesis(chain.genesis().clone());

        for block in blocks {
            let number = block.number();
            assert_eq!(verifier.check(block).unwrap().number(), number);
        }
        assert_eq!(verifier.next_number(), Some(BlockNumber::new(4)));
    }

    #[test]
    fn headers_pass_without_bodies() {
        let (chain, blocks) = chain_of(2);
        let mut verifier = ChainVerifier::from_genesis(chain.genesis().clone());

        for block in blocks {
            verifier.check_header(block.header).unwrap();
        }
        assert_eq!(verifier.next_number(), Some(BlockNumber::new(3)));
    }

    #[test]
    fn an_altered_body_is_refused() {
        let (chain, mut blocks) = chain_of(1);
        let mut verifier = ChainVerifier::from_number(chain.genesis().clone(), BlockNumber::new(1));
        let mut body = blocks[1].body.to_vec();
        *body.last_mut().unwrap() ^= 1;
        blocks[1].body = Bytes::from(body);

        let error = refusal(&mut verifier, blocks.remove(1));

        assert_eq!(error, BlockError::BodyRoot(BlockNumber::new(1)).into());
    }

    #[test]
    fn an_altered_header_is_refused() {
        let (chain, mut blocks) = chain_of(1);
        let mut verifier = ChainVerifier::from_number(chain.genesis().clone(), BlockNumber::new(1));
        let fields = blocks[1].header.header.fields().clone();
        blocks[1].header.header = Header::new(HeaderFields { body_root: Digest::of(b"mine"), ..fields });

        let error = refusal(&mut verifier, blocks.remove(1));

        assert!(matches!(error, VerifyError::Block(BlockError::Certificate { .. })), "{error}");
    }

    #[test]
    fn a_block_certified_by_somebody_else_is_refused() {
        let (chain, mut blocks) = chain_of(1);
        let mut verifier = ChainVerifier::from_number(chain.genesis().clone(), BlockNumber::new(1));
        let stranger = ledgercast_crypto::SecretKey::from_seed([99; 32]);
        let hash = blocks[1].header.hash();
        blocks[1].header.certificate = Some(QuorumCertificate::sign(chain.channel(), hash, 0, &stranger));

        let error = refusal(&mut verifier, blocks.remove(1));

        assert!(matches!(error, VerifyError::Block(BlockError::Certificate { .. })), "{error}");
    }

    #[test]
    fn a_gap_and_a_repetition_are_refused() {
        let (chain, blocks) = chain_of(2);
        let mut verifier = ChainVerifier::from_genesis(chain.genesis().clone());
        verifier.check(blocks[0].clone()).unwrap();

        let expected = BlockNumber::new(1);
        let gap = refusal(&mut verifier, blocks[2].clone());
        let again = refusal(&mut verifier, blocks[0].clone());

        assert_eq!(gap, VerifyError::NotNext { found: BlockNumber::new(2), expected });
        assert_eq!(again, VerifyError::NotNext { found: BlockNumber::GENESIS, expected });
    }

    #[test]
    fn another_genesis_block_is_refused() {
        let (chain, _) = chain_of(0);
        let other = Chain::new(8).genesis().block().to_block();
        let mut verifier = ChainVerifier::from_genesis(chain.genesis().clone());

        let error = refusal(&mut verifier, other);

        assert!(matches!(error, VerifyError::OtherGenesis { .. }), "{error}");
    }

    #[test]
    fn a_block_of_another_channel_is_refused() {
        let (chain, _) = chain_of(0);
        let (_, mut foreign) = chain_of_seed(8, 1);
        let mut verifier = ChainVerifier::from_anywhere(chain.genesis().clone());

        let error = refusal(&mut verifier, foreign.remove(1));

        assert!(matches!(error, VerifyError::Block(BlockError::WrongChannel { .. })), "{error}");
    }

    #[test]
    fn a_checkpoint_resumes_at_the_next_block_and_holds_the_link() {
        let (chain, blocks) = chain_of(2);
        let mut first = ChainVerifier::from_genesis(chain.genesis().clone());
        first.check(blocks[0].clone()).unwrap();
        let checkpoint = Checkpoint::at(first.check(blocks[1].clone()).unwrap().header());
        let forked = Checkpoint { hash: Digest::of(b"another block 1"), ..checkpoint };

        let resumed =
            ChainVerifier::after(chain.genesis().clone(), &checkpoint).unwrap().check(blocks[2].clone());
        let mut broken = ChainVerifier::after(chain.genesis().clone(), &forked).unwrap();

        assert_eq!(resumed.unwrap().number(), BlockNumber::new(2));
        assert_eq!(
            refusal(&mut broken, blocks[2].clone()),
            BlockError::BrokenChain(BlockNumber::new(2)).into()
        );
    }

    #[test]
    fn a_checkpoint_of_another_channel_is_refused() {
        let (chain, _) = chain_of(0);
        let other = Checkpoint::at(Chain::new(8).tip());

        let refused = ChainVerifier::after(chain.genesis().clone(), &other);

        assert!(matches!(refused, Err(VerifyError::OtherChannel { .. })));
    }

    #[test]
    fn config_blocks_change_what_later_blocks_are_checked_by() {
        let (mut chain, mut blocks) = chain_of(1);
        let next = ledgercast_crypto::SecretKey::from_seed([42; 32]);
        let key = Bytes::copy_from_slice(next.public().as_bytes());
        let config_block = chain.update(|config| config.orderers[0].key = key, &[]);
        chain.set_orderer(next);
        blocks.push(config_block.to_block());
        blocks.extend(chain.extend(1).iter().map(VerifiedBlock::to_block));
        let mut whole = ChainVerifier::from_genesis(chain.genesis().clone());
        let mut from_the_middle = ChainVerifier::from_number(chain.genesis().clone(), BlockNumber::new(3));

        let unknown = from_the_middle.check(blocks[3].clone());
        from_the_middle.take_config(config_block.to_block()).unwrap();

        assert!(matches!(unknown, Err(VerifyError::Block(BlockError::WrongConfig { found: 1, .. }))));
        assert!(from_the_middle.check(blocks[3].clone()).is_ok());
        assert!(blocks.into_iter().all(|block| whole.check(block).is_ok()));
        assert_eq!(whole.configs().newest().number(), 1);
    }

    #[test]
    fn a_config_that_nobody_signed_is_refused() {
        let (mut chain, blocks) = chain_of(1);
        let update = chain.changed(|config| config.name = "mine".to_owned());
        let forged = chain.config_block(&update).to_block();
        let mut verifier = ChainVerifier::from_genesis(chain.genesis().clone());
        blocks.into_iter().for_each(|block| drop(verifier.check(block).unwrap()));

        let error = refusal(&mut verifier, forged);

        assert!(matches!(error, VerifyError::Config(UpdateError::TooFew { .. })), "{error}");
    }

    fn chain_of_seed(seed: u8, count: usize) -> (Chain, Vec<Block>) {
        let mut chain = Chain::new(seed);
        let mut blocks = vec![chain.genesis().block().to_block()];
        blocks.extend(chain.extend(count).iter().map(VerifiedBlock::to_block));
        (chain, blocks)
    }
}
