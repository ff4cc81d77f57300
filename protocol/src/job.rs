//! Work for the verification pool: costly checks on bytes that passed the cheap ones, and their verdicts.
//!
//! A job carries all that it needs and is run anywhere; the core alone decides what follows from its verdict.

use crate::channel::{ChannelConfig, ConfigUpdate, UpdateError};
use crate::event::Source;
use crate::evidence::{Equivocation, EquivocationError, Proof};
use crate::ledger::{BlockError, CertifiedHeader, VerifiedBlock, VerifiedHeader};
use crate::types::{ChannelId, MemberId, SessionId, Tick};
use crate::wire::{
    Alive, AliveRecord, CertificateChain, ChannelLeave, Conflict, InternalEndpoint, Leadership, Leave,
    Signed, StateInfo, Statement, Verified,
};
use bytes::Bytes;
use ledgercast_crypto::SignatureError;
use ledgercast_crypto::certificate::CertificateError;
use ledgercast_crypto::digest::Digest;
use ledgercast_crypto::keys::PublicKey;
use ledgercast_crypto::{Identity, ListOwner, RevocationError, RevocationList, Roster};
use std::sync::Arc;

/// One verification.
#[derive(Clone, Debug)]
pub enum Job {
    /// A certificate shown on a session, relayed, or held and to be judged again.
    Certificate {
        /// The session whose own it is; `None`: it was relayed or is held.
        shown_by: Option<SessionId>,
        /// The chain.
        chain: CertificateChain,
        /// The orgs that I know.
        roster: Arc<Roster>,
        /// Seconds since the Unix epoch.
        at: u64,
    },
    /// A revocation list.
    Revocation {
        /// Who sent it; `None`: it lay in my own folder.
        from: Option<MemberId>,
        /// The list.
        list: RevocationList,
        /// The orgs that I know.
        roster: Arc<Roster>,
    },
    /// A member's statement.
    Statement {
        /// Who sent it (not always who stated it).
        from: MemberId,
        /// The network id or channel id that it must be signed for.
        context: [u8; 32],
        /// The stating member's key.
        key: PublicKey,
        /// The statement.
        statement: SignedStatement,
    },
    /// Headers of one channel.
    Headers {
        /// Who sent them.
        from: Source,
        /// The config that they must be certified under.
        config: Arc<ChannelConfig>,
        /// The headers.
        headers: Vec<CertifiedHeader>,
    },
    /// A header of a number at which another one is held.
    Rival {
        /// Who sent it.
        from: Source,
        /// The config in force.
        config: Arc<ChannelConfig>,
        /// The one that is held.
        held: CertifiedHeader,
        /// The one that came.
        other: CertifiedHeader,
    },
    /// What a member shows as evidence.
    Evidence {
        /// Who.
        from: MemberId,
        /// The config that it names.
        config: Arc<ChannelConfig>,
        /// The two headers.
        equivocation: Box<Equivocation>,
    },
    /// A body of a proven header.
    Body {
        /// Who sent it, or its last piece.
        from: Source,
        /// The header.
        header: VerifiedHeader,
        /// The bytes.
        body: Bytes,
        /// The config in force, by which an update of it is judged.
        config: Arc<ChannelConfig>,
    },
}

/// A signed statement of any kind.
#[derive(Clone, Debug)]
pub enum SignedStatement {
    /// With the internal endpoint and the tick that travelled beside it.
    Alive(Signed<Alive>, Option<InternalEndpoint>, Option<Tick>),
    /// Good-bye.
    Leave(Signed<Leave>),
    /// Two alives that exclude each other.
    Conflict(Box<Conflict>),
    /// State of a channel.
    StateInfo(ChannelId, Signed<StateInfo>),
    /// A claim to lead.
    Leadership(ChannelId, Signed<Leadership>),
    /// Good-bye to a channel.
    ChannelLeave(ChannelId, Signed<ChannelLeave>),
}

/// A verified statement of any kind.
#[derive(Clone, Debug)]
pub enum VerifiedStatement {
    /// With the internal endpoint that travelled beside it, if the alive vouches for it, and the tick.
    Alive(Verified<Alive>, Option<InternalEndpoint>, Option<Tick>),
    /// Good-bye.
    Leave(Verified<Leave>),
    /// Two alives that exclude each other.
    Conflict(Box<VerifiedConflict>),
    /// State of a channel.
    StateInfo(ChannelId, Verified<StateInfo>),
    /// A claim to lead.
    Leadership(ChannelId, Verified<Leadership>),
    /// Good-bye to a channel.
    ChannelLeave(ChannelId, Verified<ChannelLeave>),
}

/// A [`Conflict`] of which both signatures were checked. An internal endpoint is kept if its alive vouches
/// for it.
#[derive(Clone, Debug)]
pub struct VerifiedConflict {
    pub(crate) first: (Verified<Alive>, Option<InternalEndpoint>),
    pub(crate) second: (Verified<Alive>, Option<InternalEndpoint>),
}

/// The answer to a [`Job`].
#[derive(Clone, Debug)]
pub enum Verdict {
    /// See [`Job::Certificate`].
    Certificate {
        /// The session whose own it is.
        shown_by: Option<SessionId>,
        /// The chain.
        chain: CertificateChain,
        /// Whose it is.
        identity: Result<Identity, CertificateError>,
    },
    /// See [`Job::Revocation`].
    Revocation {
        /// Who sent it.
        from: Option<MemberId>,
        /// The list.
        list: RevocationList,
        /// The CA that signed it.
        owner: Result<ListOwner, RevocationError>,
    },
    /// See [`Job::Statement`].
    Statement {
        /// Who sent it.
        from: MemberId,
        /// Names the pending bytes: [`Signed::digest`].
        digest: Digest,
        /// The kind's name.
        kind: &'static str,
        /// The statement.
        statement: Result<VerifiedStatement, SignatureError>,
    },
    /// See [`Job::Headers`].
    Headers {
        /// Who sent them.
        from: Source,
        /// The config that they were judged under.
        config: Arc<ChannelConfig>,
        /// All of them in order, or the first error.
        headers: Result<Vec<VerifiedHeader>, BlockError>,
    },
    /// See [`Job::Rival`].
    Rival {
        /// Who sent it.
        from: Source,
        /// The channel.
        channel: ChannelId,
        /// Why the header that came is false, if it is.
        error: Option<BlockError>,
        /// What the two headers prove together.
        proof: Box<Result<Proof, EquivocationError>>,
    },
    /// See [`Job::Evidence`].
    Evidence {
        /// Who showed it.
        from: MemberId,
        /// The channel.
        channel: ChannelId,
        /// What it proves.
        proof: Box<Result<Proof, EquivocationError>>,
    },
    /// See [`Job::Body`].
    Body {
        /// Who sent it.
        from: Source,
        /// The header.
        header: VerifiedHeader,
        /// The block.
        block: Result<VerifiedBlock, BlockError>,
        /// The config that the block brings, if it is a config block.
        update: Option<Result<Arc<ChannelConfig>, UpdateError>>,
    },
    /// The pool was full; nothing was checked.
    Overloaded(Job),
}

impl Job {
    /// Does the work. Costs one signature check per statement and header signature, one SHA-256 pass per
    /// body.
    pub fn run(self) -> Verdict {
        match self {
            Self::Certificate { shown_by, chain, roster, at } => {
                let identity = roster.verify(&chain.certificate, &chain.intermediates, at);
                Verdict::Certificate { shown_by, chain, identity }
            }
            Self::Revocation { from, list, roster } => {
                let owner = roster.signer_of(&list);
                Verdict::Revocation { from, list, owner }
            }
            Self::Statement { from, context, key, statement } => Verdict::Statement {
                from,
                digest: statement.digest(),
                kind: statement.kind(),
                statement: statement.verify(&key, &context),
            },
            Self::Headers { from, config, headers } => {
                let headers =
                    headers.into_iter().map(|header| VerifiedHeader::try_new(header, &config)).collect();
                Verdict::Headers { from, config, headers }
            }
            Self::Rival { from, config, held, other } => {
                let proof = Equivocation::try_new(held, other.clone());
                let proof = proof.and_then(|it| it.only_right(&config)).and_then(|it| prove(it, &config));
                let (channel, error) = (config.channel(), VerifiedHeader::try_new(other, &config).err());
                Verdict::Rival { from, channel, error, proof: Box::new(proof) }
            }
            Self::Evidence { from, config, equivocation } => {
                let (channel, proof) = (config.channel(), prove(*equivocation, &config));
                Verdict::Evidence { from, channel, proof: Box::new(proof) }
            }
            Self::Body { from, header, body, config } => {
                let block = VerifiedBlock::try_new(header.clone(), body);
                let update = block.as_ref().ok().and_then(|block| judge_update(block, &config));
                Verdict::Body { from, header, block, update }
            }
        }
    }
}

fn prove(equivocation: Equivocation, config: &ChannelConfig) -> Result<Proof, EquivocationError> {
    let verdict = equivocation.judge(config)?;
    Ok(Proof { equivocation, verdict })
}

/// The config that a block brings, judged by the one in force; `None` for a block of transactions.
pub fn judge_update(
    block: &VerifiedBlock,
    in_force: &ChannelConfig,
) -> Option<Result<Arc<ChannelConfig>, UpdateError>> {
    let update = ConfigUpdate::decode(block.config_update()?);
    Some(update.and_then(|update| update.judge(in_force)).map(Arc::new))
}

impl VerifiedStatement {
    /// The statement as it travels, to be screened again.
    pub fn to_signed(&self) -> SignedStatement {
        match self {
            Self::Alive(alive, internal, tick) => {
                SignedStatement::Alive(alive.signed().clone(), internal.clone(), *tick)
            }
            Self::Leave(leave) => SignedStatement::Leave(leave.signed().clone()),
            Self::Conflict(conflict) => SignedStatement::Conflict(Box::new(conflict.to_wire())),
            Self::StateInfo(channel, state) => SignedStatement::StateInfo(*channel, state.signed().clone()),
            Self::Leadership(channel, claim) => SignedStatement::Leadership(*channel, claim.signed().clone()),
            Self::ChannelLeave(channel, leave) => {
                SignedStatement::ChannelLeave(*channel, leave.signed().clone())
            }
        }
    }
}

impl VerifiedConflict {
    /// As it travels inside the org.
    pub fn to_wire(&self) -> Conflict {
        let record = |(alive, internal): &(Verified<Alive>, Option<InternalEndpoint>)| AliveRecord {
            alive: alive.signed().clone(),
            internal: internal.clone(),
            tick: None,
        };
        Conflict { first: record(&self.first), second: record(&self.second) }
    }
}

impl SignedStatement {
    /// Names these bytes with this signature.
    pub fn digest(&self) -> Digest {
        match self {
            Self::Alive(signed, ..) => signed.digest(),
            Self::Leave(signed) => signed.digest(),
            Self::Conflict(pair) => digest_of_records(&[&pair.first, &pair.second]),
            Self::StateInfo(_, signed) => signed.digest(),
            Self::Leadership(_, signed) => signed.digest(),
            Self::ChannelLeave(_, signed) => signed.digest(),
        }
    }

    /// The kind's name.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Alive(..) => "alive",
            Self::Leave(_) => "leave",
            Self::Conflict(_) => "conflict",
            Self::StateInfo(..) => "state_info",
            Self::Leadership(..) => "leadership",
            Self::ChannelLeave(..) => "channel_leave",
        }
    }

    /// Who states it.
    pub fn member(&self) -> MemberId {
        match self {
            Self::Alive(signed, ..) => signed.member(),
            Self::Leave(signed) => signed.member(),
            Self::Conflict(pair) => pair.first.alive.member(),
            Self::StateInfo(_, signed) => signed.member(),
            Self::Leadership(_, signed) => signed.member(),
            Self::ChannelLeave(_, signed) => signed.member(),
        }
    }

    fn verify(self, key: &PublicKey, context: &[u8; 32]) -> Result<VerifiedStatement, SignatureError> {
        fn check<T: Statement>(
            signed: Signed<T>,
            key: &PublicKey,
            context: &[u8; 32],
        ) -> Result<Verified<T>, SignatureError> {
            signed.verify(key, context)
        }
        Ok(match self {
            Self::Alive(alive, internal, tick) => {
                let (alive, internal) = verify_record(AliveRecord { alive, internal, tick }, key, context)?;
                VerifiedStatement::Alive(alive, internal, tick)
            }
            Self::Conflict(pair) => VerifiedStatement::Conflict(Box::new(VerifiedConflict {
                first: verify_record(pair.first, key, context)?,
                second: verify_record(pair.second, key, context)?,
            })),
            Self::Leave(signed) => VerifiedStatement::Leave(check(signed, key, context)?),
            Self::StateInfo(channel, signed) => {
                VerifiedStatement::StateInfo(channel, check(signed, key, context)?)
            }
            Self::Leadership(channel, signed) => {
                VerifiedStatement::Leadership(channel, check(signed, key, context)?)
            }
            Self::ChannelLeave(channel, signed) => {
                VerifiedStatement::ChannelLeave(channel, check(signed, key, context)?)
            }
        })
    }
}

fn verify_record(
    record: AliveRecord,
    key: &PublicKey,
    context: &[u8; 32],
) -> Result<(Verified<Alive>, Option<InternalEndpoint>), SignatureError> {
    let alive = record.alive.verify(key, context)?;
    let internal = record.internal.filter(|internal| internal.hash() == alive.statement().internal_hash);
    Ok((alive, internal))
}

fn digest_of_records(records: &[&AliveRecord]) -> Digest {
    let digests = records.iter().flat_map(|record| {
        let internal = record.internal.as_ref().map_or(Digest::ZERO, InternalEndpoint::hash);
        [record.alive.digest(), internal]
    });
    let digests: Vec<Digest> = digests.collect();
    Digest::of_parts(&digests.iter().map(|digest| &digest.as_bytes()[..]).collect::<Vec<_>>())
}
