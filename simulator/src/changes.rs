//! Config updates that a campaign draws from its seed, none in some runs and several in others. Whoever a
//! config removes need not reach the tip; the standing checks look at what it is still sent.

use crate::checks::Failure;
use crate::random::Random;
use crate::world::World;
use ledgercast_protocol::types::ChannelId;

/// The org that a config may remove from the first channel, and add again.
const LEAVING: usize = 0;

/// The org that a config may add to the first channel.
const COMING: usize = 2;

/// What a run draws, and what it has done so far.
#[derive(Debug)]
pub(crate) struct Changes {
    random: Random,
    /// One moment in so many brings an update; 0: none does.
    one_in: usize,
    has_left: bool,
    is_invited: bool,
    count: u64,
}

impl Changes {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed, 101);
        let one_in = random.index(4);
        Self { random, one_in, has_left: false, is_invited: false, count: 0 }
    }

    /// Before anything goes wrong: an org may join the first channel and wait for the config that adds it.
    pub(crate) fn invite(&mut self, world: &mut World, first: ChannelId) -> Result<(), Failure> {
        self.is_invited = self.one_in > 0 && self.random.index(2) == 0;
        if self.is_invited {
            for node in world.peers_of(COMING) {
                world.join_as_newcomer(node, first)?;
            }
        }
        Ok(())
    }

    /// A moment of the campaign: perhaps a config changes.
    pub(crate) fn at_times(&mut self, world: &mut World, [first, second]: [ChannelId; 2]) {
        if self.one_in == 0 || self.random.index(self.one_in) > 0 {
            return;
        }
        self.count += 1;
        let channel = if self.random.index(2) == 0 { first } else { second };
        match self.random.index(5) {
            0 => world.replace_orderer(channel, &format!("orderer{}:7050", self.count)),
            1 => world.update_config(channel, |config| config.orgs[0].anchors.clear()),
            2 if self.is_invited => {
                self.is_invited = false;
                world.add_org(first, COMING);
            }
            3 => {
                match self.has_left {
                    true => world.add_org(first, LEAVING),
                    false => world.remove_org(first, LEAVING),
                }
                self.has_left = !self.has_left;
            }
            _ => world.update_config(channel, |config| {
                config.limits.get_or_insert_default().batch_timeout_ms = 300;
            }),
        }
    }
}
