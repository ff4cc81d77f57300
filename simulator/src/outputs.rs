//! Carries out what a peer wants done, one output at a time.

use crate::checks::{Judgement, Violation, accusations};
use crate::dials::Attempt;
use crate::disk::Write;
use crate::node::NodeId;
use crate::queue::Scheduled;
use crate::world::World;
use ledgercast_protocol::job::{Job, Verdict};
use ledgercast_protocol::ledger::{CertifiedHeader, VerifiedBlock};
use ledgercast_protocol::store::BlockStore as _;
use ledgercast_protocol::types::{BlockNumber, ChannelId, MemberId};
use ledgercast_protocol::{Event, Input, Output};

/// Verifications of one node under way at once; more are refused, as a node's pool does it.
const POOL_MAX: usize = 8192;

impl World {
    pub(crate) fn carry_out(&mut self, node: NodeId, output: Output) -> Result<(), Violation> {
        match output {
            Output::Send { session, lane, frame, .. } => self.send_frame(node, session, lane, frame)?,
            Output::Dial { endpoint, expect } => {
                let life = self.nodes[node.0].life;
                self.dial(Attempt { dialer: node, life, endpoint, expect });
            }
            Output::Close { session, .. } => self.close_session(node, session),
            Output::SetTimer { timer, at } => {
                let life = self.nodes[node.0].life;
                if let Some(process) = &mut self.nodes[node.0].process {
                    let at = (process.started + at.since_start()).max(self.now);
                    process.timers.insert(timer, at);
                    self.queue.push(at, Scheduled::Timer(node, life, timer, at));
                }
            }
            Output::Verify(job) => self.verify(node, job),
            Output::Commit(block) => self.commit(node, block)?,
            Output::ReadBlock { channel, number } => self.read_block(node, channel, number),
            Output::ReadHeaders { channel, asker, first, count } => {
                self.read_headers(node, channel, asker, first, count);
            }
            Output::Save { key, value } => {
                let done = self.nodes[node.0].disk.write(self.now, Write::Meta(key, value));
                self.queue.push(done, Scheduled::DiskDone(node, self.nodes[node.0].life));
            }
            Output::OpenFeed { channel, feed, source, blocks } => {
                self.open_feed((node, channel, feed), &source, blocks);
            }
            Output::ExtendFeed { channel, feed, through } => self.extend_feed(node, channel, feed, through),
            Output::CloseFeed { channel, feed } => self.close_feed(node, channel, feed),
            Output::Event(event) => self.take_event(node, event)?,
        }
        Ok(())
    }

    pub(crate) fn share_anything(&self, one: NodeId, other: NodeId) -> bool {
        self.nodes[one.0].org == self.nodes[other.0].org || self.checks.isolation.share(one, other)
    }

    fn verify(&mut self, node: NodeId, job: Job) {
        let life = self.nodes[node.0].life;
        *self.nodes[node.0].verifications.entry(kind_of(&job)).or_default() += 1;
        let Some(process) = &mut self.nodes[node.0].process else {
            return;
        };
        process.pending_verifications += 1;
        let (verdict, delay) = if process.pending_verifications > POOL_MAX {
            (Verdict::Overloaded(job), std::time::Duration::ZERO)
        } else {
            self.verifier.judge(job)
        };
        self.queue.push(self.now + delay, Scheduled::Input(node, life, Input::Judged(verdict)));
    }

    fn commit(&mut self, node: NodeId, block: VerifiedBlock) -> Result<(), Violation> {
        let truth = self.channels.iter().find(|chain| chain.id() == block.header().channel());
        self.checks.chains.on_commit(node, &block, truth)?;
        let done = self.nodes[node.0].disk.write(self.now, Write::Block(block));
        self.queue.push(done, Scheduled::DiskDone(node, self.nodes[node.0].life));
        Ok(())
    }

    fn read_block(&mut self, node: NodeId, channel: ChannelId, number: BlockNumber) {
        let target = &self.nodes[node.0];
        let block = target.disk.store().read(channel, number).ok().flatten();
        let input = Input::BlockRead { channel, number, block };
        self.queue.push(self.now + target.disk.read_delay(), Scheduled::Input(node, target.life, input));
    }

    fn read_headers(
        &mut self,
        node: NodeId,
        channel: ChannelId,
        asker: MemberId,
        first: BlockNumber,
        count: u32,
    ) {
        let target = &self.nodes[node.0];
        let store = target.disk.store();
        let headers = (0..u64::from(count)).map_while(|offset| {
            let bytes = store.read_header(channel, first.saturating_add(offset)).ok().flatten()?;
            CertifiedHeader::decode(bytes).ok()
        });
        let input = Input::HeadersRead { channel, asker, first, headers: headers.collect() };
        self.queue.push(self.now + target.disk.read_delay(), Scheduled::Input(node, target.life, input));
    }

    fn take_event(&mut self, node: NodeId, event: Event) -> Result<(), Violation> {
        match &event {
            Event::Refused { kind, reason, .. } => {
                *self.nodes[node.0].refusals.entry((kind, reason)).or_default() += 1;
                return Ok(());
            }
            Event::BlockCommitted { header, trace } => {
                let durable = self.nodes[node.0].disk.height(header.channel());
                self.checks.chains.on_delivered(node, header, durable)?;
                self.deliveries += 1;
                if let Some((_, route, _)) = trace.body {
                    *self.routes.entry((node, route)).or_default() += 1;
                }
                return Ok(());
            }
            Event::ConfigChanged { channel, .. } => self.checks.isolation.on_changed(node, *channel),
            Event::MemberEvicted { member, silent_for, reason } => {
                // Who shares no channel any more hears nothing more.
                let subject = self.node_of(*member).filter(|subject| self.share_anything(node, *subject));
                if let Some(subject) = subject {
                    let judgement = Judgement {
                        at: self.now,
                        silent_for: *silent_for,
                        reason: *reason,
                        expiry: self.nodes[node.0].config.membership.expiry,
                        connected_since: self.connected_since(node, subject),
                    };
                    self.checks.evictions.on_evicted(node, subject, &judgement)?;
                }
            }
            Event::Offence { member, offence } => {
                if let Some(accused) = self.node_of(*member) {
                    accusations::on_offence(node, accused, offence, &self.liars)?;
                }
            }
            Event::MemberQuarantined { member, .. } if !self.liars.contains(&node) => {
                // Who refuses it hears it no more, and it hears them no more.
                self.node_of(*member).into_iter().for_each(|it| self.checks.evictions.set_outcast(it));
            }
            Event::EvidenceFound { channel, number, .. }
                if !self.orderers.equivocated.contains(&(*channel, *number)) =>
            {
                let (channel, number) = (*channel, *number);
                return Err(Violation::InnocentConvicted { by: node, channel, number });
            }
            _ => {}
        }
        self.nodes[node.0].events.push((self.now, event));
        Ok(())
    }
}

fn kind_of(job: &Job) -> &'static str {
    match job {
        Job::Certificate { .. } => "certificate",
        Job::Revocation { .. } => "revocation",
        Job::Statement { statement, .. } => statement.kind(),
        Job::Headers { .. } => "headers",
        Job::Rival { .. } => "rival",
        Job::Evidence { .. } => "evidence",
        Job::Body { .. } => "body",
    }
}
