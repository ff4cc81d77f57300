//! The sequencer with a store, a clock and verifiers that the test stops and lets go.

mod bounds;
mod cutting;
mod failure;
mod idempotence;
mod refusals;
mod revocation;
mod updates;

use super::{
    Config, EnvelopeJob, Input, Nonces, OpenChannel, Output, Sequencer, SubmitAnswer, SubmitRefusal, Ticket,
};
use crate::channel::ChannelConfig;
use crate::ledger::{Envelope, EnvelopeId, VerifiedBlock};
use crate::store::suite::{Chain, Creator};
use crate::store::{BlockStore, EnvelopePosition, MemoryStore, config_history};
use crate::time::{Monotonic, Now, WallTime};
use crate::types::{BlockNumber, ChannelId};
use crate::wire::CertificateChain;
use bytes::Bytes;
use ledgercast_crypto::SecretKey;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

const WALL_MS: u64 = 1_750_000_000_000;

/// A sequencer whose outputs are carried out at once, unless they are held.
struct Bench {
    sequencer: Sequencer,
    store: MemoryStore,
    now: Now,
    config: Config,
    answers: BTreeMap<Ticket, SubmitAnswer>,
    tickets: u64,
    timers: BTreeMap<ChannelId, Monotonic>,
    /// Every block made, in order.
    blocks: Vec<VerifiedBlock>,
    is_holding_verdicts: bool,
    held_jobs: Vec<EnvelopeJob>,
    is_holding_commits: bool,
    held_commits: Vec<VerifiedBlock>,
    is_holding_lookups: bool,
    held_lookups: Vec<(ChannelId, EnvelopeId)>,
    configs: Vec<Arc<ChannelConfig>>,
    /// Why channels were halted.
    alarms: Vec<String>,
}

impl Bench {
    fn new(chain: &Chain) -> Self {
        Self::with(chain, Config::default())
    }

    fn with(chain: &Chain, config: Config) -> Self {
        let store = MemoryStore::new();
        store.create_channel(chain.name(), chain.genesis()).unwrap();
        Self::on(chain, config, store)
    }

    /// An orderer with several keys.
    fn with_keys(chain: &Chain, keys: Vec<SecretKey>) -> Self {
        let store = MemoryStore::new();
        store.create_channel(chain.name(), chain.genesis()).unwrap();
        Self::on_keys(chain, Config::default(), keys, store)
    }

    fn on(chain: &Chain, config: Config, store: MemoryStore) -> Self {
        Self::on_keys(chain, config, vec![chain.orderer().clone()], store)
    }

    fn on_keys(chain: &Chain, config: Config, keys: Vec<SecretKey>, store: MemoryStore) -> Self {
        let mut bench = Self {
            sequencer: Sequencer::new(config.clone(), keys),
            store,
            now: Now { monotonic: Monotonic::ZERO, wall: WallTime::from_millis(WALL_MS) },
            config,
            answers: BTreeMap::new(),
            tickets: 0,
            timers: BTreeMap::new(),
            blocks: Vec::new(),
            is_holding_verdicts: false,
            held_jobs: Vec::new(),
            is_holding_commits: false,
            held_commits: Vec::new(),
            is_holding_lookups: false,
            held_lookups: Vec::new(),
            configs: Vec::new(),
            alarms: Vec::new(),
        };
        bench.open(chain).unwrap();
        bench
    }

    /// The process dies and starts anew on what is durable.
    fn restart(self, chain: &Chain) -> Self {
        Self::on(chain, self.config, self.store)
    }

    fn open(&mut self, chain: &Chain) -> Result<(), super::OpenError> {
        let channel = chain.channel();
        let tip = self.store.height(channel).unwrap().tip().unwrap();
        let block = self.store.read(channel, tip).unwrap().unwrap();
        let open = OpenChannel {
            config: config_history(&self.store, chain.genesis()).unwrap().current().clone(),
            tip: VerifiedBlock::from_store(block).unwrap().header().clone(),
            nonces: Nonces::recover(&self.store, channel, self.config.nonces_max).unwrap(),
        };
        self.sequencer.open(open)
    }

    fn submit(&mut self, creator: &Creator, envelope: &Envelope) -> Ticket {
        self.submit_bytes(envelope.encode(), &creator.certificate)
    }

    fn submit_bytes(&mut self, envelope: Bytes, creator: &ledgercast_crypto::Certificate) -> Ticket {
        self.tickets += 1;
        let ticket = Ticket::new(self.tickets);
        let creator = CertificateChain { certificate: creator.clone(), intermediates: Vec::new() };
        self.handle(Input::Submit { ticket, envelope, creator });
        ticket
    }

    /// Submits one transaction of the chain's client for each nonce.
    fn submit_all(&mut self, chain: &Chain, nonces: std::ops::Range<u128>, payload: &[u8]) -> Vec<Ticket> {
        nonces.map(|nonce| self.submit_payload(chain, nonce, payload)).collect()
    }

    /// Submits a transaction of the chain's client.
    fn submit_payload(&mut self, chain: &Chain, nonce: u128, payload: &[u8]) -> Ticket {
        self.submit(chain.client(), &chain.client().envelope(chain.channel(), nonce, payload))
    }

    fn handle(&mut self, input: Input) {
        let mut out = Vec::new();
        self.sequencer.handle(self.now, input, &mut out);
        self.carry_out(out);
    }

    fn carry_out(&mut self, outputs: Vec<Output>) {
        for output in outputs {
            match output {
                Output::Verify(job) if self.is_holding_verdicts => self.held_jobs.push(job),
                Output::Verify(job) => self.handle(Input::Judged(job.run())),
                Output::Find { channel, envelope } if self.is_holding_lookups => {
                    self.held_lookups.push((channel, envelope));
                }
                Output::Find { channel, envelope } => self.find(channel, envelope),
                Output::Commit(block) => {
                    self.blocks.push(block.clone());
                    match self.is_holding_commits {
                        true => self.held_commits.push(block),
                        false => self.commit(block),
                    }
                }
                Output::Halted { cause, .. } => self.alarms.push(cause),
                Output::ConfigChanged { config, .. } => self.configs.push(config),
                Output::SetTimer { channel, at } => {
                    self.timers.insert(channel, at);
                }
                Output::Acknowledge { ticket, answer } => {
                    let earlier = self.answers.insert(ticket, answer);
                    assert_eq!(earlier, None, "{ticket:?} is answered twice");
                }
            }
        }
    }

    fn find(&mut self, channel: ChannelId, envelope: EnvelopeId) {
        let position = self.store.find_envelope(channel, envelope);
        self.handle(Input::Found { channel, envelope, position });
    }

    fn commit(&mut self, block: VerifiedBlock) {
        let (channel, through) = (block.header().channel(), block.number());
        self.store.append(&[block]).unwrap();
        self.handle(Input::Committed { channel, through });
    }

    fn release_verdicts(&mut self) {
        self.is_holding_verdicts = false;
        for job in std::mem::take(&mut self.held_jobs) {
            self.handle(Input::Judged(job.run()));
        }
    }

    fn release_commits(&mut self) {
        // Blocks that are made meanwhile come behind those that are held.
        while !self.held_commits.is_empty() {
            let block = self.held_commits.remove(0);
            self.commit(block);
        }
        self.is_holding_commits = false;
    }

    fn release_lookups(&mut self) {
        self.is_holding_lookups = false;
        for (channel, envelope) in std::mem::take(&mut self.held_lookups) {
            self.find(channel, envelope);
        }
    }

    /// Time passes; timers that are due fire.
    fn pass(&mut self, duration: Duration) {
        self.now.monotonic = self.now.monotonic.saturating_add(duration);
        self.now.wall = self.now.wall.saturating_add(duration);
        let now = self.now.monotonic;
        let due = self.timers.iter().filter(|(_, at)| **at <= now).map(|(channel, _)| *channel);
        for channel in due.collect::<Vec<_>>() {
            self.timers.remove(&channel);
            self.handle(Input::TimerDue(channel));
        }
    }

    /// Long enough for every default time-out.
    fn pass_timeout(&mut self) {
        self.pass(Duration::from_millis(200));
    }

    fn answer(&self, ticket: Ticket) -> Option<&SubmitAnswer> {
        self.answers.get(&ticket)
    }

    /// The refusal that a ticket got.
    fn refusal(&self, ticket: Ticket) -> &SubmitRefusal {
        match self.answer(ticket) {
            Some(SubmitAnswer::Refused(refusal)) => refusal,
            other => panic!("{ticket:?} got {other:?}"),
        }
    }

    /// Block and index that a ticket was accepted at.
    fn position(&self, ticket: Ticket) -> (u64, u32) {
        match self.answer(ticket) {
            Some(SubmitAnswer::Accepted { position: EnvelopePosition { block, index }, .. }) => {
                (block.as_u64(), *index)
            }
            other => panic!("{ticket:?} got {other:?}"),
        }
    }

    fn envelope_counts(&self) -> Vec<usize> {
        self.blocks.iter().map(|block| block.envelopes().count()).collect()
    }

    fn load(&self, chain: &Chain) -> super::Load {
        self.status(chain).load
    }

    fn status(&self, chain: &Chain) -> super::Status {
        let mut statuses = self.sequencer.statuses();
        statuses.find(|(channel, _)| *channel == chain.channel()).unwrap().1
    }

    fn height(&self, chain: &Chain) -> u64 {
        self.store.height(chain.channel()).unwrap().as_u64()
    }

    fn fail_commit(&mut self, chain: &Chain, number: u64) {
        let error = crate::store::StoreError::Io("no space left on device".to_owned());
        let (channel, number) = (chain.channel(), BlockNumber::new(number));
        self.handle(Input::CommitFailed { channel, number, error });
    }
}

/// A channel whose blocks hold at most `envelopes` or `bytes`; envelopes up to 1,000 bytes.
fn small_blocks(seed: u8, envelopes: u32, bytes: u32) -> Chain {
    Chain::with(seed, |config| {
        config.limits = Some(crate::wire::proto::ChannelLimits {
            envelope_bytes_max: 1000,
            batch_envelopes_max: envelopes,
            batch_bytes_max: bytes,
            batch_timeout_ms: 200,
        });
    })
}
