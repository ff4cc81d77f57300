//! The library against servers that lie, are overloaded, or break.

use crate::scripted_server::{Script, ScriptedServer};
use crate::support;
use ledgercast_client::submit::{self, Target};
use ledgercast_client::{
    BlockStream, CallError, ChainVerifier, Profile, Range, Start, Stop, StreamError, Submission,
    SubmitOutcome, Submitter, VerifyError,
};
use ledgercast_crypto::Msp;
use ledgercast_protocol::ledger::{BlockError, Envelope, EnvelopeContent, EnvelopeKind, VerifiedBlock};
use ledgercast_protocol::store::suite::Chain;
use ledgercast_protocol::types::{BlockNumber, ChannelId, Endpoint};
use ledgercast_protocol::wire::proto;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;
use tempfile::TempDir;
use tonic::Status;

const ALL: Range = Range { start: Start::At(BlockNumber::GENESIS), stop: Stop::At(BlockNumber::new(2)) };

/// A client of org1, and the home of org1's peer, whose TLS pair servers use.
struct Client {
    _folder: TempDir,
    profile: Profile,
    server_home: PathBuf,
}

impl Client {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let net = support::testnet(folder.path());
        let profile = Profile::load(&net.join("org1/users/client/client.toml")).unwrap();
        Self { _folder: folder, profile, server_home: net.join("org1/peers/peer0") }
    }

    fn msp(&self) -> Msp {
        self.profile.load_msp().unwrap()
    }

    async fn open(&self, server: &ScriptedServer, chain: &Chain) -> Result<BlockStream, CallError> {
        let connector = self.profile.connector(&self.msp()).unwrap();
        let connection = connector.connect(&endpoint(server), &[]).await?;
        BlockStream::open(&connection, ChainVerifier::from_genesis(chain.genesis().clone()), ALL).await
    }

    fn submitter(&self, server: &ScriptedServer) -> Submitter {
        let connector = self.profile.connector(&self.msp()).unwrap();
        let config = submit::Config {
            in_flight_max: 4,
            backoff_min: Duration::from_millis(1),
            backoff_max: Duration::from_millis(4),
            ..submit::Config::default()
        };
        let target = Target { endpoint: endpoint(server), roots: Vec::new() };
        Submitter::new(connector, vec![target], &self.msp(), config).unwrap()
    }

    fn envelopes(&self, count: u8) -> Vec<Envelope> {
        let msp = self.msp();
        let envelope = |number: u8| {
            let content = EnvelopeContent {
                channel: ChannelId::from_bytes([1; 32]),
                creator: msp.certificate.fingerprint(),
                nonce: vec![number; 16].into(),
                payload: vec![number; 10].into(),
                kind: EnvelopeKind::Transaction,
            };
            Envelope::sign(content, &msp.key)
        };
        (0..count).map(envelope).collect()
    }
}

fn endpoint(server: &ScriptedServer) -> Endpoint {
    server.address.to_string().parse().unwrap()
}

fn blocks_of(chain: &mut Chain, count: usize) -> Vec<proto::Block> {
    let mut blocks = vec![(&chain.genesis().block().to_block()).into()];
    blocks.extend(
        chain.extend(count).iter().map(|block: &VerifiedBlock| proto::Block::from(&block.to_block())),
    );
    blocks
}

async fn read_all(mut stream: BlockStream) -> (usize, Result<(), StreamError>) {
    let mut count = 0;
    loop {
        match stream.next().await {
            Ok(Some(_)) => count += 1,
            Ok(None) => return (count, Ok(())),
            Err(error) => return (count, Err(error)),
        }
    }
}

#[tokio::test]
async fn an_honest_stream_is_read_to_its_stop() {
    let (client, mut chain) = (Client::new(), Chain::new(1));
    let blocks = blocks_of(&mut chain, 2);
    let server = ScriptedServer::start(&client.server_home, Script { blocks, ..Script::default() }).await;

    let (count, ended) = read_all(client.open(&server, &chain).await.unwrap()).await;

    assert_eq!((count, ended), (3, Ok(())));
}

#[tokio::test]
async fn an_altered_block_ends_the_stream_before_it() {
    let (client, mut chain) = (Client::new(), Chain::new(1));
    let mut blocks = blocks_of(&mut chain, 2);
    let mut body = blocks[2].body.to_vec();
    body[40] ^= 1;
    blocks[2].body = body.into();
    let server = ScriptedServer::start(&client.server_home, Script { blocks, ..Script::default() }).await;

    let (count, ended) = read_all(client.open(&server, &chain).await.unwrap()).await;

    assert_eq!(count, 2);
    let expected = VerifyError::from(BlockError::BodyRoot(BlockNumber::new(2)));
    assert!(matches!(&ended, Err(StreamError::Verify { error, .. }) if *error == expected), "{ended:?}");
}

#[tokio::test]
async fn an_omitted_block_ends_the_stream_before_it() {
    let (client, mut chain) = (Client::new(), Chain::new(1));
    let mut blocks = blocks_of(&mut chain, 2);
    blocks.remove(1);
    let server = ScriptedServer::start(&client.server_home, Script { blocks, ..Script::default() }).await;

    let (count, ended) = read_all(client.open(&server, &chain).await.unwrap()).await;

    assert_eq!(count, 1);
    assert!(
        matches!(&ended, Err(StreamError::Verify { error: VerifyError::NotNext { .. }, .. })),
        "{ended:?}"
    );
}

#[tokio::test]
async fn a_stream_that_ends_before_its_stop_is_no_success() {
    let (client, mut chain) = (Client::new(), Chain::new(1));
    let mut blocks = blocks_of(&mut chain, 2);
    blocks.pop();
    let server = ScriptedServer::start(&client.server_home, Script { blocks, ..Script::default() }).await;

    let (count, ended) = read_all(client.open(&server, &chain).await.unwrap()).await;

    assert_eq!(count, 2);
    assert!(matches!(&ended, Err(StreamError::Call(CallError::Unavailable { .. }))), "{ended:?}");
}

#[tokio::test]
async fn not_found_and_not_permitted_are_one_error() {
    let (client, chain) = (Client::new(), Chain::new(1));

    for status in [Status::not_found("no"), Status::permission_denied("no"), Status::unauthenticated("no")] {
        let script = Script { deliver_status: Some(status), ..Script::default() };
        let server = ScriptedServer::start(&client.server_home, script).await;

        let refused = client.open(&server, &chain).await.unwrap_err();

        assert!(matches!(refused, CallError::NotFound { .. }), "{refused:?}");
    }
}

#[tokio::test]
async fn a_server_of_an_unknown_org_is_not_talked_to() {
    let (client, stranger, chain) = (Client::new(), Client::new(), Chain::new(1));
    let server = ScriptedServer::start(&stranger.server_home, Script::default()).await;

    let refused = client.open(&server, &chain).await.unwrap_err();

    assert!(
        matches!(&refused, CallError::Unavailable { cause, .. } if cause.contains("certificate")),
        "{refused:?}"
    );
}

async fn submit_all(client: &Client, server: &ScriptedServer, count: u8) -> BTreeSet<usize> {
    let envelopes = client.envelopes(count).into_iter().enumerate();
    let items = envelopes.map(|(tag, envelope)| Ok(Submission { tag, envelope }));
    let mut accepted = BTreeSet::new();
    let on_answer = |tag, _, outcome| {
        assert!(matches!(outcome, SubmitOutcome::Accepted { .. }), "{outcome:?}");
        assert!(accepted.insert(tag), "envelope {tag} was answered twice");
    };
    client.submitter(server).submit_all(items, on_answer).await.unwrap();
    accepted
}

#[tokio::test]
async fn each_envelope_is_answered_once() {
    let client = Client::new();
    let server = ScriptedServer::start(&client.server_home, Script::default()).await;

    let accepted = submit_all(&client, &server, 50).await;

    assert_eq!(accepted, (0..50).collect());
    assert!(server.seen.lock().unwrap().envelopes.values().all(|count| *count == 1));
}

#[tokio::test]
async fn an_overloaded_orderer_is_asked_again() {
    let client = Client::new();
    let script = Script { overloaded: 7, ..Script::default() };
    let server = ScriptedServer::start(&client.server_home, script).await;

    let accepted = submit_all(&client, &server, 20).await;

    assert_eq!(accepted, (0..20).collect());
    assert_eq!(server.seen.lock().unwrap().envelopes.values().sum::<usize>(), 27);
}

#[tokio::test]
async fn what_a_broken_stream_left_unanswered_is_sent_again_with_the_same_id() {
    let client = Client::new();
    let script = Script { breaks_after: 3, ..Script::default() };
    let server = ScriptedServer::start(&client.server_home, script).await;

    let accepted = submit_all(&client, &server, 20).await;

    assert_eq!(accepted, (0..20).collect());
    let seen = server.seen.lock().unwrap();
    assert_eq!(seen.envelopes.len(), 20);
    assert!(seen.streams > 1 && seen.envelopes.values().any(|count| *count > 1));
}

#[tokio::test]
async fn an_item_is_answered_while_the_next_one_is_still_to_come() {
    let client = Client::new();
    let server = ScriptedServer::start(&client.server_home, Script::default()).await;
    let (items, receiver) = tokio::sync::mpsc::channel(1);
    let (answered, mut answers) = tokio::sync::mpsc::unbounded_channel();
    let submitter = client.submitter(&server);
    let submit = submitter
        .submit_stream(tokio_stream::wrappers::ReceiverStream::new(receiver), |tag: usize, _, _| {
            answered.send(tag).unwrap()
        });

    let source = async {
        for (tag, envelope) in client.envelopes(3).into_iter().enumerate() {
            items.send(Ok(Submission { tag, envelope })).await.unwrap();
            assert_eq!(answers.recv().await, Some(tag), "answered before the next one is given");
        }
        drop(items);
    };
    let (ended, ()) = tokio::join!(submit, source);

    assert_eq!(ended, Ok(()));
}

#[tokio::test]
async fn an_error_among_the_items_comes_after_the_answers_before_it() {
    let client = Client::new();
    let server = ScriptedServer::start(&client.server_home, Script::default()).await;
    let good = client.envelopes(2).into_iter().map(|envelope| Ok(Submission { tag: (), envelope }));
    let items = good.chain([Err("cannot read line 3".to_owned())]);
    let mut accepted = 0;

    let ended = client.submitter(&server).submit_all(items, |(), _, _| accepted += 1).await;

    assert_eq!(accepted, 2);
    assert_eq!(ended, Err(submit::SubmitError::Input("cannot read line 3".to_owned())));
}
