//! One function per fact that holds of every block store; each gets an empty store and panics when it does
//! not hold.

use super::Chain;
use crate::ledger::{CertifiedHeader, EnvelopeId, VerifiedBlock};
use crate::store::{BlockStore, EnvelopePosition, META_VALUE_BYTES_MAX, MetaKey, StoreError, config_history};
use crate::types::{BlockNumber, ChannelName, Height};
use bytes::Bytes;
use ledgercast_crypto::digest::Digest;
use std::sync::atomic::{AtomicBool, Ordering};

/// A channel has height 1 from the start, and gives its genesis block back.
pub fn a_created_channel_holds_its_genesis_block(store: &dyn BlockStore) {
    let chain = created(store, 1);
    let genesis = chain.genesis().block().to_block();

    let read = store.read(chain.channel(), BlockNumber::GENESIS);

    assert_eq!(store.height(chain.channel()), Ok(Height::new(1)));
    assert_eq!(read, Ok(Some(genesis)));
    let [(id, position)] = EnvelopePosition::all_of(chain.genesis().block()).collect::<Vec<_>>()[..] else {
        panic!("a genesis block has one envelope");
    };
    assert_eq!(store.find_envelope(chain.channel(), id), Ok(Some(position)));
}

/// Neither the id nor the name is taken twice, and a refusal leaves the channel held as it was.
pub fn refuses_a_second_channel_of_the_same_id_or_name(store: &dyn BlockStore) {
    let mut chain = created(store, 1);
    let other = Chain::new(2);
    store.append(&chain.extend(1)).expect("it follows");
    let exists = |channel, name: &ChannelName| Err(StoreError::ChannelExists { channel, name: name.clone() });

    let same_id = store.create_channel(other.name(), chain.genesis());
    let same_name = store.create_channel(chain.name(), other.genesis());

    assert_eq!(same_id, exists(chain.channel(), other.name()));
    assert_eq!(same_name, exists(other.channel(), chain.name()));
    assert_eq!(store.height(chain.channel()), Ok(Height::new(2)));
    assert_eq!(store.height(other.channel()), Err(StoreError::UnknownChannel(other.channel())));
}

/// The order of the list is that of the ids, whatever the order of creation.
pub fn lists_channels_by_id_with_name_and_height(store: &dyn BlockStore) {
    let mut second = created(store, 2);
    let first = created(store, 1);
    store.append(&second.extend(3)).expect("they follow");

    let channels = store.channels().expect("the store lists");

    let listed: Vec<_> =
        channels.iter().map(|held| (held.genesis.hash(), held.name.clone(), held.height)).collect();
    let expected = [
        (first.genesis().hash(), first.name().clone(), Height::new(1)),
        (second.genesis().hash(), second.name().clone(), Height::new(4)),
    ];
    assert_eq!(listed, expected);
}

/// Removing takes blocks and index away, leaves other channels alone, and frees id and name.
pub fn a_removed_channel_is_unknown_and_may_be_created_anew(store: &dyn BlockStore) {
    let (mut gone, mut kept) = (created(store, 1), created(store, 2));
    let block = gone.next(&[b"gone"]);
    let (id, _) = first_envelope(&block);
    store.append(&[block]).expect("it follows");
    store.append(&kept.extend(2)).expect("they follow");

    store.remove_channel(gone.channel()).expect("it is held");

    assert_eq!(store.height(gone.channel()), Err(StoreError::UnknownChannel(gone.channel())));
    assert_eq!(store.height(kept.channel()), Ok(Height::new(3)));
    assert_eq!(store.channels().expect("the store lists").len(), 1);

    store.create_channel(gone.name(), gone.genesis()).expect("id and name are free");

    assert_eq!(store.height(gone.channel()), Ok(Height::new(1)));
    assert_eq!(store.read(gone.channel(), BlockNumber::new(1)), Ok(None));
    assert_eq!(store.find_envelope(gone.channel(), id), Ok(None));
}

/// Every call that names a channel says that it is unknown.
pub fn refuses_everything_for_an_unknown_channel(store: &dyn BlockStore) {
    let mut chain = Chain::new(1);
    let channel = chain.channel();
    let unknown = || StoreError::UnknownChannel(channel);
    let id = EnvelopeId(Digest::ZERO);

    assert_eq!(store.height(channel), Err(unknown()));
    assert_eq!(store.remove_channel(channel), Err(unknown()));
    assert_eq!(store.append(&chain.extend(1)), Err(unknown()));
    assert_eq!(store.read(channel, BlockNumber::GENESIS), Err(unknown()));
    assert_eq!(store.read_header(channel, BlockNumber::GENESIS), Err(unknown()));
    assert_eq!(store.find_envelope(channel, id), Err(unknown()));
    assert_eq!(store.config_blocks(channel), Err(unknown()));
}

/// Header, certificate and body come back as they were verified, a body of megabytes too.
pub fn what_is_appended_is_read_back_byte_by_byte(store: &dyn BlockStore) {
    let mut chain = created(store, 1);
    let long = vec![0xa5; 900_000];
    let blocks = [chain.next(&[b""]), chain.next(&[b"one", b"two"]), chain.next(&[&long, &long])];

    for block in &blocks {
        store.append(std::slice::from_ref(block)).expect("it follows");
    }

    for block in &blocks {
        let read = store.read(chain.channel(), block.number()).expect("it is read").expect("it is held");
        assert_eq!(read, block.to_block());
        assert_eq!(VerifiedBlock::from_store(read).as_ref(), Ok(block));
    }
}

/// One call appends many.
pub fn appends_several_blocks_at_once(store: &dyn BlockStore) {
    let mut chain = created(store, 1);
    let blocks = chain.extend(40);

    store.append(&blocks).expect("they follow");

    assert_eq!(store.height(chain.channel()), Ok(Height::new(41)));
    assert_eq!(store.read(chain.channel(), BlockNumber::new(40)), Ok(Some(blocks[39].to_block())));
}

/// No block, no change, no error.
pub fn appending_nothing_changes_nothing(store: &dyn BlockStore) {
    let chain = created(store, 1);

    assert_eq!(store.append(&[]), Ok(()));

    assert_eq!(store.height(chain.channel()), Ok(Height::new(1)));
}

/// A block must be the next one by number and by hash.
pub fn refuses_a_gap_a_repetition_and_another_chain(store: &dyn BlockStore) {
    let mut chain = created(store, 1);
    let mut fork = chain.clone();
    let blocks = chain.extend(3);
    let (fork_1, fork_2) = (fork.next(&[b"fork"]), fork.next(&[b"fork"]));
    store.append(&blocks[..1]).expect("it follows");
    let not_next = |found| {
        let (found, expected) = (BlockNumber::new(found), BlockNumber::new(2));
        Err(StoreError::NotNext { channel: chain.channel(), found, expected })
    };

    assert_eq!(store.append(&blocks[2..]), not_next(3), "a gap");
    assert_eq!(store.append(&blocks[..1]), not_next(1), "a repetition");
    assert_eq!(store.append(&[fork_1]), not_next(1), "another block of a held number");
    assert_eq!(store.append(&[fork_2]), not_next(2), "the right number on another hash");
    assert_eq!(store.append(&[chain.genesis().block().clone()]), not_next(0), "block 0");

    assert_eq!(store.height(chain.channel()), Ok(Height::new(2)));
    assert_eq!(store.append(&blocks[1..]), Ok(()));
}

/// One block that does not follow keeps out those before it as well.
pub fn refuses_a_batch_as_a_whole(store: &dyn BlockStore) {
    let mut chain = created(store, 1);
    let blocks = chain.extend(3);
    let (id, _) = first_envelope(&blocks[0]);
    let gap = [blocks[0].clone(), blocks[2].clone()];

    let refused = store.append(&gap);

    let (found, expected) = (BlockNumber::new(3), BlockNumber::new(2));
    assert_eq!(refused, Err(StoreError::NotNext { channel: chain.channel(), found, expected }));
    assert_eq!(store.height(chain.channel()), Ok(Height::new(1)));
    assert_eq!(store.read(chain.channel(), BlockNumber::new(1)), Ok(None));
    assert_eq!(store.find_envelope(chain.channel(), id), Ok(None));
}

/// A batch belongs to the channel of its first block.
pub fn refuses_a_batch_of_two_channels(store: &dyn BlockStore) {
    let (mut one, mut two) = (created(store, 1), created(store, 2));
    let mixed = [one.next(&[b"one"]), two.next(&[b"two"])];

    let refused = store.append(&mixed);

    assert!(matches!(refused, Err(StoreError::NotNext { .. })), "{refused:?}");
    assert_eq!(store.height(one.channel()), Ok(Height::new(1)));
    assert_eq!(store.height(two.channel()), Ok(Height::new(1)));
}

/// Above the tip there is no block and no header, and that is no error.
pub fn nothing_lies_above_the_tip(store: &dyn BlockStore) {
    let chain = created(store, 1);

    for number in [1, 2, u64::MAX] {
        assert_eq!(store.read(chain.channel(), BlockNumber::new(number)), Ok(None));
        assert_eq!(store.read_header(chain.channel(), BlockNumber::new(number)), Ok(None));
    }
}

/// A header's bytes are those of the protobuf message, certificate included.
pub fn headers_are_read_alone(store: &dyn BlockStore) {
    let mut chain = created(store, 1);
    let blocks = chain.extend(2);
    store.append(&blocks).expect("they follow");

    let genesis = header(store, &chain, BlockNumber::GENESIS);
    let second = header(store, &chain, BlockNumber::new(2));

    assert_eq!(&genesis, chain.genesis().block().header().certified());
    assert_eq!(&second, blocks[1].header().certified());
    assert!(second.certificate.is_some());
}

/// The index gives block and place; the same id asked in another channel is not found.
pub fn finds_envelopes_by_id_in_their_channel_only(store: &dyn BlockStore) {
    let (mut chain, other) = (created(store, 1), created(store, 2));
    let blocks = [chain.next(&[b"a", b"b", b"c"]), chain.next(&[b"d"])];
    store.append(&blocks).expect("they follow");

    for (id, position) in blocks.iter().flat_map(EnvelopePosition::all_of) {
        assert_eq!(store.find_envelope(chain.channel(), id), Ok(Some(position)));
        assert_eq!(store.find_envelope(other.channel(), id), Ok(None));
    }
    let (id, _) = EnvelopePosition::all_of(&blocks[0]).nth(2).expect("it has three");
    let expected = EnvelopePosition { block: BlockNumber::new(1), index: 2 };
    assert_eq!(store.find_envelope(chain.channel(), id), Ok(Some(expected)));
}

/// Config blocks are listed in order, in force as the last one says, and forgotten with their channel.
pub fn config_blocks_are_found_and_gone_with_their_channel(store: &dyn BlockStore) {
    let (mut chain, mut other) = (created(store, 1), created(store, 2));
    let names = ["second", "third"];
    for name in names {
        store.append(&chain.extend(2)).expect("they follow");
        let block = chain.update(|config| config.name = name.to_owned(), &[]);
        store.append(&[block]).expect("it follows");
    }
    store.append(&other.extend(1)).expect("it follows");

    let history = config_history(store, chain.genesis()).expect("the configs are read");

    let numbers = vec![BlockNumber::new(3), BlockNumber::new(6)];
    assert_eq!(store.config_blocks(chain.channel()), Ok(numbers));
    assert_eq!(store.config_blocks(other.channel()), Ok(Vec::new()));
    assert_eq!(history.current().hash(), chain.config().hash());
    assert_eq!((history.changed_at(), history.past().count()), (BlockNumber::new(6), 2));

    store.remove_channel(chain.channel()).expect("it is held");
    store.create_channel(chain.name(), chain.genesis()).expect("id and name are free");

    assert_eq!(store.config_blocks(chain.channel()), Ok(Vec::new()));
}

/// A config block whose update its config does not vouch for is damage: its config never rules.
pub fn an_unjudged_update_in_the_chain_is_damage(store: &dyn BlockStore) {
    let mut chain = created(store, 1);
    let unsigned = chain.changed(|config| config.name = "second".to_owned());
    let (right, wrong) = (chain.extend(1), chain.config_block(&unsigned));
    store.append(&right).expect("it follows");
    store.append(&[wrong]).expect("it follows");

    let refused = config_history(store, chain.genesis());

    let is_it = |number: BlockNumber| number == BlockNumber::new(2);
    assert!(matches!(refused, Err(StoreError::Damaged { number, .. }) if is_it(number)));
}

/// Values are kept by key; a second one replaces the first; none is `None`, which an empty one is not.
pub fn keeps_meta_values_and_replaces_them(store: &dyn BlockStore) {
    assert_eq!(store.meta(MetaKey::Incarnation), Ok(None));

    store.put_meta(MetaKey::Incarnation, b"one").expect("it is small");
    store.put_meta(MetaKey::Marks, b"").expect("it is small");
    store.put_meta(MetaKey::Incarnation, b"two").expect("it is small");

    assert_eq!(store.meta(MetaKey::Incarnation), Ok(Some(Bytes::from_static(b"two"))));
    assert_eq!(store.meta(MetaKey::Marks), Ok(Some(Bytes::new())));
}

/// A value of the limit's size is kept, one byte more is refused and the kept one stays.
pub fn refuses_meta_values_above_the_limit(store: &dyn BlockStore) {
    let longest = vec![7; META_VALUE_BYTES_MAX];
    let bytes = META_VALUE_BYTES_MAX + 1;

    assert_eq!(store.put_meta(MetaKey::Marks, &longest), Ok(()));
    let refused = store.put_meta(MetaKey::Marks, &vec![8; bytes]);

    assert_eq!(refused, Err(StoreError::MetaTooLong { key: MetaKey::Marks, bytes }));
    assert_eq!(store.meta(MetaKey::Marks), Ok(Some(longest.into())));
}

/// Whatever height a reader sees, the blocks below it are there.
pub fn readers_see_whole_blocks_while_another_thread_appends(store: &dyn BlockStore) {
    let mut chain = created(store, 1);
    let blocks = chain.extend(60);
    let is_done = AtomicBool::new(false);

    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut reads = 0;
            while !is_done.load(Ordering::Acquire) || reads == 0 {
                let tip = store.height(chain.channel()).expect("it is held").tip().expect("it has block 0");
                let block =
                    store.read(chain.channel(), tip).expect("it is read").expect("it is below the height");
                VerifiedBlock::from_store(block).expect("it is whole");
                reads += 1;
            }
        });
        let appended: Result<Vec<()>, _> = blocks.chunks(3).map(|batch| store.append(batch)).collect();
        is_done.store(true, Ordering::Release);
        appended.expect("they follow");
        reader.join().expect("the reader saw whole blocks");
    });

    assert_eq!(store.height(chain.channel()), Ok(Height::new(61)));
}

fn created(store: &dyn BlockStore, seed: u8) -> Chain {
    let chain = Chain::new(seed);
    store.create_channel(chain.name(), chain.genesis()).expect("the channel is new");
    chain
}

fn first_envelope(block: &VerifiedBlock) -> (EnvelopeId, EnvelopePosition) {
    EnvelopePosition::all_of(block).next().expect("a block has envelopes")
}

fn header(store: &dyn BlockStore, chain: &Chain, number: BlockNumber) -> CertifiedHeader {
    let bytes = store.read_header(chain.channel(), number).expect("it is read").expect("it is held");
    CertifiedHeader::decode(bytes).expect("it is a certified header")
}
