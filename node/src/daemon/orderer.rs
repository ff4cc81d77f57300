//! `ledgercastd orderer`.

use super::notify::notify;
use super::{Loaded, Served, block_on, bounded, load, serve_all, stop_requested};
use crate::api::grpc::{Administration, Audience, ChannelDirectory, GrpcError, GrpcServer, Node, Submitter};
use crate::api::operations::{LogSpec, Observed, ObservedFollower, ObservedOrderer, Operations};
use crate::cli::Home;
use crate::config::OrdererFile;
use crate::failure::Failure;
use crate::follower::{FollowerNode, FollowerSettings};
use crate::logging;
use crate::orderer::{OrdererNode, OrdererSettings, RevocationFolders};
use ledgercast_crypto::Role;
use ledgercast_crypto::msp::Msp;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Runs an orderer until it is told to stop.
///
/// # Errors
/// [`Failure`] with the cause and the cure.
pub(crate) fn orderer(home: &Home) -> Result<(), Failure> {
    let loaded: Loaded<OrdererFile> = load(home, "orderer.toml")?;
    let msp = loaded.msp(&loaded.config.orderer.msp)?;
    if home.check {
        loaded.check_identity(&msp, Role::Orderer)?;
        println!("configuration and identity are in order");
        return Ok(());
    }
    let log: Arc<dyn LogSpec> =
        Arc::new(logging::start(&loaded.config.log).map_err(|error| loaded.wrong("log", "level", error))?);
    block_on(run(loaded, msp, log))
}

/// A started orderer of either kind, as its APIs see it.
struct Started {
    directory: Arc<dyn ChannelDirectory>,
    administration: Arc<dyn Administration>,
    submitter: Arc<dyn Submitter>,
    observed: Arc<dyn Observed>,
}

async fn run(loaded: Loaded<OrdererFile>, msp: Msp, log: Arc<dyn LogSpec>) -> Result<(), Failure> {
    match loaded.config.orderer.follow {
        true => run_follower(loaded, msp, log).await,
        false => run_sequencer(loaded, msp, log).await,
    }
}

async fn run_sequencer(loaded: Loaded<OrdererFile>, msp: Msp, log: Arc<dyn LogSpec>) -> Result<(), Failure> {
    let config = &loaded.config;
    let node = OrdererNode::start(OrdererSettings {
        msp: msp.clone(),
        ordering: config.ordering.to_config(),
        verify_threads: config.verification.thread_count(),
        verify_queue_max: config.verification.queue_max,
        core: config.api.core_limits(),
        writes: config.store.limits(),
        store: loaded.store(&config.store)?,
        revocations: RevocationFolders {
            folders: [
                loaded.path(&config.orderer.msp).join("crls"),
                loaded.path(&config.orderer.revocations),
            ],
            interval: config.orderer.revocation_check_interval.get(),
        },
    })
    .await
    .map_err(Failure::refused)?;
    let started = Started {
        directory: Arc::clone(&node) as Arc<dyn ChannelDirectory>,
        administration: Arc::clone(&node) as Arc<dyn Administration>,
        submitter: Arc::clone(&node) as Arc<dyn Submitter>,
        observed: Arc::new(ObservedOrderer(Arc::clone(&node))),
    };
    let result = serve_until_stopped(&loaded, &msp, started, log, node.ended()).await;
    bounded(node.stop()).await;
    result
}

async fn run_follower(loaded: Loaded<OrdererFile>, msp: Msp, log: Arc<dyn LogSpec>) -> Result<(), Failure> {
    let config = &loaded.config;
    let node = FollowerNode::start(FollowerSettings {
        msp: msp.clone(),
        feed: config.feed.to_config(),
        channels_max: config.ordering.channels_max,
        verify_threads: config.verification.thread_count(),
        verify_queue_max: config.verification.queue_max,
        requests_waiting_max: config.api.requests_waiting_max,
        writes: config.store.limits(),
        store: loaded.store(&config.store)?,
    })
    .await
    .map_err(Failure::refused)?;
    let started = Started {
        directory: Arc::clone(&node) as Arc<dyn ChannelDirectory>,
        administration: Arc::clone(&node) as Arc<dyn Administration>,
        submitter: Arc::clone(&node) as Arc<dyn Submitter>,
        observed: Arc::new(ObservedFollower(Arc::clone(&node))),
    };
    let result = serve_until_stopped(&loaded, &msp, started, log, node.ended()).await;
    bounded(node.stop()).await;
    result
}

async fn serve_until_stopped(
    loaded: &Loaded<OrdererFile>,
    msp: &Msp,
    started: Started,
    log: Arc<dyn LogSpec>,
    core_ended: impl Future<Output = ()>,
) -> Result<(), Failure> {
    let stop = CancellationToken::new();
    let mut served = serve(loaded, msp, started, log, &stop).await?;
    notify("READY=1");
    let stopped = tokio::select! {
        stopped = stop_requested() => stopped,
        () = core_ended => Err(Failure::failed("the orderer's core has ended; the log says why")),
        failure = served.failed() => Err(failure),
    };
    notify("STOPPING=1");
    stop.cancel();
    bounded(served.stopped()).await;
    stopped
}

async fn serve(
    loaded: &Loaded<OrdererFile>,
    msp: &Msp,
    started: Started,
    log: Arc<dyn LogSpec>,
    stop: &CancellationToken,
) -> Result<Served, Failure> {
    let config = &loaded.config;
    let (observed, limits) = (Arc::clone(&started.observed), config.operations.limits());
    let operations = Operations::bind(config.operations.listen, limits, observed, log)
        .await
        .map_err(|error| loaded.wrong("operations", "listen", error))?;
    let api = bind(loaded, msp, started).await.map_err(|error| loaded.wrong("api", "listen", error))?;
    let is_follower = config.orderer.follow;
    let (grpc, operations_at) = (config.api.listen, config.operations.listen);
    tracing::info!(%grpc, operations = %operations_at, is_follower, "orderer is up");
    Ok(serve_all(operations, api, stop))
}

async fn bind(loaded: &Loaded<OrdererFile>, msp: &Msp, started: Started) -> Result<GrpcServer, GrpcError> {
    let config = &loaded.config.api;
    let pair = msp.tls.as_ref().ok_or(GrpcError::NoTls)?;
    let served = Node {
        directory: started.directory,
        administration: started.administration,
        submitter: Some(started.submitter),
        audience: Audience::ReaderOrgs,
    };
    GrpcServer::bind(config.listen, config.limits(), pair, &msp.org, served).await
}
