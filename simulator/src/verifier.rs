//! The verification pool of all nodes: each distinct signature is checked once and remembered, each answer
//! takes virtual time drawn from the seed, so answers come out of order.

use crate::random::Random;
use ledgercast_crypto::{CertificateError, Digest, Identity, Roster, SignatureError};
use ledgercast_protocol::channel::ChannelConfig;
use ledgercast_protocol::job::{Job, SignedStatement, Verdict, VerifiedStatement, judge_update};
use ledgercast_protocol::ledger::{BlockError, CertifiedHeader, VerifiedBlock, VerifiedHeader};
use std::collections::BTreeMap;
use std::time::Duration;

/// Remembered answers of one kind at most; beyond it all of that kind are forgotten and found out anew.
const REMEMBERED_MAX: usize = 100_000;
const DELAY_MIN: Duration = Duration::from_micros(40);
const DELAY_MAX: Duration = Duration::from_micros(900);
/// SHA-256 at 1.5 GB/s.
const BYTES_PER_MICROSECOND: u64 = 1500;

/// The signed bytes, what travelled beside them, the key, and what they must be signed for.
type StatementKey = (Digest, Option<Digest>, [u8; 32], [u8; 32]);
type HeaderVerdict = Result<VerifiedHeader, BlockError>;

#[derive(Debug)]
pub(crate) struct Verifier {
    random: Random,
    certificates: BTreeMap<(Digest, Digest), Result<Identity, CertificateError>>,
    statements: BTreeMap<StatementKey, Result<VerifiedStatement, SignatureError>>,
    headers: BTreeMap<(Digest, Digest), (CertifiedHeader, HeaderVerdict)>,
    bodies: BTreeMap<Digest, VerifiedBlock>,
    checked: u64,
}

impl Verifier {
    pub(crate) fn new(random: Random) -> Self {
        Self {
            random,
            certificates: BTreeMap::new(),
            statements: BTreeMap::new(),
            headers: BTreeMap::new(),
            bodies: BTreeMap::new(),
            checked: 0,
        }
    }

    /// Signatures and bodies that were really checked.
    pub(crate) fn checked(&self) -> u64 {
        self.checked
    }

    /// The verdict, and how long the pool takes for it.
    pub(crate) fn judge(&mut self, job: Job) -> (Verdict, Duration) {
        let bytes = match &job {
            Job::Body { body, .. } => body.len() as u64,
            _ => 0,
        };
        let delay = self.random.between(DELAY_MIN, DELAY_MAX);
        (self.verdict(job), delay + Duration::from_micros(bytes / BYTES_PER_MICROSECOND))
    }

    fn verdict(&mut self, job: Job) -> Verdict {
        match job {
            Job::Certificate { shown_by, chain, roster, at } => {
                // Validity is judged anew unless it is plain: the memory knows no time.
                let is_valid = (chain.certificate.not_before()..=chain.certificate.not_after()).contains(&at);
                let key = (chain.certificate.fingerprint(), roster_digest(&roster));
                if !is_valid || !chain.intermediates.is_empty() {
                    return Job::Certificate { shown_by, chain, roster, at }.run();
                }
                let checked = &mut self.checked;
                let identity = remember(&mut self.certificates, key, || {
                    *checked += 1;
                    roster.verify(&chain.certificate, &[], at)
                });
                Verdict::Certificate { shown_by, chain, identity }
            }
            job @ (Job::Revocation { .. } | Job::Rival { .. } | Job::Evidence { .. }) => {
                self.checked += 1;
                job.run()
            }
            Job::Statement { from, context, key, statement } => {
                let digest = statement.digest();
                let kind = statement.kind();
                let (beside, tick) = match &statement {
                    SignedStatement::Alive(_, internal, tick) => {
                        (internal.as_ref().map(|it| it.hash()), *tick)
                    }
                    _ => (None, None),
                };
                let memory_key = (digest, beside, *key.as_bytes(), context);
                let checked = &mut self.checked;
                let verified = remember(&mut self.statements, memory_key, || {
                    *checked += 1;
                    match (Job::Statement { from, context, key, statement }).run() {
                        Verdict::Statement { statement, .. } => statement,
                        _ => unreachable!("a statement's verdict is of its kind"),
                    }
                });
                // The tick is checked by nobody here, and need not be the one that came with the
                // remembered alive.
                let verified = verified.map(|statement| match statement {
                    VerifiedStatement::Alive(alive, internal, _) => {
                        VerifiedStatement::Alive(alive, internal, tick)
                    }
                    other => other,
                });
                Verdict::Statement { from, digest, kind, statement: verified }
            }
            Job::Headers { from, config, headers } => {
                let headers = headers.into_iter().map(|header| self.judge_header(header, &config)).collect();
                Verdict::Headers { from, config, headers }
            }
            Job::Body { from, header, body, config } => {
                let known = self.bodies.get(&header.hash()).filter(|known| known.body().bytes() == &body);
                let block = match known {
                    Some(known) => Ok(known.clone()),
                    None => self.judge_body(&header, body),
                };
                let update = block.as_ref().ok().and_then(|block| judge_update(block, &config));
                Verdict::Body { from, header, block, update }
            }
        }
    }

    fn judge_header(&mut self, header: CertifiedHeader, config: &ChannelConfig) -> HeaderVerdict {
        let key = (header.hash(), config.hash());
        match self.headers.get(&key) {
            Some((known, verdict)) if *known == header => verdict.clone(),
            _ => {
                self.checked += 1;
                let verdict = VerifiedHeader::try_new(header.clone(), config);
                limit(&mut self.headers);
                self.headers.insert(key, (header, verdict.clone()));
                verdict
            }
        }
    }

    fn judge_body(
        &mut self,
        header: &VerifiedHeader,
        body: bytes::Bytes,
    ) -> Result<VerifiedBlock, BlockError> {
        self.checked += 1;
        let block = VerifiedBlock::try_new(header.clone(), body)?;
        limit(&mut self.bodies);
        self.bodies.insert(header.hash(), block.clone());
        Ok(block)
    }
}

fn remember<K: Ord, V: Clone>(memory: &mut BTreeMap<K, V>, key: K, check: impl FnOnce() -> V) -> V {
    limit(memory);
    memory.entry(key).or_insert_with(check).clone()
}

fn limit<K: Ord, V>(memory: &mut BTreeMap<K, V>) {
    if memory.len() >= REMEMBERED_MAX {
        memory.clear();
    }
}

/// Names what a roster knows: its orgs and the numbers of their revocation lists.
fn roster_digest(roster: &Roster) -> Digest {
    let lines = roster.orgs().map(|(id, org)| {
        let lists: Vec<String> = org.crls.iter().map(|list| list.number().to_string()).collect();
        format!("{id} {}\n", lists.join(" "))
    });
    Digest::of(lines.collect::<String>().as_bytes())
}
