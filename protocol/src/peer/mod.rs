//! One peer: all state machines of a process, composed.
//!
//! ```text
//!  Input ─► Peer::handle ─┬─ sessions.rs    certificates, duplicates, dialing      ◄─► session/
//!                         ├─ statements.rs  screen → verify → screen → hand over   ◄─► membership/ …
//!                         ├─ trust.rs       expiry, revocation, renewal of certificates
//!                         ├─ quarantine.rs  what follows from offences              ◄─► standing/
//!                         ├─ channels.rs    who may discuss what; neighbours       ◄─► channel/ (blocks)
//!                         ├─ evidence.rs    what proves that orderers lied, on disk   ◄─► evidence/
//!                         ├─ reconfigured.rs  a config block: who may have what from now on
//!                         └─ flush.rs       members → sessions, certificates first ──► Output
//! ```
//!
//! One owner, never awaits. Siblings never call each other: their meetings are the files here.

pub mod channel;
mod channels;
mod config;
mod evidence;
mod flush;
mod identities;
mod joined;
mod load;
mod mentions;
mod pending;
mod quarantine;
mod reconfigured;
mod revocations;
mod sessions;
mod snapshot;
mod statements;
mod trust;

pub use config::{OwnIdentity, PeerConfig, RestoredChannel, RestoredState};
pub use load::Load;
#[cfg(feature = "saved")]
pub use revocations::resave_revocations;
pub use snapshot::{ChannelSnapshot, MemberSnapshot, SessionSnapshot, Snapshot};

use crate::budget::Budget;
use crate::event::Event;
use crate::input::{Command, Input};
use crate::job::{Job, Verdict};
use crate::membership;
use crate::output::{CloseReason, Outbox, Output};
use crate::session::{Dialing, Rates, Sessions};
use crate::standing::Standings;
use crate::store::MetaKey;
use crate::time::Now;
use crate::timer::Timer;
use crate::types::{ChannelId, Endpoint, Incarnation, MemberId, OrgId, SessionId};
use bytes::Bytes;
use identities::Identities;
use joined::Joined;
use ledgercast_crypto::Roster;
use pending::Pending;
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng as _, SeedableRng as _};
use revocations::Revocations;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A peer of an organisation, member of any number of channels.
#[derive(Debug)]
pub struct Peer {
    config: PeerConfig,
    own: OwnIdentity,
    roster: Arc<Roster>,
    identities: Identities,
    sessions: Sessions,
    /// Sessions that this process has dialed, ever.
    dialed: u64,
    rates: Rates,
    dialing: Dialing,
    standings: Standings,
    pending: Pending,
    revocations: Revocations,
    revocation_budget: Budget,
    certificate_budget: Budget,
    is_own_refused: bool,
    membership: membership::State,
    shared_orgs: BTreeSet<OrgId>,
    ready: BTreeMap<MemberId, OrgId>,
    channels: BTreeMap<ChannelId, Joined>,
    refused_endpoints: BTreeSet<Endpoint>,
    closing: Vec<(SessionId, CloseReason)>,
    is_stopping: bool,
    random: ChaCha8Rng,
    outbox: Outbox,
    ready_outputs: Vec<Output>,
}

impl Peer {
    /// A peer that has done nothing yet. `seed` feeds every random choice that it makes.
    pub fn new(
        config: PeerConfig,
        own: OwnIdentity,
        restored: RestoredState,
        now: Now,
        seed: [u8; 32],
    ) -> Self {
        let mut random = ChaCha8Rng::from_seed(seed);
        let incarnation = next_incarnation(now, restored.incarnation, config.membership.clock_skew_max);
        let identity = membership::Own {
            member: own.identity.member,
            org: own.identity.org,
            external: config.external_endpoint.clone(),
            internal: config.internal_endpoint.clone(),
        };
        let membership = membership::State::new(
            config.membership.clone(),
            identity,
            config.network,
            incarnation,
            restored.marks,
            next_seed(&mut random),
        );
        let mut peer = Self {
            roster: own.roster.clone(),
            identities: Identities::new(config.session.certificates_max, config.session.certificates_per_org),
            sessions: Sessions::default(),
            dialed: 0,
            rates: Rates::default(),
            dialing: Dialing::new(config.session.clone()),
            standings: Standings::new(config.standing.clone()),
            pending: Pending::new(&config.session),
            revocations: Revocations::restore(restored.revocations, config.session.revocation_bytes_max),
            revocation_budget: Budget::new(config.session.revocation_kib_per_second),
            certificate_budget: Budget::new(config.session.certificates_per_second),
            is_own_refused: false,
            membership,
            shared_orgs: BTreeSet::new(),
            ready: BTreeMap::new(),
            channels: BTreeMap::new(),
            refused_endpoints: BTreeSet::new(),
            closing: Vec::new(),
            is_stopping: false,
            random,
            outbox: Outbox::default(),
            ready_outputs: Vec::new(),
            config,
            own,
        };
        peer.identities.insert(peer.own.identity.clone(), peer.own.chain.clone(), |_| true);
        peer.refresh_orgs();
        for channel in restored.channels {
            peer.add_channel(channel);
        }
        peer.restore_evidence(restored.evidence);
        peer
    }

    /// Handles one input; appends what is to be done to `outputs`.
    pub fn handle(&mut self, now: Now, input: Input, outputs: &mut Vec<Output>) {
        match input {
            Input::Start => self.handle_start(now),
            Input::Opened { session, key, dialed } => self.handle_opened(now, session, key, dialed),
            Input::Closed { session } => self.handle_closed(now, session),
            Input::DialFailed { endpoint, is_refused } => self.handle_dial_failed(now, &endpoint, is_refused),
            Input::Received { session, lane, frame } => self.handle_received(now, session, lane, frame),
            Input::TimerDue(timer) => self.handle_timer(now, timer),
            Input::Judged(verdict) => self.handle_verdict(now, verdict),
            Input::Committed { channel, through } => {
                self.pass_to_channel(now, channel, channel::Input::Committed { through });
            }
            Input::CommitFailed { channel, number, error } => {
                self.pass_to_channel(now, channel, channel::Input::CommitFailed { number, error });
            }
            Input::BlockRead { channel, number, block } => {
                self.pass_to_channel(now, channel, channel::Input::BlockRead { number, block });
            }
            Input::HeadersRead { channel, asker, first, headers } => {
                self.pass_to_channel(now, channel, channel::Input::HeadersRead { asker, first, headers });
            }
            Input::Fed { channel, feed, block } => {
                self.pass_to_channel(now, channel, channel::Input::Fed { feed, block });
            }
            Input::FedHeader { channel, feed, header } => {
                self.pass_to_channel(now, channel, channel::Input::FedHeader { feed, header });
            }
            Input::FeedOpened { channel, feed } => {
                self.pass_to_channel(now, channel, channel::Input::FeedOpened { feed });
            }
            Input::FeedEnded { channel, feed, cause } => {
                self.pass_to_channel(now, channel, channel::Input::FeedEnded { feed, cause });
            }
            Input::Command(command) => self.handle_command(now, command),
        }
        self.settle(now, outputs);
    }

    fn handle_start(&mut self, now: Now) {
        let incarnation = Bytes::copy_from_slice(&self.incarnation().as_millis().to_be_bytes());
        self.outbox.push(Output::Save { key: MetaKey::Incarnation, value: incarnation });
        self.with_membership(now, membership::Input::Start);
        for channel in self.channels.keys().copied().collect::<Vec<_>>() {
            self.start_channel(now, channel);
        }
        self.schedule_certificates(now);
        self.handle_dial(now);
    }

    fn handle_timer(&mut self, now: Now, timer: Timer) {
        match timer {
            Timer::Hello(session) => self.handle_hello_timeout(session),
            Timer::Dial => self.handle_dial(now),
            Timer::Certificates => self.handle_certificates_due(now),
            Timer::Standing => self.handle_standing_due(now),
            Timer::Alive | Timer::Awake | Timer::Question(_) | Timer::Marks => {
                self.with_membership(now, membership::Input::TimerDue(timer));
            }
            Timer::Channel(channel, timer) => self.handle_channel_timer(now, channel, timer),
        }
    }

    fn handle_verdict(&mut self, now: Now, verdict: Verdict) {
        match verdict {
            Verdict::Certificate { shown_by, chain, identity } => {
                self.handle_judged_certificate(now, shown_by, chain, identity);
            }
            Verdict::Revocation { from, list, owner } => self.handle_judged_list(now, from, list, owner),
            Verdict::Statement { from, digest, kind, statement } => {
                self.handle_judged_statement(now, from, digest, kind, statement);
            }
            Verdict::Headers { ref config, .. } => {
                let channel = config.channel();
                self.pass_to_channel(now, channel, channel::Input::Judged(verdict));
            }
            Verdict::Body { ref header, .. } => {
                let channel = header.channel();
                self.pass_to_channel(now, channel, channel::Input::Judged(verdict));
            }
            Verdict::Rival { channel, .. } | Verdict::Evidence { channel, .. } => {
                self.pass_to_channel(now, channel, channel::Input::Judged(verdict));
            }
            Verdict::Overloaded(job) => self.handle_overloaded(now, job),
        }
    }

    fn handle_overloaded(&mut self, now: Now, job: Job) {
        match job {
            Job::Certificate { shown_by, chain, .. } => {
                self.pending.certificate_done(chain.certificate.fingerprint());
                self.refuse("certificate", "verifier_overloaded", None);
                if let Some(session) = shown_by {
                    self.close(session, CloseReason::Overloaded);
                }
            }
            Job::Revocation { from, list, .. } => {
                self.pending.certificate_done(list.fingerprint());
                self.refuse("revocations", "verifier_overloaded", from);
            }
            Job::Statement { from, statement, .. } => {
                self.pending.statement_done(statement.digest());
                self.refuse(statement.kind(), "verifier_overloaded", Some(from));
            }
            Job::Headers { ref config, .. }
            | Job::Rival { ref config, .. }
            | Job::Evidence { ref config, .. } => {
                let channel = config.channel();
                self.pass_to_channel(now, channel, channel::Input::Overloaded(job));
            }
            Job::Body { ref header, .. } => {
                let channel = header.channel();
                self.pass_to_channel(now, channel, channel::Input::Overloaded(job));
            }
        }
    }

    fn handle_command(&mut self, now: Now, command: Command) {
        match command {
            Command::Join { name, genesis, is_newcomer } => self.join(now, name, genesis, is_newcomer),
            Command::Leave { channel } => self.leave(now, channel),
            Command::LiftHalt { channel } => self.pass_to_channel(now, channel, channel::Input::LiftHalt),
            Command::Renew { identity, chain } => self.renew(now, identity, chain),
            Command::Revoke(list) => self.judge_list(None, list),
            Command::Shutdown => self.shut_down(now),
        }
    }

    fn shut_down(&mut self, now: Now) {
        self.is_stopping = true;
        self.with_membership(now, membership::Input::Shutdown);
    }

    /// My own identity.
    pub fn member(&self) -> MemberId {
        self.own.identity.member
    }

    /// Who is on the other side of a session, once its certificate was accepted.
    pub fn member_of(&self, session: SessionId) -> Option<MemberId> {
        self.sessions.session(session)?.identity().map(|identity| identity.member)
    }

    fn org(&self) -> OrgId {
        self.own.identity.org
    }

    /// The life of this process.
    pub fn incarnation(&self) -> Incarnation {
        self.membership.incarnation()
    }

    fn with_membership(&mut self, now: Now, input: membership::Input) {
        let context = membership::Context {
            key: &self.own.key,
            sessions: &self.ready,
            identities: &self.identities,
            shared_orgs: &self.shared_orgs,
        };
        self.membership.handle(now, input, &context, &mut self.outbox);
    }

    fn refuse(&mut self, kind: &'static str, reason: &'static str, member: Option<MemberId>) {
        self.outbox.event(Event::Refused { kind, reason, member });
    }
}

/// Wall-clock milliseconds at start, at least the last incarnation + 1 unless that lies beyond the clock's
/// skew: then the last one came from a clock that was wrong, and keeping to it would keep us out.
fn next_incarnation(now: Now, last: Option<Incarnation>, clock_skew_max: std::time::Duration) -> Incarnation {
    let by_clock = Incarnation::from_millis(now.wall.as_millis());
    let after_last = last.map_or(by_clock, Incarnation::next);
    match after_last.started_at() > now.wall.saturating_add(clock_skew_max) {
        true => by_clock,
        false => by_clock.max(after_last),
    }
}

fn next_seed(random: &mut ChaCha8Rng) -> [u8; 32] {
    let mut seed = [0; 32];
    random.fill_bytes(&mut seed);
    seed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{Monotonic, WallTime};
    use std::time::Duration;

    #[test]
    fn incarnation_grows_with_each_start_even_when_the_clock_does_not() {
        let now = Now { monotonic: Monotonic::ZERO, wall: WallTime::from_millis(1_000_000) };
        let skew = Duration::from_secs(300);
        let last = |millis| Some(Incarnation::from_millis(millis));

        assert_eq!(next_incarnation(now, None, skew).as_millis(), 1_000_000);
        assert_eq!(next_incarnation(now, last(999), skew).as_millis(), 1_000_000);
        assert_eq!(next_incarnation(now, last(1_000_000), skew).as_millis(), 1_000_001);
        assert_eq!(next_incarnation(now, last(1_200_000), skew).as_millis(), 1_200_001);
        assert_eq!(next_incarnation(now, last(9_000_000), skew).as_millis(), 1_000_000);
    }
}
