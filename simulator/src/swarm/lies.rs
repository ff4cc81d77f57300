//! Lets the nodes of a plan commit their crimes: what each kind means in a world.

use super::crime_kind::{CrimeKind, FloodKind};
use crate::liars::{
    AlteredBodies, AlteredHeaders, Crime, Deed, Delays, EarlyCompletes, Eclipse, FalseAnnouncements,
    FalseConflicts, FalseHeights, FalseMarks, Flood, ForeignCertificates, Replays, Towards, Withholding,
    WrongRanges, everything_about,
};
use crate::node::NodeId;
use crate::world::World;
use bytes::Bytes;
use ledgercast_crypto::{Digest, SecretKey};
use ledgercast_protocol::WallTime;
use ledgercast_protocol::evidence::Equivocation;
use ledgercast_protocol::ledger::{HeaderFields, QuorumCertificate};
use ledgercast_protocol::types::{BlockNumber, ChannelId, Lane, MemberId};
use ledgercast_protocol::wire::{ChannelMessage, Message, Tip, WantBody, WantHeaders};
use std::collections::BTreeSet;
use std::time::Duration;

/// What a claim of a height says; far above every tip.
const CLAIMED: u64 = 1_000_000;
/// How often somebody slanders whom it is connected to.
const SLANDER_PAUSE: Duration = Duration::from_secs(2);
/// How often somebody does what everybody punishes: often enough to go from one quarantine to the next.
const OFFENCE_PAUSE: Duration = Duration::from_secs(9);
/// How often somebody says all that an outsider can say.
const OUTSIDER_PAUSE: Duration = Duration::from_millis(900);
/// Floods are short of what a run can bear, not of what a peer allows: `attacks/floods.rs` tries more.
const FLOOD_PAUSE: Duration = Duration::from_millis(20);

/// Who lies, to whom, about whom, and until when.
#[derive(Clone, Debug)]
pub(crate) struct Circumstances<'a> {
    pub(crate) liar: NodeId,
    /// Whom it lies to; `None`: everybody.
    pub(crate) victims: Option<Vec<NodeId>>,
    pub(crate) liars: &'a [NodeId],
    pub(crate) honest: &'a [NodeId],
    /// Those of the honest that the liar may know: nobody slanders whom it has never heard of.
    pub(crate) known: Vec<NodeId>,
    /// Channels that the liar is a member of, and those that it is not.
    pub(crate) own: Vec<ChannelId>,
    pub(crate) foreign: Vec<ChannelId>,
    pub(crate) until: Duration,
}

impl Circumstances<'_> {
    /// From now on the liar commits this crime as well.
    pub(crate) fn commit(&self, world: &mut World, kind: CrimeKind) {
        let liar = self.liar;
        match kind {
            CrimeKind::Bodies(alteration) => self.alter(world, AlteredBodies(alteration)),
            CrimeKind::Headers => self.alter(world, AlteredHeaders::default()),
            CrimeKind::ForeignCertificates => {
                let tips = world.channels.iter().flat_map(|chain| {
                    let last = chain.height().saturating_sub(1);
                    [1, last].into_iter().filter_map(|number| chain.block(BlockNumber::new(number)))
                });
                let headers: Vec<_> = tips.map(|block| block.header().certified().clone()).collect();
                self.alter(world, ForeignCertificates::of(headers));
            }
            CrimeKind::Late(kinds, by) => self.alter(world, Delays { kinds, by }),
            CrimeKind::Withheld(kinds) => self.alter(world, Withholding::of(kinds)),
            CrimeKind::Silence => self.alter(world, Withholding::everything()),
            CrimeKind::EarlyCompletes => self.alter(world, EarlyCompletes),
            CrimeKind::Eclipse => {
                let shown: BTreeSet<MemberId> = self.liars.iter().map(|node| world.member(*node)).collect();
                self.alter(world, Eclipse { shown });
            }
            CrimeKind::FalseAnnouncements => self.alter(world, FalseAnnouncements { ahead: 40, count: 4 }),
            CrimeKind::FalseHeights => {
                let crime = FalseHeights::new(world, liar, CLAIMED);
                self.alter(world, crime);
            }
            CrimeKind::Ranges(lie) => {
                for channel in &self.own {
                    let crime = WrongRanges::new(world, *channel, lie);
                    self.alter(world, crime);
                }
            }
            CrimeKind::Replays => self.alter(world, Replays::default()),
            CrimeKind::FalseMarks => {
                let crime = FalseMarks { member: world.member(liar), later_by: 1_000 };
                self.alter(world, crime);
            }
            CrimeKind::FalseConflicts => self.alter(world, FalseConflicts::default()),
            CrimeKind::Slander(slander) => {
                let deed = slander.by(world, liar, &self.known);
                self.go_on(world, SLANDER_PAUSE, deed);
            }
            CrimeKind::WildAlives => self.wild_alives(world),
            CrimeKind::Flood(kind) => self.flood(world, kind),
            CrimeKind::Malformed => {
                self.go_on(world, OFFENCE_PAUSE, |count| {
                    let noise = Digest::of(&count.to_be_bytes());
                    let lane = [Lane::Control, Lane::Data, Lane::Pull][usize::from(noise.as_bytes()[0] % 3)];
                    Deed::Send(lane, Bytes::copy_from_slice(noise.as_bytes()))
                });
            }
            CrimeKind::FalseEvidence => self.false_evidence(world),
            CrimeKind::Outsider => self.outsider(world),
        }
    }

    fn alter(&self, world: &mut World, crime: impl Crime + 'static) {
        match &self.victims {
            Some(victims) => world.make_liar(self.liar, Towards::new(victims.clone(), crime)),
            None => world.make_liar(self.liar, crime),
        }
    }

    /// The liar does this at each pause, to each of its victims.
    fn go_on(&self, world: &mut World, every: Duration, deed: impl FnMut(u64) -> Deed + 'static) {
        let victims = self.victims.clone().unwrap_or_else(|| self.honest.to_vec());
        let (from, until) = (self.liar, self.until);
        world.flood(Flood { from, victims, every, until, deed: Box::new(deed) });
    }

    /// Alives of its own that are of an hour ago, of now, and of the end of time.
    fn wild_alives(&self, world: &mut World) {
        let now = world.wall().as_millis();
        let alives: Vec<_> = [now - 3_600_000, now, now + 3_600_000, u64::MAX]
            .into_iter()
            .flat_map(|incarnation| [now, now + 3_600_000].map(|wall| (incarnation, wall)))
            .map(|(incarnation, wall)| {
                world.forge_alive(self.liar, (incarnation, u64::MAX), WallTime::from_millis(wall))
            })
            .collect();
        self.go_on(world, SLANDER_PAUSE, move |count| {
            let place = usize::try_from(count).unwrap_or_default() % alives.len();
            Deed::Say(Message::Alives(vec![alives[place].clone()]))
        });
    }

    fn false_evidence(&self, world: &mut World) {
        let Some(channel) = self.own.first().copied() else {
            return;
        };
        let chain = world.channels.iter().find(|chain| chain.id() == channel);
        let Some((chain, block)) = chain.and_then(|it| Some((it, it.block(BlockNumber::new(1))?))) else {
            return;
        };
        let genuine = block.header().certified().clone();
        let body_root = Digest::of(b"never ordered");
        let mut forged = chain.certify_header(HeaderFields { body_root, ..genuine.header.fields().clone() });
        let nobodys = SecretKey::from_seed([0x77; 32]);
        forged.certificate = Some(QuorumCertificate::sign(channel, forged.hash(), 0, &nobodys));
        let Ok(evidence) = Equivocation::try_new(genuine, forged) else {
            return;
        };
        let message = Message::Channel(channel, ChannelMessage::Evidence(Box::new(evidence)));
        self.go_on(world, OFFENCE_PAUSE, move |_| Deed::Say(message.clone()));
    }

    fn outsider(&self, world: &mut World) {
        let said = self.foreign.iter().flat_map(|channel| {
            let chain = world.channels.iter().find(|chain| chain.id() == *channel);
            let block = chain.and_then(|chain| chain.block(BlockNumber::new(1)));
            let said = block.map(|block| everything_about(world, *channel, block, self.liar));
            said.unwrap_or_default().into_iter().map(|message| Message::Channel(*channel, message))
        });
        let said: Vec<Message> = said.collect();
        if !said.is_empty() {
            self.go_on(world, OUTSIDER_PAUSE, move |count| {
                Deed::Say(said[usize::try_from(count).unwrap_or_default() % said.len()].clone())
            });
        }
    }

    fn flood(&self, world: &mut World, kind: FloodKind) {
        let Some(channel) = self.own.first().copied() else {
            return;
        };
        let chain = world.channels.iter().find(|chain| chain.id() == channel);
        let Some(block) = chain.and_then(|chain| chain.block(BlockNumber::new(1))) else {
            return;
        };
        let tip = Tip { number: block.number(), header_hash: block.header().hash() };
        match kind {
            FloodKind::Announcements => self.go_on(world, FLOOD_PAUSE, move |count| {
                let number = BlockNumber::new(1 + count % 200);
                let tip = Tip { number, header_hash: Digest::of(&count.to_be_bytes()) };
                Deed::Say(Message::Channel(channel, ChannelMessage::Announce(tip)))
            }),
            FloodKind::Headers => {
                world.deafen(self.liar);
                let want = WantHeaders { first: tip.number, count: 256 };
                let message = Message::Channel(channel, ChannelMessage::WantHeaders(want));
                self.go_on(world, FLOOD_PAUSE, move |_| Deed::Say(message.clone()));
            }
            FloodKind::Bodies => {
                world.deafen(self.liar);
                let want = WantBody { tip, first_frame: 0, frame_count: 1 };
                let message = Message::Channel(channel, ChannelMessage::WantBody(want));
                self.go_on(world, FLOOD_PAUSE, move |_| Deed::Say(message.clone()));
            }
            FloodKind::Connections => self.go_on(world, FLOOD_PAUSE * 5, |_| Deed::Dial),
            FloodKind::Digests => {
                self.go_on(world, FLOOD_PAUSE, |_| Deed::Say(Message::AliveDigest(Vec::new())));
            }
        }
    }
}
