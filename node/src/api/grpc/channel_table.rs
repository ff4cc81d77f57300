//! The channels of a node at one moment, by id and by alias. Never changes: a node that joins or leaves, or
//! whose channel gets a new config, makes a new one.

use ledgercast_protocol::channel::{ChannelConfig, ConfigHistory};
use ledgercast_protocol::types::{BlockNumber, ChannelId, ChannelName};
use ledgercast_protocol::wire::proto;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tonic::Status;

/// What a node holds: every channel's alias and configs.
#[derive(Debug, Default)]
pub struct ChannelTable {
    channels: BTreeMap<ChannelId, Entry>,
    names: BTreeMap<String, ChannelId>,
}

#[derive(Debug)]
struct Entry {
    name: ChannelName,
    configs: ConfigHistory,
}

/// A table that is replaced as a whole; shared by whoever changes it.
#[derive(Clone, Debug, Default)]
pub struct SharedTable(Arc<Mutex<Arc<ChannelTable>>>);

impl SharedTable {
    /// Shares a table.
    pub fn new(table: ChannelTable) -> Self {
        Self(Arc::new(Mutex::new(Arc::new(table))))
    }

    /// The table of this moment.
    pub fn current(&self) -> Arc<ChannelTable> {
        Arc::clone(&self.lock())
    }

    /// Replaces the table by a changed one.
    pub fn change(&self, change: impl FnOnce(&mut Vec<(ChannelName, ConfigHistory)>)) {
        let mut table = self.lock();
        let mut channels =
            table.histories().map(|(_, name, configs)| (name.clone(), configs.clone())).collect();
        change(&mut channels);
        *table = Arc::new(ChannelTable::new(channels));
    }

    /// A block has brought a config of a channel that is held.
    pub fn put_in_force(&self, number: BlockNumber, config: Arc<ChannelConfig>) {
        self.change(|channels| {
            let is_held =
                |it: &&mut (ChannelName, ConfigHistory)| it.1.current().channel() == config.channel();
            if let Some((_, configs)) = channels.iter_mut().find(is_held) {
                configs.apply(number, config);
            }
        });
    }

    /// A panic of another thread leaves a whole table: it is replaced, never changed.
    fn lock(&self) -> MutexGuard<'_, Arc<ChannelTable>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
    pub fn new(channels: impl IntoIterator<Item = (ChannelName, ConfigHistory)>) -> Self {
        let mut table = Self::default();
        for (name, configs) in channels {
            let channel = configs.current().channel();
            table.names.insert(name.as_str().to_owned(), channel);
            table.channels.insert(channel, Entry { name, configs });
        }
        table
    }

    /// Every channel with its alias and the config in force, by id.
    pub fn iter(&self) -> impl Iterator<Item = (ChannelId, &ChannelName, &Arc<ChannelConfig>)> {
        self.channels.iter().map(|(channel, entry)| (*channel, &entry.name, entry.configs.current()))
    }

    /// Every channel with its alias and configs, by id.
    pub fn histories(&self) -> impl Iterator<Item = (ChannelId, &ChannelName, &ConfigHistory)> {
        self.channels.iter().map(|(channel, entry)| (*channel, &entry.name, &entry.configs))
    }

    /// The config in force of a channel that is held.
    pub fn config(&self, channel: ChannelId) -> Option<&Arc<ChannelConfig>> {
        self.channels.get(&channel).map(|entry| entry.configs.current())
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
