//! Keys and fixed-size values as drawn in the module's header. Numbers are big-endian, so that their order is
//! the bytes' order. Pure.

use ledgercast_protocol::ledger::EnvelopeId;
use ledgercast_protocol::store::{EnvelopePosition, MetaKey};
use ledgercast_protocol::types::{BlockNumber, ChannelId};

const CHANNEL_BYTES: usize = 32;
const NUMBER_BYTES: usize = 8;
const POSITION_BYTES: usize = NUMBER_BYTES + 4;

/// Starts the keys of `meta` that name a channel.
pub(super) const CHANNEL_TAG: u8 = b'c';
const VALUE_TAG: u8 = b'k';
const CONFIG_TAG: u8 = b'n';

/// Key of a block in `headers` and `bodies`.
pub(super) fn block(channel: ChannelId, number: BlockNumber) -> [u8; CHANNEL_BYTES + NUMBER_BYTES] {
    let mut key = [0; CHANNEL_BYTES + NUMBER_BYTES];
    key[..CHANNEL_BYTES].copy_from_slice(channel.as_bytes());
    key[CHANNEL_BYTES..].copy_from_slice(&number.as_u64().to_be_bytes());
    key
}

/// The number in a key of `headers`, when it is a key of this channel.
pub(super) fn block_number(channel: ChannelId, key: &[u8]) -> Option<BlockNumber> {
    let number = key.strip_prefix(channel.as_bytes())?;
    Some(BlockNumber::new(u64::from_be_bytes(number.try_into().ok()?)))
}

/// Key of an envelope in `envelopes`.
pub(super) fn envelope(channel: ChannelId, envelope: EnvelopeId) -> [u8; 2 * CHANNEL_BYTES] {
    let mut key = [0; 2 * CHANNEL_BYTES];
    key[..CHANNEL_BYTES].copy_from_slice(channel.as_bytes());
    key[CHANNEL_BYTES..].copy_from_slice(envelope.0.as_bytes());
    key
}

/// The first key of a channel in `headers`, `bodies` and `envelopes`, and one behind its last.
pub(super) fn range(channel: ChannelId) -> (Vec<u8>, Vec<u8>) {
    let start = channel.as_bytes().to_vec();
    let mut end = start.clone();
    // One byte longer than the longest rest of a key.
    end.extend([0xff; CHANNEL_BYTES + 1]);
    (start, end)
}

/// Key of a channel in `meta`.
pub(super) fn channel(channel: ChannelId) -> [u8; 1 + CHANNEL_BYTES] {
    let mut key = [CHANNEL_TAG; 1 + CHANNEL_BYTES];
    key[1..].copy_from_slice(channel.as_bytes());
    key
}

/// The channel in a key of `meta`, when it names one.
pub(super) fn channel_id(key: &[u8]) -> Option<ChannelId> {
    let id = key.strip_prefix(&[CHANNEL_TAG])?;
    Some(ChannelId::from_bytes(id.try_into().ok()?))
}

/// Key of a config block in `meta`.
pub(super) fn config_block(
    channel: ChannelId,
    number: BlockNumber,
) -> [u8; 1 + CHANNEL_BYTES + NUMBER_BYTES] {
    let mut key = [CONFIG_TAG; 1 + CHANNEL_BYTES + NUMBER_BYTES];
    key[1..].copy_from_slice(&block(channel, number));
    key
}

/// The number in a key of `meta`, when it names a config block of this channel.
pub(super) fn config_block_number(channel: ChannelId, key: &[u8]) -> Option<BlockNumber> {
    block_number(channel, key.strip_prefix(&[CONFIG_TAG])?)
}

/// The first key of a channel's config blocks in `meta`, and one behind its last.
pub(super) fn config_range(channel: ChannelId) -> (Vec<u8>, Vec<u8>) {
    let (start, end) = range(channel);
    ([&[CONFIG_TAG], &start[..]].concat(), [&[CONFIG_TAG], &end[..]].concat())
}

/// Key of a small value in `meta`.
pub(super) fn meta(key: MetaKey) -> [u8; 2] {
    let which = match key {
        MetaKey::Incarnation => b'i',
        MetaKey::Marks => b'm',
        MetaKey::Revocations => b'r',
        MetaKey::Evidence => b'e',
    };
    [VALUE_TAG, which]
}

/// Value in `envelopes`.
pub(super) fn position(position: EnvelopePosition) -> [u8; POSITION_BYTES] {
    let mut value = [0; POSITION_BYTES];
    value[..NUMBER_BYTES].copy_from_slice(&position.block.as_u64().to_be_bytes());
    value[NUMBER_BYTES..].copy_from_slice(&position.index.to_be_bytes());
    value
}

/// Reads a value of `envelopes`.
pub(super) fn parse_position(value: &[u8]) -> Option<EnvelopePosition> {
    let (number, index) = value.split_at_checked(NUMBER_BYTES)?;
    Some(EnvelopePosition {
        block: BlockNumber::new(u64::from_be_bytes(number.try_into().ok()?)),
        index: u32::from_be_bytes(index.try_into().ok()?),
    })
}
