//! Carries out what the protocol's peer wants, after the crime has had its way with each frame.

use crate::crimes::{Crime, Scene, Sending};
use anyhow::Context as _;
use ledgercast_crypto::msp::Msp;
use ledgercast_node::clock::Clock;
use ledgercast_node::config::{self, PeerFile};
use ledgercast_node::network::{
    DialFailure, Network, NetworkConfig, NetworkEvent, NetworkEvents, NetworkHandle,
};
use ledgercast_protocol::channel::Genesis;
use ledgercast_protocol::input::Command;
use ledgercast_protocol::ledger::CertifiedHeader;
use ledgercast_protocol::peer::{OwnIdentity, Peer, RestoredState};
use ledgercast_protocol::store::{BlockStore, MemoryStore};
use ledgercast_protocol::types::{BlockNumber, ChannelId, ChannelName, Endpoint};
use ledgercast_protocol::wire::CertificateChain;
use ledgercast_protocol::{Input, Monotonic, Output, Timer};
use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

/// How often the crime may act by itself.
const ACT_INTERVAL: Duration = Duration::from_millis(50);

const REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// Nothing is due: look again then.
const REST: Duration = Duration::from_secs(3600);

pub(crate) struct Driver {
    clock: Clock,
    peer: Peer,
    network: NetworkHandle,
    events: NetworkEvents,
    store: MemoryStore,
    timers: BTreeMap<Timer, Monotonic>,
    dials: BTreeMap<u64, Endpoint>,
    dial_next: u64,
    /// What follows from an output, handled after the step that is under way.
    inputs: VecDeque<Input>,
    crime: Box<dyn Crime>,
    scene: Scene,
}

/// Reads a genesis file.
pub(crate) fn genesis(file: &Path) -> anyhow::Result<Genesis> {
    let block = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    Genesis::decode(block.into()).with_context(|| format!("{} is no genesis file", file.display()))
}

impl Driver {
    /// Starts the transport under a peer's identity and joins the channels; needs a tokio runtime around it.
    pub(crate) fn start(home: &Path, join: &[PathBuf], crime: Box<dyn Crime>) -> anyhow::Result<Self> {
        let clock = Clock::start();
        let now = clock.now();
        let file: PeerFile = config::load(&home.join("peer.toml"))?;
        let protocol = file.protocol_config();
        let protocol = protocol
            .map_err(|wrong| anyhow::anyhow!("[{}] {}: {}", wrong.section, wrong.key, wrong.error))?;
        let msp = Msp::load(&home.join("msp"))?;
        let own = OwnIdentity {
            identity: msp.identity(now.wall.as_seconds())?,
            chain: CertificateChain {
                certificate: msp.certificate.clone(),
                intermediates: msp.chain.clone(),
            },
            key: msp.key.clone(),
            roster: Arc::new(msp.roster()?),
        };
        let (network, events) = Network::start(NetworkConfig {
            listen: file.peer.listen.clone(),
            key: msp.key.clone(),
            network_id: protocol.network.to_vec(),
            limits: file.network.to_config(),
        })?;
        let scene = Scene {
            key: msp.key,
            member: own.identity.member,
            network: protocol.network,
            wall: now.wall,
            sessions: BTreeMap::new(),
        };
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|error| anyhow::anyhow!("no random bytes: {error}"))?;
        let peer = Peer::new(protocol, own, RestoredState::default(), now, seed);
        let mut driver = Self {
            clock,
            peer,
            network,
            events,
            store: MemoryStore::new(),
            timers: BTreeMap::new(),
            dials: BTreeMap::new(),
            dial_next: 0,
            inputs: VecDeque::new(),
            crime,
            scene,
        };
        driver.step(Input::Start);
        for (index, file) in join.iter().enumerate() {
            let genesis = genesis(file)?;
            let name: ChannelName = format!("channel{index}").parse()?;
            driver.store.create_channel(&name, &genesis)?;
            driver.step(Input::Command(Command::Join { name, genesis, is_newcomer: false }));
        }
        Ok(driver)
    }

    /// Runs until the transport ends or the process is ended.
    pub(crate) async fn run(mut self) -> anyhow::Result<()> {
        let mut acts = interval(ACT_INTERVAL);
        acts.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut reports = interval(REPORT_INTERVAL);
        loop {
            self.pass_due_timers();
            let next = self.timers.values().min().map(|at| self.clock.instant(*at));
            tokio::select! {
                event = self.events.recv() => match event {
                    Some(event) => self.on_network(event),
                    None => anyhow::bail!("the transport has ended"),
                },
                () = sleep_until(next.unwrap_or_else(|| Instant::now() + REST)) => {}
                _ = acts.tick() => self.act(),
                _ = reports.tick() => println!("{}", self.crime.report()),
            }
        }
    }

    fn act(&mut self) {
        self.scene.wall = self.clock.now().wall;
        for Sending { session, lane, frame } in self.crime.act(&self.scene) {
            // A full lane or a lost session is what a crime must expect.
            let _ = self.network.send(session, lane, frame);
        }
    }

    fn pass_due_timers(&mut self) {
        let now = self.clock.now().monotonic;
        let due: Vec<Timer> =
            self.timers.iter().filter(|(_, at)| **at <= now).map(|(timer, _)| *timer).collect();
        for timer in due {
            self.timers.remove(&timer);
            self.step(Input::TimerDue(timer));
        }
    }

    fn on_network(&mut self, event: NetworkEvent) {
        match event {
            NetworkEvent::Listening { .. } => {}
            NetworkEvent::Opened { session, key, dial, .. } => {
                let dialed = dial.and_then(|dial| self.dials.remove(&dial));
                self.scene.sessions.insert(session, None);
                self.step(Input::Opened { session, key, dialed });
            }
            NetworkEvent::Frame { session, lane, frame } => {
                self.crime.heard(session, &frame);
                self.step(Input::Received { session, lane, frame });
                self.scene.sessions.insert(session, self.peer.member_of(session));
            }
            NetworkEvent::Closed { session, .. } => {
                self.scene.sessions.remove(&session);
                self.crime.lost(session);
                self.step(Input::Closed { session });
            }
            NetworkEvent::DialFailed { dial, cause } => {
                if let Some(endpoint) = self.dials.remove(&dial) {
                    let is_refused = matches!(cause, DialFailure::RefusedByOs(_));
                    self.step(Input::DialFailed { endpoint, is_refused });
                }
            }
        }
    }

    fn step(&mut self, input: Input) {
        self.inputs.push_back(input);
        while let Some(input) = self.inputs.pop_front() {
            let mut outputs = Vec::new();
            self.peer.handle(self.clock.now(), input, &mut outputs);
            outputs.into_iter().for_each(|output| self.carry_out(output));
        }
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::Send { session, lane, frame, .. } => {
                for frame in self.crime.alter(session, frame) {
                    let _ = self.network.send(session, lane, frame);
                }
            }
            Output::Dial { endpoint, expect } => {
                let dial = self.dial_next;
                self.dial_next += 1;
                match self.network.dial(dial, endpoint.as_str(), expect) {
                    Ok(()) => {
                        self.dials.insert(dial, endpoint);
                    }
                    Err(_) => self.inputs.push_back(Input::DialFailed { endpoint, is_refused: false }),
                }
            }
            Output::Close { session, .. } => self.network.close(session),
            Output::SetTimer { timer, at } => {
                self.timers.insert(timer, at);
            }
            Output::Verify(job) => self.inputs.push_back(Input::Judged(job.run())),
            Output::Commit(block) => {
                let (channel, through) = (block.header().channel(), block.number());
                self.inputs.push_back(match self.store.append(&[block]) {
                    Ok(()) => Input::Committed { channel, through },
                    Err(error) => Input::CommitFailed { channel, number: through, error },
                });
            }
            Output::ReadBlock { channel, number } => {
                let block = self.store.read(channel, number).unwrap_or_default();
                self.inputs.push_back(Input::BlockRead { channel, number, block });
            }
            Output::ReadHeaders { channel, asker, first, count } => {
                let headers = self.headers(channel, first, count);
                self.inputs.push_back(Input::HeadersRead { channel, asker, first, headers });
            }
            Output::OpenFeed { channel, feed, .. } => {
                let cause = "this program pulls from no orderer".to_owned();
                self.inputs.push_back(Input::FeedEnded { channel, feed, cause });
            }
            Output::Save { .. } | Output::ExtendFeed { .. } | Output::CloseFeed { .. } | Output::Event(_) => {
            }
        }
    }

    fn headers(&self, channel: ChannelId, first: BlockNumber, count: u32) -> Vec<CertifiedHeader> {
        (0..u64::from(count))
            .map_while(|offset| {
                let bytes = self.store.read_header(channel, first.saturating_add(offset)).ok()??;
                CertifiedHeader::decode(bytes).ok()
            })
            .collect()
    }
}
