//! `ledgercastd orderer`.

use super::notify::notify;
use super::{Loaded, block_on, bounded, load, serve_all, stop_requested};
use crate::api::grpc::{
    Administration, Audience, ChannelDirectory, GrpcError, GrpcLimits, GrpcServer, Node, Submitter,
};
use crate::api::operations::{LogSpec, ObservedOrderer, Operations};
use crate::cli::Home;
use crate::config::OrdererFile;
use crate::failure::Failure;
use crate::logging;
use crate::orderer::{OrdererNode, OrdererSettings};
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
        println!("configuration and identity are in order");
        return Ok(());
    }
    let log: Arc<dyn LogSpec> =
        Arc::new(logging::start(&loaded.config.log).map_err(|error| loaded.wrong("log", "level", error))?);
    block_on(run(loaded, msp, log))
}

async fn run(loaded: Loaded<OrdererFile>, msp: Msp, log: Arc<dyn LogSpec>) -> Result<(), Failure> {
    let config = &loaded.config;
    let store = loaded.store(&config.store)?;
    let node = OrdererNode::start(OrdererSettings {
        msp: msp.clone(),
        ordering: config.ordering.to_config(),
        verify_threads: config.verification.thread_count(),
        verify_queue_max: config.verification.queue_max,
        store,
    })
    .await
    .map_err(Failure::refused)?;

    let stop = CancellationToken::new();
    let served = serve(&loaded, &msp, Arc::clone(&node), log, stop.clone()).await;
    let result = match served {
        Ok(tasks) => {
            notify("READY=1");
            let stopped = stop_requested().await;
            notify("STOPPING=1");
            stop.cancel();
            bounded(async { tasks.wait().await }).await;
            stopped
        }
        Err(failure) => Err(failure),
    };
    bounded(node.stop()).await;
    result
}

async fn serve(
    loaded: &Loaded<OrdererFile>,
    msp: &Msp,
    node: Arc<OrdererNode>,
    log: Arc<dyn LogSpec>,
    stop: CancellationToken,
) -> Result<TaskTracker, Failure> {
    let config = &loaded.config;
    let observed = Arc::new(ObservedOrderer(Arc::clone(&node)));
    let operations = Operations::bind(config.operations.listen, observed, log)
        .await
        .map_err(|error| loaded.wrong("operations", "listen", error))?;
    let api = bind(loaded, msp, node).await.map_err(|error| loaded.wrong("api", "listen", error))?;
    tracing::info!(grpc = %config.api.listen, operations = %config.operations.listen, "orderer is up");
    Ok(serve_all(operations, api, stop))
}

async fn bind(
    loaded: &Loaded<OrdererFile>,
    msp: &Msp,
    node: Arc<OrdererNode>,
) -> Result<GrpcServer, GrpcError> {
    let config = &loaded.config.api;
    let pair = msp.tls.as_ref().ok_or(GrpcError::NoTls)?;
    let limits = GrpcLimits {
        connections_max: config.connections_max,
        streams_max: config.streams_max,
        submissions_in_flight_max: config.submissions_in_flight_max,
    };
    let served = Node {
        directory: Arc::clone(&node) as Arc<dyn ChannelDirectory>,
        administration: Arc::clone(&node) as Arc<dyn Administration>,
        submitter: Some(node as Arc<dyn Submitter>),
        audience: Audience::ReaderOrgs,
    };
    GrpcServer::bind(config.listen, limits, pair, &msp.org, served).await
}
