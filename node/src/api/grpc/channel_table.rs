//! The channels of a node at one moment, by id and by alias. Never changes: a node that joins or leaves makes
//! a new one.

use ledgercast_protocol::channel::ChannelConfig;
use ledgercast_protocol::types::{ChannelId, ChannelName};
use ledgercast_protocol::wire::proto;
use std::collections::BTreeMap;
use std::sync::Arc;
use tonic::Status;

/// What a node holds: every channel's alias and config.
#[derive(Debug, Default)]
pub struct ChannelTable {
    channels: BTreeMap<ChannelId, Entry>,
    names: BTreeMap<String, ChannelId>,
}

#[derive(Debug)]
struct Entry {
    name: ChannelName,
    config: Arc<ChannelConfig>,
}

/// How a caller names a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reference {
    Id(ChannelId),
    /// Not checked: a name that is not allowed is one that is not held.
    Name(String),
}

impl ChannelTable {
    /// A table of these channels under these aliases.
    pub fn new(channels: impl IntoIterator<Item = (ChannelName, Arc<ChannelConfig>)>) -> Self {
        let mut table = Self::default();
        for (name, config) in channels {
            let channel = config.channel();
            table.names.insert(name.as_str().to_owned(), channel);
            table.channels.insert(channel, Entry { name, config });
        }
        table
    }

    /// Every channel with its alias and config, by id.
    pub fn iter(&self) -> impl Iterator<Item = (ChannelId, &ChannelName, &Arc<ChannelConfig>)> {
        self.channels.iter().map(|(channel, entry)| (*channel, &entry.name, &entry.config))
    }

    /// The config of a channel that is held.
    pub fn config(&self, channel: ChannelId) -> Option<&Arc<ChannelConfig>> {
        self.channels.get(&channel).map(|entry| &entry.config)
    }

    /// The ids, ascending.
    pub fn ids(&self) -> impl Iterator<Item = ChannelId> {
        self.channels.keys().copied()
    }

    pub(super) fn find(&self, reference: &Reference) -> Option<ChannelId> {
        match reference {
            Reference::Id(channel) => self.channels.contains_key(channel).then_some(*channel),
            Reference::Name(name) => self.names.get(name).copied(),
        }
    }
}

impl Reference {
    /// # Errors
    /// `INVALID_ARGUMENT` when the message names no channel at all: the same whatever channels exist.
    pub(super) fn try_new(wire: Option<proto::ChannelReference>) -> Result<Self, Status> {
        match wire.and_then(|wire| wire.reference) {
            Some(proto::channel_reference::Reference::Id(bytes)) => {
                <[u8; 32]>::try_from(&bytes[..]).map(|id| Self::Id(ChannelId::from_bytes(id))).map_err(|_| {
                    let found = bytes.len();
                    Status::invalid_argument(format!("channel id has {found} bytes, expected 32"))
                })
            }
            Some(proto::channel_reference::Reference::Name(name)) => Ok(Self::Name(name)),
            None => Err(Status::invalid_argument("no channel is named: give its id or its name")),
        }
    }
}
