//! An orderer in this process: real threads and clocks, a store in memory whose disk the test can stop and
//! break.

use super::*;
use crate::committer::WriteLimits;
use ledgercast_crypto::OrgRoots;
use ledgercast_protocol::ledger::{Block, EnvelopeId, VerifiedBlock};
use ledgercast_protocol::ordering::SubmitRefusal;
use ledgercast_protocol::store::suite::{Chain, Creator};
use ledgercast_protocol::store::{EnvelopePosition, MemoryStore, MetaKey, StoredChannel};
use ledgercast_protocol::types::{BlockNumber, Height};
use std::future::Future;
use std::path::PathBuf;
use std::sync::Condvar;
use std::sync::Mutex;
use std::time::Duration;

const DEADLINE: Duration = Duration::from_secs(20);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Disk {
    Works,
    Stopped,
    Broken,
}

/// A store whose appends wait or fail on demand.
struct Bench {
    store: MemoryStore,
    disk: Mutex<Disk>,
    changed: Condvar,
}

impl Bench {
    fn new() -> Arc<Self> {
        let (store, disk) = (MemoryStore::new(), Mutex::new(Disk::Works));
        Arc::new(Self { store, disk, changed: Condvar::new() })
    }

    fn holding(chains: &[&Chain]) -> Arc<Self> {
        let bench = Self::new();
        for chain in chains {
            bench.store.create_channel(chain.name(), chain.genesis()).expect("new");
        }
        bench
    }

    fn set(&self, disk: Disk) {
        *self.disk.lock().expect("no panic") = disk;
        self.changed.notify_all();
    }

    async fn start(self: &Arc<Self>, chain: &Chain) -> Result<Arc<OrdererNode>, OrdererError> {
        self.start_as(chain, Role::Orderer).await
    }

    async fn start_as(self: &Arc<Self>, chain: &Chain, role: Role) -> Result<Arc<OrdererNode>, OrdererError> {
        OrdererNode::start(OrdererSettings {
            msp: msp(chain, role),
            ordering: ordering::Config::default(),
            verify_threads: 2,
            verify_queue_max: 1000,
            core: CoreLimits::default(),
            writes: WriteLimits::default(),
            store: Arc::clone(self) as Arc<dyn BlockStore>,
            revocations: RevocationFolders {
                folders: ["no/such/folder", "nor/this"].map(PathBuf::from),
                interval: Duration::from_secs(10),
            },
        })
        .await
    }
}

impl BlockStore for Bench {
    fn create_channel(&self, name: &ChannelName, genesis: &Genesis) -> Result<(), StoreError> {
        self.store.create_channel(name, genesis)
    }

    fn remove_channel(&self, channel: ChannelId) -> Result<(), StoreError> {
        self.store.remove_channel(channel)
    }

    fn channels(&self) -> Result<Vec<StoredChannel>, StoreError> {
        self.store.channels()
    }

    fn height(&self, channel: ChannelId) -> Result<Height, StoreError> {
        self.store.height(channel)
    }

    fn append(&self, blocks: &[VerifiedBlock]) -> Result<(), StoreError> {
        let disk = self.disk.lock().expect("no panic");
        let disk = self.changed.wait_while(disk, |disk| *disk == Disk::Stopped).expect("no panic");
        match *disk {
            Disk::Broken => Err(StoreError::Io("the disk is broken".to_owned())),
            _ => self.store.append(blocks),
        }
    }

    fn read(&self, channel: ChannelId, number: BlockNumber) -> Result<Option<Block>, StoreError> {
        self.store.read(channel, number)
    }

    fn read_header(&self, channel: ChannelId, number: BlockNumber) -> Result<Option<Bytes>, StoreError> {
        self.store.read_header(channel, number)
    }

    fn find_envelope(
        &self,
        channel: ChannelId,
        envelope: EnvelopeId,
    ) -> Result<Option<EnvelopePosition>, StoreError> {
        self.store.find_envelope(channel, envelope)
    }

    fn config_blocks(&self, channel: ChannelId) -> Result<Vec<BlockNumber>, StoreError> {
        self.store.config_blocks(channel)
    }

    fn put_meta(&self, key: MetaKey, value: &[u8]) -> Result<(), StoreError> {
        self.store.put_meta(key, value)
    }

    fn meta(&self, key: MetaKey) -> Result<Option<Bytes>, StoreError> {
        self.store.meta(key)
    }
}

/// The identity of the chain's orderer.
fn msp(chain: &Chain, role: Role) -> Msp {
    let seed = *chain.orderer().seed_bytes();
    let Creator { certificate, key } = Creator::enrol(chain.authority(), "orderer1", role, seed);
    let org = OrgRoots::new("org1", vec![chain.authority().certificate().clone()]);
    Msp { org, certificate, chain: Vec::new(), key, other_keys: Vec::new(), tls: None }
}

/// A channel that the orderer of `chain` orders for, with the same org.
fn sibling(seed: u8, chain: &Chain) -> Chain {
    Chain::with(seed, |config| {
        config.orderers[0].key = Bytes::copy_from_slice(chain.orderer().public().as_bytes());
        config.orgs[0].roots = vec![chain.authority().certificate().der().clone()];
    })
}

async fn submit(node: &OrdererNode, creator: &Creator, channel: ChannelId, nonce: u128) -> SubmitAnswer {
    let envelope = creator.envelope(channel, nonce, &nonce.to_be_bytes()).encode();
    let creator = CertificateChain { certificate: creator.certificate.clone(), intermediates: Vec::new() };
    within("an answer", node.submit(envelope, creator)).await.expect("not stopped")
}

async fn within<T>(what: &str, work: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, work).await.unwrap_or_else(|_| panic!("{what} did not come in time"))
}

async fn until(node: &OrdererNode, what: &str, is_reached: impl Fn(&Snapshot) -> bool) {
    within(what, async {
        while !is_reached(&node.snapshot().await.expect("not stopped")) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

fn position(answer: &SubmitAnswer) -> (u64, u32) {
    match answer {
        SubmitAnswer::Accepted { position, .. } => (position.block.as_u64(), position.index),
        other => panic!("got {other:?}"),
    }
}

fn is_refused_as(answer: &SubmitAnswer, kind: &str) -> bool {
    matches!(answer, SubmitAnswer::Refused(refusal) if refusal.kind() == kind)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_acknowledged_is_in_the_store_where_it_was_said_to_be() {
    let chain = Chain::new(1);
    let bench = Bench::holding(&[&chain]);
    let node = bench.start(&chain).await.expect("starts");

    let submissions = (0..60).map(|nonce| submit(&node, chain.client(), chain.channel(), nonce));
    let answers = futures::future::join_all(submissions).await;

    for (nonce, answer) in answers.iter().enumerate() {
        let id = chain.client().envelope(chain.channel(), nonce as u128, &(nonce as u128).to_be_bytes()).id();
        let stored = bench.find_envelope(chain.channel(), id).expect("held").expect("ordered");
        assert_eq!(position(answer), (stored.block.as_u64(), stored.index));
    }
    let height = bench.height(chain.channel()).expect("held").as_u64();
    assert_eq!(node.heights().borrow()[&chain.channel()], height);
    let snapshot = node.snapshot().await.expect("not stopped");
    assert_eq!(snapshot.counters.answers["accepted"], 60);
    assert_eq!(snapshot.counters.blocks + 1, height);
    within("the stop", node.stop()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_goes_on_and_gives_the_same_answers() {
    let chain = Chain::new(1);
    let bench = Bench::holding(&[&chain]);
    let node = bench.start(&chain).await.expect("starts");
    let before = submit(&node, chain.client(), chain.channel(), 1).await;
    within("the stop", node.stop()).await;
    drop(node);

    let node = bench.start(&chain).await.expect("starts");
    let again = submit(&node, chain.client(), chain.channel(), 1).await;
    let next = submit(&node, chain.client(), chain.channel(), 2).await;

    assert_eq!(again, before);
    assert_eq!((position(&before), position(&next)), ((1, 0), (2, 0)));
    within("the stop", node.stop()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn does_not_start_with_a_peers_certificate_or_a_channel_of_other_orderers() {
    let (chain, foreign) = (Chain::new(1), Chain::new(2));

    let as_peer = Bench::new().start_as(&chain, Role::Peer).await;
    let with_foreign = Bench::holding(&[&foreign]).start(&chain).await;

    assert!(matches!(as_peer.err(), Some(OrdererError::Role(_))));
    let refused = with_foreign.err().expect("refused").to_string();
    assert!(refused.contains("channel-2") && refused.contains("none of ours"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn starts_without_the_key_that_an_update_has_named_and_says_why_it_does_not_order() {
    let mut chain = Chain::new(1);
    let bench = Bench::holding(&[&chain]);
    let other = ledgercast_crypto::SecretKey::from_seed([77; 32]);
    let key = Bytes::copy_from_slice(other.public().as_bytes());
    bench.store.append(&[chain.update(|config| config.orderers[0].key = key, &[])]).expect("stored");

    let node = bench.start(&chain).await.expect("starts");
    let answer = submit(&node, chain.client(), chain.channel(), 1).await;

    let refused = SubmitAnswer::Refused(SubmitRefusal::Unavailable { cause: String::new() });
    assert_eq!(answer.kind(), refused.kind());
    let halted = node.snapshot().await.expect("runs").channels[&chain.channel()].halted.clone();
    assert!(halted.is_some_and(|cause| cause.contains("config 1") && cause.contains("keystore")));
    assert_eq!(node.channels().config(chain.channel()).map(|config| config.number()), Some(1));
    within("the stop", node.stop()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_for_a_channel_from_joining_to_leaving() {
    let chain = Chain::new(1);
    let bench = Bench::new();
    let node = bench.start(&chain).await.expect("starts");
    let (name, channel) = (chain.name().clone(), chain.channel());

    let before = submit(&node, chain.client(), channel, 1).await;
    node.join(name.clone(), chain.genesis().clone()).await.expect("joins");
    node.join(name.clone(), chain.genesis().clone()).await.expect("joining again changes nothing");
    let joined = submit(&node, chain.client(), channel, 1).await;
    let held = node.heights().borrow().clone();
    node.leave(channel).await.expect("leaves");
    let left = submit(&node, chain.client(), channel, 2).await;

    assert!(is_refused_as(&before, "not_permitted"));
    assert_eq!(position(&joined), (1, 0));
    assert_eq!(held, BTreeMap::from([(channel, 2)]));
    assert!(is_refused_as(&left, "not_permitted"));
    assert_eq!(*node.heights().borrow(), BTreeMap::new());
    assert_eq!(node.channels().iter().count(), 0);
    assert_eq!(bench.channels().expect("read").len(), 0);
    assert!(matches!(node.leave(channel).await, Err(JoinError::NotJoined(_))));

    node.join(name, chain.genesis().clone()).await.expect("joins anew");
    assert_eq!(position(&submit(&node, chain.client(), channel, 3).await), (1, 0));
    within("the stop", node.stop()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_cannot_be_ordered_for_leaves_no_trace() {
    let (chain, foreign) = (Chain::new(1), Chain::new(2));
    let bench = Bench::holding(&[&chain]);
    let node = bench.start(&chain).await.expect("starts");
    let namesake = sibling(3, &chain);

    let not_ours = node.join(foreign.name().clone(), foreign.genesis().clone()).await;
    let same_name = node.join(chain.name().clone(), namesake.genesis().clone()).await;
    let other_name = node.join("alias".parse().expect("a name"), chain.genesis().clone()).await;

    assert!(matches!(not_ours, Err(JoinError::Open(OpenError::NotItsOrderer(_)))), "{not_ours:?}");
    for refused in [same_name, other_name] {
        assert!(matches!(refused, Err(JoinError::Store(StoreError::ChannelExists { .. }))), "{refused:?}");
    }
    assert_eq!(bench.channels().expect("read").len(), 1);
    assert_eq!(node.heights().borrow().len(), 1);
    within("the stop", node.stop()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_disk_stops_its_channel_until_a_restart() {
    let chain = Chain::new(1);
    let bench = Bench::holding(&[&chain]);
    let node = bench.start(&chain).await.expect("starts");
    bench.set(Disk::Broken);

    let lost = submit(&node, chain.client(), chain.channel(), 1).await;
    bench.set(Disk::Works);
    let refused = submit(&node, chain.client(), chain.channel(), 2).await;
    let health = crate::api::grpc::Administration::health(node.as_ref()).await;
    within("the stop", node.stop()).await;
    drop(node);

    assert!(is_refused_as(&lost, "unavailable") && is_refused_as(&refused, "unavailable"));
    assert!(!health.is_ready);
    assert!(health.checks[0].detail.contains("the disk is broken"), "{health:?}");
    let node = bench.start(&chain).await.expect("starts");
    assert_eq!(position(&submit(&node, chain.client(), chain.channel(), 1).await), (1, 0));
    within("the stop", node.stop()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_acknowledges_blocks_that_are_on_their_way_to_the_disk() {
    let chain = Chain::new(1);
    let bench = Bench::holding(&[&chain]);
    let node = bench.start(&chain).await.expect("starts");
    bench.set(Disk::Stopped);
    let submitter = Arc::clone(&node);
    let (client, channel) = (chain.client().clone(), chain.channel());
    let waiting = tokio::spawn(async move { submit(&submitter, &client, channel, 1).await });
    until(&node, "the block", |snapshot| snapshot.counters.blocks == 1).await;

    let stopping = tokio::spawn(async move { node.stop().await });
    bench.set(Disk::Works);
    within("the stop", stopping).await.expect("no panic");

    assert_eq!(position(&waiting.await.expect("no panic")), (1, 0));
    assert_eq!(bench.height(channel), Ok(Height::new(2)));
}

#[tokio::test(flavor = "multi_thread")]
async fn leaving_waits_for_the_write_under_way_and_a_new_life_of_the_channel_is_untouched_by_it() {
    let chain = Chain::new(1);
    let bench = Bench::holding(&[&chain]);
    let node = bench.start(&chain).await.expect("starts");
    bench.set(Disk::Stopped);
    let (submitter, leaver) = (Arc::clone(&node), Arc::clone(&node));
    let (client, channel) = (chain.client().clone(), chain.channel());
    let waiting = tokio::spawn(async move { submit(&submitter, &client, channel, 1).await });
    until(&node, "the block", |snapshot| snapshot.counters.blocks == 1).await;

    let leaving = tokio::spawn(async move { leaver.leave(channel).await });
    until(&node, "the closing", |snapshot| snapshot.channels.is_empty()).await;
    assert!(!leaving.is_finished());
    bench.set(Disk::Works);
    within("the leave", leaving).await.expect("no panic").expect("leaves");

    assert!(is_refused_as(&waiting.await.expect("no panic"), "unavailable"));
    node.join(chain.name().clone(), chain.genesis().clone()).await.expect("joins anew");
    assert_eq!(position(&submit(&node, chain.client(), channel, 1).await), (1, 0));
    within("the stop", node.stop()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_submits_to_a_stopped_orderer_is_told() {
    let chain = Chain::new(1);
    let node = Bench::holding(&[&chain]).start(&chain).await.expect("starts");
    within("the stop", node.stop()).await;

    let envelope = chain.client().envelope(chain.channel(), 1, b"x").encode();
    let certificate = chain.client().certificate.clone();
    let creator = CertificateChain { certificate, intermediates: Vec::new() };

    assert_eq!(node.submit(envelope.clone(), creator.clone()).await, Err(Stopped));
    let answer = crate::api::grpc::Submitter::submit(node.as_ref(), envelope, creator).await;
    let crate::api::grpc::Submitted::Answered(answer) = answer else { panic!("passed on") };
    assert!(matches!(answer, SubmitAnswer::Refused(SubmitRefusal::Unavailable { .. })));
}
