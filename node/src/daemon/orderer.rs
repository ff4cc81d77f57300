//! `ledgercastd orderer`.

use super::notify::notify;
use super::{Loaded, block_on, bounded, load, serve_all, stop_requested};
use crate::api::grpc::{
    Administration, Audience, ChannelDirectory, GrpcError, GrpcLimits, GrpcServer, Node, Submitter,
};
use crate::api::operations::{LogSpec, Observed, ObservedFollower, ObservedOrderer, Operations};
use crate::cli::Home;
use crate::config::OrdererFile;
use crate::failure::Failure;
use crate::follower::{FollowerNode, FollowerSettings};
use crate::logging;
use crate::orderer::{OrdererNode, OrdererSettings};
use ledgercast_crypto::Role;
use ledgercast_crypto::msp::Msp;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

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
        store: loaded.store(&config.store)?,
    })
    .await
    .map_err(Failure::refused)?;
    let started = Started {
        directory: Arc::clone(&node) as Arc<dyn ChannelDirectory>,
        administration: Arc::clone(&node) as Arc<dyn Administration>,
        submitter: Arc::clone(&node) as Arc<dyn Submitter>,
        observed: Arc::new(ObservedOrderer(Arc::clone(&node))),
    };
    let result = serve_until_stopped(&loaded, &msp, started, log).await;
    bounded(node.stop()).await;
    result
}

async fn run_follower(loaded: Loaded<OrdererFile>, msp: Msp, log: Arc<dyn LogSpec>) -> Result<(), Failure> {
    let config = &loaded.config;
    let feed = config.feed.to_config();
    feed.check().map_err(|error| loaded.wrong("feed", "address_overrides", error))?;
    let node = FollowerNode::start(FollowerSettings {
        msp: msp.clone(),
        feed,
        channels_max: config.ordering.channels_max,
        verify_threads: config.verification.thread_count(),
        verify_queue_max: config.verification.queue_max,
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
    let result = serve_until_stopped(&loaded, &msp, started, log).await;
    bounded(node.stop()).await;
    result
}

async fn serve_until_stopped(
    loaded: &Loaded<OrdererFile>,
    msp: &Msp,
    started: Started,
    log: Arc<dyn LogSpec>,
) -> Result<(), Failure> {
    let stop = CancellationToken::new();
    let tasks = serve(loaded, msp, started, log, stop.clone()).await?;
    notify("READY=1");
    let stopped = stop_requested().await;
    notify("STOPPING=1");
    stop.cancel();
    bounded(async { tasks.wait().await }).await;
    stopped
}

async fn serve(
    loaded: &Loaded<OrdererFile>,
    msp: &Msp,
    started: Started,
    log: Arc<dyn LogSpec>,
    stop: CancellationToken,
) -> Result<TaskTracker, Failure> {
    let config = &loaded.config;
    let operations = Operations::bind(config.operations.listen, Arc::clone(&started.observed), log)
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
    let limits = GrpcLimits {
        connections_max: config.connections_max,
        streams_max: config.streams_max,
        submissions_in_flight_max: config.submissions_in_flight_max,
    };
    let served = Node {
        directory: started.directory,
        administration: started.administration,
        submitter: Some(started.submitter),
        audience: Audience::ReaderOrgs,
    };
    GrpcServer::bind(config.listen, limits, pair, &msp.org, served).await
}
