//! Liars: nodes whose process is as honest as any, and whose frames are not. A [`Crime`] says what is sent in
//! place of each frame; one file each. A node may commit several, each on what the one before left, and any
//! number of nodes may be liars.
//!
//! What a frame of an honest process is no occasion for is a [`Flood`], or is injected by the scenario.

mod altered_bodies;
mod altered_headers;
mod delays;
mod early_completes;
mod eclipse;
mod false_announcements;
mod false_conflicts;
mod false_heights;
mod false_marks;
mod flood;
mod foreign_certificates;
mod forgery;
mod outsider;
mod replays;
mod slander;
mod towards;
mod withholding;
mod wrong_ranges;

pub use altered_bodies::{AlteredBodies, BodyAlteration};
pub use altered_headers::{AlteredHeaders, HeaderAlteration};
pub use delays::Delays;
pub use early_completes::EarlyCompletes;
pub use eclipse::Eclipse;
pub use false_announcements::FalseAnnouncements;
pub use false_conflicts::FalseConflicts;
pub use false_heights::FalseHeights;
pub use false_marks::FalseMarks;
pub use flood::{Deed, Flood};
pub use foreign_certificates::ForeignCertificates;
pub use outsider::everything_about;
pub use replays::Replays;
pub use slander::Slander;
pub use towards::Towards;
pub use withholding::Withholding;
pub use wrong_ranges::{RangeLie, WrongRanges};

use crate::connections::{ConnectionId, Side};
use crate::node::NodeId;
use crate::peek::Peek;
use crate::queue::Scheduled;
use crate::traffic::SentFrame;
use crate::world::World;
use bytes::Bytes;
use ledgercast_protocol::types::{ChannelId, Lane};
use ledgercast_protocol::wire::{ChannelMessage, Message};
use std::time::Duration;

/// What a liar does to the frames that its process wants to send.
pub trait Crime {
    /// What is sent in place of a frame; nothing at all, the truth, or something else.
    fn commit(&mut self, sent: &SentFrame<'_>) -> Vec<Lie>;
}

/// What is sent in place of a frame: on its lane, unless messages of that kind never travel there.
#[derive(Clone, Debug)]
pub struct Lie {
    /// Its bytes.
    pub frame: Bytes,
    /// How much later than the frame would have been sent.
    pub after: Duration,
}

impl Lie {
    /// These bytes, at once.
    pub fn frame(frame: Bytes) -> Self {
        Self { frame, after: Duration::ZERO }
    }

    /// The frame itself: no lie.
    pub fn truth(sent: &SentFrame<'_>) -> Vec<Self> {
        vec![Self::frame(sent.frame.clone())]
    }

    /// A message of a channel, at once.
    pub fn channel(channel: ChannelId, message: ChannelMessage) -> Self {
        Self::frame(Message::Channel(channel, message).encode())
    }
}

/// The channel's message in a frame of one of these kinds.
pub(crate) fn channel_message(sent: &SentFrame<'_>, kinds: &[&str]) -> Option<(ChannelId, ChannelMessage)> {
    if !kinds.contains(&sent.peek.kind) {
        return None;
    }
    match Message::decode(sent.frame.clone()) {
        Ok(Message::Channel(channel, message)) => Some((channel, message)),
        _ => None,
    }
}

/// A crime that fits in a scenario's closure.
struct AdHoc<F>(F);

impl<F: FnMut(&SentFrame<'_>) -> Vec<Bytes>> Crime for AdHoc<F> {
    fn commit(&mut self, sent: &SentFrame<'_>) -> Vec<Lie> {
        (self.0)(sent).into_iter().map(Lie::frame).collect()
    }
}

impl World {
    /// From now on a node commits this crime too.
    pub fn make_liar(&mut self, node: NodeId, crime: impl Crime + 'static) {
        self.liars.insert(node);
        // It may keep others from hearing it, and itself from being answered.
        self.checks.evictions.set_outcast(node);
        self.crimes.entry(node).or_default().push(Box::new(crime));
    }

    /// The same for a crime that a closure describes: what it returns is sent in place of a frame.
    pub fn corrupt(&mut self, node: NodeId, crime: impl FnMut(&SentFrame<'_>) -> Vec<Bytes> + 'static) {
        self.make_liar(node, AdHoc(crime));
    }

    /// The node's process sends the truth again; it still counts as a liar.
    pub fn make_honest(&mut self, node: NodeId) {
        self.crimes.remove(&node);
    }

    /// The node's process hears no answers from now on: it would not know the questions asked in its name.
    pub fn deafen(&mut self, node: NodeId) {
        self.liars.insert(node);
        self.checks.evictions.set_outcast(node);
        self.deaf.insert(node);
    }

    pub(crate) fn is_deaf_to(&self, node: NodeId, lane: Lane) -> bool {
        lane == Lane::Pull && self.deaf.contains(&node)
    }

    /// Whether the frame was a liar's and is dealt with.
    pub(crate) fn send_altered(
        &mut self,
        sent: &SentFrame<'_>,
        (connection, from): (ConnectionId, Side),
    ) -> bool {
        let Some(crimes) = self.crimes.get_mut(&sent.from) else {
            return false;
        };
        let mut lies = Lie::truth(sent);
        for crime in crimes {
            let of_crime = |lie: Lie| {
                let frame = SentFrame { peek: Peek::at(&lie.frame), frame: &lie.frame, ..sent.clone() };
                let next = crime.commit(&frame).into_iter();
                next.map(|next| Lie { after: next.after + lie.after, ..next }).collect::<Vec<_>>()
            };
            lies = lies.into_iter().flat_map(of_crime).collect();
        }
        for Lie { frame, after } in lies {
            self.traffic.count_lie(Peek::at(&frame).kind, frame.len());
            let lane = lane_of(&frame, sent.lane);
            if after.is_zero() {
                self.put_on_wire(connection, from, lane, frame);
            } else {
                let late = Scheduled::LateFrame { connection, from, lane, frame };
                self.queue.push(self.now + after, late);
            }
        }
        true
    }
}

/// A wrong lane would be an offence of its own, beside the crime.
fn lane_of(frame: &Bytes, lane: Lane) -> Lane {
    match Message::decode(frame.clone()) {
        Ok(message) if !message.travels_on(lane) => message.lane(),
        _ => lane,
    }
}
