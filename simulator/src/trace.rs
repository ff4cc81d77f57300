//! One hash over everything that was delivered to any node: two runs of a seed must agree on it.

use crate::node::NodeId;
use ledgercast_crypto::Digest;
use ledgercast_protocol::job::Verdict;
use ledgercast_protocol::{Command, Input};
use std::time::Duration;

#[derive(Debug)]
pub(crate) struct Trace {
    hash: Digest,
    events: u64,
}

impl Trace {
    pub(crate) fn new(seed: u64) -> Self {
        Self { hash: Digest::of_parts(&[b"ledgercast trace", &seed.to_be_bytes()]), events: 0 }
    }

    pub(crate) fn hash(&self) -> Digest {
        self.hash
    }

    pub(crate) fn events(&self) -> u64 {
        self.events
    }

    /// Takes in one delivered input. Bytes that came over a link enter whole, local answers by what names
    /// them.
    pub(crate) fn record(&mut self, at: Duration, node: NodeId, input: &Input) {
        self.events += 1;
        let head = [&at.as_nanos().to_be_bytes()[..], &(node.0 as u64).to_be_bytes()].concat();
        let label = label(input);
        let body: &[u8] = match input {
            Input::Received { frame, .. } => frame,
            _ => &[],
        };
        self.hash = Digest::of_parts(&[self.hash.as_bytes(), &head, label.as_bytes(), body]);
    }
}

fn label(input: &Input) -> String {
    match input {
        Input::Start => "start".to_owned(),
        Input::Opened { session, key, dialed } => format!("opened {session} {key} {dialed:?}"),
        Input::Closed { session } => format!("closed {session}"),
        Input::DialFailed { endpoint, is_refused } => format!("dial failed {endpoint} {is_refused}"),
        Input::Received { session, lane, .. } => format!("received {session} {lane:?}"),
        Input::TimerDue(timer) => format!("timer {timer:?}"),
        Input::Judged(verdict) => format!("judged {}", verdict_label(verdict)),
        Input::Committed { channel, through } => format!("committed {channel:?} {through}"),
        Input::CommitFailed { channel, number, .. } => format!("commit failed {channel:?} {number}"),
        Input::BlockRead { channel, number, block } => {
            format!("block read {channel:?} {number} {}", block.is_some())
        }
        Input::HeadersRead { channel, asker, first, headers } => {
            format!("headers read {channel:?} {asker} {first} {}", headers.len())
        }
        Input::Fed { channel, feed, block } => format!("fed {channel:?} {feed} {}", block.header.hash()),
        Input::FedHeader { channel, feed, header } => format!("header {channel:?} {feed} {}", header.hash()),
        Input::FeedOpened { channel, feed } => format!("opened {channel:?} {feed}"),
        Input::FeedEnded { channel, feed, .. } => format!("ended {channel:?} {feed}"),
        Input::Command(Command::Join { name, .. }) => format!("join {name}"),
        Input::Command(Command::Leave { channel }) => format!("leave {channel:?}"),
        Input::Command(Command::LiftHalt { channel }) => format!("lift halt {channel:?}"),
        Input::Command(Command::Renew { chain, .. }) => {
            format!("renew {}", chain.certificate.fingerprint())
        }
        Input::Command(Command::Revoke(list)) => format!("revoke {}", list.fingerprint()),
        Input::Command(Command::Shutdown) => "shutdown".to_owned(),
    }
}

fn verdict_label(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Certificate { shown_by, chain, identity } => {
            format!("certificate {shown_by:?} {} {}", chain.certificate.fingerprint(), identity.is_ok())
        }
        Verdict::Revocation { list, owner, .. } => {
            format!("revocation {} {}", list.fingerprint(), owner.is_ok())
        }
        Verdict::Statement { digest, kind, statement, .. } => {
            format!("{kind} {digest} {}", statement.is_ok())
        }
        Verdict::Headers { headers, .. } => {
            let first = headers.iter().flatten().next().map(|header| header.hash());
            format!("headers {:?} {first:?}", headers.as_ref().map(Vec::len).ok())
        }
        Verdict::Rival { proof, .. } => format!("rival {}", proof.is_ok()),
        Verdict::Evidence { proof, .. } => format!("evidence {}", proof.is_ok()),
        Verdict::Body { header, block, .. } => format!("body {} {}", header.hash(), block.is_ok()),
        Verdict::Overloaded(_) => "overloaded".to_owned(),
    }
}
