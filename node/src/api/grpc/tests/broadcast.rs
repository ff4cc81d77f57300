//! Whose envelopes reach the sequencer, and how many at once.

use super::fake::FakeNode;
use super::world::{DEADLINE, Org, World, limits};
use crate::api::grpc::{Audience, GrpcLimits};
use bytes::Bytes;
use futures::{StreamExt as _, stream};
use ledgercast_crypto::Role;
use ledgercast_protocol::ledger::EnvelopeId;
use ledgercast_protocol::store::suite::{Chain, Creator};
use ledgercast_protocol::types::ChannelId;
use ledgercast_protocol::wire::proto::{self, SubmitRefusal, submit_reply::Outcome};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tonic::Code;

fn client_of(org: &Org) -> Creator {
    Creator::enrol(&org.authority, "client", Role::Client, [5; 32])
}

fn request(creator: &Creator, channel: ChannelId, ticket: u64) -> (proto::SubmitRequest, EnvelopeId) {
    let envelope = creator.envelope(channel, ticket.into(), b"payload");
    let creator =
        proto::CertificateChain { certificate: creator.certificate.der().clone(), intermediates: vec![] };
    (proto::SubmitRequest { ticket, envelope: envelope.encode(), creator: Some(creator) }, envelope.id())
}

fn reason(reply: &proto::SubmitReply) -> Option<(SubmitRefusal, String)> {
    match reply.outcome.clone() {
        Some(Outcome::Refused(refused)) => Some((refused.reason(), refused.message)),
        _ => None,
    }
}

fn held(world: &World, answers: usize) -> (Arc<FakeNode>, Chain) {
    let chain = world.chain(1, &[1, 2]);
    let node = FakeNode::holding(world, &[&chain, &world.chain(2, &[3])]);
    node.answers.add_permits(answers);
    (node, chain)
}

#[tokio::test]
async fn a_writers_envelope_is_answered_with_its_place() {
    let world = World::new();
    let (node, chain) = held(&world, 1);
    let served = world.serve(&node, Audience::ReaderOrgs).await;
    let (request, id) = request(&client_of(&world.orgs[1]), chain.channel(), 42);

    let reply =
        served.broadcast(&world.orgs[1], Role::Client).await.submit(request).await.unwrap().into_inner();

    let envelope_id = Bytes::copy_from_slice(id.0.as_bytes());
    let accepted = proto::SubmitAccepted { envelope_id, block: 7, index: 3 };
    assert_eq!(reply, proto::SubmitReply { ticket: 42, outcome: Some(Outcome::Accepted(accepted)) });
}

#[tokio::test]
async fn callers_who_may_not_write_get_one_answer_whether_the_channel_is_known_or_not() {
    let world = World::new();
    let (node, chain) = held(&world, 0);
    let served = world.serve(&node, Audience::ReaderOrgs).await;
    let creator = client_of(&world.orgs[0]);
    let unknown = ChannelId::from_bytes([9; 32]);

    let mut answers = Vec::new();
    let callers =
        [(&world.orgs[2], Role::Client), (&world.orgs[0], Role::Peer), (&world.orgs[1], Role::Orderer)];
    for (org, role) in callers {
        for channel in [chain.channel(), unknown] {
            let mut broadcast = served.broadcast(org, role).await;
            let reply = broadcast.submit(request(&creator, channel, 1).0).await.unwrap().into_inner();
            answers.push(reason(&reply).expect("a refusal"));
        }
    }

    let expected = (SubmitRefusal::NotPermitted, "unknown channel, or not permitted".to_owned());
    assert!(answers.iter().all(|answer| *answer == expected), "{answers:?}");
    assert_eq!(node.submitting_most.load(Ordering::SeqCst), 0, "nothing reached the sequencer");
}

#[tokio::test]
async fn units_of_writers_bind_those_who_submit() {
    let world = World::new();
    let bound = proto::OrgConfig { writer_ous: vec!["trading".to_owned()], ..world.orgs[1].config() };
    let chain = World::chain_of(1, vec![world.orgs[0].config(), bound]);
    let node = FakeNode::holding(&world, &[&chain]);
    node.answers.add_permits(1);
    let served = world.serve(&node, Audience::ReaderOrgs).await;

    let mut answers = Vec::new();
    for org in &world.orgs[..2] {
        let mut broadcast = served.broadcast(org, Role::Client).await;
        let request = request(&client_of(org), chain.channel(), 1).0;
        answers.push(reason(&broadcast.submit(request).await.unwrap().into_inner()));
    }

    let refusal = (SubmitRefusal::NotPermitted, "unknown channel, or not permitted".to_owned());
    assert_eq!(answers, [None, Some(refusal)]);
}

/// A follower passes on what others have signed; org1 runs the channel's orderers.
#[tokio::test]
async fn an_orderer_of_an_org_that_runs_some_for_the_channel_may_pass_envelopes_on() {
    let world = World::new();
    let (node, chain) = held(&world, 1);
    let served = world.serve(&node, Audience::ReaderOrgs).await;
    let (request, _) = request(&client_of(&world.orgs[1]), chain.channel(), 1);

    let mut broadcast = served.broadcast(&world.orgs[0], Role::Orderer).await;
    let reply = broadcast.submit(request).await.unwrap().into_inner();

    assert!(matches!(reply.outcome, Some(Outcome::Accepted(_))), "{reply:?}");
}

#[tokio::test]
async fn bytes_that_are_no_envelope_or_no_certificate_are_invalid() {
    let world = World::new();
    let (node, chain) = held(&world, 0);
    let served = world.serve(&node, Audience::ReaderOrgs).await;
    let mut broadcast = served.broadcast(&world.orgs[0], Role::Client).await;
    let (right, _) = request(&client_of(&world.orgs[0]), chain.channel(), 1);
    let junk = Bytes::from_static(b"junk");
    let certificate = |certificate: Option<Bytes>, intermediates| {
        certificate.map(|certificate| proto::CertificateChain { certificate, intermediates })
    };

    let cases = [
        proto::SubmitRequest { envelope: junk.clone(), ..right.clone() },
        proto::SubmitRequest { creator: None, ..right.clone() },
        proto::SubmitRequest { creator: certificate(Some(junk.clone()), vec![]), ..right.clone() },
        proto::SubmitRequest { creator: certificate(Some(junk.clone()), vec![junk; 5]), ..right },
    ];
    for case in cases {
        let reply = broadcast.submit(case).await.unwrap().into_inner();
        assert_eq!(reason(&reply).map(|(reason, _)| reason), Some(SubmitRefusal::Invalid), "{reply:?}");
    }
}

#[tokio::test]
async fn a_stream_keeps_so_many_in_flight_and_answers_each_by_its_ticket() {
    let world = World::new();
    let (node, chain) = held(&world, 0);
    let served = world.serve(&node, Audience::ReaderOrgs).await;
    let mut broadcast = served.broadcast(&world.orgs[0], Role::Client).await;
    let creator = client_of(&world.orgs[0]);
    let requests: Vec<_> = (0..20).map(|ticket| request(&creator, chain.channel(), ticket).0).collect();

    let asking = broadcast.submit_stream(stream::iter(requests)).await.unwrap().into_inner();
    let replies = tokio::spawn(asking.map(|reply| reply.unwrap().ticket).collect::<Vec<_>>());
    node.until_submitting(limits().submissions_in_flight_max).await;
    node.answers.add_permits(20);
    let mut tickets = tokio::time::timeout(DEADLINE, replies).await.expect("all are answered").unwrap();

    tickets.sort_unstable();
    assert_eq!(tickets, (0..20).collect::<Vec<_>>());
    assert_eq!(node.submitting_most.load(Ordering::SeqCst), limits().submissions_in_flight_max);
}

#[tokio::test]
async fn single_submissions_are_bounded_and_their_places_come_back() {
    let world = World::new();
    let (node, chain) = held(&world, 0);
    let limits = GrpcLimits { submissions_in_flight_max: 1, ..limits() };
    let served = world.serve_with(&node, Audience::ReaderOrgs, limits).await;
    let broadcast = served.broadcast(&world.orgs[0], Role::Client).await;
    let creator = client_of(&world.orgs[0]);
    let submit = |ticket| {
        let mut broadcast = broadcast.clone();
        let request = request(&creator, chain.channel(), ticket).0;
        async move { broadcast.submit(request).await }
    };
    let first = tokio::spawn(submit(1));
    node.until_submitting(1).await;

    let second = submit(2).await.expect_err("one is in flight");
    node.answers.add_permits(2);
    first.await.unwrap().unwrap();
    let waiting = async { while submit(3).await.is_err() {} };

    assert_eq!(second.code(), Code::ResourceExhausted);
    tokio::time::timeout(DEADLINE, waiting).await.expect("the place comes back");
}

#[tokio::test]
async fn a_message_longer_than_any_channels_envelope_is_not_read() {
    let world = World::new();
    let chain = Chain::with(1, |config| {
        config.orgs = vec![world.orgs[0].config()];
        config.limits = Some(proto::ChannelLimits {
            envelope_bytes_max: 1000,
            batch_envelopes_max: 10,
            batch_bytes_max: 10_000,
            batch_timeout_ms: 100,
        });
    });
    let node = FakeNode::holding(&world, &[&chain]);
    let served = world.serve(&node, Audience::ReaderOrgs).await;
    let mut broadcast = served.broadcast(&world.orgs[0], Role::Client).await;
    let envelope = Bytes::from(vec![0; 1_000_000]);

    let refused = broadcast.submit(proto::SubmitRequest { envelope, ..Default::default() }).await;

    assert_eq!(refused.expect_err("too long").code(), Code::OutOfRange);
}

#[tokio::test]
async fn stopping_answers_what_is_in_flight_and_ends_the_stream_as_unavailable() {
    let world = World::new();
    let (node, chain) = held(&world, 0);
    let served = world.serve(&node, Audience::ReaderOrgs).await;
    let mut broadcast = served.broadcast(&world.orgs[0], Role::Client).await;
    let (first, _) = request(&client_of(&world.orgs[0]), chain.channel(), 1);
    let requests = stream::iter([first]).chain(stream::pending());
    let mut replies = broadcast.submit_stream(requests).await.unwrap().into_inner();
    node.until_submitting(1).await;

    served.stop.cancel();
    node.answers.add_permits(1);

    assert_eq!(replies.message().await.unwrap().map(|reply| reply.ticket), Some(1));
    assert_eq!(replies.message().await.expect_err("stopping").code(), Code::Unavailable);
}

#[tokio::test]
async fn a_peer_has_no_broadcast() {
    let world = World::new();
    let (node, chain) = held(&world, 0);
    let served = world.serve(&node, Audience::OwnOrg).await;
    let (request, _) = request(&client_of(&world.orgs[0]), chain.channel(), 1);

    let refused = served.broadcast(&world.orgs[0], Role::Client).await.submit(request).await;

    assert_eq!(refused.expect_err("no such service").code(), Code::Unimplemented);
}
