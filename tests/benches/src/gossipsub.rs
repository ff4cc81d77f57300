//! The baseline: rust-libp2p's gossipsub, as many swarms as there are peers, all connected with each other.
//!
//! D = 8, signed messages, strict validation, everything else as the library comes, but for the largest
//! message. TCP (no delay), Noise and Yamux, counted like our own transport. The first peer publishes the
//! encoded blocks; receivers check the signature and keep nothing.

use crate::machine;
use crate::network::{Delivery, Network};
use anyhow::{Context as _, bail};
use bytes::Bytes;
use futures::StreamExt as _;
use ledgercast_node::network::{Counted, WireBytes};
use ledgercast_protocol::ledger::VerifiedBlock;
use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::Boxed;
use libp2p::core::upgrade::Version;
use libp2p::identity::Keypair;
use libp2p::swarm::{Config as SwarmConfig, SwarmEvent};
use libp2p::{Multiaddr, PeerId, Swarm, Transport as _, noise, tcp};
use libp2p_gossipsub::{
    Behaviour, ConfigBuilder, Event, IdentTopic, MessageAuthenticity, PublishError, ValidationMode,
};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng as _, SeedableRng as _};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, oneshot};

/// Members of a peer's mesh that gossipsub aims at, and what it takes as too few and too many.
const MESH: usize = 8;
const MESH_LOW: usize = 6;
const MESH_HIGH: usize = 12;

/// The default is 64 KiB.
const MESSAGE_BYTES_MAX: usize = 8 * 1024 * 1024;

const TOPIC: &str = "bench";
const READY_DEADLINE: Duration = Duration::from_secs(120);
const LOOK_INTERVAL: Duration = Duration::from_millis(20);
const STOP_TIMEOUT: Duration = Duration::from_secs(10);
/// Longer than any measurement: connections are never idle to death.
const IDLE_TIMEOUT: Duration = Duration::from_secs(3600);
/// When a publication that found every queue full is tried again.
const RETRY_INTERVAL: Duration = Duration::from_millis(10);
const COMMANDS_MAX: usize = 4096;

/// Running swarms.
pub(crate) struct Gossipsub {
    swarms: Vec<mpsc::Sender<Command>>,
    bytes: Arc<WireBytes>,
    deliveries: Receiver<Delivery>,
    ready_after: Duration,
    runtime: Runtime,
}

enum Command {
    Dial(Multiaddr),
    Publish {
        number: u64,
        block: Bytes,
    },
    /// Connected peers, members of the mesh.
    Standing(oneshot::Sender<(usize, usize)>),
}

struct Task {
    swarm: Swarm<Behaviour>,
    topic: IdentTopic,
    commands: mpsc::Receiver<Command>,
    unpublished: VecDeque<Vec<u8>>,
    deliveries: Sender<Delivery>,
}

impl Gossipsub {
    /// Starts the swarms and waits until all are connected and each has a mesh.
    ///
    /// # Errors
    /// A swarm does not start, or they do not find each other.
    pub(crate) fn start(peers: usize, seed: u64) -> anyhow::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(machine::processors())
            .thread_name(Self::THREADS)
            .enable_all()
            .build()
            .context("cannot start a runtime")?;
        let bytes = Arc::new(WireBytes::default());
        let (recorder, deliveries) = channel();
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let started = Instant::now();
        let swarms = runtime.block_on(async {
            let mut swarms: Vec<mpsc::Sender<Command>> = Vec::new();
            let mut addresses: Vec<Multiaddr> = Vec::new();
            for _ in 0..peers {
                let mut key = [0; 32];
                random.fill_bytes(&mut key);
                let (swarm, address) = start_swarm(key, &bytes, &recorder).await?;
                for earlier in &addresses {
                    swarm.send(Command::Dial(earlier.clone())).await.ok().context("a swarm has ended")?;
                }
                swarms.push(swarm);
                addresses.push(address);
            }
            wait_until_ready(&swarms).await?;
            anyhow::Ok(swarms)
        })?;
        Ok(Self { swarms, bytes, deliveries, ready_after: started.elapsed(), runtime })
    }
}

impl Network for Gossipsub {
    const NAME: &'static str = "gossipsub";
    const THREADS: &'static str = "gossipsub";

    fn ready_after(&self) -> Duration {
        self.ready_after
    }

    fn bytes_sent(&self) -> u64 {
        self.bytes.totals().1
    }

    fn release(&mut self, block: &VerifiedBlock) -> Instant {
        let number = block.number().as_u64();
        let block = block.to_block().encode();
        let at = Instant::now();
        let publish = Command::Publish { number, block };
        self.swarms[0].blocking_send(publish).expect("the swarm runs until this is dropped");
        at
    }

    fn deliveries_per_block(&self) -> usize {
        self.swarms.len() - 1
    }

    fn deliveries(&self) -> &Receiver<Delivery> {
        &self.deliveries
    }

    fn stop(self) {
        drop(self.swarms);
        self.runtime.shutdown_timeout(STOP_TIMEOUT);
    }
}

async fn start_swarm(
    key: [u8; 32],
    bytes: &Arc<WireBytes>,
    recorder: &Sender<Delivery>,
) -> anyhow::Result<(mpsc::Sender<Command>, Multiaddr)> {
    let keypair = Keypair::ed25519_from_bytes(key)?;
    let config = ConfigBuilder::default()
        .mesh_n(MESH)
        .mesh_n_low(MESH_LOW)
        .mesh_n_high(MESH_HIGH)
        .validation_mode(ValidationMode::Strict)
        .max_transmit_size(MESSAGE_BYTES_MAX)
        .build()?;
    let authenticity = MessageAuthenticity::Signed(keypair.clone());
    let mut behaviour = Behaviour::new(authenticity, config).map_err(anyhow::Error::msg)?;
    let topic = IdentTopic::new(TOPIC);
    behaviour.subscribe(&topic)?;
    let config = SwarmConfig::with_tokio_executor().with_idle_connection_timeout(IDLE_TIMEOUT);
    let transport = transport(&keypair, bytes)?;
    let mut swarm = Swarm::new(transport, behaviour, keypair.public().to_peer_id(), config);
    swarm.listen_on("/ip4/127.0.0.1/tcp/0".parse()?)?;
    let address = loop {
        if let SwarmEvent::NewListenAddr { address, .. } = swarm.select_next_some().await {
            break address;
        }
    };
    let (sender, commands) = mpsc::channel(COMMANDS_MAX);
    let deliveries = recorder.clone();
    tokio::spawn(Task { swarm, topic, commands, unpublished: VecDeque::new(), deliveries }.run());
    Ok((sender, address))
}

fn transport(
    keypair: &Keypair,
    bytes: &Arc<WireBytes>,
) -> Result<Boxed<(PeerId, StreamMuxerBox)>, noise::Error> {
    let bytes = Arc::clone(bytes);
    let transport = tcp::tokio::Transport::new(tcp::Config::new().nodelay(true))
        .map(move |stream, _| Counted::new(stream, bytes))
        .upgrade(Version::V1Lazy)
        .authenticate(noise::Config::new(keypair)?)
        .multiplex(libp2p_yamux::Config::default());
    Ok(transport.boxed())
}

impl Task {
    async fn run(mut self) {
        let mut retry = tokio::time::interval(RETRY_INTERVAL);
        loop {
            tokio::select! {
                command = self.commands.recv() => match command {
                    Some(command) => self.handle(command),
                    None => return,
                },
                event = self.swarm.select_next_some() => self.on_event(event),
                _ = retry.tick(), if !self.unpublished.is_empty() => self.publish(),
            }
        }
    }

    fn handle(&mut self, command: Command) {
        match command {
            Command::Dial(address) => {
                if let Err(error) = self.swarm.dial(address) {
                    eprintln!("gossipsub: dial: {error}");
                }
            }
            Command::Publish { number, block } => {
                // The number stands in front, so that receivers need not decode the block.
                self.unpublished.push_back([&number.to_be_bytes(), &block[..]].concat());
                self.publish();
            }
            Command::Standing(answer) => {
                let mesh = self.swarm.behaviour().mesh_peers(&self.topic.hash()).count();
                // Who asks waits for the answer.
                let _ = answer.send((self.swarm.connected_peers().count(), mesh));
            }
        }
    }

    /// Publishes what waits, in order; what finds all queues full waits on.
    fn publish(&mut self) {
        while let Some(data) = self.unpublished.pop_front() {
            match self.swarm.behaviour_mut().publish(self.topic.hash(), data.clone()) {
                Ok(_) => {}
                Err(PublishError::AllQueuesFull(_)) => {
                    self.unpublished.push_front(data);
                    return;
                }
                Err(error) => eprintln!("gossipsub: publish: {error}"),
            }
        }
    }

    fn on_event(&mut self, event: SwarmEvent<Event>) {
        let SwarmEvent::Behaviour(Event::Message { message, .. }) = event else { return };
        let Some(number) = message.data.first_chunk().map(|bytes| u64::from_be_bytes(*bytes)) else { return };
        let arrived = Instant::now();
        let delivery = Delivery { number, arrived, durable: None, route: None, duplicate_bytes: 0 };
        // Nobody receives any more once the measurement has ended.
        let _ = self.deliveries.send(delivery);
    }
}

async fn wait_until_ready(swarms: &[mpsc::Sender<Command>]) -> anyhow::Result<()> {
    let started = Instant::now();
    let others = swarms.len() - 1;
    let mut waiting: Vec<&mpsc::Sender<Command>> = swarms.iter().collect();
    loop {
        let mut lacking = Vec::new();
        for swarm in waiting {
            let (answer, standing) = oneshot::channel();
            swarm.send(Command::Standing(answer)).await.ok().context("a swarm has ended")?;
            let (connected, mesh) = standing.await?;
            if connected < others || mesh < MESH_LOW.min(others) {
                lacking.push(swarm);
            }
        }
        if lacking.is_empty() {
            return Ok(());
        }
        if started.elapsed() > READY_DEADLINE {
            bail!("{} swarms have no full mesh after {READY_DEADLINE:?}", lacking.len());
        }
        waiting = lacking;
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}
