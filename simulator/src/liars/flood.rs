//! Does something of its own making, many times a second (A18).

use crate::dials::Attempt;
use crate::node::NodeId;
use crate::queue::Scheduled;
use crate::world::World;
use bytes::Bytes;
use ledgercast_protocol::types::Lane;
use ledgercast_protocol::wire::Message;
use std::fmt;
use std::time::Duration;

/// One thing that a flooding node does.
#[derive(Clone, Debug)]
pub enum Deed {
    /// It says this to every victim.
    Say(Message),
    /// It sends these bytes to every victim.
    Send(Lane, Bytes),
    /// It opens one more connection to every victim.
    Dial,
}

/// Who floods whom, with what, how often, and until when.
pub struct Flood {
    /// Who.
    pub from: NodeId,
    /// Whom.
    pub victims: Vec<NodeId>,
    /// How long until the next deed.
    pub every: Duration,
    /// When it ends, from the world's start.
    pub until: Duration,
    /// The deed, by its number.
    pub deed: Box<dyn FnMut(u64) -> Deed>,
}

impl fmt::Debug for Flood {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flood").field("from", &self.from).field("every", &self.every).finish_non_exhaustive()
    }
}

impl World {
    /// Begins a flood.
    pub fn flood(&mut self, flood: Flood) {
        self.liars.insert(flood.from);
        self.checks.evictions.set_outcast(flood.from);
        self.queue.push(self.now, Scheduled::Flood { flood: self.floods.len(), count: 0 });
        self.floods.push(flood);
    }

    pub(crate) fn flood_on(&mut self, index: usize, count: u64) {
        let flood = &mut self.floods[index];
        if self.now >= flood.until {
            return;
        }
        let (deed, from, victims) = ((flood.deed)(count), flood.from, flood.victims.clone());
        let next = self.now + flood.every;
        self.queue.push(next, Scheduled::Flood { flood: index, count: count + 1 });
        for victim in victims {
            match &deed {
                Deed::Say(message) => drop(self.inject(from, victim, message)),
                Deed::Send(lane, frame) => drop(self.inject_frame(from, victim, *lane, frame.clone())),
                Deed::Dial => {
                    let endpoint = self.nodes[victim.0].config.internal_endpoint.clone();
                    let life = self.nodes[from.0].life;
                    self.dial(Attempt { dialer: from, life, endpoint, expect: None });
                }
            }
        }
    }
}
