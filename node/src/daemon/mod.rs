//! From a command line to a running daemon, and back down on SIGTERM or Ctrl-C.

mod notify;
mod orderer;
mod peer;

pub(crate) use orderer::orderer;
pub(crate) use peer::peer;

use crate::api::grpc::GrpcServer;
use crate::api::operations::Operations;
use crate::cli::Home;
use crate::config::{self, ConfigError, ConfigFile, StoreSection};
use crate::failure::Failure;
use crate::store::RocksDbStore;
use ledgercast_crypto::msp::Msp;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long everything may take to stop before the process ends anyway.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// A configuration file that was read, and the folder that its paths start at.
struct Loaded<T> {
    file: PathBuf,
    folder: PathBuf,
    config: T,
}

fn load<T: ConfigFile>(home: &Home, name: &str) -> Result<Loaded<T>, Failure> {
    let file = home.config.clone().unwrap_or_else(|| home.home.join(name));
    let config = config::load(&file).map_err(Failure::refused)?;
    let folder = file.parent().map_or_else(PathBuf::new, Path::to_owned);
    Ok(Loaded { file, folder, config })
}

impl<T> Loaded<T> {
    fn path(&self, path: &Path) -> PathBuf {
        self.folder.join(path)
    }

    fn wrong(&self, section: &'static str, key: &'static str, error: impl ToString) -> Failure {
        let place = config::place_of(&self.file, section, key);
        Failure::refused(ConfigError::Value { place, section, key, error: error.to_string() })
    }

    fn msp(&self, path: &Path) -> Result<Msp, Failure> {
        Msp::load(&self.path(path)).map_err(Failure::refused)
    }

    fn store(&self, section: &StoreSection) -> Result<Arc<RocksDbStore>, Failure> {
        RocksDbStore::open(&self.path(&section.path)).map(Arc::new).map_err(Failure::refused)
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format!("cannot start the runtime: {error}")))
}

/// Waits for SIGTERM or Ctrl-C.
async fn stop_requested() -> Result<(), Failure> {
    let mut terminate = signal(SignalKind::terminate()).map_err(Failure::failed)?;
    tokio::select! {
        _ = terminate.recv() => {}
        interrupted = tokio::signal::ctrl_c() => interrupted.map_err(Failure::failed)?,
    }
    tracing::info!("stopping; a second Ctrl-C stops at once");
    tokio::spawn(async {
        if tokio::signal::ctrl_c().await.is_ok() {
            std::process::exit(130);
        }
    });
    Ok(())
}

/// Runs a daemon to its end; what still blocks after that is given up.
fn block_on(run: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = runtime()?;
    let result = runtime.block_on(run);
    runtime.shutdown_timeout(STOP_TIMEOUT);
    result
}

/// Both APIs, being served.
struct Served {
    tasks: TaskTracker,
    /// From each API that ends although nobody stopped it.
    failures: mpsc::Receiver<Failure>,
}

impl Served {
    /// Resolves when an API has ended by itself: a node that nobody can reach should not look alive.
    async fn failed(&mut self) -> Failure {
        match self.failures.recv().await {
            Some(failure) => failure,
            // All have ended as they were told to.
            None => std::future::pending().await,
        }
    }

    /// Resolves when both have stopped.
    async fn stopped(&self) {
        self.tasks.wait().await;
    }
}

/// Serves both APIs until `stop` is cancelled.
fn serve_all(operations: Operations, api: GrpcServer, stop: &CancellationToken) -> Served {
    let (failed, failures) = mpsc::channel(2);
    let tasks = TaskTracker::new();
    let (operations_stop, api_stop) = (stop.clone(), stop.clone());
    let operations = async move {
        operations.serve(operations_stop).await;
        Ok::<_, std::convert::Infallible>(())
    };
    tasks.spawn(watched("operations HTTP", operations, stop.clone(), failed.clone()));
    tasks.spawn(watched("gRPC", api.serve(api_stop), stop.clone(), failed));
    tasks.close();
    Served { tasks, failures }
}

/// Runs a server and reports an end that nobody asked for: an error, a panic, or just an end.
async fn watched<E: std::fmt::Display + Send + 'static>(
    name: &'static str,
    server: impl Future<Output = Result<(), E>> + Send + 'static,
    stop: CancellationToken,
    failed: mpsc::Sender<Failure>,
) {
    let cause = match tokio::spawn(server).await {
        Ok(Ok(())) if stop.is_cancelled() => return,
        Ok(Ok(())) => "nobody asked it to".to_owned(),
        Ok(Err(error)) => error.to_string(),
        Err(error) => error.to_string(),
    };
    // Nobody listens once the daemon stops for another reason.
    let _ = failed.send(Failure::failed(format!("{name} has ended: {cause}; the node stops"))).await;
}

/// Lets a stop take its time, up to a bound.
async fn bounded(stopping: impl Future<Output = ()>) {
    if tokio::time::timeout(STOP_TIMEOUT, stopping).await.is_err() {
        tracing::warn!(?STOP_TIMEOUT, "not everything stopped in time; what was acknowledged is durable");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn failure_of(
        server: impl Future<Output = Result<(), String>> + Send + 'static,
        is_stopped: bool,
    ) -> Option<String> {
        let (failed, mut failures) = mpsc::channel(1);
        let stop = CancellationToken::new();
        if is_stopped {
            stop.cancel();
        }
        watched("the API", server, stop, failed).await;
        failures.recv().await.map(|failure| failure.to_string())
    }

    #[tokio::test]
    async fn an_api_that_ends_unasked_is_a_failure_with_its_cause() {
        let error = failure_of(async { Err("the listener broke".to_owned()) }, false).await;
        let panic = failure_of(async { panic!("a fault of ours") }, false).await;
        let end = failure_of(async { Ok(()) }, false).await;
        let stop = failure_of(async { Ok(()) }, true).await;

        assert_eq!(error.as_deref(), Some("the API has ended: the listener broke; the node stops"));
        assert!(panic.is_some_and(|text| text.contains("panicked")));
        assert!(end.is_some_and(|text| text.contains("nobody asked")));
        assert_eq!(stop, None);
    }
}
