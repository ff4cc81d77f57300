//! When blocks are cut, and what they look like.

use super::*;
use crate::channel::ChannelLimits;
use crate::store::suite::VALIDITY;
use ledgercast_crypto::issue::Enrolment;
use ledgercast_crypto::keys::SecretKey;
use ledgercast_crypto::subject::Role;

/// An envelope of the fixture's client with this payload is this long.
fn envelope_bytes(chain: &Chain, payload: usize) -> u32 {
    chain.client().envelope(chain.channel(), 1, &vec![0; payload]).encode().len() as u32
}

#[test]
fn cuts_a_block_when_it_has_the_most_envelopes() {
    let chain = small_blocks(1, 3, 100_000);
    let mut bench = Bench::new(&chain);

    let tickets = bench.submit_all(&chain, 0..7, b"x");

    assert_eq!(bench.envelope_counts(), [3, 3]);
    assert_eq!(bench.position(tickets[4]), (2, 1));
    assert_eq!(bench.answer(tickets[6]), None);
}

#[test]
fn cuts_a_block_before_its_envelopes_exceed_the_bytes() {
    let each = envelope_bytes(&small_blocks(1, 1, 1), 100);
    let chain = small_blocks(1, 100, 2 * each + 10);
    let mut bench = Bench::new(&chain);

    bench.submit_all(&chain, 0..5, &[0; 100]);

    assert_eq!(bench.envelope_counts(), [2, 2]);
}

#[test]
fn cuts_a_block_whose_envelopes_have_exactly_the_bytes() {
    let each = envelope_bytes(&small_blocks(1, 1, 1), 100);
    let chain = small_blocks(1, 100, 2 * each);
    let mut bench = Bench::new(&chain);

    bench.submit_all(&chain, 0..2, &[0; 100]);

    assert_eq!(bench.envelope_counts(), [2]);
}

#[test]
fn a_larger_envelope_gets_a_block_of_its_own() {
    let chain = small_blocks(1, 100, 400);
    let mut bench = Bench::new(&chain);

    bench.submit_payload(&chain, 1, b"small");
    bench.submit_payload(&chain, 2, &[0; 700]);
    bench.submit_payload(&chain, 3, b"small");
    bench.pass_timeout();

    assert_eq!(bench.envelope_counts(), [1, 1, 1]);
    assert!(bench.blocks[1].envelopes().all(|envelope| envelope.len() > 700));
}

#[test]
fn cuts_a_block_a_time_after_its_first_envelope_and_not_before() {
    let chain = Chain::new(1);
    let mut bench = Bench::new(&chain);

    bench.submit_payload(&chain, 1, b"x");
    bench.pass(Duration::from_millis(150));
    bench.submit_payload(&chain, 2, b"x");
    bench.pass(Duration::from_millis(49));
    let before = bench.blocks.len();
    bench.pass(Duration::from_millis(1));

    assert_eq!(before, 0);
    assert_eq!(bench.envelope_counts(), [2]);
}

#[test]
fn the_time_runs_anew_for_each_block() {
    let chain = small_blocks(1, 2, 100_000);
    let mut bench = Bench::new(&chain);

    bench.submit_payload(&chain, 1, b"x");
    bench.pass(Duration::from_millis(100));
    bench.submit_payload(&chain, 2, b"fills the block");
    bench.submit_payload(&chain, 3, b"next block");
    bench.pass(Duration::from_millis(199));
    let before = bench.blocks.len();
    bench.pass(Duration::from_millis(1));

    assert_eq!(before, 1);
    assert_eq!(bench.envelope_counts(), [2, 1]);
}

#[test]
fn no_envelope_no_block() {
    let chain = Chain::new(1);
    let mut bench = Bench::new(&chain);

    bench.pass(Duration::from_secs(60));
    bench.handle(Input::TimerDue(chain.channel()));

    assert_eq!(bench.blocks, []);
}

#[test]
fn envelopes_stand_in_the_order_of_their_admission() {
    let chain = Chain::new(1);
    let mut bench = Bench::new(&chain);
    let envelopes: Vec<_> =
        (0..9).map(|nonce| chain.client().envelope(chain.channel(), nonce, &nonce.to_be_bytes())).collect();

    for envelope in &envelopes {
        bench.submit(chain.client(), envelope);
    }
    bench.pass_timeout();

    let ordered: Vec<_> = bench.blocks[0].envelopes().collect();
    assert_eq!(ordered, envelopes.iter().map(Envelope::encode).collect::<Vec<_>>());
}

#[test]
fn each_creator_certificate_stands_once_and_first() {
    let chain = Chain::new(1);
    let mut bench = Bench::new(&chain);
    let other = Creator::enrol(chain.authority(), "client2", Role::Client, [7; 32]);

    for nonce in 0..3 {
        bench.submit(chain.client(), &chain.client().envelope(chain.channel(), nonce, b"x"));
        bench.submit(&other, &other.envelope(chain.channel(), nonce, b"x"));
    }
    bench.pass_timeout();

    let block = &bench.blocks[0];
    let certificates: Vec<_> = block.creator_certificates().collect();
    assert_eq!(certificates, [chain.client().certificate.der().clone(), other.certificate.der().clone()]);
    assert_eq!(block.envelopes().count(), 6);
    assert_eq!(block.body().part_count(), 8);
}

#[test]
fn blocks_form_a_chain_under_the_orderers_certificate() {
    let chain = small_blocks(1, 1, 100_000);
    let mut bench = Bench::new(&chain);

    bench.submit_all(&chain, 0..4, b"x");

    let mut previous = chain.genesis().block().header();
    for block in &bench.blocks {
        assert!(block.header().follows(previous));
        let certificate = block.header().certified().certificate.as_ref().unwrap();
        assert_eq!(certificate.verify(chain.genesis().config(), block.header().hash()), Ok(()));
        assert_eq!(certificate.signers().collect::<Vec<_>>(), [0]);
        previous = block.header();
    }
    assert_eq!(bench.height(&chain), 5);
}

#[test]
fn signs_at_its_own_place_in_the_config() {
    let key = SecretKey::from_seed([42; 32]);
    let chain = Chain::with(1, |config| {
        let mut second = config.orderers[0].clone();
        second.key = Bytes::copy_from_slice(key.public().as_bytes());
        config.orderers.push(second);
    });
    let mut sequencer = Sequencer::new(Config::default(), vec![key]);
    let tip = chain.tip().clone();
    let open = OpenChannel { config: chain.genesis().config().clone(), tip, nonces: Nonces::new(9) };
    sequencer.open(open).unwrap();
    let mut bench = Bench { sequencer, ..Bench::new(&chain) };

    bench.submit_payload(&chain, 1, b"x");
    bench.pass_timeout();

    let certificate = bench.blocks[0].header().certified().certificate.as_ref().unwrap();
    assert_eq!(certificate.signers().collect::<Vec<_>>(), [1]);
}

#[test]
fn timestamps_never_go_back() {
    let chain = small_blocks(1, 1, 100_000);
    let mut bench = Bench::new(&chain);
    let wall = |bench: &mut Bench, millis| bench.now.wall = WallTime::from_millis(millis);

    bench.submit_payload(&chain, 1, b"x");
    wall(&mut bench, WALL_MS - 3_600_000);
    bench.submit_payload(&chain, 2, b"x");
    wall(&mut bench, WALL_MS + 1000);
    bench.submit_payload(&chain, 3, b"x");

    let timestamps: Vec<_> =
        bench.blocks.iter().map(|block| block.header().header().fields().timestamp.as_millis()).collect();
    assert_eq!(timestamps, [WALL_MS, WALL_MS, WALL_MS + 1000]);
}

#[test]
fn the_fullest_batch_with_the_longest_certificates_keeps_the_body_limit() {
    let chain = small_blocks(1, 4, 4000);
    let mut bench = Bench::new(&chain);
    let name = "x".repeat(250);
    let creators = (0..4).map(|seed| {
        let key = SecretKey::from_seed([100 + seed; 32]);
        let enrolment = Enrolment { common_name: &name, role: Role::Client, validity: VALIDITY, unit: None };
        Creator { certificate: chain.authority().enrol(&key.public(), &enrolment).unwrap(), key }
    });

    for creator in creators {
        bench.submit(&creator, &creator.envelope(chain.channel(), 1, &[0; 700]));
    }

    let limits: &ChannelLimits = chain.genesis().config().limits();
    assert_eq!(bench.envelope_counts(), [4]);
    assert!(bench.blocks[0].body().bytes().len() as u64 <= limits.body_bytes_max());
}

#[test]
fn bytes_that_an_envelope_does_not_need_never_enter_a_block() {
    let chain = Chain::new(1);
    let mut bench = Bench::new(&chain);
    let envelope = chain.client().envelope(chain.channel(), 1, b"x");
    // Field 15, length-delimited, four bytes: unknown, so skipped by every decoder.
    let padded = [&envelope.encode()[..], &[0x7a, 4, 1, 2, 3, 4]].concat();

    let ticket = bench.submit_bytes(padded.into(), &chain.client().certificate);
    bench.pass_timeout();

    assert_eq!(bench.position(ticket), (1, 0));
    assert_eq!(bench.blocks[0].envelopes().collect::<Vec<_>>(), [envelope.encode()]);
}
