//! Describes a world before it starts: organisations, peers, channels, links, configuration, who knows whom
//! at first.

use crate::chain::{Founding, SourceChain};
use crate::checks::{Checks, Disclosure, Failure};
use crate::clock::Clock;
use crate::disk::{Disk, DiskSettings};
use crate::feeds::Orderers;
use crate::identities::Org;
use crate::links::{LinkSettings, Wire};
use crate::node::{Node, NodeId};
use crate::queue::{Queue, Scheduled};
use crate::random::Random;
use crate::trace::Trace;
use crate::traffic::Traffic;
use crate::verifier::Verifier;
use crate::world::World;
use ledgercast_protocol::peer::PeerConfig;
use ledgercast_protocol::types::{ChannelId, Endpoint};
use ledgercast_protocol::{leadership, membership, peer, session, standing, state_info};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

type Configure = Box<dyn Fn(NodeId, &mut PeerConfig)>;
type Bootstrap = Box<dyn Fn(NodeId) -> Vec<NodeId>>;
type StartAt = Box<dyn Fn(NodeId) -> Option<Duration>>;
type Joins = Box<dyn Fn(NodeId, &str) -> bool>;

/// A world that is not built yet.
pub struct WorldBuilder {
    seed: u64,
    org_sizes: Vec<usize>,
    channels: Vec<(String, Vec<usize>)>,
    links: LinkSettings,
    disk: DiskSettings,
    has_anchors: bool,
    followers: usize,
    configure: Configure,
    bootstrap: Option<Bootstrap>,
    start_at: StartAt,
    joins: Joins,
    certified_until: StartAt,
    unit: Box<dyn Fn(NodeId) -> Option<&'static str>>,
}

impl WorldBuilder {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            seed,
            org_sizes: vec![1],
            channels: Vec::new(),
            links: LinkSettings::default(),
            disk: DiskSettings::default(),
            has_anchors: true,
            followers: 0,
            configure: Box::new(|_, _| {}),
            bootstrap: None,
            start_at: Box::new(|_| Some(Duration::ZERO)),
            joins: Box::new(|_, _| true),
            certified_until: Box::new(|_| None),
            unit: Box::new(|_| None),
        }
    }

    /// One org for each number, with so many peers.
    #[must_use]
    pub fn orgs(mut self, peers: &[usize]) -> Self {
        self.org_sizes = peers.to_vec();
        self
    }

    /// A channel of these orgs, counted from zero. All their peers join it at their start unless told
    /// otherwise.
    #[must_use]
    pub fn channel(mut self, name: &str, orgs: &[usize]) -> Self {
        self.channels.push((name.to_owned(), orgs.to_vec()));
        self
    }

    /// The wires.
    #[must_use]
    pub fn links(mut self, links: LinkSettings) -> Self {
        self.links = links;
        self
    }

    /// All nodes' disks.
    #[must_use]
    pub fn disk(mut self, disk: DiskSettings) -> Self {
        self.disk = disk;
        self
    }

    /// Channel configs name no anchor peers.
    #[must_use]
    pub fn without_anchors(mut self) -> Self {
        self.has_anchors = false;
        self
    }

    /// Channel configs name so many followers beside the one orderer that signs.
    #[must_use]
    pub fn followers(mut self, count: usize) -> Self {
        self.followers = count;
        self
    }

    /// Changes the configuration of each node; the default is the product's.
    #[must_use]
    pub fn configure(mut self, configure: impl Fn(NodeId, &mut PeerConfig) + 'static) -> Self {
        self.configure = Box::new(configure);
        self
    }

    /// Whom each node contacts first; the default is the first two peers of its org.
    #[must_use]
    pub fn bootstrap(mut self, bootstrap: impl Fn(NodeId) -> Vec<NodeId> + 'static) -> Self {
        self.bootstrap = Some(Box::new(bootstrap));
        self
    }

    /// When each node starts; `None`: not by itself. The default is at once.
    #[must_use]
    pub fn start_at(mut self, start_at: impl Fn(NodeId) -> Option<Duration> + 'static) -> Self {
        self.start_at = Box::new(start_at);
        self
    }

    /// Which node joins which of its org's channels at its start; the default is all.
    #[must_use]
    pub fn joins(mut self, joins: impl Fn(NodeId, &str) -> bool + 'static) -> Self {
        self.joins = Box::new(joins);
        self
    }

    /// The last second in which each node's certificate is valid; `None`, the default: for years.
    #[must_use]
    pub fn certified_until(mut self, until: impl Fn(NodeId) -> Option<Duration> + 'static) -> Self {
        self.certified_until = Box::new(until);
        self
    }

    /// The unit beside its role's that each node's certificate names; `None`, the default: none.
    #[must_use]
    pub fn units(mut self, unit: impl Fn(NodeId) -> Option<&'static str> + 'static) -> Self {
        self.unit = Box::new(unit);
        self
    }

    /// Builds the world; nothing has happened in it yet.
    ///
    /// # Errors
    /// [`Failure`] when a store refuses its channels.
    ///
    /// # Panics
    /// When the description contradicts itself: a channel of an org that is not there, a name that is not
    /// allowed.
    pub fn build(self) -> Result<World, Failure> {
        let mut random = Random::new(self.seed, 0);
        let mut certifying = Random::new(self.seed, 1);
        let orgs: Vec<Org> = (0..self.org_sizes.len())
            .map(|index| Org::create(index, &mut certifying).expect("a fixed validity can be certified"))
            .collect();
        let mut channels: Vec<SourceChain> =
            self.channels.iter().map(|channel| self.found(channel, &orgs, &mut certifying)).collect();
        let network = random.seed();
        let nodes = self.nodes(&orgs, network, &mut certifying);
        for chain in &mut channels {
            for org in &orgs {
                chain.add_admin(org).expect("a fixed validity can be certified");
            }
        }
        let node_of_member = nodes.iter().enumerate().map(|(index, node)| (node.member(), NodeId(index)));
        let mut world = World {
            seed: self.seed,
            now: Duration::ZERO,
            queue: Queue::default(),
            node_of_member: node_of_member.collect(),
            orgs,
            nodes,
            connections: BTreeMap::new(),
            last_connection: 0,
            links: self.links.clone(),
            groups: None,
            is_orderer_split: false,
            orderer_cut_from: BTreeSet::new(),
            channels,
            orderers: Orderers::default(),
            verifier: Verifier::new(Random::new(self.seed, 2)),
            checks: Checks::default(),
            liars: BTreeSet::new(),
            crimes: BTreeMap::new(),
            floods: Vec::new(),
            deaf: BTreeSet::new(),
            trace: Trace::new(self.seed),
            traffic: Traffic::default(),
            inspector: None,
            deliveries: 0,
            routes: BTreeMap::new(),
            events_at_instant: 0,
            outputs: Vec::new(),
            random,
        };
        world.checks.disclosure = Disclosure::of(&world.nodes);
        self.enter_channels(&mut world)?;
        for node in world.node_ids().filter(|node| (self.certified_until)(*node).is_some()) {
            world.checks.evictions.set_outcast(node);
        }
        for node in world.node_ids() {
            if let Some(at) = (self.start_at)(node) {
                world.queue.push(at, Scheduled::Start(node));
            }
        }
        Ok(world)
    }

    fn found(
        &self,
        (name, members): &(String, Vec<usize>),
        orgs: &[Org],
        random: &mut Random,
    ) -> SourceChain {
        let anchors = members.iter().map(|org| match self.has_anchors {
            true => vec![external_endpoint(*org, 0).to_string()],
            false => Vec::new(),
        });
        let founding = Founding {
            name,
            orgs: members.iter().map(|org| &orgs[*org]).collect(),
            anchors: anchors.collect(),
            followers: self.followers,
        };
        let seed = u64::from_be_bytes(random.seed()[..8].try_into().expect("eight of 32 bytes"));
        SourceChain::found(&founding, Random::new(seed, 3)).expect("the scenario describes a valid channel")
    }

    fn nodes(&self, orgs: &[Org], network: [u8; 32], random: &mut Random) -> Vec<Node> {
        let places: Vec<(usize, usize)> = self
            .org_sizes
            .iter()
            .enumerate()
            .flat_map(|(org, size)| (0..*size).map(move |peer| (org, peer)))
            .collect();
        places
            .iter()
            .enumerate()
            .map(|(index, place)| self.node(NodeId(index), *place, &places, orgs, network, random))
            .collect()
    }

    fn node(
        &self,
        id: NodeId,
        (org, peer): (usize, usize),
        places: &[(usize, usize)],
        orgs: &[Org],
        network: [u8; 32],
        random: &mut Random,
    ) -> Node {
        let first = places.iter().position(|place| place.0 == org).map_or(id, NodeId);
        let second = NodeId(first.0 + 1);
        let known = match &self.bootstrap {
            Some(bootstrap) => bootstrap(id),
            None => vec![first, second],
        };
        let endpoint_of = |node: &NodeId| {
            let (known_org, known_peer) = *places.get(node.0)?;
            Some(internal_endpoint(known_org, known_peer))
        };
        let known = known.iter().filter(|node| **node != id).filter_map(endpoint_of);
        let mut config = default_config(network, (org, peer), known.collect());
        (self.configure)(id, &mut config);
        let name = format!("peer{peer}.org{}", org + 1);
        let (until, unit) = ((self.certified_until)(id), (self.unit)(id));
        let credentials =
            orgs[org].enrol_peer(&name, (until, unit), random).expect("a fixed validity can be certified");
        Node {
            name,
            org,
            credentials,
            config,
            clock: Clock::default(),
            disk: Disk::new(self.disk),
            joined: BTreeSet::new(),
            process: None,
            life: 0,
            uplink: Wire::default(),
            downlink: Wire::default(),
            events: Vec::new(),
            refusals: BTreeMap::new(),
            verifications: BTreeMap::new(),
        }
    }

    /// Puts block 0 of their channels on the nodes' disks, and notes who is entitled to what.
    fn enter_channels(&self, world: &mut World) -> Result<(), Failure> {
        let ids: Vec<ChannelId> = world.channels.iter().map(SourceChain::id).collect();
        for (channel, (name, orgs)) in ids.into_iter().zip(&self.channels) {
            let entitled: BTreeSet<NodeId> =
                world.node_ids().filter(|node| orgs.contains(&world.nodes[node.0].org)).collect();
            for node in entitled.iter().filter(|node| (self.joins)(**node, name)) {
                world.create_stored_channel(*node, channel)?;
                world.nodes[node.0].joined.insert(channel);
            }
            world.checks.isolation.found(channel, entitled);
            world.orderers.released.insert(channel, 1);
        }
        Ok(())
    }
}

impl std::fmt::Debug for WorldBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WorldBuilder").field("seed", &self.seed).finish_non_exhaustive()
    }
}

fn internal_endpoint(org: usize, peer: usize) -> Endpoint {
    format!("peer{peer}.org{}.internal:7051", org + 1).parse().expect("a host and a port")
}

pub(crate) fn external_endpoint(org: usize, peer: usize) -> Endpoint {
    format!("peer{peer}.org{}.example:7051", org + 1).parse().expect("a host and a port")
}

fn default_config(network: [u8; 32], (org, peer): (usize, usize), bootstrap: Vec<Endpoint>) -> PeerConfig {
    PeerConfig {
        network,
        internal_endpoint: internal_endpoint(org, peer),
        external_endpoint: Some(external_endpoint(org, peer)),
        bootstrap,
        session: session::Config::default(),
        standing: standing::Config::default(),
        membership: membership::Config::default(),
        state_info: state_info::Config::default(),
        leadership: leadership::Config::default(),
        channel: peer::channel::Settings::default(),
    }
}
