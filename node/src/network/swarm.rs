//! The one task that runs the swarm. It resolves names beside it, starts dials, and ends within a
//! second of being asked to. Frames never pass here.

use super::address;
use super::behaviour::{Behaviour, DialAttempt};
use super::command::NetworkCommand;
use super::event::{CloseReason, DialFailure};
use super::identity;
use super::limits::Limits;
use futures::StreamExt;
use ledgercast_crypto::keys::PublicKey;
use libp2p::{PeerId, Swarm};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

/// What a shutdown leaves to connections; a second in all, with the rest for the task itself.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_millis(800);

/// A name being resolved for a dial.
#[derive(Debug)]
struct Resolved {
    dial: u64,
    expect: Option<PeerId>,
    addresses: io::Result<Vec<SocketAddr>>,
}

/// The task's state.
pub(super) struct SwarmTask {
    pub(super) swarm: Swarm<Behaviour>,
    pub(super) commands: mpsc::Receiver<NetworkCommand>,
    pub(super) limits: Arc<Limits>,
    resolving: JoinSet<Resolved>,
}

impl SwarmTask {
    pub(super) fn new(
        swarm: Swarm<Behaviour>,
        commands: mpsc::Receiver<NetworkCommand>,
        limits: Arc<Limits>,
    ) -> Self {
        Self { swarm, commands, limits, resolving: JoinSet::new() }
    }

    /// Runs until a shutdown is asked for or the last handle is dropped.
    pub(super) async fn run(mut self) {
        let done = loop {
            tokio::select! {
                command = self.commands.recv() => match command {
                    Some(NetworkCommand::Dial { dial, endpoint, expect }) => {
                        self.on_dial(dial, endpoint, expect);
                    }
                    Some(NetworkCommand::Shutdown { done }) => break Some(done),
                    None => break None,
                },
                Some(resolved) = self.resolving.join_next() => {
                    if let Ok(resolved) = resolved {
                        self.on_resolved(resolved);
                    }
                }
                _ = self.swarm.select_next_some() => {}
            }
        };
        self.shut_down(done).await;
    }

    fn on_dial(&mut self, dial: u64, endpoint: String, expect: Option<PublicKey>) {
        let pending = self.resolving.len() + self.swarm.behaviour().dials_count();
        if pending >= self.limits.sessions_pending_max {
            return self.swarm.behaviour().fail_dial(dial, DialFailure::OwnLimit);
        }
        let expect = match expect.as_ref().map(identity::peer_id).transpose() {
            Ok(expect) => expect,
            Err(error) => {
                return self.swarm.behaviour().fail_dial(dial, DialFailure::Other(error.to_string()));
            }
        };
        let timeout = self.limits.dial_timeout;
        self.resolving.spawn(async move {
            Resolved { dial, expect, addresses: address::resolve(&endpoint, timeout).await }
        });
    }

    fn on_resolved(&mut self, resolved: Resolved) {
        let Resolved { dial, expect, addresses } = resolved;
        let behaviour = self.swarm.behaviour_mut();
        match addresses {
            Ok(addresses) => behaviour.dial(DialAttempt { dial, expect, addresses: addresses.into() }),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                behaviour.fail_dial(dial, DialFailure::Timeout);
            }
            Err(error) => behaviour.fail_dial(dial, DialFailure::Other(error.to_string())),
        }
    }

    async fn shut_down(mut self, done: Option<oneshot::Sender<()>>) {
        self.swarm.behaviour().close_all(&CloseReason::Shutdown);
        let deadline = tokio::time::sleep(SHUTDOWN_TIMEOUT);
        tokio::pin!(deadline);
        while self.swarm.behaviour().connections_count() > 0 {
            tokio::select! {
                () = &mut deadline => break,
                _ = self.swarm.select_next_some() => {}
            }
        }
        drop(self); // ends what is left of connections, listeners and dials
        if let Some(done) = done {
            let _ = done.send(()); // whoever asked may have gone
        }
    }
}
