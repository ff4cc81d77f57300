//! A member of another org asks a running `ledgercastd peer`, over libp2p, for a channel that it may not
//! know: what it hears is what it hears of a channel that does not exist.

use bytes::Bytes;
use ledgercast_crypto::issue::{Authority, Enrolment, MemberFiles, TlsAuthority};
use ledgercast_crypto::{Digest, OrgRoots, Role, SecretKey};
use ledgercast_node::network::{Limits, Network, NetworkConfig, NetworkEvent, NetworkEvents, NetworkHandle};
use ledgercast_node::store::RocksDbStore;
use ledgercast_protocol::store::BlockStore as _;
use ledgercast_protocol::store::suite::{Chain, Creator, VALIDITY};
use ledgercast_protocol::types::{BlockNumber, ChannelId, Incarnation, MemberId, SessionId};
use ledgercast_protocol::wire::proto;
use ledgercast_protocol::wire::{
    CertificateChain, ChannelMessage, Hello, Message, Tip, WIRE_VERSION, WantBody, WantHeaders,
};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Longer than anything here takes on a busy machine.
const DEADLINE: Duration = Duration::from_secs(60);

struct Org {
    authority: Authority,
    tls: TlsAuthority,
}

impl Org {
    fn new(name: &str) -> Self {
        let authority = Authority::create(name, VALIDITY).expect("a CA");
        Self { authority, tls: TlsAuthority::create(name, VALIDITY).expect("a TLS CA") }
    }

    fn name(&self) -> &str {
        self.authority.certificate().org()
    }

    fn as_reader(&self) -> proto::OrgConfig {
        proto::OrgConfig {
            name: self.name().to_owned(),
            roots: vec![self.authority.certificate().der().clone()],
            reader: true,
            ..proto::OrgConfig::default()
        }
    }

    /// The home of a peer, with these channels in its store.
    fn write_home(&self, home: &Path, listen: SocketAddr, channels: &[&Chain]) {
        let Creator { certificate, key } = Creator::enrol(&self.authority, "peer0", Role::Peer, [1; 32]);
        let enrolment = Enrolment { common_name: "peer0", role: Role::Peer, validity: VALIDITY, unit: None };
        let pair = self.tls.issue(&enrolment, &["localhost"]).expect("a TLS pair");
        let org = OrgRoots::new(self.name(), vec![self.authority.certificate().clone()]);
        let tls = Some((&pair, self.tls.certificate()));
        MemberFiles { org: &org, certificate: &certificate, key: &key, tls }.write(home).expect("a home");
        let text = format!(
            "[peer]\nlisten = [\"{listen}\"]\ninternal_endpoint = \"{listen}\"\n\
             [api]\nlisten = \"127.0.0.1:0\"\n[operations]\nlisten = \"127.0.0.1:0\"\n"
        );
        std::fs::write(home.join("peer.toml"), text).expect("a configuration");
        let store = RocksDbStore::open(&home.join("data")).expect("a store");
        for chain in channels {
            store.create_channel(chain.name(), chain.genesis()).expect("new");
        }
    }
}

/// The daemon, killed when this is dropped.
struct Daemon(Child);

impl Daemon {
    fn start(home: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ledgercastd"));
        command.args(["peer", "--home"]).arg(home).env("LEDGERCAST_LOG_LEVEL", "error");
        command.stdin(Stdio::null()).stdout(Stdio::null());
        Self(command.spawn().expect("the daemon starts"))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A peer of another org that says what it likes.
struct Stranger {
    handle: NetworkHandle,
    events: NetworkEvents,
    session: SessionId,
}

impl Stranger {
    /// Dials until the daemon is up, and shows its certificate.
    async fn connect(org: &Org, address: SocketAddr) -> Self {
        let Creator { certificate, key } = Creator::enrol(&org.authority, "peer0", Role::Peer, [2; 32]);
        let (handle, mut events) = Network::start(NetworkConfig {
            listen: Vec::new(),
            key: SecretKey::from_seed([2; 32]),
            network_id: Digest::of(b"ledgercast").as_bytes().to_vec(),
            limits: Limits::default(),
        })
        .expect("a transport");
        assert_eq!(key.public(), SecretKey::from_seed([2; 32]).public());
        let session = loop {
            handle.dial(1, &address.to_string(), None).expect("one dial at a time");
            match next(&mut events).await {
                NetworkEvent::Opened { session, .. } => break session,
                NetworkEvent::DialFailed { .. } => tokio::time::sleep(Duration::from_millis(50)).await,
                other => panic!("{other:?}"),
            }
        };
        let certificate = CertificateChain { certificate, intermediates: Vec::new() };
        let stranger = Self { handle, events, session };
        let incarnation = Incarnation::from_millis(1);
        let hello = Hello { version: WIRE_VERSION, incarnation, dial: 1, certificate };
        stranger.say(&Message::Hello(hello));
        stranger
    }

    fn say(&self, message: &Message) {
        self.handle.send(self.session, message.lane(), message.encode()).expect("room on the lane");
    }

    /// The next frame that is of a channel, or names channels.
    async fn hear(&mut self) -> (Message, Bytes) {
        loop {
            match next(&mut self.events).await {
                NetworkEvent::Frame { frame, .. } => {
                    let message = Message::decode(frame.clone()).expect("the daemon speaks the protocol");
                    if matches!(message, Message::Channel(..) | Message::Channels(_)) {
                        return (message, frame);
                    }
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

async fn next(events: &mut NetworkEvents) -> NetworkEvent {
    let event = tokio::time::timeout(DEADLINE, events.recv()).await.expect("an event in time");
    event.expect("the transport runs")
}

fn questions() -> Vec<ChannelMessage> {
    let tip = Tip { number: BlockNumber::GENESIS, header_hash: Digest::of(b"some block") };
    vec![
        ChannelMessage::WantHeaders(WantHeaders { first: BlockNumber::GENESIS, count: 1 }),
        ChannelMessage::WantBody(WantBody { tip, first_frame: 0, frame_count: 1 }),
        ChannelMessage::StateDigest(Vec::new()),
        ChannelMessage::WantStates(vec![MemberId::from_digest(Digest::of(b"somebody"))]),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_channel_sounds_like_one_that_does_not_exist() {
    let orgs = ["org1", "org2", "org3"].map(Org::new);
    let chain = |seed: u8, members: [&Org; 2]| {
        Chain::with(seed, |config| config.orgs = members.map(Org::as_reader).into())
    };
    let (shared, foreign) = (chain(1, [&orgs[0], &orgs[1]]), chain(2, [&orgs[0], &orgs[2]]));
    let home = tempfile::tempdir().expect("a folder");
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    orgs[0].write_home(home.path(), address, &[&shared, &foreign]);
    let _daemon = Daemon::start(home.path());
    let mut stranger = Stranger::connect(&orgs[1], address).await;

    let (named, _) = stranger.hear().await;
    assert_eq!(named, Message::Channels(vec![shared.channel()]), "it names what both may know, and no more");

    let unknown = ChannelId::from_bytes([9; 32]);
    for question in questions() {
        let mut answers = Vec::new();
        for channel in [foreign.channel(), unknown] {
            stranger.say(&Message::Channel(channel, question.clone()));
            let (answer, frame) = stranger.hear().await;
            assert_eq!(answer, Message::Channel(channel, ChannelMessage::Unknown), "{question:?}");
            answers.push(replaced(&frame, channel.as_bytes()));
        }
        assert_eq!(answers[0], answers[1], "the bytes tell the two apart: {question:?}");
    }

    // It is still a peer in good standing, and the other channel is still discussed.
    stranger.say(&Message::Channels(vec![shared.channel()]));
    stranger.say(&Message::Channel(shared.channel(), questions()[0].clone()));
    loop {
        match stranger.hear().await.0 {
            Message::Channel(channel, ChannelMessage::Headers { .. }) => {
                assert_eq!(channel, shared.channel());
                break;
            }
            Message::Channel(channel, ChannelMessage::StateDigest(_)) if channel == shared.channel() => {}
            other => panic!("{other:?}"),
        }
    }
}

/// A frame without the id that the asker named itself.
fn replaced(frame: &Bytes, id: &[u8]) -> Vec<u8> {
    let at = frame.windows(id.len()).position(|window| window == id).expect("the answer names the channel");
    [&frame[..at], &frame[at + id.len()..]].concat()
}
