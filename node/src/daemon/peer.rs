//! `ledgercastd peer`.

use super::notify::notify;
use super::{Loaded, Served, block_on, bounded, load, serve_all, stop_requested};
use crate::api::grpc;
use crate::api::operations::{LogSpec, ObservedPeer, Operations, Readiness};
use crate::cli::Home;
use crate::config::PeerFile;
use crate::failure::Failure;
use crate::logging;
use crate::peer::{PeerError, PeerNode, PeerSettings};
use ledgercast_crypto::msp::Msp;
use ledgercast_protocol::peer::PeerConfig;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Runs a peer until it is told to stop.
///
/// # Errors
/// [`Failure`] with the cause and the cure.
pub(crate) fn peer(home: &Home) -> Result<(), Failure> {
    let loaded: Loaded<PeerFile> = load(home, "peer.toml")?;
    let msp = loaded.msp(&loaded.config.peer.msp)?;
    let protocol = loaded
        .config
        .protocol_config()
        .map_err(|wrong| loaded.wrong(wrong.section, wrong.key, wrong.error))?;
    if home.check {
        println!("configuration and identity are in order");
        return Ok(());
    }
    let log: Arc<dyn LogSpec> =
        Arc::new(logging::start(&loaded.config.log).map_err(|error| loaded.wrong("log", "level", error))?);
    block_on(run(loaded, msp, protocol, log))
}

async fn run(
    loaded: Loaded<PeerFile>,
    msp: Msp,
    protocol: PeerConfig,
    log: Arc<dyn LogSpec>,
) -> Result<(), Failure> {
    let config = &loaded.config;
    let store = loaded.store(&config.store)?;
    let settings = PeerSettings::new(config, protocol, msp.clone(), store);
    let node = PeerNode::start(settings).await.map_err(|error| refused_at_start(&loaded, error))?;

    let stop = CancellationToken::new();
    let served = serve(&loaded, &msp, Arc::clone(&node), log, &stop).await;
    let result = match served {
        Ok(mut served) => {
            notify("READY=1");
            let stopped = tokio::select! {
                stopped = stop_requested() => stopped,
                () = node.ended() => Err(Failure::failed("the peer's core has ended; the log says why")),
                failure = served.failed() => Err(failure),
            };
            notify("STOPPING=1");
            stop.cancel();
            bounded(served.stopped()).await;
            stopped
        }
        Err(failure) => Err(failure),
    };
    bounded(node.stop()).await;
    result
}

async fn serve(
    loaded: &Loaded<PeerFile>,
    msp: &Msp,
    node: Arc<PeerNode>,
    log: Arc<dyn LogSpec>,
    stop: &CancellationToken,
) -> Result<Served, Failure> {
    let config = &loaded.config;
    let readiness = Readiness { blocks_behind_max: config.operations.ready_lag_blocks };
    let streams_max = config.operations.event_streams_max;
    let observed = Arc::new(ObservedPeer::new(Arc::clone(&node), readiness.clone(), streams_max));
    let operations = Operations::bind(config.operations.listen, config.operations.limits(), observed, log)
        .await
        .map_err(|error| loaded.wrong("operations", "listen", error))?;
    let api = grpc::bind_peer(&config.api, msp, node, readiness)
        .await
        .map_err(|error| loaded.wrong("api", "listen", error))?;
    tracing::info!(
        grpc = %config.api.listen,
        operations = %config.operations.listen,
        internal = config.peer.internal_endpoint,
        "peer is up"
    );
    Ok(serve_all(operations, api, stop))
}

fn refused_at_start(loaded: &Loaded<PeerFile>, error: PeerError) -> Failure {
    match error {
        PeerError::Network(error) => loaded.wrong("peer", "listen", error),
        other => Failure::refused(other),
    }
}
